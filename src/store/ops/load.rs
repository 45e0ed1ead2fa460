//! How much a tenant has and does.

use futures_util::future::{try_join, try_join3};

use super::changes::FeedHeads;
use crate::store::dynamo::item::optional_number;
use crate::store::model::change::Lane;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// What a tenant has and does, as far as the worker has counted it: seconds behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantLoad {
    /// Its users; none where the worker has not counted them yet.
    pub users: Option<usize>,
    /// The events of its feed that are kept: about those of the retention.
    pub events: u64,
}

impl Store {
    /// Reads the counts, the heads of the feed, and the first row of each lane: four round trips, none after another.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn tenant_load(&self, tenant: &TenantName) -> Result<TenantLoad, StoreError> {
        let first = try_join(self.events_before(tenant, Lane::Users), self.events_before(tenant, Lane::Groups));
        let (counts, FeedHeads(heads), (users, groups)) =
            try_join3(self.counts(tenant), self.feed_heads(tenant), first).await?;
        let kept = |lane, before| heads.get(&lane).map_or(0, |head| head.count.saturating_sub(before));
        let events = kept(Lane::Users, users) + kept(Lane::Groups, groups);
        Ok(TenantLoad { users: counts.map(|counts| counts.total()), events })
    }

    /// How many events of a lane have expired.
    async fn events_before(&self, tenant: &TenantName, lane: Lane) -> Result<u64, StoreError> {
        let (rows, _) = self.lane_rows(tenant, lane, "0", "~", 1).await?;
        Ok(rows.front().and_then(|row| optional_number::<u64>(row, "n")).unwrap_or(1).saturating_sub(1))
    }
}
