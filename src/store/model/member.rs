//! A member of a group: its row, the item it stands for, and the change of many members that a group's item holds.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::record::{Author, Membership, id_set, id_set_value};
use super::signature::Signature;
use super::user::User;
use crate::auth::Tenant;
use crate::limits::MAX_TRANSACTION_MEMBERS;
use crate::scim::membership::Ids;
use crate::store::dynamo::item::{Item, at, optional_instant, optional_text, s};

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKind {
    /// A user.
    User,
    /// Another group.
    Group,
}

/// The members of a group: ids, and what they are.
pub type Members = BTreeMap<String, MemberKind>;

/// The item of a member, found by its id.
#[derive(Debug, Clone)]
pub(in crate::store) struct Member {
    pub(in crate::store) id: String,
    pub(in crate::store) kind: MemberKind,
    pub(in crate::store) key: Item,
    pub(in crate::store) membership: Membership,
}

impl Member {
    pub(in crate::store) fn of_user(tenant: &Tenant, user: User) -> Self {
        let key = user.key(tenant);
        Self { id: user.id.as_str().to_owned(), kind: MemberKind::User, key, membership: user.membership }
    }
}

/// The sets of ids in a stored job.
const USERS: &str = "add";
const GROUPS: &str = "addGroups";
const REMOVE: &str = "remove";

/// A change of more members than a transaction takes, kept in the group's item from the write that commits it until
/// it is carried out. Readers take it into account; whoever is to write next carries it out first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct MemberBatch {
    pub(in crate::store) add: Members,
    pub(in crate::store) remove: Ids,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) request: String,
    pub(in crate::store) signature: Box<Signature>,
}

impl MemberBatch {
    /// The job for a change that does not fit a transaction; none for one that does.
    pub(in crate::store) fn for_many(author: &Author, joining: &[Member], leaving: &[Member]) -> Option<Self> {
        (joining.len() + leaving.len() > MAX_TRANSACTION_MEMBERS).then(|| Self {
            add: joining.iter().map(|member| (member.id.clone(), member.kind)).collect(),
            remove: leaving.iter().map(|member| member.id.clone()).collect(),
            // As it is read again.
            at: Timestamp::from_millisecond(author.at.as_millisecond()).unwrap_or(author.at),
            request: author.request.clone(),
            signature: Box::new(Signature::of(author)),
        })
    }

    pub(in crate::store) fn value(&self) -> AttributeValue {
        let of_kind = |kind| self.add.iter().filter(move |(_, is)| **is == kind).map(|(id, _)| id);
        let sets = [
            (USERS, id_set_value(of_kind(MemberKind::User))),
            (GROUPS, id_set_value(of_kind(MemberKind::Group))),
            (REMOVE, id_set_value(&self.remove)),
        ];
        let sets = sets.into_iter().filter_map(|(name, ids)| Some((name.to_owned(), ids?)));
        let signature = ("mby".to_owned(), self.signature.value());
        let rest = [("req".to_owned(), s(&self.request)), ("at".to_owned(), at(self.at)), signature];
        AttributeValue::M(sets.chain(rest).collect())
    }

    pub(in crate::store) fn read(value: &AttributeValue) -> Option<Self> {
        let map = value.as_m().ok()?;
        let add = [(USERS, MemberKind::User), (GROUPS, MemberKind::Group)];
        Some(Self {
            add: add
                .into_iter()
                .flat_map(|(set, kind)| id_set(map, set).into_iter().map(move |id| (id, kind)))
                .collect(),
            remove: id_set(map, REMOVE),
            at: optional_instant(map, "at")?,
            request: map.get("req")?.as_s().ok()?.clone(),
            signature: Box::new(map.get("mby").map(Signature::read).unwrap_or_default()),
        })
    }
}

/// Who a row stands for.
pub(in crate::store) fn member_of_row(row: &Item) -> Option<(String, MemberKind)> {
    Some((optional_text(row, "sk")?.to_owned(), member_kind(row)))
}

pub(in crate::store) fn member_kind(row: &Item) -> MemberKind {
    if optional_text(row, "t") == Some("Group") { MemberKind::Group } else { MemberKind::User }
}
