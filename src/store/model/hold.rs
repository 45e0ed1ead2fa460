//! What the protection of a tenant has counted: a row of table `links` for its users, and one for each group that lost
//! members lately. A row is of one window, and the next window begins it anew.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::format::check_format;
use super::id::GroupId;
use crate::limits::{APPROVAL_MINUTES, PROTECTED_MEMBERS, PROTECTED_MEMBERS_PERCENT};
use crate::scim::resource::date_time;
use crate::store::StoreError;
use crate::store::dynamo::item::{Item, instant, missing_attribute, number, optional_instant, optional_text, s, text};
use crate::tenant::{Protection, TenantName, UserBound};

/// More than is ever withdrawn within a window: what is left to an approved one.
pub(in crate::store) const UNBOUNDED: i64 = 1_000_000_000_000;

/// The sort key of the row of the users; each other one is a group's id.
pub(in crate::store) const USERS: &str = "users";

/// From what access is withdrawn.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Protected<'a> {
    /// The tenant's users lose it.
    Users,
    /// The members of a group lose it.
    Group(&'a GroupId),
}

/// How much a request withdraws.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Loss {
    /// Users or members.
    pub(in crate::store) count: i64,
    /// Whether it is more than half of all, though nobody has counted them.
    pub(in crate::store) is_most: bool,
}

/// What an operator has decided of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldDecision {
    /// Everything goes through until the window ends, and for [`APPROVAL_MINUTES`] at least.
    Approve,
    /// What is over the bound is held until the window ends.
    Reject,
    /// So many more go through.
    Once(u32),
}

impl HoldDecision {
    /// As it stands in the row.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Once(_) => "once",
        }
    }
}

/// A window of protection, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldWindow {
    /// The group; none for the window of the users.
    pub group: Option<String>,
    /// What was withdrawn so far.
    pub count: i64,
    /// How much may be.
    pub bound: i64,
    /// How much more may be; less than none while an operator has raised a setting down.
    pub left: i64,
    /// When it began.
    pub opened: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// What an operator has decided.
    pub decision: Option<String>,
    /// Whether the share of all is in the bound: it is counted only for who passes the floor.
    pub(in crate::store) is_counted: bool,
    /// Whether a warning was logged.
    pub(in crate::store) has_warned: bool,
    /// When a request was held first, since the last decision that let something through.
    pub(in crate::store) held: Option<Timestamp>,
    /// The settings that the bound follows.
    pub(in crate::store) rule: String,
}

impl HoldWindow {
    /// What names it: of what it is, and when it began.
    pub fn id(&self) -> String {
        format!("{}@{}", self.group.as_deref().unwrap_or(USERS), date_time(self.opened))
    }

    /// Until when it lasts if it is approved at that time: the client has to come back before.
    pub(in crate::store) fn approved_until(&self, now: Timestamp) -> Timestamp {
        self.until.max(now + SignedDuration::from_mins(APPROVAL_MINUTES))
    }

    /// As it is after a decision of that time.
    pub fn decide(&mut self, decision: HoldDecision, now: Timestamp) {
        self.decision = Some(decision.as_str().to_owned());
        match decision {
            HoldDecision::Approve => (self.left, self.until) = (UNBOUNDED, self.approved_until(now)),
            HoldDecision::Reject => self.left = 0,
            HoldDecision::Once(count) => self.left += i64::from(count),
        }
    }

    pub(in crate::store) fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        let sort = text(item, "sk")?;
        Ok(Self {
            group: (sort != USERS).then(|| sort.to_owned()),
            count: number(item, "n")?,
            bound: number(item, "bound")?,
            left: number(item, "left")?,
            opened: instant(item, "opened")?,
            until: instant(item, "until")?,
            decision: optional_text(item, "decision").map(str::to_owned),
            is_counted: item.contains_key("counted"),
            has_warned: item.contains_key("warned"),
            held: optional_instant(item, "held"),
            rule: optional_text(item, "rule").ok_or_else(|| missing_attribute("rule"))?.to_owned(),
        })
    }
}

/// A request that is held: what it met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The tenant.
    pub tenant: TenantName,
    /// The window.
    pub window: HoldWindow,
    /// How long a window is, in minutes.
    pub minutes: u32,
    /// Seconds until the window ends.
    pub seconds_left: u32,
}

/// Why a request may not take access away.
#[derive(Debug)]
pub(in crate::store) enum HoldError {
    /// It is held.
    Held(Box<Hold>),
    /// Anything else.
    Store(StoreError),
}

impl From<StoreError> for HoldError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Protected<'_> {
    /// The sort key of its row.
    pub(in crate::store) fn sort(self) -> String {
        match self {
            Self::Users => USERS.to_owned(),
            Self::Group(id) => id.as_str().to_owned(),
        }
    }

    /// Its bound, by the settings.
    pub(in crate::store) fn bound(self, protection: Protection) -> UserBound {
        match self {
            Self::Users => protection.users,
            Self::Group(_) => UserBound { percent: PROTECTED_MEMBERS_PERCENT, floor: PROTECTED_MEMBERS },
        }
    }

    /// The settings that its window follows; with others, the bound is worked out anew.
    pub(in crate::store) fn rule(self, protection: Protection) -> String {
        self.bound(protection).to_string()
    }
}

/// A row at its place.
pub(in crate::store) fn hold_row(tenant: &TenantName, sort: &str) -> Item {
    Item::from([("pk".to_owned(), s(hold_partition(tenant))), ("sk".to_owned(), s(sort))])
}

/// The partition of a tenant's windows.
pub(in crate::store) fn hold_partition(tenant: &TenantName) -> String {
    format!("{tenant}#hold")
}

/// What a request has counted and not yet withdrawn. It counts once, however often it tries.
#[derive(Debug, Clone, Default)]
pub struct Reservation(Arc<Mutex<Reserved>>);

/// What is counted for a request.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Reserved {
    /// The sort key of the row.
    pub(in crate::store) sort: String,
    /// So much is counted.
    pub(in crate::store) count: i64,
    /// When it was counted last.
    pub(in crate::store) at: Timestamp,
    /// So much does the write under way withdraw.
    needed: i64,
}

impl Reservation {
    /// How much is not counted yet of a loss.
    pub(in crate::store) fn missing(&self, count: i64) -> i64 {
        self.with(|reserved| {
            reserved.needed = count;
            (count - reserved.count).max(0)
        })
    }

    /// So much more is counted, in that row.
    pub(in crate::store) fn add(&self, sort: String, count: i64, at: Timestamp) {
        self.with(|reserved| {
            reserved.count += count;
            (reserved.sort, reserved.at) = (sort, at);
        });
    }

    /// The write is done, or nobody knows: what it withdraws stays counted.
    pub(in crate::store) fn spend(&self) {
        self.with(|reserved| {
            reserved.count = (reserved.count - reserved.needed).max(0);
            reserved.needed = 0;
        });
    }

    /// What is left, and from now on no more.
    pub(in crate::store) fn take(&self) -> Option<Reserved> {
        let left = self.with(std::mem::take);
        (left.count > 0).then_some(left)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Reserved) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A window's length.
pub(in crate::store) fn length(protection: Protection) -> SignedDuration {
    SignedDuration::from_mins(i64::from(protection.window.0))
}
