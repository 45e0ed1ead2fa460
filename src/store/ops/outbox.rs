//! The outbox of notices: what is still to be sent, and the windows of protection that are still reported on. A notice
//! comes here with its event, so that whatever dies, the worker finds it.

use jiff::Timestamp;

use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::{Item, at, optional_text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::hold::HoldWindow;
use crate::store::model::outbox::{HoldWatch, OUTBOX, OutboxRow, PendingNotice};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

impl Store {
    /// The rows of the outbox that there is something to do for. A row that cannot be read is logged and passed over.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn outbox(&self, now: Timestamp) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.partition_of(OUTBOX.to_owned()).await?;
        let read = |item: &Item| match OutboxRow::read(item) {
            Ok(row) => Some(row).filter(|row| row.is_due(now)),
            Err(error) => {
                tracing::error!(%error, row = optional_text(item, "sk"), "a notice cannot be read");
                None
            }
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Takes the right to send a notice for a while; `false` where another run has it.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn claim_notice(&self, notice: &PendingNotice, now: Timestamp) -> Result<bool, StoreError> {
        match self.commit(&[notice.claim(now)], "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// Notes who has a notice.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn mark_notice_sent(&self, notice: &PendingNotice, recipient: &str) -> Result<(), StoreError> {
        self.commit_if_current(notice.mark_sent(recipient)).await
    }

    /// Has a notice sent again later.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn postpone_notice(&self, notice: &PendingNotice, now: Timestamp) -> Result<(), StoreError> {
        self.commit_if_current(notice.postpone(now)).await
    }

    /// Deletes a notice that everybody has, or nobody will get.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn complete_notice(&self, notice: &PendingNotice) -> Result<(), StoreError> {
        self.commit_if_current(notice.complete()).await
    }

    /// Notes that the notices of a window are written.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn go_on_with_watch(&self, watch: &HoldWatch, now: Timestamp) -> Result<(), StoreError> {
        self.commit_if_current(watch.go_on(now)).await
    }

    /// Has the worker report that a window holds: the first request that is held within it marks it. The request is held
    /// all the same where this fails; the next one that is held tries again.
    pub(super) async fn watch_hold(&self, tenant: &TenantName, (row, window): (Item, &HoldWindow), now: Timestamp) {
        if window.held.is_some() || dry_run::is_on() {
            return;
        }
        let mark = Write::update(Table::Links, row)
            .set("held", at(now))
            .require(&Condition::equals("until", at(window.until)))
            .require(&Condition::Absent("held"));
        match self.commit(&[mark, HoldWatch::enqueue(tenant, window, now)], "").await {
            Ok(()) | Err(CommitError::Condition(..)) => {}
            Err(CommitError::Store(error)) => {
                tracing::warn!(%error, tenant = tenant.as_str(), "nobody hears of a request that is held");
            }
        }
    }
}
