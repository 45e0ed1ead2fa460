//! Many items by their keys, and many items put or deleted.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use crate::limits::{MAX_BATCH_WRITE_ITEMS, MAX_CONFLICT_ATTEMPTS, MAX_GROUPS_PER_USER};
use crate::store::dynamo::commit::pause;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::Item;
use crate::store::dynamo::tables::Table;
use crate::store::model::format::note_format;
use crate::store::{Store, StoreError};

/// Most items of one BatchGetItem.
const BATCH: usize = 100;

/// Such calls side by side.
const WRITE_BATCHES_AT_ONCE: usize = 4;

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

    /// Puts items, in any order and without a condition. If it fails, some may be there.
    pub(in crate::store) async fn put_items(&self, table: Table, items: Vec<Item>) -> Result<(), StoreError> {
        let put = |mut item: Item| {
            note_format(&mut item);
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        };
        self.write_items(table, items.into_iter().map(put).collect(), self.rows_per_batch).await
    }

    /// Deletes items by their keys, in any order. If it fails, some may be gone.
    pub(in crate::store) async fn delete_items(&self, table: Table, keys: Vec<Item>) -> Result<(), StoreError> {
        let delete = |key: Item| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build();
            delete.map(|delete| WriteRequest::builder().delete_request(delete).build())
        };
        // The embedded engine, too, takes no more of these.
        self.write_items(table, keys.into_iter().map(delete).collect(), MAX_BATCH_WRITE_ITEMS).await
    }

    async fn write_items(
        &self,
        table: Table,
        requests: Result<Vec<WriteRequest>, BuildError>,
        size: usize,
    ) -> Result<(), StoreError> {
        let requests = requests.map_err(|e| StoreError::Refused(e.to_string()))?;
        // Nothing is written by a dry run, by no way.
        let requests = if dry_run::is_on() { &[] } else { requests.as_slice() };
        for some in requests.chunks(size * WRITE_BATCHES_AT_ONCE) {
            let batches = some.chunks(size).map(|batch| self.write_batch(table, batch));
            futures_util::future::try_join_all(batches).await?;
        }
        Ok(())
    }

    async fn write_batch(&self, table: Table, requests: &[WriteRequest]) -> Result<(), StoreError> {
        let mut left = HashMap::from([(self.table(table).to_owned(), requests.to_vec())]);
        for attempt in 0..MAX_CONFLICT_ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let written = self.client.batch_write_item().set_request_items(Some(left)).send().await;
            left = written.map_err(|e| StoreError::of(&e))?.unprocessed_items.unwrap_or_default();
            if left.values().all(Vec::is_empty) {
                return Ok(());
            }
        }
        Err(StoreError::Throttled("BatchWriteItem left items unprocessed".to_owned()))
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
