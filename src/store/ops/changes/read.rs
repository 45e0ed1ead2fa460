//! The feed as it is read: two lanes up to their heads, merged by time, from a place that the reader keeps.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::{try_join, try_join_all};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FeedHeads, Lane, lane_partition};
use crate::limits::MAX_RESPONSE_BYTES;
use crate::store::dynamo::item::{Item, instant, optional_number, optional_text, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::model::change::EventType;
use crate::store::model::format::check_formats;
use crate::store::model::user::hour;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Where to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedStart {
    /// With the oldest event that is kept.
    Oldest,
    /// With what comes from now on.
    Now,
    /// With what came since then.
    Since(Timestamp),
    /// After a place that was read before.
    After(FeedPosition),
}

/// A place in the feed. It holds no secret and grants nothing, so it needs no seal, and no key's end ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPosition {
    #[serde(rename = "n")]
    tenant: String,
    /// The last row that was read of each lane; empty before the first.
    #[serde(rename = "u")]
    users: String,
    #[serde(rename = "g")]
    groups: String,
    /// Nothing that came after it can have been missed, in milliseconds.
    #[serde(rename = "t")]
    time: i64,
    /// Older events are passed over, in milliseconds.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
}

/// Some events, and the place after them.
#[derive(Debug, Clone)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<Value>,
    /// The place after them.
    pub next: FeedPosition,
    /// Whether there were no more.
    pub is_caught_up: bool,
}

impl FeedPosition {
    /// The place as a reader keeps it.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads what [`to_text`](Self::to_text) has written for that tenant.
    pub fn parse(text: &str, tenant: &TenantName) -> Option<Self> {
        let position: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let is_place = |place: &str| place.len() < 64 && place.bytes().all(|b| b.is_ascii_hexdigit() || b == b'#');
        let is_ours = position.tenant == tenant.as_str() && is_place(&position.users) && is_place(&position.groups);
        is_ours.then_some(position)
    }

    fn of_lane(&mut self, lane: Lane) -> &mut String {
        match lane {
            Lane::Users => &mut self.users,
            Lane::Groups => &mut self.groups,
        }
    }
}

/// What was read of one lane.
struct LaneRows {
    lane: Lane,
    rows: VecDeque<Item>,
    /// Whether there are more rows than these.
    has_more: bool,
}

impl Store {
    /// Whether a place is so old that events after it may be gone.
    pub fn is_expired(&self, position: &FeedPosition, now: Timestamp) -> bool {
        !(position.users.is_empty() && position.groups.is_empty())
            && Timestamp::from_millisecond(position.time).is_ok_and(|time| now.duration_since(time) > self.retention)
    }

    /// When the oldest event is of that is kept; none if there is no event.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn oldest_event(&self, tenant: &TenantName, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let first = Lane::ALL.map(|lane| self.lane_rows(tenant, lane, "0", "~", 1));
        let rows = try_join_all(first).await?;
        let times = rows.iter().filter_map(|(rows, _)| rows.front().map(|row| instant(row, "at")));
        // What has expired may still be there for days.
        let oldest = times.collect::<Result<Vec<_>, _>>()?.into_iter().min();
        Ok(oldest.map(|oldest| oldest.max(now.checked_sub(self.retention).unwrap_or(oldest))))
    }

    /// The place where to begin.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn feed_position(
        &self,
        tenant: &TenantName,
        start: FeedStart,
        heads: &FeedHeads,
        now: Timestamp,
    ) -> Result<FeedPosition, StoreError> {
        let mut position = FeedPosition {
            tenant: tenant.as_str().to_owned(),
            users: String::new(),
            groups: String::new(),
            time: now.as_millisecond(),
            since: None,
        };
        match start {
            FeedStart::Oldest => {}
            FeedStart::After(position) => return Ok(position),
            FeedStart::Now => {
                for (lane, head) in &heads.0 {
                    *position.of_lane(*lane) = head.last();
                }
            }
            FeedStart::Since(since) => {
                let places = Lane::ALL.map(|lane| self.place_before(tenant, lane, since));
                for (lane, place) in Lane::ALL.into_iter().zip(try_join_all(places).await?) {
                    *position.of_lane(lane) = place;
                }
                position.since = Some(since.as_millisecond());
            }
        }
        Ok(position)
    }

    /// The events after a place, at most so many, those of some types where `types` is not empty.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn feed_page(
        &self,
        tenant: &TenantName,
        position: &FeedPosition,
        heads: &FeedHeads,
        (types, limit): (&[EventType], usize),
        now: Timestamp,
    ) -> Result<FeedPage, StoreError> {
        let users = self.run(tenant, Lane::Users, &position.users, heads, limit);
        let groups = self.run(tenant, Lane::Groups, &position.groups, heads, limit);
        let (users, groups) = try_join(users, groups).await?;
        merge([users, groups], position, (types, limit), now)
    }

    async fn run(
        &self,
        tenant: &TenantName,
        lane: Lane,
        after: &str,
        heads: &FeedHeads,
        limit: usize,
    ) -> Result<LaneRows, StoreError> {
        let (mut rows, mut has_more) = (VecDeque::new(), false);
        if let Some(head) = heads.0.get(&lane) {
            // A blank makes the place the least that is greater.
            let (from, to) = (format!("{after} "), head.last());
            if from < to {
                (rows, has_more) = self.lane_rows(tenant, lane, &from, &to, limit + 1).await?;
            }
        }
        Ok(LaneRows { lane, rows, has_more })
    }

    /// The first rows between two places, and whether there are more.
    pub(in crate::store) async fn lane_rows(
        &self,
        tenant: &TenantName,
        lane: Lane,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<(VecDeque<Item>, bool), StoreError> {
        let query = self.client.query().table_name(self.table(Table::Changes)).consistent_read(true);
        let query = query
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":pk", s(lane_partition(tenant, lane)))
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(|e| StoreError::of(&e))?;
        check_formats(page.items())?;
        let has_more = page.last_evaluated_key().is_some();
        Ok((page.items.unwrap_or_default().into(), has_more))
    }

    /// The place before the hour of a time; the first place where no such hour is known.
    pub(in crate::store) async fn place_before(
        &self,
        tenant: &TenantName,
        lane: Lane,
        time: Timestamp,
    ) -> Result<String, StoreError> {
        let query = self.client.query().table_name(self.table(Table::Changes)).consistent_read(true);
        let query = query
            .key_condition_expression("#pk = :pk AND #sk BETWEEN :from AND :to")
            .expression_attribute_names("#pk", "pk")
            .expression_attribute_names("#sk", "sk")
            .expression_attribute_values(":pk", s(format!("{tenant}#t")))
            .expression_attribute_values(":from", s(format!("{}#", lane.letter())))
            .expression_attribute_values(":to", s(format!("{}#{}", lane.letter(), hour(time))))
            .scan_index_forward(false)
            .limit(1);
        let page = query.send().await.map_err(|e| StoreError::of(&e))?;
        Ok(page.items().first().and_then(|mark| optional_text(mark, "place")).unwrap_or_default().to_owned())
    }
}

/// Two lanes as one, by time; a lane's own order stands.
fn merge(
    runs: [LaneRows; 2],
    start: &FeedPosition,
    (types, limit): (&[EventType], usize),
    now: Timestamp,
) -> Result<FeedPage, StoreError> {
    let mut runs = runs;
    let (mut events, mut next, mut bytes, mut taken) = (Vec::new(), start.clone(), 0, 0);
    let is_caught_up = loop {
        if runs.iter().all(|run| run.rows.is_empty() && !run.has_more) {
            break true;
        }
        // Of a lane that has more, the next row is not known: it may be the earlier one.
        if taken >= limit || bytes > MAX_RESPONSE_BYTES || runs.iter().any(|run| run.rows.is_empty() && run.has_more) {
            break false;
        }
        let [users, groups] = &mut runs;
        let run = if comes_first(users, groups)? { users } else { groups };
        let Some(row) = run.rows.pop_front() else { break false };
        taken += 1;
        *next.of_lane(run.lane) = text(&row, "sk")?.to_owned();
        next.time = instant(&row, "at")?.as_millisecond();
        let kind = optional_text(&row, "type").unwrap_or_default();
        // The engine deletes what has expired some time later; nobody sees it meanwhile.
        if optional_number(&row, "ttl").is_some_and(|end: i64| end <= now.as_second()) {
            continue;
        }
        let is_asked = types.is_empty() || types.iter().any(|asked| asked.as_str() == kind);
        if is_asked && start.since.is_none_or(|since| next.time >= since) {
            let event = text(&row, "event")?;
            bytes += event.len();
            events.push(serde_json::from_str(event).map_err(|e| StoreError::Corrupt(e.to_string()))?);
        }
    };
    if is_caught_up {
        next.time = now.as_millisecond();
    }
    Ok(FeedPage { events, next, is_caught_up })
}

fn comes_first(a: &LaneRows, b: &LaneRows) -> Result<bool, StoreError> {
    let at = |run: &LaneRows| run.rows.front().map(|row| instant(row, "at")).transpose();
    Ok(match (at(a)?, at(b)?) {
        (Some(a), Some(b)) => a <= b,
        (a, _) => a.is_some(),
    })
}
