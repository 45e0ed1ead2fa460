//! The worker as it follows the streams, step by step, and a reader of the feed.

use futures_util::FutureExt;
use rollcall::app::Clock;
use rollcall::auth::Scope;
use rollcall::store::Store;
use rollcall::store::dynamo::streams::{StreamError, Streams};
use rollcall::store::dynamo::tables::Table;
use rollcall::worker;
use serde_json::{Value, json};

use super::{Harness, access, key};

/// The tables whose streams the worker reads for the feed.
const FOLLOWED: [Table; 2] = [Table::Users, Table::Groups];

/// Hands change records over to the worker, as Lambda would.
pub struct Pump {
    streams: Streams,
    positions: Vec<(String, String)>,
}

/// The engine is in the process: it never waits.
fn now<T>(call: impl Future<Output = Result<T, StreamError>>) -> T {
    call.now_or_never().unwrap().unwrap()
}

impl Pump {
    /// From the oldest record on.
    pub fn new(harness: &Harness) -> Self {
        let names = harness.app.store.names();
        let streams = Streams::Embedded(harness.engine.clone());
        let position = |table| {
            let arn = now(streams.newest(names.of(table))).unwrap();
            let shard = now(streams.shards(&arn)).remove(0).id;
            let iterator = now(streams.iterator(&arn, &shard, None));
            (arn, iterator)
        };
        let positions = FOLLOWED.map(position).into();
        Self { streams, positions }
    }

    /// The next records of each table, at most so many, not taken yet.
    pub fn peek(&self, _: &Harness, limit: usize) -> Vec<Vec<Value>> {
        let next = |(arn, iterator): &(String, String)| now(self.streams.records(arn, iterator, limit)).records;
        self.positions.iter().map(next).collect()
    }

    /// Hands over all that there is, some at a time.
    pub async fn run(&mut self, harness: &Harness) {
        for (arn, iterator) in &mut self.positions {
            loop {
                let page = now(self.streams.records(arn, iterator, 1_000));
                if page.records.is_empty() {
                    break;
                }
                assert_eq!(hand_over(&harness.app.store, &page.records).await, json!({"batchItemFailures": []}));
                *iterator = page.next.unwrap();
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
