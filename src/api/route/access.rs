//! Access lists: what a kind of operation does to the tables. A row of the route table names those that it needs, and the
//! role of its function is their union.

use crate::store::dynamo::tables::TablePermission as P;

/// Every authenticated request: the key, an access token and its client, when the key was last used, and that the request
/// was refused.
pub(super) const AUTHENTICATE: &[P] = &[P::KEYS_GET, P::TOKENS_GET, P::KEYS_UPDATE_LAST_USED, P::CHANGES_PUT_REFUSAL];

/// A user by id, and the names of its groups.
pub(super) const READ_USER: &[P] = &[P::USERS_BY_ID, P::GROUPS_BATCH_GET];

/// Whether a user is there.
pub(super) const FIND_USER: &[P] = &[P::USERS_BY_ID];

/// Whether a group is there.
pub(super) const FIND_GROUP: &[P] = &[P::GROUPS_GET];

/// The names of the groups that a group is in.
pub(super) const READ_GROUP_NAMES: &[P] = &[P::GROUPS_BATCH_GET];

/// Users, groups and memberships as they were before; that somebody restores them; and what of a deletion is left.
pub(super) const RESTORE: &[P] = &[
    P::USERS_GET,
    P::USERS_BY_ID,
    P::USERS_PUT,
    P::USERS_UPDATE,
    P::USERS_DELETE,
    P::GROUPS_GET,
    P::GROUPS_BATCH_GET,
    P::GROUPS_PUT,
    P::GROUPS_UPDATE,
    P::LINKS_GET,
    P::LINKS_PUT,
    P::LINKS_DELETE,
    P::LINKS_CHECK,
    P::CHANGES_PUT_ADMIN_ACTION,
];

/// The automation user of a key, by its name.
pub(super) const FIND_ME: &[P] = &[P::USERS_GET];

/// Every way to find users, and the names of their groups.
pub(super) const LIST_USERS: &[P] = &[
    P::USERS_GET,
    P::USERS_QUERY,
    P::USERS_BY_ID,
    P::USERS_BY_EXTERNAL_ID,
    P::USERS_BY_EMAIL,
    P::USERS_BY_HOUR,
    P::GROUPS_BATCH_GET,
    P::LINKS_GET,
    P::LINKS_QUERY,
];

/// A new user, its further addresses, and an idempotency key.
pub(super) const CREATE_USER: &[P] = &[P::USERS_BY_ID, P::USERS_PUT, P::LINKS_GET, P::LINKS_PUT];

/// An update in place, or for a rename a new item and the end of the old one.
pub(super) const CHANGE_USER: &[P] = &[P::USERS_UPDATE, P::USERS_PUT, P::USERS_DELETE, P::LINKS_PUT, P::LINKS_DELETE];

/// A user and its memberships, of many a job; and who deleted it.
pub(super) const DELETE_USER: &[P] = &[
    P::USERS_BY_ID,
    P::USERS_DELETE,
    P::GROUPS_BATCH_GET,
    P::GROUPS_UPDATE,
    P::LINKS_QUERY,
    P::LINKS_PUT,
    P::LINKS_DELETE,
    P::CHANGES_PUT_DELETION,
];

/// A group by id, and its members.
pub(super) const READ_GROUP: &[P] = &[P::GROUPS_GET, P::LINKS_QUERY];

/// Every way to find groups, and their members.
pub(super) const LIST_GROUPS: &[P] = &[
    P::USERS_BY_ID,
    P::GROUPS_GET,
    P::GROUPS_BATCH_GET,
    P::GROUPS_QUERY,
    P::GROUPS_BY_NAME,
    P::GROUPS_BY_EXTERNAL_ID,
    P::LINKS_GET,
    P::LINKS_QUERY,
];

/// The group, its name, and for each member that changes a row and the member's own item; for many, a batch and its row
/// of work.
pub(super) const CHANGE_MEMBERS: &[P] =
    &[P::USERS_BY_ID, P::USERS_UPDATE, P::GROUPS_GET, P::GROUPS_UPDATE, P::LINKS_GET, P::LINKS_QUERY, P::LINKS_PUT];

/// What users have lost access within the window of the tenant's protection, and of how many.
pub(super) const COUNT_USERS: &[P] = &[P::LINKS_GET, P::LINKS_PUT, P::LINKS_UPDATE];

/// How many members a group has lost within that window, and of how many.
pub(super) const COUNT_MEMBERS: &[P] = &[P::LINKS_GET, P::LINKS_QUERY, P::LINKS_PUT, P::LINKS_UPDATE];

/// The conditions of a dry run on users.
pub(super) const CHECK_USERS: &[P] = &[P::USERS_CHECK];

/// Those on groups.
pub(super) const CHECK_GROUPS: &[P] = &[P::GROUPS_CHECK];

/// Those on names and idempotency keys.
pub(super) const CHECK_LINKS: &[P] = &[P::LINKS_CHECK];

/// Those on tenants, keys and automation users.
pub(super) const CHECK_KEYS: &[P] = &[P::KEYS_CHECK];

/// The windows of a tenant's protection.
pub(super) const READ_HOLD: &[P] = &[P::KEYS_GET, P::LINKS_QUERY];

/// What an operator decides of them.
pub(super) const DECIDE_HOLD: &[P] = &[P::LINKS_UPDATE, P::CHANGES_PUT_ADMIN_ACTION];

/// The end of a membership.
pub(super) const REMOVE_MEMBERS: &[P] = &[P::LINKS_DELETE];

/// What carries a batch out: its row of work, the group that has it, many members at once, and the end of its rows.
pub(super) const CARRY_OUT_BATCH: &[P] = &[P::USERS_BATCH_GET, P::GROUPS_CHECK, P::LINKS_UPDATE, P::LINKS_DELETE];

/// Members that a change of others depends on.
pub(super) const HOLD_MEMBERS: &[P] = &[P::USERS_CHECK];

/// A new group.
pub(super) const PUT_GROUP: &[P] = &[P::GROUPS_PUT];

/// The end of a group, and who ended it.
pub(super) const DELETE_GROUP: &[P] = &[P::GROUPS_BATCH_GET, P::GROUPS_DELETE, P::CHANGES_PUT_DELETION];

/// What has happened.
pub(super) const READ_FEED: &[P] = &[P::CHANGES_QUERY];

/// What has happened to one resource, too: the rows that its history names.
pub(super) const READ_LOG: &[P] = &[P::CHANGES_QUERY, P::CHANGES_BATCH_GET];

/// The row of one member.
pub(super) const READ_MEMBERSHIP: &[P] = &[P::LINKS_GET];

/// Every way to find memberships.
pub(super) const LIST_MEMBERSHIPS: &[P] = &[
    P::USERS_BY_ID,
    P::GROUPS_GET,
    P::GROUPS_BATCH_GET,
    P::GROUPS_QUERY,
    P::LINKS_GET,
    P::LINKS_BATCH_GET,
    P::LINKS_QUERY,
];

/// A new credential of a tenant whose record has not changed meanwhile.
pub(super) const CREATE_KEY: &[P] = &[
    P::KEYS_GET,
    P::TOKENS_GET,
    P::KEYS_PUT,
    P::KEYS_UPDATE,
    P::KEYS_CHECK,
    P::CHANGES_PUT_ADMIN_ACTION,
    P::CHANGES_PUT_REFUSAL,
];

/// A new access token of a client, and that the client was used. It is stored next to no key: who asks for tokens needs no
/// key, and the role of that function must write none.
pub(super) const ISSUE_TOKEN: &[P] =
    &[P::KEYS_GET, P::KEYS_UPDATE_LAST_USED, P::TOKENS_PUT, P::TOKENS_UPDATE, P::CHANGES_PUT_REFUSAL];

/// All credentials of a tenant.
pub(super) const LIST_KEYS: &[P] = &[P::KEYS_QUERY];

/// A tenant's or an automation user's record, and its copies on the keys.
pub(super) const CHANGE_KEYS: &[P] = &[
    P::KEYS_GET,
    P::TOKENS_GET,
    P::KEYS_PUT,
    P::KEYS_UPDATE,
    P::KEYS_QUERY,
    P::CHANGES_PUT_ADMIN_ACTION,
    P::CHANGES_PUT_REFUSAL,
];

/// The end of a credential.
pub(super) const REVOKE_KEY: &[P] =
    &[P::KEYS_GET, P::TOKENS_GET, P::KEYS_REVOKE, P::CHANGES_PUT_ADMIN_ACTION, P::CHANGES_PUT_REFUSAL];

/// All tenants.
pub(super) const LIST_TENANTS: &[P] = &[P::KEYS_SCAN];

/// A tenant's record, and its counter.
pub(super) const CREATE_TENANT: &[P] = &[P::KEYS_PUT, P::LINKS_PUT, P::CHANGES_PUT_ADMIN_ACTION];

/// What a tenant has and does.
pub(super) const READ_LOAD: &[P] = &[P::LINKS_GET, P::CHANGES_QUERY];

/// The number of a tenant's users, and the users that it is of.
pub(super) const COUNT_TENANT: &[P] = &[P::USERS_BY_ID, P::LINKS_GET, P::LINKS_PUT];

/// Everything that a tenant has of users, groups and links.
pub(super) const VERIFY_TENANT: &[P] = &[
    P::USERS_QUERY,
    P::USERS_BY_ID,
    P::USERS_BATCH_GET,
    P::GROUPS_GET,
    P::GROUPS_BATCH_GET,
    P::GROUPS_QUERY,
    P::LINKS_GET,
    P::LINKS_BATCH_GET,
    P::LINKS_QUERY,
    P::LINKS_SCAN,
];

/// What mends it.
pub(super) const REPAIR_TENANT: &[P] = &[
    P::USERS_PUT,
    P::USERS_UPDATE,
    P::USERS_DELETE,
    P::USERS_CHECK,
    P::GROUPS_UPDATE,
    P::GROUPS_CHECK,
    P::LINKS_PUT,
    P::LINKS_UPDATE,
    P::LINKS_DELETE,
];

/// A tenant's record and the copies on its keys, and the job that ends it.
pub(super) const CLOSE_TENANT: &[P] = &[
    P::KEYS_GET,
    P::TOKENS_GET,
    P::KEYS_PUT,
    P::KEYS_UPDATE,
    P::KEYS_QUERY,
    P::LINKS_PUT,
    P::CHANGES_PUT_ADMIN_ACTION,
    P::CHANGES_PUT_REFUSAL,
];

/// The same, without the job.
pub(super) const REOPEN_TENANT: &[P] = &[
    P::KEYS_GET,
    P::TOKENS_GET,
    P::KEYS_PUT,
    P::KEYS_UPDATE,
    P::KEYS_QUERY,
    P::LINKS_DELETE,
    P::CHANGES_PUT_ADMIN_ACTION,
    P::CHANGES_PUT_REFUSAL,
];

/// Users, groups and memberships, one after the other.
pub(super) const EXPORT_TENANT: &[P] = &[P::USERS_BY_ID, P::GROUPS_GET, P::GROUPS_QUERY, P::LINKS_QUERY];

/// New users, groups and memberships.
pub(super) const IMPORT_TENANT: &[P] = &[
    P::USERS_BY_ID,
    P::USERS_PUT,
    P::USERS_UPDATE,
    P::GROUPS_GET,
    P::GROUPS_PUT,
    P::GROUPS_UPDATE,
    P::GROUPS_CHECK,
    P::LINKS_PUT,
];

/// A tenant's record.
pub(super) const RAISE_FORMAT: &[P] = &[P::KEYS_PUT];
/// A new link to the page, next to the access tokens: it is no key.
pub(super) const CREATE_LINK: &[P] = &[P::TOKENS_PUT, P::CHANGES_PUT_ADMIN_ACTION];

/// The conditions of a dry run on links.
pub(super) const CHECK_TOKENS: &[P] = &[P::TOKENS_CHECK];

/// The end of a link that nobody has used.
pub(super) const REVOKE_LINK: &[P] = &[P::TOKENS_REVOKE_LINK, P::CHANGES_PUT_ADMIN_ACTION];

/// A link, and the session that it begins; the end of a session. Who signs in needs no key, and the role of that function
/// must write none, nor change an access token.
pub(super) const SIGN_IN: &[P] = &[
    P::KEYS_GET,
    P::TOKENS_GET,
    P::TOKENS_PUT,
    P::TOKENS_UPDATE_SESSION,
    P::CHANGES_PUT_ADMIN_ACTION,
    P::CHANGES_PUT_REFUSAL,
];

/// Every page of a session: the session, its tenant, when the session was last used, and that a request was refused.
pub(super) const PAGE: &[P] = &[P::TOKENS_GET, P::TOKENS_UPDATE_SEEN, P::KEYS_GET, P::CHANGES_PUT_REFUSAL];

/// Users and groups by a name, an address or an id, and how many there are.
pub(super) const FIND_RESOURCES: &[P] = &[
    P::USERS_GET,
    P::USERS_BY_ID,
    P::USERS_BY_EXTERNAL_ID,
    P::USERS_BY_EMAIL,
    P::GROUPS_GET,
    P::GROUPS_BATCH_GET,
    P::GROUPS_BY_NAME,
    P::GROUPS_BY_EXTERNAL_ID,
    P::LINKS_GET,
    P::LINKS_QUERY,
];

/// What the forms of the page change, by the admin API: keys, automation users and settings.
pub(super) const CHANGE_BY_PAGE: &[P] = &[P::KEYS_PUT, P::KEYS_UPDATE, P::KEYS_CHECK];

/// What the checks of the page look for, and the conditions of what they try: a user by name and by id, with its groups.
pub(super) const TRY_BY_PAGE: &[P] =
    &[P::USERS_GET, P::USERS_BY_ID, P::GROUPS_BATCH_GET, P::USERS_CHECK, P::GROUPS_CHECK, P::LINKS_CHECK];
