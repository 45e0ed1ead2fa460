//! The end of a tenant. Its keys are refused from the decision on. After the waiting time its record becomes a mark that
//! keeps the name, and the worker deletes everything else, at a pace that leaves the tables to the others. Each step may
//! be done twice.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::auth::Tenant;
use crate::limits::{JOB_LANES, PURGE_ITEMS, PURGE_PAUSE_MS, PURGE_ROWS_PAUSE_MS};
use crate::scim::membership::Ids;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, n, optional_text, s};
use crate::store::dynamo::tables::{DEFINITIONS, Table};
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::group::Group;
use crate::store::model::job::{DeferredJob, TENANT_JOB, complete};
use crate::store::model::tenant::{ENDED, TENANT_RECORD, TenantLife, TenantRecord, credential_key};
use crate::store::model::user::User;
use crate::store::ops::changes::history_partition;
use crate::store::rows::{
    batch_partition, email_row, job_lane, job_prefix, member_partition, name_row, tombstone_partition,
};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// How the partitions of a tenant in table `changes` end. Those of histories are found by what is in them.
const CHANGES: [&str; 8] = ["#u", "#g", "#h", "#t", "#d", "#r", "#a", "#n"];

/// That of how far its lanes are on the bus.
const ON_BUS: &str = "#b";

impl Store {
    /// Does the next part of the end of a tenant; whether nothing is left of it. If it was decided otherwise meanwhile,
    /// only the job goes.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; what is left is done at the next attempt.
    pub(in crate::store) async fn end_tenant(&self, job: &DeferredJob, now: Timestamp) -> Result<bool, StoreError> {
        let name = job.tenant.name();
        match self.tenant_life(name).await? {
            TenantLife::Living(record) if record.config.closes.is_some_and(|closes| closes <= now) => {
                self.mark_ended(&record, now).await?;
                // What the stream hands over now is of a tenant that is gone: the next run deletes what was before.
                return Ok(false);
            }
            TenantLife::Ended => self.purge(&job.tenant).await?,
            TenantLife::Living(_) | TenantLife::Absent => {}
        }
        self.commit_if_current(complete(&job.tenant, TENANT_JOB, &job.request)).await.map(|()| true)
    }

    /// Puts the mark in the place of the record, if the record is still as it was read.
    async fn mark_ended(&self, record: &TenantRecord, now: Timestamp) -> Result<(), StoreError> {
        let mut mark = credential_key(&record.name, TENANT_RECORD);
        mark.insert(ENDED.into(), at(now));
        let put = Write::put(Table::Keys, mark)
            .require(&Condition::Exists("closes").and(Condition::equals("ver", n(record.config.version))));
        match self.commit(&[put], "").await {
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    async fn purge(&self, tenant: &Tenant) -> Result<(), StoreError> {
        self.purge_users(tenant).await?;
        self.purge_groups(tenant).await?;
        let name = tenant.name();
        for pk in [tombstone_partition(tenant), format!("{name}#hold"), format!("{name}#counter")] {
            self.purge_partition(Table::Links, &pk, None).await?;
        }
        for lane in 0..JOB_LANES {
            self.purge_jobs(tenant, lane).await?;
        }
        self.purge_partition(Table::Tokens, name.as_str(), None).await?;
        for lane in CHANGES.into_iter().chain([ON_BUS]) {
            self.purge_partition(Table::Changes, &format!("{name}{lane}"), None).await?;
        }
        self.purge_partition(Table::Keys, name.as_str(), Some(TENANT_RECORD)).await
    }

    /// The rows of a user go before its item: by that they are found.
    async fn purge_users(&self, tenant: &Tenant) -> Result<(), StoreError> {
        loop {
            let page = self.partition(tenant).limit(PURGE_ITEMS).send().await.map_err(|e| StoreError::of(&e))?;
            let items = page.items.unwrap_or_default();
            if items.is_empty() {
                return Ok(());
            }
            let emails = items.iter().filter_map(|item| User::read(item).ok()).flat_map(|user| {
                let rows = user.further_emails().iter().map(|email| email_row(tenant, email, user.id.as_str()));
                rows.collect::<Vec<_>>()
            });
            self.erase(Table::Links, emails.collect()).await?;
            let ids = items.iter().filter_map(|item| optional_text(item, "id"));
            self.purge_histories(ids.map(|id| history_partition(tenant.name(), id)).collect()).await?;
            self.erase(Table::Users, keys_of(Table::Users, &items)).await?;
        }
    }

    async fn purge_groups(&self, tenant: &Tenant) -> Result<(), StoreError> {
        loop {
            let query = self.keys_query(Table::Groups, tenant.as_str()).limit(PURGE_ITEMS).send().await;
            let items = query.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default();
            if items.is_empty() {
                return Ok(());
            }
            let ids: Ids = items.iter().filter_map(|item| optional_text(item, "id")).map(str::to_owned).collect();
            for id in &ids {
                self.purge_partition(Table::Links, &member_partition(tenant, id), None).await?;
            }
            self.purge_histories(ids.iter().map(|id| history_partition(tenant.name(), id)).collect()).await?;
            for group in items.iter().filter_map(|item| Group::read(item).ok()) {
                if let Some(batch) = &group.batch {
                    let rows = batch_partition(tenant, group.id.as_str(), &batch.request);
                    self.purge_partition(Table::Links, &rows, None).await?;
                }
                self.erase(Table::Links, vec![name_row(tenant, &group.keys.name)]).await?;
            }
            self.erase(Table::Groups, keys_of(Table::Groups, &items)).await?;
        }
    }

    /// The tenant's jobs, but for the one that is being done.
    async fn purge_jobs(&self, tenant: &Tenant, lane: u8) -> Result<(), StoreError> {
        let rows = self.rows_of(job_lane(lane), Some(job_prefix(tenant))).await?;
        let own = format!("{}{TENANT_JOB}", job_prefix(tenant));
        let others: Vec<Item> = rows.into_iter().filter(|row| optional_text(row, "sk") != Some(&own)).collect();
        for row in &others {
            // A batch that was not committed has rows that no group names.
            let id = optional_text(row, "sk").and_then(|sk| sk.split_once('#')).map_or("", |(_, id)| id);
            if let Some((group, request)) = id.split_once('.') {
                self.purge_partition(Table::Links, &batch_partition(tenant, group, request), None).await?;
            }
            // A deleted group's members.
            self.purge_partition(Table::Links, &member_partition(tenant, id), None).await?;
        }
        self.erase(Table::Links, keys_of(Table::Links, &others)).await
    }

    /// Deletes a partition, but for one sort key; of events also the histories that they are in.
    async fn purge_partition(&self, table: Table, partition: &str, except: Option<&str>) -> Result<(), StoreError> {
        let (_, sort) = key_names(table);
        loop {
            let page = self.keys_query(table, partition).limit(PURGE_ITEMS).send().await;
            let mut items = page.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default();
            items.retain(|item| except.is_none_or(|except| optional_text(item, sort) != Some(except)));
            if items.is_empty() {
                return Ok(());
            }
            let owner = partition.split('#').next().and_then(|name| name.parse::<TenantName>().ok());
            if let Some(owner) = owner.filter(|_| table == Table::Changes) {
                self.purge_histories(items.iter().flat_map(|item| histories(&owner, item)).collect()).await?;
            }
            self.erase(table, keys_of(table, &items)).await?;
        }
    }

    /// Deletes histories, some of each at a time: most have a few events.
    async fn purge_histories(&self, mut histories: Ids) -> Result<(), StoreError> {
        while !histories.is_empty() {
            let pages = self.map_concurrently(&histories, |history| async move {
                let page = self.keys_query(Table::Changes, history).limit(PURGE_ITEMS).send().await;
                let items = page.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default();
                Ok((!items.is_empty()).then(|| (history.to_owned(), keys_of(Table::Changes, &items))))
            });
            let (left, keys): (Ids, Vec<Vec<Item>>) = pages.await?.into_iter().flatten().unzip();
            self.erase(Table::Changes, keys.concat()).await?;
            histories = left;
        }
        Ok(())
    }

    fn keys_query(
        &self,
        table: Table,
        partition: &str,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let (name, _) = key_names(table);
        self.client
            .query()
            .table_name(self.table(table))
            .consistent_read(true)
            .key_condition_expression("#partition = :partition")
            .expression_attribute_names("#partition", name)
            .expression_attribute_values(":partition", s(partition))
    }

    /// Deletes items, some at a time, and leaves the table to the others for a moment after each time.
    async fn erase(&self, table: Table, keys: Vec<Item>) -> Result<(), StoreError> {
        let has_indexes = matches!(table, Table::Users | Table::Groups);
        let pause = Duration::from_millis(if has_indexes { PURGE_PAUSE_MS } else { PURGE_ROWS_PAUSE_MS });
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            self.delete_items(table, keys.by_ref().take(PURGE_ITEMS.unsigned_abs() as usize).collect()).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }
}

/// The partitions of the histories that an event is in.
fn histories(tenant: &TenantName, row: &Item) -> Vec<String> {
    let event = optional_text(row, "event").and_then(|event| serde_json::from_str::<Value>(event).ok());
    let places = ["/user/id", "/memberGroup/id", "/resource/id", "/group/id"];
    let ids = places.into_iter().filter_map(|place| event.as_ref()?.pointer(place)?.as_str().map(str::to_owned));
    ids.map(|id| history_partition(tenant, &id)).collect()
}

fn key_names(table: Table) -> (&'static str, &'static str) {
    let definition = DEFINITIONS.iter().find(|definition| definition.table == table);
    definition.map_or(("pk", "sk"), |definition| (definition.partition, definition.sort))
}

fn keys_of(table: Table, items: &[Item]) -> Vec<Item> {
    let (partition, sort) = key_names(table);
    let key = |item: &Item| {
        [partition, sort].into_iter().filter_map(|name| Some((name.to_owned(), item.get(name)?.clone()))).collect()
    };
    items.iter().map(key).collect()
}
