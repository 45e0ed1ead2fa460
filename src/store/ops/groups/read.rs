//! Finding groups.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;

use crate::auth::Tenant;
use crate::limits::MAX_SCANNED_PAGES;
use crate::scim::filter::plan::IndexPlan;
use crate::store::dynamo::item::{optional_text, s};
use crate::store::dynamo::tables::{BY_EXTERNAL_ID, BY_NAME, Table};
use crate::store::model::group::{Group, group_key};
use crate::store::model::id::GroupId;
use crate::store::{Store, StoreError};

impl Store {
    /// The group of that id.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn group(&self, tenant: &Tenant, id: &GroupId) -> Result<Option<Group>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Groups)).consistent_read(true);
        let got = get.set_key(Some(group_key(tenant, id.as_str()))).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.as_ref().map(Group::read).transpose()
    }

    /// The groups of those ids that are there.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn groups(
        &self,
        tenant: &Tenant,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Group>, StoreError> {
        let keys = ids.into_iter().map(|id| group_key(tenant, &id)).collect();
        self.items(Table::Groups, keys).await?.iter().map(Group::read).collect()
    }

    /// Every group that an access path finds, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when the path leads to more than [`MAX_SCANNED_PAGES`] pages.
    pub async fn find_groups(&self, tenant: &Tenant, access: &IndexPlan) -> Result<Vec<Group>, StoreError> {
        let found = match access {
            IndexPlan::Any(parts) => {
                let reads = parts.iter().map(|part| self.lookup_groups(tenant, part));
                futures_util::future::try_join_all(reads).await?.into_iter().flatten().collect()
            }
            one => self.lookup_groups(tenant, one).await?,
        };
        let by_id: BTreeMap<GroupId, Group> = found.into_iter().map(|group| (group.id.clone(), group)).collect();
        Ok(by_id.into_values().collect())
    }

    async fn lookup_groups(&self, tenant: &Tenant, access: &IndexPlan) -> Result<Vec<Group>, StoreError> {
        match access {
            IndexPlan::Nothing => Ok(Vec::new()),
            IndexPlan::Equals("id", id) => match GroupId::parse(id) {
                Some(id) => Ok(self.group(tenant, &id).await?.into_iter().collect()),
                None => Ok(Vec::new()),
            },
            IndexPlan::Equals("members.value", id) => self.groups_of(tenant, id).await,
            IndexPlan::Equals("displayName", name) => self.all_groups(self.index(tenant, BY_NAME, "name", name)).await,
            IndexPlan::Equals("externalId", id) => {
                self.all_groups(self.index(tenant, BY_EXTERNAL_ID, "externalId", id)).await
            }
            _ => self.all_groups(self.by_name(tenant).select(Select::AllAttributes)).await,
        }
    }

    /// The groups that a user or group is a direct member of.
    async fn groups_of(&self, tenant: &Tenant, id: &str) -> Result<Vec<Group>, StoreError> {
        match self.groups_of_member(tenant, id).await? {
            Some((_, groups)) => self.groups(tenant, groups).await,
            None => Ok(Vec::new()),
        }
    }

    /// A page of all groups in the order of their names, and their number.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn page_of_groups(
        &self,
        tenant: &Tenant,
        start_index: usize,
        count: usize,
    ) -> Result<(Vec<Group>, usize), StoreError> {
        let (items, total) = self.page(|| self.by_name(tenant), start_index, count).await?;
        Ok((items.iter().map(Group::read).collect::<Result<_, _>>()?, total))
    }

    /// The next groups after an id, or before it from the nearest on, in the order of the ids, which no change moves; at
    /// most `limit` of them, and the last id, if there may be more.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn groups_after(
        &self,
        tenant: &Tenant,
        after: Option<&str>,
        limit: usize,
        is_back: bool,
    ) -> Result<(Vec<Group>, Option<String>), StoreError> {
        let query = self
            .groups_query(tenant, after)
            .scan_index_forward(!is_back)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(|e| StoreError::of(&e))?;
        let groups = page.items().iter().map(Group::read).collect::<Result<Vec<_>, _>>()?;
        let next = page.last_evaluated_key.as_ref().and_then(|last| optional_text(last, "id"));
        Ok((groups, next.map(str::to_owned)))
    }

    /// The groups of a tenant after an id, in the order of the ids.
    pub(in crate::store) fn groups_query(&self, tenant: &Tenant, after: Option<&str>) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table(Table::Groups))
            .consistent_read(true)
            .key_condition_expression("#tenant = :tenant")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_values(":tenant", s(tenant.as_str()))
            .set_exclusive_start_key(after.map(|id| group_key(tenant, id)))
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
