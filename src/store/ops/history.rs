//! The history of one user or group, and how it was at a time: what it is now, with its events undone from the newest on.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::auth::Tenant;
use crate::limits::{HISTORY_LAG_SECONDS, MAX_MEMBERS_LISTED, MAX_STATE_EVENTS};
use crate::store::dynamo::item::{Item, optional_number, optional_text, text};
use crate::store::model::change::Lane;
use crate::store::model::group::Group;
use crate::store::model::history::{Effect, HistoryEvent, PastState};
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member::Members;
use crate::store::model::user::User;
use crate::store::ops::changes::{FeedHeads, history_partition};
use crate::store::ops::log::{HISTORY_MARGIN, sort_of};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Rows of a history that are read at once.
const HISTORY_PAGE: i32 = 500;

/// How much the time of a group's last change may differ from that of its event.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(2);

/// A user or group at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum StateAtTime {
    /// So it was.
    Existed(Box<ExistingState>),
    /// It was not there; since then it was, or before it, or never.
    Absent,
    /// Its events of since then are not kept; those are that have come since this time.
    NotKept(Option<Timestamp>),
    /// A change of the last minutes is not in the history yet.
    Behind,
}

/// A user or group as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct ExistingState {
    /// The document.
    pub document: Map<String, Value>,
    /// The ids of the groups that it was in.
    pub groups: BTreeSet<String>,
    /// The members of a group; none where they are too many.
    pub members: Option<Members>,
    /// Whether all of it is known.
    pub is_exact: bool,
}

/// The events of one resource, newest first.
pub(in crate::store) struct ResourceHistory {
    pub(in crate::store) events: Vec<HistoryEvent>,
    /// Whether there are more than were to be read.
    pub(in crate::store) is_cut: bool,
}

/// Which rows of a history are read.
#[derive(Clone, Copy)]
pub(in crate::store) struct HistoryRange {
    /// Not before; none for all.
    pub(in crate::store) since: Option<Timestamp>,
    /// Of one lane alone.
    pub(in crate::store) lane: Option<Lane>,
    /// Most events.
    pub(in crate::store) limit: usize,
    /// What has ended at that time is not among them.
    pub(in crate::store) now: Timestamp,
}

/// A user or group as it is now.
struct Present {
    state: PastState,
    created: Timestamp,
    modified: Timestamp,
    /// The request that wrote the document last.
    request: Option<String>,
    /// The last change of which groups it is in.
    membership: Option<(String, Timestamp)>,
    is_group: bool,
}

impl Store {
    /// A user at a time.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] if too much has changed since; a [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn user_at(
        &self,
        tenant: &TenantName,
        id: &UserId,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<StateAtTime, StoreError> {
        let user = self.user(&Tenant::of_item(tenant.clone()), id).await?;
        self.state_at(tenant, (id.as_str(), user.map(Present::of_user)), time, now).await
    }

    /// A group at a time, with its members.
    ///
    /// # Errors
    /// As [`user_at`](Self::user_at).
    pub async fn group_at(
        &self,
        tenant: &TenantName,
        id: &GroupId,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<StateAtTime, StoreError> {
        let owner = Tenant::of_item(tenant.clone());
        let settled = match self.group(&owner, id).await? {
            Some(group) => self.group_with_members(&owner, group, MAX_MEMBERS_LISTED).await?,
            None => None,
        };
        if settled.as_ref().is_some_and(|(group, _)| group.batch.is_some()) {
            return Ok(StateAtTime::Behind);
        }
        let has_too_many = settled.as_ref().is_some_and(|(_, members)| members.is_none());
        let present = settled.map(|(group, members)| Present::of_group(group, members.unwrap_or_default()));
        let mut state = self.state_at(tenant, (id.as_str(), present), time, now).await?;
        if let (StateAtTime::Existed(state), true) = (&mut state, has_too_many) {
            state.members = None;
        }
        Ok(state)
    }

    async fn state_at(
        &self,
        tenant: &TenantName,
        (id, present): (&str, Option<Present>),
        time: Timestamp,
        now: Timestamp,
    ) -> Result<StateAtTime, StoreError> {
        let heads = self.feed_heads(tenant).await?;
        // What shows whether the history lacks a change is newer than the time that is asked for.
        let lag = SignedDuration::from_secs(HISTORY_LAG_SECONDS);
        let since = time.min(now.checked_sub(lag).unwrap_or(time));
        let range = HistoryRange { since: Some(since), lane: None, limit: MAX_STATE_EVENTS, now };
        let history = self.history_of((tenant, id), &heads, range).await?;
        if history.is_cut {
            return Err(StoreError::TooMany(MAX_STATE_EVENTS));
        }
        if present.as_ref().is_some_and(|present| present.is_ahead_of(&history.events, now)) {
            return Ok(StateAtTime::Behind);
        }
        if let Some(state) = present.as_ref().and_then(|present| present.settled_at(time)) {
            return Ok(state);
        }
        let oldest = self.oldest_event(tenant, now).await?;
        let mut state = present.map(|present| present.state).unwrap_or_default();
        history.events.iter().filter(|event| event.at > time).for_each(|event| state.undo(event));
        let first = oldest.or(now.checked_sub(self.retention).ok());
        let is_kept = first.is_some_and(|first| first <= time);
        let begins = |event: &HistoryEvent| event.effect == Effect::Created && !event.is_restore;
        match state.document {
            None if is_kept || history.events.last().is_some_and(begins) => Ok(StateAtTime::Absent),
            Some(document) if is_kept => {
                let (groups, members) = (state.groups, Some(state.members));
                let is_exact = !state.has_gap && !self.has_gap_since(tenant, time).await?;
                Ok(StateAtTime::Existed(Box::new(ExistingState { document, groups, members, is_exact })))
            }
            _ => Ok(StateAtTime::NotKept(oldest)),
        }
    }

    /// The groups of those ids that are there.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn groups_of_tenant(
        &self,
        tenant: &TenantName,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<Vec<Group>, StoreError> {
        self.groups(&Tenant::of_item(tenant.clone()), ids).await
    }

    /// Whether a user is there.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn is_user(&self, tenant: &TenantName, id: &UserId) -> Result<bool, StoreError> {
        Ok(self.user(&Tenant::of_item(tenant.clone()), id).await?.is_some())
    }

    /// Whether a group is there.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn is_group(&self, tenant: &TenantName, id: &GroupId) -> Result<bool, StoreError> {
        Ok(self.group(&Tenant::of_item(tenant.clone()), id).await?.is_some())
    }

    /// The events of a resource, newest first.
    pub(in crate::store) async fn history_of(
        &self,
        (tenant, id): (&TenantName, &str),
        heads: &FeedHeads,
        range: HistoryRange,
    ) -> Result<ResourceHistory, StoreError> {
        let from = range.since.and_then(|since| since.checked_sub(HISTORY_MARGIN).ok());
        let mut bounds = (from.map_or_else(|| " ".to_owned(), sort_of), "~".to_owned());
        let mut events = Vec::new();
        loop {
            let (rows, has_more) =
                self.rows_between(&history_partition(tenant, id), &bounds, (false, HISTORY_PAGE)).await?;
            let last = rows.last().map(|row| text(row, "sk").map(str::to_owned)).transpose()?;
            let is_new = |row: &Item| optional_text(row, "sk") != Some(bounds.1.as_str());
            let is_kept = |row: &Item| optional_number(row, "ttl").is_none_or(|end: i64| end > range.now.as_second());
            let is_of_lane = |row: &Item| {
                let letter = optional_text(row, "sk").and_then(|sk| sk.split('#').nth(1));
                range.lane.is_none_or(|lane| letter == Some(lane.letter()))
            };
            let rows = rows.into_iter().filter(|row| is_new(row) && is_kept(row) && is_of_lane(row)).collect();
            for row in self.rows_of_history(tenant, rows, heads).await? {
                let event: Value = serde_json::from_str(&row.text).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                events.extend(HistoryEvent::parse(&event, id));
            }
            if events.len() > range.limit {
                events.truncate(range.limit);
                return Ok(ResourceHistory { events, is_cut: true });
            }
            match last {
                Some(last) if has_more => bounds.1 = last,
                _ => return Ok(ResourceHistory { events, is_cut: false }),
            }
        }
    }

    /// Whether changes that came since then are missing in the feed: the worker could not read them.
    async fn has_gap_since(&self, tenant: &TenantName, time: Timestamp) -> Result<bool, StoreError> {
        let bounds = ("gap#".to_owned(), "gap#~".to_owned());
        let (rows, _) = self.rows_between(&format!("{tenant}#n"), &bounds, (true, HISTORY_PAGE)).await?;
        // A gap was noted when its row began to last.
        let since = |row: &Item| optional_number::<i64>(row, "ttl").map(|end| end - self.retention.as_secs());
        Ok(rows.iter().filter_map(since).any(|noted| noted >= time.as_second()))
    }
}

impl Present {
    fn of_user(user: User) -> Self {
        let User { record, membership, .. } = user;
        let document = Some(record.document.attributes().clone());
        Self {
            state: PastState { document, groups: membership.groups, ..PastState::default() },
            created: record.created,
            modified: record.modified,
            request: record.requests.last().map(str::to_owned),
            membership: membership.last_change,
            is_group: false,
        }
    }

    fn of_group(group: Group, members: Members) -> Self {
        let Group { record, parents, .. } = group;
        let document = Some(record.document.attributes().clone());
        Self {
            state: PastState { document, groups: parents.groups, members, ..PastState::default() },
            created: record.created,
            modified: record.modified,
            request: record.requests.last().map(str::to_owned),
            membership: parents.last_change,
            is_group: true,
        }
    }

    /// Whether its last change is not among the events, though it is so young that it may still come.
    fn is_ahead_of(&self, events: &[HistoryEvent], now: Timestamp) -> bool {
        let is_young = |at: Timestamp| now.duration_since(at).as_secs() < HISTORY_LAG_SECONDS;
        let has = |request: &str| events.iter().any(|event| event.request.as_deref() == Some(request));
        // A group's time is that of its members' last change, too.
        let is_there = match self.is_group {
            true => events.first().is_some_and(|event| event.at + CLOCK_STEP >= self.modified),
            false => self.request.as_deref().is_none_or(has),
        };
        (is_young(self.modified) && !is_there)
            || self.membership.as_ref().is_some_and(|(request, at)| is_young(*at) && !has(request))
    }

    /// How it was at a time since when nothing has changed, or before which it was not there: no event is needed.
    fn settled_at(&self, time: Timestamp) -> Option<StateAtTime> {
        if self.created > time {
            return Some(StateAtTime::Absent);
        }
        let is_same = self.modified <= time && self.membership.as_ref().is_none_or(|(_, at)| *at <= time);
        // Members who are deleted leave no trace in the item of a group.
        (is_same && !self.is_group).then(|| {
            let state = self.state.clone();
            let document = state.document.unwrap_or_default();
            let (groups, members) = (state.groups, Some(state.members));
            StateAtTime::Existed(Box::new(ExistingState { document, groups, members, is_exact: true }))
        })
    }
}
