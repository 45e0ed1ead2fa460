//! How one member joins or leaves a group: a row under the group, and the group's id in the member's own item.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::limits::{MAX_TRANSACTION_BYTES, MAX_TRANSACTION_MEMBERS};
use crate::scim::membership::Ids;
use crate::store::dynamo::item::{at, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::id::GroupId;
use crate::store::model::member::MemberKind;
use crate::store::model::member_batch::{BatchMembers, MemberBatch};
use crate::store::model::member_item::Member;
use crate::store::model::record::id_bytes;
use crate::store::rows::{member_row, settled_row};

/// The batch that a group has, while a smaller change is committed next to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending<'a> {
    pub(super) batch: &'a MemberBatch,
    /// Its ids, read after the members of the smaller change.
    pub(super) members: &'a BatchMembers,
}

/// Who joins a group and who leaves it, as the store returned them.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Who is to be a member.
    pub(super) join: Vec<Member>,
    /// Who leaves.
    pub(super) leave: Vec<Member>,
    /// Deleted users whose rows are left.
    pub(super) dead: Ids,
}

impl Moves {
    /// Moves between the rows of a group, all of which are known, and a list: whoever has a row and does not know of the
    /// group loses the row.
    pub(super) fn of_rows(group: &GroupId, join: Vec<Member>, leave: Vec<Member>, mut dead: Ids) -> Self {
        let (leave, strangers): (Vec<_>, Vec<_>) = leave.into_iter().partition(|member| member.is_in(group.as_str()));
        dead.extend(strangers.into_iter().map(|member| member.id));
        Self { join: join.into_iter().filter(|member| !member.is_in(group.as_str())).collect(), leave, dead }
    }

    /// Whether everybody is as asked.
    pub(super) fn is_done(&self, group: &GroupId, pending: Option<Pending<'_>>) -> bool {
        self.dead.is_empty()
            && self.join.iter().all(|member| is_member(member, group, pending))
            && !self.leave.iter().any(|member| is_member(member, group, pending))
    }

    /// How many members leave who are members.
    pub(super) fn count_leaving(&self, group: &GroupId, pending: Option<Pending<'_>>) -> i64 {
        let leaving = self.leave.iter().filter(|member| is_member(member, group, pending)).count();
        i64::try_from(leaving).unwrap_or(i64::MAX)
    }

    /// Whether all fits one transaction, with whatever else a change of a group writes.
    pub(super) fn fits(&self, pending: Option<Pending<'_>>) -> bool {
        let limit = if pending.is_some() { MAX_TRANSACTION_MEMBERS * 2 / 3 } else { MAX_TRANSACTION_MEMBERS };
        let all = || self.join.iter().chain(&self.leave);
        let count = self.join.len() + self.leave.len() + self.dead.len();
        count <= limit && all().map(|member| member.bytes).sum::<usize>() <= MAX_TRANSACTION_BYTES
    }

    /// The writes of a transaction. Who is as asked already is held to it: otherwise what another change does to one of
    /// them meanwhile would be lost, or half of this change. Who is not, is taken out of a pending batch.
    pub(super) fn writes(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        pending: Option<Pending<'_>>,
        now: Timestamp,
    ) -> Vec<Write> {
        let settle = |member: &Member| {
            let row = |batch: Pending<'_>| settled_row(tenant, group.as_str(), &batch.batch.request, &member.id);
            pending.map(|batch| Write::put(Table::Links, row(batch)))
        };
        let join = self.join.iter().flat_map(|member| match is_member(member, group, pending) {
            true => vec![hold(member)],
            false => join_group(tenant, group, member, now).into_iter().chain(settle(member)).collect(),
        });
        let leave = self.leave.iter().flat_map(|member| match is_member(member, group, pending) {
            true => leave_group(tenant, group, member).into_iter().chain(settle(member)).collect(),
            false => vec![hold(member)],
        });
        join.chain(leave).chain(self.dead.iter().map(|id| delete_row(tenant, group, id))).collect()
    }
}

/// Whether somebody is a member once a pending batch is carried out.
fn is_member(member: &Member, group: &GroupId, pending: Option<Pending<'_>>) -> bool {
    let now = member.is_in(group.as_str()).then_some(member.kind);
    pending.map_or(now, |pending| pending.members.kind_of(&member.id, now)).is_some()
}

/// A member joins, if none of its memberships has changed since it was read: a late try of a request that was given up
/// cannot bring a member back.
pub(super) fn join_group(tenant: &Tenant, group: &GroupId, member: &Member, now: Timestamp) -> [Write; 2] {
    let mut row = member_row(tenant, group.as_str(), &member.id);
    row.insert("created".into(), at(now));
    row.insert("t".into(), s(if member.kind == MemberKind::User { "User" } else { "Group" }));
    let item = Write::update(table(member), member.key.clone()).increment("gver");
    [Write::put(Table::Links, row), unchanged(item.add_to_set("groupIds", id_value(group)), member)]
}

/// A member leaves, under the same condition.
pub(super) fn leave_group(tenant: &Tenant, group: &GroupId, member: &Member) -> [Write; 2] {
    let item = Write::update(table(member), member.key.clone()).increment("gver");
    [delete_row(tenant, group, &member.id), unchanged(item.delete_from_set("groupIds", id_value(group)), member)]
}

pub(super) fn delete_row(tenant: &Tenant, group: &GroupId, member: &str) -> Write {
    Write::delete(Table::Links, member_row(tenant, group.as_str(), member))
}

/// A member stays as it was read.
fn hold(member: &Member) -> Write {
    unchanged(Write::check(table(member), member.key.clone()), member)
}

fn unchanged(write: Write, member: &Member) -> Write {
    write
        .require(&Condition::equals("id", s(&member.id)))
        .require(&Condition::absent_or_equals("gver", n(member.membership.version)))
        .guard(Guard::Member)
        .without_returning_old()
}

fn table(member: &Member) -> Table {
    if member.kind == MemberKind::User { Table::Users } else { Table::Groups }
}

/// The id of a group as a value of a member's set.
fn id_value(group: &GroupId) -> AttributeValue {
    AttributeValue::Bs(id_bytes(group.as_str()).into_iter().collect())
}
