//! The members of a group, and the row of one.

use std::collections::BTreeMap;

use super::format::check_formats;
use crate::store::StoreError;
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

/// Who the rows of a group stand for.
///
/// # Errors
/// [`StoreError::Newer`] for a row that this release cannot read.
pub(in crate::store) fn members_of_rows(rows: &[Item]) -> Result<Members, StoreError> {
    check_formats(rows)?;
    let member = |row: &Item| Some((optional_text(row, "sk")?.to_owned(), member_kind(row)));
    Ok(rows.iter().filter_map(member).collect())
}

pub(in crate::store) fn member_kind(row: &Item) -> MemberKind {
    if optional_text(row, "t") == Some("Group") { MemberKind::Group } else { MemberKind::User }
}
