//! The users of the worlds in one store. In every world their ids have one order: what comes first in a list, and which
//! members are of one transaction, is alike in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall::limits::MAX_TRANSACTION_MEMBERS;
use serde_json::{Value, json};

use super::model::Name;
use super::state;
use crate::support::wire::DynamoCall;
use crate::support::{Harness, random};

/// Who a user may be, by the first digit of the id: `old` comes before the many, `new` and `other` after them.
const DIGITS: [(Name, &str); 4] = [("old", "01234"), ("many", "56"), ("new", "789ab"), ("other", "cdef")];

/// More than a transaction takes.
const MANY_COUNT: usize = MAX_TRANSACTION_MEMBERS + 1;

/// Most items of a `BatchWriteItem`.
const BATCH: usize = 25;

const USERS: &str = "test-users";

/// The tenant of the harness.
const TENANT: &str = "acme";

/// A user, with the item that it had before the first world.
#[derive(Debug, Clone)]
pub struct Person {
    pub id: String,
    pub user_name: String,
    item: Value,
}

impl Person {
    /// What names the user in calls.
    pub fn texts(&self) -> [String; 2] {
        [self.id.clone(), self.user_name.clone()]
    }
}

#[derive(Debug, Default)]
pub struct People {
    /// Users that no world has.
    spare: BTreeMap<Name, Vec<Person>>,
    pub many: Arc<Vec<Person>>,
}

impl People {
    /// The many, and nobody else yet.
    pub async fn new(harness: &Harness) -> Self {
        let mut people = Self::default();
        while people.spare.get("many").is_none_or(|many| many.len() < MANY_COUNT) {
            people.create(harness).await;
        }
        let mut many = people.spare.remove("many").unwrap_or_default();
        many.sort_by(|one, other| one.id.cmp(&other.id));
        Self { many: Arc::new(many), ..people }
    }

    /// A user for a world alone.
    pub async fn take(&mut self, harness: &Harness, name: Name) -> Person {
        loop {
            if let Some(person) = self.spare.get_mut(name).and_then(Vec::pop) {
                return person;
            }
            self.create(harness).await;
        }
    }

    /// Takes back a user that nobody has deleted.
    pub fn put_back(&mut self, name: Name, person: Person) {
        self.spare.entry(name).or_default().push(person);
    }

    async fn create(&mut self, harness: &Harness) {
        let user_name = format!("user-{:x}", random());
        let id = harness.user(&user_name).await;
        let key = json!({"tenant": {"S": TENANT}, "userName": {"S": user_name}});
        let item = call(harness, "GetItem", &json!({"TableName": USERS, "Key": key}))["Item"].clone();
        let (name, _) = DIGITS.iter().find(|(_, digits)| id.starts_with(|digit| digits.contains(digit))).unwrap();
        self.put_back(name, Person { id, user_name, item });
    }

    /// Deletes what calls have written, but for users.
    pub fn delete(&self, harness: &Harness, writes: &[DynamoCall]) {
        let writes = writes.iter().flat_map(state::writes);
        for (table, key) in writes.flat_map(|write| write.written_keys()).filter(|(table, _)| table != USERS) {
            call(harness, "DeleteItem", &json!({"TableName": table, "Key": key}));
        }
    }
}

/// Takes users out of the groups of earlier worlds: a member's item has its groups.
pub fn reset<'a>(harness: &Harness, people: impl Iterator<Item = &'a Person>) {
    let people: Vec<_> = people.collect();
    for people in people.chunks(BATCH) {
        let puts: Vec<_> = people.iter().map(|person| json!({"PutRequest": {"Item": person.item}})).collect();
        call(harness, "BatchWriteItem", &json!({"RequestItems": {USERS: puts}}));
    }
}

fn call(harness: &Harness, operation: &str, body: &Value) -> Value {
    let (status, answer) = harness.engine.call(operation, body.to_string().as_bytes());
    assert_eq!(status, 200, "{operation}");
    serde_json::from_slice(&answer).unwrap()
}
