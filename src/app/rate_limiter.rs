//! How many requests of each tenant a process lets through. `rollcall serve` is one process and counts exactly. On Lambda
//! many processes serve a tenant: each counts some requests by itself, then adds them to the record of the key, which
//! every request reads anyway.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::auth::{KeyId, Principal};
use crate::limits::{MAX_COUNTED_TENANTS, MAX_UNRECORDED_REQUESTS, UNRECORDED_REQUEST_SECONDS};
use crate::tenant::{RateLimit, RateState, Settings, TenantName, TenantRate};

/// The counts of one process.
#[derive(Debug, Default)]
pub struct RateLimiter {
    /// The limit of a tenant whose settings name none.
    default: Option<RateLimit>,
    /// Whether other processes serve the same tenants.
    is_shared: bool,
    counts: Mutex<HashMap<CountKey, RequestCount>>,
}

/// A tenant; with the key, where the count stands in the key's record.
type CountKey = (TenantName, Option<KeyId>);

/// What a process knows of one bucket. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct RequestCount {
    limit: RateLimit,
    /// When the bucket is full again.
    refill: i64,
    /// Requests that no other process knows of.
    unrecorded: i64,
    /// When the first of them came.
    since: i64,
}

/// Requests to be added to the record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnrecordedRequests {
    /// How many.
    pub count: i64,
    /// Their bucket.
    pub limit: RateLimit,
    /// When the first of them came.
    since: i64,
    /// When the bucket was full again without them.
    refill: i64,
    /// Whether the bucket was not full when this process saw the record last.
    pub is_filling: bool,
    /// The time.
    pub now: i64,
}

impl RateLimiter {
    /// For a process that alone serves its tenants, without a limit for those whose settings name none.
    pub fn of_one_process() -> Self {
        Self::default()
    }

    /// For one of many processes, with the limit of tenants whose settings name none.
    ///
    /// # Errors
    /// When the text is no rate.
    pub fn of_lambda(default: &str) -> Result<Self, String> {
        let default = match default.parse().map_err(|why| format!("TENANT_RATE {why}"))? {
            TenantRate::Limit(limit) => Some(limit),
            TenantRate::Default => Some(RateLimit::default()),
            TenantRate::Off => None,
        };
        Ok(Self { default, is_shared: true, counts: Mutex::default() })
    }

    /// The limit of a tenant with these settings.
    pub fn limit(&self, settings: Settings) -> Option<RateLimit> {
        match settings.rate {
            TenantRate::Default => self.default,
            TenantRate::Off => None,
            TenantRate::Limit(limit) => Some(limit),
        }
    }

    /// Takes a token for a request of an authorized caller, if the bucket has one.
    pub fn admit(&self, caller: &Principal, limit: RateLimit, now: Timestamp) -> RateState {
        let now = now.as_microsecond();
        let mut counts = self.counts();
        let count = self.count_of(&mut counts, caller, limit, now);
        let state = limit.state(count.refill, count.unrecorded, now);
        if state.wait_seconds.is_none() {
            count.take(1, self.is_shared, now);
        }
        state
    }

    /// Takes a token for what an admitted request does besides, such as an operation of a Bulk, even if there is none.
    pub fn charge(&self, caller: &Principal, limit: RateLimit, now: Timestamp) {
        let now = now.as_microsecond();
        let mut counts = self.counts();
        self.count_of(&mut counts, caller, limit, now).take(1, self.is_shared, now);
    }

    /// The requests of a key that are to be recorded now, if there are many. Only verified requests are counted, so nobody
    /// needs to prove anything for them to be recorded.
    pub fn take_unrecorded(&self, tenant: &TenantName, key: &KeyId, now: Timestamp) -> Option<UnrecordedRequests> {
        let now = now.as_microsecond();
        let mut counts = self.counts();
        let count = counts.get_mut(&(tenant.clone(), Some(key.clone())))?;
        count.forget_old(now);
        if count.unrecorded < i64::from(count.enough(now)) {
            return None;
        }
        let RequestCount { limit, refill, since, .. } = *count;
        let requests = std::mem::take(&mut count.unrecorded);
        // The record that is read meanwhile may not have them yet.
        count.refill = refill.max(now).saturating_add(limit.cost(requests));
        Some(UnrecordedRequests { count: requests, limit, since, refill, is_filling: refill > now, now })
    }

    /// Counts requests again that could not be recorded.
    pub fn put_back(&self, tenant: &TenantName, key: &KeyId, requests: &UnrecordedRequests) {
        if let Some(count) = self.counts().get_mut(&(tenant.clone(), Some(key.clone()))) {
            count.since = if count.unrecorded == 0 { requests.since } else { count.since.min(requests.since) };
            count.unrecorded += requests.count;
            count.refill = requests.refill;
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<CountKey, RequestCount>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of a caller, with what the record of its key says. Of many, those that have nothing to say make room.
    fn count_of<'c>(
        &self,
        counts: &'c mut HashMap<CountKey, RequestCount>,
        caller: &Principal,
        limit: RateLimit,
        now: i64,
    ) -> &'c mut RequestCount {
        let key = (caller.tenant().name().clone(), self.is_shared.then(|| caller.key().clone()));
        if counts.len() >= MAX_COUNTED_TENANTS && !counts.contains_key(&key) {
            counts.retain(|_, count| count.refill > now || count.unrecorded > 0);
            if counts.len() >= MAX_COUNTED_TENANTS {
                // More tenants at once than one process ever has: they begin anew.
                counts.clear();
            }
        }
        let fresh = RequestCount { limit, refill: 0, unrecorded: 0, since: now };
        let count = counts.entry(key).or_insert(fresh);
        count.limit = limit;
        if self.is_shared {
            count.refill = count.refill.max(caller.refill().unwrap_or(0));
        }
        count.forget_old(now);
        count
    }
}

impl RequestCount {
    fn take(&mut self, requests: i64, is_shared: bool, now: i64) {
        if is_shared {
            self.since = if self.unrecorded == 0 { now } else { self.since };
            self.unrecorded += requests;
        } else {
            let refill = self.refill.max(now).saturating_add(self.limit.cost(requests));
            self.refill = refill.min(self.limit.last_refill(now));
        }
    }

    /// How many requests are enough to be recorded. With a bucket that is half empty, a process records nearly each: what
    /// several processes do not know of each other is what a tenant gets too much.
    fn enough(&self, now: i64) -> u32 {
        let debt = self.refill.saturating_sub(now);
        match self.limit.capacity() {
            // Nothing more can be taken, and nothing is let through.
            capacity if debt > capacity => u32::MAX,
            capacity if debt > capacity / 2 => (self.limit.per_second() / 100).clamp(1, MAX_UNRECORDED_REQUESTS),
            _ => (self.limit.burst() / 8).clamp(1, MAX_UNRECORDED_REQUESTS),
        }
    }

    fn forget_old(&mut self, now: i64) {
        if now.saturating_sub(self.since) > UNRECORDED_REQUEST_SECONDS * 1_000_000 {
            self.unrecorded = 0;
        }
    }
}
