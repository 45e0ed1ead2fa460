//! Eventual consistency at its worst: a read that does not ask for consistency sees nothing of the last writes.

use std::sync::{Arc, Mutex};

use rollcall::store::dynamo::embedded::Engine;

use super::wire::{Answer, DynamoCall, Layer, Lost};

/// How many writes the stale copy lags behind.
const LAG: usize = 3;

pub struct Stale {
    copy: Engine,
    pending: Mutex<Vec<DynamoCall>>,
}

impl Stale {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { copy: Engine::in_memory().unwrap(), pending: Mutex::default() })
    }

    /// The engine to set up like the other one.
    pub fn copy(&self) -> &Engine {
        &self.copy
    }
}

impl Layer for Stale {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let is_read = matches!(call.operation.as_str(), "GetItem" | "Query" | "Scan" | "BatchGetItem");
        if !is_read || call.body["ConsistentRead"] == true {
            return Ok(None);
        }
        let (status, body) = self.copy.call(&call.operation, call.body.to_string().as_bytes());
        Ok(Some((status, serde_json::from_slice(&body).unwrap())))
    }

    fn after(&self, call: &DynamoCall, (status, _): &Answer) -> Result<(), Lost> {
        if *status == 200 && !call.written_items().is_empty() {
            let mut pending = self.pending.lock().unwrap();
            pending.push(call.clone());
            if pending.len() > LAG {
                let late = pending.remove(0);
                self.copy.call(&late.operation, late.body.to_string().as_bytes());
            }
        }
        Ok(())
    }
}
