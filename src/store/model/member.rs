//! The members of a group, and the row of one.

use std::collections::BTreeMap;

use crate::store::dynamo::item::{Item, optional_text};

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

/// Who a row stands for.
pub(in crate::store) fn member_of_row(row: &Item) -> Option<(String, MemberKind)> {
    Some((optional_text(row, "sk")?.to_owned(), member_kind(row)))
}

pub(in crate::store) fn member_kind(row: &Item) -> MemberKind {
    if optional_text(row, "t") == Some("Group") { MemberKind::Group } else { MemberKind::User }
}
