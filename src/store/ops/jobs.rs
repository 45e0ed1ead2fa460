//! Work that one commit has decided and that is carried out after it: a change of more members than a transaction
//! takes, and the edges that a deleted group or user leaves behind. Each is a row in `links`, written with the commit,
//! so that whatever dies afterwards, the worker finds it. The jobs of all tenants are in 16 lanes. Every step may be done
//! twice.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use crate::auth::Tenant;
use crate::limits::{MAX_JOBS_PER_LANE, MAX_SCANNED_PAGES};
use crate::scim::membership::Ids;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, optional_text, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::Write;
use crate::store::model::format::check_formats;
use crate::store::model::id::{GroupId, random_token};
use crate::store::model::job::{DeferredJob, JobKind, complete};
use crate::store::model::record::{Author, Membership};
use crate::store::ops::members::Carrier;
use crate::store::ops::members::change::departure;
use crate::store::rows::{batch_lane, is_batch_job, job_lane, job_prefix, job_row, tombstone_partition, tombstone_row};
use crate::store::{Store, StoreError};

/// What the worker finds in a lane.
#[derive(Debug, Default)]
pub struct JobLane {
    /// What it may carry out now.
    pub ready: Vec<DeferredJob>,
    /// Rows that cannot be read.
    pub unreadable: usize,
    /// The age of the oldest job.
    pub oldest: SignedDuration,
}

impl JobLane {
    fn push(&mut self, row: &Item, now: Timestamp) {
        match DeferredJob::read(row) {
            Ok(job) => {
                self.oldest = self.oldest.max(job.age(now));
                self.ready.extend(Some(job).filter(|job| job.is_ready(now)));
            }
            Err(error) => {
                self.unreadable += 1;
                tracing::error!(%error, job = optional_text(row, "sk"), "a job cannot be read");
            }
        }
    }
}

fn tenant_of(row: &Item) -> &str {
    optional_text(row, "sk").and_then(|sk| sk.split('#').next()).unwrap_or_default()
}

impl Store {
    /// The jobs of a lane. A row that cannot be read is logged, counted and passed over. Of a tenant with very many jobs,
    /// the first [`MAX_JOBS_PER_LANE`] are looked at.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn jobs_of_lane(&self, lane: u8, now: Timestamp) -> Result<JobLane, StoreError> {
        let (mut jobs, mut start) = (JobLane::default(), None);
        let (mut tenant, mut of_tenant) = (String::new(), 0);
        loop {
            let page = self.job_page(lane, start.take()).await?;
            for row in &page.items.unwrap_or_default() {
                let name = tenant_of(row);
                (tenant, of_tenant) = if name == tenant { (tenant, of_tenant + 1) } else { (name.to_owned(), 1) };
                if of_tenant <= MAX_JOBS_PER_LANE {
                    jobs.push(row, now);
                }
            }
            let Some(last) = page.last_evaluated_key else { return Ok(jobs) };
            // `$` follows `#`: the first job of the next tenant.
            start = Some(match of_tenant < MAX_JOBS_PER_LANE {
                true => last,
                false => Item::from([("pk".to_owned(), s(job_lane(lane))), ("sk".to_owned(), s(format!("{tenant}$")))]),
            });
        }
    }

    async fn job_page(&self, lane: u8, start: Option<Item>) -> Result<QueryOutput, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Links)).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", "pk");
        let query = query.expression_attribute_values(":pk", AttributeValue::S(job_lane(lane)));
        query.set_exclusive_start_key(start).send().await.map_err(|e| StoreError::of(&e))
    }

    /// The job of that id.
    pub(in crate::store) async fn job(&self, tenant: &Tenant, id: &str) -> Result<Option<DeferredJob>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let got = get.set_key(Some(job_row(tenant, id))).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.as_ref().map(DeferredJob::read).transpose()
    }

    /// Puts off a job that failed.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn postpone(&self, job: &DeferredJob, now: Timestamp) -> Result<(), StoreError> {
        self.commit_if_current(job.postpone(now)).await
    }

    /// Does the work, and deletes its row; `false` if somebody else does it. A tombstone stays for as long again: who has
    /// just read a list with it must find it among the tombstones.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; the next attempt does what is left.
    pub async fn carry_out(
        &self,
        work: &DeferredJob,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<bool, StoreError> {
        if work.kind == JobKind::Batch {
            let holder = random_token();
            return self.settle_batch(work, Carrier { holder: &holder, now }).await;
        }
        if work.kind == JobKind::Tenant {
            return self.end_tenant(work, now()).await;
        }
        self.sweep_after_deletion(work).await.map(|()| true)
    }

    async fn sweep_after_deletion(&self, work: &DeferredJob) -> Result<(), StoreError> {
        if let (JobKind::Group, Some(id)) = (work.kind, GroupId::parse(&work.id))
            && self.group(&work.tenant, &id).await?.is_none()
        {
            self.release_members(&work.tenant, &id).await?;
        }
        self.leave(&work.tenant, &work.id, &work.groups).await?;
        if !work.groups.is_empty() {
            return self.commit_if_current(work.become_tombstone()).await;
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
        let rows = self.rows_of(job_lane(batch_lane(tenant)), Some(job_prefix(tenant))).await?;
        // The key says it all: a row that cannot be read hides nobody.
        let ids = rows.iter().filter_map(|row| optional_text(row, "sk")?.split_once('#').map(|(_, id)| id));
        let groups: Ids =
            ids.filter(|id| is_batch_job(id)).filter_map(|id| id.split('.').next()).map(str::to_owned).collect();
        if groups.is_empty() {
            return Ok(());
        }
        let writes = DeferredJob::of_user(tenant, author, user, groups).enqueue();
        match self.commit(&writes, "").await {
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Removes a deleted user from the lists of its groups.
    async fn leave(&self, tenant: &Tenant, id: &str, groups: &Ids) -> Result<(), StoreError> {
        self.map_concurrently(groups, |group| async move {
            let membership = Membership { groups: BTreeSet::from([group.to_owned()]), ..Membership::default() };
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

    /// The ids of deleted users that are still in lists of members.
    pub(in crate::store) async fn tombstones(&self, tenant: &Tenant) -> Result<Ids, StoreError> {
        let rows = self.partition_of(tombstone_partition(tenant)).await?;
        check_formats(&rows)?;
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
        self.rows_of(pk, None).await
    }

    /// The rows of a partition; of those alone whose sort keys begin so.
    pub(in crate::store) async fn rows_of(&self, pk: String, prefix: Option<String>) -> Result<Vec<Item>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Links)).consistent_read(true);
        let query =
            query.expression_attribute_names("#pk", "pk").expression_attribute_values(":pk", AttributeValue::S(pk));
        let query = match prefix {
            None => query.key_condition_expression("#pk = :pk"),
            Some(prefix) => query
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", "sk")
                .expression_attribute_values(":sk", AttributeValue::S(prefix)),
        };
        let mut pages = query.into_paginator().send();
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
