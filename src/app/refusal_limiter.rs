//! How many refused requests of a tenant go into the log: so many a minute. What comes on top is counted, and the next
//! row has how many there were.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::limits::{MAX_COUNTED_TENANTS, MAX_REFUSALS_PER_MINUTE};
use crate::tenant::TenantName;

/// The counts of one process.
#[derive(Debug, Default)]
pub struct RefusalLimiter(Mutex<HashMap<TenantName, RefusalCount>>);

/// Of one tenant.
#[derive(Debug, Default, Clone, Copy)]
struct RefusalCount {
    /// The minute since 1970.
    minute: i64,
    /// Rows within that minute.
    rows: u32,
    /// Refused requests without a row, since the last row.
    suppressed: u64,
}

impl RefusalLimiter {
    /// Admits one more row of a tenant, and returns how many refused requests before it have none; `None` if it has none
    /// either.
    pub fn admit(&self, tenant: &TenantName, now: Timestamp) -> Option<u64> {
        let minute = now.as_second().div_euclid(60);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_COUNTED_TENANTS && !counts.contains_key(tenant) {
            counts.retain(|_, count| count.minute == minute);
        }
        if counts.len() >= MAX_COUNTED_TENANTS && !counts.contains_key(tenant) {
            return None;
        }
        let count = counts.entry(tenant.clone()).or_default();
        if count.minute != minute {
            *count = RefusalCount { minute, rows: 0, ..*count };
        }
        if count.rows >= MAX_REFUSALS_PER_MINUTE {
            count.suppressed += 1;
            return None;
        }
        count.rows += 1;
        Some(std::mem::take(&mut count.suppressed))
    }

    /// Counts refused requests whose row could not be written.
    pub fn put_back(&self, tenant: &TenantName, requests: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(tenant) {
            count.suppressed += requests;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_rows_and_the_next_one_counts_the_rest() {
        let (limiter, acme) = (RefusalLimiter::default(), "acme".parse().unwrap());
        let at = |second| Timestamp::from_second(second).unwrap();
        let admitted = (0..100).filter(|_| limiter.admit(&acme, at(60)).is_some()).count();
        assert_eq!(admitted, MAX_REFUSALS_PER_MINUTE as usize);
        assert_eq!(limiter.admit(&"globex".parse().unwrap(), at(60)), Some(0));
        assert_eq!(limiter.admit(&acme, at(119)), None);
        assert_eq!(limiter.admit(&acme, at(120)), Some(41));
        limiter.put_back(&acme, 3);
        assert_eq!(limiter.admit(&acme, at(121)), Some(3));
    }

    #[test]
    fn tenants_of_earlier_minutes_make_room() {
        let limiter = RefusalLimiter::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for number in 0..MAX_COUNTED_TENANTS {
            assert_eq!(limiter.admit(&format!("t{number}").parse().unwrap(), at(60)), Some(0));
        }
        let late = "late".parse().unwrap();
        assert_eq!((limiter.admit(&late, at(61)), limiter.admit(&late, at(120))), (None, Some(0)));
    }
}
