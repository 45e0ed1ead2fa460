//! What a commit is: one write is a plain call, several are a transaction. Callers do not choose.

use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use crate::limits::{MAX_CONFLICT_ATTEMPTS, MAX_CONFLICT_PAUSE_MS};
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::Item;
use crate::store::dynamo::meter::Meter;
use crate::store::dynamo::write::{Guard, Write, WriteKind};
use crate::store::{Store, StoreError};

/// Why a commit did not happen.
#[derive(Debug)]
pub(in crate::store) enum CommitError {
    /// That guard did not hold; the item as it is now, if there is one and the write returns it.
    Condition(Guard, Option<Item>),
    /// Anything else.
    Store(StoreError),
}

/// The parts that the SDK's builders of every kind of write share by name only.
macro_rules! conditional {
    ($builder:expr, $write:expr, $table:expr) => {
        $builder
            .table_name($table)
            .set_condition_expression($write.condition.clone())
            .set_expression_attribute_names((!$write.names.is_empty()).then(|| $write.names.clone()))
            .set_expression_attribute_values((!$write.values.is_empty()).then(|| $write.values.clone()))
            .set_return_values_on_condition_check_failure(
                (!$write.omits_old_item).then_some(ReturnValuesOnConditionCheckFailure::AllOld),
            )
    };
}

macro_rules! send_one {
    ($call:expr, $write:expr, $table:expr, $error:ident) => {
        match conditional!($call, $write, $table).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(WriteFailure::of(&error, || match error.as_service_error() {
                Some($error::ConditionalCheckFailedException(failed)) => failed.item().cloned(),
                _ => None,
            })),
        }
    };
}

impl Store {
    /// Commits all writes or none. `token` is the same for every try of the same writes, so that a transaction whose
    /// answer was lost does not happen twice. Transactions that others' writes cancel are tried again.
    pub(in crate::store) async fn commit(&self, writes: &[Write], token: &str) -> Result<(), CommitError> {
        for attempt in 1..=MAX_CONFLICT_ATTEMPTS {
            let outcome = match writes {
                writes if dry_run::is_on() => self.check(writes).await,
                [single] => self.write_one(single).await,
                several => self.transact(several, token).await,
            };
            match outcome {
                Err(WriteFailure::Conflict) => {
                    Meter::conflict();
                    pause(attempt).await;
                }
                Err(WriteFailure::Condition(index, item)) => {
                    let guard = writes.get(index).map_or(Guard::Other, |write| write.guard);
                    return Err(CommitError::Condition(guard, item));
                }
                Err(WriteFailure::Store(error)) => return Err(CommitError::Store(error)),
                Ok(()) => return Ok(()),
            }
        }
        Err(CommitError::Store(StoreError::Contended(MAX_CONFLICT_ATTEMPTS)))
    }

    /// Commits one write if its condition holds. A failed condition is no error.
    pub(in crate::store) async fn commit_if_current(&self, write: Write) -> Result<(), StoreError> {
        match self.commit(&[write], "").await {
            Ok(()) | Err(CommitError::Condition(..)) => Ok(()),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Whether all conditions hold, of a dry run: nothing is written.
    async fn check(&self, writes: &[Write]) -> Result<(), WriteFailure> {
        let checks = writes.iter().enumerate().filter_map(|(index, write)| Some((index, write.as_check()?)));
        let (places, checks): (Vec<_>, Vec<_>) = checks.unzip();
        if checks.is_empty() {
            return Ok(());
        }
        self.transact(&checks, "").await.map_err(|failure| match failure {
            WriteFailure::Condition(index, item) => {
                WriteFailure::Condition(places.get(index).copied().unwrap_or(index), item)
            }
            other => other,
        })
    }

    async fn write_one(&self, write: &Write) -> Result<(), WriteFailure> {
        let table = self.table(write.table);
        match &write.kind {
            WriteKind::Put(item) => {
                let call = self.client.put_item().set_item(Some(item.clone()));
                send_one!(call, write, table, PutItemError)
            }
            WriteKind::Update(key, expression) => {
                let call = self.client.update_item().set_key(Some(key.clone()));
                send_one!(call.update_expression(expression.text()), write, table, UpdateItemError)
            }
            WriteKind::Delete(key) => {
                let call = self.client.delete_item().set_key(Some(key.clone()));
                send_one!(call, write, table, DeleteItemError)
            }
            WriteKind::Check(_) => self.transact(std::slice::from_ref(write), "").await,
        }
    }

    async fn transact(&self, writes: &[Write], token: &str) -> Result<(), WriteFailure> {
        let items = writes.iter().map(|write| write.transact_item(self)).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(|e| WriteFailure::Store(StoreError::Refused(e.to_string())))?;
        // Without one, the SDK makes one for its own tries: DynamoDB refuses an empty token.
        let token = (!token.is_empty()).then(|| token.to_owned());
        let call = self.client.transact_write_items().set_transact_items(Some(items)).set_client_request_token(token);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                    WriteFailure::of_reasons(cancelled.cancellation_reasons())
                }
                _ => WriteFailure::of(&error, || None),
            }),
        }
    }
}

impl Write {
    fn transact_item(&self, store: &Store) -> Result<TransactWriteItem, aws_sdk_dynamodb::error::BuildError> {
        let table = store.table(self.table);
        let item = TransactWriteItem::builder();
        Ok(match &self.kind {
            WriteKind::Put(new) => {
                item.put(conditional!(Put::builder().set_item(Some(new.clone())), self, table).build()?)
            }
            WriteKind::Update(key, expression) => {
                let update = Update::builder().set_key(Some(key.clone())).update_expression(expression.text());
                item.update(conditional!(update, self, table).build()?)
            }
            WriteKind::Delete(key) => {
                item.delete(conditional!(Delete::builder().set_key(Some(key.clone())), self, table).build()?)
            }
            WriteKind::Check(key) => {
                let check = ConditionCheck::builder().set_key(Some(key.clone()));
                item.condition_check(conditional!(check, self, table).build()?)
            }
        }
        .build())
    }
}

enum WriteFailure {
    /// Another transaction was on the same item: nothing happened, and it may be tried again.
    Conflict,
    /// The condition of the write at that index did not hold.
    Condition(usize, Option<Item>),
    Store(StoreError),
}

impl WriteFailure {
    fn of<E, R>(error: &SdkError<E, R>, old: impl FnOnce() -> Option<Item>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        match code {
            Some("ConditionalCheckFailedException") => Self::Condition(0, old()),
            Some("TransactionConflictException" | "TransactionInProgressException") => Self::Conflict,
            _ => Self::Store(StoreError::of(error)),
        }
    }

    /// A condition that did not hold decides; conflicts alone are worth another try.
    fn of_reasons(reasons: &[CancellationReason]) -> Self {
        let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
        if let Some((index, failed)) =
            reasons.iter().enumerate().find(|(_, reason)| code(reason) == "ConditionalCheckFailed")
        {
            return Self::Condition(index, failed.item().cloned());
        }
        if reasons.iter().any(|reason| code(reason) == "TransactionConflict")
            && reasons.iter().all(|reason| matches!(code(reason).as_str(), "None" | "TransactionConflict"))
        {
            return Self::Conflict;
        }
        let context = reasons.iter().map(code).collect::<Vec<_>>().join(", ");
        Self::Store(if reasons.iter().any(|r| code(r) == "ItemCollectionSizeLimitExceeded") {
            StoreError::Full(context)
        } else if reasons
            .iter()
            .any(|r| matches!(code(r).as_str(), "ThrottlingError" | "ProvisionedThroughputExceeded"))
        {
            StoreError::Throttled(context)
        } else {
            StoreError::Refused(context)
        })
    }
}

/// Full jitter below a bound that doubles with every attempt.
pub(in crate::store) async fn pause(attempt: u32) {
    let bound = (4_u64 << attempt.min(16)).min(MAX_CONFLICT_PAUSE_MS);
    let random = getrandom::u64().unwrap_or(0) % bound;
    tokio::time::sleep(Duration::from_millis(random)).await;
}
