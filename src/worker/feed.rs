//! From change records of users and groups to the counts and the feed, tenant by tenant.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use futures_util::future::try_join;

use crate::app::Clock;
use crate::app::profile_cache::Profiles;
use crate::store::model::change_record::{ChangeRecord, ChangedItem};
use crate::store::{Store, StoreError};
use crate::tenant::{Profile, TenantName};

/// Those of every tenant that has come by.
static PROFILES: LazyLock<Profiles> = LazyLock::new(Profiles::default);

/// Counts who came and went, and writes what has happened; the first record of those that are to be handed over again.
/// A tenant whose name is none has no feed.
pub(super) async fn write(store: &Store, clock: &Clock, records: Vec<ChangeRecord>) -> Vec<String> {
    let mut lanes = BTreeMap::<(String, bool), Vec<ChangeRecord>>::new();
    for record in records {
        let lane = match record.item() {
            ChangedItem::User(tenant) => (tenant.to_owned(), true),
            ChangedItem::Group(tenant) => (tenant.to_owned(), false),
            ChangedItem::Other => continue,
        };
        lanes.entry(lane).or_default().push(record);
    }
    let mut failures = Vec::new();
    for ((tenant, _), records) in lanes {
        let Ok(tenant) = tenant.parse::<TenantName>() else { continue };
        let written = async {
            let events = async {
                let profile = profile(store, &tenant).await?;
                store.write_changes(&tenant, &profile.schemas, &records).await
            };
            try_join(count(store, clock, &tenant, &records), events).await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, tenant = tenant.as_str(), "changes are neither counted nor in the feed");
            failures.extend(records.first().map(|record| record.sequence().to_owned()));
        }
    }
    failures
}

/// What the users and groups of a tenant are like.
async fn profile(store: &Store, tenant: &TenantName) -> Result<Arc<Profile>, StoreError> {
    let config = store.tenant(tenant).await?.map(|tenant| tenant.config).unwrap_or_default();
    PROFILES.of(store, tenant, &config.profile).await
}

async fn count(store: &Store, clock: &Clock, tenant: &TenantName, records: &[ChangeRecord]) -> Result<(), StoreError> {
    let of_users = records.iter().filter(|record| matches!(record.item(), ChangedItem::User(_)));
    let changes: Vec<_> = of_users.filter_map(ChangeRecord::user_change).collect();
    if changes.is_empty() {
        return Ok(());
    }
    store.count_changes(tenant, &changes, clock.now()).await
}
