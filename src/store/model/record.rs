//! What users and groups have in common as items.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::format::check_format;
use super::hold::Reservation;
use crate::auth::KeyId;
use crate::limits::WRITER_HISTORY;
use crate::scim::Document;
use crate::scim::deviation::trace::RuleTrace;
use crate::scim::resource::Meta;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, at, instant, n, number, optional_number, s, text};
use crate::tenant::Settings;

/// Before the route of an operation of a Bulk, in what an item holds of its last write.
pub(in crate::store) const OF_BULK: &str = "bulk/";

/// The attribute of an item that a restore has put back after a deletion: its version goes on.
pub(in crate::store) const REVIVED: &str = "revived";

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
    /// When.
    pub at: Timestamp,
    /// When the request began, by the clock of the deadlines.
    pub started: Instant,
    /// The tenant's settings, for the events of users.
    pub settings: Settings,
    /// How: the name of the route, such as `users.patch`.
    pub route: &'static str,
    /// Whether the request is an operation of a Bulk.
    pub is_of_bulk: bool,
    /// What kind of client sent the request, such as `entra`.
    pub client: &'static str,
    /// The rules that the request has needed, up to when it writes.
    pub rules: RuleTrace,
    /// What the request has counted of the tenant's protection.
    pub reservation: Reservation,
}

impl Author {
    /// The time now, by the clock that the request began with.
    pub(in crate::store) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        self.at.checked_add(passed).unwrap_or(self.at)
    }

    /// How, by what kind of client and with which rules, as it stands in items. It is a few bytes, so that no item takes
    /// another unit.
    pub(in crate::store) fn how(&self) -> String {
        let bulk = if self.is_of_bulk { OF_BULK } else { "" };
        let rules = self.rules.rules();
        let letters = if rules.is_empty() { String::new() } else { format!(" {}", rules.letters()) };
        format!("{bulk}{} {}{letters}", self.route, self.client)
    }

    /// The token of a transaction: the same for every try of one attempt, another for another.
    pub(in crate::store) fn token(&self, attempt: usize) -> String {
        format!("{}{attempt:04x}", self.request)
    }
}

/// The last requests that wrote an item, newest first.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Requests(Vec<String>);

impl Requests {
    pub(in crate::store) fn read(item: &Item) -> Self {
        let list = item.get("req").and_then(|requests| requests.as_l().ok());
        Self(list.into_iter().flatten().filter_map(|request| request.as_s().ok().cloned()).collect())
    }

    /// With one more.
    pub(in crate::store) fn with(&self, author: &Author) -> AttributeValue {
        let all = std::iter::once(&author.request).chain(&self.0);
        AttributeValue::L(all.take(WRITER_HISTORY).map(s).collect())
    }

    /// The last one.
    pub(in crate::store) fn last(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// Whether the request has written the item, lately.
    pub(in crate::store) fn contains(&self, author: &Author) -> bool {
        self.0.contains(&author.request)
    }
}

/// What is known of a resource that comes back after a deletion.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Revival {
    /// Its version when it was deleted.
    pub(in crate::store) version: u64,
    /// When it was created first, if the log says.
    pub(in crate::store) created: Option<Timestamp>,
    /// When it comes back.
    pub(in crate::store) now: Timestamp,
}

/// A document with what the server keeps of it.
#[derive(Debug, Clone)]
pub struct Record {
    /// The document.
    pub document: Document,
    /// Its version; a group's grows with its members, too.
    pub version: Version,
    /// When the resource was created.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// The last requests that wrote the document.
    pub(in crate::store) requests: Requests,
}

impl Record {
    pub(in crate::store) fn new(document: Document, now: Timestamp) -> Self {
        Self { document, version: Version(1), created: now, modified: now, requests: Requests::default() }
    }

    /// What comes back after a deletion. The version goes on: no tag is of two documents.
    pub(in crate::store) fn revived(document: Document, revival: Revival) -> Self {
        let (version, created) = (Version(revival.version + 1), revival.created.unwrap_or(revival.now));
        Self { document, version, created, modified: revival.now, requests: Requests::default() }
    }

    /// The next version, with another document. `modified` grows even where the clock does not.
    pub(in crate::store) fn next(&self, document: Document, now: Timestamp) -> Self {
        Self { document, version: Version(self.version.0 + 1), modified: self.after(now), ..self.clone() }
    }

    /// A time after the last change, and not before now.
    pub(in crate::store) fn after(&self, now: Timestamp) -> Timestamp {
        now.max(self.modified.checked_add(SignedDuration::from_millis(1)).unwrap_or(now))
    }

    pub(in crate::store) fn meta(&self, id: &str) -> Meta {
        Meta { id: id.to_owned(), created: self.created, last_modified: self.modified, version: self.version.0 }
    }

    pub(in crate::store) fn write(&self, item: &mut Item, author: &Author) {
        item.insert("doc".into(), s(self.document.to_stored()));
        item.insert("ver".into(), n(self.version.0));
        item.insert("created".into(), at(self.created));
        item.insert("modified".into(), at(self.modified));
        item.insert("by".into(), s(author.key.as_str()));
        item.insert("how".into(), s(author.how()));
        item.insert("req".into(), self.requests.with(author));
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        Ok(Self {
            document: Document::from_stored(text(item, "doc")?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
            version: Version(number(item, "ver")?),
            created: instant(item, "created")?,
            modified: instant(item, "modified")?,
            requests: Requests::read(item),
        })
    }
}

/// The groups that a user or group is a direct member of. Kept by membership writes alone; `version` grows with each.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Membership {
    pub(in crate::store) groups: BTreeSet<String>,
    pub(in crate::store) version: u64,
    /// The request of the last change, and when that was.
    pub(in crate::store) last_change: Option<(String, Timestamp)>,
}

/// The attribute of a member's item that holds who changed its memberships last.
pub(in crate::store) const MEMBERSHIP_SIGNATURE: &str = "mby";

impl Membership {
    pub(in crate::store) fn read(item: &Item) -> Self {
        let signature = item.get(MEMBERSHIP_SIGNATURE).and_then(|signature| signature.as_m().ok());
        let last_change = signature.and_then(|map| Some((text(map, "req").ok()?.to_owned(), instant(map, "at").ok()?)));
        Self { groups: id_set(item, "groupIds"), version: optional_number(item, "gver").unwrap_or(0), last_change }
    }

    pub(in crate::store) fn write(&self, item: &mut Item) {
        item.extend(id_set_value(&self.groups).map(|ids| ("groupIds".to_owned(), ids)));
        if self.version > 0 {
            item.insert("gver".into(), n(self.version));
        }
    }
}

/// A set of UUIDs, 16 bytes each; none for an empty one, which DynamoDB does not store.
pub(in crate::store) fn id_set_value<'a>(ids: impl IntoIterator<Item = &'a String>) -> Option<AttributeValue> {
    let bytes: Vec<_> = ids.into_iter().filter_map(|id| id_bytes(id)).collect();
    (!bytes.is_empty()).then_some(AttributeValue::Bs(bytes))
}

/// Such a set, read.
pub(in crate::store) fn id_set(map: &Item, name: &str) -> BTreeSet<String> {
    let bytes = map.get(name).and_then(|ids| ids.as_bs().ok());
    let ids = bytes.into_iter().flatten().filter_map(|id| uuid::Uuid::from_slice(id.as_ref()).ok());
    ids.map(|id| id.to_string()).collect()
}

/// A UUID as its 16 bytes.
pub(in crate::store) fn id_bytes(id: &str) -> Option<Blob> {
    uuid::Uuid::try_parse(id).ok().map(|id| Blob::new(id.as_bytes()))
}
