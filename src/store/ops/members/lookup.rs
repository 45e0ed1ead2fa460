//! Looks up what the members of a change are: users, of which there may be many, or other groups.

use std::collections::BTreeMap;

use futures_util::future::{join, try_join_all};

use super::PrefetchedMembers;
use crate::auth::Tenant;
use crate::limits::{MAX_GROUPS_PER_USER, MEMBERS_AT_ONCE};
use crate::scim::membership::Ids;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::Item;
use crate::store::dynamo::tables::Table;
use crate::store::model::group::GroupError;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member_item::Member;
use crate::store::model::user::User;
use crate::store::{Store, StoreError};

/// Ids that are looked up by one range of the index.
const IDS_PER_RANGE: usize = 1_000;

/// Most keys that are read to find the ids of one range: some 100 bytes each, a page of 1 MB. With more users than that
/// between them, the ids are cheaper to look up one by one.
const MAX_RANGE_KEYS: i32 = 8_000;

impl Store {
    /// The members-to-be, members already or not; every one must exist.
    pub(super) async fn resolve_additions(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        ids: &Ids,
        known: &PrefetchedMembers,
    ) -> Result<Vec<Member>, GroupError> {
        if ids.contains(group.as_str()) {
            return Err(GroupError::OwnMember);
        }
        let found = self.find_members(tenant, ids, known).await?;
        let mut members = Vec::new();
        for (id, member) in ids.iter().cloned().zip(found) {
            // What an earlier operation of a dry run would have created has no item to be held to.
            if member.is_none() && dry_run::has_created(&id) {
                continue;
            }
            let member = member.ok_or_else(|| GroupError::NoSuchMember(id.clone()))?;
            if !member.is_in(group.as_str()) && member.membership.groups.len() >= MAX_GROUPS_PER_USER {
                return Err(GroupError::TooManyGroups(id));
            }
            members.push(member);
        }
        Ok(members)
    }

    /// Those of the ids that are there, members or not; and those that have a row and are no more. A group is not its own
    /// member.
    pub(super) async fn resolve_removals(
        &self,
        tenant: &Tenant,
        group: &GroupId,
        ids: &Ids,
        known: &PrefetchedMembers,
    ) -> Result<(Vec<Member>, Ids), StoreError> {
        let found = self.find_members(tenant, ids, known).await?;
        let absent = ids.iter().zip(&found).filter(|(_, member)| member.is_none()).map(|(id, _)| id.clone());
        let dead = self.map_concurrently(&absent.collect(), |id| self.row_of_nobody(tenant, group, id)).await?;
        let members = found.into_iter().flatten().filter(|member| member.id != group.as_str());
        Ok((members.collect(), dead.into_iter().flatten().collect()))
    }

    /// The members of those ids that are there, by id.
    pub(in crate::store) async fn prefetch_in_turn(
        &self,
        tenant: &Tenant,
        ids: &Ids,
    ) -> Result<BTreeMap<String, Member>, StoreError> {
        let found = self.find_members(tenant, ids, &PrefetchedMembers::default()).await?;
        Ok(found.into_iter().flatten().map(|member| (member.id.clone(), member)).collect())
    }

    async fn row_of_nobody(&self, tenant: &Tenant, group: &GroupId, id: &str) -> Result<Option<String>, StoreError> {
        Ok(self.member_row_of(tenant, group, id).await?.map(|_| id.to_owned()))
    }

    /// What each id is, in their order. Of many, most are found by the ranges of the index that they lie in.
    async fn find_members(
        &self,
        tenant: &Tenant,
        ids: &Ids,
        known: &PrefetchedMembers,
    ) -> Result<Vec<Option<Member>>, StoreError> {
        let users = match ids.len() > MEMBERS_AT_ONCE {
            true => self.users_in_ranges(tenant, ids).await?,
            false => BTreeMap::new(),
        };
        let find = |id| {
            let (user, known) = (users.get(id), known.0.get(id));
            async move {
                match (user, known) {
                    (Some(user), _) => Ok(Some(user.clone())),
                    (None, Some(member)) => Ok(member.clone()),
                    (None, None) => self.member_in_turn(tenant, id).await,
                }
            }
        };
        self.map_concurrently(ids, find).await
    }

    /// Those of many ids that are users and lie close together: the keys come from the index, a range of it for some ids,
    /// and the items from as few calls as they need. Who is hidden by a rename, or beyond the end of a range, is left out.
    async fn users_in_ranges(&self, tenant: &Tenant, ids: &Ids) -> Result<BTreeMap<String, Member>, StoreError> {
        let ids: Vec<&String> = ids.iter().filter(|id| UserId::parse(id).is_some()).collect();
        let ranges = ids.chunks(IDS_PER_RANGE).map(|ids| self.user_keys(tenant, ids));
        let keys = try_join_all(ranges).await?.concat();
        let items = self.items(Table::Users, keys).await?;
        let users = items.iter().map(|item| User::read(item).map(|user| Member::of_user(tenant, user)));
        users.map(|user| user.map(|user| (user.id.clone(), user))).collect()
    }

    /// The keys of users, from the first page of the range of the index that some ids, in their order, lie in.
    async fn user_keys(&self, tenant: &Tenant, ids: &[&String]) -> Result<Vec<Item>, StoreError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
        let range = self.user_ids_between(tenant, first, last).limit(MAX_RANGE_KEYS).send().await;
        let keys = range.map_err(|e| StoreError::of(&e))?.items.unwrap_or_default();
        let is_asked =
            |key: &Item| key.get("id").and_then(|id| id.as_s().ok()).is_some_and(|id| ids.binary_search(&id).is_ok());
        let key_of = |mut key: Item| {
            key.remove("id");
            key
        };
        Ok(keys.into_iter().filter(is_asked).map(key_of).collect())
    }

    /// The user of that id, or else the group: for many, of whom nearly all are users.
    async fn member_in_turn(&self, tenant: &Tenant, id: &str) -> Result<Option<Member>, StoreError> {
        let Some(user_id) = UserId::parse(id) else { return Ok(None) };
        match self.user_once(tenant, &user_id).await? {
            Some(user) => Ok(Some(Member::of_user(tenant, user))),
            None => self.member(tenant, id).await,
        }
    }

    /// The user or group of that id.
    pub(in crate::store) async fn member(&self, tenant: &Tenant, id: &str) -> Result<Option<Member>, StoreError> {
        let (Some(user_id), Some(group_id)) = (UserId::parse(id), GroupId::parse(id)) else { return Ok(None) };
        let (user, group) = join(self.user_once(tenant, &user_id), self.group(tenant, &group_id)).await;
        if let Some(group) = group? {
            return Ok(Some(Member::of_group(tenant, group)));
        }
        // A rename may hide a user from one read of the index.
        let user = match user? {
            None => self.user_once(tenant, &user_id).await?,
            found => found,
        };
        Ok(user.map(|user| Member::of_user(tenant, user)))
    }
}
