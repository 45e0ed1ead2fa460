//! Finding users. Index entries are only ever a hint: the caller evaluates its whole filter on what is found here.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::limits::{MAX_COUNTED_USERS, MAX_SCANNED_PAGES, MAX_SHARED_EMAIL};
use crate::scim::filter::plan::IndexPlan;
use crate::store::dynamo::item::{Item, s};
use crate::store::dynamo::page::items_after;
use crate::store::dynamo::tables::{BY_EMAIL, BY_EXTERNAL_ID, BY_HOUR, BY_ID, Table};
use crate::store::model::id::UserId;
use crate::store::model::user::{User, hour, user_key};
use crate::store::ops::counts::{CountSeek, Counts};
use crate::store::{Store, StoreError};

/// A page of all users, in the order of their ids.
#[derive(Debug)]
pub struct UserPage {
    /// The users.
    pub users: Vec<User>,
    /// How many users there are in all.
    pub total: usize,
}

impl Store {
    /// The user of that id.
    ///
    /// A rename moves the item, and an index read in the instant of its commit may see it in neither place or
    /// in both (DynamoDB isolates a Query from a transaction item by item): on neither it asks once more, of both it
    /// takes the newer.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn user(&self, tenant: &Tenant, id: &UserId) -> Result<Option<User>, StoreError> {
        match self.user_once(tenant, id).await? {
            None => self.user_once(tenant, id).await,
            found => Ok(found),
        }
    }

    pub(in crate::store) async fn user_once(&self, tenant: &Tenant, id: &UserId) -> Result<Option<User>, StoreError> {
        let items = self.all(self.equals(tenant, BY_ID, "id", id.as_str())).await?;
        let users = items.iter().map(User::read).collect::<Result<Vec<_>, _>>()?;
        Ok(users.into_iter().max_by_key(|user| user.record.version))
    }

    /// Every user that an access path finds and `keep` lets through, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when the path leads to more than [`MAX_SCANNED_PAGES`] pages.
    pub async fn find_users(
        &self,
        tenant: &Tenant,
        access: &IndexPlan,
        keep: impl Fn(&User) -> bool,
    ) -> Result<Vec<User>, StoreError> {
        let mut found = BTreeMap::<UserId, User>::new();
        let mut take = |user: User| {
            if keep(&user) && found.get(&user.id).is_none_or(|held| held.record.version < user.record.version) {
                found.insert(user.id.clone(), user);
            }
        };
        match access {
            IndexPlan::Any(parts) => {
                let reads = parts.iter().map(|part| self.lookup(tenant, part));
                for users in futures_util::future::try_join_all(reads).await? {
                    users.into_iter().for_each(&mut take);
                }
            }
            IndexPlan::Equals(..) => self.lookup(tenant, access).await?.into_iter().for_each(take),
            IndexPlan::StartsWith(_, start) => self.each_user(self.starting_with(tenant, start), &mut take).await?,
            IndexPlan::Since(_, instant) => self.each_user(self.since(tenant, *instant), &mut take).await?,
            IndexPlan::Scan => self.each_user(self.partition(tenant), &mut take).await?,
            IndexPlan::Nothing => {}
        }
        Ok(found.into_values().collect())
    }

    /// Asks one index for one value. Found nothing, it asks once more, for a rename may have hidden the user; but for
    /// a name: that is the key itself, and its read is never in between.
    async fn lookup(&self, tenant: &Tenant, access: &IndexPlan) -> Result<Vec<User>, StoreError> {
        if let IndexPlan::Equals("userName", name) = access {
            return Ok(self.user_by_name(tenant, name).await?.into_iter().collect());
        }
        match self.lookup_once(tenant, access).await? {
            none if none.is_empty() => self.lookup_once(tenant, access).await,
            found => Ok(found),
        }
    }

    async fn lookup_once(&self, tenant: &Tenant, access: &IndexPlan) -> Result<Vec<User>, StoreError> {
        let query = match access {
            IndexPlan::Equals("emails.value", email) => return self.users_by_email(tenant, email).await,
            IndexPlan::Equals("externalId", id) => self.equals(tenant, BY_EXTERNAL_ID, "externalId", id),
            IndexPlan::Equals(_, id) => self.equals(tenant, BY_ID, "id", id),
            _ => return Ok(Vec::new()),
        };
        let mut users = Vec::new();
        self.each_user(query, &mut |user| users.push(user)).await?;
        Ok(users)
    }

    pub(super) fn since(&self, tenant: &Tenant, instant: Timestamp) -> QueryFluentBuilder {
        self.partition(tenant)
            .index_name(BY_HOUR)
            .select(Select::AllAttributes)
            .key_condition_expression("#tenant = :tenant AND #hour >= :hour")
            .expression_attribute_names("#hour", "hour")
            .expression_attribute_values(":hour", s(hour(instant)))
    }

    pub(super) fn starting_with(&self, tenant: &Tenant, start: &str) -> QueryFluentBuilder {
        self.partition(tenant)
            .key_condition_expression("#tenant = :tenant AND begins_with(#userName, :start)")
            .expression_attribute_names("#userName", "userName")
            .expression_attribute_values(":start", s(start))
    }

    /// The user of a folded name.
    pub(in crate::store) async fn user_by_name(
        &self,
        tenant: &Tenant,
        folded: &str,
    ) -> Result<Option<User>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Users)).consistent_read(true);
        let got = get.set_key(Some(user_key(tenant, folded))).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.as_ref().map(User::read).transpose()
    }

    /// The first address is in the index, further ones are rows; both are asked in one round trip.
    async fn users_by_email(&self, tenant: &Tenant, email: &str) -> Result<Vec<User>, StoreError> {
        let mut users = Vec::new();
        let mut push = |user| users.push(user);
        let first = self.each_user(self.equals(tenant, BY_EMAIL, "email", email), &mut push);
        let further = self.users_with_further_email(tenant, email);
        let (first, further) = futures_util::future::join(first, further).await;
        first?;
        let further = further?;
        if further.len() > MAX_SHARED_EMAIL {
            return Err(StoreError::TooMany(MAX_SHARED_EMAIL));
        }
        let reads = further.into_iter().map(|id| async move { self.user(tenant, &UserId(id)).await });
        users.extend(futures_util::future::try_join_all(reads).await?.into_iter().flatten());
        Ok(users)
    }

    /// A page of all users in the order of their ids, which no rename changes, and their number.
    ///
    /// In a small tenant the total is counted on the keys-only index, and a later page is sought on it: about 100 bytes
    /// a user. In a large one both are taken from the `counts`, unless this process knows of users that they may lack.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn page_of_users(
        &self,
        tenant: &Tenant,
        counts: Option<&Counts>,
        start_index: usize,
        count: usize,
    ) -> Result<UserPage, StoreError> {
        let is_fresh = !self.count_changes.has(tenant.as_str());
        let (items, total) = match counts.filter(|counts| is_fresh && counts.total() > MAX_COUNTED_USERS) {
            None => self.page(|| self.partition(tenant).index_name(BY_ID), start_index, count).await?,
            Some(counts) => {
                let items = match counts.seek(start_index.saturating_sub(1)) {
                    Some(CountSeek { prefix, skipped }) => {
                        items_after(&|| self.since_id(tenant, &prefix), skipped, count).await?
                    }
                    None => Vec::new(),
                };
                (items, counts.total())
            }
        };
        Ok(UserPage { users: items.iter().map(User::read).collect::<Result<_, _>>()?, total })
    }

    fn since_id(&self, tenant: &Tenant, start: &str) -> QueryFluentBuilder {
        self.partition(tenant)
            .index_name(BY_ID)
            .key_condition_expression("#tenant = :tenant AND #id >= :id")
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":id", s(start))
    }

    async fn each_user(&self, query: QueryFluentBuilder, take: &mut impl FnMut(User)) -> Result<(), StoreError> {
        let mut pages = query.into_paginator().send();
        let mut read = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::of(&e))?;
            read += 1;
            for item in page.items() {
                take(User::read(item)?);
            }
            if read == MAX_SCANNED_PAGES && page.last_evaluated_key().is_some() {
                return Err(StoreError::TooMany(MAX_SCANNED_PAGES));
            }
        }
        Ok(())
    }

    async fn all(&self, query: QueryFluentBuilder) -> Result<Vec<Item>, StoreError> {
        let found = query.send().await.map_err(|e| StoreError::of(&e))?;
        Ok(found.items.unwrap_or_default())
    }

    /// Every item of a tenant, strongly consistent: a client that has just written sees what it wrote.
    pub(in crate::store) fn partition(&self, tenant: &Tenant) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table(Table::Users))
            .consistent_read(true)
            .key_condition_expression("#tenant = :tenant")
            .expression_attribute_names("#tenant", "tenant")
            .expression_attribute_values(":tenant", AttributeValue::S(tenant.as_str().to_owned()))
    }

    /// The keys of the users whose ids lie between two, both included.
    pub(in crate::store) fn user_ids_between(&self, tenant: &Tenant, first: &str, last: &str) -> QueryFluentBuilder {
        self.partition(tenant)
            .index_name(BY_ID)
            .select(Select::AllProjectedAttributes)
            .key_condition_expression("#tenant = :tenant AND #id BETWEEN :first AND :last")
            .expression_attribute_names("#id", "id")
            .expression_attribute_values(":first", s(first))
            .expression_attribute_values(":last", s(last))
    }

    fn equals(&self, tenant: &Tenant, index: &str, attribute: &str, value: &str) -> QueryFluentBuilder {
        self.partition(tenant)
            .index_name(index)
            .select(Select::AllAttributes)
            .key_condition_expression("#tenant = :tenant AND #attribute = :value")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", s(value))
    }
}
