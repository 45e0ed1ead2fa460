//! Work that one commit has decided and that is carried out after it: a change of more members than a transaction
//! takes, and the edges that a deleted group or user leaves behind. Each is a row in `links`, written with the commit,
//! so that whatever dies afterwards, the stream worker finds it. Every step may be done twice.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::limits::MAX_SCANNED_PAGES;
use crate::scim::membership::Ids;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::id::{GroupId, random_token};
use crate::store::model::job::{DeferredJob, JobKind, SETTLES, complete};
use crate::store::model::record::{Author, Membership};
use crate::store::ops::members::Carrier;
use crate::store::ops::members::change::departure;
use crate::store::rows::{job_partition, job_row, tombstone_partition, tombstone_row};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

impl Store {
    /// All work of a tenant that is still to be done.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn deferred_jobs(&self, tenant: &TenantName) -> Result<Vec<DeferredJob>, StoreError> {
        let rows = self.partition_of(job_partition(&Tenant::of_item(tenant.clone()))).await?;
        rows.iter().map(DeferredJob::read).collect()
    }

    /// The work that a row with that key stands for, if it is one and is still there.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn work(&self, pk: &str, sk: &str) -> Result<Option<DeferredJob>, StoreError> {
        self.job_of(Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))])).await
    }

    /// The work of that id.
    pub(in crate::store) async fn job(&self, tenant: &Tenant, id: &str) -> Result<Option<DeferredJob>, StoreError> {
        self.job_of(job_row(tenant, id)).await
    }

    async fn job_of(&self, key: Item) -> Result<Option<DeferredJob>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let got = get.set_key(Some(key)).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.filter(|item| item.contains_key("work")).as_ref().map(DeferredJob::read).transpose()
    }

    /// Does the work, and deletes its row. A tombstone stays for as long again: who has just read a list with it must find
    /// it among the tombstones.
    ///
    /// # Errors
    /// As the store's; what is left is done at the next attempt.
    pub async fn carry_out(&self, work: &DeferredJob, now: &(dyn Fn() -> Timestamp + Sync)) -> Result<(), StoreError> {
        if work.kind == JobKind::Batch {
            let holder = random_token();
            return match self.settle_batch(work, Carrier { holder: &holder, now }).await? {
                true => Ok(()),
                // Somebody else carries it out, or has died while he did.
                false => Err(StoreError::Contended(0)),
            };
        }
        if let (JobKind::Group, Some(id)) = (work.kind, GroupId::parse(&work.id))
            && self.group(&work.tenant, &id).await?.is_none()
        {
            self.release_members(&work.tenant, &id).await?;
        }
        self.leave(&work.tenant, &work.id, &work.groups).await?;
        if !work.groups.is_empty() {
            let tombstone = DeferredJob {
                kind: JobKind::Tombstone,
                groups: BTreeSet::new(),
                since: work.since + SETTLES,
                ..work.clone()
            };
            let row = tombstone.row().require(&Condition::equals("req", s(&work.request)));
            return self.commit_if_current(row).await;
        }
        if work.kind == JobKind::Tombstone {
            self.commit_if_current(Write::delete(Table::Links, tombstone_row(&work.tenant, &work.id))).await?;
        }
        self.commit_if_current(complete(&work.tenant, &work.id, &work.request)).await
    }

    /// Hides a user who is gone from the groups with a batch, which may be to add it: until the batch is carried out, only
    /// its rows know.
    pub(in crate::store) async fn leave_batches(
        &self,
        tenant: &Tenant,
        author: &Author,
        user: &str,
    ) -> Result<(), StoreError> {
        let jobs = self.partition_of(job_partition(tenant)).await?;
        let jobs = jobs.iter().map(DeferredJob::read).collect::<Result<Vec<_>, _>>()?;
        let batches = jobs.iter().filter(|job| job.kind == JobKind::Batch);
        let groups: Ids = batches.filter_map(|job| job.id.split('.').next().map(str::to_owned)).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let writes = DeferredJob::of_user(tenant, author, user, groups).enqueue();
        match self.commit(&writes, "").await {
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Takes what is gone out of the lists of its groups.
    async fn leave(&self, tenant: &Tenant, id: &str, groups: &Ids) -> Result<(), StoreError> {
        self.map_concurrently(groups, |group| async move {
            let membership = Membership { groups: BTreeSet::from([group.to_owned()]), version: 0 };
            // A group that is gone has no version; the row is deleted all the same.
            for there in [membership.groups.clone(), BTreeSet::new()] {
                match self.commit(&departure(tenant, id, &membership, &there), "").await {
                    Ok(()) => break,
                    Err(CommitError::Condition(..)) => {}
                    Err(CommitError::Store(error)) => return Err(error),
                }
            }
            Ok(())
        })
        .await
        .map(drop)
    }

    /// The ids of what is gone and still stands in lists of members.
    pub(in crate::store) async fn tombstones(&self, tenant: &Tenant) -> Result<Ids, StoreError> {
        let rows = self.partition_of(tombstone_partition(tenant)).await?;
        rows.iter().map(|row| text(row, "sk").map(str::to_owned)).collect()
    }

    /// Whether there are any.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn has_tombstones(&self, tenant: &Tenant) -> Result<bool, StoreError> {
        Ok(!self.tombstones(tenant).await?.is_empty())
    }

    pub(in crate::store) async fn partition_of(&self, pk: String) -> Result<Vec<Item>, StoreError> {
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
