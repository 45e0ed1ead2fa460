//! The users of the worlds in one store. In every world their ids have one order: what comes first in a list, and which
//! members are of one transaction, is alike in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall::limits::MAX_TRANSACTION_MEMBERS;
use serde_json::{Value, json};

use super::model::Name;
use crate::support::{Harness, random};

/// Who a user may be, by the first digit of the id: `old` comes before the many, `new` and `other` after them.
const DIGITS: [(Name, &str); 4] = [("old", "01234"), ("many", "56"), ("new", "789ab"), ("other", "cdef")];

/// More than a transaction takes.
const MANY_COUNT: usize = MAX_TRANSACTION_MEMBERS + 1;

/// Most items of a `BatchWriteItem`.
const BATCH: usize = 25;

#[derive(Debug, Default)]
pub struct People {
    /// Users that no world has yet: id and user name.
    spare: BTreeMap<Name, Vec<(String, String)>>,
    pub many: Arc<Vec<String>>,
    /// Their items before the first world.
    items: Vec<Value>,
}

impl People {
    /// The many, and nobody else yet.
    pub async fn new(harness: &Harness) -> Self {
        let mut people = Self::default();
        while people.spare.get("many").is_none_or(|many| many.len() < MANY_COUNT) {
            people.create(harness).await;
        }
        let mut many: Vec<String> = people.spare.remove("many").into_iter().flatten().map(|(id, _)| id).collect();
        many.sort();
        let all = call(harness, "Scan", &json!({"TableName": "test-users"}));
        let items = all["Items"].as_array().unwrap().iter();
        people.items = items.filter(|item| many.iter().any(|id| item["id"]["S"] == id.as_str())).cloned().collect();
        assert_eq!(people.items.len(), MANY_COUNT, "a scan is one page");
        Self { many: Arc::new(many), ..people }
    }

    /// A user for a world alone: id and user name.
    pub async fn take(&mut self, harness: &Harness, name: Name) -> (String, String) {
        loop {
            if let Some(user) = self.spare.get_mut(name).and_then(Vec::pop) {
                return user;
            }
            self.create(harness).await;
        }
    }

    async fn create(&mut self, harness: &Harness) {
        let user_name = format!("user-{:x}", random());
        let id = harness.user(&user_name).await;
        let (name, _) = DIGITS.iter().find(|(_, digits)| id.starts_with(|digit| digits.contains(digit))).unwrap();
        self.spare.entry(name).or_default().push((id, user_name));
    }

    /// Takes the many out of the groups of earlier worlds: a member's item has its groups.
    pub fn reset_many(&self, harness: &Harness) {
        for items in self.items.chunks(BATCH) {
            let puts: Vec<_> = items.iter().map(|item| json!({"PutRequest": {"Item": item}})).collect();
            call(harness, "BatchWriteItem", &json!({"RequestItems": {"test-users": puts}}));
        }
    }
}

fn call(harness: &Harness, operation: &str, body: &Value) -> Value {
    let (status, answer) = harness.engine.call(operation, body.to_string().as_bytes());
    assert_eq!(status, 200, "{operation}");
    serde_json::from_slice(&answer).unwrap()
}
