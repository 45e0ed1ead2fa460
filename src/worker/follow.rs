//! The worker where no Lambda reads the streams: it reads them itself, of the embedded engine or of an endpoint. Of several
//! processes on one endpoint, one does.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::backlog::Backlog;
use super::presence::write_gaps;
use super::{StreamEvent, StreamResponse, check_counts_daily, handle};
use crate::app::Clock;
use crate::limits::{FOLLOWER_LEASE_SECONDS, SHARD_REFRESH_SECONDS};
use crate::store::Store;
use crate::store::dynamo::streams::{StreamError, Streams};
use crate::store::dynamo::tables::{DEFINITIONS, Table};
use crate::store::model::change_record::ChangeRecord;
use crate::store::ops::changes::follower::{FollowerPlace, ShardPlace};

/// How often it looks whether there is something new: an event is read within a second of its write. What comes within
/// this time is one batch, so that the feed writes to the disk a few times a second, and clients need not wait for it.
const INTERVAL: Duration = Duration::from_millis(200);

/// Records handed over at once, as on Lambda: what a batch costs besides its rows is the same for any number.
const BATCH: usize = 1_000;

/// Who follows the streams.
pub struct Follower {
    store: Store,
    streams: Streams,
    clock: Clock,
    tables: Vec<FollowedTable>,
    lease: Option<FollowerLease>,
    backlog: Backlog,
}

/// The right to follow, where others may want it, too.
struct FollowerLease {
    owner: String,
    /// When it was last taken or kept; none while another process has it.
    renewed: Option<Instant>,
}

/// A table, and where the follower is in its stream.
struct FollowedTable {
    table: Table,
    name: String,
    place: FollowerPlace,
    /// The shards that can be read: those whose parents are done.
    open: Vec<String>,
    /// Where to read on in a shard. A place that is not here is asked for.
    iterators: BTreeMap<String, String>,
    refreshed: Option<Instant>,
}

impl Follower {
    /// The only follower: of an engine that this process has alone.
    #[must_use]
    pub fn alone(store: Store, streams: Streams, clock: Clock) -> Self {
        Self::new(store, streams, clock, None)
    }

    /// One of several on one endpoint; `owner` names this one.
    #[must_use]
    pub fn one_of_several(store: Store, streams: Streams, clock: Clock, owner: String) -> Self {
        let lease = Some(FollowerLease { owner, renewed: None });
        Self::new(store, streams, clock, lease)
    }

    fn new(store: Store, streams: Streams, clock: Clock, lease: Option<FollowerLease>) -> Self {
        Self { tables: tables(&store), store, streams, clock, lease, backlog: Backlog::default() }
    }

    /// How far it is behind.
    #[must_use]
    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// Whether there is a stream to follow.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn has_streams(&self) -> Result<bool, String> {
        for followed in &self.tables {
            if self.streams.newest(&followed.name).await.map_err(|e| e.to_string())?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Processes the records of each table in turn, and returns their number. Does nothing while another process
    /// follows. The next run does what failed.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub async fn catch_up(&mut self) -> Result<usize, String> {
        let mut count = 0;
        loop {
            match self.work_off_tables().await? {
                0 => return Ok(count),
                some => count += some,
            }
        }
    }

    /// Processes records for ever, and compares the counts with the users meanwhile: now, and once a day.
    pub async fn run(mut self) {
        let counting = check_counts_daily(self.store.clone());
        let following = async {
            loop {
                match self.work_off_tables().await {
                    // There is more than one batch of something.
                    Ok(BATCH..) => continue,
                    Ok(_) => {}
                    Err(error) => tracing::error!(%error, "the feed stands still"),
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        futures_util::future::join(counting, following).await;
    }

    /// Keeps the lease, or takes it where nobody has it. Who takes it goes on where the one before has stopped.
    async fn holds_lease(&mut self) -> Result<bool, String> {
        let Some(lease) = &mut self.lease else { return Ok(true) };
        let third = Duration::from_secs(FOLLOWER_LEASE_SECONDS.unsigned_abs()) / 3;
        if lease.renewed.is_some_and(|renewed| renewed.elapsed() < third) {
            return Ok(true);
        }
        let asked = Instant::now();
        let has_it = self.store.lease_follower(&lease.owner, self.clock.now()).await.map_err(|e| e.to_string())?;
        if has_it && lease.renewed.is_none() {
            self.tables = tables(&self.store);
        }
        lease.renewed = has_it.then_some(asked);
        Ok(has_it)
    }

    /// Processes the next records of each table, and returns their number.
    async fn work_off_tables(&mut self) -> Result<usize, String> {
        let mut count = 0;
        for at in 0..self.tables.len() {
            if !self.holds_lease().await? {
                break;
            }
            count += self.work_off(at).await?;
        }
        Ok(count)
    }

    /// Processes the next records of each open shard of a table, and returns their number.
    async fn work_off(&mut self, at: usize) -> Result<usize, String> {
        self.refresh(at).await?;
        let open = self.tables.get(at).map(|followed| followed.open.clone()).unwrap_or_default();
        let mut count = 0;
        for shard in open {
            match self.work_off_shard(at, &shard).await {
                Ok(some) => count += some,
                Err(error) => {
                    // What is gone meanwhile is noticed when the place is asked for again.
                    self.tables.iter_mut().for_each(|followed| followed.iterators.clear());
                    return Err(error);
                }
            }
        }
        Ok(count)
    }

    async fn work_off_shard(&mut self, at: usize, shard: &str) -> Result<usize, String> {
        let iterator = self.iterator(at, shard).await?;
        let Some(followed) = self.tables.get_mut(at) else { return Ok(0) };
        let page = match self.streams.records(&followed.place.stream, &iterator, BATCH).await {
            Ok(page) => page,
            Err(StreamError::Expired | StreamError::Trimmed) => {
                followed.iterators.remove(shard);
                return Ok(0);
            }
            Err(error) => return Err(error.to_string()),
        };
        let count = page.records.len();
        if let Some(last) = page.records.last().and_then(sequence).map(str::to_owned) {
            let event: StreamEvent =
                serde_json::from_value(json!({"Records": page.records})).map_err(|e| e.to_string())?;
            self.backlog.note(followed.table, event.records.first().map(ChangeRecord::at));
            let answer = hand_over(&self.store, &self.clock, event).await;
            if let Some(failure) = answer.batch_item_failures.first() {
                return Err(format!("the change {} of {} is left", failure.item_identifier, followed.name));
            }
            followed.place.shards.entry(shard.to_owned()).or_default().after = Some(last);
        } else {
            self.backlog.note(followed.table, None);
        }
        match page.next {
            Some(next) => drop(followed.iterators.insert(shard.to_owned(), next)),
            None => {
                followed.place.shards.entry(shard.to_owned()).or_default().is_done = true;
                // Its children can be read now.
                followed.refreshed = None;
            }
        }
        if count > 0 || followed.refreshed.is_none() {
            let saved = self.store.put_follower_place(&followed.name, &followed.place).await;
            saved.map_err(|e| e.to_string())?;
        }
        Ok(count)
    }

    /// Where to read on in a shard. Where records are gone that nobody has read, every feed has a gap.
    async fn iterator(&mut self, at: usize, shard: &str) -> Result<String, String> {
        let Some(followed) = self.tables.get_mut(at) else { return Err("there is no such table".to_owned()) };
        if let Some(iterator) = followed.iterators.get(shard) {
            return Ok(iterator.clone());
        }
        let after = followed.place.shards.get(shard).and_then(|place| place.after.clone());
        let stream = &followed.place.stream;
        match self.streams.iterator(stream, shard, after.as_deref()).await {
            Ok(iterator) => return Ok(iterator),
            Err(StreamError::Trimmed) => {}
            Err(error) => return Err(error.to_string()),
        }
        let cause = format!("{stream} {shard} {}", after.unwrap_or_default());
        write_gaps(&self.store, &self.clock, followed.table, &cause).await.map_err(|e| e.to_string())?;
        followed.place.shards.insert(shard.to_owned(), ShardPlace::default());
        self.streams.iterator(stream, shard, None).await.map_err(|e| e.to_string())
    }

    /// Looks from time to time which shards there are.
    async fn refresh(&mut self, at: usize) -> Result<(), String> {
        let Some(followed) = self.tables.get_mut(at) else { return Ok(()) };
        let interval = Duration::from_secs(SHARD_REFRESH_SECONDS);
        if followed.refreshed.is_some_and(|refreshed| refreshed.elapsed() < interval) {
            return Ok(());
        }
        let newest = self.streams.newest(&followed.name).await.map_err(|e| e.to_string())?;
        let stream = newest.ok_or_else(|| format!("the table {} has no stream", followed.name))?;
        if followed.place.stream.is_empty() {
            let place = self.store.follower_place(&followed.name).await.map_err(|e| e.to_string())?;
            followed.place = place.unwrap_or_default();
        }
        if followed.place.stream != stream {
            followed.place = FollowerPlace { stream, ..FollowerPlace::default() };
            followed.iterators.clear();
        }
        let shards = self.streams.shards(&followed.place.stream).await.map_err(|e| e.to_string())?;
        let is_listed = |id: &String| shards.iter().any(|shard| shard.id == *id);
        let is_lost = |(id, place): (&String, &ShardPlace)| !place.is_done && !is_listed(id);
        if let Some((id, _)) = followed.place.shards.iter().find(|shard| is_lost(*shard)) {
            let cause = format!("{} {id}", followed.place.stream);
            write_gaps(&self.store, &self.clock, followed.table, &cause).await.map_err(|e| e.to_string())?;
        }
        followed.place.shards.retain(|id, _| is_listed(id));
        let is_done = |id: &String| followed.place.shards.get(id).is_some_and(|place| place.is_done);
        let is_open = |parent: &String| is_listed(parent) && !is_done(parent);
        let open = shards.iter().filter(|shard| !is_done(&shard.id) && !shard.parent.as_ref().is_some_and(is_open));
        followed.open = open.map(|shard| shard.id.clone()).collect();
        followed.refreshed = Some(Instant::now());
        Ok(())
    }
}

/// The tables that the feed follows, from where the store says.
fn tables(store: &Store) -> Vec<FollowedTable> {
    let followed = DEFINITIONS.iter().filter(|definition| definition.is_followed);
    let followed = followed.map(|definition| FollowedTable {
        table: definition.table,
        name: store.names().of(definition.table).to_owned(),
        place: FollowerPlace::default(),
        open: Vec::new(),
        iterators: BTreeMap::new(),
        refreshed: None,
    });
    followed.collect()
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
