//! Counts users, writes the feed, and finishes what requests have committed and not carried out (see
//! [`DeferredJob`](crate::store::model::job::DeferredJob)): from the change records of the tables, for unfinished work
//! locally by looking from time to time. Doing it twice does no harm.

use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::app::Clock;
use crate::store::dynamo::tables::{AccessList, Table, TablePermission};
use crate::store::model::change_record::{ChangeRecord, ChangedItem};
use crate::store::{Store, StoreError};

mod feed;
#[cfg(feature = "local")]
pub mod follow;

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
/// read from the table. An event without records, once a day, has the worker look for what was given up.
#[derive(Debug, Deserialize)]
pub struct StreamEvent {
    #[serde(rename = "Records", default)]
    records: Vec<ChangeRecord>,
}

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamResponse {
    batch_item_failures: Vec<BatchItemFailure>,
    #[serde(skip)]
    feed_lag: Option<u64>,
}

impl StreamResponse {
    /// How old in milliseconds the oldest change was when it was in the feed; none if there was none.
    pub fn feed_lag(&self) -> Option<u64> {
        self.feed_lag
    }
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
    let (links, others): (Vec<_>, Vec<_>) =
        event.records.into_iter().partition(|record| matches!(record.item(), ChangedItem::Link(..)));
    let done = links.into_iter().map(|record| async move {
        let ChangedItem::Link(pk, sk) = record.item() else { return None };
        let error = settle(store, clock, pk, sk).await.err()?;
        tracing::error!(%error, "work is left");
        Some(BatchItemFailure { item_identifier: record.sequence().to_owned() })
    });
    let failures = futures_util::stream::iter(done).buffer_unordered(WORKS_AT_ONCE).filter_map(std::future::ready);
    let mut batch_item_failures: Vec<_> = failures.collect().await;
    let oldest = others.first().cloned();
    let of_feed = feed::write(store, clock, others).await;
    let feed_lag = oldest.filter(|_| of_feed.is_empty()).and_then(|record| record.age(clock.now()));
    batch_item_failures.extend(of_feed.into_iter().map(|item_identifier| BatchItemFailure { item_identifier }));
    StreamResponse { batch_item_failures, feed_lag }
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

/// Tells the readers of every feed that changes of a table are missing: which tenants they were of, nobody knows.
///
/// # Errors
/// As the store's. Who was told already is told again the next time.
pub async fn write_gaps(store: &Store, clock: &Clock, table: Table) -> Result<(), StoreError> {
    tracing::error!(table = table.as_str(), "changes are missing in the feed");
    for tenant in store.tenants().await? {
        store.write_gap(&tenant.name, table, clock.now()).await?;
    }
    Ok(())
}

/// Looks for settled work of every tenant, again and again; where no stream tells who comes and goes, users are counted
/// anew each time.
pub async fn run(store: Store, clock: Clock, counts: bool) {
    loop {
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
