//! What the engine has recorded of a table: its key, and its local indexes.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::Deserialize;

use super::key::Key;

/// A table whose key attributes are texts.
pub(super) struct TableSchema {
    table: String,
    pub(super) partition: String,
    pub(super) sort: String,
    /// Sort keys of the local indexes that hold keys only.
    pub(super) indexes: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyAttribute {
    attribute_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Index {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: IndexProjection,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexProjection {
    projection_type: String,
}

impl TableSchema {
    /// None for a table that is not there, or not of that kind.
    pub(super) fn read(connection: &Connection, table: &str) -> Option<Self> {
        let statement = "SELECT key_schema, attribute_definitions, lsi_definitions, vector_index_definitions
                         FROM _tables WHERE table_name = ?1";
        let text = |row: &Row<'_>, at: usize| row.get::<_, Option<String>>(at);
        let row = connection
            .query_row(statement, [table], |row| Ok((text(row, 0)?, text(row, 1)?, text(row, 2)?, text(row, 3)?)));
        let (key, attributes, indexes, vectors) = row.optional().ok()??;
        let attributes: Vec<KeyAttribute> = serde_json::from_str(&attributes?).ok()?;
        if vectors.is_some_and(|vectors| vectors != "[]") || attributes.iter().any(|one| one.attribute_type != "S") {
            return None;
        }
        let (partition, sort) = key_of(serde_json::from_str(&key?).ok()?)?;
        let indexes: Vec<Index> = indexes.map_or(Some(Vec::new()), |indexes| serde_json::from_str(&indexes).ok())?;
        let keys_only = indexes.into_iter().filter(|index| index.projection.projection_type == "KEYS_ONLY");
        let indexes = keys_only.filter_map(|index| Some((index.index_name, key_of(index.key_schema)?.1))).collect();
        Some(Self { table: table.to_owned(), partition, sort, indexes })
    }

    /// The table of SQLite that holds the items.
    pub(super) fn items(&self) -> String {
        format!("\"{}\"", self.table)
    }

    /// The one that holds the entries of a local index.
    pub(super) fn entries(&self, index: &str) -> String {
        format!("\"{}::lsi::{index}\"", self.table)
    }

    /// Passes the text and the size of the item of a key on, if there is one. None for a key of another kind.
    pub(super) fn item(
        &self,
        connection: &Connection,
        key: &Key<'_>,
        take: &mut impl FnMut(&str, usize),
    ) -> Option<()> {
        let (partition, sort) = self.stored(key)?;
        let statement = format!("SELECT item_json, item_size FROM {} WHERE pk = ?1 AND sk = ?2", self.items());
        let mut statement = connection.prepare_cached(&statement).ok()?;
        let mut rows = statement.query([&partition, &sort]).ok()?;
        if let Some(row) = rows.next().ok()? {
            take(row.get_ref(0).ok()?.as_str().ok()?, row.get(1).ok()?);
        }
        Some(())
    }

    /// How the engine stores a key of the table.
    pub(super) fn stored(&self, key: &Key<'_>) -> Option<(String, String)> {
        if key.len() != 2 {
            return None;
        }
        Some((key.get(self.partition.as_str())?.stored()?, key.get(self.sort.as_str())?.stored()?))
    }
}

/// The partition key and the sort key.
fn key_of(elements: Vec<KeyElement>) -> Option<(String, String)> {
    let [partition, sort] = <[KeyElement; 2]>::try_from(elements).ok()?;
    (partition.key_type == "HASH" && sort.key_type == "RANGE")
        .then_some((partition.attribute_name, sort.attribute_name))
}
