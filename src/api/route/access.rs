//! What several rows may do to the tables, by what they are for.

use crate::store::tables::TablePermission;

/// Every way to find users, and the names of their groups.
pub(super) const USER_LIST: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_GET,
    TablePermission::USERS_QUERY,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_BY_EXTERNAL_ID,
    TablePermission::USERS_BY_EMAIL,
    TablePermission::USERS_BY_HOUR,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
];

/// Every way to find groups, and their members.
pub(super) const GROUP_LIST: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_BY_ID,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::GROUPS_QUERY,
    TablePermission::GROUPS_BY_NAME,
    TablePermission::GROUPS_BY_EXTERNAL_ID,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
];

/// Both.
pub(super) const ALL_LIST: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_GET,
    TablePermission::USERS_QUERY,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_BY_EXTERNAL_ID,
    TablePermission::USERS_BY_EMAIL,
    TablePermission::USERS_BY_HOUR,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::GROUPS_QUERY,
    TablePermission::GROUPS_BY_NAME,
    TablePermission::GROUPS_BY_EXTERNAL_ID,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
];

/// Every way to find memberships.
pub(super) const GROUP_MEMBER_LIST: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_BY_ID,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::GROUPS_QUERY,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_BATCH_GET,
    TablePermission::LINKS_QUERY,
];

/// PUT and PATCH: a read by id, an update in place, or for a rename a new item and the end of the old one.
pub(super) const USER_CHANGE: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_UPDATE,
    TablePermission::USERS_PUT,
    TablePermission::USERS_DELETE,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_DELETE,
];

/// As of a user by id, who is first found by name.
pub(super) const ME_GET: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_GET,
    TablePermission::USERS_BY_ID,
    TablePermission::GROUPS_BATCH_GET,
];

/// As [`USER_CHANGE`], of a user found by name.
pub(super) const ME_CHANGE: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_GET,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_UPDATE,
    TablePermission::USERS_PUT,
    TablePermission::USERS_DELETE,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_DELETE,
];

/// As of a user by id, who is first found by name.
pub(super) const ME_DELETE: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_GET,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_DELETE,
    TablePermission::GROUPS_UPDATE,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_DELETE,
];

/// PUT and PATCH: the group, its name, and for each member that changes a row and the member's own item.
pub(super) const GROUP_CHANGE: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_UPDATE,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_UPDATE,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_DELETE,
];

/// What all writes of users, groups and memberships take together: a Bulk may hold any of them.
pub(super) const EVERY_WRITE: &[TablePermission] = &[
    TablePermission::KEYS_GET,
    TablePermission::KEYS_UPDATE_LAST_USED,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_PUT,
    TablePermission::USERS_UPDATE,
    TablePermission::USERS_DELETE,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::GROUPS_PUT,
    TablePermission::GROUPS_UPDATE,
    TablePermission::GROUPS_DELETE,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_DELETE,
];
