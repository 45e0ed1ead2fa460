//! Holds the n-th call of an operation back until the test releases it: for transactions, the moment between a request's
//! reads and its write.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::wire::{DynamoCall, Layer};

#[derive(Debug)]
pub struct Pause {
    operation: &'static str,
    /// The call that waits, from 1.
    at: usize,
    seen: AtomicUsize,
    reached: Notify,
    go_on: Notify,
}

impl Pause {
    pub fn at_transaction(at: usize) -> Arc<Self> {
        Self::at_call("TransactWriteItems", at)
    }

    pub fn at_call(operation: &'static str, at: usize) -> Arc<Self> {
        Arc::new(Self { operation, at, seen: AtomicUsize::new(0), reached: Notify::new(), go_on: Notify::new() })
    }

    pub async fn reached(&self) {
        self.reached.notified().await;
    }

    pub fn go_on(&self) {
        self.go_on.notify_one();
    }
}

impl Layer for Pause {
    fn hold<'a>(&'a self, call: &'a DynamoCall) -> super::wire::Held<'a> {
        Box::pin(async move {
            if call.operation != self.operation || self.seen.fetch_add(1, Ordering::SeqCst) + 1 != self.at {
                return;
            }
            self.reached.notify_one();
            self.go_on.notified().await;
        })
    }
}
