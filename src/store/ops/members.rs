//! Membership: a row under the group, and the group's id in the member's own item, changed together. Adding one member
//! costs the same in a group of any size, and no two additions touch one item twice. What is too much for a transaction
//! is in `member_batch`.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{join, try_join, try_join_all};
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::limits::{
    MAX_GROUPS_PER_USER, MAX_MEMBER_CHANGES, MAX_MEMBERS_RETURNED, MAX_TRANSACTION_MEMBERS, MAX_WRITE_ATTEMPTS,
    MEMBERS_AT_ONCE,
};
use crate::scim::membership::{Ids, MembershipChange, canonical};
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, at, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::group::{Group, GroupError, group_key};
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::job::DeferredJob;
use crate::store::model::member::{Member, MemberBatch, MemberKind, Members, member_of_row};
use crate::store::model::record::{Author, Membership, id_bytes};
use crate::store::model::signature::{deletion, sign_memberships};
use crate::store::ops::groups;
use crate::store::ops::idempotency::IdempotencyKey;
use crate::store::rows::{member_partition, member_row};
use crate::store::{Store, StoreError};

mod member_batch;

/// Members that were looked up beforehand, by their ids.
#[derive(Debug, Default)]
pub struct PrefetchedMembers(BTreeMap<String, Option<Member>>);

impl Store {
    /// Looks members up, for a change that is to follow.
    ///
    /// # Errors
    /// As the store's.
    pub async fn prefetch_members(&self, tenant: &Tenant, ids: &Ids) -> Result<PrefetchedMembers, StoreError> {
        let found =
            self.map_concurrently(ids, |id| async move { Ok((id.to_owned(), self.member(tenant, id).await?)) }).await?;
        Ok(PrefetchedMembers(found.into_iter().collect()))
    }

    /// Creates a group with members.
    ///
    /// # Errors
    /// As [`GroupError`] says; nothing is left of the group then. With an idempotency key, [`GroupError::Changed`] may mean that
    /// another request has made the group.
    pub async fn create_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &Group,
        members: &Ids,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<(), GroupError> {
        for attempt in 0..MAX_WRITE_ATTEMPTS {
            let joining = self.resolve_additions(tenant, &group.id, members, &PrefetchedMembers::default()).await?;
            let mut group = group.clone();
            group.job = MemberBatch::for_many(author, &joining, &[]);
            let mut writes = groups::creation(tenant, author, &group);
            if group.job.is_none() {
                writes.extend(joining.iter().flat_map(|member| join_group(tenant, &group.id, member, author.at)));
            }
            writes.extend(idempotency.map(|key| key.write(tenant, group.id.as_str())));
            match self.write_group(author, &group, &writes, attempt).await {
                // The same request has made the group meanwhile, or a member went away.
                Err(changed @ GroupError::Changed(_)) if idempotency.is_some() => return Err(changed),
                Err(GroupError::Changed(_)) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.finish_in_time(tenant, author, &group).await;
                    return Ok(());
                }
            }
        }
        Err(conflict_exhausted())
    }

    /// Changes the members of a group, and with them its document, where `new` is another one. What is `known` of the
    /// members is not read again. `requires_version` says that nothing may have changed since `old` was read.
    ///
    /// # Errors
    /// As [`GroupError`] says; [`GroupError::Changed`] asks for another attempt with the group as it is now.
    pub async fn change_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        (old, new): (&Group, &Group),
        (change, known): (&MembershipChange, &PrefetchedMembers),
        (requires_version, attempt): (bool, usize),
    ) -> Result<(), GroupError> {
        if old.job.is_some() {
            if !self.finish_in_time(tenant, author, old).await {
                return Err(StoreError::Contended(0).into());
            }
            return Err(GroupError::Changed(self.group(tenant, &old.id).await?.map(Box::new)));
        }
        let (add, remove) = self.difference(tenant, &old.id, change).await?;
        if add.len() + remove.len() > 2 * MAX_MEMBER_CHANGES {
            return Err(GroupError::TooManyChanges(add.len() + remove.len()));
        }
        let joining = self.resolve_additions(tenant, &old.id, &add, known);
        let leaving = self.resolve_removals(tenant, &old.id, &remove, known);
        let (joining, leaving) = join(joining, leaving).await;
        let (joining, (leaving, dead)) = (joining?, leaving?);
        for id in &dead {
            self.commit_if_current(Write::delete(Table::Links, member_row(tenant, old.id.as_str(), id))).await?;
        }
        let is_same = old.record.document == new.record.document;
        if is_same && joining.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let members = || {
            let join = joining.iter().flat_map(|member| join_group(tenant, &old.id, member, author.at));
            join.chain(leaving.iter().flat_map(|member| leave_group(tenant, &old.id, member)))
        };
        let mut new = new.clone();
        new.job = MemberBatch::for_many(author, &joining, &leaving);
        if new.job.is_some() {
            self.write_group(author, old, &groups::update(tenant, author, (old, &new)), attempt).await?;
            self.finish_in_time(tenant, author, &new).await;
            return Ok(());
        }
        if is_same && !change.is_whole && !requires_version {
            // Not in the members' transaction: there, every other change of this group would cancel it.
            self.increment_version(tenant, author, &new).await?;
            return self.write_members(author, old, members().collect(), attempt).await;
        }
        let mut writes = groups::update(tenant, author, (old, &new));
        writes.extend(members());
        self.write_group(author, old, &writes, attempt).await
    }

    /// Counts a change of members in the group's version, if the group is there and has no job.
    async fn increment_version(&self, tenant: &Tenant, author: &Author, group: &Group) -> Result<(), GroupError> {
        let write = Write::update(Table::Groups, group_key(tenant, group.id.as_str()))
            .increment("ver")
            .set("modified", at(group.record.modified))
            .set("by", s(author.key.as_str()))
            .require(&Condition::Exists("id").and(Condition::Absent("memberBatch")));
        match self.commit(&[write], "").await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(_, now)) => Err(groups::changed(now)?),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    async fn write_members(
        &self,
        author: &Author,
        old: &Group,
        writes: Vec<Write>,
        attempt: usize,
    ) -> Result<(), GroupError> {
        match self.commit(&sign_memberships(&writes, author), &author.token(attempt)).await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(..)) => Err(GroupError::Changed(Some(Box::new(old.clone())))),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// Deletes a group, with few members in one transaction. Of many, the rows are left to the work that is registered
    /// with the deletion: nobody sees them, for every reader begins at the group's item. Of few, that work finds what a
    /// request that was under way has still added.
    ///
    /// # Errors
    /// As [`GroupError`] says.
    pub async fn delete_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &Group,
        attempt: usize,
    ) -> Result<(), GroupError> {
        const FEW: usize = MAX_TRANSACTION_MEMBERS / 2;
        let id = group.id.as_str();
        let members = self.some_member_rows(tenant, &group.id).await?;
        let mut writes = groups::end(tenant, group);
        if members.len() <= FEW && group.job.is_none() {
            let ids = members.keys().cloned().collect();
            let (leaving, dead) = self.resolve_removals(tenant, &group.id, &ids, &PrefetchedMembers::default()).await?;
            writes.extend(leaving.iter().flat_map(|member| leave_group(tenant, &group.id, member)));
            writes.extend(dead.iter().map(|member| Write::delete(Table::Links, member_row(tenant, id, member))));
        }
        let mut left_in = BTreeSet::new();
        if group.parents.groups.len() <= FEW {
            self.bump_groups(tenant, &group.parents).await?;
            writes.extend(self.rows_in(tenant, id, &group.parents));
        } else {
            left_in.clone_from(&group.parents.groups);
        }
        writes.extend(DeferredJob::of_group(tenant, author, id, left_in).enqueue());
        writes.push(deletion(tenant, author, id, group.record.version));
        self.write_group(author, group, &writes, attempt).await
    }

    /// The rows of a member in its groups.
    pub(in crate::store) fn rows_in(&self, tenant: &Tenant, member: &str, membership: &Membership) -> Vec<Write> {
        membership.groups.iter().map(|group| Write::delete(Table::Links, member_row(tenant, group, member))).collect()
    }

    /// Counts the loss of a member in the versions of its groups.
    pub(in crate::store) async fn bump_groups(
        &self,
        tenant: &Tenant,
        membership: &Membership,
    ) -> Result<(), StoreError> {
        try_join_all(membership.groups.iter().map(|group| self.bump_after_loss(tenant, group))).await.map(drop)
    }

    pub(in crate::store) async fn bump_after_loss(&self, tenant: &Tenant, group: &str) -> Result<(), StoreError> {
        let write = Write::update(Table::Groups, group_key(tenant, group)).increment("ver");
        self.commit_if_current(write.require(&Condition::Exists("id"))).await
    }

    /// The members of a group, as they are once its job is done.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] for more than [`MAX_MEMBERS_RETURNED`].
    pub async fn members(&self, tenant: &Tenant, group: &Group) -> Result<Members, StoreError> {
        let removed = group.job.as_ref().map_or(0, |job| job.remove.len());
        let rows = self.first_member_rows(tenant, &group.id, MAX_MEMBERS_RETURNED + removed);
        let ((mut members, is_cut), tombstones) = try_join(rows, self.tombstones(tenant)).await?;
        if let Some(job) = &group.job {
            members.retain(|id, _| !job.remove.contains(id));
            members.extend(job.add.iter().map(|(id, kind)| (id.clone(), *kind)));
        }
        members.retain(|id, _| !tombstones.contains(id));
        if is_cut || members.len() > MAX_MEMBERS_RETURNED {
            return Err(StoreError::TooMany(MAX_MEMBERS_RETURNED));
        }
        Ok(members)
    }

    /// Those of the ids that are members of a group, as the ids were given.
    ///
    /// # Errors
    /// As the store's.
    pub async fn members_among(&self, tenant: &Tenant, group: &Group, ids: &[String]) -> Result<Members, StoreError> {
        let reads = ids.iter().map(|given| async move {
            let row = self.member_row_of(tenant, &group.id, given).await?;
            let kind = group.kind_of(&canonical(given), row.as_ref());
            Ok::<_, StoreError>(kind.map(|kind| (given.clone(), kind)))
        });
        let (found, tombstones) = try_join(try_join_all(reads), self.tombstones(tenant)).await?;
        Ok(found.into_iter().flatten().filter(|(id, _)| !tombstones.contains(&canonical(id))).collect())
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
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let row = get.set_key(Some(member_row(tenant, group.as_str(), &canonical(member)))).send().await;
        Ok(row.map_err(|e| StoreError::of(&e))?.item)
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
            members.extend(page.items().iter().filter_map(member_of_row));
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
        let page = self.rows_query(tenant, group).limit(100).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(page.items().iter().filter_map(member_of_row).collect())
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

    /// Who is to join and to leave. A change of some reads no member.
    async fn difference(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        change: &MembershipChange,
    ) -> Result<(Ids, Ids), StoreError> {
        if !change.is_whole {
            return Ok((change.add.clone(), change.remove.clone()));
        }
        let enough = 3 * MAX_MEMBER_CHANGES;
        let now: Ids = self.first_member_rows(tenant, group, enough).await?.0.into_keys().collect();
        Ok((change.add.difference(&now).cloned().collect(), now.difference(&change.add).cloned().collect()))
    }

    /// The members-to-be that are not members yet; every one must exist.
    async fn resolve_additions(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        ids: &Ids,
        known: &PrefetchedMembers,
    ) -> Result<Vec<Member>, GroupError> {
        if ids.contains(group.as_str()) {
            return Err(GroupError::OwnMember);
        }
        let found = self.map_concurrently(ids, |id| self.known_member(tenant, id, known)).await?;
        let mut joining = Vec::new();
        for (id, member) in ids.iter().cloned().zip(found) {
            let member = member.ok_or_else(|| GroupError::NoSuchMember(id.clone()))?;
            if member.membership.groups.contains(group.as_str()) {
                continue;
            }
            if member.membership.groups.len() >= MAX_GROUPS_PER_USER {
                return Err(GroupError::TooManyGroups(id));
            }
            joining.push(member);
        }
        Ok(joining)
    }

    /// Those of the ids that are members; and those that have a row and are no more.
    async fn resolve_removals(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        ids: &Ids,
        known: &PrefetchedMembers,
    ) -> Result<(Vec<Member>, Ids), StoreError> {
        let found = self.map_concurrently(ids, |id| self.known_member(tenant, id, known)).await?;
        let absent = ids.iter().zip(&found).filter(|(_, member)| member.is_none()).map(|(id, _)| id.clone());
        let dead = self.map_concurrently(&absent.collect(), |id| self.row_of_nobody(tenant, group, id)).await?;
        let members = found.into_iter().flatten();
        let leaving = members.filter(|member| member.membership.groups.contains(group.as_str())).collect();
        Ok((leaving, dead.into_iter().flatten().collect()))
    }

    async fn row_of_nobody(&self, tenant: &Tenant, group: &GroupId, id: &str) -> Result<Option<String>, StoreError> {
        Ok(self.member_row_of(tenant, group, id).await?.map(|_| id.to_owned()))
    }

    async fn known_member(
        &self,
        tenant: &Tenant,
        id: &str,
        known: &PrefetchedMembers,
    ) -> Result<Option<Member>, StoreError> {
        match known.0.get(id) {
            Some(member) => Ok(member.clone()),
            None => self.member_in_turn(tenant, id).await,
        }
    }

    /// The user of that id, or else the group: for many, of whom nearly all are users.
    async fn member_in_turn(&self, tenant: &Tenant, id: &str) -> Result<Option<Member>, StoreError> {
        let Some(user_id) = UserId::parse(id) else { return Ok(None) };
        match self.user_once(tenant, &user_id).await? {
            Some(user) => Ok(Some(Member::of_user(tenant, user))),
            None => self.member(tenant, id).await,
        }
    }

    /// The user or group of that id.
    async fn member(&self, tenant: &Tenant, id: &str) -> Result<Option<Member>, StoreError> {
        let (Some(user_id), Some(group_id)) = (UserId::parse(id), GroupId::parse(id)) else { return Ok(None) };
        let (user, group) = join(self.user_once(tenant, &user_id), self.group(tenant, &group_id)).await;
        if let Some(group) = group? {
            let key = group_key(tenant, group.id.as_str());
            return Ok(Some(Member { id: group_id.0, kind: MemberKind::Group, key, membership: group.parents }));
        }
        // A rename may hide a user from one read of the index.
        let user = match user? {
            None => self.user_once(tenant, &user_id).await?,
            found => found,
        };
        Ok(user.map(|user| Member::of_user(tenant, user)))
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

fn join_group(tenant: &Tenant, group: &GroupId, member: &Member, now: Timestamp) -> [Write; 2] {
    let mut row = member_row(tenant, group.as_str(), &member.id);
    row.insert("created".into(), at(now));
    row.insert("t".into(), s(if member.kind == MemberKind::User { "User" } else { "Group" }));
    [Write::put(Table::Links, row), member_side_write(member).add_to_set("groupIds", id_value(group))]
}

fn leave_group(tenant: &Tenant, group: &GroupId, member: &Member) -> [Write; 2] {
    [
        Write::delete(Table::Links, member_row(tenant, group.as_str(), &member.id)),
        member_side_write(member).delete_from_set("groupIds", id_value(group)),
    ]
}

/// The member's side: the id of the group in its own item, if that is still the member's.
fn member_side_write(member: &Member) -> Write {
    let table = if member.kind == MemberKind::User { Table::Users } else { Table::Groups };
    Write::update(table, member.key.clone()).increment("gver").require(&Condition::equals("id", s(&member.id)))
}

/// The id of a group as a value of a member's set.
fn id_value(group: &GroupId) -> AttributeValue {
    AttributeValue::Bs(id_bytes(group.as_str()).into_iter().collect())
}

fn conflict_exhausted() -> GroupError {
    GroupError::Store(StoreError::Contended(0))
}
