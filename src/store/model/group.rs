//! A group as an item of table `groups`, without its members.

use jiff::Timestamp;

use super::hold::{Hold, HoldError};
use super::id::GroupId;
use super::member_batch::MemberBatch;
use super::record::{Author, Membership, Record, Revival};
use crate::auth::Tenant;
use crate::scim::Document;
use crate::scim::group::GroupKeys;
use crate::scim::resource::Meta;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, n, optional_number, s, text};

/// A group as stored.
#[derive(Debug, Clone)]
pub struct Group {
    /// The permanent id.
    pub id: GroupId,
    /// The document, without members, and its version.
    pub record: Record,
    pub(in crate::store) keys: GroupKeys,
    /// The groups that this one is a member of.
    pub(in crate::store) parents: Membership,
    /// A change of many members that is committed and not yet carried out.
    pub(in crate::store) batch: Option<MemberBatch>,
    /// Counts the changes of the document alone, so that a change of it need not wait for a pause of the members'.
    pub(in crate::store) document_version: u64,
}

/// Why a write of a group did not happen.
#[derive(Debug)]
pub enum GroupError {
    /// The `displayName` belongs to another group.
    NameTaken,
    /// No user or group has that id.
    NoSuchMember(String),
    /// The group cannot be a member of itself.
    OwnMember,
    /// More members would change than one request may change.
    TooManyChanges(usize),
    /// The member is in as many groups as it may be.
    TooManyGroups(String),
    /// Everything is as it was to become, and the request asks for a change.
    Unchanged,
    /// The group changed since it was read; as it is now, unless it is gone.
    Changed(Option<Box<Group>>),
    /// The tenant's protection holds removals from the group.
    Held(Box<Hold>),
    /// Anything else.
    Store(StoreError),
}

impl From<HoldError> for GroupError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Held(hold) => Self::Held(hold),
            HoldError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StoreError> for GroupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Group {
    /// A group that is not stored yet.
    pub fn new(id: GroupId, document: Document, keys: &GroupKeys, now: Timestamp) -> Self {
        let record = Record::new(document, now);
        Self { id, record, keys: keys.clone(), parents: Membership::default(), batch: None, document_version: 1 }
    }

    /// A deleted group that comes back, without members yet.
    pub(in crate::store) fn revived(id: GroupId, document: Document, keys: &GroupKeys, revival: Revival) -> Self {
        let record = Record::revived(document, revival);
        let document_version = record.version.0;
        Self { record, document_version, ..Self::new(id, Document::default(), keys, revival.now) }
    }

    /// The next version, with another document.
    pub fn next(&self, document: Document, keys: &GroupKeys, now: Timestamp) -> Self {
        Self { record: self.record.next(document, now), keys: keys.clone(), ..self.clone() }
    }

    /// The next version, with the same document: its members change.
    pub fn touched(&self, now: Timestamp) -> Self {
        Self { record: self.record.next(self.record.document.clone(), now), ..self.clone() }
    }

    /// Whether nothing has changed between two reads.
    pub fn same_version_as(&self, other: &Self) -> bool {
        self.record.version == other.record.version && self.batch == other.batch
    }

    /// What the server adds to the document.
    pub fn meta(&self) -> Meta {
        self.record.meta(&self.id.0)
    }

    pub(in crate::store) fn item(&self, tenant: &Tenant, author: &Author) -> Item {
        let mut item = group_key(tenant, self.id.as_str());
        item.insert("name".into(), s(&self.keys.name));
        item.extend(self.keys.external_id.as_ref().map(|id| ("externalId".to_owned(), s(id))));
        self.record.write(&mut item, author);
        item.insert("docVer".into(), n(self.document_version));
        item.extend(self.batch.as_ref().map(|batch| ("memberBatch".to_owned(), batch.value())));
        item
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        let record = Record::read(item)?;
        Ok(Self {
            id: GroupId(text(item, "id")?.to_owned()),
            keys: GroupKeys::of(&record.document).map_err(|e| StoreError::Corrupt(e.to_string()))?,
            record,
            parents: Membership::read(item),
            batch: MemberBatch::read(item)?,
            document_version: optional_number(item, "docVer").unwrap_or(1),
        })
    }
}

/// The key of the group of an id.
pub(in crate::store) fn group_key(tenant: &Tenant, id: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("id".to_owned(), s(id))])
}
