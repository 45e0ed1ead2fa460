//! The token bucket of a key, in its record: one number, which every request reads with the record.

use crate::auth::KeyId;
use crate::limits::RATE_DEBT_SECONDS;
use crate::store::Store;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::n;
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::tenant::credential_key;
use crate::tenant::{RateLimit, TenantName};

impl Store {
    /// Takes tokens for requests out of the bucket of a key; `false` if it is not as `is_filling` says, or DynamoDB fails:
    /// then nothing is taken. Of a bucket that is overdrawn nothing more is taken.
    pub async fn record_requests(
        &self,
        (tenant, id): (&TenantName, &KeyId),
        limit: RateLimit,
        requests: i64,
        is_filling: bool,
        now: i64,
    ) -> bool {
        let cost = limit.cost(requests).min(i64::from(RATE_DEBT_SECONDS) * 1_000_000);
        let write = Write::update(Table::Keys, credential_key(tenant, id.as_str()))
            .require(&Condition::Exists("tenant"))
            .without_returning_old();
        let write = match is_filling {
            true => write.add("refill", n(cost)).require(&Condition::greater("refill", n(now))),
            false => write
                .set("refill", n(now.saturating_add(cost)))
                .require(&Condition::Absent("refill").or(Condition::at_most("refill", n(now)))),
        };
        let write = match is_filling {
            true => write.require(&Condition::at_most("refill", n(now.saturating_add(limit.capacity())))),
            false => write,
        };
        match self.commit(&[write], "").await {
            Ok(()) => true,
            Err(CommitError::Condition(..)) => false,
            Err(CommitError::Store(error)) => {
                tracing::warn!(%error, "requests are not in the count of their key");
                false
            }
        }
    }
}
