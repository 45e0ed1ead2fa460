//! The log of a tenant: what has happened to its users and groups, which requests were refused, and what operators did.
//! The first is table `changes` as the worker writes it. The other two are lanes that requests write themselves, keyed by
//! time; several may write at once, so these have no head and no hash chain.

use jiff::Timestamp;
use serde_json::Value;

use crate::store::dynamo::item::{Item, at, n, s};
use crate::store::dynamo::tables::{ADMIN_LANE, REFUSAL_LANE, Table};
use crate::store::dynamo::write::Write;
use crate::store::model::admin_action::{AdminAction, AdminAuthor};
use crate::store::model::refusal::RefusalRow;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod failures;
mod filter;
mod read;

pub use failures::Failures;
pub use filter::{LogFilter, LogKind, LogStatus};
pub use read::{LogPage, LogPosition};

impl Store {
    /// Writes a request that was refused into the log.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn write_refusal(&self, tenant: &TenantName, refusal: &RefusalRow<'_>) -> Result<(), StoreError> {
        let sort = format!("{}#{}", sort_of(refusal.at), refusal.request);
        let row = self.log_row((tenant, REFUSAL_LANE), &sort, refusal.at, &refusal.entry());
        self.commit_if_current(Write::put(Table::Changes, row)).await
    }

    /// The write that records an admin action, and goes with what it records.
    pub(in crate::store) fn record_action(
        &self,
        tenant: &TenantName,
        by: &AdminAuthor,
        action: &AdminAction<'_>,
    ) -> Write {
        let request = by.request.as_deref().unwrap_or("-");
        let sort = format!("{}#{request}#{}#{}", sort_of(by.at), action.kind.as_str(), action.id);
        let id = format!("adm_{}_{request}_{}", sort_of(by.at), action.kind.as_str());
        Write::put(Table::Changes, self.log_row((tenant, ADMIN_LANE), &sort, by.at, &action.entry(&id, by)))
    }

    fn log_row(&self, (tenant, lane): (&TenantName, &str), sort: &str, time: Timestamp, entry: &Value) -> Item {
        let mut item = Item::from([("pk".to_owned(), s(format!("{tenant}{lane}"))), ("sk".to_owned(), s(sort))]);
        item.insert("at".into(), at(time));
        item.insert("ttl".into(), n(time.as_second() + self.retention.as_secs()));
        item.insert("entry".into(), s(entry.to_string()));
        item
    }
}

/// A time as it sorts.
fn sort_of(time: Timestamp) -> String {
    format!("{:013}", time.as_millisecond())
}
