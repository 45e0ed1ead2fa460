//! Counts users, writes the feed, and finishes what requests have committed and not carried out (see
//! [`DeferredJob`](crate::store::model::job::DeferredJob)): from the change records of the tables, for unfinished work
//! locally by looking from time to time. Doing it twice does no harm.

use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::app::Clock;
use crate::app::lost::LostBatch;
use crate::limits::LOCAL_NOTICE_SECONDS;
use crate::store::dynamo::tables::{AccessList, TablePermission};
use crate::store::model::change_record::{ChangeRecord, ChangedItem};
use crate::store::{Store, StoreError};

mod channels;
mod feed;
#[cfg(feature = "local")]
pub mod follow;
mod notices;
pub mod presence;

pub use channels::Channels;

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
    TablePermission::KEYS_GET,
    TablePermission::KEYS_BATCH_GET,
    TablePermission::KEYS_QUERY,
    TablePermission::GROUPS_BATCH_GET,
    TablePermission::CHANGES_BATCH_GET,
    TablePermission::CHANGES_QUERY,
    TablePermission::CHANGES_PUT,
    TablePermission::CHANGES_BATCH_WRITE,
]];

/// Works done side by side, each with some calls of its own: more would want more connections than a function has.
const WORKS_AT_ONCE: usize = 4;

/// How often a local server looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Change records of the tables `links`, `users` and `groups`, as Lambda hands them over. Of work, its key: the rest is
/// read from the table. An event without records, once a day, has the worker look for what was given up. An event with a
/// detail tells of a batch that was given up for good.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<ChangeRecord>,
    /// Who tells: the daily schedule's events have a detail, too.
    #[serde(default)]
    source: String,
    #[serde(default)]
    detail: Value,
}

/// The source of an event about a batch in S3.
const S3: &str = "aws.s3";

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResponse {
    batch_item_failures: Vec<BatchItemFailure>,
    #[serde(skip)]
    feed_lag: Option<u64>,
    #[serde(skip)]
    bus_failures: u64,
    #[serde(skip)]
    error: Option<String>,
}

impl StreamResponse {
    /// How old in milliseconds the oldest change was when it was in the feed; none if there was none.
    pub fn feed_lag(&self) -> Option<u64> {
        self.feed_lag
    }

    /// How many lanes have events that the bus did not take.
    pub fn bus_failures(&self) -> u64 {
        self.bus_failures
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

/// Does the work that the records of a batch stand for, once it has settled.
pub async fn handle(store: &Store, clock: &Clock, event: StreamEvent) -> StreamResponse {
    handle_with(store, clock, &Channels::default(), event).await
}

/// As [`handle`], with what it speaks to besides the store.
pub async fn handle_with(store: &Store, clock: &Clock, channels: &Channels, event: StreamEvent) -> StreamResponse {
    if event.source == S3 {
        let error = tell_lost(store, clock, channels, event.detail).await.err();
        return StreamResponse { batch_item_failures: Vec::new(), feed_lag: None, bus_failures: 0, error };
    }
    if event.records.is_empty() {
        return daily(store, clock, channels).await;
    }
    let (links, others): (Vec<_>, Vec<_>) =
        event.records.into_iter().partition(|record| matches!(record.item(), ChangedItem::Link(..)));
    let done = links.into_iter().map(|record| async move {
        let ChangedItem::Link(pk, sk) = record.item() else { return None };
        let error = settle(store, clock, pk, sk).await.err()?;
        tracing::error!(%error, "work is left");
        Some(record.sequence().to_owned())
    });
    let failures = futures_util::stream::iter(done).buffer_unordered(WORKS_AT_ONCE).filter_map(std::future::ready);
    let mut failures: Vec<_> = failures.collect().await;
    let oldest = others.first().cloned();
    let of_feed = feed::write(store, clock, channels, others).await;
    let feed_lag = oldest.filter(|_| of_feed.failures.is_empty()).and_then(|record| record.age(clock.now()));
    failures.extend(of_feed.failures);
    let batch_item_failures =
        failures.into_iter().map(|item_identifier| BatchItemFailure { item_identifier }).collect();
    StreamResponse { batch_item_failures, feed_lag, bus_failures: of_feed.bus_failures, error: None }
}

async fn tell_lost(store: &Store, clock: &Clock, channels: &Channels, detail: Value) -> Result<(), String> {
    let batch: LostBatch = serde_json::from_value(detail).map_err(|e| e.to_string())?;
    presence::tell_lost(store, clock, channels.client.as_ref(), &batch).await.map_err(|error| error.to_string())
}

/// What is done once a day: work that was given up, events that the bus did not take, and a sign that shows whether the
/// worker follows the streams.
async fn daily(store: &Store, clock: &Clock, channels: &Channels) -> StreamResponse {
    match sweep(store, clock).await {
        Ok(count) => tracing::info!(count, "work that was left is done"),
        Err(error) => tracing::error!(%error, "work is left"),
    }
    if channels.presence.is_some()
        && let Err(error) = store.write_probes(clock.now()).await
    {
        tracing::error!(%error, "the daily sign is not written");
    }
    if let Err(error) = notices::look(store, clock, channels.topic.as_ref()).await {
        tracing::error!(%error, "notices are not told");
    }
    let bus_failures = match &channels.bus {
        None => 0,
        Some(bus) => feed::publish_all(store, bus).await,
    };
    StreamResponse { batch_item_failures: Vec::new(), feed_lag: None, bus_failures, error: None }
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

/// Looks for settled work of every tenant, again and again; where no stream tells who comes and goes, users are counted
/// anew each time. From time to time, tells what somebody should look at.
pub async fn run(store: Store, clock: Clock, counts: bool) {
    let mut looked = None::<Instant>;
    loop {
        let interval = Duration::from_secs(LOCAL_NOTICE_SECONDS);
        if looked.is_none_or(|looked| looked.elapsed() >= interval) {
            looked = Some(Instant::now());
            if let Err(error) = notices::look(&store, &clock, None).await {
                tracing::error!(%error, "notices are not told");
            }
        }
        match sweep(&store, &clock).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "work was carried out"),
            Err(error) => tracing::error!(%error, "work is left"),
        }
        if counts && let Err(error) = recount(&store, &clock).await {
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
