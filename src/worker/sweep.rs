//! The worker's look for jobs that requests have left, in every lane. A row that cannot be read, a lane that does not
//! answer, a job that fails and a tenant that is throttled each hold up nobody else. Nothing here waits for time to pass.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use jiff::SignedDuration;
use tokio::time::{Duration, Instant, timeout_at};

use crate::app::Clock;
use crate::limits::{JOB_LANES, SWEEP_SECONDS, TENANT_SWEEP_SECONDS, TENANTS_AT_ONCE};
use crate::store::model::job::DeferredJob;
use crate::store::{Store, StoreError};

/// What the worker found and did when it looked for work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sweep {
    /// Jobs that are carried out.
    pub done: usize,
    /// Jobs that failed; a later run tries them again.
    pub failed: usize,
    /// Rows that cannot be read, and are left as they are.
    pub unreadable: usize,
    /// Lanes that the store did not return.
    pub unread_lanes: usize,
    /// The age of the oldest job, in seconds.
    pub oldest_seconds: u64,
}

/// Carries out the jobs that are ready, tenant by tenant in turn, for as long as a run may take.
pub async fn sweep(store: &Store, clock: &Clock) -> Sweep {
    let end = Instant::now() + Duration::from_secs(SWEEP_SECONDS);
    let mut report = Sweep::default();
    let mut tenants = BTreeMap::<String, Vec<DeferredJob>>::new();
    let lanes = (0..JOB_LANES).map(|lane| timeout_at(end, store.jobs_of_lane(lane, clock.now())));
    for lane in stream::iter(lanes).buffered(TENANTS_AT_ONCE).collect::<Vec<_>>().await {
        let Ok(Ok(lane)) = lane else {
            let error = lane.err().map_or_else(|| "no answer".to_owned(), |late| late.to_string());
            tracing::error!(error, "a lane of jobs cannot be read");
            report.unread_lanes += 1;
            continue;
        };
        report.unreadable += lane.unreadable;
        let oldest = u64::try_from(lane.oldest.max(SignedDuration::ZERO).as_secs()).unwrap_or(0);
        report.oldest_seconds = report.oldest_seconds.max(oldest);
        for job in lane.ready {
            tenants.entry(job.tenant().as_str().to_owned()).or_default().push(job);
        }
    }
    let slice = match tenants.len() > TENANTS_AT_ONCE {
        true => Duration::from_secs(TENANT_SWEEP_SECONDS),
        false => Duration::from_secs(SWEEP_SECONDS),
    };
    let mut turns: Vec<_> = tenants.into_values().collect();
    // Each minute others begin.
    let first = usize::try_from(clock.now().as_second() / 60).unwrap_or(0).checked_rem(turns.len()).unwrap_or(0);
    turns.rotate_left(first);
    let turns = turns.into_iter().map(|jobs| async move {
        let end = end.min(Instant::now() + slice);
        work_for_tenant(store, clock, jobs, end).await
    });
    for (done, failed) in stream::iter(turns).buffer_unordered(TENANTS_AT_ONCE).collect::<Vec<_>>().await {
        report.done += done;
        report.failed += failed;
    }
    let Sweep { done, failed, unreadable, .. } = report;
    if done + failed + unreadable > 0 {
        tracing::info!(done, failed, unreadable, "work that was left");
    }
    report
}

/// As [`sweep`], until a run finds nothing more that it can carry out. The count of what is done is of all runs.
#[cfg(feature = "local")]
pub async fn sweep_all(store: &Store, clock: &Clock) -> Sweep {
    let mut done = 0;
    loop {
        let report = sweep(store, clock).await;
        done += report.done;
        if report.done == 0 {
            return Sweep { done, ..report };
        }
    }
}

/// Carries out jobs of one tenant, one after the other; how many are done, and how many failed.
async fn work_for_tenant(store: &Store, clock: &Clock, jobs: Vec<DeferredJob>, end: Instant) -> (usize, usize) {
    let (mut done, mut failed) = (0, 0);
    for job in &jobs {
        // What a run does not end, the next one goes on with: a batch has a checkpoint, and all else is what is left.
        let Ok(outcome) = timeout_at(end, store.carry_out(job, &|| clock.now())).await else { break };
        let error = match outcome {
            Ok(is_done) => {
                done += usize::from(is_done);
                continue;
            }
            Err(error) => error,
        };
        failed += 1;
        tracing::error!(%error, tenant = job.tenant().as_str(), "work is left");
        if matches!(error, StoreError::Throttled(_)) {
            break;
        }
        if let Err(error) = store.postpone(job, clock.now()).await {
            tracing::error!(%error, tenant = job.tenant().as_str(), "a job that failed is not put off");
        }
    }
    (done, failed)
}
