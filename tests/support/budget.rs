//! Counts calls, round trips and capacity. Calls issued while another is under way share its round trip.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::wire::{Answer, DynamoCall, Layer, Lost};

#[derive(Debug, Default)]
pub struct Budget(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    spent: StoreUsage,
}

/// What was spent.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct StoreUsage {
    pub round_trips: usize,
    /// The operations, in the order in which they were issued.
    pub calls: Vec<String>,
    /// Read capacity units.
    pub rcu: f64,
    /// Write capacity units.
    pub wcu: f64,
}

impl Budget {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What was spent since the last call.
    pub fn take(&self) -> StoreUsage {
        std::mem::take(&mut self.0.lock().unwrap().spent)
    }
}

impl Layer for Budget {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let mut state = self.0.lock().unwrap();
        if state.under_way == 0 {
            state.spent.round_trips += 1;
        }
        state.under_way += 1;
        state.spent.calls.push(call.operation.clone());
        Ok(None)
    }

    fn after(&self, call: &DynamoCall, (_, body): &Answer) -> Result<(), Lost> {
        let mut state = self.0.lock().unwrap();
        state.under_way -= 1;
        let consumed = match &body["ConsumedCapacity"] {
            Value::Array(tables) => tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum(),
            one => one["CapacityUnits"].as_f64().unwrap_or(0.0),
        };
        match call.operation.as_str() {
            "GetItem" | "Query" | "Scan" | "BatchGetItem" => state.spent.rcu += consumed,
            _ => state.spent.wcu += consumed,
        }
        Ok(())
    }
}
