//! What several rows may do to the tables, by what they are for.

use crate::store::tables::Access;

/// Every way to find users, and the names of their groups.
pub(super) const USER_LIST: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_GET,
    Access::USERS_QUERY,
    Access::USERS_BY_ID,
    Access::USERS_BY_EXTERNAL_ID,
    Access::USERS_BY_EMAIL,
    Access::USERS_BY_HOUR,
    Access::GROUPS_BATCH_GET,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
];

/// Every way to find groups, and their members.
pub(super) const GROUP_LIST: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_BY_ID,
    Access::GROUPS_GET,
    Access::GROUPS_BATCH_GET,
    Access::GROUPS_QUERY,
    Access::GROUPS_BY_NAME,
    Access::GROUPS_BY_EXTERNAL_ID,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
];

/// Both.
pub(super) const ALL_LIST: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_GET,
    Access::USERS_QUERY,
    Access::USERS_BY_ID,
    Access::USERS_BY_EXTERNAL_ID,
    Access::USERS_BY_EMAIL,
    Access::USERS_BY_HOUR,
    Access::GROUPS_GET,
    Access::GROUPS_BATCH_GET,
    Access::GROUPS_QUERY,
    Access::GROUPS_BY_NAME,
    Access::GROUPS_BY_EXTERNAL_ID,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
];

/// Every way to find memberships.
pub(super) const GROUP_MEMBER_LIST: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_BY_ID,
    Access::GROUPS_GET,
    Access::GROUPS_BATCH_GET,
    Access::GROUPS_QUERY,
    Access::LINKS_GET,
    Access::LINKS_BATCH_GET,
    Access::LINKS_QUERY,
];

/// PUT and PATCH: a read by id, an update in place, or for a rename a new item and the end of the old one.
pub(super) const USER_CHANGE: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::USERS_PUT,
    Access::USERS_DELETE,
    Access::GROUPS_BATCH_GET,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// As of a user by id, who is first found by name.
pub(super) const ME_GET: &[Access] =
    &[Access::KEYS_GET, Access::KEYS_TELL_USE, Access::USERS_GET, Access::USERS_BY_ID, Access::GROUPS_BATCH_GET];

/// As [`USER_CHANGE`], of a user found by name.
pub(super) const ME_CHANGE: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_GET,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::USERS_PUT,
    Access::USERS_DELETE,
    Access::GROUPS_BATCH_GET,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// As of a user by id, who is first found by name.
pub(super) const ME_DELETE: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_GET,
    Access::USERS_BY_ID,
    Access::USERS_DELETE,
    Access::GROUPS_UPDATE,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// PUT and PATCH: the group, its name, and for each member that changes a row and the member's own item.
pub(super) const GROUP_CHANGE: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::GROUPS_GET,
    Access::GROUPS_UPDATE,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// What all writes of users, groups and memberships take together: a Bulk may hold any of them.
pub(super) const EVERY_WRITE: &[Access] = &[
    Access::KEYS_GET,
    Access::KEYS_TELL_USE,
    Access::USERS_BY_ID,
    Access::USERS_PUT,
    Access::USERS_UPDATE,
    Access::USERS_DELETE,
    Access::GROUPS_GET,
    Access::GROUPS_BATCH_GET,
    Access::GROUPS_PUT,
    Access::GROUPS_UPDATE,
    Access::GROUPS_DELETE,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];
