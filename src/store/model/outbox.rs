//! What the worker has still to send, and the windows of protection that it still reports on: the rows of one partition of
//! table `links`, for all tenants. There are few, and the worker reads them once a minute.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::format::check_format;
use super::hold::HoldWindow;
use super::notice::{HoldReport, Notice};
use crate::limits::{MAX_NOTICE_RETRY_SECONDS, NOTICE_CLAIM_SECONDS, NOTICE_HOURS};
use crate::store::StoreError;
use crate::store::dynamo::item::{
    Item, at, instant, missing_attribute, n, number, optional_instant, optional_text, s, text,
};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::tenant::TenantName;

/// The partition. No tenant's rows are there: theirs have a `#`.
pub(in crate::store) const OUTBOX: &str = "notice";

/// How long a row is kept beyond the time that it is for, whatever happens to the worker.
const SLACK: SignedDuration = SignedDuration::from_hours(NOTICE_HOURS + 24);

/// Least pause before a notice is sent again.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// Decisions as they stand in rows and events.
const DECISIONS: [&str; 3] = ["approved", "rejected", "once"];

/// A row of the outbox.
#[derive(Debug, Clone)]
pub enum OutboxRow {
    /// Something to send.
    Notice(PendingNotice),
    /// A window to report on.
    Watch(HoldWatch),
}

/// A notice that is in the feed and that not everybody has who is to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingNotice {
    /// Whose it is.
    pub tenant: TenantName,
    /// The type of its event.
    pub kind: String,
    /// What it says.
    pub sentence: String,
    /// When it was written.
    pub since: Timestamp,
    /// Who has it: mail addresses, and the topic.
    pub sent: BTreeSet<String>,
    /// What follows the tenant in its sort key.
    id: String,
    /// Not before: another run is at it, or it was refused.
    retry: Option<Timestamp>,
}

/// A window of protection that holds, from its first refusal until its end or an operator's approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldWatch {
    /// Whose it is.
    pub tenant: TenantName,
    /// What is to be said of it; without a decision.
    pub report: HoldReport,
    /// What an operator has decided.
    pub decision: Option<&'static str>,
    /// When there is something to do.
    due: Timestamp,
}

impl OutboxRow {
    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        let (tenant, id) = text(item, "sk")?.split_once('#').ok_or_else(|| missing_attribute("sk"))?;
        let tenant: TenantName = tenant.parse().map_err(|_| missing_attribute("sk"))?;
        if !item.contains_key("sentence") {
            return HoldWatch::read(item, tenant).map(Self::Watch);
        }
        Ok(Self::Notice(PendingNotice {
            tenant,
            kind: text(item, "type")?.to_owned(),
            sentence: text(item, "sentence")?.to_owned(),
            since: instant(item, "at")?,
            sent: item.get("sent").and_then(|set| set.as_ss().ok()).into_iter().flatten().cloned().collect(),
            id: id.to_owned(),
            retry: optional_instant(item, "retry"),
        }))
    }

    /// What is to be sent; none of a window.
    pub fn into_notice(self) -> Option<PendingNotice> {
        match self {
            Self::Notice(notice) => Some(notice),
            Self::Watch(_) => None,
        }
    }

    /// Whether there is something to do.
    pub(in crate::store) fn is_due(&self, now: Timestamp) -> bool {
        match self {
            Self::Notice(notice) => notice.retry.is_none_or(|retry| retry <= now),
            Self::Watch(watch) => watch.due <= now,
        }
    }
}

impl PendingNotice {
    /// The write that goes with a notice's event.
    pub(in crate::store) fn enqueue(tenant: &TenantName, notice: &Notice, now: Timestamp) -> Write {
        let mut row = outbox_row(tenant, &format!("notice#{}", notice.marker()));
        row.insert("type".into(), s(notice.event_type().as_str()));
        row.insert("sentence".into(), s(notice.sentence(tenant.as_str())));
        row.insert("at".into(), at(now));
        row.insert("ttl".into(), n((now + SLACK).as_second()));
        Write::put(Table::Links, row)
    }

    /// Has no other run send it for a while.
    pub(in crate::store) fn claim(&self, now: Timestamp) -> Write {
        let is_free = Condition::Absent("retry").or(Condition::at_most("retry", at(now)));
        self.update().set("retry", at(now + SignedDuration::from_secs(NOTICE_CLAIM_SECONDS))).require(&is_free)
    }

    /// Notes who has it.
    pub(in crate::store) fn mark_sent(&self, recipient: &str) -> Write {
        self.update().add_to_set("sent", AttributeValue::Ss(vec![recipient.to_owned()]))
    }

    /// Has it sent again later: ever more rarely.
    pub(in crate::store) fn postpone(&self, now: Timestamp) -> Write {
        let longest = SignedDuration::from_secs(MAX_NOTICE_RETRY_SECONDS);
        self.update().set("retry", at(now + now.duration_since(self.since).clamp(PAUSE, longest)))
    }

    /// Everybody has it, or nobody will.
    pub(in crate::store) fn complete(&self) -> Write {
        Write::delete(Table::Links, outbox_row(&self.tenant, &self.id))
    }

    /// Whether it is too old to be sent again.
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) > SignedDuration::from_hours(NOTICE_HOURS)
    }

    fn update(&self) -> Write {
        Write::update(Table::Links, outbox_row(&self.tenant, &self.id)).require(&Condition::Exists("pk"))
    }
}

impl HoldWatch {
    /// The write that goes with the mark of a window's first refusal.
    pub(in crate::store) fn enqueue(tenant: &TenantName, window: &HoldWindow, since: Timestamp) -> Write {
        let mut row = watch_row(tenant, window.group.as_deref(), since);
        row.extend(window.group.as_ref().map(|group| ("group".to_owned(), s(group))));
        row.insert("n".into(), n(window.count));
        row.insert("bound".into(), n(window.bound));
        row.insert("at".into(), at(since));
        row.insert("until".into(), at(window.until));
        row.insert("due".into(), at(since));
        row.insert("ttl".into(), n((window.until + SLACK).as_second()));
        Write::put(Table::Links, row)
    }

    fn read(item: &Item, tenant: TenantName) -> Result<Self, StoreError> {
        let decision = optional_text(item, "decision");
        let report = HoldReport {
            group: optional_text(item, "group").map(str::to_owned),
            count: number(item, "n")?,
            bound: number(item, "bound")?,
            since: instant(item, "at")?,
            until: instant(item, "until")?,
            decision: None,
        };
        let decision = DECISIONS.into_iter().find(|known| Some(*known) == decision);
        Ok(Self { tenant, report, decision, due: instant(item, "due")? })
    }

    /// The write that goes with an operator's decision about a window that has held since then.
    pub(in crate::store) fn decide(
        tenant: &TenantName,
        window: &HoldWindow,
        since: Timestamp,
        (decision, now): (&'static str, Timestamp),
    ) -> Write {
        Write::update(Table::Links, watch_row(tenant, window.group.as_deref(), since))
            .set("decision", s(decision))
            .set("due", at(now))
            .require(&Condition::Exists("pk"))
    }

    /// What the feed is to have by now, in order; what it has already is not written again.
    pub fn notices(&self, now: Timestamp) -> Vec<Notice> {
        let with = |decision| HoldReport { decision, ..self.report.clone() };
        let mut notices = vec![Notice::TenantHeld(with(None))];
        match self.decision {
            Some("rejected") => notices.push(Notice::TenantHeld(with(self.decision))),
            Some(_) => notices.push(Notice::TenantReleased(with(self.decision))),
            None => {}
        }
        if !self.is_released() && now >= self.report.until {
            notices.push(Notice::TenantReleased(with(Some("ended"))));
        }
        notices
    }

    /// The write that follows those notices: the end of the watch, or the wait for the end of the window. Nothing where an
    /// operator has decided meanwhile.
    pub(in crate::store) fn go_on(&self, now: Timestamp) -> Write {
        let row = watch_row(&self.tenant, self.report.group.as_deref(), self.report.since);
        let is_same = match self.decision {
            None => Condition::Absent("decision"),
            Some(decision) => Condition::equals("decision", s(decision)),
        };
        let write = match self.is_released() || now >= self.report.until {
            true => Write::delete(Table::Links, row),
            false => Write::update(Table::Links, row).set("due", at(self.report.until)),
        };
        write.require(&Condition::Exists("pk").and(is_same))
    }

    fn is_released(&self) -> bool {
        matches!(self.decision, Some("approved" | "once"))
    }
}

fn watch_row(tenant: &TenantName, group: Option<&str>, since: Timestamp) -> Item {
    outbox_row(tenant, &format!("hold#{}#{}", group.unwrap_or("users"), since.as_millisecond()))
}

fn outbox_row(tenant: &TenantName, id: &str) -> Item {
    // A sort key has at most 1,024 bytes.
    let id: String = id.chars().take(500).collect();
    Item::from([("pk".to_owned(), s(OUTBOX)), ("sk".to_owned(), s(format!("{tenant}#{id}")))])
}
