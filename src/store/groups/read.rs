//! Finding groups.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Select};

use super::{Group, GroupId, key};
use crate::auth::Tenant;
use crate::limits::{MAX_CONFLICT_ATTEMPTS, MAX_SCANNED_PAGES};
use crate::scim::filter::plan::Access;
use crate::store::commit::pause;
use crate::store::item::{Item, s};
use crate::store::tables::{BY_EXTERNAL_ID, BY_NAME, Table};
use crate::store::users::UserId;
use crate::store::{Store, StoreError};

/// Most items of one BatchGetItem.
const BATCH: usize = 100;

impl Store {
    /// The group of that id.
    ///
    /// # Errors
    /// As the store's.
    pub async fn group(&self, tenant: &Tenant, id: &GroupId) -> Result<Option<Group>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Groups)).consistent_read(true);
        let got = get.set_key(Some(key(tenant, id.as_str()))).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(got.item.as_ref().map(Group::read).transpose()?.filter(|group| !group.is_gone))
    }

    /// The groups of those ids that are there.
    ///
    /// # Errors
    /// As the store's.
    pub async fn groups(
        &self,
        tenant: &Tenant,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Group>, StoreError> {
        let ids: Vec<String> = ids.into_iter().collect();
        let batches = ids.chunks(BATCH).map(|batch| self.batch_of_groups(tenant, batch));
        Ok(futures_util::future::try_join_all(batches).await?.into_iter().flatten().collect())
    }

    async fn batch_of_groups(&self, tenant: &Tenant, ids: &[String]) -> Result<Vec<Group>, StoreError> {
        let table = self.table(Table::Groups);
        let mut keys: Vec<Item> = ids.iter().map(|id| key(tenant, id)).collect();
        let mut groups = Vec::with_capacity(ids.len());
        for attempt in 0..MAX_CONFLICT_ATTEMPTS {
            if keys.is_empty() {
                groups.retain(|group: &Group| !group.is_gone);
                return Ok(groups);
            }
            if attempt > 0 {
                pause(attempt).await;
            }
            let request =
                KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut keys))).consistent_read(true).build();
            let request = request.map_err(|e| StoreError::Refused(e.to_string()))?;
            let got = self.client.batch_get_item().request_items(table, request).send().await;
            let got = got.map_err(|e| StoreError::of(&e))?;
            for item in got.responses().and_then(|tables| tables.get(table)).into_iter().flatten() {
                groups.push(Group::read(item)?);
            }
            keys = got
                .unprocessed_keys()
                .and_then(|tables| tables.get(table))
                .map_or(Vec::new(), |left| left.keys().to_vec());
        }
        Err(StoreError::Throttled("BatchGetItem left keys unprocessed".to_owned()))
    }

    /// Every group that an access path finds, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when the path leads to more than [`MAX_SCANNED_PAGES`] pages.
    pub async fn find_groups(&self, tenant: &Tenant, access: &Access) -> Result<Vec<Group>, StoreError> {
        let found = match access {
            Access::Any(parts) => {
                let reads = parts.iter().map(|part| self.lookup_groups(tenant, part));
                futures_util::future::try_join_all(reads).await?.into_iter().flatten().collect()
            }
            one => self.lookup_groups(tenant, one).await?,
        };
        let by_id: BTreeMap<GroupId, Group> = found.into_iter().map(|group| (group.id.clone(), group)).collect();
        Ok(by_id.into_values().collect())
    }

    async fn lookup_groups(&self, tenant: &Tenant, access: &Access) -> Result<Vec<Group>, StoreError> {
        match access {
            Access::Nothing => Ok(Vec::new()),
            Access::Equals("id", id) => match GroupId::parse(id) {
                Some(id) => Ok(self.group(tenant, &id).await?.into_iter().collect()),
                None => Ok(Vec::new()),
            },
            Access::Equals("members.value", id) => self.groups_of(tenant, id).await,
            Access::Equals("displayName", name) => self.all_groups(self.index(tenant, BY_NAME, "name", name)).await,
            Access::Equals("externalId", id) => {
                self.all_groups(self.index(tenant, BY_EXTERNAL_ID, "externalId", id)).await
            }
            _ => self.all_groups(self.by_name(tenant).select(Select::AllAttributes)).await,
        }
    }

    /// The groups that a user or group is a direct member of.
    async fn groups_of(&self, tenant: &Tenant, id: &str) -> Result<Vec<Group>, StoreError> {
        let (Some(user_id), Some(group_id)) = (UserId::parse(id), GroupId::parse(id)) else { return Ok(Vec::new()) };
        let (user, group) =
            futures_util::future::try_join(self.user(tenant, &user_id), self.group(tenant, &group_id)).await?;
        let of_user = user.into_iter().flat_map(|user| user.group_ids().map(str::to_owned).collect::<Vec<_>>());
        let of_group = group.into_iter().flat_map(|group| group.parents.groups);
        self.groups(tenant, of_user.chain(of_group)).await
    }

    /// A page of all groups in the order of their names, and their number.
    ///
    /// # Errors
    /// As the store's.
    pub async fn page_of_groups(
        &self,
        tenant: &Tenant,
        start_index: usize,
        count: usize,
    ) -> Result<(Vec<Group>, usize), StoreError> {
        let (items, total) = self.page(|| self.by_name(tenant), start_index, count).await?;
        Ok((items.iter().map(Group::read).collect::<Result<_, _>>()?, total))
    }

    async fn all_groups(&self, query: QueryFluentBuilder) -> Result<Vec<Group>, StoreError> {
        let mut pages = query.into_paginator().send();
        let mut groups = Vec::new();
        let mut read = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::of(&e))?;
            read += 1;
            for item in page.items() {
                groups.push(Group::read(item)?);
            }
            if read == MAX_SCANNED_PAGES && page.last_evaluated_key().is_some() {
                return Err(StoreError::TooMany(MAX_SCANNED_PAGES));
            }
        }
        Ok(groups)
    }

    fn by_name(&self, tenant: &Tenant) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table(Table::Groups))
            .index_name(BY_NAME)
            .consistent_read(true)
            .key_condition_expression("#tenant = :tenant")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_values(":tenant", s(tenant.as_str()))
    }

    fn index(&self, tenant: &Tenant, index: &str, attribute: &str, value: &str) -> QueryFluentBuilder {
        self.by_name(tenant)
            .index_name(index)
            .select(Select::AllAttributes)
            .key_condition_expression("#tenant = :tenant AND #attribute = :value")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", s(value))
    }
}
