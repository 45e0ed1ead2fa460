//! Counts users, and finishes what requests have committed and not carried out (see [`DeferredJob`](crate::store::model::job::DeferredJob)): on Lambda from
//! the change records of the links table, locally by looking from time to time. Doing it twice does no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::Clock;
use crate::store::dynamo::tables::{AccessList, TablePermission};
use crate::store::ops::counts::UserChange;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// The function's handler string.
pub const HANDLER: &str = "stream";

/// Every access to a table that the work may need; the function's role allows no other.
pub const ACCESS: AccessList = &[&[
    TablePermission::KEYS_SCAN,
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_UPDATE,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_UPDATE,
    TablePermission::GROUPS_CHECK,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_UPDATE,
    TablePermission::LINKS_DELETE,
]];

/// Works done side by side, each with some calls of its own: more would want more connections than a function has.
const WORKS_AT_ONCE: usize = 4;

/// How often a local server looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Change records of the tables `links` and `users`, as Lambda hands them over. Of work, its key: the rest is read from
/// the table. An event without records, once a day, has the worker look for what was given up.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<StreamRecord>,
}

#[derive(Debug, Deserialize)]
struct StreamRecord {
    dynamodb: StreamChange,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamChange {
    keys: Keys,
    new_image: Option<Image>,
    old_image: Option<Image>,
    sequence_number: String,
    /// Seconds.
    approximate_creation_date_time: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Keys {
    /// Of table `links`.
    Link { pk: Text, sk: Text },
    /// Of table `users`.
    User { tenant: Text },
}

#[derive(Debug, Deserialize)]
struct Image {
    id: Option<Text>,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Does the work that the records of a batch stand for, once it has settled.
pub async fn handle(store: &Store, clock: &Clock, event: StreamEvent) -> StreamResponse {
    if event.records.is_empty() {
        match sweep(store, clock).await {
            Ok(count) => tracing::info!(count, "work that was left is done"),
            Err(error) => tracing::error!(%error, "work is left"),
        }
    }
    let (of_users, of_links): (Vec<_>, Vec<_>) =
        event.records.into_iter().map(|record| record.dynamodb).partition(|c| matches!(c.keys, Keys::User { .. }));
    let done = of_links.into_iter().map(|change| async move {
        let Keys::Link { pk, sk } = &change.keys else { return None };
        match settle(store, clock, &pk.text, &sk.text).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "work is left");
                Some(BatchItemFailure { item_identifier: change.sequence_number })
            }
        }
    });
    let failures = futures_util::stream::iter(done).buffer_unordered(WORKS_AT_ONCE).filter_map(std::future::ready);
    let mut batch_item_failures: Vec<_> = failures.collect().await;
    batch_item_failures.extend(count(store, clock, of_users).await);
    StreamResponse { batch_item_failures }
}

/// Counts who came and who went, tenant by tenant; the first record of those that are to be handed over again.
async fn count(store: &Store, clock: &Clock, changes: Vec<StreamChange>) -> Vec<BatchItemFailure> {
    let mut by_tenant = BTreeMap::<String, Vec<UserChange>>::new();
    for change in changes {
        if let Keys::User { tenant } = &change.keys {
            by_tenant.entry(tenant.text.clone()).or_default().extend(change.of_user());
        }
    }
    let mut failures = Vec::new();
    for (tenant, changes) in by_tenant {
        let Ok(tenant) = tenant.parse::<TenantName>() else { continue };
        if let Err(error) = store.count_changes(&tenant, &changes, clock.now()).await {
            tracing::error!(%error, "users are not counted");
            let first = changes.first().map(|change| change.sequence.clone());
            failures.extend(first.map(|item_identifier| BatchItemFailure { item_identifier }));
        }
    }
    failures
}

impl StreamChange {
    /// Who came or went; none for who has only changed.
    fn of_user(&self) -> Option<UserChange> {
        let (image, came) = match (&self.old_image, &self.new_image) {
            (None, Some(new)) => (new, true),
            (Some(old), None) => (old, false),
            _ => return None,
        };
        let second = self.approximate_creation_date_time.unwrap_or(f64::MAX) as i64;
        Some(UserChange {
            id: image.id.as_ref()?.text.clone(),
            came,
            sequence: self.sequence_number.clone(),
            at: Timestamp::from_second(second).unwrap_or(Timestamp::MAX),
        })
    }
}

async fn settle(store: &Store, clock: &Clock, pk: &str, sk: &str) -> Result<(), StoreError> {
    // Read again after each wait: the request may have done it itself, or a later one have left other work there.
    while let Some(work) = store.work(pk, sk).await? {
        let left = work.ready_in(clock.now());
        if left.is_zero() {
            return store.carry_out(&work, &|| clock.now()).await;
        }
        tokio::time::sleep(left).await;
    }
    Ok(())
}

/// Counts the users of every tenant anew.
///
/// # Errors
/// As the store's, where the tenants cannot be read.
pub async fn recount(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    for tenant in store.tenants().await? {
        if let Err(error) = store.recount(&tenant.name, clock.now()).await {
            tracing::error!(%error, "users are not counted");
        }
    }
    Ok(())
}

/// Looks for settled work of every tenant, again and again.
pub async fn run(store: Store, clock: Clock) {
    loop {
        match sweep(&store, &clock).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "work was carried out"),
            Err(error) => tracing::error!(%error, "work is left"),
        }
        // The embedded engine has no streams.
        if let Err(error) = recount(&store, &clock).await {
            tracing::error!(%error, "users are not counted");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Carries out the work of every tenant that has settled; how much there was.
///
/// # Errors
/// As the store's; the rest is left for the next time.
pub async fn sweep(store: &Store, clock: &Clock) -> Result<usize, StoreError> {
    let mut count = 0;
    for tenant in store.tenants().await? {
        for work in store.deferred_jobs(&tenant.name).await? {
            if !work.ready_in(clock.now()).is_zero() {
                continue;
            }
            match store.carry_out(&work, &|| clock.now()).await {
                Ok(()) => count += 1,
                Err(error) => tracing::error!(%error, "work is left"),
            }
        }
    }
    Ok(count)
}
