//! Where a process has stopped that reads streams itself, and which of several it is that does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::limits::FOLLOWER_LEASE_SECONDS;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::{Store, StoreError};

/// The row of the lease. No table has such a name.
const LEASE: &str = "#lease";

/// Where the follower is in the stream of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerPlace {
    /// The stream, another one each time that it is switched on.
    pub stream: String,
    /// Its place in each shard that it has begun, by the shard's id.
    pub shards: BTreeMap<String, ShardPlace>,
}

/// Where the follower is in a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlace {
    /// The last record that was processed; none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the shard has ended, and every record of it was processed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_done: bool,
}

impl Store {
    /// Where the follower is in the stream of a table; none before the first time.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn follower_place(&self, table: &str) -> Result<Option<FollowerPlace>, StoreError> {
        let got = self.items(Table::Changes, vec![follower_key(table)]).await?;
        let place = got.first().and_then(|item| optional_text(item, "place"));
        place.map(|text| serde_json::from_str(text).map_err(|e| StoreError::Corrupt(e.to_string()))).transpose()
    }

    /// Notes where the follower is in the stream of a table.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn put_follower_place(&self, table: &str, place: &FollowerPlace) -> Result<(), StoreError> {
        let mut item = follower_key(table);
        let text = serde_json::to_string(place).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        item.insert("place".into(), s(text));
        self.put_items(Table::Changes, vec![item]).await
    }

    /// Takes or keeps the right to follow the streams, which one process has at a time; whether it has it.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn lease_follower(&self, owner: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut item = follower_key(LEASE);
        item.insert("owner".into(), s(owner));
        let until = now.saturating_add(SignedDuration::from_secs(FOLLOWER_LEASE_SECONDS));
        item.insert("until".into(), at(until.unwrap_or(now)));
        let is_free = Condition::Absent("pk").or(Condition::less("until", at(now)));
        let free_or_ours = is_free.or(Condition::equals("owner", s(owner)));
        match self.commit(&[Write::put(Table::Changes, item).require(&free_or_ours)], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Gives that right up, so that another process need not wait for its end.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn release_follower(&self, owner: &str) -> Result<(), StoreError> {
        let ours = Condition::equals("owner", s(owner));
        self.commit_if_current(Write::delete(Table::Changes, follower_key(LEASE)).require(&ours)).await
    }
}

/// A full stop begins no tenant's name.
fn follower_key(table: &str) -> Item {
    Item::from([("pk".to_owned(), s(".follower")), ("sk".to_owned(), s(table))])
}
