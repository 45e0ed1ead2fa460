//! What users and groups have in common as items.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::item::{Item, n, optional_number, s};
use crate::auth::KeyId;
use crate::limits::KEPT_REQUESTS;

/// The version of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// Who writes, and in which request: kept with what is written, for the audit trail and so that a write whose answer
/// was lost is recognised as one's own.
#[derive(Debug, Clone)]
pub struct Author {
    /// The key.
    pub key: KeyId,
    /// The request, unique; at most 32 characters.
    pub request: String,
}

impl Author {
    /// The token of a transaction: the same for every try of one attempt, another for another.
    pub(super) fn token(&self, attempt: usize) -> String {
        format!("{}{attempt:04x}", self.request)
    }
}

/// The last requests that wrote an item, newest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Vec<String>);

impl Requests {
    pub(super) fn read(item: &Item) -> Self {
        let list = item.get("req").and_then(|requests| requests.as_l().ok());
        Self(list.into_iter().flatten().filter_map(|request| request.as_s().ok().cloned()).collect())
    }

    /// With one more.
    pub(super) fn with(&self, author: &Author) -> AttributeValue {
        let all = std::iter::once(&author.request).chain(&self.0);
        AttributeValue::L(all.take(KEPT_REQUESTS).map(s).collect())
    }

    /// Whether the request has written the item, lately.
    pub(super) fn contains(&self, author: &Author) -> bool {
        self.0.contains(&author.request)
    }
}

/// The groups that a user or group is a direct member of. Kept by membership writes alone; `version` grows with each.
#[derive(Debug, Clone, Default)]
pub(super) struct Membership {
    pub(super) groups: BTreeSet<String>,
    pub(super) version: u64,
}

impl Membership {
    pub(super) fn read(item: &Item) -> Self {
        let ids = item.get("groupIds").and_then(|ids| ids.as_bs().ok());
        let groups = ids.into_iter().flatten().filter_map(|id| uuid::Uuid::from_slice(id.as_ref()).ok());
        Self { groups: groups.map(|id| id.to_string()).collect(), version: optional_number(item, "gver").unwrap_or(0) }
    }

    pub(super) fn write(&self, item: &mut Item) {
        if !self.groups.is_empty() {
            item.insert(
                "groupIds".into(),
                AttributeValue::Bs(self.groups.iter().filter_map(|id| id_bytes(id)).collect()),
            );
        }
        if self.version > 0 {
            item.insert("gver".into(), n(self.version));
        }
    }
}

/// A UUID as its 16 bytes.
pub(super) fn id_bytes(id: &str) -> Option<Blob> {
    uuid::Uuid::try_parse(id).ok().map(|id| Blob::new(id.as_bytes()))
}
