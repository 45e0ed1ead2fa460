//! Table `changes`: what has happened to users and groups, in order. Written by the worker alone, from the change
//! records of the tables `users` and `groups`; each record becomes the same rows whenever it comes again.
//!
//! A tenant has two lanes. A lane's rows are keyed by the record's place in the stream, and its head, moved after the
//! rows, says up to where all are there: no reader passes a row that is still to come.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::auth::Tenant;
use crate::scim::Schemas;
use crate::scim::membership::Ids;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, n, number, optional_number, optional_text, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::chain::{ChainLink, ChainRow, GENESIS};
use crate::store::model::change::{Event, EventContext, EventType, Lane, Lookup};
use crate::store::model::change_record::{ChangeRecord, ChangedItem};
use crate::store::model::format::{check_format, unknown_attributes};
use crate::store::model::group::group_key;
use crate::store::model::id::UserId;
use crate::store::model::signature::deletion_row;
use crate::store::model::tenant::credential_key;
use crate::store::model::user::hour;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod append;
mod chain;
#[cfg(feature = "local")]
pub mod follower;
mod publish;
mod read;

pub use chain::ChainPage;
pub use publish::Unpublished;
pub use read::{FeedPage, FeedPosition, FeedStart};

/// Digits of a sequence number in a key: DynamoDB's have at most so many.
const SEQUENCE_DIGITS: usize = 40;

/// Up to where a lane's rows are all there.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Head {
    /// How many streams there were before this one.
    generation: u8,
    /// The label of the stream.
    stream: String,
    /// The last record that has rows, as it stands in their keys.
    sequence: String,
    /// Rows so far.
    pub(in crate::store) count: u64,
    /// The hour of the last row.
    hour: String,
    /// The hash of the last row, see [`chain`](crate::store::model::chain).
    hash: String,
    /// When the last row ends, in seconds.
    ttl: i64,
    /// Attributes of a newer release.
    unknown: Item,
}

/// The attributes of a head that this release writes.
const HEAD_ATTRIBUTES: [&str; 9] = ["pk", "sk", "generation", "stream", "seq", "rows", "hour", "hash", "lastTtl"];

impl Head {
    /// Of a lane without rows.
    fn before_all() -> Self {
        let (generation, count) = (0, 0);
        let (stream, hour, hash) = (String::new(), String::new(), GENESIS.to_owned());
        Self { generation, stream, sequence: pad("0"), count, hour, hash, ttl: 0, unknown: Item::new() }
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        Ok(Self {
            generation: number(item, "generation")?,
            stream: text(item, "stream")?.to_owned(),
            sequence: text(item, "seq")?.to_owned(),
            count: optional_number(item, "rows").unwrap_or(0),
            hour: text(item, "hour")?.to_owned(),
            hash: optional_text(item, "hash").unwrap_or(GENESIS).to_owned(),
            ttl: optional_number(item, "lastTtl").unwrap_or(0),
            unknown: unknown_attributes(item, &HEAD_ATTRIBUTES),
        })
    }

    /// The head item's write, if nobody has moved it meanwhile.
    fn put(&self, tenant: &TenantName, lane: Lane, old: Option<&Self>) -> Write {
        let mut item = self.unknown.clone();
        item.extend(head_key(tenant, lane));
        item.insert("generation".into(), n(self.generation));
        item.insert("stream".into(), s(&self.stream));
        item.insert("seq".into(), s(&self.sequence));
        item.insert("rows".into(), n(self.count));
        item.insert("hour".into(), s(&self.hour));
        item.insert("hash".into(), s(&self.hash));
        item.insert("lastTtl".into(), n(self.ttl));
        let put = Write::put(Table::Changes, item);
        match old {
            None => put.require(&Condition::Absent("pk")),
            Some(old) => put
                .require(&Condition::equals("seq", s(&old.sequence)))
                .require(&Condition::equals("generation", n(old.generation))),
        }
    }

    /// The last place whose rows are there.
    fn place(&self) -> String {
        format!("{:02x}{}", self.generation, self.sequence)
    }

    /// Sorts after the last row, and before the next one.
    pub(in crate::store) fn last(&self) -> String {
        format!("{}#9999", self.place())
    }

    /// Whether a record's rows are there already, or it is of a stream that has ended.
    fn is_past(&self, record: &ChangeRecord) -> bool {
        match record.stream.is_empty() || record.stream == self.stream || self.stream.is_empty() {
            true => pad(&record.sequence) <= self.sequence,
            false => record.stream < self.stream,
        }
    }
}

/// Up to where the lanes of a tenant may be read.
#[derive(Debug, Default)]
pub struct FeedHeads(pub(in crate::store) BTreeMap<Lane, Head>);

/// Rows that are to be written, and the head that is to follow.
struct Rows<'a> {
    tenant: &'a TenantName,
    lane: Lane,
    head: Head,
    expires_after: i64,
    items: Vec<Item>,
}

impl Rows<'_> {
    fn add(&mut self, record: &ChangeRecord, events: Vec<Event>) {
        let mut events = events;
        let is_new = !record.stream.is_empty() && record.stream != self.head.stream;
        if is_new && !self.head.stream.is_empty() {
            self.head.generation = self.head.generation.wrapping_add(1);
            self.head.stream.clone_from(&record.stream);
            let reset = Event::of_feed(EventType::FeedReset, events.first().map_or(record.at, |event| event.at));
            events.insert(0, reset);
        }
        if events.is_empty() {
            return;
        }
        if is_new {
            self.head.stream.clone_from(&record.stream);
        }
        self.head.sequence = pad(&record.sequence);
        self.push(&record.sequence, record.at, events);
    }

    /// Adds the rows of events at the place of the head. In the histories of resources they have the time `at`.
    fn push(&mut self, sequence: &str, at: Timestamp, events: Vec<Event>) {
        for (number, event) in events.into_iter().enumerate() {
            self.mark_hour(event.at);
            self.head.count += 1;
            let place = format!("{}#{number:04}", self.head.place());
            let ttl = event.at.as_second() + self.expires_after;
            for resource in event.resource_ids() {
                self.items.push(history_row(self.tenant, &resource, (at, self.lane, &place), ttl));
            }
            let id = format!("evt_{}_{:x}_{sequence}_{number}", self.lane.letter(), self.head.generation);
            let row = self.row(&id, place, ttl, event);
            self.items.push(row);
        }
    }

    /// The row of an event, which the chain goes on with.
    fn row(&mut self, id: &str, place: String, ttl: i64, event: Event) -> Item {
        let (pk, kind, at) = (lane_partition(self.tenant, self.lane), event.kind.as_str(), event.at.as_millisecond());
        let event = event.text(id, self.tenant.as_str());
        let (number, previous, previous_ttl) = (self.head.count, self.head.hash.clone(), self.head.ttl);
        let mut row = ChainRow { pk, sk: place, kind: kind.to_owned(), at, ttl, event, link: None };
        let hash = row.hash(number, &previous, previous_ttl);
        self.head.hash.clone_from(&hash);
        self.head.ttl = ttl;
        row.link = Some(ChainLink { number, previous, previous_ttl, hash });
        chain_item(row)
    }

    /// Notes where an hour begins, for who asks for what came since.
    fn mark_hour(&mut self, instant: Timestamp) {
        let hour = hour(instant);
        if hour <= self.head.hour {
            return;
        }
        let mut mark = mark_key(self.tenant, self.lane, &hour);
        mark.insert("place".into(), s(self.head.place()));
        mark.insert("ttl".into(), n(instant.as_second() + self.expires_after));
        self.items.push(mark);
        self.head.hour = hour;
    }
}

impl Store {
    /// Writes the events of a tenant's change records, all of one table, in the order of the stream. Those that are
    /// written already change nothing. What the schemas never return is in none.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; [`StoreError::Contended`] when somebody else has written meanwhile.
    /// No reader sees what is incomplete then.
    pub async fn write_changes(
        &self,
        tenant: &TenantName,
        schemas: &Schemas,
        records: &[ChangeRecord],
    ) -> Result<usize, StoreError> {
        let lane = match records.first().map(ChangeRecord::item) {
            Some(ChangedItem::User(_)) => Lane::Users,
            Some(ChangedItem::Group(_)) => Lane::Groups,
            _ => return Ok(0),
        };
        let old = self.head(tenant, lane).await?;
        let head = old.clone().unwrap_or_else(Head::before_all);
        let new: Vec<&ChangeRecord> = records.iter().filter(|record| !head.is_past(record)).collect();
        if new.is_empty() {
            return Ok(0);
        }
        let context = self.context_of(tenant, schemas, &new).await?;
        let expires_after = self.retention.as_secs();
        let mut rows = Rows { tenant, lane, head, expires_after, items: Vec::new() };
        for record in new {
            rows.add(record, context.events(lane, record));
        }
        let count = rows.items.len();
        if count > 0 {
            self.put_items(Table::Changes, rows.items).await?;
            self.move_head(rows.head.put(tenant, lane, old.as_ref())).await?;
        }
        Ok(count)
    }

    async fn move_head(&self, head: Write) -> Result<(), StoreError> {
        match self.commit(&[head], "").await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(..)) => Err(StoreError::Contended(1)),
            Err(CommitError::Store(error)) => Err(error),
        }
    }

    /// What the events of records say besides what is in them.
    async fn context_of<'s>(
        &self,
        tenant: &TenantName,
        schemas: &'s Schemas,
        records: &[&ChangeRecord],
    ) -> Result<EventContext<'s>, StoreError> {
        let mut lookup = Lookup::default();
        records.iter().for_each(|record| lookup.add(record));
        let rows = lookup.deletions.iter().map(|id| deletion_row(tenant.as_str(), id)).collect();
        let owner = Tenant::of_item(tenant.clone());
        let groups = lookup.groups.iter().map(|id| group_key(&owner, id)).collect();
        let (rows, groups) = try_join(self.items(Table::Changes, rows), self.items(Table::Groups, groups)).await?;
        let by_id = |item: Item, name: &str| Some((optional_text(&item, name)?.to_owned(), item));
        let mut context = EventContext { groups: names(&groups), ..EventContext::new(schemas) };
        context.deletions = rows.into_iter().filter_map(|row| by_id(row, "sk")).collect();
        let keys: BTreeSet<String> = lookup.keys.into_iter().chain(context.keys_of_deletions()).collect();
        let keys = keys.iter().map(|key| credential_key(tenant, key)).collect();
        let renamed = self.find_renamed(&owner, records, &context);
        let (keys, renamed) = try_join(self.items(Table::Keys, keys), renamed).await?;
        context.keys =
            keys.iter().filter_map(|key| Some((text(key, "keyId").ok()?.to_owned(), key_fields(key)))).collect();
        context.renamed = renamed;
        Ok(context)
    }

    /// Those of the users who are there under another name, or were when the record was written.
    async fn find_renamed(
        &self,
        tenant: &Tenant,
        records: &[&ChangeRecord],
        context: &EventContext<'_>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let came = records.iter().filter(|record| record.old.is_none()).filter_map(|record| record.new.as_ref());
        let came: BTreeSet<&str> = came.filter_map(|new| optional_text(new, "id")).collect();
        let is_open = |id: &&str| !context.deletions.contains_key(*id);
        let went = records.iter().filter(|record| matches!(record.item(), ChangedItem::User(_)));
        let went = went.filter(|record| record.new.is_none()).filter_map(|record| record.old.as_ref());
        let went: Ids = went.filter_map(|old| optional_text(old, "id")).filter(is_open).map(str::to_owned).collect();
        // Nearly always the other half of a rename is in the same batch, and nothing is to be read.
        let (renamed, open): (Ids, Ids) = went.into_iter().partition(|id| came.contains(id.as_str()));
        let found = self.map_concurrently(&open, |id| async move {
            let Some(user) = UserId::parse(id) else { return Ok(None) };
            // Who is gone only now was renamed before: the row of a deletion is there before its record.
            let is_there = self.user(tenant, &user).await?.is_some();
            let row = deletion_row(tenant.as_str(), id);
            let is_renamed = is_there || !self.items(Table::Changes, vec![row]).await?.is_empty();
            Ok(is_renamed.then(|| id.to_owned()))
        });
        Ok(found.await?.into_iter().flatten().chain(renamed).collect())
    }

    async fn head(&self, tenant: &TenantName, lane: Lane) -> Result<Option<Head>, StoreError> {
        Ok(self.feed_heads(tenant).await?.0.remove(&lane))
    }

    /// Up to where the lanes of a tenant may be read.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn feed_heads(&self, tenant: &TenantName) -> Result<FeedHeads, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Changes)).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", "pk");
        let found = query.expression_attribute_values(":pk", s(format!("{tenant}#h"))).send().await;
        let found = found.map_err(|e| StoreError::of(&e))?;
        let lane = |item: &Item| Lane::ALL.into_iter().find(|lane| optional_text(item, "sk") == Some(lane.letter()));
        let heads = found.items().iter().filter_map(|item| Some((lane(item)?, item)));
        heads.map(|(lane, item)| Ok((lane, Head::read(item)?))).collect::<Result<_, _>>().map(FeedHeads)
    }
}

fn names(groups: &[Item]) -> BTreeMap<String, String> {
    let name = |group: &Item| {
        let document: Map<String, Value> = serde_json::from_str(optional_text(group, "doc")?).ok()?;
        Some((optional_text(group, "id")?.to_owned(), document.get("displayName")?.as_str()?.to_owned()))
    };
    groups.iter().filter_map(name).collect()
}

/// What an event says of a key.
fn key_fields(key: &Item) -> Map<String, Value> {
    let fields = [("description", "description"), ("automation", "automationUser")];
    let field = |(name, label): (&str, &str)| Some((label.to_owned(), Value::from(optional_text(key, name)?)));
    fields.into_iter().filter_map(field).collect()
}

fn pad(sequence: &str) -> String {
    format!("{sequence:0>SEQUENCE_DIGITS$}")
}

pub(in crate::store) fn lane_partition(tenant: &TenantName, lane: Lane) -> String {
    format!("{tenant}#{}", lane.letter())
}

/// The row by which an event is found in the history of a resource that it is of. Its time is that of the change record,
/// which is the same whenever the record comes again.
fn history_row(tenant: &TenantName, id: &str, (time, lane, place): (Timestamp, Lane, &str), ttl: i64) -> Item {
    let sk = format!("{:013}#{}#{place}", time.as_millisecond(), lane.letter());
    let mut item = Item::from([("pk".to_owned(), s(history_partition(tenant, id))), ("sk".to_owned(), s(sk))]);
    item.insert("ttl".into(), n(ttl));
    item
}

/// The partition of the history of a user or group.
pub(in crate::store) fn history_partition(tenant: &TenantName, id: &str) -> String {
    format!("{tenant}#i#{id}")
}

fn chain_item(row: ChainRow) -> Item {
    let mut item = Item::from([("pk".to_owned(), s(row.pk)), ("sk".to_owned(), s(row.sk))]);
    item.insert("type".into(), s(row.kind));
    item.insert("at".into(), n(row.at));
    item.insert("ttl".into(), n(row.ttl));
    item.insert("event".into(), s(row.event));
    if let Some(link) = row.link {
        item.insert("n".into(), n(link.number));
        item.insert("prev".into(), s(link.previous));
        item.insert("prevTtl".into(), n(link.previous_ttl));
        item.insert("hash".into(), s(link.hash));
    }
    item
}

fn chain_row(item: &Item) -> Result<ChainRow, StoreError> {
    check_format(item)?;
    let owned = |name: &str| text(item, name).map(str::to_owned);
    let link = match item.contains_key("hash") {
        true => Some(ChainLink {
            number: number(item, "n")?,
            previous: owned("prev")?,
            previous_ttl: number(item, "prevTtl")?,
            hash: owned("hash")?,
        }),
        false => None,
    };
    let (pk, sk, kind, event) = (owned("pk")?, owned("sk")?, owned("type")?, owned("event")?);
    Ok(ChainRow { pk, sk, kind, at: number(item, "at")?, ttl: number(item, "ttl")?, event, link })
}

fn head_key(tenant: &TenantName, lane: Lane) -> Item {
    Item::from([("pk".to_owned(), s(format!("{tenant}#h"))), ("sk".to_owned(), s(lane.letter()))])
}

fn mark_key(tenant: &TenantName, lane: Lane, hour: &str) -> Item {
    Item::from([("pk".to_owned(), s(format!("{tenant}#t"))), ("sk".to_owned(), s(format!("{}#{hour}", lane.letter())))])
}
