//! DynamoDB inside the process, for `rollcall serve` and for tests: the SDK's connector calls the engine directly, and
//! the worker reads the engine's streams (see [`Streams`](super::streams::Streams)).

use std::sync::{Arc, PoisonError, RwLock};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::errors::DynoxideError;
use serde_json::{Value, json};

mod disk;
mod reads;
mod stream_index;

use disk::{Disk, off_the_reactor};
use reads::Reads;

/// Most rows of one `BatchWriteItem` to this engine, which carries them out as one transaction: as many as a transaction
/// has. A call waits for all others, so that under load few large ones write four times as much as many small ones.
pub const ROWS_PER_BATCH: usize = 100;

/// An engine.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

struct Parts {
    /// Closed before the engine, which ends the log.
    reads: Reads,
    database: Database,
    medium: Medium,
}

/// Where the data is.
enum Medium {
    /// In memory. SQLite lets nobody read a table there while it is written.
    Memory(RwLock<()>),
    File(Disk),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine that forgets everything when it is dropped.
    ///
    /// # Errors
    /// What the engine says.
    pub fn in_memory() -> Result<Self, String> {
        let name = getrandom::u64().map_err(|e| e.to_string())?;
        // A name of its own, so that the index can be created next to the engine.
        let path = format!("file:rollcall-{name:016x}?mode=memory&cache=shared");
        let database = Database::new(&path).map_err(|e| e.to_string())?;
        stream_index::create(&path)?;
        let medium = Medium::Memory(RwLock::default());
        Ok(Self(Arc::new(Parts { reads: Reads::of(&path), database, medium })))
    }

    /// An engine that keeps its data in a file, which one process has open.
    ///
    /// # Errors
    /// What the engine says, such as that the file cannot be opened.
    pub fn in_file(path: &str) -> Result<Self, String> {
        // One connection after the other: SQLite before 3.51.3 can lose writes where two write one file or end its log.
        // Those that only read do neither.
        let open = || Database::new(path).map_err(|e| e.to_string());
        drop(open()?);
        stream_index::create(path)?;
        let database = open()?;
        // Its name says little: with this, a write is in the log, and the log waits for the disk at its end only.
        database.disable_bulk_loading().map_err(|e| e.to_string())?;
        let medium = Medium::File(Disk::of(path)?);
        Ok(Self(Arc::new(Parts { reads: Reads::of(path), database, medium })))
    }

    /// Leaves it to whoever answers a request to wait for the disk, with [`on_disk`](Self::on_disk): once for all that the
    /// request has written and seen.
    pub fn wait_once(&self) {
        if let Medium::File(disk) = &self.0.medium {
            disk.wait_once();
        }
    }

    /// Waits until all that was written or read so far is on the disk.
    ///
    /// # Errors
    /// What the disk says. No answer may say that anything is stored.
    pub async fn on_disk(&self) -> Result<(), String> {
        match &self.0.medium {
            Medium::Memory(_) => Ok(()),
            Medium::File(disk) => disk.wait().await,
        }
    }

    /// The engine as the SDK's transport.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Carries out one call: the operation's name as in `x-amz-target`, and its JSON body. Answers with the HTTP
    /// status and JSON body that DynamoDB would. A write may not be on the disk yet: see [`on_disk`](Self::on_disk).
    pub fn call(&self, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
        match self.read(operation, body) {
            Some(answer) => (200, answer),
            None => self.alone(operation, || self.ask(operation, body)),
        }
    }

    /// Reads past the engine, as far as its reads know the call.
    fn read(&self, operation: &str, body: &[u8]) -> Option<Vec<u8>> {
        let _unwritten = match &self.0.medium {
            Medium::Memory(gate) => Some(gate.read().unwrap_or_else(PoisonError::into_inner)),
            Medium::File(_) => None,
        };
        self.0.reads.answer(operation, body)
    }

    /// Does what asks the engine: of writes, one after the other.
    fn alone<T>(&self, operation: &str, ask: impl FnOnce() -> T) -> T {
        match &self.0.medium {
            Medium::Memory(gate) => {
                let _one = gate.write().unwrap_or_else(PoisonError::into_inner);
                ask()
            }
            Medium::File(disk) => {
                let _one = (!is_read(operation)).then(|| disk.write());
                ask()
            }
        }
    }

    /// Asks the engine itself.
    fn ask(&self, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
        if operation.ends_with("Table") && !is_read(operation) {
            self.0.reads.forget_schemas();
        }
        if operation == "BatchWriteItem"
            && let Some(answer) = self.write_together(body)
        {
            return answer;
        }
        let db = &self.0.database;
        macro_rules! dispatch {
            ($($name:literal => $method:ident),* $(,)?) => {
                match operation {
                    $($name => answer(serde_json::from_slice(body).map(|request| db.$method(request))),)*
                    _ => (400, unknown(operation)),
                }
            };
        }
        dispatch!(
            "CreateTable" => create_table,
            "DescribeTable" => describe_table,
            "UpdateTable" => update_table,
            "DeleteTable" => delete_table,
            "ListTables" => list_tables,
            "GetItem" => get_item,
            "PutItem" => put_item,
            "UpdateItem" => update_item,
            "DeleteItem" => delete_item,
            "Query" => query,
            "Scan" => scan,
            "BatchGetItem" => batch_get_item,
            "BatchWriteItem" => batch_write_item,
            "TransactWriteItems" => transact_write_items,
            "TransactGetItems" => transact_get_items,
            "UpdateTimeToLive" => update_time_to_live,
            "DescribeTimeToLive" => describe_time_to_live,
            "ListStreams" => list_streams,
            "DescribeStream" => describe_stream,
            "GetShardIterator" => get_shard_iterator,
            "GetRecords" => get_records,
        )
    }
}

impl Engine {
    async fn on_disk_unless_once(&self) -> Result<(), String> {
        match &self.0.medium {
            Medium::File(disk) if !disk.waits_once() => disk.wait().await,
            _ => Ok(()),
        }
    }

    /// As [`call`](Self::call), of a caller that sends each call once; other requests go on meanwhile where the runtime
    /// has other threads.
    pub(super) fn call_off_the_reactor(&self, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
        if let Some(answer) = self.read(operation, body) {
            return (200, answer);
        }
        let ask = || match operation {
            "TransactWriteItems" => self.transact_once(body),
            _ => self.ask(operation, body),
        };
        off_the_reactor(|| self.alone(operation, ask))
    }

    /// Deletes what has expired, as DynamoDB does by itself; how many items.
    ///
    /// # Errors
    /// What the engine says.
    pub fn delete_expired(&self) -> Result<usize, String> {
        off_the_reactor(|| {
            let _one = match &self.0.medium {
                Medium::Memory(gate) => Some(gate.write().unwrap_or_else(PoisonError::into_inner)),
                // The engine lets others write between its steps, and nobody waits for what has expired to be gone.
                Medium::File(_) => None,
            };
            self.0.database.sweep_ttl()
        })
        .map_err(|e| e.to_string())
    }

    /// A transaction without its `ClientRequestToken`. The engine looks at all tokens of the last ten minutes at each
    /// transaction, which is most of its work when there are thousands; in one process no answer is lost, and none is
    /// sent twice.
    fn transact_once(&self, body: &[u8]) -> (u16, Vec<u8>) {
        answer(serde_json::from_slice::<TransactWriteItemsRequest>(body).map(|mut request| {
            request.client_request_token = None;
            self.0.database.transact_write_items(request)
        }))
    }

    /// A batch of writes as one transaction: by itself, the engine would wait for the disk at each of them. What is too much
    /// for one transaction, such as 100 events of 100 KB, is several. None for a batch of something else than puts, or where
    /// one of them fails by itself: the engine says why.
    fn write_together(&self, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let batch: Value = serde_json::from_slice(body).ok()?;
        let mut puts = Vec::new();
        for (table, requests) in batch.get("RequestItems")?.as_object()? {
            for request in requests.as_array()? {
                let item = request.pointer("/PutRequest/Item")?;
                puts.push(json!({"Put": {"TableName": table, "Item": item}}));
            }
        }
        self.put_all(&puts)?;
        Some((200, json!({"UnprocessedItems": {}}).to_string().into_bytes()))
    }

    /// Puts items, in halves where they are too many or too large for one transaction.
    fn put_all(&self, puts: &[Value]) -> Option<()> {
        let request = from_json(json!({"TransactItems": puts})).ok()?;
        if self.0.database.transact_write_items(request).is_ok() {
            return Some(());
        }
        let (some, others) = puts.split_at_checked(puts.len() / 2).filter(|(some, _)| !some.is_empty())?;
        self.put_all(some)?;
        self.put_all(others)
    }
}

/// Whether a call changes nothing.
fn is_read(operation: &str) -> bool {
    ["Get", "Describe", "List", "Query", "Scan", "BatchGet"].iter().any(|start| operation.starts_with(start))
}

fn from_json<T: serde::de::DeserializeOwned>(request: Value) -> Result<T, String> {
    serde_json::from_value(request).map_err(|e| e.to_string())
}

fn answer<T: serde::Serialize>(outcome: serde_json::Result<Result<T, DynoxideError>>) -> (u16, Vec<u8>) {
    match outcome {
        Ok(Ok(reply)) => match serde_json::to_vec(&reply) {
            Ok(body) => (200, body),
            Err(e) => (500, e.to_string().into_bytes()),
        },
        Ok(Err(e)) => (e.status_code(), e.to_json().into_bytes()),
        Err(e) => (400, exception("SerializationException", &e.to_string())),
    }
}

fn unknown(operation: &str) -> Vec<u8> {
    exception("UnknownOperationException", operation)
}

fn exception(code: &str, message: &str) -> Vec<u8> {
    let kind = format!("com.amazon.coral.service#{code}");
    serde_json::json!({"__type": kind, "message": message}).to_string().into_bytes()
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default();
            let (status, body) = engine.call_off_the_reactor(operation, request.body().bytes().unwrap_or_default());
            engine.on_disk_unless_once().await.map_err(|e| ConnectorError::other(e.into(), None))?;
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/x-amz-json-1.0")
                .body(SdkBody::from(body))
                .map_err(|e| ConnectorError::other(e.into(), None))?;
            HttpResponse::try_from(response).map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

impl HttpClient for Engine {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::dynamo::client::from_connector;
    use crate::store::dynamo::streams::{StreamError, Streams};
    use crate::store::dynamo::tables::{Table, TableNames, create_missing};

    async fn engine(engine: Engine) -> (Engine, TableNames) {
        let names = TableNames::prefixed("test");
        create_missing(&from_connector(engine.http_client()), &names).await.unwrap();
        (engine, names)
    }

    fn put(engine: &Engine, names: &TableNames, id: &str) {
        let item = json!({"tenant": {"S": "acme"}, "id": {"S": id}});
        let request = json!({"TableName": names.of(Table::Groups), "Item": item});
        assert_eq!(engine.call("PutItem", request.to_string().as_bytes()).0, 200);
    }

    #[tokio::test]
    async fn a_stream_reports_each_change_once_and_goes_on_after_any() {
        for file in [None, Some(tempfile::NamedTempFile::new().unwrap())] {
            let opened = match &file {
                None => Engine::in_memory(),
                Some(file) => Engine::in_file(file.path().to_str().unwrap()),
            };
            let (engine, names) = engine(opened.unwrap()).await;
            let streams = Streams::Embedded(engine.clone());
            let arn = streams.newest(names.of(Table::Groups)).await.unwrap().unwrap();
            let shard = streams.shards(&arn).await.unwrap().remove(0).id;
            let start = streams.iterator(&arn, &shard, None).await.unwrap();
            for id in ["a", "b", "c"] {
                put(&engine, &names, id);
            }
            let records = streams.records(&arn, &start, 2).await.unwrap().records;
            let keys: Vec<_> = records.iter().map(|record| &record["dynamodb"]["Keys"]["id"]["S"]).collect();
            assert_eq!(keys, ["a", "b"]);
            let last = records[1]["dynamodb"]["SequenceNumber"].as_str().unwrap();
            let after = streams.iterator(&arn, &shard, Some(last)).await.unwrap();
            let rest = streams.records(&arn, &after, 9).await.unwrap();
            assert_eq!(rest.records.len(), 1);
            assert_eq!(rest.records[0]["eventSourceARN"], arn);
            assert!(streams.records(&arn, &rest.next.unwrap(), 9).await.unwrap().records.is_empty());
            assert_eq!(streams.newest(names.of(Table::Keys)).await.unwrap(), None);
            // Before the oldest record that is there.
            let gone = streams.iterator(&arn, &shard, Some("000000000000000000001")).await;
            assert_eq!(gone, Err(StreamError::Trimmed));
        }
    }

    #[tokio::test]
    async fn a_batch_that_is_too_large_for_one_transaction_is_written_all_the_same() {
        let (engine, names) = engine(Engine::in_memory().unwrap()).await;
        let text = "x".repeat(60_000);
        let put = |id: usize| {
            let item = json!({"tenant": {"S": "acme"}, "id": {"S": format!("{id}")}, "doc": {"S": text}});
            json!({"PutRequest": {"Item": item}})
        };
        let puts: Vec<_> = (0..ROWS_PER_BATCH).map(put).collect();
        let request = json!({"RequestItems": {names.of(Table::Groups): puts}});
        assert_eq!(engine.call("BatchWriteItem", request.to_string().as_bytes()).0, 200);
        let scan = json!({"TableName": names.of(Table::Groups), "Select": "COUNT", "ProjectionExpression": null});
        let mut count = 0;
        let mut start = Value::Null;
        loop {
            let mut scan = scan.clone();
            scan["ExclusiveStartKey"] = start;
            let (status, page) = engine.call("Scan", scan.to_string().as_bytes());
            let page: Value = serde_json::from_slice(&page).unwrap();
            assert_eq!(status, 200, "{page}");
            count += page["Count"].as_u64().unwrap();
            start = page["LastEvaluatedKey"].clone();
            if start.is_null() {
                break;
            }
        }
        assert_eq!(count, ROWS_PER_BATCH as u64);
        // An item that no transaction takes fails, whatever stands next to it.
        let large = json!({"tenant": {"S": "acme"}, "id": {"S": "l"}, "doc": {"S": "x".repeat(410_000)}});
        let request = json!({"RequestItems": {names.of(Table::Groups): [{"PutRequest": {"Item": large}}]}});
        assert_eq!(engine.call("BatchWriteItem", request.to_string().as_bytes()).0, 400);
    }

    #[tokio::test]
    async fn a_table_of_an_earlier_release_gets_its_stream() {
        let engine = Engine::in_memory().unwrap();
        let names = TableNames::prefixed("test");
        let key = |name: &str, kind: &str| json!({"AttributeName": name, "KeyType": kind});
        let text = |name: &str| json!({"AttributeName": name, "AttributeType": "S"});
        let index = |name: &str, attribute: &str| {
            json!({"IndexName": name, "Projection": {"ProjectionType": "KEYS_ONLY"},
            "KeySchema": [key("tenant", "HASH"), key(attribute, "RANGE")]})
        };
        let request = json!({"TableName": names.of(Table::Groups), "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [key("tenant", "HASH"), key("id", "RANGE")],
            "AttributeDefinitions": [text("tenant"), text("id"), text("name"), text("externalId")],
            "LocalSecondaryIndexes": [index("byName", "name"), index("byExternalId", "externalId")]});
        assert_eq!(engine.call("CreateTable", request.to_string().as_bytes()).0, 200);
        let streams = Streams::Embedded(engine.clone());
        assert_eq!(streams.newest(names.of(Table::Groups)).await.unwrap(), None);
        put(&engine, &names, "before");
        let client = from_connector(engine.http_client());
        for _ in 0..2 {
            create_missing(&client, &names).await.unwrap();
        }
        put(&engine, &names, "after");
        let arn = streams.newest(names.of(Table::Groups)).await.unwrap().unwrap();
        let shard = streams.shards(&arn).await.unwrap().remove(0).id;
        let start = streams.iterator(&arn, &shard, None).await.unwrap();
        assert_eq!(streams.records(&arn, &start, 9).await.unwrap().records.len(), 1);
    }

    #[tokio::test]
    async fn what_the_engine_asks_at_each_write_it_finds_by_the_index() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let (engine, names) = engine(Engine::in_file(path).unwrap()).await;
        put(&engine, &names, "a");
        drop(engine);
        let connection = rusqlite::Connection::open(path).unwrap();
        for query in [
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'x'",
            "DELETE FROM _stream_records WHERE table_name = 'x' AND CAST(sequence_number AS INTEGER) < 5",
            "SELECT event_name FROM _stream_records WHERE table_name = 'x' AND shard_id = 'y' \
             AND CAST(sequence_number AS INTEGER) > 5 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 4",
        ] {
            let plan: String =
                connection.query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get(3)).unwrap();
            assert!(plan.contains("INDEX rollcall_stream_records (table_name="), "{query}: {plan}");
        }
        // An hour later, by the engine's own numbers; and an hour after that. The last that goes stays, and says where.
        for left in [2, 2] {
            let insert =
                "INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
                 SELECT table_name, event_name, keys_json, CAST(sequence_number AS INTEGER) + 3600000001, shard_id, 0
                 FROM _stream_records ORDER BY CAST(sequence_number AS INTEGER) DESC LIMIT 1";
            connection.execute_batch(insert).unwrap();
            let count: i64 =
                connection.query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get(0)).unwrap();
            assert_eq!(count, left);
        }
    }
}
