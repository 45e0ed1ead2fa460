//! What is too much for one transaction: a change of many members, committed by one write and carried out after it, and
//! the sweeping of a deleted group. Every step may be done twice.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{join_group, leave_group};
use crate::auth::Tenant;
use crate::limits::{JOB_SECONDS_IN_REQUEST, MAX_CONFLICT_ATTEMPTS, MEMBERS_AT_ONCE};
use crate::scim::membership::Ids;
use crate::store::dynamo::commit::{CommitError, pause};
use crate::store::dynamo::item::{n, optional_text, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::group::{Group, group_key};
use crate::store::model::id::GroupId;
use crate::store::model::member::{Member, MemberBatch};
use crate::store::model::record::Author;
use crate::store::model::signature::Signature;
use crate::store::ops::jobs::complete;
use crate::store::rows::{job_row, member_row};
use crate::store::{Store, StoreError};

/// What is to become of one member.
#[derive(Clone, Copy)]
pub(super) enum BatchPhase<'a> {
    /// It joins, as a job says.
    Join(&'a MemberBatch),
    /// It leaves, as a job says, or because the group is gone.
    Leave(Option<&'a MemberBatch>),
}

impl Store {
    /// Carries out a group's job, if it has one. Every step may be done again, and none is done once somebody else has
    /// finished the job: what was written since must stand.
    pub(in crate::store) async fn finish(&self, tenant: &Tenant, group: &Group) -> Result<(), StoreError> {
        let Some(job) = &group.job else { return Ok(()) };
        self.advance(tenant, &group.id, job.add.keys(), BatchPhase::Join(job)).await?;
        self.advance(tenant, &group.id, job.remove.iter(), BatchPhase::Leave(Some(job))).await?;
        self.close(tenant, group, job).await
    }

    /// Ends a job: the group has it no more, and its row of work is gone, at one instant.
    async fn close(&self, tenant: &Tenant, group: &Group, job: &MemberBatch) -> Result<(), StoreError> {
        let id = group.id.as_str();
        let header = Write::update(Table::Groups, group_key(tenant, id))
            .remove("memberBatch")
            .require(&Condition::equals("memberBatch.req", s(&job.request)));
        match self.commit(&[header, complete(tenant, id, &job.request)], &random_token()).await {
            // Somebody else has ended it.
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Whether a job is still to be carried out. Its row of work says so, which is small; the group's item holds the ids
    /// of all who join and leave.
    async fn is_pending(&self, tenant: &Tenant, group: &GroupId, job: &MemberBatch) -> Result<bool, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let row = get.set_key(Some(job_row(tenant, group.as_str()))).send().await.map_err(|e| StoreError::of(&e))?;
        Ok(row.item.is_some_and(|row| optional_text(&row, "req") == Some(&job.request)))
    }

    /// As [`Self::finish`], as far as there is time in the request; whether all is done. What is left, be it for want of
    /// time or because the store failed, is done by the next who writes the group, or by the worker.
    pub(super) async fn finish_in_time(&self, tenant: &Tenant, author: &Author, group: &Group) -> bool {
        let deadline = author.started + Duration::from_secs(JOB_SECONDS_IN_REQUEST);
        match tokio::time::timeout_at(deadline, self.finish(tenant, group)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a committed change of members is left to the worker");
                false
            }
            Err(_) => false,
        }
    }

    /// Makes members join or leave, those who have not yet; for a job only as long as that is pending. Some at a time:
    /// their items are read together, and one question is asked for all.
    async fn advance(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        ids: impl Iterator<Item = &String>,
        step: BatchPhase<'_>,
    ) -> Result<(), StoreError> {
        let mut ids = ids.peekable();
        while ids.peek().is_some() {
            let some: Vec<&str> = ids.by_ref().take(MEMBERS_AT_ONCE).map(String::as_str).collect();
            let members = try_join_all(some.iter().map(|id| self.member_in_turn(tenant, id))).await?;
            if !self.is_open(tenant, group, step).await? {
                return Ok(());
            }
            let moves = some.iter().zip(members).map(|(id, member)| async move {
                match self.apply(tenant, group, id, member, step).await? {
                    true => Ok(()),
                    false => self.roll_forward(tenant, group, id, step).await,
                }
            });
            try_join_all(moves).await?;
        }
        Ok(())
    }

    /// As [`Self::advance`], for one member whom others are changing.
    async fn roll_forward(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        id: &str,
        step: BatchPhase<'_>,
    ) -> Result<(), StoreError> {
        for attempt in 0..MAX_CONFLICT_ATTEMPTS {
            pause(attempt).await;
            let member = self.member_in_turn(tenant, id).await?;
            if !self.is_open(tenant, group, step).await? || self.apply(tenant, group, id, member, step).await? {
                return Ok(());
            }
        }
        Err(StoreError::Contended(MAX_CONFLICT_ATTEMPTS))
    }

    /// Whether a step may be taken. To be asked after the member was read: a change made since the job was finished has
    /// raised the member's `gver`.
    async fn is_open(&self, tenant: &Tenant, group: &GroupId, step: BatchPhase<'_>) -> Result<bool, StoreError> {
        match step {
            BatchPhase::Join(job) | BatchPhase::Leave(Some(job)) => self.is_pending(tenant, group, job).await,
            BatchPhase::Leave(None) => Ok(true),
        }
    }

    /// Takes a step for a member as it was read; `false` if it is to be read again.
    async fn apply(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        id: &str,
        member: Option<Member>,
        step: BatchPhase<'_>,
    ) -> Result<bool, StoreError> {
        let joins = matches!(step, BatchPhase::Join(_));
        let Some(member) = member else {
            // Gone, and with it its rows, but for those of a group that died while it joined.
            if !joins {
                self.commit_if_current(Write::delete(Table::Links, member_row(tenant, group.as_str(), id))).await?;
            }
            return Ok(true);
        };
        if member.membership.groups.contains(group.as_str()) == joins {
            return Ok(true);
        }
        let [row, item] = match step {
            BatchPhase::Join(job) => join_group(tenant, group, &member, job.at),
            BatchPhase::Leave(_) => leave_group(tenant, group, &member),
        };
        let item = signature_of(step, group).sign(item);
        match self.commit(&[row, unchanged(item, &member)], &random_token()).await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..) | CommitError::Store(StoreError::Throttled(_))) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Takes every member out of a group that is gone.
    pub(in crate::store) async fn release_members(&self, tenant: &Tenant, group: &GroupId) -> Result<(), StoreError> {
        loop {
            let rows = self.some_member_rows(tenant, group).await?;
            if rows.is_empty() {
                return Ok(());
            }
            let ids: Ids = rows.keys().cloned().collect();
            self.advance(tenant, group, ids.iter(), BatchPhase::Leave(None)).await?;
            // A row whose member does not know of it, such as a group that was its own member.
            self.map_concurrently(&ids, |id| {
                self.commit_if_current(Write::delete(Table::Links, member_row(tenant, group.as_str(), id)))
            })
            .await?;
        }
    }
}

/// Who a step is taken for: who has committed the job, or who has deleted the group.
fn signature_of(step: BatchPhase<'_>, group: &GroupId) -> Signature {
    match step {
        BatchPhase::Join(job) | BatchPhase::Leave(Some(job)) => (*job.signature).clone(),
        BatchPhase::Leave(None) => Signature::of_deleted_group(group.as_str()),
    }
}

/// As [`edge`], if no membership of the member has changed since it was read.
fn unchanged(edge: Write, member: &Member) -> Write {
    edge.require(&Condition::absent_or_equals("gver", n(member.membership.version)))
}

fn random_token() -> String {
    format!("{:032x}", u128::from(getrandom::u64().unwrap_or(0)) << 64 | u128::from(getrandom::u64().unwrap_or(0)))
}
