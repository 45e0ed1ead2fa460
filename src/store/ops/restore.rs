//! Restores: what a key did, what a window of the protection counted, or what happened to some users is undone. A call
//! works on some users and groups and returns the place where the next call goes on. Each user or group is worked out from
//! what it is and what its history says, so a call that is lost or repeated does no harm: what is as it should be stays.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::auth::Tenant;
use crate::limits::{MAX_LOG_ROWS, REQUEST_SECONDS, RESTORE_RESOURCES};
use crate::scim::resource::date_time;
use crate::store::dynamo::item::text;
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::Write;
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor};
use crate::store::model::change::Lane;
use crate::store::model::history::{HistoryEvent, member_of};
use crate::store::model::hold::{HoldWindow, hold_partition};
use crate::store::model::record::Author;
use crate::store::model::restore::{HoldSpan, RestoreScope};
use crate::store::ops::changes::FeedHeads;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod apply;
mod step;

pub use step::{RestoreOutcome, RestoredAttribute, RestoredMembership};

/// Rows of the feed that are read at once.
const LANE_PAGE: usize = 100;

/// Where a restore goes on: a place in the feed for each phase, or the users that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreCursor {
    #[serde(rename = "n")]
    tenant: String,
    #[serde(rename = "s")]
    scope: RestoreScope,
    /// Whether nothing is written.
    #[serde(rename = "d")]
    is_plan: bool,
    #[serde(rename = "p")]
    phase: RestorePhase,
    /// The last row of the lane that is done; empty before the first.
    #[serde(rename = "a")]
    after: String,
    /// The last row of each lane when the restore began: what it writes itself comes later.
    #[serde(rename = "u")]
    last_of_users: String,
    #[serde(rename = "g")]
    last_of_groups: String,
}

/// What is undone first: a membership needs its group, and the group its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) enum RestorePhase {
    /// The groups themselves.
    #[serde(rename = "g")]
    Groups,
    /// Groups in groups.
    #[serde(rename = "n")]
    Nesting,
    /// Users, and which groups they are in.
    #[serde(rename = "u")]
    Users,
}

/// One call of a restore.
pub struct RestoreCall<'a> {
    /// The tenant.
    pub tenant: &'a TenantName,
    /// Who restores; each write has a request id of its own that begins like this one's.
    pub author: &'a Author,
    /// Where it begins.
    pub cursor: RestoreCursor,
    /// When it begins with nothing more.
    pub deadline: Instant,
}

/// What a call came to.
#[derive(Debug, Default)]
pub struct RestoreReport {
    /// What was changed, or would be, and what stands against it.
    pub outcomes: Vec<RestoreOutcome>,
    /// How many were as they should be.
    pub unchanged: usize,
    /// Where the next call goes on; none where all is done.
    pub next: Option<RestoreCursor>,
}

impl RestoreCursor {
    /// As a caller keeps it. It holds no secret, and grants nothing.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads what [`to_text`](Self::to_text) has written for that tenant.
    pub fn parse(text: &str, tenant: &TenantName) -> Option<Self> {
        let cursor: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (cursor.tenant == tenant.as_str()).then_some(cursor)
    }

    /// Whether nothing is written.
    pub fn is_plan(&self) -> bool {
        self.is_plan
    }

    fn last(&self) -> &str {
        match self.phase {
            RestorePhase::Groups | RestorePhase::Nesting => &self.last_of_groups,
            RestorePhase::Users => &self.last_of_users,
        }
    }
}

impl RestorePhase {
    pub(in crate::store) fn lane(self) -> Lane {
        match self {
            Self::Groups | Self::Nesting => Lane::Groups,
            Self::Users => Lane::Users,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::Groups => Some(Self::Nesting),
            Self::Nesting => Some(Self::Users),
            Self::Users => None,
        }
    }

    /// Whether it undoes such an event of a resource.
    pub(in crate::store) fn concerns(self, event: &HistoryEvent) -> bool {
        match self {
            Self::Groups => event.is_of_document(),
            Self::Nesting => event.is_of_membership() || event.is_deletion(),
            Self::Users => event.is_of_document() || event.is_of_membership(),
        }
    }
}

impl Store {
    /// Where a restore begins.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn begin_restore(
        &self,
        tenant: &TenantName,
        scope: RestoreScope,
        is_plan: bool,
    ) -> Result<RestoreCursor, StoreError> {
        let heads = self.feed_heads(tenant).await?;
        let last = |lane| heads.0.get(&lane).map(|head| head.last()).unwrap_or_default();
        let is_of_users = matches!(scope, RestoreScope::Users { .. });
        Ok(RestoreCursor {
            tenant: tenant.as_str().to_owned(),
            phase: if is_of_users { RestorePhase::Users } else { RestorePhase::Groups },
            scope,
            is_plan,
            after: String::new(),
            last_of_users: last(Lane::Users),
            last_of_groups: last(Lane::Groups),
        })
    }

    /// The windows of protection that an id names, or those that are open; also of a window that ended within a day.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn hold_spans(
        &self,
        tenant: &TenantName,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<HoldSpan>, StoreError> {
        let rows = self.partition_of(hold_partition(tenant)).await?;
        let windows = rows.iter().map(HoldWindow::read).collect::<Result<Vec<_>, _>>()?;
        let is_meant = |window: &HoldWindow| id.map_or(window.until > now, |id| window.id() == id);
        // An event has the time when its request began, and the window that when it was counted.
        let margin = SignedDuration::from_secs(i64::try_from(REQUEST_SECONDS).unwrap_or(i64::MAX));
        let span = |window: HoldWindow| HoldSpan {
            from: window.opened.checked_sub(margin).unwrap_or(window.opened).as_millisecond(),
            until: window.until.as_millisecond(),
            group: window.group,
        };
        Ok(windows.into_iter().filter(is_meant).map(span).collect())
    }

    /// Restores some users and groups, or plans it.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt. What was restored before stays so.
    pub async fn restore(&self, call: RestoreCall<'_>, by: &AdminAuthor) -> Result<RestoreReport, StoreError> {
        if !call.cursor.is_plan {
            self.record_restore(call.tenant, &call.cursor, by).await?;
        }
        let heads = self.feed_heads(call.tenant).await?;
        let mut run = RestoreRun {
            store: self,
            tenant: Tenant::of_item(call.tenant.clone()),
            author: call.author,
            scope: call.cursor.scope.clone(),
            is_plan: call.cursor.is_plan,
            deadline: call.deadline,
            heads,
            steps: 0,
            seen: BTreeSet::new(),
            revivals: BTreeMap::new(),
            report: RestoreReport::default(),
        };
        let next = match &call.cursor.scope {
            RestoreScope::Users { ids, since } => run.restore_users(ids, *since, &call.cursor).await?,
            RestoreScope::Key { .. } | RestoreScope::Hold { .. } => run.walk(call.cursor).await?,
        };
        Ok(RestoreReport { next, ..run.report })
    }

    async fn record_restore(
        &self,
        tenant: &TenantName,
        cursor: &RestoreCursor,
        by: &AdminAuthor,
    ) -> Result<(), StoreError> {
        let after = scope_fields(&cursor.scope);
        let action = AdminAction { kind: AdminActionType::RestoreRun, id: tenant.as_str(), before: Value::Null, after };
        self.commit_if_current(self.record_action(tenant, by, &action)).await
    }
}

/// What a restore undoes, as the log has it.
fn scope_fields(scope: &RestoreScope) -> Value {
    let time = |milliseconds: &i64| Timestamp::from_millisecond(*milliseconds).map(date_time).unwrap_or_default();
    match scope {
        RestoreScope::Users { ids, since } => serde_json::json!({"users": ids, "since": since.as_ref().map(time)}),
        RestoreScope::Key { key, since, until } => {
            serde_json::json!({"key": key, "since": time(since), "until": time(until)})
        }
        RestoreScope::Hold { spans } => {
            let span = |span: &HoldSpan| serde_json::json!({"group": span.group, "from": time(&span.from), "until": time(&span.until)});
            serde_json::json!({"hold": spans.iter().map(span).collect::<Vec<_>>()})
        }
    }
}

/// A call on its way.
pub(in crate::store) struct RestoreRun<'a> {
    store: &'a Store,
    tenant: Tenant,
    author: &'a Author,
    scope: RestoreScope,
    is_plan: bool,
    deadline: Instant,
    heads: FeedHeads,
    /// Writes so far: each has a request id of its own.
    steps: u32,
    /// What this call has worked on in the phase.
    seen: BTreeSet<String>,
    /// Of groups that are gone: whether they are among what the restore brings back.
    revivals: BTreeMap<String, bool>,
    report: RestoreReport,
}

impl RestoreRun<'_> {
    /// Restores users by their ids; the cursor of those that are left.
    async fn restore_users(
        &mut self,
        ids: &[String],
        since: Option<i64>,
        cursor: &RestoreCursor,
    ) -> Result<Option<RestoreCursor>, StoreError> {
        for (index, id) in ids.iter().enumerate() {
            if self.is_exhausted() || !self.step(RestorePhase::Users, id, None).await? {
                let ids = ids.get(index..).unwrap_or_default().to_vec();
                return Ok(Some(RestoreCursor { scope: RestoreScope::Users { ids, since }, ..cursor.clone() }));
            }
        }
        Ok(None)
    }

    /// Walks through the feed, oldest event first, and restores whatever an event in the scope is of.
    async fn walk(&mut self, mut cursor: RestoreCursor) -> Result<Option<RestoreCursor>, StoreError> {
        let mut read = 0;
        loop {
            let (name, lane) = (self.tenant.name().clone(), cursor.phase.lane());
            if cursor.after.is_empty()
                && let Some(since) = self.scope.since()
            {
                cursor.after = self.store.place_before(&name, lane, since).await?;
            }
            let (from, to) = (format!("{} ", cursor.after), cursor.last().to_owned());
            let (rows, has_more) = match from < to {
                true => self.store.lane_rows(&name, lane, &from, &to, LANE_PAGE).await?,
                false => Default::default(),
            };
            read += rows.len();
            for row in rows {
                let event: Value =
                    serde_json::from_str(text(&row, "event")?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                if let Some((id, event)) = self.target(cursor.phase, &event)
                    && !self.seen.contains(&id)
                    && (self.is_exhausted() || !self.step(cursor.phase, &id, Some(&event.id)).await?)
                {
                    return Ok(Some(cursor));
                }
                text(&row, "sk")?.clone_into(&mut cursor.after);
            }
            if !has_more {
                let Some(phase) = cursor.phase.next() else { return Ok(None) };
                cursor = RestoreCursor { phase, after: String::new(), ..cursor };
                self.seen.clear();
            } else if read >= MAX_LOG_ROWS {
                return Ok(Some(cursor));
            }
        }
    }

    /// Of which resource an event is that the phase undoes.
    fn target(&self, phase: RestorePhase, event: &Value) -> Option<(String, HistoryEvent)> {
        let member = member_of(event).map(|(id, _)| id);
        let id = member.or_else(|| event.pointer("/resource/id")?.as_str())?.to_owned();
        let parsed = HistoryEvent::parse(event, &id)?;
        (phase.concerns(&parsed) && self.scope.takes(&parsed)).then_some((id, parsed))
    }

    /// Whether the call begins with nothing more.
    fn is_exhausted(&self) -> bool {
        self.seen.len() >= RESTORE_RESOURCES || self.is_late()
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// The author of the next write, with a request id of its own: a retry of a write is known by it.
    fn next_author(&mut self) -> Author {
        self.steps += 1;
        let begin: String = self.author.request.chars().take(26).collect();
        let request = format!("{begin}{:06x}", self.steps);
        Author { request, reservation: Default::default(), ..self.author.clone() }
    }
}

/// A write whose condition is that the row of table `links` is not there.
fn absent(key: crate::store::dynamo::item::Item) -> Write {
    Write::check(Table::Links, key).require(&crate::store::dynamo::write::Condition::Absent("pk"))
}
