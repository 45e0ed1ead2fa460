//! Conflicts as DynamoDB raises them and the embedded engine does not: while a transaction is under way, another
//! transaction or a plain write on one of its items is cancelled, and so is a transaction on an item with a plain write
//! under way. Plain writes of one item queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::wire::{Answer, DynamoCall, Layer, Lost};

type Key = (String, String);

#[derive(Debug, Default)]
pub struct Conflict {
    /// Items with a write under way: transactional or plain.
    under_way: Mutex<Vec<(Key, bool)>>,
    raised: AtomicUsize,
}

impl Conflict {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How many were raised.
    pub fn raised(&self) -> usize {
        self.raised.load(Ordering::SeqCst)
    }
}

impl Layer for Conflict {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let is_transaction = call.operation == "TransactWriteItems";
        let items = call.written_items();
        let mut under_way = self.under_way.lock().unwrap();
        let hits: Vec<bool> = items
            .iter()
            .map(|item| under_way.iter().any(|(other, other_tx)| other == item && (is_transaction || *other_tx)))
            .collect();
        // Entered in any case, as `after` will be called.
        under_way.extend(items.into_iter().map(|item| (item, is_transaction)));
        if !hits.contains(&true) {
            return Ok(None);
        }
        self.raised.fetch_add(1, Ordering::SeqCst);
        let namespace = "com.amazonaws.dynamodb.v20120810";
        if !is_transaction {
            return Ok(Some((
                400,
                json!({"__type": format!("{namespace}#TransactionConflictException"), "message": "conflict"}),
            )));
        }
        let reasons: Vec<_> =
            hits.iter().map(|hit| json!({"Code": if *hit { "TransactionConflict" } else { "None" }})).collect();
        Ok(Some((
            400,
            json!({"__type": format!("{namespace}#TransactionCanceledException"), "Message": "cancelled", "CancellationReasons": reasons}),
        )))
    }

    fn after(&self, call: &DynamoCall, _: &Answer) -> Result<(), Lost> {
        let is_transaction = call.operation == "TransactWriteItems";
        let mut under_way = self.under_way.lock().unwrap();
        for item in call.written_items() {
            if let Some(at) = under_way.iter().position(|entry| *entry == (item.clone(), is_transaction)) {
                under_way.swap_remove(at);
            }
        }
        Ok(())
    }
}
