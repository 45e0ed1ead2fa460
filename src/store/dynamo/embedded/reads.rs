//! Reads that pass the engine by: items by their keys, and queries of a partition. The engine has one connection behind a
//! lock, parses each stored item and writes it again, and reads a whole partition for each page. These reads have
//! connections of their own and pass the stored text on. Whatever they do not know, the engine answers; they answer what
//! it would, and a test compares both.
//!
//! They never write and never end a log, so that SQLite's rule of one writer holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;

mod answer;
mod condition;
mod key;
mod query;
mod schema;

use answer::{AnswerJson, units};
use key::Key;
use query::QueryRequest;
use schema::TableSchema;

/// Connections that wait for the next read; a further one is opened while all are in use. As many as requests that are
/// likely to read at one moment.
const IDLE_CONNECTIONS: usize = 8;

/// Statements that a connection has prepared: more than the shapes of reads of this crate.
const STATEMENTS: usize = 64;

/// How long a read waits for a lock of the file, as the engine does.
const BUSY: Duration = Duration::from_secs(5);

/// DynamoDB's own limit for the items of one BatchGetItem. The engine says what is left out.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// Connections that read what an engine has stored.
pub(super) struct Reads {
    path: String,
    idle: Mutex<Vec<Connection>>,
    schemas: RwLock<HashMap<String, Arc<TableSchema>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetItem<'a> {
    table_name: &'a str,
    #[serde(borrow)]
    key: Key<'a>,
    #[serde(default)]
    consistent_read: bool,
    return_consumed_capacity: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BatchGetItem<'a> {
    #[serde(borrow)]
    request_items: HashMap<&'a str, Keys<'a>>,
    return_consumed_capacity: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Keys<'a> {
    #[serde(borrow)]
    keys: Vec<Key<'a>>,
    #[serde(default)]
    consistent_read: bool,
}

impl Reads {
    /// Of an engine that is open. Connections follow with the first reads.
    pub(super) fn of(path: &str) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), schemas: RwLock::default() }
    }

    /// The body of the answer to a call, if it is one of these reads and succeeds.
    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> Option<Vec<u8>> {
        let read = match operation {
            "GetItem" => Self::item,
            "BatchGetItem" => Self::batch,
            "Query" => Self::query,
            _ => return None,
        };
        let connection = self.connection()?;
        let answer = read(self, &connection, body);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.is_some() && idle.len() < IDLE_CONNECTIONS {
            idle.push(connection);
        }
        answer
    }

    /// The tables have changed.
    pub(super) fn forget_schemas(&self) {
        self.schemas.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn connection(&self) -> Option<Connection> {
        if let Some(connection) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Some(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).ok()?;
        connection.busy_timeout(BUSY).ok()?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Some(connection)
    }

    fn schema(&self, connection: &Connection, table: &str) -> Option<Arc<TableSchema>> {
        if let Some(schema) = self.schemas.read().unwrap_or_else(PoisonError::into_inner).get(table) {
            return Some(schema.clone());
        }
        let schema = Arc::new(TableSchema::read(connection, table)?);
        let mut schemas = self.schemas.write().unwrap_or_else(PoisonError::into_inner);
        schemas.insert(table.to_owned(), schema.clone());
        Some(schema)
    }

    fn item(&self, connection: &Connection, body: &[u8]) -> Option<Vec<u8>> {
        let request: GetItem<'_> = serde_json::from_slice(body).ok()?;
        let schema = self.schema(connection, request.table_name)?;
        let mut answer = AnswerJson::new(request.return_consumed_capacity)?;
        let mut size = 0;
        let mut item = |text: &str, bytes: usize| {
            size = bytes;
            answer.member("Item", text);
        };
        schema.item(connection, &request.key, &mut item)?;
        answer.capacity(request.table_name, units(size, request.consistent_read));
        Some(answer.end())
    }

    fn batch(&self, connection: &Connection, body: &[u8]) -> Option<Vec<u8>> {
        let request: BatchGetItem<'_> = serde_json::from_slice(body).ok()?;
        let mut tables = request.request_items.iter();
        let (Some((table, Keys { keys, consistent_read })), None) = (tables.next(), tables.next()) else { return None };
        let schema = self.schema(connection, table)?;
        let mut answer = AnswerJson::new(request.return_consumed_capacity)?;
        let (mut all, mut consumed) = (0, 0.0);
        answer.open("Responses", "{");
        answer.open(table, "[");
        for key in keys {
            let mut size = 0;
            let mut item = |text: &str, bytes: usize| {
                size = bytes;
                answer.element(text);
            };
            schema.item(connection, key, &mut item)?;
            all += size;
            consumed += units(size, *consistent_read);
        }
        // Keys that stand there twice are refused.
        if all > MAX_BATCH_BYTES || !are_different(keys) {
            return None;
        }
        answer.close("]");
        answer.close("}");
        answer.member("UnprocessedKeys", "{}");
        answer.capacities(table, consumed);
        Some(answer.end())
    }

    fn query(&self, connection: &Connection, body: &[u8]) -> Option<Vec<u8>> {
        let request: QueryRequest<'_> = serde_json::from_slice(body).ok()?;
        let schema = self.schema(connection, request.table_name)?;
        query::answer(connection, &request, &schema)
    }
}

fn are_different(keys: &[Key<'_>]) -> bool {
    let names: Vec<&str> = keys.first().into_iter().flat_map(|key| key.keys().copied()).collect();
    let values = |key: &Key<'_>| -> Vec<String> {
        names.iter().map(|name| key.get(name).map_or(String::new(), |value| value.text.clone().into_owned())).collect()
    };
    let all: std::collections::HashSet<Vec<String>> = keys.iter().map(values).collect();
    all.len() == keys.len()
}

#[cfg(test)]
mod tests;
