//! Whose users this process has created or deleted in the last seconds: the counts may not have them yet. Other processes
//! know nothing of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::Tenant;
use crate::limits::COUNT_LAG_SECONDS;
use crate::store::Store;
use crate::store::dynamo::dry_run;

/// When each tenant's users last came or went by this process.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct RecentCountChanges(Arc<Mutex<BTreeMap<String, Instant>>>);

impl RecentCountChanges {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Instant>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_recent(changed: Instant) -> bool {
    changed.elapsed() < Duration::from_secs(COUNT_LAG_SECONDS)
}

impl Store {
    /// Notes that a user of a tenant comes or goes.
    pub(in crate::store) fn note_count_change(&self, tenant: &Tenant) {
        if dry_run::is_on() {
            return;
        }
        self.count_changes.with(|changes| {
            changes.retain(|_, changed| is_recent(*changed));
            changes.insert(tenant.as_str().to_owned(), Instant::now());
        });
    }

    /// Whether this process has created or deleted a user of a tenant so lately that its counts may lack it.
    pub(in crate::store) fn has_recent_count_change(&self, tenant: &Tenant) -> bool {
        self.count_changes.with(|changes| changes.get(tenant.as_str()).is_some_and(|changed| is_recent(*changed)))
    }
}
