//! Finishes what requests have committed and not carried out (see [`Work`](crate::store::work::Work)): on Lambda from
//! the change records of the links table, locally by looking from time to time. Doing it twice does no harm.

use std::time::Duration;

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::app::Clock;
use crate::store::tables::Access;
use crate::store::{Store, StoreError};

/// The function's handler string.
pub const HANDLER: &str = "stream";

/// Every access to a table that the work may need; the function's role allows no other.
pub const ACCESS: &[Access] = &[
    Access::KEYS_SCAN,
    Access::USERS_BY_ID,
    Access::USERS_UPDATE,
    Access::GROUPS_GET,
    Access::GROUPS_UPDATE,
    Access::LINKS_GET,
    Access::LINKS_QUERY,
    Access::LINKS_PUT,
    Access::LINKS_DELETE,
];

/// Works done side by side, each with some calls of its own: more would want more connections than a function has.
const WORKS_AT_ONCE: usize = 4;

/// How often a local server looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// Change records of the links table, as Lambda hands them over: of each, its key. The rest is read from the table. An
/// event without records, once a day, has the worker look for what was given up.
#[derive(Debug, Deserialize)]
pub struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
}

#[derive(Debug, Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Key,
    sequence_number: String,
}

#[derive(Debug, Deserialize)]
struct Key {
    pk: Text,
    sk: Text,
}

#[derive(Debug, Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

/// Which records are to be handed over again (`ReportBatchItemFailures`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    batch_item_failures: Vec<Failure>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

/// Does the work that the records of a batch stand for, once it has settled.
pub async fn handle(store: &Store, clock: &Clock, event: Event) -> Answer {
    if event.records.is_empty() {
        match sweep(store, clock).await {
            Ok(count) => tracing::info!(count, "work that was left is done"),
            Err(error) => tracing::error!(%error, "work is left"),
        }
    }
    let done = event.records.into_iter().map(|record| async move {
        let Change { keys, sequence_number } = record.dynamodb;
        match settle(store, clock, &keys).await {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "work is left");
                Some(Failure { item_identifier: sequence_number })
            }
        }
    });
    let failures = futures_util::stream::iter(done).buffer_unordered(WORKS_AT_ONCE).filter_map(std::future::ready);
    Answer { batch_item_failures: failures.collect().await }
}

async fn settle(store: &Store, clock: &Clock, key: &Key) -> Result<(), StoreError> {
    // Read again after each wait: the request may have done it itself, or a later one have left other work there.
    while let Some(work) = store.work(&key.pk.text, &key.sk.text).await? {
        let left = work.settles_in(clock.now());
        if left.is_zero() {
            return store.carry_out(&work).await;
        }
        tokio::time::sleep(left).await;
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
        for work in store.pending(&tenant.name).await? {
            if !work.settles_in(clock.now()).is_zero() {
                continue;
            }
            match store.carry_out(&work).await {
                Ok(()) => count += 1,
                Err(error) => tracing::error!(%error, "work is left"),
            }
        }
    }
    Ok(count)
}
