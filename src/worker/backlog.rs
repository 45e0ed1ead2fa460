//! How far the feed is behind what is written, so that a server slows its writers down before events are late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::limits::{FEED_LAG_SECONDS, MAX_FEED_PAUSE_SECONDS};
use crate::store::dynamo::tables::Table;

/// For each table, when the oldest change was written that is not in the feed yet.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<Mutex<BTreeMap<Table, Timestamp>>>);

impl Backlog {
    /// How long a writer waits before its request begins: as long as the feed is too late, up to a bound, so that a
    /// feed that stands still stops nobody. Zero while the feed keeps up.
    #[must_use]
    pub fn pause(&self, now: Timestamp) -> Duration {
        let oldest = self.tables().values().min().copied();
        let age = oldest.map_or(Duration::ZERO, |oldest| now.duration_since(oldest).try_into().unwrap_or_default());
        age.saturating_sub(Duration::from_secs(FEED_LAG_SECONDS)).min(Duration::from_secs(MAX_FEED_PAUSE_SECONDS))
    }

    /// Notes the oldest change of a table that is not in the feed; none if all are.
    pub(super) fn note(&self, table: Table, oldest: Option<Timestamp>) {
        let mut tables = self.tables();
        match oldest {
            Some(oldest) => drop(tables.insert(table, oldest)),
            None => drop(tables.remove(&table)),
        }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<Table, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: u64) -> Timestamp {
        Timestamp::from_second(second.cast_signed()).unwrap()
    }

    #[test]
    fn writers_wait_while_the_feed_is_late_and_never_longer_than_the_bound() {
        let backlog = Backlog::default();
        assert_eq!(backlog.pause(second(100)), Duration::ZERO);
        backlog.note(Table::Users, Some(second(100)));
        backlog.note(Table::Groups, Some(second(99)));
        assert_eq!(backlog.pause(second(99 + FEED_LAG_SECONDS)), Duration::ZERO);
        assert_eq!(backlog.pause(second(100 + FEED_LAG_SECONDS)), Duration::from_secs(1), "of the later table");
        assert_eq!(backlog.pause(second(10_000)), Duration::from_secs(MAX_FEED_PAUSE_SECONDS));
        backlog.note(Table::Groups, None);
        assert_eq!(backlog.pause(second(100 + FEED_LAG_SECONDS)), Duration::ZERO);
        backlog.note(Table::Users, Some(second(200)));
        assert_eq!(backlog.pause(second(100)), Duration::ZERO, "a clock that was set back");
    }
}
