//! Table `groups`: one item is one group, without its members. The name is unique by a row of its own in `links`,
//! written in the same transaction.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::commit::{CommitError, Guard, Write};
use super::item::{Item, at, n, s, text};
use super::jobs::DeferredJob;
use super::links::name_row;
use super::members::MemberBatch;
use super::record::{Author, Membership, Record, Requests};
use super::tables::Table;
use super::{Store, StoreError};
use crate::auth::Tenant;
use crate::scim::Document;
use crate::scim::group::GroupKeys;
use crate::scim::resource::Meta;

mod read;

/// The permanent id of a group, a random UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(pub(super) String);

impl GroupId {
    /// A new id.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()))
    }

    /// Reads an id from a URL; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(uuid::Uuid::try_parse(text).ok()?.to_string()))
    }

    /// The id in its canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A group as stored.
#[derive(Debug, Clone)]
pub struct Group {
    /// The permanent id.
    pub id: GroupId,
    /// The document, without members, and its version.
    pub record: Record,
    pub(super) keys: GroupKeys,
    /// The groups that this one is a member of.
    pub(super) parents: Membership,
    /// A change of many members that is committed and not yet carried out.
    pub(super) job: Option<MemberBatch>,
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

    pub(super) fn item(&self, tenant: &Tenant, author: &Author) -> Item {
        let mut item = key(tenant, self.id.as_str());
        item.insert("name".into(), s(&self.keys.name));
        item.extend(self.keys.external_id.as_ref().map(|id| ("externalId".to_owned(), s(id))));
        self.record.write(&mut item, author);
        item.extend(self.job.as_ref().map(|job| ("memberBatch".to_owned(), job.value())));
        item
    }

    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
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

impl Store {
    /// Writes the header of a group, and `others` with it. Gives the writes' error its meaning.
    pub(super) async fn write_group(
        &self,
        author: &Author,
        old: &Group,
        writes: &[Write],
        attempt: usize,
    ) -> Result<(), GroupError> {
        match self.commit(writes, &author.token(attempt)).await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(Guard::Version, Some(now))) if Requests::read(&now).contains(author) => Ok(()),
            Err(CommitError::Condition(Guard::Version, now)) => Err(changed(now)?),
            Err(CommitError::Condition(Guard::Name, _)) => Err(GroupError::NameTaken),
            // A member went away or was renamed: it is looked up anew.
            Err(CommitError::Condition(..)) => Err(GroupError::Changed(Some(Box::new(old.clone())))),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// What stands in the place of a group now.
pub(super) fn changed(now: Option<Item>) -> Result<GroupError, StoreError> {
    let now = now.as_ref().map(Group::read).transpose()?;
    Ok(GroupError::Changed(now.map(Box::new)))
}

/// The writes of a new group: the item, and its name if nobody has it.
pub(super) fn creation(tenant: &Tenant, author: &Author, group: &Group) -> Vec<Write> {
    let put = Write::put(Table::Groups, group.item(tenant, author))
        .condition("attribute_not_exists(#tenant)")
        .name("tenant")
        .guard(Guard::Version);
    let mut writes = vec![put, claim_name(tenant, group)];
    writes.extend(enqueue(tenant, author, group));
    writes
}

/// The writes of a group's next version: the item; second, if it is renamed, the new name, and then the old one's end.
pub(super) fn update(tenant: &Tenant, author: &Author, (old, new): (&Group, &Group)) -> Vec<Write> {
    let mut set =
        "SET #doc = :doc, #ver = :ver, #modified = :modified, #by = :by, #req = :req, #name = :name".to_owned();
    let mut write = Write::update(Table::Groups, key(tenant, old.id.as_str()), String::new());
    let values = [
        ("doc", s(new.record.document.to_stored())),
        ("ver", n(new.record.version.0)),
        ("modified", at(new.record.modified)),
        ("by", s(author.key.as_str())),
        ("req", old.record.requests.with(author)),
        ("name", s(&new.keys.name)),
        ("old", n(old.record.version.0)),
    ];
    for (name, value) in values {
        write = write.value(name, value);
    }
    if let Some(job) = &new.job {
        set.push_str(", #memberBatch = :memberBatch");
        write = write.value("memberBatch", job.value());
    }
    match &new.keys.external_id {
        Some(id) => {
            set.push_str(", #externalId = :externalId");
            write = write.value("externalId", s(id));
        }
        None => set.push_str(" REMOVE #externalId"),
    }
    for name in ["doc", "ver", "modified", "by", "req", "name", "externalId", "memberBatch"] {
        write = write.name(name);
    }
    let header =
        write.expression(set).condition("#ver = :old AND attribute_not_exists(#memberBatch)").guard(Guard::Version);
    let mut writes = vec![header];
    if old.keys.name != new.keys.name {
        writes.push(claim_name(tenant, new));
        writes.push(Write::delete(Table::Links, name_row(tenant, &old.keys.name)));
    }
    writes.extend(enqueue(tenant, author, new));
    writes
}

/// Registers the group's job, if it has one, with those who finish what others have begun.
fn enqueue(tenant: &Tenant, author: &Author, group: &Group) -> Vec<Write> {
    let work = group.job.is_some().then(|| DeferredJob::of_group(tenant, author, group.id.as_str(), BTreeSet::new()));
    work.map_or(Vec::new(), |work| work.enqueue())
}

/// The writes that end a group: its item and its name.
pub(super) fn end(tenant: &Tenant, group: &Group) -> Vec<Write> {
    let header = Write::delete(Table::Groups, key(tenant, group.id.as_str()))
        .condition("#ver = :old AND (attribute_not_exists(#gver) OR #gver = :gver)")
        .name("ver")
        .name("gver")
        .guard(Guard::Version)
        .value("gver", n(group.parents.version))
        .value("old", n(group.record.version.0));
    vec![header, Write::delete(Table::Links, name_row(tenant, &group.keys.name))]
}

fn claim_name(tenant: &Tenant, group: &Group) -> Write {
    let mut row = name_row(tenant, &group.keys.name);
    row.insert("g".into(), s(group.id.as_str()));
    Write::put(Table::Links, row)
        .condition("attribute_not_exists(#pk) OR #g = :g")
        .name("pk")
        .name("g")
        .guard(Guard::Name)
        .value("g", s(group.id.as_str()))
}

pub(super) fn key(tenant: &Tenant, id: &str) -> Item {
    Item::from([("tenant".to_owned(), s(tenant.as_str())), ("id".to_owned(), s(id))])
}
