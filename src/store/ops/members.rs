//! Membership: a row under the group, and the group's id in the member's own item. Here they are read; `change` and
//! `member_batch` write them.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::Select;
use futures_util::future::{try_join, try_join_all};
use tokio::time::Instant;

use crate::auth::Tenant;
use crate::limits::{MAX_COUNTED_MEMBERS, MAX_SETTLE_ATTEMPTS, MAX_SETTLE_SECONDS, MEMBERS_AT_ONCE};
use crate::scim::membership::{Ids, canonical};
use crate::store::dynamo::item::{Item, s};
use crate::store::dynamo::tables::Table;
use crate::store::model::format::check_formats;
use crate::store::model::group::Group;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member::{MemberKind, Members, member_kind, members_of_rows};
use crate::store::model::member_batch::BatchMembers;
use crate::store::model::member_item::Member;
use crate::store::rows::{member_partition, member_row};
use crate::store::{Store, StoreError};

pub mod change;
mod lookup;
mod member_batch;
mod moves;
mod pace;

pub(in crate::store) use member_batch::Carrier;
pub(in crate::store) use moves::join_group;

/// How many rows of a group are read where all are not needed.
pub(in crate::store) const FIRST_ROWS: i32 = 100;

/// Members that were looked up beforehand, by their ids.
#[derive(Debug, Default)]
pub struct PrefetchedMembers(BTreeMap<String, Option<Member>>);

impl PrefetchedMembers {
    /// What a member is, if it is there.
    pub fn kind(&self, id: &str) -> Option<MemberKind> {
        self.0.get(id)?.as_ref().map(|member| member.kind)
    }
}

impl Store {
    /// Looks members up, for a change that is to follow.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn prefetch_members(&self, tenant: &Tenant, ids: &Ids) -> Result<PrefetchedMembers, StoreError> {
        let found =
            self.map_concurrently(ids, |id| async move { Ok((id.to_owned(), self.member(tenant, id).await?)) }).await?;
        Ok(PrefetchedMembers(found.into_iter().collect()))
    }

    /// A group with its members at one instant, read again if the group changes meanwhile; `None` if it is gone. No
    /// members, if they are more than the limit.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn group_with_members(
        &self,
        tenant: &Tenant,
        group: Group,
        limit: usize,
    ) -> Result<Option<(Group, Option<Members>)>, StoreError> {
        let read = |group: Group| async move {
            match self.members(tenant, &group, limit).await {
                Err(StoreError::TooMany(_)) => Ok(None),
                members => members.map(Some),
            }
        };
        self.read_stable(tenant, group, read).await
    }

    /// A group with what is read of its rows, at one instant: read again if the group has changed meanwhile; `None` if it
    /// is gone. The rows of a batch are there for as long as the group names it.
    ///
    /// During changes without a pause, the last value is returned with the version from before it was read: it may hold
    /// changes that are later than the version, and lacks none that is earlier.
    ///
    /// # Errors
    /// Those of `read`, and the store's.
    pub(in crate::store) async fn read_stable<T, F>(
        &self,
        tenant: &Tenant,
        mut group: Group,
        read: impl Fn(Group) -> F,
    ) -> Result<Option<(Group, T)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let deadline = Instant::now() + Duration::from_secs(MAX_SETTLE_SECONDS);
        for attempt in 1..2 * MAX_SETTLE_ATTEMPTS {
            let value = read(group.clone()).await?;
            let Some(now) = self.group(tenant, &group.id).await? else { return Ok(None) };
            let is_late = attempt >= MAX_SETTLE_ATTEMPTS || Instant::now() >= deadline;
            if now.same_version_as(&group) || (is_late && now.batch == group.batch) {
                return Ok(Some((group, value)));
            }
            group = now;
        }
        Err(StoreError::Contended(0))
    }

    /// As `read_stable`, for rows of which each may be of an instant of its own. Without a batch, a row is read at one;
    /// with it, if what the batch says is read first, and the batch is still pending afterwards.
    pub(in crate::store) async fn settled_row<T, F>(
        &self,
        tenant: &Tenant,
        group: &Group,
        read: impl Fn(Group) -> F,
    ) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut group = group.clone();
        for _ in 0..MAX_SETTLE_ATTEMPTS {
            let value = read(group.clone()).await?;
            if group.batch.is_none() {
                return Ok(Some(value));
            }
            let Some(now) = self.group(tenant, &group.id).await? else { return Ok(None) };
            if now.batch == group.batch {
                return Ok(Some(value));
            }
            group = now;
        }
        Err(StoreError::Contended(0))
    }

    /// The members of a group, as they are once its batch is carried out.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] for more than the limit.
    pub(in crate::store) async fn members(
        &self,
        tenant: &Tenant,
        group: &Group,
        limit: usize,
    ) -> Result<Members, StoreError> {
        let batch = self.batch_members(tenant, group).await?;
        let leaving = batch.as_ref().map_or(0, |batch| batch.remove.len());
        let rows = async {
            match batch.as_ref().is_some_and(|batch| batch.is_whole) {
                true => Ok((self.settled_rows(tenant, &group.id, batch.as_ref()).await?, false)),
                false => self.first_member_rows(tenant, &group.id, limit.saturating_add(leaving)).await,
            }
        };
        let ((mut members, is_cut), tombstones) = try_join(rows, self.tombstones(tenant)).await?;
        if let Some(batch) = batch {
            batch.apply(&mut members);
        }
        members.retain(|id, _| !tombstones.contains(id));
        if is_cut || members.len() > limit {
            return Err(StoreError::TooMany(limit));
        }
        Ok(members)
    }

    /// Those of the ids that are members of a group, as the ids were given.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn members_among(&self, tenant: &Tenant, group: &Group, ids: &[String]) -> Result<Members, StoreError> {
        let read = |group: Group| async move {
            let reads = ids.iter().map(|given| {
                let group = &group;
                async move {
                    let row = self.member_row_of(tenant, &group.id, given).await?;
                    Ok::<_, StoreError>((given.clone(), row.as_ref().map(member_kind)))
                }
            });
            let among = ids.iter().map(|id| canonical(id)).collect();
            let batch = self.batch_members_among(tenant, &group, &among).await?;
            let (rows, tombstones) = try_join(try_join_all(reads), self.tombstones(tenant)).await?;
            let is_member = |(given, kind): (String, Option<MemberKind>)| {
                let id = canonical(&given);
                let kind = batch.as_ref().map_or(kind, |batch| batch.kind_of(&id, kind));
                kind.filter(|_| !tombstones.contains(&id)).map(|kind| (given, kind))
            };
            Ok(rows.into_iter().filter_map(is_member).collect())
        };
        self.settled_row(tenant, group, read).await.map(Option::unwrap_or_default)
    }

    /// The row of a member in a group, if the id can be one.
    pub(in crate::store) async fn member_row_of(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        member: &str,
    ) -> Result<Option<Item>, StoreError> {
        if UserId::parse(member).is_none() {
            return Ok(None);
        }
        self.link(member_row(tenant, group.as_str(), &canonical(member))).await
    }

    /// The row of that key.
    pub(in crate::store) async fn link(&self, key: Item) -> Result<Option<Item>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let found = get.set_key(Some(key)).send().await.map_err(|e| StoreError::of(&e))?.item;
        check_formats(&found)?;
        Ok(found)
    }

    /// The rows of those whom a later change has taken out of a batch.
    async fn settled_rows(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        batch: Option<&BatchMembers>,
    ) -> Result<Members, StoreError> {
        let Some(batch) = batch else { return Ok(Members::new()) };
        let read = |member| {
            let query = self.rows_query(tenant, group).key_condition_expression("#pk = :pk AND #sk = :sk");
            query.expression_attribute_names("#sk", "sk").expression_attribute_values(":sk", s(member)).send()
        };
        let read = |member| async move { read(member).await.map_err(|e| StoreError::of(&e)) };
        let pages = self.map_concurrently(&batch.settled, read).await?;
        let mut members = Members::new();
        for page in &pages {
            members.extend(members_of_rows(page.items())?);
        }
        Ok(members)
    }

    /// The groups of a user or group, with its canonical id.
    pub(in crate::store) async fn groups_of_member(
        &self,
        tenant: &Tenant,
        id: &str,
    ) -> Result<Option<(String, Ids)>, StoreError> {
        let member = self.member(tenant, id).await?;
        Ok(member.map(|member| (member.id, member.membership.groups)))
    }

    /// The rows of a group, up to the first page that passes a number of them; and whether there are more.
    async fn first_member_rows(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        enough: usize,
    ) -> Result<(Members, bool), StoreError> {
        let mut pages = self.rows_query(tenant, group).into_paginator().send();
        let mut members = Members::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| StoreError::of(&e))?;
            members.extend(members_of_rows(page.items())?);
            if members.len() > enough {
                return Ok((members, page.last_evaluated_key().is_some()));
            }
        }
        Ok((members, false))
    }

    pub(in crate::store) async fn some_member_rows(
        &self,
        tenant: &Tenant,
        group: &GroupId,
    ) -> Result<Members, StoreError> {
        let page = self.rows_query(tenant, group).limit(FIRST_ROWS).send().await.map_err(|e| StoreError::of(&e))?;
        members_of_rows(page.items())
    }

    /// How many members a group has: few are counted, of many the number is estimated.
    pub(in crate::store) async fn member_count(&self, tenant: &Tenant, group: &GroupId) -> Result<usize, StoreError> {
        let query = self.rows_query(tenant, group).select(Select::Count).limit(i32::from(MAX_COUNTED_MEMBERS) + 1);
        let page = query.send().await.map_err(|e| StoreError::of(&e))?;
        let last = page.last_evaluated_key().and_then(|key| key.get("sk")?.as_s().ok());
        Ok(estimate(page.count().unsigned_abs(), last.map(String::as_str)))
    }

    pub(in crate::store) fn rows_query(
        &self,
        tenant: &Tenant,
        group: &GroupId,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table(Table::Links))
            .consistent_read(true)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_values(":pk", s(member_partition(tenant, group.as_str())))
    }

    /// Does something for each id, some at a time.
    pub(in crate::store) async fn map_concurrently<'a, T, F>(
        &self,
        ids: &'a Ids,
        work: impl Fn(&'a str) -> F,
    ) -> Result<Vec<T>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut done = Vec::with_capacity(ids.len());
        let mut ids = ids.iter().peekable();
        while ids.peek().is_some() {
            done.extend(try_join_all(ids.by_ref().take(MEMBERS_AT_ONCE).map(|id| work(id))).await?);
        }
        Ok(done)
    }
}

/// How many ids there are, if the first of them are so many and the last of those is that one; there are no others
/// without it. Ids are random: before a share of all possible ids lies about that share of those that are there.
fn estimate(first: u32, last: Option<&str>) -> usize {
    let counted = usize::try_from(first).unwrap_or(usize::MAX);
    let Some(last) = last.and_then(|id| uuid::Uuid::try_parse(id).ok()) else { return counted };
    // The 48 bits before the version of the UUID.
    let (position, possible) = (last.as_u128() >> 80, 1_u128 << 48);
    let others = u128::from(first.saturating_sub(1)) * possible / position.max(1);
    usize::try_from(others).unwrap_or(usize::MAX).max(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_a_large_group_are_estimated_from_the_first_ids() {
        assert_eq!(estimate(0, None), 0);
        assert_eq!(estimate(500, None), 500);
        let first = usize::from(MAX_COUNTED_MEMBERS) + 1;
        for all in [first + 1, 1_000, 10_000, 200_000] {
            let id = |number: usize| UserId::new(&format!("user{number}")).unwrap();
            let mut ids: Vec<_> = (0..all).map(id).collect();
            ids.sort();
            let estimate = estimate(first.try_into().unwrap(), Some(ids[first - 1].as_str()));
            // Six times the standard deviation: one in 500 million runs is beyond it.
            assert!(estimate.abs_diff(all) < all * 27 / 100, "{estimate} of {all}");
        }
    }
}
