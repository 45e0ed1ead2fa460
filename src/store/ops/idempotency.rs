//! What a POST with an `Idempotency-Key` has created (draft-ietf-httpapi-idempotency-key-header): a row of table `links`,
//! written in the transaction that creates the resource, so that of any number of such requests one creates it.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::auth::{KeyId, Tenant};
use crate::limits::IDEMPOTENCY_SECONDS;
use crate::store::dynamo::item::{Item, n, optional_number, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::format::check_format;
use crate::store::{Store, StoreError};

/// A request that says of itself that it may be sent again.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    /// Caller, endpoint and `Idempotency-Key`, hashed.
    request: String,
    /// The body, hashed.
    body: String,
    expires: i64,
}

/// What such a request has created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The id of the resource.
    pub id: String,
    /// Whether the body was the same.
    pub is_same: bool,
}

impl IdempotencyKey {
    /// The key of a caller's request to an endpoint.
    pub fn new(caller: &KeyId, endpoint: &str, idempotency_key: &str, body: &[u8], now: Timestamp) -> Self {
        let until = now.checked_add(SignedDuration::from_secs(IDEMPOTENCY_SECONDS)).unwrap_or(Timestamp::MAX);
        let request = format!("{} {endpoint} {idempotency_key}", caller.as_str());
        Self { request: hash(request.as_bytes()), body: hash(body), expires: until.as_second() }
    }

    /// The write that goes with those of the resource; its condition fails for who comes second.
    pub(in crate::store) fn write(&self, tenant: &Tenant, id: &str) -> Write {
        let mut row = self.key(tenant);
        row.insert("id".into(), s(id));
        row.insert("body".into(), s(&self.body));
        row.insert("ttl".into(), n(self.expires));
        Write::put(Table::Links, row).require(&Condition::Absent("pk").or(Condition::less("ttl", n(self.created_at()))))
    }

    fn key(&self, tenant: &Tenant) -> Item {
        Item::from([
            ("pk".to_owned(), s(format!("{}#idempotency#{}", tenant.as_str(), self.request))),
            ("sk".to_owned(), s(".")),
        ])
    }

    fn created_at(&self) -> i64 {
        self.expires - IDEMPOTENCY_SECONDS
    }
}

impl Store {
    /// What an earlier request with that key has created.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn replay_of(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<Replay>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let got = get.set_key(Some(key.key(tenant))).send().await.map_err(|e| StoreError::of(&e))?;
        // DynamoDB takes rows away when it gets to it.
        let is_live = |row: &Item| optional_number(row, "ttl").is_some_and(|ttl: i64| ttl >= key.created_at());
        let Some(row) = got.item.filter(is_live) else { return Ok(None) };
        check_format(&row)?;
        Ok(Some(Replay { id: text(&row, "id")?.to_owned(), is_same: text(&row, "body")? == key.body }))
    }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
