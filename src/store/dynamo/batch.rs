//! Many items by their keys.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use crate::limits::{MAX_CONFLICT_ATTEMPTS, MAX_GROUPS_PER_USER};
use crate::store::dynamo::commit::pause;
use crate::store::dynamo::item::Item;
use crate::store::dynamo::tables::Table;
use crate::store::{Store, StoreError};

/// Most items of one BatchGetItem.
const BATCH: usize = 100;

/// Such calls side by side: what concerns the groups of one user, at the most, in one round trip.
const BATCHES_AT_ONCE: usize = MAX_GROUPS_PER_USER / BATCH;

impl Store {
    /// Those of the items that are there, in any order.
    pub(in crate::store) async fn items(&self, table: Table, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for some in keys.chunks(BATCH * BATCHES_AT_ONCE) {
            let batches = some.chunks(BATCH).map(|batch| self.batch(table, batch.to_vec()));
            items.extend(futures_util::future::try_join_all(batches).await?.into_iter().flatten());
        }
        Ok(items)
    }

    async fn batch(&self, table: Table, mut keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let table = self.table(table);
        let mut items = Vec::with_capacity(keys.len());
        for attempt in 0..MAX_CONFLICT_ATTEMPTS {
            if keys.is_empty() {
                return Ok(items);
            }
            if attempt > 0 {
                pause(attempt).await;
            }
            let request =
                KeysAndAttributes::builder().set_keys(Some(std::mem::take(&mut keys))).consistent_read(true).build();
            let request = request.map_err(|e| StoreError::Refused(e.to_string()))?;
            let got = self.client.batch_get_item().request_items(table, request).send().await;
            let got = got.map_err(|e| StoreError::of(&e))?;
            items.extend(got.responses().and_then(|tables| tables.get(table)).into_iter().flatten().cloned());
            keys = got
                .unprocessed_keys()
                .and_then(|tables| tables.get(table))
                .map_or(Vec::new(), |left| left.keys().to_vec());
        }
        Err(StoreError::Throttled("BatchGetItem left keys unprocessed".to_owned()))
    }
}
