//! What an examination of a tenant's data finds: items and rows that contradict each other.

use serde::Serialize;

/// Writes [`DataCheck`] and its table: variant, name, meaning.
macro_rules! checks {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A rule that the items of a tenant keep. Each invariant of ARCHITECTURE.md that can be read from the tables is
        /// one or several.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DataCheck {
            $(#[doc = $meaning] $variant,)*
        }

        impl DataCheck {
            /// Every check.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What is wrong where it fails.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

checks! {
    UserUnreadable "user.unreadable" "A user's item cannot be read. Nothing mends it; restore the user from a backup.";
    UserKey "user.key" "The key of a user's item is not the folded `userName` of its document.";
    UserExternalId "user.external-id" "The `externalId` by which a user is found is not that of its document.";
    UserEmail "user.email" "The address by which a user is found is not the first of its document.";
    UserHour "user.hour" "The hour by which a user is found is not that of its last change.";
    UserEmailRow "user.email-row" "A further address of a user has no row.";
    UserTwice "user.twice" "Two items have the id of one user.";
    GroupUnreadable "group.unreadable" "A group's item cannot be read. Nothing mends it; restore the group from a backup.";
    GroupName "group.name" "The name by which a group is found is not that of its document.";
    GroupExternalId "group.external-id" "The `externalId` by which a group is found is not that of its document.";
    GroupNameRow "group.name-row" "A group does not own its name: its row is missing, or names a group that is gone.";
    GroupNameShared "group.name-shared" "Two groups have one name. Nothing mends it; rename one of them.";
    BatchUnreadable "batch.unreadable" "A group names a change of many members that cannot be read.";
    BatchJob "batch.job" "A group names a change of many members that no job carries out.";
    BatchEmpty "batch.empty" "A group names a change of many members whose ids are missing.";
    MembershipRow "membership.row" "A member names a group that has no row of it.";
    MembershipGroup "membership.group" "A member names a group that does not exist.";
    MemberRowGroup "member-row.group" "A row of a member is of a group that does not exist.";
    MemberRowMember "member-row.member" "A row of a member is of a user or group that does not exist.";
    MemberRowMembership "member-row.membership" "A row of a member is of a user or group that does not name the group.";
    MemberRowType "member-row.type" "A row of a member has the wrong type.";
    MemberRowCreated "member-row.created" "A row of a member does not say since when it is one.";
    NameRow "name-row" "A name belongs to a group that does not exist, or has another name.";
    EmailRow "email-row" "An address has a row of a user that does not exist, or has it no more.";
    BatchRow "batch-row" "Ids are left of a change of many members that is not pending.";
    JobUnreadable "job.unreadable" "A job cannot be read.";
    JobLane "job.lane" "A job is in another lane than the one in which it is looked for.";
    TombstoneJob "tombstone.job" "A deleted user or group is hidden, and no job ends that.";
    TombstoneLiving "tombstone.living" "A user or group that exists is hidden from lists of members.";
    Count "count" "The number of users that is stored is not that of the users.";
}

/// One contradiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damage {
    /// The name of the check that failed.
    pub check: &'static str,
    /// The ids of what it is about.
    pub target: String,
    /// What is there, and what should be. No names and addresses.
    pub detail: String,
    /// Whether a repair has mended it.
    pub is_mended: bool,
}

impl Damage {
    /// What an examination finds.
    pub fn new(check: DataCheck, target: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.as_str(), target: target.into(), detail: detail.into(), is_mended: false }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Examined {
    /// Users.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Rows of table `links`.
    pub rows: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_check_has_a_name_of_its_own() {
        let names: BTreeSet<_> = DataCheck::ALL.iter().map(|check| check.as_str()).collect();
        assert_eq!(names.len(), DataCheck::ALL.len());
    }
}
