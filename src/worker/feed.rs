//! From change records of users and groups to the counts and the feed, tenant by tenant.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use futures_util::future::try_join;

use super::channels::Channels;
use super::presence::Presence;
use crate::app::Clock;
use crate::app::bus::EventBus;
use crate::app::profile_cache::Profiles;
use crate::store::dynamo::tables::Table;
use crate::store::model::change_record::{ChangeRecord, ChangedItem};
use crate::store::{Store, StoreError};
use crate::tenant::{Profile, TenantName};

/// Those of every tenant that has come by.
static PROFILES: LazyLock<Profiles> = LazyLock::new(Profiles::default);

/// Events put on the bus of one read.
const PUBLISHED_AT_ONCE: usize = 100;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct FeedOutcome {
    /// The first record of those that are to be handed over again.
    pub(super) failures: Vec<String>,
    /// How many lanes have events that the bus did not take.
    pub(super) bus_failures: u64,
}

/// Counts users who were created and deleted, and writes events. An invalid tenant name has no feed. What the
/// bus rejects delays nothing: the next batch of that lane puts it there, or the daily run.
pub(super) async fn write(
    store: &Store,
    clock: &Clock,
    channels: &Channels,
    records: Vec<ChangeRecord>,
) -> FeedOutcome {
    let mut outcome = FeedOutcome::default();
    if let Some(presence) = &channels.presence
        && let Err(error) = note(store, clock, presence, &records).await
    {
        tracing::error!(%error, "nobody knows whether changes are missing");
        outcome.failures.extend(records.first().map(|record| record.sequence().to_owned()));
        return outcome;
    }
    let mut lanes = BTreeMap::<(String, bool), Vec<ChangeRecord>>::new();
    for record in records {
        let lane = match record.item() {
            ChangedItem::User(tenant) => (tenant.to_owned(), true),
            ChangedItem::Group(tenant) => (tenant.to_owned(), false),
            ChangedItem::Other => continue,
        };
        lanes.entry(lane).or_default().push(record);
    }
    for ((tenant, is_of_users), records) in lanes {
        let Ok(tenant) = tenant.parse::<TenantName>() else { continue };
        let table = if is_of_users { Table::Users } else { Table::Groups };
        let written = async {
            let events = async {
                if channels.bus.is_some() {
                    // Noted before there is anything to put, so that nothing of this batch is left out.
                    store.published(&tenant, table).await?;
                }
                let profile = profile(store, &tenant).await?;
                store.write_changes(&tenant, &profile.schemas, &records).await
            };
            try_join(count(store, clock, &tenant, &records), events).await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, tenant = tenant.as_str(), "changes are neither counted nor in the feed");
            outcome.failures.extend(records.first().map(|record| record.sequence().to_owned()));
            continue;
        }
        if let Some(bus) = &channels.bus
            && let Err(error) = publish(store, bus, &tenant, table).await
        {
            tracing::error!(error, tenant = tenant.as_str(), "events are not on the bus");
            outcome.bus_failures += 1;
        }
    }
    outcome
}

/// Puts the events of a lane on the bus that are not there yet.
async fn publish(store: &Store, bus: &EventBus, tenant: &TenantName, table: Table) -> Result<(), String> {
    let mut place = store.published(tenant, table).await.map_err(|e| e.to_string())?;
    loop {
        let next = store.unpublished(tenant, table, &place, PUBLISHED_AT_ONCE).await.map_err(|e| e.to_string())?;
        let Some(next) = next else { return Ok(()) };
        bus.put(tenant.as_str(), &next.events).await?;
        store.put_published(tenant, table, &next.place).await.map_err(|e| e.to_string())?;
        place = next.place;
    }
}

/// Puts what is left on the bus, of every tenant; how many lanes have events that it did not take.
pub(super) async fn publish_all(store: &Store, bus: &EventBus) -> u64 {
    let tenants = match store.tenants().await {
        Ok(tenants) => tenants,
        Err(error) => {
            tracing::error!(%error, "events are not on the bus");
            return 1;
        }
    };
    let mut failures = 0;
    for tenant in tenants {
        for table in [Table::Users, Table::Groups] {
            if let Err(error) = publish(store, bus, &tenant.name, table).await {
                tracing::error!(error, tenant = tenant.name.as_str(), "events are not on the bus");
                failures += 1;
            }
        }
    }
    failures
}

/// Notes for each table of a batch that the worker is there.
async fn note(store: &Store, clock: &Clock, presence: &Presence, records: &[ChangeRecord]) -> Result<(), StoreError> {
    let mut oldest = BTreeMap::new();
    for record in records {
        let table = match record.item() {
            ChangedItem::User(_) => Table::Users,
            ChangedItem::Group(_) => Table::Groups,
            ChangedItem::Other => continue,
        };
        oldest.entry(table).or_insert(record.at());
    }
    for (table, oldest) in oldest {
        presence.note(store, clock, table, oldest).await?;
    }
    Ok(())
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
