//! The item that a member of a group is: a user, or another group.

use super::group::{Group, group_key};
use super::member::MemberKind;
use super::record::Membership;
use super::user::User;
use crate::auth::Tenant;
use crate::store::dynamo::item::Item;

/// The item of a member, found by its id.
#[derive(Debug, Clone)]
pub(in crate::store) struct Member {
    pub(in crate::store) id: String,
    pub(in crate::store) kind: MemberKind,
    pub(in crate::store) key: Item,
    pub(in crate::store) membership: Membership,
    /// About how many bytes the item has: a transaction counts the whole of what it changes.
    pub(in crate::store) bytes: usize,
}

/// Keys, times and the other small attributes of an item, at the most.
const OTHER_ATTRIBUTES_BYTES: usize = 2_048;

impl Member {
    pub(in crate::store) fn of_user(tenant: &Tenant, user: User) -> Self {
        let key = user.key(tenant);
        let bytes = bytes(user.record.document.to_stored().len(), &user.membership);
        Self { id: user.id.as_str().to_owned(), kind: MemberKind::User, key, membership: user.membership, bytes }
    }

    pub(in crate::store) fn of_group(tenant: &Tenant, group: Group) -> Self {
        let key = group_key(tenant, group.id.as_str());
        let bytes = bytes(group.record.document.to_stored().len(), &group.parents);
        Self { id: group.id.0, kind: MemberKind::Group, key, membership: group.parents, bytes }
    }

    /// Whether it is a member of a group already.
    pub(in crate::store) fn is_in(&self, group: &str) -> bool {
        self.membership.groups.contains(group)
    }
}

fn bytes(document: usize, membership: &Membership) -> usize {
    document + 16 * membership.groups.len() + OTHER_ATTRIBUTES_BYTES
}
