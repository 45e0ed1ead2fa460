//! Reads that see an item and its row at one instant: the item before and after the row, and again if it has changed.

use crate::auth::Tenant;
use crate::limits::MAX_VERIFY_ATTEMPTS;
use crate::store::dynamo::item::Item;
use crate::store::model::group::Group;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member_item::Member;
use crate::store::model::user::User;
use crate::store::rows::{job_row, member_row};
use crate::store::{Store, StoreError};

/// Both sides of a membership at one instant, and the group.
#[derive(Debug)]
pub(super) struct MembershipState {
    pub(super) member: Option<Member>,
    pub(super) row: Option<Item>,
    pub(super) group: Option<Group>,
    /// Whether a job is to take what is left of a deleted group or member.
    pub(super) is_pending: bool,
}

impl Store {
    /// A row, and the user that it is of; nothing for a user that is written without a pause or cannot be read.
    pub(super) async fn user_and_row(
        &self,
        tenant: &Tenant,
        id: &str,
        row: &Item,
    ) -> Result<Option<(Option<User>, Option<Item>)>, StoreError> {
        let Some(id) = UserId::parse(id) else { return Ok(None) };
        let version = |user: &User| (user.record.version, user.key.clone());
        self.with_row(row, || self.user(tenant, &id), version).await
    }

    /// A row, and the group that it is of.
    pub(super) async fn group_and_row(
        &self,
        tenant: &Tenant,
        id: &str,
        row: &Item,
    ) -> Result<Option<(Option<Group>, Option<Item>)>, StoreError> {
        let Some(id) = GroupId::parse(id) else { return Ok(None) };
        let version = |group: &Group| (group.record.version, group.batch.clone());
        self.with_row(row, || self.group(tenant, &id), version).await
    }

    /// A row, and an item that has the same version before and after the row was read.
    async fn with_row<T, V: PartialEq, F>(
        &self,
        row: &Item,
        read: impl Fn() -> F,
        version: impl Fn(&T) -> V,
    ) -> Result<Option<(Option<T>, Option<Item>)>, StoreError>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        for _ in 0..MAX_VERIFY_ATTEMPTS {
            let Some(before) = readable(read().await)? else { return Ok(None) };
            let row = self.link(row.clone()).await?;
            let Some(after) = readable(read().await)? else { return Ok(None) };
            if before.as_ref().map(&version) == after.as_ref().map(&version) {
                return Ok(Some((after, row)));
            }
        }
        Ok(None)
    }

    /// Both sides of a membership.
    pub(super) async fn membership_state(
        &self,
        tenant: &Tenant,
        group: &str,
        member: &str,
    ) -> Result<Option<MembershipState>, StoreError> {
        let Some(group_id) = GroupId::parse(group) else { return Ok(None) };
        for _ in 0..MAX_VERIFY_ATTEMPTS {
            let Some(before) = readable(self.member(tenant, member).await)? else { return Ok(None) };
            let row = self.link(member_row(tenant, group, member)).await?;
            let Some(group) = readable(self.group(tenant, &group_id).await)? else { return Ok(None) };
            let Some(after) = readable(self.member(tenant, member).await)? else { return Ok(None) };
            let version = |member: &Option<Member>| member.as_ref().map(|member| member.membership.version);
            if version(&before) != version(&after) {
                continue;
            }
            // Its deletion has left a job before the item was gone.
            let is_pending = (group.is_none() && self.has_job(tenant, group_id.as_str()).await?)
                || (after.is_none() && self.has_job(tenant, member).await?);
            return Ok(Some(MembershipState { member: after, row, group, is_pending }));
        }
        Ok(None)
    }

    pub(super) async fn has_job(&self, tenant: &Tenant, id: &str) -> Result<bool, StoreError> {
        Ok(self.link(job_row(tenant, id)).await?.is_some())
    }
}

/// What was read; nothing for an item that cannot be, which is a finding of its own.
fn readable<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(item) => Ok(Some(item)),
        Err(StoreError::Corrupt(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
