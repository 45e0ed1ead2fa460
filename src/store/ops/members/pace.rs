//! How fast a batch goes. A table that throttles makes it slower: smaller transactions, and pauses between them, which
//! leave room for the tenant's requests. It becomes faster again step by step.

use std::time::Duration;

use crate::limits::{
    MAX_PACE_PAUSE_MS, MAX_THROTTLED_ATTEMPTS, MAX_TRANSACTION_MEMBERS, MIN_PACE_PAUSE_MS, PACE_GROWTH_MEMBERS,
};

/// The pace of one batch.
#[derive(Debug)]
pub(super) struct Pace {
    members: usize,
    /// The bound of the pause before the next transaction, in milliseconds; the pause is between half of it and all.
    pause_ms: u64,
    /// How often in a row the table has throttled.
    throttled: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { members: MAX_TRANSACTION_MEMBERS, pause_ms: 0, throttled: 0 }
    }

    /// Most members of the next transaction.
    pub(super) fn members(&self) -> usize {
        self.members
    }

    /// A transaction was done.
    pub(super) fn advance(&mut self) {
        self.throttled = 0;
        self.members = (self.members + PACE_GROWTH_MEMBERS).min(MAX_TRANSACTION_MEMBERS);
        self.pause_ms = self.pause_ms * 15 / 16;
        if self.pause_ms < MIN_PACE_PAUSE_MS {
            self.pause_ms = 0;
        }
    }

    /// The table throttled; `false` if it has done so too often in a row, and the batch is to be left to the worker.
    pub(super) fn slow_down(&mut self) -> bool {
        self.throttled += 1;
        self.members = (self.members / 2).max(1);
        self.pause_ms = (2 * self.pause_ms).clamp(MIN_PACE_PAUSE_MS, MAX_PACE_PAUSE_MS);
        self.throttled < MAX_THROTTLED_ATTEMPTS
    }

    /// Waits before the next transaction.
    pub(super) async fn wait(&self) {
        if self.pause_ms > 0 {
            let jitter = getrandom::u64().unwrap_or(0) % self.pause_ms;
            tokio::time::sleep(Duration::from_millis(self.pause_ms / 2 + jitter / 2)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttled_batch_slows_down_at_once_and_recovers_step_by_step() {
        let mut pace = Pace::new();
        assert_eq!((pace.members(), pace.pause_ms), (MAX_TRANSACTION_MEMBERS, 0));
        assert!(pace.slow_down() && pace.slow_down());
        assert_eq!((pace.members(), pace.pause_ms), (MAX_TRANSACTION_MEMBERS / 4, 2 * MIN_PACE_PAUSE_MS));
        pace.advance();
        assert_eq!(pace.members(), MAX_TRANSACTION_MEMBERS / 4 + PACE_GROWTH_MEMBERS);
        (0..60).for_each(|_| pace.advance());
        assert_eq!((pace.members(), pace.pause_ms), (MAX_TRANSACTION_MEMBERS, 0));
        assert_eq!(
            (0..MAX_THROTTLED_ATTEMPTS).filter(|_| pace.slow_down()).count(),
            MAX_THROTTLED_ATTEMPTS as usize - 1
        );
    }
}
