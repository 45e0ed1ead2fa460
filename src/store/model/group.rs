//! A group as an item of table `groups`, without its members.

use jiff::Timestamp;

use super::id::GroupId;
use super::member::{MemberBatch, MemberKind, member_kind};
use super::record::{Author, Membership, Record};
use crate::auth::Tenant;
use crate::scim::Document;
use crate::scim::group::GroupKeys;
use crate::scim::resource::Meta;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, s, text};

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
    pub(in crate::store) job: Option<MemberBatch>,
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
    /// The group changed since it was read; as it is now, unless it is gone.
    Changed(Option<Box<Group>>),
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for GroupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Group {
    /// A group that is not stored yet.
    pub fn new(id: GroupId, document: Document, keys: &GroupKeys, now: Timestamp) -> Self {
        Self { id, record: Record::new(document, now), keys: keys.clone(), parents: Membership::default(), job: None }
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
        self.record.version == other.record.version && self.job == other.job
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
        item.extend(self.job.as_ref().map(|job| ("memberBatch".to_owned(), job.value())));
        item
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        let record = Record::read(item)?;
        Ok(Self {
            id: GroupId(text(item, "id")?.to_owned()),
            keys: GroupKeys::of(&record.document).map_err(|e| StoreError::Corrupt(e.to_string()))?,
            record,
            parents: Membership::read(item),
            job: item.get("memberBatch").and_then(MemberBatch::read),
        })
    }
}

impl Group {
    /// Whether and as what somebody is a member, by the row that stands for it and the change that is pending.
    pub(in crate::store) fn kind_of(&self, id: &str, row: Option<&Item>) -> Option<MemberKind> {
        match &self.job {
            Some(job) if job.remove.contains(id) => None,
            Some(job) if job.add.contains_key(id) => job.add.get(id).copied(),
            _ => row.map(member_kind),
        }
    }
}

/// The key of the group of an id.
pub(in crate::store) fn group_key(tenant: &Tenant, id: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("id".to_owned(), s(id))])
}
