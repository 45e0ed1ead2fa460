//! The worker as it follows the streams, step by step, and a reader of the feed.

use rollcall::app::Clock;
use rollcall::auth::Scope;
use rollcall::store::Store;
use rollcall::store::dynamo::embedded::StreamPosition;
use rollcall::store::dynamo::tables::Table;
use rollcall::worker;
use serde_json::{Value, json};

use super::{Harness, access, key};

/// The tables whose streams the worker reads for the feed.
const FOLLOWED: [Table; 2] = [Table::Users, Table::Groups];

/// Hands change records over to the worker, as Lambda would.
pub struct Pump {
    positions: Vec<StreamPosition>,
}

impl Pump {
    /// From the oldest record on.
    pub fn new(harness: &Harness) -> Self {
        let names = harness.app.store.names();
        let position = |table| harness.engine.stream_position(names.of(table), None).unwrap().unwrap();
        Self { positions: FOLLOWED.map(position).into() }
    }

    /// The next records of each table, at most so many, not taken yet.
    pub fn peek(&self, harness: &Harness, limit: usize) -> Vec<Vec<Value>> {
        self.positions.iter().map(|position| harness.engine.stream_records(position, limit).unwrap().0).collect()
    }

    /// Hands over all that there is, some at a time.
    pub async fn run(&mut self, harness: &Harness) {
        for position in &mut self.positions {
            loop {
                let (records, next) = harness.engine.stream_records(position, 1_000).unwrap();
                if records.is_empty() {
                    break;
                }
                assert_eq!(hand_over(&harness.app.store, &records).await, json!({"batchItemFailures": []}));
                *position = next;
            }
        }
    }
}

/// What the worker says to records.
pub async fn hand_over(store: &Store, records: &[Value]) -> Value {
    let event = serde_json::from_value(json!({"Records": records})).unwrap();
    let role = Some((worker::HANDLER, worker::ACCESS));
    let answer = access::ROLE.scope(role, worker::handle(store, &Clock::System, event)).await;
    serde_json::to_value(&answer).unwrap()
}

/// A reader of the feed of `acme`.
pub struct Reader {
    key: String,
    pub cursor: String,
}

impl Reader {
    pub async fn new(harness: &Harness) -> Self {
        let acme = "acme".parse().unwrap();
        let key = key(&harness.app.store, &acme, |record| record.scopes = vec![Scope::Events]).await;
        Self { key, cursor: String::new() }
    }

    /// One answer to a query, whatever it is.
    pub async fn ask(&self, harness: &Harness, query: &str) -> super::ScimResponse {
        let header = format!("Bearer {}", self.key);
        harness.raw("GET", &format!("/acme/events?{query}"), Vec::new(), &[("authorization", &header)]).await
    }

    /// All events after the last one read, page by page.
    pub async fn read(&mut self, harness: &Harness, limit: usize) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let page = self.ask(harness, &format!("limit={limit}&cursor={}", self.cursor)).await;
            assert_eq!(page.status, 200, "{page:?}");
            let some = page.body["events"].as_array().unwrap();
            assert!(some.len() <= limit);
            events.extend(some.iter().cloned());
            self.cursor = page.body["nextCursor"].as_str().unwrap().to_owned();
            if page.body["caughtUp"] == true {
                return events;
            }
        }
    }
}

/// Hands all over, and reads all.
pub async fn all_events(harness: &Harness) -> Vec<Value> {
    Pump::new(harness).run(harness).await;
    Reader::new(harness).await.read(harness, 100).await
}
