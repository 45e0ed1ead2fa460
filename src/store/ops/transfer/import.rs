//! Takes records of an export. What is there already and is the same is left, so that a record may come twice; what is
//! there and differs is refused, so that an import undoes no change.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::document;
use crate::auth::Tenant;
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_GROUPS_PER_USER, MAX_WRITE_ATTEMPTS, RECORDS_AT_ONCE};
use crate::limits::{MAX_TRANSACTION_BYTES, MAX_TRANSACTION_MEMBERS};
use crate::scim::group::GroupKeys;
use crate::scim::membership::Ids;
use crate::scim::user::UserKeys;
use crate::scim::{Document, ScimError};
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::group::{Group, GroupError, group_key};
use crate::store::model::id::{GroupId, UserId, random_token};
use crate::store::model::record::{Author, Record, Version};
use crate::store::model::signature::Signature;
use crate::store::model::user::{User, UserWriteError};
use crate::store::ops::groups::creation;
use crate::store::ops::members::join_group;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// A line of an export.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TransferRecord {
    /// A user.
    User(ResourceRecord),
    /// A group, without its members.
    Group(ResourceRecord),
    /// A membership.
    Member {
        /// The id of the group.
        group: String,
        /// The id of the member.
        member: String,
        /// Since when.
        #[serde(deserialize_with = "instant")]
        created: Timestamp,
    },
}

/// A user or a group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRecord {
    id: String,
    version: u64,
    #[serde(deserialize_with = "instant")]
    created: Timestamp,
    #[serde(deserialize_with = "instant")]
    modified: Timestamp,
    document: Map<String, Value>,
}

/// What became of some records.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// Records that were taken.
    pub created: usize,
    /// Records that were there already.
    pub unchanged: usize,
    /// Records that were refused.
    pub errors: Vec<ImportError>,
}

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError {
    /// Which of the records, from 0 on.
    pub record: usize,
    /// Why.
    pub detail: String,
}

/// What became of one record.
enum RecordOutcome {
    Created,
    Unchanged,
    Refused(String),
}

/// A member that is to join a group.
struct Joining {
    record: usize,
    member: String,
    created: Timestamp,
}

impl ImportReport {
    fn note(&mut self, record: usize, outcome: RecordOutcome) {
        match outcome {
            RecordOutcome::Created => self.created += 1,
            RecordOutcome::Unchanged => self.unchanged += 1,
            RecordOutcome::Refused(detail) => self.errors.push(ImportError { record, detail }),
        }
    }
}

impl Store {
    /// Takes records, users and groups before memberships.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails: some records may be taken then, and the same may be sent again.
    pub async fn import(
        &self,
        tenant: &TenantName,
        author: &Author,
        records: Vec<TransferRecord>,
    ) -> Result<ImportReport, StoreError> {
        let owner = &Tenant::of_item(tenant.clone());
        let mut joining = BTreeMap::<String, Vec<Joining>>::new();
        let mut resources = Vec::new();
        for (number, record) in records.into_iter().enumerate() {
            match record {
                TransferRecord::Member { group, member, created } => {
                    joining.entry(group).or_default().push(Joining { record: number, member, created });
                }
                TransferRecord::User(user) => resources.push((number, true, user)),
                TransferRecord::Group(group) => resources.push((number, false, group)),
            }
        }
        let mut report = ImportReport::default();
        for some in in_chunks(resources) {
            let taken = some.into_iter().map(|resource| self.import_resource(owner, author, resource));
            for (number, outcome) in try_join_all(taken).await? {
                report.note(number, outcome);
            }
        }
        for some in in_chunks(joining.into_iter().collect()) {
            let joined = some.into_iter().map(|joining| self.import_members(owner, author, joining));
            for (number, outcome) in try_join_all(joined).await?.into_iter().flatten() {
                report.note(number, outcome);
            }
        }
        report.errors.sort_by_key(|error| error.record);
        Ok(report)
    }

    async fn import_resource(
        &self,
        tenant: &Tenant,
        author: &Author,
        (number, is_user, record): (usize, bool, ResourceRecord),
    ) -> Result<(usize, RecordOutcome), StoreError> {
        let outcome = match is_user {
            true => self.import_user(tenant, author, record).await?,
            false => self.import_group(tenant, author, record).await?,
        };
        Ok((number, outcome))
    }

    async fn import_user(
        &self,
        tenant: &Tenant,
        author: &Author,
        record: ResourceRecord,
    ) -> Result<RecordOutcome, StoreError> {
        let Some(id) = UserId::parse(&record.id) else { return Ok(no_id()) };
        let (record, keys) = match record.read_with(UserKeys::of) {
            Ok(read) => read,
            Err(why) => return Ok(RecordOutcome::Refused(why)),
        };
        if let Some(there) = self.user(tenant, &id).await? {
            return Ok(same_or_refused(&there.record, &record));
        }
        let mut user = User::new(id, Document::default(), &keys, author.at);
        user.record = record;
        match self.create_user(tenant, author, (&user, &keys), None).await {
            Ok(()) => Ok(RecordOutcome::Created),
            Err(UserWriteError::UserNameTaken) => {
                Ok(RecordOutcome::Refused("userName belongs to another user; rename or delete that one".to_owned()))
            }
            Err(UserWriteError::Store(error)) => Err(error),
            Err(_) => Err(StoreError::Contended(1)),
        }
    }

    async fn import_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        record: ResourceRecord,
    ) -> Result<RecordOutcome, StoreError> {
        let Some(id) = GroupId::parse(&record.id) else { return Ok(no_id()) };
        let (record, keys) = match record.read_with(GroupKeys::of) {
            Ok(read) => read,
            Err(why) => return Ok(RecordOutcome::Refused(why)),
        };
        if let Some(there) = self.group(tenant, &id).await? {
            return Ok(same_or_refused(&there.record, &record));
        }
        let group = Group { record, ..Group::new(id, Document::default(), &keys, author.at) };
        match self.write_group(author, &group, &creation(tenant, author, &group), 0).await {
            Ok(()) => Ok(RecordOutcome::Created),
            Err(GroupError::NameTaken) => {
                Ok(RecordOutcome::Refused("displayName belongs to another group; rename or delete that one".to_owned()))
            }
            Err(GroupError::Store(error)) => Err(error),
            Err(_) => Err(StoreError::Contended(1)),
        }
    }

    /// Members of one group join it, some in each transaction. Its version stays: it has counted them.
    async fn import_members(
        &self,
        tenant: &Tenant,
        author: &Author,
        (group, joining): (String, Vec<Joining>),
    ) -> Result<Vec<(usize, RecordOutcome)>, StoreError> {
        let refused =
            |why: &str| joining.iter().map(|join| (join.record, RecordOutcome::Refused(why.to_owned()))).collect();
        let Some(id) = GroupId::parse(&group) else { return Ok(refused("group is no UUID")) };
        if self.group(tenant, &id).await?.is_none() {
            return Ok(refused("group does not exist; import the groups first"));
        }
        let mut outcomes = Vec::with_capacity(joining.len());
        let mut left = joining.as_slice();
        let mut attempt = 0;
        while !left.is_empty() {
            let some = left.get(..MAX_TRANSACTION_MEMBERS).unwrap_or(left);
            match self.import_some_members(tenant, author, &id, some).await? {
                Some(done) => {
                    left = left.get(done.len()..).unwrap_or_default();
                    outcomes.extend(done);
                    attempt = 0;
                }
                None if attempt == MAX_WRITE_ATTEMPTS => return Err(StoreError::Contended(0)),
                None => attempt += 1,
            }
        }
        Ok(outcomes)
    }

    /// As many of the members as one transaction takes; nothing if one of them has changed meanwhile.
    async fn import_some_members(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &GroupId,
        joining: &[Joining],
    ) -> Result<Option<Vec<(usize, RecordOutcome)>>, StoreError> {
        let ids: Ids = joining.iter().map(|join| join.member.clone()).collect();
        let members = self.prefetch_in_turn(tenant, &ids).await?;
        let (mut writes, mut outcomes, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut seen = Ids::new();
        for join in joining {
            let outcome = match members.get(&join.member) {
                _ if join.member == group.as_str() => RecordOutcome::Refused("member is the group itself".to_owned()),
                None => RecordOutcome::Refused("member does not exist; import the users and groups first".to_owned()),
                Some(member) if member.is_in(group.as_str()) || seen.contains(&member.id) => RecordOutcome::Unchanged,
                Some(member) if member.membership.groups.len() >= MAX_GROUPS_PER_USER => {
                    RecordOutcome::Refused(format!("member is in {MAX_GROUPS_PER_USER} groups already"))
                }
                Some(member) => {
                    bytes += member.bytes;
                    if bytes > MAX_TRANSACTION_BYTES && !outcomes.is_empty() {
                        break;
                    }
                    seen.insert(member.id.clone());
                    writes.extend(join_group(tenant, group, member, join.created));
                    RecordOutcome::Created
                }
            };
            outcomes.push((join.record, outcome));
        }
        if writes.is_empty() {
            return Ok(Some(outcomes));
        }
        let mut writes = Signature::of(author).sign_memberships(&writes);
        let there = Write::check(Table::Groups, group_key(tenant, group.as_str()));
        writes.push(there.require(&Condition::Exists("id")).without_returning_old());
        match self.commit(&writes, &random_token()).await {
            Ok(()) => Ok(Some(outcomes)),
            Err(CommitError::Condition(..)) => Ok(None),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

impl ResourceRecord {
    /// The record, and the keys that it is found by.
    fn read_with<K>(self, keys: impl Fn(&Document) -> Result<K, ScimError>) -> Result<(Record, K), String> {
        let record = self.read()?;
        let keys = keys(&record.document).map_err(|error| format!("document: {}", error.detail))?;
        Ok((record, keys))
    }

    fn read(self) -> Result<Record, String> {
        let Self { version, created, modified, document: fields, .. } = self;
        let document = document(fields).map_err(|e| format!("document: {e}"))?;
        if document.to_stored().len() > MAX_DOCUMENT_BYTES {
            return Err(format!("document is larger than {MAX_DOCUMENT_BYTES} bytes"));
        }
        // Members are records of their own, and what the server adds is not stored.
        if ["members", "groups", "meta", "id"].iter().any(|name| document.attributes().contains_key(*name)) {
            return Err("document has members, groups, meta or id; they are fields and records of their own".to_owned());
        }
        Ok(Record { version: Version(version.max(1)), modified, ..Record::new(document, created) })
    }
}

/// Some at a time.
fn in_chunks<T>(items: Vec<T>) -> Vec<Vec<T>> {
    let mut items = items.into_iter().peekable();
    let mut chunks = Vec::new();
    while items.peek().is_some() {
        chunks.push(items.by_ref().take(RECORDS_AT_ONCE).collect());
    }
    chunks
}

/// A time as an export has it.
fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn no_id() -> RecordOutcome {
    RecordOutcome::Refused("id is no UUID".to_owned())
}

fn same_or_refused(there: &Record, record: &Record) -> RecordOutcome {
    match there.document == record.document {
        true => RecordOutcome::Unchanged,
        false => {
            RecordOutcome::Refused("id belongs to a resource that has changed since; delete it to import it".to_owned())
        }
    }
}
