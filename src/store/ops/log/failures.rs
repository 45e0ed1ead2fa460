//! How many requests of a tenant were refused within some time, of the rows that refused requests leave in the log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::sort_of;
use crate::store::dynamo::item::{Item, s, text};
use crate::store::dynamo::tables::{REFUSAL_LANE, Table};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// The status of what is refused on purpose: what is held, and too many requests. Each has a notice or an answer of its own.
const TOO_MANY_REQUESTS: u64 = 429;

/// Refused requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many there were, those without a row included.
    pub count: u64,
    /// How many have a row, by the code of the error.
    pub codes: BTreeMap<String, u64>,
}

impl Failures {
    fn add(&mut self, entry: &Value) {
        let number = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or(0);
        if number("status") == TOO_MANY_REQUESTS {
            return;
        }
        self.count += 1 + number("suppressed");
        let code = entry.get("code").and_then(Value::as_str).unwrap_or_default();
        *self.codes.entry(code.to_owned()).or_default() += 1;
    }
}

impl Store {
    /// The requests of a tenant that were refused within some time with another status than 429. Stops counting some time
    /// after the bound.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn failures(
        &self,
        tenant: &TenantName,
        (since, until): (Timestamp, Timestamp),
        bound: u32,
    ) -> Result<Failures, StoreError> {
        let (mut failures, mut start) = (Failures::default(), None::<Item>);
        loop {
            let query = self.client.query().table_name(self.table(Table::Changes)).consistent_read(true);
            let query = query
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
                .expression_attribute_names("#pk", "pk")
                .expression_attribute_names("#sk", "sk")
                .expression_attribute_values(":pk", s(format!("{tenant}{REFUSAL_LANE}")))
                .expression_attribute_values(":from", s(sort_of(since)))
                .expression_attribute_values(":to", s(sort_of(until)));
            let page = query.set_exclusive_start_key(start.take()).send().await.map_err(|e| StoreError::of(&e))?;
            for row in page.items() {
                let entry = serde_json::from_str(text(row, "entry")?);
                failures.add(&entry.map_err(|e| StoreError::Corrupt(e.to_string()))?);
            }
            start = page.last_evaluated_key;
            if start.is_none() || failures.count > u64::from(bound) {
                return Ok(failures);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_refused_on_purpose_is_no_failure() {
        let mut failures = Failures::default();
        for entry in [
            json!({"status": 409, "code": "taken"}),
            json!({"status": 429, "code": "held", "suppressed": 500}),
            json!({"status": 400, "code": "invalid-value", "suppressed": 3}),
            json!({"status": 409, "code": "taken"}),
        ] {
            failures.add(&entry);
        }
        let codes = BTreeMap::from([("taken".to_owned(), 2), ("invalid-value".to_owned(), 1)]);
        assert_eq!(failures, Failures { count: 6, codes });
    }
}
