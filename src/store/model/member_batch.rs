//! A change of more members than a transaction takes. The group's item names it from the write that commits it until it
//! is carried out; the ids stand in rows of their own, so that the group's item stays small.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::format::check_formats;
use super::id::GroupId;
use super::member::{MemberKind, Members};
use super::record::{Author, id_set, id_set_value};
use super::signature::Signature;
use crate::auth::Tenant;
use crate::limits::MEMBERS_PER_BATCH_ROW;
use crate::scim::membership::Ids;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, at, instant, missing_attribute, optional_text, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::Write;
use crate::store::rows::{SETTLED, batch_row};

/// The sets of ids in a row.
const USERS: &str = "add";
const GROUPS: &str = "addGroups";
const REMOVE: &str = "remove";

/// A change of many members, as the group's item names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct MemberBatch {
    /// The attempt of a request that committed it: unique.
    pub(in crate::store) request: String,
    /// When it was committed.
    pub(in crate::store) at: Timestamp,
    /// Whether nobody but who joins is a member afterwards.
    pub(in crate::store) is_whole: bool,
    /// Who committed it, for the members that it moves.
    pub(in crate::store) signature: Box<Signature>,
}

/// Who joins and who leaves by a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct BatchMembers {
    pub(in crate::store) add: Members,
    pub(in crate::store) remove: Ids,
    /// As [`MemberBatch::is_whole`].
    pub(in crate::store) is_whole: bool,
    /// Whom a later change has settled. The batch says nothing of them: their own rows do.
    pub(in crate::store) settled: Ids,
}

impl MemberBatch {
    pub(in crate::store) fn new(author: &Author, attempt: usize, members: &BatchMembers) -> Self {
        Self {
            request: author.token(attempt),
            // As it is read again.
            at: Timestamp::from_millisecond(author.at.as_millisecond()).unwrap_or(author.at),
            is_whole: members.is_whole,
            signature: Box::new(Signature::of(author)),
        }
    }

    pub(in crate::store) fn value(&self) -> AttributeValue {
        AttributeValue::M(HashMap::from([
            ("req".to_owned(), s(&self.request)),
            ("at".to_owned(), at(self.at)),
            ("whole".to_owned(), AttributeValue::Bool(self.is_whole)),
            ("mby".to_owned(), self.signature.value()),
        ]))
    }

    /// The batch of a group's item, if it has one.
    ///
    /// # Errors
    /// For one that cannot be read: it is not nothing.
    pub(in crate::store) fn read(group: &Item) -> Result<Option<Self>, StoreError> {
        let Some(value) = group.get("memberBatch") else { return Ok(None) };
        let map = value.as_m().map_err(|_| missing_attribute("memberBatch"))?;
        let is_whole = map.get("whole").and_then(|whole| whole.as_bool().ok());
        Ok(Some(Self {
            request: text(map, "req")?.to_owned(),
            at: instant(map, "at")?,
            is_whole: *is_whole.ok_or_else(|| missing_attribute("memberBatch.whole"))?,
            signature: Box::new(map.get("mby").map(Signature::read).unwrap_or_default()),
        }))
    }
}

impl BatchMembers {
    /// Whether and as what somebody is a member once the batch is carried out.
    pub(in crate::store) fn kind_of(&self, id: &str, before: Option<MemberKind>) -> Option<MemberKind> {
        match self.add.get(id) {
            _ if self.settled.contains(id) => before,
            Some(kind) => Some(*kind),
            None => before.filter(|_| !self.is_whole && !self.remove.contains(id)),
        }
    }

    /// Changes a list as the batch does.
    pub(in crate::store) fn apply(&self, members: &mut Members) {
        let is_settled = |id: &String| self.settled.contains(id);
        members.retain(|id, _| is_settled(id) || (!self.is_whole && !self.remove.contains(id)));
        let add = self.add.iter().filter(|(id, _)| !is_settled(id));
        members.extend(add.map(|(id, kind)| (id.clone(), *kind)));
    }

    /// The rows that hold the ids, in their order.
    pub(in crate::store) fn writes(&self, tenant: &Tenant, group: &GroupId, batch: &MemberBatch) -> Vec<Write> {
        let of_kind = |kind| if kind == MemberKind::User { USERS } else { GROUPS };
        let add = self.add.iter().map(|(id, kind)| (id, of_kind(*kind)));
        let mut all: Vec<_> = add.chain(self.remove.iter().map(|id| (id, REMOVE))).collect();
        all.sort_unstable();
        let row = |ids: &[(&String, &str)]| {
            let first = ids.first().map_or("", |(id, _)| id);
            let mut row = batch_row(tenant, group.as_str(), &batch.request, first);
            for set in [USERS, GROUPS, REMOVE] {
                let of_set = ids.iter().filter(|(_, name)| *name == set).map(|(id, _)| *id);
                row.extend(id_set_value(of_set).map(|value| (set.to_owned(), value)));
            }
            Write::put(Table::Links, row)
        };
        all.chunks(MEMBERS_PER_BATCH_ROW).map(row).collect()
    }

    /// The ids of a batch's rows, and those whom a later change has settled.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a row that this release cannot read.
    pub(in crate::store) fn read(batch: &MemberBatch, rows: &[Item]) -> Result<Self, StoreError> {
        check_formats(rows)?;
        let mut members = Self { is_whole: batch.is_whole, ..Self::default() };
        for row in rows {
            for (set, kind) in [(USERS, MemberKind::User), (GROUPS, MemberKind::Group)] {
                members.add.extend(id_set(row, set).into_iter().map(|id| (id, kind)));
            }
            members.remove.extend(id_set(row, REMOVE));
            members.settled.extend(settled_member(row));
        }
        Ok(members)
    }
}

/// Whom a row takes out of its batch.
pub(in crate::store) fn settled_member(row: &Item) -> Option<String> {
    optional_text(row, "sk")?.strip_prefix(SETTLED).map(str::to_owned)
}
