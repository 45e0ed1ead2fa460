//! One user or group of a restore: what is planned, what stands against it, and what comes of it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::{RestorePhase, RestoreRun};
use crate::limits::{MAX_RESTORE_EVENTS, MAX_WRITE_ATTEMPTS, REQUEST_SECONDS};
use crate::scim::Document;
use crate::scim::group::GroupKeys;
use crate::scim::user::UserKeys;
use crate::store::StoreError;
use crate::store::dynamo::item::optional_text;
use crate::store::model::change::Lane;
use crate::store::model::group::Group;
use crate::store::model::history::HistoryEvent;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member::MemberKind;
use crate::store::model::restore::{ConflictReason, PresentState, RestoreConflict, RestorePlan};
use crate::store::model::user::User;
use crate::store::ops::history::{HistoryRange, ResourceHistory};
use crate::store::rows::{job_row, name_row, tombstone_row};

/// What a restore did to one user or group, or would do.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreOutcome {
    /// What it is.
    pub kind: MemberKind,
    /// Its id.
    pub id: String,
    /// Its `userName` or `displayName`.
    pub name: Option<String>,
    /// Whether it was deleted and comes back.
    pub is_revived: bool,
    /// The attributes that change.
    pub attributes: Vec<RestoredAttribute>,
    /// The memberships that change.
    pub memberships: Vec<RestoredMembership>,
    /// What stays as it is, and why.
    pub conflicts: Vec<RestoreConflict>,
}

/// An attribute that a restore changes.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredAttribute {
    /// Its name.
    pub name: String,
    /// Its value before the restore; null for none.
    pub from: Value,
    /// Its value after the restore; null for none.
    pub to: Value,
}

/// A membership that a restore changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredMembership {
    /// The id of the group.
    pub group: String,
    /// Whether it is a member after the restore.
    pub is_member: bool,
}

/// The item that a restore works on.
pub(super) enum Restorable {
    User(Box<User>),
    Group(Box<Group>),
}

/// What became of an attempt.
pub(super) enum StepEnd {
    /// All is done.
    Done,
    /// The time is over, and some is left.
    Partial,
    /// Somebody else was faster: it is planned anew.
    Changed,
}

impl RestoreOutcome {
    fn new(phase: RestorePhase, id: &str) -> Self {
        let kind = if phase == RestorePhase::Users { MemberKind::User } else { MemberKind::Group };
        let (attributes, memberships, conflicts) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind, id: id.to_owned(), name: None, is_revived: false, attributes, memberships, conflicts }
    }

    /// Whether anything changes.
    pub fn is_change(&self) -> bool {
        self.is_revived || !self.attributes.is_empty() || !self.memberships.is_empty()
    }

    fn with_document(mut self, old: Option<&Map<String, Value>>, plan: &RestorePlan) -> Self {
        let label = if self.kind == MemberKind::User { "userName" } else { "displayName" };
        let whole = plan.document.as_ref().or(old);
        self.name = whole.and_then(|document| Some(document.get(label)?.as_str()?.to_owned()));
        self.is_revived = plan.revival.is_some();
        if let (Some(old), Some(new)) = (old, &plan.document) {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let value = |of: &Map<String, Value>, name: &String| of.get(name).cloned().unwrap_or_default();
            let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
            self.attributes = differing
                .map(|name| RestoredAttribute { name: name.clone(), from: value(old, name), to: value(new, name) })
                .collect();
        }
        self
    }

    fn with_memberships(mut self, plan: &RestorePlan) -> Self {
        let membership = |group: &String, is_member| RestoredMembership { group: group.clone(), is_member };
        self.memberships.extend(plan.join.iter().map(|group| membership(group, true)));
        self.memberships.extend(plan.leave.iter().map(|group| membership(group, false)));
        self
    }
}

impl Restorable {
    fn state(&self) -> PresentState {
        let (record, membership) = match self {
            Self::User(user) => (&user.record, &user.membership),
            Self::Group(group) => (&group.record, &group.parents),
        };
        PresentState { document: record.document.attributes().clone(), groups: membership.groups.clone() }
    }
}

impl RestoreRun<'_> {
    /// Restores one user or group, or plans it; `false` if the time was over before all was done. `trigger` is the event by
    /// which the walk came here: only the oldest one counts, so that a resource with many is worked on once.
    pub(super) async fn step(
        &mut self,
        phase: RestorePhase,
        id: &str,
        trigger: Option<&str>,
    ) -> Result<bool, StoreError> {
        self.seen.insert(id.to_owned());
        let history = self.history(phase, id).await?;
        let selection = self.scope.select(&history.events);
        if history.is_cut {
            return Ok(self.report_conflict(phase, id, ConflictReason::TooManyChanges));
        }
        let mut relevant = history.events.iter().zip(&selection);
        let oldest = relevant.rfind(|(event, taken)| **taken && phase.concerns(event));
        if trigger.is_some_and(|trigger| oldest.is_some_and(|(event, _)| event.id != trigger)) {
            return Ok(true);
        }
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let resource = self.read(phase, id).await?;
            let present = resource.as_ref().map(Restorable::state);
            let plan = RestorePlan::new(present.as_ref(), &history.events, &selection);
            let plan = self.of_phase(phase, plan, present.is_some());
            let plan = self.checked(phase, id, (plan, &history.events)).await?;
            let old = present.as_ref().map(|present| &present.document);
            let mut outcome = RestoreOutcome::new(phase, id).with_document(old, &plan);
            outcome.conflicts.clone_from(&plan.conflicts);
            if self.is_plan {
                return Ok(self.report(outcome.with_memberships(&plan)));
            }
            match self.write(id, resource, plan, &mut outcome).await? {
                StepEnd::Changed => {}
                StepEnd::Done => return Ok(self.report(outcome)),
                StepEnd::Partial => return Ok(!self.report(outcome)),
            }
        }
        Ok(self.report_conflict(phase, id, ConflictReason::Busy))
    }

    async fn history(&self, phase: RestorePhase, id: &str) -> Result<ResourceHistory, StoreError> {
        let lane = (phase.lane() == Lane::Groups).then_some(Lane::Groups);
        let (since, now) = (self.scope.since(), self.author.now());
        let range = HistoryRange { since, lane, limit: MAX_RESTORE_EVENTS, now };
        self.store.history_of((self.tenant.name(), id), &self.heads, range).await
    }

    async fn read(&self, phase: RestorePhase, id: &str) -> Result<Option<Restorable>, StoreError> {
        match phase {
            RestorePhase::Users => {
                let Some(id) = UserId::parse(id) else { return Ok(None) };
                Ok(self.store.user(&self.tenant, &id).await?.map(|user| Restorable::User(Box::new(user))))
            }
            RestorePhase::Groups | RestorePhase::Nesting => {
                let Some(id) = GroupId::parse(id) else { return Ok(None) };
                Ok(self.store.group(&self.tenant, &id).await?.map(|group| Restorable::Group(Box::new(group))))
            }
        }
    }

    /// What the phase does of a plan.
    fn of_phase(&self, phase: RestorePhase, plan: RestorePlan, is_there: bool) -> RestorePlan {
        let mut plan = plan;
        match phase {
            RestorePhase::Users => {}
            RestorePhase::Groups => {
                plan.join.clear();
                plan.leave.clear();
                plan.conflicts.retain(|conflict| conflict.group.is_none());
            }
            RestorePhase::Nesting => {
                // Where nothing is written, the group does not come back before its memberships are looked at.
                let will_be_there = self.is_plan && plan.revival.is_some();
                if !is_there && !will_be_there {
                    plan.join.clear();
                }
                (plan.revival, plan.document) = (None, None);
                plan.conflicts.retain(|conflict| conflict.group.is_some());
            }
        }
        plan
    }

    /// The plan without what the store would refuse.
    async fn checked(
        &mut self,
        phase: RestorePhase,
        id: &str,
        (plan, events): (RestorePlan, &[HistoryEvent]),
    ) -> Result<RestorePlan, StoreError> {
        let mut plan = plan;
        let refusal = |reason| RestorePlan { conflicts: vec![RestoreConflict::of(reason)], ..RestorePlan::default() };
        if plan.revival.is_some() && !self.is_swept(id, events).await? {
            return Ok(refusal(ConflictReason::TryLater));
        }
        if let Some(document) = &plan.document {
            match (self.obstacle_of(phase, id, document).await?, plan.revival.is_some()) {
                (None, _) => {}
                (Some(reason), true) => return Ok(refusal(reason)),
                (Some(reason), false) => {
                    plan.document = None;
                    plan.conflicts.push(RestoreConflict::of(reason));
                }
            }
        }
        let named: Vec<String> = plan.join.iter().chain(&plan.leave).cloned().collect();
        if named.is_empty() {
            return Ok(plan);
        }
        let there = self.store.groups(&self.tenant, named).await?;
        let there: BTreeSet<&str> = there.iter().map(|group| group.id.as_str()).collect();
        plan.leave.retain(|group| there.contains(group.as_str()));
        let (join, gone): (Vec<_>, Vec<_>) = plan.join.drain(..).partition(|group| there.contains(group.as_str()));
        plan.join = join;
        for group in gone {
            match self.is_plan && self.comes_back(&group).await? {
                true => plan.join.push(group),
                false => plan.conflicts.push(RestoreConflict::of_group(ConflictReason::GroupGone, &group)),
            }
        }
        Ok(plan)
    }

    /// Whether nothing of a deletion is under way any more: neither the request that deleted, nor the job of the worker.
    async fn is_swept(&self, id: &str, events: &[HistoryEvent]) -> Result<bool, StoreError> {
        let deleted = events.iter().find(|event| event.is_deletion()).map_or(Timestamp::MIN, |event| event.at);
        let longest = SignedDuration::from_secs(i64::try_from(REQUEST_SECONDS).unwrap_or(i64::MAX));
        if self.author.now().duration_since(deleted) < longest {
            return Ok(false);
        }
        let (job, tombstone) = (job_row(&self.tenant, id), tombstone_row(&self.tenant, id));
        Ok(self.store.link(job).await?.is_none() && self.store.link(tombstone).await?.is_none())
    }

    /// What stands against a document: another resource has its name, or it is none that can be stored.
    async fn obstacle_of(
        &self,
        phase: RestorePhase,
        id: &str,
        document: &Map<String, Value>,
    ) -> Result<Option<ConflictReason>, StoreError> {
        let Some(document) = document_of(document) else { return Ok(Some(ConflictReason::Refused)) };
        let is_of_other = if phase == RestorePhase::Users {
            let Ok(keys) = UserKeys::of(&document) else { return Ok(Some(ConflictReason::Refused)) };
            let owner = self.store.user_by_name(&self.tenant, &keys.user_name).await?;
            owner.is_some_and(|owner| owner.id.as_str() != id)
        } else {
            let Ok(keys) = GroupKeys::of(&document) else { return Ok(Some(ConflictReason::Refused)) };
            let row = self.store.link(name_row(&self.tenant, &keys.name)).await?;
            row.is_some_and(|row| optional_text(&row, "g") != Some(id))
        };
        Ok(is_of_other.then_some(ConflictReason::NameTaken))
    }

    /// Whether a group that is gone is among what the restore brings back.
    async fn comes_back(&mut self, group: &str) -> Result<bool, StoreError> {
        if let Some(known) = self.revivals.get(group) {
            return Ok(*known);
        }
        let history = self.history(RestorePhase::Groups, group).await?;
        let selection = self.scope.select(&history.events);
        let is_back = RestorePlan::new(None, &history.events, &selection).revival.is_some();
        self.revivals.insert(group.to_owned(), is_back);
        Ok(is_back)
    }

    fn report(&mut self, outcome: RestoreOutcome) -> bool {
        match outcome.is_change() || !outcome.conflicts.is_empty() {
            true => self.report.outcomes.push(outcome),
            false => self.report.unchanged += 1,
        }
        true
    }

    fn report_conflict(&mut self, phase: RestorePhase, id: &str, reason: ConflictReason) -> bool {
        let conflicts = vec![RestoreConflict::of(reason)];
        self.report(RestoreOutcome { conflicts, ..RestoreOutcome::new(phase, id) })
    }
}

/// A document of its attributes.
pub(super) fn document_of(attributes: &Map<String, Value>) -> Option<Document> {
    Document::from_stored(&Value::Object(attributes.clone()).to_string()).ok()
}
