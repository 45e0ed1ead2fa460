//! Work that one commit has decided and that is carried out after it: a change of more members than a transaction
//! takes, and the edges that a deleted group or user leaves behind. Each is a row in `links`, written with the commit,
//! so that whatever dies afterwards, the stream worker finds it. Every step may be done twice.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::commit::Write;
use super::groups::GroupId;
use super::item::{Item, at, instant, missing_attribute, s, text};
use super::links::{job_partition, job_row, member_row, tombstone_partition, tombstone_row};
use super::record::{Author, id_set, id_set_value};
use super::tables::Table;
use super::{Store, StoreError};
use crate::auth::{Tenant, TenantName};
use crate::limits::{JOB_GRACE_SECONDS, MAX_SCANNED_PAGES};
use crate::scim::membership::Ids;

const SETTLES: SignedDuration = SignedDuration::from_secs(JOB_GRACE_SECONDS);

/// What is still to be done for one group or user.
#[derive(Debug, Clone)]
pub struct DeferredJob {
    tenant: Tenant,
    id: String,
    kind: JobKind,
    /// The groups in whose lists the deleted resource still stands.
    groups: BTreeSet<String>,
    request: String,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobKind {
    /// A pending change of members; or, if the group is gone, the rows of its members.
    Group,
    /// A user that is gone.
    User,
    /// A user or group that is out of every list, but may be in what somebody is just reading.
    Tombstone,
}

const KINDS: [(JobKind, &str); 3] = [(JobKind::Group, "group"), (JobKind::User, "user"), (JobKind::Tombstone, "ghost")];

impl DeferredJob {
    /// A group's members: to be changed, or to be released if it is deleted. `groups` are those that it leaves behind.
    pub(super) fn of_group(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::Group, groups)
    }

    /// A deleted user's place in its groups.
    pub(super) fn of_user(tenant: &Tenant, author: &Author, id: &str, groups: BTreeSet<String>) -> Self {
        Self::new(tenant, author, id, JobKind::User, groups)
    }

    fn new(tenant: &Tenant, author: &Author, id: &str, kind: JobKind, groups: BTreeSet<String>) -> Self {
        let (request, since) = (author.request.clone(), author.at);
        Self { tenant: tenant.clone(), id: id.to_owned(), kind, groups, request, since }
    }

    /// The writes that belong into the commit: the row, and what hides the resource from the groups it is still in.
    pub(super) fn enqueue(&self) -> Vec<Write> {
        let row = self.row();
        match self.groups.is_empty() {
            true => vec![row],
            false => vec![row, Write::put(Table::Links, tombstone_row(&self.tenant, &self.id))],
        }
    }

    fn row(&self) -> Write {
        let mut row = job_row(&self.tenant, &self.id);
        let kind = KINDS.iter().find(|(kind, _)| *kind == self.kind);
        row.extend(kind.map(|(_, name)| ("work".to_owned(), s(*name))));
        row.insert("req".into(), s(&self.request));
        row.insert("at".into(), at(self.since));
        row.extend(id_set_value(&self.groups).map(|ids| ("groupIds".to_owned(), ids)));
        Write::put(Table::Links, row)
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let kind = text(item, "work")?;
        let kind = KINDS.iter().find(|(_, name)| *name == kind);
        let wrong = || StoreError::Corrupt("a row of work without a tenant".to_owned());
        let name = text(item, "pk")?.split('#').next().and_then(|name| name.parse().ok()).ok_or_else(wrong)?;
        Ok(Self {
            tenant: Tenant::of_item(name),
            id: text(item, "sk")?.to_owned(),
            kind: kind.map(|(kind, _)| *kind).ok_or_else(|| missing_attribute("work"))?,
            groups: id_set(item, "groupIds"),
            request: text(item, "req")?.to_owned(),
            since: instant(item, "at")?,
        })
    }

    /// How long to wait before it is carried out: until no request can be under way that began before the commit, so
    /// that what such a request adds to a deleted group is swept, too.
    pub fn ready_in(&self, now: Timestamp) -> std::time::Duration {
        (SETTLES - now.duration_since(self.since)).try_into().unwrap_or_default()
    }
}

/// Takes a row of work away, unless a later request has put its own there.
pub(super) fn complete(tenant: &Tenant, id: &str, request: &str) -> Write {
    let row = Write::delete(Table::Links, job_row(tenant, id)).condition("#req = :req");
    row.name("req").value("req", s(request))
}

impl Store {
    /// All work of a tenant that is still to be done.
    ///
    /// # Errors
    /// As the store's.
    pub async fn deferred_jobs(&self, tenant: &TenantName) -> Result<Vec<DeferredJob>, StoreError> {
        let rows = self.partition_of(job_partition(&Tenant::of_item(tenant.clone()))).await?;
        rows.iter().map(DeferredJob::read).collect()
    }

    /// The work that a row with that key stands for, if it is one and is still there.
    ///
    /// # Errors
    /// As the store's.
    pub async fn work(&self, pk: &str, sk: &str) -> Result<Option<DeferredJob>, StoreError> {
        let key = Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))]);
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let got = get.set_key(Some(key)).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.filter(|item| item.contains_key("work")).as_ref().map(DeferredJob::read).transpose()
    }

    /// Does the work, and takes its row away. A ghost stays for as long again: who has just read a list with it must find
    /// it among the ghosts.
    ///
    /// # Errors
    /// As the store's; what is left is done at the next attempt.
    pub async fn carry_out(&self, work: &DeferredJob) -> Result<(), StoreError> {
        if let (JobKind::Group, Some(id)) = (work.kind, GroupId::parse(&work.id)) {
            match self.group(&work.tenant, &id).await? {
                Some(group) => self.finish(&work.tenant, &group).await?,
                None => self.release_members(&work.tenant, &id).await?,
            }
        }
        self.leave(&work.tenant, &work.id, &work.groups).await?;
        if !work.groups.is_empty() {
            let tombstone = DeferredJob {
                kind: JobKind::Tombstone,
                groups: BTreeSet::new(),
                since: work.since + SETTLES,
                ..work.clone()
            };
            let row = tombstone.row().condition("#req = :req").name("req").value("req", s(&work.request));
            return self.commit_if_current(row).await;
        }
        if work.kind == JobKind::Tombstone {
            self.commit_if_current(Write::delete(Table::Links, tombstone_row(&work.tenant, &work.id))).await?;
        }
        self.commit_if_current(complete(&work.tenant, &work.id, &work.request)).await
    }

    /// Takes what is gone out of the lists of its groups.
    async fn leave(&self, tenant: &Tenant, id: &str, groups: &Ids) -> Result<(), StoreError> {
        self.map_concurrently(groups, |group| async move {
            self.bump_after_loss(tenant, group).await?;
            self.commit_if_current(Write::delete(Table::Links, member_row(tenant, group, id))).await
        })
        .await
        .map(drop)
    }

    /// The ids of what is gone and still stands in lists of members.
    pub(super) async fn tombstones(&self, tenant: &Tenant) -> Result<Ids, StoreError> {
        let rows = self.partition_of(tombstone_partition(tenant)).await?;
        rows.iter().map(|row| text(row, "sk").map(str::to_owned)).collect()
    }

    /// Whether there are any.
    ///
    /// # Errors
    /// As the store's.
    pub async fn has_tombstones(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        Ok(!self.tombstones(tenant).await?.is_empty())
    }

    async fn partition_of(&self, pk: String) -> Result<Vec<Item>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Links)).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", "pk");
        let mut pages = query.expression_attribute_values(":pk", AttributeValue::S(pk)).into_paginator().send();
        let mut rows = Vec::new();
        let mut read = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::of(&e))?;
            read += 1;
            let is_last = page.last_evaluated_key().is_none();
            rows.extend(page.items.unwrap_or_default());
            if read == MAX_SCANNED_PAGES && !is_last {
                return Err(StoreError::TooMany(MAX_SCANNED_PAGES));
            }
        }
        Ok(rows)
    }
}
