//! Compares the counts with the users. The counts are seconds behind, so only a difference that is the same at two looks
//! is one; and a correction adds that difference, so that what the worker counts meanwhile is counted once.

use std::time::Duration;

use super::{BUCKETS, Counts};
use crate::limits::{COUNT_RECHECK_SECONDS, MAX_WRITE_ATTEMPTS};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// What a comparison has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountReport {
    /// The users that there are.
    pub users: usize,
    /// How many users too many or too few were counted, over all buckets.
    pub drift: u64,
    /// Whether there were no counts at all.
    pub is_missing: bool,
    /// Whether the counts are right now.
    pub is_corrected: bool,
}

impl CountReport {
    /// Whether the counts were wrong.
    pub fn is_wrong(&self) -> bool {
        self.is_missing || self.drift > 0
    }
}

/// The counts, and by how much each bucket has too few users.
struct Comparison {
    stored: Option<Counts>,
    users: usize,
    differences: Vec<i64>,
}

impl Store {
    /// Compares a tenant's counts with its users, at about 100 bytes a user, and corrects them if asked to.
    ///
    /// # Errors
    /// As the store's; [`StoreError::Contended`] where others keep counting.
    pub async fn check_counts(&self, tenant: &TenantName, is_repair: bool) -> Result<CountReport, StoreError> {
        let mut last = self.compare_counts(tenant).await?;
        if last.stored.is_some() && last.differences.iter().all(|difference| *difference == 0) {
            return Ok(CountReport { users: last.users, ..CountReport::default() });
        }
        for _ in 0..MAX_WRITE_ATTEMPTS {
            tokio::time::sleep(Duration::from_secs(COUNT_RECHECK_SECONDS)).await;
            let now = self.compare_counts(tenant).await?;
            let lasting = lasting(&last.differences, &now.differences);
            let drift = lasting.iter().map(|difference| difference.unsigned_abs()).sum();
            let report = CountReport { users: now.users, drift, is_missing: now.stored.is_none(), is_corrected: false };
            if !is_repair || !report.is_wrong() {
                return Ok(report);
            }
            let old = now.stored.clone();
            let new = old.clone().unwrap_or_else(Counts::zero).corrected(&lasting);
            match self.put_counts(tenant, &new, old.as_ref()).await {
                Ok(()) => return Ok(CountReport { is_corrected: true, ..report }),
                Err(StoreError::Contended(_)) => last = now,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Contended(u32::try_from(MAX_WRITE_ATTEMPTS).unwrap_or(u32::MAX)))
    }

    async fn compare_counts(&self, tenant: &TenantName) -> Result<Comparison, StoreError> {
        let stored = self.counts(tenant).await?;
        let buckets = self.tally(tenant).await?;
        let before = stored.clone().unwrap_or_else(Counts::zero);
        let pairs = buckets.iter().zip(before.buckets.iter().chain(std::iter::repeat(&0)));
        let differences = pairs.map(|(counted, stored)| i64::from(*counted) - i64::from(*stored)).collect();
        Ok(Comparison { stored, users: buckets.iter().map(|count| *count as usize).sum(), differences })
    }
}

impl Counts {
    /// Of nobody.
    fn zero() -> Self {
        Self::new(vec![0; BUCKETS])
    }

    fn corrected(mut self, differences: &[i64]) -> Self {
        for (count, difference) in self.buckets.iter_mut().zip(differences) {
            *count = u32::try_from(i64::from(*count) + difference).unwrap_or(0);
        }
        self
    }
}

/// The differences that two looks agree on.
fn lasting(first: &[i64], second: &[i64]) -> Vec<i64> {
    first.iter().zip(second).map(|(first, second)| if first == second { *second } else { 0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_two_looks_is_no_drift() {
        assert_eq!(lasting(&[0, 1, -2, 3], &[0, 1, -2, 0]), [0, 1, -2, 0]);
        let counts = Counts::zero().corrected(&[2, 0, 5]).corrected(&[-1, 0, -9]);
        assert_eq!(counts.total(), 1, "no count is below zero");
    }
}
