//! The only speaker of DynamoDB: tables, items, commits. Every method on a tenant's data takes a
//! [`Tenant`](crate::auth::Tenant), and every key is built from it.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use jiff::SignedDuration;

use crate::limits::{CHANGES_RETENTION_DAYS, MAX_BATCH_WRITE_ITEMS, MAX_CHANGES_RETENTION_DAYS};

pub mod background;
pub mod dynamo;
pub mod model;
pub mod ops;
mod rows;

use background::Background;
use dynamo::tables::{Table, TableNames};
use model::count_changes::RecentCountChanges;

/// The tables of one deployment.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    names: TableNames,
    /// How long the feed keeps an event.
    retention: SignedDuration,
    /// Most items of one `BatchWriteItem`.
    rows_per_batch: usize,
    count_changes: RecentCountChanges,
    background: Option<Background>,
}

/// Why the store did not do what was asked. Conditions that did not hold are in the methods' own results.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB asks to slow down, after the SDK's own tries.
    #[error("throttled: {0}; try again later")]
    Throttled(String),
    /// Others kept changing the same items.
    #[error("gave up after {0} attempts, as others keep changing the same items; try again")]
    Contended(u32),
    /// The tenant's item collection has reached 10 GB.
    #[error("the tenant's item collection is full: {0}; delete what is not needed")]
    Full(String),
    /// No answer: time-out, connection, crash. A write may or may not have happened.
    #[error("no answer: {0}; try again")]
    Unavailable(String),
    /// The function's role may not do this, or a table is not there: a fault of the deployment.
    #[error("refused: {0}; check the tables and the permissions")]
    Refused(String),
    /// An item is not what Rollcall writes.
    #[error("the item is not as it was written: {0}; restore it from a backup")]
    Corrupt(String),
    /// A newer release has written an item in a form that this one cannot read.
    #[error("an item has the format {0}, which a newer release writes")]
    Newer(String),
    /// The item exists already.
    #[error("the item exists already; choose another id")]
    Exists,
    /// More work than one request may do.
    #[error("more than {0} pages or items to read; ask for less")]
    TooMany(usize),
}

impl Store {
    /// A store on a client.
    pub fn new(client: Client, names: TableNames) -> Self {
        let retention = SignedDuration::from_hours(24 * CHANGES_RETENTION_DAYS);
        let count_changes = RecentCountChanges::default();
        Self { client, names, retention, rows_per_batch: MAX_BATCH_WRITE_ITEMS, count_changes, background: None }
    }

    /// The same store, whose feed keeps events for so many days.
    #[must_use]
    pub fn with_retention_days(self, days: i64) -> Self {
        let days = days.clamp(1, MAX_CHANGES_RETENTION_DAYS);
        Self { retention: SignedDuration::from_hours(24 * days), ..self }
    }

    /// The same store, on an engine that takes so many rows in one `BatchWriteItem`.
    #[must_use]
    pub fn with_rows_per_batch(self, rows_per_batch: usize) -> Self {
        Self { rows_per_batch, ..self }
    }

    /// The same store, which answers a large change of members once it is committed, and carries it out after that.
    #[must_use]
    pub fn with_background(self, background: Background) -> Self {
        Self { background: Some(background), ..self }
    }

    /// The client, for what is not a tenant's data: creating tables.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The names of the tables.
    pub fn names(&self) -> &TableNames {
        &self.names
    }

    fn table(&self, table: Table) -> &str {
        self.names.of(table)
    }
}

impl StoreError {
    /// Sorts an SDK error.
    fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let context = DisplayErrorContext(error).to_string();
        match error {
            SdkError::ServiceError(service) => Self::of_code(service.err().code(), context),
            _ => Self::Unavailable(context),
        }
    }

    fn of_code(code: Option<&str>, context: String) -> Self {
        match code.unwrap_or_default() {
            "ProvisionedThroughputExceededException"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "ThrottlingError" => Self::Throttled(context),
            "ItemCollectionSizeLimitExceededException" => Self::Full(context),
            "InternalServerError" | "ServiceUnavailable" | "InternalFailure" => Self::Unavailable(context),
            _ => Self::Refused(context),
        }
    }
}
