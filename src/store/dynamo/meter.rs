//! What a request spends in the store: calls, round trips (calls under way together count once), consumed capacity, and
//! transactions that others cancelled. Counted by an interceptor of the SDK, for the request that the task works for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::{
    batch_get_item, batch_write_item, delete_item, get_item, put_item, query, transact_write_items, update_item,
};
use aws_sdk_dynamodb::types::{
    ConsumedCapacity, ItemCollectionMetrics, ReturnConsumedCapacity, ReturnItemCollectionMetrics,
};
use aws_smithy_runtime_api::client::interceptors::context::Output;

use crate::limits::{LARGE_TENANT_GIGABYTES, LARGE_TENANT_REPORT_SECONDS};

tokio::task_local! {
    static METER: Arc<Meter>;
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StoreUsage {
    /// Calls, with the SDK's own retries as one.
    pub calls: u32,
    /// Calls under way together count once.
    pub round_trips: u32,
    /// Read and write units.
    pub capacity: f64,
    /// Transactions that were tried again because another was on the same item.
    pub conflicts: u32,
    /// The largest item collection that was written to, as DynamoDB estimates it now and then.
    pub collection_gigabytes: Option<f64>,
}

/// Counts for one request.
#[derive(Debug, Default)]
pub struct Meter(Mutex<(StoreUsage, u32)>);

impl Meter {
    /// Runs a request's work, and returns its usage.
    pub async fn measure<T>(work: impl Future<Output = T>) -> (T, StoreUsage) {
        let meter = Arc::new(Self::default());
        let done = METER.scope(meter.clone(), work).await;
        let spent = meter.with(|(spent, _)| *spent);
        (done, spent)
    }

    fn with<T>(&self, change: impl FnOnce(&mut (StoreUsage, u32)) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(change: impl FnOnce(&mut (StoreUsage, u32))) {
        // Outside of a request, nobody asks.
        let _ = METER.try_with(|meter| meter.with(change));
    }

    /// A transaction was cancelled by another one.
    pub(in crate::store) fn conflict() {
        Self::note(|(spent, _)| spent.conflicts += 1);
    }
}

/// Asks every call for what it consumed, and counts.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Metering {
    /// Whether writes are asked how large the item collection has become. DynamoDB knows; an embedded engine would
    /// count it each time.
    pub(in crate::store) asks_size: bool,
}

impl Intercept for Metering {
    fn name(&self) -> &'static str {
        "Metering"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        macro_rules! ask {
            ($($input:ty),*) => {
                $(if let Some(input) = input.downcast_mut::<$input>() {
                    input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                })*
            };
        }
        ask!(
            get_item::GetItemInput,
            query::QueryInput,
            put_item::PutItemInput,
            update_item::UpdateItemInput,
            delete_item::DeleteItemInput,
            batch_get_item::BatchGetItemInput,
            transact_write_items::TransactWriteItemsInput
        );
        // An item collection may have 10 GB; every kind of write can make it grow.
        macro_rules! ask_size {
            ($($input:ty),*) => {
                $(if let Some(input) = input.downcast_mut::<$input>() {
                    input.return_item_collection_metrics = Some(ReturnItemCollectionMetrics::Size);
                })*
            };
        }
        if self.asks_size {
            ask_size!(
                put_item::PutItemInput,
                update_item::UpdateItemInput,
                delete_item::DeleteItemInput,
                transact_write_items::TransactWriteItemsInput,
                batch_write_item::BatchWriteItemInput
            );
        }
        Meter::note(|(spent, under_way)| {
            spent.calls += 1;
            spent.round_trips += u32::from(*under_way == 0);
            *under_way += 1;
        });
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let units = |capacity: &ConsumedCapacity| capacity.capacity_units().unwrap_or_default();
        let mut consumed = 0.0;
        macro_rules! one {
            ($($output:ty),*) => {
                $(if let Some(output) = output.downcast_ref::<$output>() {
                    consumed += output.consumed_capacity().map_or(0.0, units);
                })*
            };
        }
        one!(
            get_item::GetItemOutput,
            query::QueryOutput,
            put_item::PutItemOutput,
            update_item::UpdateItemOutput,
            delete_item::DeleteItemOutput
        );
        if let Some(output) = output.downcast_ref::<batch_get_item::BatchGetItemOutput>() {
            consumed += output.consumed_capacity().iter().map(units).sum::<f64>();
        }
        if let Some(output) = output.downcast_ref::<transact_write_items::TransactWriteItemsOutput>() {
            consumed += output.consumed_capacity().iter().map(units).sum::<f64>();
        }
        let collections = collections(output);
        let largest = collections.iter().filter_map(|metrics| gigabytes(metrics)).reduce(f64::max);
        collections.iter().for_each(|metrics| report_large(metrics));
        Meter::note(|(spent, _)| {
            spent.capacity += consumed;
            spent.collection_gigabytes = spent.collection_gigabytes.into_iter().chain(largest).reduce(f64::max);
        });
        Ok(())
    }

    fn read_after_execution(
        &self,
        _: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Meter::note(|(_, under_way)| *under_way = under_way.saturating_sub(1));
        Ok(())
    }
}

/// The item collections that a write was in, as far as DynamoDB reports them.
fn collections(output: &Output) -> Vec<&ItemCollectionMetrics> {
    let mut all = Vec::new();
    macro_rules! one {
        ($($output:ty),*) => {
            $(if let Some(output) = output.downcast_ref::<$output>() {
                all.extend(output.item_collection_metrics());
            })*
        };
    }
    macro_rules! by_table {
        ($($output:ty),*) => {
            $(if let Some(output) = output.downcast_ref::<$output>() {
                all.extend(output.item_collection_metrics().into_iter().flat_map(|tables| tables.values().flatten()));
            })*
        };
    }
    one!(put_item::PutItemOutput, update_item::UpdateItemOutput, delete_item::DeleteItemOutput);
    by_table!(transact_write_items::TransactWriteItemsOutput, batch_write_item::BatchWriteItemOutput);
    all
}

fn gigabytes(metrics: &ItemCollectionMetrics) -> Option<f64> {
    metrics.size_estimate_range_gb().iter().copied().reduce(f64::max)
}

/// When each large tenant was last reported by this process.
static REPORTED: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// Names a tenant whose item collection nears the 10 GB that DynamoDB allows, once in a while.
fn report_large(metrics: &ItemCollectionMetrics) {
    let Some(gigabytes) = gigabytes(metrics).filter(|gigabytes| *gigabytes >= LARGE_TENANT_GIGABYTES) else { return };
    let key = metrics.item_collection_key().and_then(|key| key.values().next());
    let Some(tenant) = key.and_then(|value| value.as_s().ok()) else { return };
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    let pause = Duration::from_secs(LARGE_TENANT_REPORT_SECONDS);
    if reported.get(tenant).is_none_or(|last| last.elapsed() >= pause) {
        reported.insert(tenant.clone(), Instant::now());
        tracing::warn!(tenant, gigabytes, "LargeTenant");
    }
}
