//! Refusals of DynamoDB that the embedded engine never gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::wire::{Answer, DynamoCall, Layer, Lost};

/// Refuses the calls that are chosen, with that code.
pub struct Refuse {
    code: &'static str,
    chosen: Box<dyn Fn(&DynamoCall) -> bool + Send + Sync>,
    raised: AtomicUsize,
}

impl Refuse {
    pub fn new(code: &'static str, chosen: impl Fn(&DynamoCall) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { code, chosen: Box::new(chosen), raised: AtomicUsize::new(0) })
    }

    /// How many were refused.
    pub fn raised(&self) -> usize {
        self.raised.load(Ordering::SeqCst)
    }
}

impl Layer for Refuse {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        if !(self.chosen)(call) {
            return Ok(None);
        }
        self.raised.fetch_add(1, Ordering::SeqCst);
        Ok(Some((400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{}", self.code), "message": "no"}))))
    }
}
