//! Counts users, writes the feed, and finishes what requests have committed and not carried out (see
//! [`DeferredJob`](crate::store::model::job::DeferredJob)). Users and groups come as change records of the tables. For
//! unfinished work the worker looks once a minute. Doing it twice does no harm.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::app::Clock;
use crate::app::lost::LostBatch;
#[cfg(feature = "local")]
use crate::limits::COUNT_INTERVAL_SECONDS;
use crate::limits::LOCAL_NOTICE_SECONDS;
use crate::store::dynamo::tables::{AccessList, TablePermission};
use crate::store::model::change_record::ChangeRecord;
use crate::store::{Store, StoreError};

#[cfg(feature = "local")]
pub mod backlog;
mod channels;
mod feed;
#[cfg(feature = "local")]
pub mod follow;
mod notices;
mod outbox;
pub mod presence;
mod sweep;

pub use channels::Channels;
#[cfg(feature = "local")]
pub use sweep::sweep_all;
pub use sweep::{Sweep, sweep};

/// The function's handler string.
pub const HANDLER: &str = "stream";

/// Every access to a table that the work may need; the function's role allows no other.
pub const ACCESS: AccessList = &[&[
    TablePermission::USERS_BY_ID,
    TablePermission::USERS_QUERY,
    TablePermission::USERS_BATCH_GET,
    TablePermission::USERS_BATCH_WRITE,
    TablePermission::USERS_UPDATE,
    TablePermission::GROUPS_GET,
    TablePermission::GROUPS_UPDATE,
    TablePermission::GROUPS_CHECK,
    TablePermission::GROUPS_QUERY,
    TablePermission::GROUPS_BATCH_WRITE,
    TablePermission::LINKS_GET,
    TablePermission::LINKS_QUERY,
    TablePermission::LINKS_PUT,
    TablePermission::LINKS_UPDATE,
    TablePermission::LINKS_DELETE,
    TablePermission::LINKS_BATCH_WRITE,
    TablePermission::TOKENS_QUERY,
    TablePermission::TOKENS_BATCH_WRITE,
    TablePermission::KEYS_PUT,
    TablePermission::KEYS_BATCH_WRITE,
    TablePermission::KEYS_GET,
    TablePermission::KEYS_BATCH_GET,
    TablePermission::KEYS_QUERY,
    TablePermission::KEYS_SCAN,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::CHANGES_BATCH_GET,
    TablePermission::CHANGES_QUERY,
    TablePermission::CHANGES_PUT,
    TablePermission::CHANGES_BATCH_WRITE,
]];

/// How often a local server looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Change records of the tables `users` and `groups`, as Lambda hands them over. An event without records, once a minute,
/// has the worker look for work that requests have left. An event of S3 names a batch that was given up for good.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<ChangeRecord>,
    /// Whether it is the event of the daily schedule.
    #[serde(default)]
    daily: bool,
    /// Whether it is the event of the hourly one.
    #[serde(default)]
    hourly: bool,
    /// Where it comes from: the schedule of the sweep's events have a detail, too.
    #[serde(default)]
    source: String,
    #[serde(default)]
    detail: Value,
}

/// The source of an event about a batch in S3.
const S3: &str = "aws.s3";

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResponse {
    batch_item_failures: Vec<BatchItemFailure>,
    #[serde(skip)]
    feed_lag: Option<u64>,
    #[serde(skip)]
    sweep: Option<Sweep>,
    #[serde(skip)]
    bus_failures: u64,
    #[serde(skip)]
    count_drift: Option<u64>,
    #[serde(skip)]
    error: Option<String>,
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

    /// How many lanes have events that the bus did not take.
    pub fn bus_failures(&self) -> u64 {
        self.bus_failures
    }

    /// By how many users the stored numbers of all tenants were off; none if they were not compared.
    pub fn count_drift(&self) -> Option<u64> {
        self.count_drift
    }

    /// Why the event must be handed over again as a whole.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: String,
}

/// Counts and writes into the feed what the records say; without records, carries out the work that requests have left.
pub async fn handle(store: &Store, clock: &Clock, event: StreamEvent) -> StreamResponse {
    handle_with(store, clock, &Channels::default(), event).await
}

/// As [`handle`], with what it speaks to besides the store.
pub async fn handle_with(store: &Store, clock: &Clock, channels: &Channels, event: StreamEvent) -> StreamResponse {
    if event.source == S3 {
        let error = record_lost(store, clock, channels, event.detail).await.err();
        return StreamResponse { error, ..StreamResponse::default() };
    }
    if event.daily {
        return daily(store, clock, channels).await;
    }
    if event.hourly {
        hourly(store, clock, channels).await;
        return StreamResponse::default();
    }
    if event.records.is_empty() {
        let sweep = sweep(store, clock).await;
        outbox::deliver(store, clock, channels).await;
        return StreamResponse { sweep: Some(sweep), ..StreamResponse::default() };
    }
    let oldest = event.records.first().cloned();
    let outcome = feed::write(store, clock, channels, event.records).await;
    let feed_lag = oldest.filter(|_| outcome.failures.is_empty()).and_then(|record| record.age(clock.now()));
    let batch_item_failures =
        outcome.failures.into_iter().map(|item_identifier| BatchItemFailure { item_identifier }).collect();
    StreamResponse { batch_item_failures, feed_lag, bus_failures: outcome.bus_failures, ..StreamResponse::default() }
}

async fn record_lost(store: &Store, clock: &Clock, channels: &Channels, detail: Value) -> Result<(), String> {
    let batch: LostBatch = serde_json::from_value(detail).map_err(|e| e.to_string())?;
    presence::record_lost(store, clock, channels.client.as_ref(), &batch).await.map_err(|error| error.to_string())
}

/// What is done once a day: a sign that proves whether the worker follows the streams, notices, and events that the bus
/// did not take.
async fn daily(store: &Store, clock: &Clock, channels: &Channels) -> StreamResponse {
    if channels.presence.is_some()
        && let Err(error) = store.write_probes(clock.now()).await
    {
        tracing::error!(%error, "the daily sign is not written");
    }
    if let Err(error) = notices::look(store, clock).await {
        tracing::error!(%error, "notices are not written");
    }
    outbox::deliver(store, clock, channels).await;
    let bus_failures = match &channels.bus {
        None => 0,
        Some(bus) => feed::publish_all(store, bus).await,
    };
    let count_drift = match check_counts(store).await {
        Ok(drift) => Some(drift),
        Err(error) => {
            tracing::error!(%error, "users are not counted");
            None
        }
    };
    StreamResponse { bus_failures, count_drift, ..StreamResponse::default() }
}

/// Compares the stored number of users of every tenant with its users, and corrects it; by how many users all were off.
///
/// # Errors
/// As the store's, where the tenants cannot be read.
pub async fn check_counts(store: &Store) -> Result<u64, StoreError> {
    let mut drift = 0;
    for tenant in store.tenants().await? {
        match store.check_counts(&tenant.name, true).await {
            Ok(report) if report.is_wrong() => {
                drift += report.drift;
                let (tenant, users, off) = (tenant.name.as_str(), report.users, report.drift);
                tracing::warn!(tenant, users, off, "CountDrift: the stored number of users was wrong; it is corrected");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, tenant = tenant.name.as_str(), "users are not counted"),
        }
    }
    Ok(drift)
}

/// Compares the counts once a day, for as long as the process lives: the first time at once, for a store of a release
/// before the streams has none.
#[cfg(feature = "local")]
pub async fn check_counts_daily(store: Store) {
    loop {
        if let Err(error) = check_counts(&store).await {
            tracing::error!(%error, "users are not counted");
        }
        tokio::time::sleep(Duration::from_secs(COUNT_INTERVAL_SECONDS)).await;
    }
}

/// What is done once an hour: notices of tenants whose requests are refused.
async fn hourly(store: &Store, clock: &Clock, channels: &Channels) {
    if let Err(error) = notices::look_for_failures(store, clock).await {
        tracing::error!(%error, "notices are not written");
    }
    outbox::deliver(store, clock, channels).await;
}

/// Counts the users of every tenant anew.
///
/// # Errors
/// A `StoreError` when the tenants cannot be read.
pub async fn recount(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    for tenant in store.tenants().await? {
        if let Err(error) = store.recount(&tenant.name, clock.now()).await {
            tracing::error!(%error, "users are not counted");
        }
    }
    Ok(())
}

/// Looks for settled work of every tenant, again and again; where no stream reports creations and deletions, users are
/// counted anew each time. From time to time, it writes notices.
pub async fn run(store: Store, clock: Clock, counts: bool) {
    let mut looked = None::<Instant>;
    loop {
        let interval = Duration::from_secs(LOCAL_NOTICE_SECONDS);
        if looked.is_none_or(|looked| looked.elapsed() >= interval) {
            looked = Some(Instant::now());
            if let Err(error) = notices::look(&store, &clock).await {
                tracing::error!(%error, "notices are not written");
            }
            hourly(&store, &clock, &Channels::default()).await;
        }
        sweep(&store, &clock).await;
        outbox::deliver(&store, &clock, &Channels::default()).await;
        if counts && let Err(error) = recount(&store, &clock).await {
            tracing::error!(%error, "users are not counted");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
