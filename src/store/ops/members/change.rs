//! Changes of a group's members. Each takes effect in one transaction that the group's item is part of: the rows, the
//! members' own items and the group's version change at one instant, for every reader. What is too much for a
//! transaction is committed as a batch, by one write of the group's item, and carried out afterwards.

use std::collections::BTreeSet;

use futures_util::future::join;

use super::member_batch::KnownMembers;
use super::moves::{Moves, Pending, delete_row, leave_group};
use super::{FIRST_ROWS, PrefetchedMembers};
use crate::auth::Tenant;
use crate::limits::{
    MAX_MEMBER_CHANGES, MAX_REPLACE_ATTEMPTS, MAX_TRANSACTION_ACTIONS, MAX_TRANSACTION_MEMBERS, MAX_WRITE_ATTEMPTS,
};
use crate::scim::membership::{Ids, MembershipChange};
use crate::store::dynamo::dry_run;
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::group::{Group, GroupError, group_key};
use crate::store::model::hold::{Loss, Protected};
use crate::store::model::job::DeferredJob;
use crate::store::model::member::Members;
use crate::store::model::member_batch::{BatchMembers, MemberBatch};
use crate::store::model::member_item::Member;
use crate::store::model::record::{Author, Membership};
use crate::store::model::signature::deletion;
use crate::store::ops::groups::{self, Precondition};
use crate::store::ops::idempotency::IdempotencyKey;
use crate::store::rows::member_row;
use crate::store::{Store, StoreError};
use crate::tenant::ProtectionMode;

/// A change of a group as one request asks for it.
#[derive(Debug, Clone, Copy)]
pub struct GroupChange<'a> {
    /// The group as it was read.
    pub old: &'a Group,
    /// Its next version.
    pub new: &'a Group,
    /// How its members change.
    pub members: &'a MembershipChange,
    /// Whether nothing may have changed since `old` was read.
    pub requires_version: bool,
    /// Whether it is an error if everything is as asked.
    pub requires_change: bool,
    /// Numbers the attempts of one request.
    pub attempt: usize,
}

impl GroupChange<'_> {
    fn changes_document(&self) -> bool {
        self.old.record.document != self.new.record.document
    }

    /// What the group's item must still be, where the members were not read.
    fn precondition(&self) -> Precondition {
        match self.requires_version {
            true => Precondition::Version,
            false => Precondition::Document,
        }
    }
}

impl Store {
    /// Creates a group with members.
    ///
    /// # Errors
    /// As [`GroupError`] says; nothing is left of the group then. With an idempotency key, [`GroupError::Changed`] may mean that
    /// another request has created the group.
    pub async fn create_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &Group,
        members: &Ids,
        idempotency: Option<&IdempotencyKey>,
    ) -> Result<(), GroupError> {
        dry_run::note_created(group.id.as_str());
        for attempt in 0..MAX_WRITE_ATTEMPTS {
            let join = self.resolve_additions(tenant, &group.id, members, &PrefetchedMembers::default()).await?;
            let moves = Moves { join, ..Moves::default() };
            let mut group = group.clone();
            let mut writes = Vec::new();
            if moves.fits(None) {
                writes.extend(moves.writes(tenant, &group.id, None, author.at));
            } else {
                let members = BatchMembers { add: kinds(&moves.join), ..BatchMembers::default() };
                group.batch = Some(self.stage(tenant, author, &group, &members, attempt).await?);
            }
            writes.splice(0..0, groups::creation(tenant, author, &group));
            writes.extend(idempotency.map(|key| key.write(tenant, group.id.as_str())));
            match self.write_group(author, &group, &writes, attempt).await {
                Ok(()) => {
                    self.finish_in_time(tenant, author, &group, &by_id(moves.join)).await;
                    return Ok(());
                }
                // A member went away; with an idempotency key, the same request may have created the group meanwhile.
                Err(GroupError::Changed(_)) if idempotency.is_none() => self.discard_batch(tenant, &group).await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended(0).into())
    }

    /// Changes the members of a group, and with them its document, where `new` is another one. What is `known` of the
    /// members is not read again.
    ///
    /// # Errors
    /// As [`GroupError`] says; [`GroupError::Changed`] asks for another attempt with the group as it is now.
    pub async fn change_group(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
        known: &PrefetchedMembers,
    ) -> Result<(), GroupError> {
        let written = match (change.members.is_whole, &change.old.batch) {
            (false, _) => self.move_members(tenant, author, change, known).await,
            (true, None) => self.replace_members(tenant, author, change).await,
            (true, Some(_)) => self.await_turn(tenant, author, change.old).await,
        };
        // What was counted stays counted, unless the store says that nothing was written.
        if matches!(written, Ok(()) | Err(GroupError::Store(_))) {
            author.reservation.spend();
        }
        written
    }

    /// Waits until a group's batch is carried out, and asks for another attempt.
    async fn await_turn(&self, tenant: &Tenant, author: &Author, group: &Group) -> Result<(), GroupError> {
        // A dry run carries nothing out: it does not know how the group will be.
        if dry_run::is_on() {
            return Err(StoreError::Contended(0).into());
        }
        match self.await_batch(tenant, author, group, &KnownMembers::new()).await? {
            true => Err(GroupError::Changed(self.group(tenant, &group.id).await?.map(Box::new))),
            false => Err(StoreError::Contended(0).into()),
        }
    }

    /// Some join and some leave, whoever else is a member. Next to a pending batch, few are taken out of it; for many,
    /// the change waits.
    async fn move_members(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
        known: &PrefetchedMembers,
    ) -> Result<(), GroupError> {
        let (id, MembershipChange { add, remove, .. }) = (&change.old.id, change.members);
        let count = add.len() + remove.len();
        if count > 2 * MAX_MEMBER_CHANGES {
            return Err(GroupError::TooManyChanges(count));
        }
        let join_reads = self.resolve_additions(tenant, id, add, known);
        let (join, leave) = join(join_reads, self.resolve_removals(tenant, id, remove, known)).await;
        let (join, (leave, dead)) = (join?, leave?);
        let moves = Moves { join, leave, dead };
        // After the members: who takes one of them out of the batch meanwhile, changes that member.
        let touched = add.union(remove).cloned().collect();
        let batch_members = self.batch_members_among(tenant, change.old, &touched).await?;
        let pending = change.old.batch.as_ref().zip(batch_members.as_ref());
        let pending = pending.map(|(batch, members)| Pending { batch, members });
        if !change.changes_document() && moves.is_done(id, pending) {
            // What was read one after the other was so at one instant, unless something has happened to the group since.
            if count > 1 || change.requires_version || pending.is_some() {
                self.confirm(tenant, change.old).await?;
            }
            return if change.requires_change { Err(GroupError::Unchanged) } else { Ok(()) };
        }
        let loss = Loss { count: moves.count_leaving(id, pending), is_most: false };
        if moves.fits(pending) {
            self.reserve(tenant, author, Protected::Group(id), loss).await?;
            let moves = moves.writes(tenant, id, pending, author.at);
            return self.write_change(tenant, author, change, (change.precondition(), None), moves).await;
        }
        if pending.is_some() {
            return self.await_turn(tenant, author, change.old).await;
        }
        self.reserve(tenant, author, Protected::Group(id), loss).await?;
        let members = BatchMembers { add: kinds(&moves.join), remove: remove.clone(), ..BatchMembers::default() };
        let known = by_id(moves.join.into_iter().chain(moves.leave));
        self.commit_batch(tenant, author, change, (&members, &known)).await
    }

    /// The members become those of a list, whoever they were: in one transaction where that can be, and otherwise as a
    /// batch that no other change can delay.
    async fn replace_members(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
    ) -> Result<(), GroupError> {
        let (id, wanted) = (&change.old.id, &change.members.add);
        let (now, is_cut) = self.first_member_rows(tenant, id, 2 * MAX_MEMBER_CHANGES).await?;
        let add = wanted.iter().filter(|id| !now.contains_key(*id)).cloned().collect();
        let leaving = || now.keys().filter(|id| !wanted.contains(*id));
        let join = self.resolve_additions(tenant, id, &add, &PrefetchedMembers::default()).await?;
        // Who names fewer than half of those that were read leaves out most of them.
        let loss = Loss { count: i64::try_from(leaving().count()).unwrap_or(i64::MAX), is_most: is_cut };
        let is_small = !is_cut && leaving().take(MAX_TRANSACTION_MEMBERS + 1).count() <= MAX_TRANSACTION_MEMBERS;
        if is_small && change.attempt < MAX_REPLACE_ATTEMPTS {
            let remove = leaving().cloned().collect();
            let known = PrefetchedMembers::default();
            let (leave, dead) = self.resolve_removals(tenant, id, &remove, &known).await?;
            let moves = Moves::of_rows(id, join, leave, dead);
            if !change.changes_document() && moves.is_done(id, None) {
                return self.confirm(tenant, change.old).await;
            }
            if moves.fits(None) {
                let loss = Loss { count: moves.count_leaving(id, None), is_most: false };
                self.reserve(tenant, author, Protected::Group(id), loss).await?;
                // The version says that nobody else has come or gone.
                let moves = moves.writes(tenant, id, None, author.at);
                return self.write_change(tenant, author, change, (Precondition::Version, None), moves).await;
            }
            self.reserve(tenant, author, Protected::Group(id), loss).await?;
            return self.commit_whole(tenant, author, change, (&now, moves.join)).await;
        }
        self.reserve(tenant, author, Protected::Group(id), loss).await?;
        self.commit_whole(tenant, author, change, (&now, join)).await
    }

    async fn commit_whole(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
        (now, join): (&Members, Vec<Member>),
    ) -> Result<(), GroupError> {
        let mut add = kinds(&join);
        add.extend(now.iter().filter(|(id, _)| change.members.add.contains(*id)).map(|(id, kind)| (id.clone(), *kind)));
        let members = BatchMembers { add, is_whole: true, ..BatchMembers::default() };
        self.commit_batch(tenant, author, change, (&members, &by_id(join))).await
    }

    /// Commits a batch, whatever the members are, and carries it out as far as there is time.
    async fn commit_batch(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
        (members, known): (&BatchMembers, &KnownMembers),
    ) -> Result<(), GroupError> {
        let batch = self.stage(tenant, author, change.old, members, change.attempt).await?;
        let new = Group { batch: Some(batch), ..change.new.clone() };
        let commit = (change.precondition(), new.batch.clone());
        match self.write_change(tenant, author, change, commit, Vec::new()).await {
            Ok(()) => {}
            // It is committed, and the answer to that was lost.
            Err(GroupError::Changed(Some(now))) if now.batch == new.batch => {}
            Err(error @ (GroupError::Changed(_) | GroupError::NameTaken)) => {
                self.discard_batch(tenant, &new).await?;
                return Err(error);
            }
            // Of any other error nobody knows whether it is committed: the ids stay, and the worker finds out.
            Err(error) => return Err(error),
        }
        self.finish_in_time(tenant, author, &new, known).await;
        Ok(())
    }

    /// Writes a group's next version, with its batch or the moves of its members. If nothing but the time stands against
    /// it, because another change is of a later one, it is a moment later still.
    async fn write_change(
        &self,
        tenant: &Tenant,
        author: &Author,
        change: GroupChange<'_>,
        (precondition, batch): (Precondition, Option<MemberBatch>),
        moves: Vec<Write>,
    ) -> Result<(), GroupError> {
        let mut new = Group { batch, ..change.new.clone() };
        let mut error = GroupError::Changed(None);
        for late in 0..MAX_WRITE_ATTEMPTS {
            let mut writes = groups::update(tenant, author, (change.old, &new), precondition);
            writes.extend(moves.iter().cloned());
            let attempt = change.attempt + late * MAX_WRITE_ATTEMPTS;
            error = match self.write_group(author, change.old, &writes, attempt).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match &error {
                GroupError::Changed(Some(now))
                    if now.batch == change.old.batch
                        && now.record.modified > new.record.modified
                        && precondition.holds(change.old, now) =>
                {
                    new.record.modified = now.record.after(author.now());
                }
                _ => break,
            }
        }
        Err(error)
    }

    /// Whether a group is as it was read; with that, what was read since was read at one instant.
    async fn confirm(&self, tenant: &Tenant, old: &Group) -> Result<(), GroupError> {
        match self.group(tenant, &old.id).await? {
            Some(now) if now.same_version_as(old) => Ok(()),
            now => Err(GroupError::Changed(now.map(Box::new))),
        }
    }

    /// Deletes a group, with few members in one transaction. Of many, the rows are left to the job that is registered
    /// with the deletion: nobody sees them, for every reader begins at the group's item.
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
        let loss = self.loss_of_all(tenant, author, (group, &members)).await?;
        self.reserve(tenant, author, Protected::Group(&group.id), loss).await?;
        let mut writes = groups::end(tenant, group);
        let mut touched = BTreeSet::new();
        if members.len() <= FEW && group.batch.is_none() {
            let ids: Ids = members.keys().cloned().collect();
            let (leave, dead) = self.resolve_removals(tenant, &group.id, &ids, &PrefetchedMembers::default()).await?;
            let leave = || leave.iter().filter(|member| member.is_in(id));
            writes.extend(leave().flat_map(|member| leave_group(tenant, &group.id, member)));
            writes.extend(dead.iter().map(|member| delete_row(tenant, &group.id, member)));
            touched.extend(leave().map(|member| member.id.clone()));
        }
        let mut left_in = BTreeSet::new();
        if group.parents.groups.len() <= FEW && group.parents.groups.is_disjoint(&touched) {
            let there = self.parents_there(tenant, &group.parents, attempt).await?;
            writes.extend(departure(tenant, id, &group.parents, &there));
        } else {
            left_in.clone_from(&group.parents.groups);
        }
        writes.extend(DeferredJob::of_group(tenant, author, id, left_in).enqueue());
        writes.push(deletion(tenant, author, id, group.record.version));
        let written = self.write_group(author, group, &writes, attempt).await;
        if matches!(written, Ok(()) | Err(GroupError::Store(_))) {
            author.reservation.spend();
        }
        written
    }

    /// How many members lose their group with it; some of them were read.
    async fn loss_of_all(
        &self,
        tenant: &Tenant,
        author: &Author,
        (group, some): (&Group, &Members),
    ) -> Result<Loss, StoreError> {
        let are_all = some.len() < usize::try_from(FIRST_ROWS).unwrap_or_default();
        let count = match are_all || author.settings.protection.mode == ProtectionMode::Off {
            true => some.len(),
            false => self.member_count(tenant, &group.id).await?,
        };
        Ok(Loss { count: i64::try_from(count).unwrap_or(i64::MAX), is_most: false })
    }

    /// The groups of a member. At the first attempt nobody asks whether they are there: they nearly always are.
    pub(in crate::store) async fn parents_there(
        &self,
        tenant: &Tenant,
        membership: &Membership,
        attempt: usize,
    ) -> Result<BTreeSet<String>, StoreError> {
        if attempt == 0 {
            return Ok(membership.groups.clone());
        }
        let groups = self.groups(tenant, membership.groups.iter().cloned()).await?;
        Ok(groups.into_iter().map(|group| group.id.as_str().to_owned()).collect())
    }
}

/// The writes by which what is deleted leaves its groups: its rows, and the versions of those groups that are there.
pub(in crate::store) fn departure(
    tenant: &Tenant,
    member: &str,
    membership: &Membership,
    there: &BTreeSet<String>,
) -> Vec<Write> {
    let rows = membership.groups.iter().map(|group| Write::delete(Table::Links, member_row(tenant, group, member)));
    let version = |group: &String| {
        let write = Write::update(Table::Groups, group_key(tenant, group)).increment("ver");
        write.require(&Condition::Exists("id")).guard(Guard::Parent)
    };
    rows.chain(there.iter().map(version)).collect()
}

/// How many groups what is deleted can leave in the transaction of its deletion, next to so many other actions.
pub(in crate::store) fn max_departures(others: usize) -> usize {
    MAX_TRANSACTION_ACTIONS.saturating_sub(others) / 2
}

fn by_id(members: impl IntoIterator<Item = Member>) -> KnownMembers {
    members.into_iter().map(|member| (member.id.clone(), member)).collect()
}

fn kinds(members: &[Member]) -> Members {
    members.iter().map(|member| (member.id.clone(), member.kind)).collect()
}
