//! The worker where the engine is embedded: it reads the engine's streams as Lambda would.

use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};

use super::{StreamEvent, StreamResponse, handle, recount};
use crate::app::Clock;
use crate::store::Store;
use crate::store::dynamo::embedded::{Engine, StreamPosition};
use crate::store::dynamo::tables::DEFINITIONS;

/// How often it looks whether there is something new: an event is read within a second of its write.
const INTERVAL: Duration = Duration::from_millis(200);

/// Records handed over at once: fewer than on Lambda, for here the two tables take turns.
const BATCH: usize = 200;

/// Who follows the engine's streams.
pub struct Follower {
    store: Store,
    engine: Engine,
    clock: Clock,
    streams: Vec<(String, StreamPosition)>,
}

impl Follower {
    /// Takes up where an earlier process has stopped, or at the oldest record.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub async fn new(store: Store, engine: Engine, clock: Clock) -> Result<Self, String> {
        let mut streams = Vec::new();
        for definition in DEFINITIONS.iter().filter(|definition| definition.is_followed) {
            let table = store.names().of(definition.table).to_owned();
            let after = store.follower_position(&table).await.map_err(|e| e.to_string())?;
            if let Some(position) = engine.stream_position(&table, after.as_deref())? {
                streams.push((table, position));
            }
        }
        Ok(Self { store, engine, clock, streams })
    }

    /// Works off what there is, the tables in turn; how many records there were. What fails is left for the next time.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub async fn catch_up(&mut self) -> Result<usize, String> {
        let mut count = 0;
        loop {
            let before = count;
            for at in 0..self.streams.len() {
                count += self.work_off(at).await?;
            }
            if count == before {
                return Ok(count);
            }
        }
    }

    /// Works off the next records of a stream; how many there were.
    async fn work_off(&mut self, at: usize) -> Result<usize, String> {
        let Some((table, position)) = self.streams.get_mut(at) else { return Ok(0) };
        let (records, next) = self.engine.stream_records(position, BATCH)?;
        let Some(last) = records.last().and_then(sequence).map(str::to_owned) else { return Ok(0) };
        let count = records.len();
        let event: StreamEvent = serde_json::from_value(json!({"Records": records})).map_err(|e| e.to_string())?;
        let answer = hand_over(&self.store, &self.clock, event).await;
        if let Some(failure) = answer.batch_item_failures.first() {
            return Err(format!("the change {} of {table} is left", failure.item_identifier));
        }
        self.store.follow(table, &last).await.map_err(|e| e.to_string())?;
        *position = next;
        Ok(count)
    }

    /// Works off what comes, for ever. Counts all users first: a store of a release before the streams has no count.
    pub async fn run(mut self) {
        if let Err(error) = recount(&self.store, &self.clock).await {
            tracing::error!(%error, "users are not counted");
        }
        loop {
            if let Err(error) = self.catch_up().await {
                tracing::error!(%error, "the feed stands still");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// Boxed, so that the compiler sees that it may go from thread to thread.
fn hand_over<'a>(
    store: &'a Store,
    clock: &'a Clock,
    event: StreamEvent,
) -> Pin<Box<dyn Future<Output = StreamResponse> + Send + 'a>> {
    Box::pin(handle(store, clock, event))
}

fn sequence(record: &Value) -> Option<&str> {
    record.pointer("/dynamodb/SequenceNumber")?.as_str()
}
