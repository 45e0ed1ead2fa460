//! The protection against mass deprovisioning: what takes access away counts before it is written, by one conditional
//! write of a row of the tenant. Only such requests come here.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::auth::Tenant;
use crate::limits::{MAX_DECIDED_WINDOWS, MAX_WRITE_ATTEMPTS};
use crate::scim::resource::date_time;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::{Item, at, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::admin_action::{AdminAction, AdminActionType, AdminAuthor};
use crate::store::model::hold::{
    Hold, HoldDecision, HoldError, HoldWindow, Loss, Protected, UNBOUNDED, hold_partition, hold_row, length,
};
use crate::store::model::outbox::HoldWatch;
use crate::store::model::record::Author;
use crate::store::{Store, StoreError};
use crate::tenant::{Protection, ProtectionMode, TenantName};

/// What is counted, where, and by which settings.
#[derive(Clone, Copy)]
struct Count<'a> {
    tenant: &'a Tenant,
    protected: Protected<'a>,
    loss: Loss,
    protection: Protection,
    now: Timestamp,
}

impl Store {
    /// Counts what a request is about to withdraw, if it was not counted for it before.
    ///
    /// # Errors
    /// [`HoldError::Held`] over the bound, if the tenant's protection holds; the store's.
    pub(in crate::store) async fn reserve(
        &self,
        tenant: &Tenant,
        author: &Author,
        protected: Protected<'_>,
        loss: Loss,
    ) -> Result<(), HoldError> {
        let protection = author.settings.protection;
        let missing = author.reservation.missing(loss.count);
        if missing == 0 || protection.mode == ProtectionMode::Off {
            return Ok(());
        }
        let loss = Loss { count: missing, ..loss };
        let count = Count { tenant, protected, loss, protection, now: author.now() };
        let is_counted = match dry_run::is_on() {
            true => self.preview_count(count).await?,
            false => self.count_loss(count).await?,
        };
        if is_counted {
            author.reservation.add(protected.sort(), missing, count.now);
        }
        Ok(())
    }

    /// Takes back what a request has counted and not withdrawn. If it fails, it stays counted.
    pub async fn give_back(&self, tenant: &Tenant, author: &Author) {
        let Some(left) = author.reservation.take() else { return };
        let write = Write::update(Table::Links, hold_row(tenant.name(), &left.sort))
            .add("n", n(-left.count))
            .add("left", n(left.count))
            .require(&Condition::at_most("opened", at(left.at)))
            .require(&Condition::greater("until", at(left.at)))
            .require(&Condition::Absent("decision"));
        if let Err(error) = self.commit_if_current(write).await {
            tracing::warn!(%error, "what a request did not withdraw stays counted");
        }
    }

    /// Counts; `false` if it goes on without being counted.
    async fn count_loss(&self, count: Count<'_>) -> Result<bool, HoldError> {
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let met = match self.commit(&[count.take()], "").await {
                Ok(()) => return Ok(true),
                Err(CommitError::Condition(_, met)) => met,
                Err(CommitError::Store(error)) => return Err(error.into()),
            };
            let window = met.as_ref().map(HoldWindow::read).transpose()?.filter(|window| window.until > count.now);
            let Some(window) = window else {
                let (open, is_taken) = count.open(met.as_ref());
                match self.commit(&[open], "").await {
                    Ok(()) if is_taken => return Ok(true),
                    Ok(()) | Err(CommitError::Condition(..)) => continue,
                    Err(CommitError::Store(error)) => return Err(error.into()),
                }
            };
            let is_open_to_change = window.decision.is_none();
            if is_open_to_change && window.rule != count.rule() {
                self.commit_if_current(count.follow_settings(&window)).await?;
            } else if is_open_to_change && !window.is_counted {
                let bound = self.bound_of_all(count).await?;
                self.commit_if_current(count.raise(&window, bound)).await?;
            } else if window.left < count.demanded() {
                return self.pass_bound(count, window).await;
            }
        }
        Err(StoreError::Contended(0).into())
    }

    /// What becomes of what is over the bound: it is held, or goes on uncounted with one warning a window.
    async fn pass_bound(&self, count: Count<'_>, window: HoldWindow) -> Result<bool, HoldError> {
        if count.protection.mode == ProtectionMode::Hold {
            self.watch_hold(count.tenant.name(), (count.row(), &window), count.now).await;
            return Err(HoldError::Held(Box::new(count.hold(window))));
        }
        if !window.has_warned && !dry_run::is_on() {
            let warning = Write::update(Table::Links, count.row())
                .set("warned", at(count.now))
                .require(&Condition::equals("until", at(window.until)))
                .require(&Condition::Absent("warned"));
            match self.commit(&[warning], "").await {
                Ok(()) => {
                    let (tenant, group) = (count.tenant.as_str(), window.group.as_deref().unwrap_or(""));
                    let (counted, bound) = (window.count, window.bound);
                    tracing::warn!(tenant, group, counted, bound, "more access is withdrawn than the bound allows");
                }
                Err(CommitError::Condition(..)) => {}
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Whether a loss would be counted, without counting it.
    async fn preview_count(&self, count: Count<'_>) -> Result<bool, HoldError> {
        let met = self.link(count.row()).await?;
        let window = met.as_ref().map(HoldWindow::read).transpose()?.filter(|window| window.until > count.now);
        let mut window = window.unwrap_or_else(|| count.first_window());
        let is_current = window.rule == count.rule() && window.is_counted;
        if window.decision.is_none() && !is_current && window.left < count.demanded() {
            window.bound = self.bound_of_all(count).await?;
            window.left = window.bound - window.count;
        }
        match window.left >= count.demanded() {
            true => Ok(true),
            false => self.pass_bound(count, window).await,
        }
    }

    /// The bound with the share of all in it.
    async fn bound_of_all(&self, count: Count<'_>) -> Result<i64, StoreError> {
        let all = match count.protected {
            Protected::Users => self.user_counts(count.tenant).await?.map_or(0, |counts| counts.total()),
            Protected::Group(id) => self.member_count(count.tenant, id).await?,
        };
        let bound = count.protected.bound(count.protection);
        let share = i64::try_from(all).unwrap_or(i64::MAX / 100).saturating_mul(i64::from(bound.percent)) / 100;
        Ok(share.max(i64::from(bound.floor)))
    }

    /// The windows of a tenant that have not ended, the one of its users first.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn hold_windows(&self, tenant: &TenantName, now: Timestamp) -> Result<Vec<HoldWindow>, StoreError> {
        let rows = self.partition_of(hold_partition(tenant)).await?;
        let windows = rows.iter().map(HoldWindow::read).collect::<Result<Vec<_>, _>>()?;
        let mut windows: Vec<_> = windows.into_iter().filter(|window| window.until > now).collect();
        windows.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(windows)
    }

    /// Decides of windows, and records it in the log, all or nothing; `false` if one of them has ended meanwhile.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails.
    pub async fn decide_hold(
        &self,
        tenant: &TenantName,
        windows: &[HoldWindow],
        decision: HoldDecision,
        by: impl Into<AdminAuthor>,
    ) -> Result<bool, StoreError> {
        let (by, windows) = (by.into(), windows.get(..windows.len().min(MAX_DECIDED_WINDOWS)).unwrap_or_default());
        let kind = match decision {
            HoldDecision::Approve => AdminActionType::HoldApproved,
            HoldDecision::Reject => AdminActionType::HoldRejected,
            HoldDecision::Once(_) => AdminActionType::HoldOnce,
        };
        let counts: Vec<_> = windows.iter().map(window_fields).collect();
        let more = if let HoldDecision::Once(count) = decision { Some(count) } else { None };
        let (before, after) = (json!({"windows": counts}), json!({"decision": decision.as_str(), "count": more}));
        let action = self.record_action(tenant, &by, &AdminAction { kind, id: tenant.as_str(), before, after });
        let decide = |window: &HoldWindow| {
            let write = Write::update(Table::Links, hold_row(tenant, window.group.as_deref().unwrap_or("users")))
                .set("decision", s(decision.as_str()))
                .require(&Condition::equals("until", at(window.until)));
            match decision {
                // What is held after this is held anew.
                HoldDecision::Approve => {
                    write.set("left", n(UNBOUNDED)).set("until", at(window.approved_until(by.at))).remove("held")
                }
                HoldDecision::Reject => write.set("left", n(0)),
                HoldDecision::Once(count) => write.add("left", n(count)).remove("held"),
            }
        };
        let report =
            |window: &HoldWindow| Some(HoldWatch::decide(tenant, window, window.held?, (decision.as_str(), by.at)));
        let reports = windows.iter().filter_map(report);
        let writes: Vec<_> = windows.iter().map(decide).chain(reports).chain([action]).collect();
        match self.commit(&writes, "").await {
            Ok(()) => Ok(true),
            Err(CommitError::Condition(..)) => Ok(false),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

/// A window as the log has it.
fn window_fields(window: &HoldWindow) -> serde_json::Value {
    json!({"group": window.group, "count": window.count, "bound": window.bound, "until": date_time(window.until)})
}

impl Count<'_> {
    fn row(&self) -> Item {
        hold_row(self.tenant.name(), &self.protected.sort())
    }

    fn rule(&self) -> String {
        self.protected.rule(self.protection)
    }

    fn floor(&self) -> i64 {
        i64::from(self.protected.bound(self.protection).floor)
    }

    /// How much must be left.
    fn demanded(&self) -> i64 {
        if self.loss.is_most { UNBOUNDED / 2 } else { self.loss.count }
    }

    /// Counts, if so much is left in the window.
    fn take(&self) -> Write {
        let is_enough = Condition::Compares("left", ">=", n(self.demanded()));
        Write::update(Table::Links, self.row())
            .add("n", n(self.loss.count))
            .add("left", n(-self.loss.count))
            .require(&Condition::greater("until", at(self.now)).and(is_enough))
            .require(&Condition::equals("rule", s(self.rule())).or(Condition::Exists("decision")))
    }

    /// Begins a window where there is none, or where one has ended; and whether the loss is in it.
    fn open(&self, ended: Option<&Item>) -> (Write, bool) {
        let mut window = self.first_window();
        let is_taken = window.left >= self.demanded();
        if is_taken {
            window.count += self.loss.count;
            window.left -= self.loss.count;
        }
        let mut item = self.row();
        item.extend([
            ("n".to_owned(), n(window.count)),
            ("left".to_owned(), n(window.left)),
            ("bound".to_owned(), n(window.bound)),
            ("opened".to_owned(), at(window.opened)),
            ("until".to_owned(), at(window.until)),
            ("rule".to_owned(), s(window.rule)),
            ("ttl".to_owned(), n((window.until + SignedDuration::from_hours(24)).as_second())),
        ]);
        let is_ended = match ended.and_then(|item| item.get("until")) {
            Some(until) => Condition::equals("until", until.clone()),
            None => Condition::Absent("pk"),
        };
        (Write::put(Table::Links, item).require(&is_ended), is_taken)
    }

    fn first_window(&self) -> HoldWindow {
        HoldWindow {
            group: None,
            count: 0,
            bound: self.floor(),
            left: self.floor(),
            opened: self.now,
            until: self.now + length(self.protection),
            decision: None,
            is_counted: false,
            has_warned: false,
            held: None,
            rule: self.rule(),
        }
    }

    /// Follows settings that have changed within the window; the share of all is counted anew.
    fn follow_settings(&self, window: &HoldWindow) -> Write {
        let write = self.set_bound(window, self.floor()).set("rule", s(self.rule())).remove("counted").remove("warned");
        write.require(&Condition::equals("rule", s(&window.rule)))
    }

    /// Has the bound hold the share of all.
    fn raise(&self, window: &HoldWindow, bound: i64) -> Write {
        let write = self.set_bound(window, bound).set("counted", at(self.now));
        write.require(&Condition::equals("rule", s(&window.rule))).require(&Condition::Absent("counted"))
    }

    fn set_bound(&self, window: &HoldWindow, bound: i64) -> Write {
        Write::update(Table::Links, self.row())
            .set("bound", n(bound))
            .add("left", n(bound - window.bound))
            .require(&Condition::equals("until", at(window.until)))
            .require(&Condition::equals("bound", n(window.bound)))
            .require(&Condition::Absent("decision"))
    }

    fn hold(&self, window: HoldWindow) -> Hold {
        let left = window.until.duration_since(self.now).as_secs().max(1);
        Hold {
            tenant: self.tenant.name().clone(),
            window,
            minutes: self.protection.window.0,
            seconds_left: u32::try_from(left).unwrap_or(u32::MAX),
        }
    }
}
