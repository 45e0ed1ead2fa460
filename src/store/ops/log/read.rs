//! The log as it is read: newest first, from a place that the reader keeps. Each lane is a run of rows of its own, and
//! the runs are merged by time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LogFilter, LogKind, sort_of};
use crate::limits::{LOG_LATE_HOURS, MAX_LOG_ROWS, MAX_RESPONSE_BYTES};
use crate::store::dynamo::item::{Item, instant, optional_number, optional_text, s, text};
use crate::store::dynamo::tables::{ADMIN_LANE, REFUSAL_LANE, Table};
use crate::store::model::change::Lane;
use crate::store::model::format::check_format;
use crate::store::model::user::hour;
use crate::store::ops::changes::{FeedHeads, history_partition, lane_partition};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Rows read of a run at once.
const RUN_PAGE: i32 = 100;

/// How much earlier than its record a change may have happened, for the rows of a history: they have the record's time,
/// to the second.
pub(in crate::store) const HISTORY_MARGIN: SignedDuration = SignedDuration::from_secs(2);

/// Sorts before and after every row.
const ENDS: (&str, &str) = (" ", "~");

/// A place in the log of a tenant: the last row that was read of each run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    #[serde(rename = "n")]
    tenant: String,
    #[serde(rename = "p")]
    places: BTreeMap<String, String>,
}

impl LogPosition {
    /// Before the newest entry.
    pub fn newest(tenant: &TenantName) -> Self {
        Self { tenant: tenant.as_str().to_owned(), places: BTreeMap::new() }
    }

    /// The place as a reader keeps it.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads what [`to_text`](Self::to_text) has written for that tenant.
    pub fn parse(text: &str, tenant: &TenantName) -> Option<Self> {
        let position: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (position.tenant == tenant.as_str()).then_some(position)
    }
}

/// Some entries of the log, newest first.
#[derive(Debug, Clone)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<Value>,
    /// The place after them; none where there are no more.
    pub next: Option<LogPosition>,
}

/// One lane on its way, newest row first.
struct LaneRun {
    /// Its name in a position.
    name: &'static str,
    kind: LogKind,
    partition: String,
    /// The least and the greatest sort key that is left to be read.
    range: (String, String),
    /// The greatest one is read already.
    skips_greatest: bool,
    rows: VecDeque<LogRow>,
    has_more: bool,
}

/// A row that was read.
pub(in crate::store) struct LogRow {
    /// Its sort key in the run.
    place: String,
    at: Timestamp,
    pub(in crate::store) text: String,
}

impl LaneRun {
    fn new(name: &'static str, kind: LogKind, partition: String, range: (String, String)) -> Self {
        Self { name, kind, partition, range, skips_greatest: false, rows: VecDeque::new(), has_more: true }
    }

    /// Goes on after the place that it has reached in a position.
    fn after(mut self, position: &LogPosition) -> Self {
        if let Some(place) = position.places.get(self.name).filter(|place| **place <= self.range.1) {
            self.range.1.clone_from(place);
            self.skips_greatest = true;
        }
        self.has_more = self.range.0 <= self.range.1;
        self
    }

    fn is_history(&self) -> bool {
        matches!(self.name, "i" | "j")
    }
}

impl Store {
    /// The entries of a tenant's log that a filter takes, newest first, at most so many, after a place. What has ended at
    /// `now` is in none.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn log_page(
        &self,
        tenant: &TenantName,
        filter: &LogFilter,
        position: &LogPosition,
        limit: usize,
        now: Timestamp,
    ) -> Result<LogPage, StoreError> {
        let heads = self.feed_heads(tenant).await?;
        let mut runs = self.runs(tenant, filter, position, &heads).await?;
        let (mut entries, mut next, mut bytes, mut read) = (Vec::new(), position.clone(), 0, 0);
        loop {
            for run in runs.iter_mut().filter(|run| run.rows.is_empty() && run.has_more) {
                read += self.read_run(run, (tenant, &heads), now).await?;
                if run.rows.is_empty() && run.has_more {
                    next.places.insert(run.name.to_owned(), run.range.1.clone());
                }
            }
            if runs.iter().any(|run| run.rows.is_empty() && run.has_more) {
                if read >= MAX_LOG_ROWS {
                    return Ok(LogPage { entries, next: Some(next) });
                }
                continue;
            }
            let newest = runs.iter_mut().max_by_key(|run| run.rows.front().map(|row| row.at));
            let Some((run, row)) = newest.and_then(|run| run.rows.pop_front().map(|row| (run, row))) else {
                return Ok(LogPage { entries, next: None });
            };
            let mut entry: Value = serde_json::from_str(&row.text).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            next.places.insert(run.name.to_owned(), row.place);
            if filter.takes(run.kind, row.at, &entry) {
                if let Some(fields) = entry.as_object_mut() {
                    fields.shift_insert(0, "kind".to_owned(), run.kind.as_str().into());
                }
                bytes += row.text.len();
                entries.push(entry);
            }
            if entries.len() >= limit || bytes > MAX_RESPONSE_BYTES || read >= MAX_LOG_ROWS {
                return Ok(LogPage { entries, next: Some(next) });
            }
        }
    }

    /// The runs that can hold what a filter takes.
    async fn runs(
        &self,
        tenant: &TenantName,
        filter: &LogFilter,
        position: &LogPosition,
        heads: &FeedHeads,
    ) -> Result<Vec<LaneRun>, StoreError> {
        let mut runs = Vec::new();
        let resource = filter.user.as_ref().or(filter.group.as_ref());
        match resource.filter(|_| filter.takes_kind(LogKind::Change)) {
            Some(id) => runs.push(history(tenant, filter, id)),
            None if filter.takes_kind(LogKind::Change) => runs = self.runs_of_changes(tenant, filter, heads).await?,
            None => {}
        }
        let from = filter.since.map_or_else(|| ENDS.0.to_owned(), sort_of);
        let to = filter.until.map_or_else(|| ENDS.1.to_owned(), |until| format!("{}~", sort_of(until)));
        for (kind, name, lane) in [(LogKind::Refusal, "r", REFUSAL_LANE), (LogKind::Admin, "a", ADMIN_LANE)] {
            if filter.takes_kind(kind) {
                runs.push(LaneRun::new(name, kind, format!("{tenant}{lane}"), (from.clone(), to.clone())));
            }
        }
        Ok(runs.into_iter().map(|run| run.after(position)).collect())
    }

    async fn runs_of_changes(
        &self,
        tenant: &TenantName,
        filter: &LogFilter,
        heads: &FeedHeads,
    ) -> Result<Vec<LaneRun>, StoreError> {
        let mut runs = Vec::new();
        for (lane, name) in [(Lane::Users, "u"), (Lane::Groups, "g")] {
            let Some(head) = heads.0.get(&lane) else { continue };
            let range = self.range(tenant, lane, filter, head.last()).await?;
            runs.push(LaneRun::new(name, LogKind::Change, lane_partition(tenant, lane), range));
        }
        Ok(runs)
    }

    /// Between which sort keys the changes of a time are.
    async fn range(
        &self,
        tenant: &TenantName,
        lane: Lane,
        filter: &LogFilter,
        last: String,
    ) -> Result<(String, String), StoreError> {
        let from = match filter.since {
            Some(since) => self.place_before(tenant, lane, since).await?,
            None => String::new(),
        };
        let late = SignedDuration::from_hours(LOG_LATE_HOURS);
        let to = match filter.until.and_then(|until| until.checked_add(late).ok()) {
            Some(late) => self.place_of_hour_after(tenant, lane, late).await?,
            None => None,
        };
        Ok((format!("{from} "), to.map_or(last.clone(), |to| to.min(last))))
    }

    /// The first place of the first hour after a time; none where no such hour has begun.
    async fn place_of_hour_after(
        &self,
        tenant: &TenantName,
        lane: Lane,
        time: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let range = (format!("{}#{}~", lane.letter(), hour(time)), format!("{}#~", lane.letter()));
        let (found, _) = self.rows_between(&format!("{tenant}#t"), &range, (true, 1)).await?;
        Ok(found.first().and_then(|mark| optional_text(mark, "place")).map(str::to_owned))
    }

    /// Reads on in a run; how many rows there were.
    async fn read_run(
        &self,
        run: &mut LaneRun,
        (tenant, heads): (&TenantName, &FeedHeads),
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let (items, has_more) = self.rows_between(&run.partition, &run.range, (false, RUN_PAGE)).await?;
        let count = items.len();
        run.has_more = has_more;
        let skipped = usize::from(run.skips_greatest && optional_text_of(items.first()) == Some(run.range.1.as_str()));
        if let Some(last) = items.last() {
            text(last, "sk")?.clone_into(&mut run.range.1);
            run.skips_greatest = true;
        }
        // The engine deletes what has ended some time later.
        let is_kept = |item: &Item| optional_number(item, "ttl").is_none_or(|end: i64| end > now.as_second());
        let items: Vec<Item> = items.into_iter().skip(skipped).filter(is_kept).collect();
        run.rows = match run.is_history() {
            true => self.rows_of_history(tenant, items, heads).await?,
            false => items.iter().map(|item| log_row(item, text(item, "sk")?)).collect::<Result<_, _>>()?,
        };
        Ok(count)
    }

    /// The events that the rows of a history name, in their order; those that no reader may see yet, or that have ended,
    /// are left out.
    pub(in crate::store) async fn rows_of_history(
        &self,
        tenant: &TenantName,
        items: Vec<Item>,
        heads: &FeedHeads,
    ) -> Result<VecDeque<LogRow>, StoreError> {
        let mut places = Vec::new();
        for item in &items {
            let place = text(item, "sk")?;
            let mut parts = place.splitn(3, '#').skip(1);
            let Some((letter, sort)) = parts.next().zip(parts.next()) else { continue };
            let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.letter() == letter) else { continue };
            if heads.0.get(&lane).is_some_and(|head| sort <= head.last().as_str()) {
                places.push((place.to_owned(), lane_partition(tenant, lane), sort.to_owned()));
            }
        }
        let key =
            |(_, pk, sk): &(String, String, String)| Item::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s(sk))]);
        let found = self.items(Table::Changes, places.iter().map(key).collect()).await?;
        let mut by_key = HashMap::new();
        for item in found {
            by_key.insert((text(&item, "pk")?.to_owned(), text(&item, "sk")?.to_owned()), item);
        }
        let events = places.into_iter().filter_map(|(place, pk, sk)| Some((place, by_key.remove(&(pk, sk))?)));
        events.map(|(place, item)| log_row(&item, &place)).collect()
    }

    /// The first rows between two sort keys, from either end, and whether there are more.
    pub(in crate::store) async fn rows_between(
        &self,
        partition: &str,
        (from, to): &(String, String),
        (is_forward, limit): (bool, i32),
    ) -> Result<(Vec<Item>, bool), StoreError> {
        let query = self.client.query().table_name(self.table(Table::Changes)).consistent_read(true);
        let query = query
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":pk", s(partition))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .scan_index_forward(is_forward)
            .limit(limit);
        let page = query.send().await.map_err(|e| StoreError::of(&e))?;
        let has_more = page.last_evaluated_key().is_some();
        Ok((page.items.unwrap_or_default(), has_more))
    }
}

/// The run of one resource's history.
fn history(tenant: &TenantName, filter: &LogFilter, id: &str) -> LaneRun {
    let from = filter.since.and_then(|since| since.checked_sub(HISTORY_MARGIN).ok());
    let from = from.map_or_else(|| ENDS.0.to_owned(), sort_of);
    let name = if filter.user.is_some() { "i" } else { "j" };
    LaneRun::new(name, LogKind::Change, history_partition(tenant, id), (from, ENDS.1.to_owned()))
}

fn optional_text_of(item: Option<&Item>) -> Option<&str> {
    optional_text(item?, "sk")
}

fn log_row(item: &Item, place: &str) -> Result<LogRow, StoreError> {
    check_format(item)?;
    let whole = optional_text(item, "event").or(optional_text(item, "entry"));
    let text = whole.ok_or_else(|| StoreError::Corrupt("a row of the log without an entry".to_owned()))?;
    Ok(LogRow { place: place.to_owned(), at: instant(item, "at")?, text: text.to_owned() })
}
