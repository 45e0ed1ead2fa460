//! Refusals of DynamoDB that the embedded engine never gives: of chosen calls, or of whatever a table cannot take in a
//! second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::time::Instant;

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

/// A table that takes so many written items a second, and a burst of that many: it throttles all beyond that, a
/// transaction as a whole.
pub struct Throttle {
    per_second: f64,
    state: Mutex<State>,
}

struct State {
    left: f64,
    last: Instant,
    /// The items of each transaction that came, and whether it was throttled.
    transactions: Vec<(usize, bool)>,
}

impl Throttle {
    pub fn new(per_second: f64) -> Arc<Self> {
        let state = State { left: per_second, last: Instant::now(), transactions: Vec::new() };
        Arc::new(Self { per_second, state: Mutex::new(state) })
    }

    /// The items of each transaction that came, and whether it was throttled.
    pub fn transactions(&self) -> Vec<(usize, bool)> {
        self.state.lock().unwrap().transactions.clone()
    }
}

impl Layer for Throttle {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let items = call.written_items().len();
        if items == 0 {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap();
        let passed = state.last.elapsed().as_secs_f64();
        state.last = Instant::now();
        state.left = (state.left + passed * self.per_second).min(self.per_second);
        #[expect(clippy::cast_precision_loss, reason = "there are at most 100")]
        let is_throttled = items as f64 > state.left;
        if call.operation == "TransactWriteItems" {
            state.transactions.push((items, is_throttled));
        }
        if !is_throttled {
            #[expect(clippy::cast_precision_loss, reason = "there are at most 100")]
            let spent = items as f64;
            state.left -= spent;
            return Ok(None);
        }
        let namespace = "com.amazonaws.dynamodb.v20120810";
        if call.operation != "TransactWriteItems" {
            let code = format!("{namespace}#ProvisionedThroughputExceededException");
            return Ok(Some((400, json!({"__type": code, "message": "slow down"}))));
        }
        let reasons: Vec<_> = (0..items).map(|_| json!({"Code": "ThrottlingError"})).collect();
        let code = format!("{namespace}#TransactionCanceledException");
        Ok(Some((400, json!({"__type": code, "Message": "cancelled", "CancellationReasons": reasons}))))
    }
}
