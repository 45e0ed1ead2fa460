//! What the worker has missed: while it was away for longer than a stream keeps records, and what it was given up for.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::app::Clock;
use crate::app::lost::LostBatch;
use crate::limits::{LATE_RECORD_SECONDS, PRESENCE_SECONDS, STREAM_SECONDS};
use crate::sigv4::SignedClient;
use crate::store::dynamo::tables::Table;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// How long beyond a stream's life the worker may see no record of a table, although once a day there is one.
const PROBE_SLACK: SignedDuration = SignedDuration::from_hours(2);

/// When this process last noted that it follows a table.
#[derive(Debug, Default)]
pub struct Presence(Mutex<Vec<(Table, Timestamp)>>);

impl Presence {
    /// Notes from time to time that the worker is there. After an absence in which the stream may have forgotten records,
    /// every feed has a gap. `oldest` is when the oldest record of the batch was written.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub(super) async fn note(
        &self,
        store: &Store,
        clock: &Clock,
        table: Table,
        oldest: Timestamp,
    ) -> Result<(), StoreError> {
        let now = clock.now();
        let is_recent = |(known, at): &(Table, Timestamp)| {
            *known == table && now.duration_since(*at) < SignedDuration::from_secs(PRESENCE_SECONDS)
        };
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(is_recent) {
            return Ok(());
        }
        if let Some(last) = store.worker_presence(table).await?
            && may_have_missed(last, oldest, now)
        {
            write_gaps(store, clock, table, &format!("away since {last}")).await?;
        }
        store.put_worker_presence(table, now).await?;
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|(known, _)| *known != table);
        noted.push((table, now));
        Ok(())
    }
}

/// Whether records may be gone that were written after `last`. A worker that was there is handed a record at once, so that
/// a late one says that it was away; and once a day there is a record.
fn may_have_missed(last: Timestamp, oldest: Timestamp, now: Timestamp) -> bool {
    let (away, kept) = (now.duration_since(last), SignedDuration::from_secs(STREAM_SECONDS));
    let is_late = now.duration_since(oldest) > SignedDuration::from_secs(LATE_RECORD_SECONDS);
    away > kept + PROBE_SLACK || (away > kept && is_late)
}

/// Writes into every feed that changes of a table are missing: which tenants they were of, nobody knows.
///
/// # Errors
/// A `StoreError` when DynamoDB fails. A second attempt with the same cause writes the gaps that the first one did not.
pub(super) async fn write_gaps(store: &Store, clock: &Clock, table: Table, cause: &str) -> Result<(), StoreError> {
    tracing::error!(table = table.as_str(), cause, "changes are missing in the feed");
    for tenant in store.tenants().await? {
        store.write_gap(&tenant.name, table, cause, clock.now()).await?;
    }
    Ok(())
}

/// Writes a gap into the feeds of which records were given up. Where the batch cannot be read, every feed has one.
///
/// # Errors
/// A [`StoreError`] when DynamoDB fails or an item is corrupt.
pub(super) async fn record_lost(
    store: &Store,
    clock: &Clock,
    client: Option<&SignedClient>,
    batch: &LostBatch,
) -> Result<(), StoreError> {
    let records = match client {
        Some(client) => batch.records(client).await.map_err(|e| e.to_string()),
        None => Err("there is no client for S3".to_owned()),
    };
    let lanes = match records.map(|records| lanes(&records)) {
        Ok(Some(lanes)) => lanes,
        other => {
            let why = other.err().unwrap_or_else(|| "a record is of no known table".to_owned());
            tracing::error!(why, key = batch.key(), "a batch that was given up cannot be read");
            write_gaps(store, clock, Table::Users, batch.key()).await?;
            return write_gaps(store, clock, Table::Groups, batch.key()).await;
        }
    };
    for (tenant, table) in lanes {
        tracing::error!(
            tenant = tenant.as_str(),
            key = batch.key(),
            "changes were given up and are missing in the feed"
        );
        store.write_gap(&tenant, table, batch.key(), clock.now()).await?;
    }
    Ok(())
}

/// Whose records they are; none if one of them does not say. Only the keys are read: what else is in a record may be the
/// reason why it was given up.
fn lanes(records: &[Value]) -> Option<BTreeSet<(TenantName, Table)>> {
    let mut lanes = BTreeSet::new();
    for record in records {
        let keys = record.pointer("/dynamodb/Keys")?;
        let tenant = keys.pointer("/tenant/S")?.as_str()?;
        let table = if keys.get("userName").is_some() { Table::Users } else { Table::Groups };
        // The worker's own is no tenant.
        lanes.extend(tenant.parse().ok().map(|tenant| (tenant, table)));
    }
    Some(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_may_be_missing_after_a_day_that_a_late_record_or_none_proves() {
        let now = Timestamp::from_second(1_000_000_000).unwrap();
        let ago = |hours: f64| now - SignedDuration::from_secs((hours * 3_600.0) as i64);
        for (away, age, missed) in [
            (0.5, 0.0, false),
            // A day without any change but the probe.
            (24.1, 0.0, false),
            (23.0, 22.0, false),
            (25.0, 10.0, true),
            (27.0, 0.0, true),
        ] {
            assert_eq!(may_have_missed(ago(away), ago(age), now), missed, "{away} {age}");
        }
    }
}
