//! What is too much for one transaction: a change of many members, committed by one write and carried out after it, and
//! the sweeping of a deleted group. Every step may be done twice.
//!
//! While a group has a batch, every other large change of it waits. A small one settles its members at once: it takes
//! them out of the batch in its own transaction, which also changes what the batch holds them to. The batch moves members
//! in transactions that hold its row of work and the group's item to it. Whoever holds the lease carries it out; who has
//! lost it finds that his transactions fail.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;

use super::moves::{delete_row, join_group, leave_group};
use super::pace::Pace;
use crate::auth::Tenant;
use crate::limits::{
    JOB_SECONDS_IN_REQUEST, MAX_BATCH_POLL_MS, MAX_CONFLICT_ATTEMPTS, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_MEMBERS,
    MEMBERS_AT_ONCE, MIN_BATCH_POLL_MS,
};
use crate::scim::membership::Ids;
use crate::store::background::Background;
use crate::store::dynamo::commit::{CommitError, pause};
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::{Item, at, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::format::check_formats;
use crate::store::model::group::{Group, group_key};
use crate::store::model::id::{GroupId, UserId, random_token};
use crate::store::model::job::{DeferredJob, LEASE, complete};
use crate::store::model::member::Members;
use crate::store::model::member_batch::{BatchMembers, MemberBatch, settled_member};
use crate::store::model::member_item::Member;
use crate::store::model::record::Author;
use crate::store::model::signature::Signature;
use crate::store::rows::{SETTLED, batch_job, batch_partition, job_row, settled_row};
use crate::store::{Store, StoreError};

/// Moves whose members are looked up at once, before they are carried out: so many cost a few reads of an index, and
/// hold some MB.
const MOVES_LOOKED_UP: usize = 1_000;

/// Most members whose rows of a batch are picked out; of more, all of them are read.
const MAX_BATCH_ROWS_PICKED: usize = 8;

/// Members as they were read for a change, by id. Each transaction holds them to that.
pub(super) type KnownMembers = BTreeMap<String, Member>;

/// One member that joins or leaves.
#[derive(Debug, Clone)]
struct Move {
    id: String,
    joins: bool,
}

/// Who carries a batch out, and by which clock.
#[derive(Clone, Copy)]
pub(in crate::store) struct Carrier<'a> {
    pub(in crate::store) holder: &'a str,
    pub(in crate::store) now: &'a (dyn Fn() -> Timestamp + Sync),
}

/// What holds the transactions of a batch to it.
#[derive(Clone, Copy)]
struct Fence<'a> {
    batch: &'a MemberBatch,
    carrier: Carrier<'a>,
    /// How many moves are done with this transaction.
    done: usize,
}

/// What came of some moves.
enum Step {
    /// They are done: so many.
    Moved(usize),
    /// Some member has changed since it was read.
    Again,
    /// The batch is done, or somebody else carries it out.
    Fenced,
}

/// What is known of the members of some moves.
#[derive(Clone, Copy)]
struct MembersRead<'a> {
    members: &'a KnownMembers,
    /// Whom a later change has settled, read after the members.
    settled: &'a Ids,
}

impl Store {
    /// Writes the ids of a batch and its row of work, before the write that commits it.
    pub(super) async fn stage(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &Group,
        members: &BatchMembers,
        attempt: usize,
    ) -> Result<MemberBatch, StoreError> {
        let batch = MemberBatch::new(author, attempt, members);
        let mut writes = vec![DeferredJob::of_batch(tenant, author, &group.id, &batch).row()];
        writes.extend(members.writes(tenant, &group.id, &batch));
        match self.commit(&writes, &random_token()).await {
            Ok(()) => Ok(batch),
            Err(CommitError::Store(error)) => Err(error),
            // None of them has a condition.
            Err(CommitError::Condition(..)) => Err(StoreError::Contended(0)),
        }
    }

    /// Deletes what was written for a batch: of one that was not committed, or that is carried out. The row of work
    /// goes last, so that what is left is found.
    pub(in crate::store) async fn discard_batch(&self, tenant: &Tenant, group: &Group) -> Result<(), StoreError> {
        match &group.batch {
            Some(batch) => self.discard_rows(tenant, &group.id, &batch.request).await,
            None => Ok(()),
        }
    }

    async fn discard_rows(&self, tenant: &Tenant, group: &GroupId, request: &str) -> Result<(), StoreError> {
        let rows = self.partition_of(batch_partition(tenant, group.as_str(), request)).await?;
        for some in rows.chunks(MEMBERS_AT_ONCE) {
            let ends =
                some.iter().filter_map(key_of).map(|key| self.commit_if_current(Write::delete(Table::Links, key)));
            try_join_all(ends).await?;
        }
        self.commit_if_current(complete(tenant, &batch_job(group.as_str(), request), request)).await
    }

    /// The ids of a group's batch; nothing for a group without.
    pub(in crate::store) async fn batch_members(
        &self,
        tenant: &Tenant,
        group: &Group,
    ) -> Result<Option<BatchMembers>, StoreError> {
        let Some(batch) = &group.batch else { return Ok(None) };
        let rows = self.partition_of(batch_partition(tenant, group.id.as_str(), &batch.request)).await?;
        BatchMembers::read(batch, &rows).map(Some)
    }

    /// What a group's batch says of some members, of few without reading all its ids; nothing for a group without.
    pub(in crate::store) async fn batch_members_among(
        &self,
        tenant: &Tenant,
        group: &Group,
        ids: &Ids,
    ) -> Result<Option<BatchMembers>, StoreError> {
        let Some(batch) = &group.batch else { return Ok(None) };
        if ids.len() > MAX_BATCH_ROWS_PICKED {
            return self.batch_members(tenant, group).await;
        }
        let ids = || ids.iter().filter(|id| UserId::parse(id).is_some());
        let settled = ids().map(|id| self.link(settled_row(tenant, group.id.as_str(), &batch.request, id)));
        let partition = &batch_partition(tenant, group.id.as_str(), &batch.request);
        let rows = ids().map(|id| self.batch_row_of(partition, id));
        let (rows, settled) = try_join(try_join_all(rows), try_join_all(settled)).await?;
        let rows: Vec<Item> = rows.into_iter().flatten().chain(settled.into_iter().flatten()).collect();
        BatchMembers::read(batch, &rows).map(Some)
    }

    /// The row of a batch that an id would be in.
    async fn batch_row_of(&self, partition: &str, id: &str) -> Result<Vec<Item>, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Links)).consistent_read(true);
        let row = query
            .key_condition_expression("#pk = :pk AND #sk <= :id")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":pk", s(partition))
            .expression_attribute_values(":id", s(id))
            .scan_index_forward(false)
            .limit(1)
            .send();
        Ok(row.await.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default())
    }

    /// Whom later changes have taken out of a batch.
    async fn settled_members(&self, tenant: &Tenant, group: &GroupId, batch: &MemberBatch) -> Result<Ids, StoreError> {
        let partition = batch_partition(tenant, group.as_str(), &batch.request);
        let rows = self.rows_of(partition, Some(SETTLED.to_owned())).await?;
        check_formats(&rows)?;
        Ok(rows.iter().filter_map(settled_member).collect())
    }

    /// Carries out the batch that a request has just committed, as far as there is time, or after the answer where work
    /// goes on. What is left, be it for want of time or because the store failed, is done by the next who writes the
    /// group, or by the worker. What is `known` of the members is not read again.
    pub(super) async fn finish_in_time(&self, tenant: &Tenant, author: &Author, group: &Group, known: &KnownMembers) {
        if group.batch.is_none() || dry_run::is_on() {
            return;
        }
        let Some(slot) = self.background.as_ref().and_then(Background::slot) else {
            return self.finish(tenant, author, group, known).await;
        };
        let (store, author, group, known) = (self.clone(), author.clone(), group.clone(), known.clone());
        let owner = tenant.clone();
        slot.begin(tenant.name(), async move { store.finish(&owner, &author, &group, &known).await });
    }

    async fn finish(&self, tenant: &Tenant, author: &Author, group: &Group, known: &KnownMembers) {
        if let Err(error) = self.await_batch(tenant, author, group, known).await {
            tracing::warn!(%error, "a committed change of members is left to the worker");
        }
    }

    /// Carries out a group's batch, or waits for whoever does, as long as there is time; whether it is done.
    pub(super) async fn await_batch(
        &self,
        tenant: &Tenant,
        author: &Author,
        group: &Group,
        known: &KnownMembers,
    ) -> Result<bool, StoreError> {
        // Where a batch goes on after its answer, the next change waits for the time that both would have had.
        let requests = if self.background.is_some() { 2 } else { 1 };
        let deadline = author.started + Duration::from_secs(requests * JOB_SECONDS_IN_REQUEST);
        let carrier = Carrier { holder: &author.request, now: &|| author.now() };
        let work = async {
            let mut poll = Duration::from_millis(MIN_BATCH_POLL_MS);
            while !self.carry_out_batch(tenant, group, carrier, known).await? {
                tokio::time::sleep(poll).await;
                poll = (2 * poll).min(Duration::from_millis(MAX_BATCH_POLL_MS));
                let now = self.group(tenant, &group.id).await?;
                if now.is_none_or(|now| now.batch != group.batch) {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline, work)
            .await
            .map_or(Ok(false), |done: Result<(), StoreError>| done.map(|()| true))
    }

    /// Carries out a group's batch; `false` if somebody else does.
    pub(in crate::store) async fn carry_out_batch(
        &self,
        tenant: &Tenant,
        group: &Group,
        carrier: Carrier<'_>,
        known: &KnownMembers,
    ) -> Result<bool, StoreError> {
        let Some(batch) = &group.batch else { return Ok(true) };
        let Some(mut done) = self.acquire(tenant, group, batch, carrier).await? else { return Ok(false) };
        let moves = self.moves_of(tenant, group, batch).await?;
        let mut pace = Pace::new();
        while let Some(rest) = moves.get(done..).filter(|rest| !rest.is_empty()) {
            let some = rest.get(..MOVES_LOOKED_UP).unwrap_or(rest);
            let members = &self.members_of(tenant, some, known).await?;
            let settled = &self.settled_members(tenant, &group.id, batch).await?;
            let fence = Fence { batch, carrier, done };
            let read = MembersRead { members, settled };
            if !self.carry_out_moves(tenant, &group.id, (some, read), fence, &mut pace).await? {
                return Ok(false);
            }
            done += some.len();
        }
        self.close(tenant, group, batch).await.map(|()| true)
    }

    /// The members of some moves, as far as they are there: what is known, and what is read.
    async fn members_of(
        &self,
        tenant: &Tenant,
        moves: &[Move],
        known: &KnownMembers,
    ) -> Result<KnownMembers, StoreError> {
        let unknown = moves.iter().map(|each| &each.id).filter(|id| !known.contains_key(*id)).cloned().collect();
        let read = self.prefetch_in_turn(tenant, &unknown).await?;
        let known =
            moves.iter().filter_map(|each| known.get(&each.id)).map(|member| (member.id.clone(), member.clone()));
        Ok(known.chain(read).collect())
    }

    /// Carries out some moves of a batch, in transactions; `false` if the batch is done, or somebody else has it.
    async fn carry_out_moves(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        (moves, known): (&[Move], MembersRead<'_>),
        fence: Fence<'_>,
        pace: &mut Pace,
    ) -> Result<bool, StoreError> {
        let nothing = MembersRead { members: &KnownMembers::new(), settled: &Ids::new() };
        let (mut done, mut size, mut attempt) = (0, MAX_TRANSACTION_MEMBERS, 0);
        while let Some(rest) = moves.get(done..).filter(|rest| !rest.is_empty()) {
            let some = rest.get(..size.min(pace.members())).unwrap_or(rest);
            pace.wait().await;
            let fence = Fence { done: fence.done + done, ..fence };
            // What was read is old by the second attempt.
            let known = if attempt == 0 { known } else { nothing };
            let step = match self.advance(tenant, group, (some, known), Some(fence)).await {
                Err(StoreError::Throttled(_)) if pace.slow_down() => continue,
                step => step?,
            };
            match step {
                Step::Moved(count) => {
                    pace.advance();
                    (done, size, attempt) = (done + count, MAX_TRANSACTION_MEMBERS, 0);
                }
                Step::Fenced => return Ok(false),
                Step::Again if attempt == MAX_CONFLICT_ATTEMPTS => return Err(StoreError::Contended(attempt)),
                Step::Again => {
                    attempt += 1;
                    // The fewer go together, the rarer one of them changes meanwhile.
                    size = (size / 2).max(1);
                    pause(attempt).await;
                }
            }
        }
        Ok(true)
    }

    /// Takes the lease of a batch, if nobody else has it; how many of its moves are done.
    async fn acquire(
        &self,
        tenant: &Tenant,
        group: &Group,
        batch: &MemberBatch,
        carrier: Carrier<'_>,
    ) -> Result<Option<usize>, StoreError> {
        let job = batch_job(group.id.as_str(), &batch.request);
        let now = (carrier.now)();
        let is_free = Condition::absent_or_equals("holder", s(carrier.holder)).or(Condition::less("until", at(now)));
        let lease = Write::update(Table::Links, job_row(tenant, &job))
            .set("holder", s(carrier.holder))
            .set("until", at(now + LEASE))
            .require(&Condition::Exists("req").and(is_free));
        match self.commit(&[lease], "").await {
            Ok(()) => {}
            Err(CommitError::Condition(..)) => return Ok(None),
            Err(CommitError::Store(error)) => return Err(error),
        }
        // A whole change is worked out from the rows as they are: nothing of it is done twice.
        if batch.is_whole {
            return Ok(Some(0));
        }
        Ok(self.job(tenant, &job).await?.map(|job| job.done))
    }

    /// The moves of a batch, in an order that is always the same. Of a whole change those that are left.
    async fn moves_of(&self, tenant: &Tenant, group: &Group, batch: &MemberBatch) -> Result<Vec<Move>, StoreError> {
        let members = self.batch_members(tenant, group).await?.unwrap_or_default();
        let rows = match batch.is_whole {
            true => self.first_member_rows(tenant, &group.id, usize::MAX).await?.0,
            false => Members::new(),
        };
        let to = |id: &String, joins| Move { id: id.clone(), joins };
        let joining = members.add.keys().filter(|id| !rows.contains_key(*id)).map(|id| to(id, true));
        let leaving = rows.keys().filter(|id| !members.add.contains_key(*id)).chain(&members.remove);
        Ok(joining.chain(leaving.map(|id| to(id, false))).collect())
    }

    /// Makes some members join or leave in one transaction, those who have not yet; as many as its bytes allow.
    async fn advance(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        (moves, known): (&[Move], MembersRead<'_>),
        fence: Option<Fence<'_>>,
    ) -> Result<Step, StoreError> {
        let ids: Ids =
            moves.iter().map(|each| &each.id).filter(|id| !known.members.contains_key(*id)).cloned().collect();
        let read = self.prefetch_in_turn(tenant, &ids).await?;
        let settled = match &fence {
            Some(fence) if !ids.is_empty() => self.settled_members(tenant, group, fence.batch).await?,
            _ => known.settled.clone(),
        };
        let (mut writes, mut bytes, mut count) = (Vec::new(), 0, 0);
        for each in moves {
            let member = known.members.get(&each.id).or_else(|| read.get(&each.id));
            bytes += member.map_or(0, |member| member.bytes);
            if bytes > MAX_TRANSACTION_BYTES && count > 0 {
                break;
            }
            count += 1;
            if settled.contains(&each.id) {
                continue;
            }
            writes.extend(each.writes(tenant, group, member, fence.as_ref().map(|fence| fence.batch.at)));
        }
        if writes.is_empty() {
            return Ok(Step::Moved(count));
        }
        let signature = match &fence {
            Some(fence) => (*fence.batch.signature).clone(),
            None => Signature::of_deleted_group(group.as_str()),
        };
        let mut writes = signature.sign_memberships(&writes);
        if let Some(fence) = fence {
            writes.splice(0..0, fence.writes(tenant, group, count));
        }
        match self.commit(&writes, &random_token()).await {
            Ok(()) => Ok(Step::Moved(count)),
            Err(CommitError::Condition(Guard::Batch, _)) => Ok(Step::Fenced),
            Err(CommitError::Condition(..)) => Ok(Step::Again),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Ends a batch: the group no longer names it. Its rows are deleted after that.
    async fn close(&self, tenant: &Tenant, group: &Group, batch: &MemberBatch) -> Result<(), StoreError> {
        let header = Write::update(Table::Groups, group_key(tenant, group.id.as_str()))
            .remove("memberBatch")
            .require(&Condition::equals("memberBatch.req", s(&batch.request)))
            .without_returning_old();
        // Somebody else may have ended it.
        self.commit_if_current(header).await?;
        self.discard_batch(tenant, group).await
    }

    /// Carries out a batch that its request has left, or takes its rows away if it is not pending; `false` if somebody
    /// else carries it out.
    pub(in crate::store) async fn settle_batch(
        &self,
        job: &DeferredJob,
        carrier: Carrier<'_>,
    ) -> Result<bool, StoreError> {
        let Some(id) = job.id.split('.').next().and_then(GroupId::parse) else { return Ok(true) };
        let group = self.group(&job.tenant, &id).await?;
        if let Some(group) = group
            && group.batch.as_ref().is_some_and(|batch| batch.request == job.request)
        {
            return self.carry_out_batch(&job.tenant, &group, carrier, &KnownMembers::new()).await;
        }
        self.discard_rows(&job.tenant, &id, &job.request).await.map(|()| true)
    }

    /// Removes every member from a deleted group.
    pub(in crate::store) async fn release_members(&self, tenant: &Tenant, group: &GroupId) -> Result<(), StoreError> {
        let mut attempt = 0;
        loop {
            let rows = self.some_member_rows(tenant, group).await?;
            let moves: Vec<Move> =
                rows.into_keys().take(MAX_TRANSACTION_MEMBERS).map(|id| Move { id, joins: false }).collect();
            if moves.is_empty() {
                return Ok(());
            }
            let nothing = MembersRead { members: &KnownMembers::new(), settled: &Ids::new() };
            match self.advance(tenant, group, (&moves, nothing), None).await? {
                Step::Again if attempt == MAX_CONFLICT_ATTEMPTS => return Err(StoreError::Contended(attempt)),
                Step::Again => attempt += 1,
                Step::Moved(_) | Step::Fenced => attempt = 0,
            }
            pause(attempt).await;
        }
    }
}

impl Move {
    /// The writes for a member as it was read. Of who is gone, the row is left, and of a deleted group that of a
    /// member that does not know of it. As long as the group is there, such a member is held to what it was.
    fn writes(&self, tenant: &Tenant, group: &GroupId, member: Option<&Member>, at: Option<Timestamp>) -> Vec<Write> {
        match (member, self.joins, at) {
            (Some(member), true, Some(at)) if !member.is_in(group.as_str()) => {
                join_group(tenant, group, member, at).to_vec()
            }
            (Some(member), false, at) if at.is_some() || member.is_in(group.as_str()) => {
                leave_group(tenant, group, member).to_vec()
            }
            (_, false, _) => vec![delete_row(tenant, group, &self.id)],
            _ => Vec::new(),
        }
    }
}

impl Fence<'_> {
    /// The group still has the batch, and the row of work is still this carrier's; it says how far the batch is.
    fn writes(&self, tenant: &Tenant, group: &GroupId, count: usize) -> [Write; 2] {
        let Self { batch, carrier, done } = self;
        let pending = Write::check(Table::Groups, group_key(tenant, group.as_str()))
            .require(&Condition::equals("memberBatch.req", s(&batch.request)))
            .guard(Guard::Batch)
            .without_returning_old();
        let work = Write::update(Table::Links, job_row(tenant, &batch_job(group.as_str(), &batch.request)))
            .set("done", n(done + count))
            .set("until", at((carrier.now)() + LEASE))
            .require(&Condition::equals("holder", s(carrier.holder)))
            .guard(Guard::Batch);
        [pending, work]
    }
}

/// The key of a row that was read.
fn key_of(row: &Item) -> Option<Item> {
    let part = |name: &str| Some((name.to_owned(), row.get(name)?.clone()));
    Some(Item::from([part("pk")?, part("sk")?]))
}
