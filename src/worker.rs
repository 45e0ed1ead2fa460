//! Counts users, writes the feed, and finishes what requests have committed and not carried out (see
//! [`DeferredJob`](crate::store::model::job::DeferredJob)). Change records of the tables tell of users and groups. For
//! unfinished work the worker looks once a minute. Doing it twice does no harm.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::Clock;
use crate::store::dynamo::tables::{AccessList, TablePermission};
use crate::store::model::change_record::ChangeRecord;
use crate::store::{Store, StoreError};

mod feed;
#[cfg(feature = "local")]
pub mod follow;
mod sweep;

#[cfg(feature = "local")]
pub use sweep::sweep_all;
pub use sweep::{Sweep, sweep};

/// The function's handler string.
pub const HANDLER: &str = "stream";

/// Every access to a table that the work may need; the function's role allows no other.
pub const ACCESS: AccessList = &[&[
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_BATCH_GET,
    TablePermission::USERS_UPDATE,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_UPDATE,
    TablePermission::GROUPS_CHECK,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_UPDATE,
    TablePermission::LINKS_DELETE,
    TablePermission::KEYS_GET,
    TablePermission::KEYS_BATCH_GET,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::CHANGES_BATCH_GET,
    TablePermission::CHANGES_QUERY,
    TablePermission::CHANGES_PUT,
    TablePermission::CHANGES_BATCH_WRITE,
]];

/// How often a local server looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Change records of the tables `users` and `groups`, as Lambda hands them over. An event without records, once a minute,
/// has the worker look for work that requests have left.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<ChangeRecord>,
}

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResponse {
    batch_item_failures: Vec<BatchItemFailure>,
    #[serde(skip)]
    feed_lag: Option<u64>,
    #[serde(skip)]
    sweep: Option<Sweep>,
}

impl StreamResponse {
    /// How old in milliseconds the oldest change was when it was in the feed; none if there was none.
    pub fn feed_lag(&self) -> Option<u64> {
        self.feed_lag
    }

    /// What the worker found when it looked for work; none if the event had records.
    pub fn sweep(&self) -> Option<Sweep> {
        self.sweep
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Counts and writes into the feed what the records say; without records, carries out the work that requests have left.
pub async fn handle(store: &Store, clock: &Clock, event: StreamEvent) -> StreamResponse {
    if event.records.is_empty() {
        return StreamResponse { sweep: Some(sweep(store, clock).await), ..StreamResponse::default() };
    }
    let oldest = event.records.first().cloned();
    let failures = feed::write(store, clock, event.records).await;
    let feed_lag = oldest.filter(|_| failures.is_empty()).and_then(|record| record.age(clock.now()));
    let batch_item_failures =
        failures.into_iter().map(|item_identifier| BatchItemFailure { item_identifier }).collect();
    StreamResponse { batch_item_failures, feed_lag, sweep: None }
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

/// Looks for settled work of every tenant, again and again; where no stream reports creations and deletions, users are
/// counted anew each time.
pub async fn run(store: Store, clock: Clock, counts: bool) {
    loop {
        sweep(&store, &clock).await;
        if counts && let Err(error) = recount(&store, &clock).await {
            tracing::error!(%error, "users are not counted");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
