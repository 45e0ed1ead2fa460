//! Whose users this process has created or deleted in the last seconds: the counts may not have them yet. Other processes
//! know nothing of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::COUNT_LAG_SECONDS;

/// When each tenant's users last came or went by this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecentCountChanges(Arc<Mutex<BTreeMap<String, Instant>>>);

impl RecentCountChanges {
    /// Notes that a user of a tenant comes or goes.
    pub(crate) fn note(&self, tenant: &str) {
        self.with(|changes| {
            changes.retain(|_, changed| is_recent(*changed));
            changes.insert(tenant.to_owned(), Instant::now());
        });
    }

    /// Whether a user of a tenant has come or gone so lately that its counts may lack it.
    pub(crate) fn has(&self, tenant: &str) -> bool {
        self.with(|changes| changes.get(tenant).is_some_and(|changed| is_recent(*changed)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Instant>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_recent(changed: Instant) -> bool {
    changed.elapsed() < Duration::from_secs(COUNT_LAG_SECONDS)
}
