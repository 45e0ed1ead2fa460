//! BackgroundTask that goes on after the answer, where a process lives on: in `rollcall serve`, not in a function of Lambda, which
//! stands still between requests.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::MAX_BACKGROUND_BATCHES;
use crate::tenant::TenantName;

/// Some work of a tenant.
pub type BackgroundTask = Pin<Box<dyn Future<Output = ()> + Send>>;

type Spawn = dyn Fn(&TenantName, BackgroundTask) + Send + Sync;

/// Where work goes on.
#[derive(Clone)]
pub struct Background {
    spawn: Arc<Spawn>,
    slots: Arc<Semaphore>,
}

/// Room for one more work.
pub(super) struct BackgroundSlot<'b>(&'b Background, OwnedSemaphorePermit);

impl Background {
    /// By a function that has work of a tenant go on and returns at once.
    pub fn new(spawn: impl Fn(&TenantName, BackgroundTask) + Send + Sync + 'static) -> Self {
        Self { spawn: Arc::new(spawn), slots: Arc::new(Semaphore::new(MAX_BACKGROUND_BATCHES)) }
    }

    /// Room, unless too much is under way: whoever asked for more does it before the answer, and so is slowed down.
    pub(super) fn slot(&self) -> Option<BackgroundSlot<'_>> {
        let permit = self.slots.clone().try_acquire_owned().ok()?;
        Some(BackgroundSlot(self, permit))
    }
}

impl BackgroundSlot<'_> {
    pub(super) fn begin(self, tenant: &TenantName, work: impl Future<Output = ()> + Send + 'static) {
        let Self(background, permit) = self;
        let work = async move {
            work.await;
            drop(permit);
        };
        (background.spawn)(tenant, Box::pin(work));
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("slots", &self.slots).finish_non_exhaustive()
    }
}
