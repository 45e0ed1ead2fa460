//! What a restore undoes of one user or group: the events it takes back, and what the resource becomes. An attribute or
//! a membership that somebody else has changed since stays as it is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::history::{Deletion, Effect, HistoryEvent, arrange, reset};

/// What a restore undoes, in milliseconds since 1970 where it is a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreScope {
    /// Of these users what happened since a time; without one, the last time that each lost access.
    #[serde(rename = "u")]
    Users {
        /// The ids of the users.
        ids: Vec<String>,
        /// Since when.
        since: Option<i64>,
    },
    /// What a key did.
    #[serde(rename = "k")]
    Key {
        /// The id of the key.
        key: String,
        /// Since when.
        since: i64,
        /// Until when.
        until: i64,
    },
    /// What was withdrawn in windows of the protection.
    #[serde(rename = "h")]
    Hold {
        /// The windows.
        spans: Vec<HoldSpan>,
    },
}

/// A window of the protection, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldSpan {
    /// The group; none for the window of the users.
    pub group: Option<String>,
    /// Its beginning.
    pub from: i64,
    /// Its end.
    pub until: i64,
}

impl RestoreScope {
    /// The time of the oldest event that can be in it; none where all that is kept can be.
    pub(in crate::store) fn since(&self) -> Option<Timestamp> {
        let since = match self {
            Self::Users { since, .. } => *since,
            Self::Key { since, .. } => Some(*since),
            Self::Hold { spans } => spans.iter().map(|span| span.from).min(),
        };
        since.and_then(|since| Timestamp::from_millisecond(since).ok())
    }

    /// Which of a resource's events are undone; these are the newest first, and so is the answer.
    pub(in crate::store) fn select(&self, events: &[HistoryEvent]) -> Vec<bool> {
        if let Self::Users { since: None, .. } = self {
            let last = events.iter().position(|event| !event.is_restore && is_withdrawal(event));
            return (0..events.len()).map(|index| Some(index) == last).collect();
        }
        let mut selection: Vec<bool> = events.iter().map(|event| self.takes(event)).collect();
        if let Self::Hold { spans } = self {
            // Who was deactivated in the window and then deleted lost access once, and is to have it again.
            let is_deactivation = |index: &usize| {
                let is_it = events.get(*index).is_some_and(|event| event.kind == "user.deactivated");
                is_it && selection.get(*index) == Some(&true)
            };
            let oldest = (0..events.len()).rev().find(is_deactivation);
            for (index, event) in events.iter().enumerate().take(oldest.unwrap_or(0)) {
                let is_in_window = spans.iter().any(|span| span.group.is_none() && span.covers(event.at));
                if let (Effect::Deleted(_), true, Some(taken)) = (&event.effect, is_in_window, selection.get_mut(index))
                {
                    *taken = true;
                }
            }
        }
        selection
    }

    /// Whether an event is undone, whatever else has happened.
    pub(in crate::store) fn takes(&self, event: &HistoryEvent) -> bool {
        let at = event.at.as_millisecond();
        let is_in_scope = match self {
            Self::Users { since, .. } => since.is_none_or(|since| at >= since),
            Self::Key { key, since, until } => event.key.as_ref() == Some(key) && (*since..=*until).contains(&at),
            Self::Hold { spans } => spans.iter().any(|span| span.takes(event)),
        };
        is_in_scope && !event.is_restore
    }
}

impl HoldSpan {
    fn covers(&self, at: Timestamp) -> bool {
        (self.from..=self.until).contains(&at.as_millisecond())
    }

    /// Whether the protection has counted an event in the window.
    fn takes(&self, event: &HistoryEvent) -> bool {
        let is_counted = match (&self.group, &event.effect) {
            (None, Effect::Deleted(deletion)) => event.kind == "user.deleted" && !deletion.is_of_inactive(),
            (None, _) => event.kind == "user.deactivated",
            (Some(group), Effect::Left(left)) => group == left && !event.has_cause,
            (Some(_), _) => false,
        };
        is_counted && self.covers(event.at)
    }
}

fn is_withdrawal(event: &HistoryEvent) -> bool {
    event.kind == "user.deactivated" || matches!(event.effect, Effect::Deleted(_))
}

/// What stands against a part of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreConflict {
    /// What it is.
    pub reason: ConflictReason,
    /// The attribute, if it is one.
    pub attribute: Option<String>,
    /// The group, if it is a membership.
    pub group: Option<String>,
}

/// Writes [`ConflictReason`] and its table: variant, name, what to do.
macro_rules! conflict_reasons {
    ($($variant:ident $name:literal $detail:literal;)*) => {
        /// Why a part of a restore is not done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ConflictReason {
            $(#[doc = $detail] $variant,)*
        }

        impl ConflictReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in answers.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it means and what to do.
            pub fn detail(self) -> &'static str {
                match self { $(Self::$variant => $detail),* }
            }
        }
    };
}

conflict_reasons! {
    ChangedSince "changed-since" "it was changed again since; compare the history, then change it yourself";
    DeletedSince "deleted-since" "somebody else deleted it; restore it by its id";
    CreatedSince "created-since" "it was created by what is undone; a restore deletes nothing, so delete it yourself";
    NameTaken "name-taken" "the name belongs to another resource now; rename that one, then restore again";
    GroupGone "group-gone" "the group is deleted; restore the group first, then restore again";
    TryLater "try-later" "Rollcall still carries out the deletion; restore again in two minutes";
    NotKept "not-kept" "the log does not have the old values; they were too long for an event";
    NotFound "not-found" "nothing is known of it, or its events have ended; look for it in the log";
    TooManyChanges "too-many-changes" "it changed too often since; restore with a later time";
    Refused "refused" "the store refused the change, such as a member in too many groups; compare the limits";
    Busy "busy" "other requests keep changing it; restore again";
}

impl RestoreConflict {
    pub(in crate::store) fn of(reason: ConflictReason) -> Self {
        Self { reason, attribute: None, group: None }
    }

    pub(in crate::store) fn of_group(reason: ConflictReason, group: &str) -> Self {
        Self { group: Some(group.to_owned()), ..Self::of(reason) }
    }

    pub(in crate::store) fn of_attribute(reason: ConflictReason, attribute: &str) -> Self {
        Self { attribute: Some(attribute.to_owned()), ..Self::of(reason) }
    }
}

/// A user or group as it is.
#[derive(Debug, Clone)]
pub(in crate::store) struct PresentState {
    pub(in crate::store) document: Map<String, Value>,
    pub(in crate::store) groups: BTreeSet<String>,
}

/// What a restore does to one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::store) struct RestorePlan {
    /// The deletion that is undone.
    pub(in crate::store) revival: Option<Deletion>,
    /// The document that it becomes, if it changes.
    pub(in crate::store) document: Option<Map<String, Value>>,
    /// The groups that it joins.
    pub(in crate::store) join: Vec<String>,
    /// The groups that it leaves.
    pub(in crate::store) leave: Vec<String>,
    pub(in crate::store) conflicts: Vec<RestoreConflict>,
}

impl RestorePlan {
    /// Plans the undoing of the selected ones of a resource's events, which are the newest first.
    pub(in crate::store) fn new(present: Option<&PresentState>, events: &[HistoryEvent], selection: &[bool]) -> Self {
        let selected = || events.iter().zip(selection).filter(|(_, taken)| **taken).map(|(event, _)| event);
        let conflict = |reason| Self { conflicts: vec![RestoreConflict::of(reason)], ..Self::default() };
        if selected().any(|event| event.effect == Effect::Created) {
            return if present.is_some() { conflict(ConflictReason::CreatedSince) } else { Self::default() };
        }
        let mut plan = Self::default();
        let (old, groups) = match present {
            Some(present) => (present.document.clone(), present.groups.clone()),
            None => {
                let is_deletion = |(event, _): &(&HistoryEvent, &bool)| matches!(event.effect, Effect::Deleted(_));
                let Some((HistoryEvent { effect: Effect::Deleted(deletion), .. }, is_selected)) =
                    events.iter().zip(selection).find(is_deletion)
                else {
                    return conflict(ConflictReason::NotFound);
                };
                let Some(document) = deletion.document.clone() else { return conflict(ConflictReason::NotKept) };
                if !is_selected {
                    return conflict(ConflictReason::DeletedSince);
                }
                plan.revival = Some((**deletion).clone());
                (document, BTreeSet::new())
            }
        };
        if selected().any(|event| event.effect == Effect::Unknown) {
            plan.conflicts.push(RestoreConflict::of(ConflictReason::NotKept));
        }
        let document = plan.plan_document(&old, events, selection);
        plan.document = (document != old || plan.revival.is_some()).then_some(document);
        plan.plan_memberships(&groups, events, selection);
        plan
    }

    fn plan_document(
        &mut self,
        old: &Map<String, Value>,
        events: &[HistoryEvent],
        selection: &[bool],
    ) -> Map<String, Value> {
        let (mut names, mut orders) = (BTreeSet::new(), Vec::new());
        for (event, _) in events.iter().zip(selection).filter(|(_, taken)| **taken) {
            if let Effect::Changed { after, order, .. } = &event.effect {
                names.extend(after.keys());
                orders.push(order);
            }
        }
        let mut document = old.clone();
        for name in names {
            let touches = events.iter().zip(selection).filter_map(|(event, taken)| match &event.effect {
                Effect::Changed { before, after, .. } if after.contains_key(name) => Some(Touch {
                    is_selected: *taken,
                    is_restore: event.is_restore,
                    before: before.get(name),
                    after: after.get(name).filter(|value| !value.is_null()),
                }),
                _ => None,
            });
            match Decision::of(old.get(name), touches) {
                Decision::Keep => {}
                Decision::Set(value) => reset(&mut document, name, value),
                Decision::Conflict => {
                    self.conflicts.push(RestoreConflict::of_attribute(ConflictReason::ChangedSince, name));
                }
            }
        }
        orders.into_iter().for_each(|order| arrange(&mut document, order));
        document
    }

    fn plan_memberships(&mut self, groups: &BTreeSet<String>, events: &[HistoryEvent], selection: &[bool]) {
        let mut names = BTreeSet::new();
        for (event, _) in events.iter().zip(selection).filter(|(_, taken)| **taken) {
            match &event.effect {
                Effect::Joined(group) | Effect::Left(group) => drop(names.insert(group)),
                Effect::Deleted(deletion) => names.extend(&deletion.groups),
                _ => {}
            }
        }
        for group in names {
            let touches = events.iter().zip(selection).filter_map(|(event, taken)| {
                let before = match &event.effect {
                    Effect::Joined(of) => (of == group).then_some(false),
                    Effect::Left(of) => (of == group).then_some(true),
                    Effect::Deleted(deletion) => deletion.groups.contains(group).then_some(true),
                    _ => None,
                }?;
                Some(Touch { is_selected: *taken, is_restore: event.is_restore, before, after: !before })
            });
            match Decision::of(groups.contains(group), touches) {
                Decision::Keep => {}
                Decision::Set(true) => self.join.push(group.clone()),
                Decision::Set(false) => self.leave.push(group.clone()),
                Decision::Conflict => {
                    self.conflicts.push(RestoreConflict::of_group(ConflictReason::ChangedSince, group));
                }
            }
        }
    }
}

/// A change of one attribute or membership.
struct Touch<T> {
    is_selected: bool,
    is_restore: bool,
    before: T,
    after: T,
}

/// What becomes of one attribute or membership.
enum Decision<T> {
    Keep,
    Set(T),
    Conflict,
}

impl<T: PartialEq + Copy> Decision<T> {
    /// From what it is now and what has touched it, the newest first. The changes that are undone are those up to the
    /// first one of somebody else, for that one has replaced what was before. A restore counts as nobody else: what it
    /// has done already is as it is to be.
    fn of(now: T, touches: impl Iterator<Item = Touch<T>>) -> Self {
        let (mut is_blocked, mut newest, mut target) = (false, None, None);
        for touch in touches.filter(|touch| !touch.is_restore) {
            match (touch.is_selected, target.is_some()) {
                (true, _) => {
                    newest = newest.or(Some(touch.after));
                    target = Some(touch.before);
                }
                (false, false) => is_blocked = true,
                (false, true) => break,
            }
        }
        match target {
            None => Self::Keep,
            Some(target) if target == now => Self::Keep,
            Some(_) if is_blocked || newest != Some(now) => Self::Conflict,
            Some(target) => Self::Set(target),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn event(key: &str, effect: Effect) -> HistoryEvent {
        let (kind, at) = (String::new(), Timestamp::from_second(10).unwrap());
        let is_restore = key == "restore";
        HistoryEvent {
            id: String::new(),
            kind,
            at,
            key: Some(key.to_owned()),
            request: None,
            is_restore,
            has_cause: false,
            effect,
        }
    }

    fn change(key: &str, before: Value, after: Value) -> HistoryEvent {
        event(key, Effect::Changed { before: map(before), after: map(after), order: Vec::new() })
    }

    fn present(document: Value, groups: &[&str]) -> PresentState {
        PresentState { document: map(document), groups: groups.iter().map(|group| (*group).to_owned()).collect() }
    }

    fn plan(present: Option<&PresentState>, events: &[HistoryEvent]) -> RestorePlan {
        let scope = RestoreScope::Key { key: "k".to_owned(), since: 0, until: i64::MAX };
        RestorePlan::new(present, events, &scope.select(events))
    }

    fn reasons(plan: &RestorePlan) -> Vec<ConflictReason> {
        plan.conflicts.iter().map(|conflict| conflict.reason).collect()
    }

    #[test]
    fn what_one_key_did_is_undone_up_to_what_somebody_else_did() {
        let now = present(json!({"a": 3, "active": false}), &[]);
        let events = [
            change("k", json!({"a": 2}), json!({"a": 3})),
            change("k", json!({}), json!({"active": false})),
            change("other", json!({"a": 1}), json!({"a": 2})),
            change("k", json!({"a": 0}), json!({"a": 1})),
        ];
        let undone = plan(Some(&now), &events);
        assert_eq!(undone.document, Some(map(json!({"a": 2}))));
        assert!(undone.conflicts.is_empty());
    }

    #[test]
    fn what_somebody_else_changed_since_is_a_conflict_unless_it_is_as_it_was() {
        let events = [
            change("other", json!({"a": 1}), json!({"a": 2})),
            change("k", json!({"a": 0, "b": 0}), json!({"a": 1, "b": 1})),
        ];
        let undone = plan(Some(&present(json!({"a": 2, "b": 1}), &[])), &events);
        assert_eq!(undone.document, Some(map(json!({"a": 2, "b": 0}))));
        assert_eq!(undone.conflicts[0].attribute.as_deref(), Some("a"));
        assert_eq!(reasons(&undone), [ConflictReason::ChangedSince]);
        // A change that is not in the log yet is one, too.
        let unseen = plan(Some(&present(json!({"a": 9, "b": 1}), &[])), &events[1..]);
        assert_eq!(reasons(&unseen), [ConflictReason::ChangedSince]);
        let same = plan(Some(&present(json!({"a": 0, "b": 0}), &[])), &events);
        assert_eq!(same, RestorePlan::default());
    }

    #[test]
    fn a_restore_that_runs_again_changes_nothing() {
        let events =
            [change("restore", json!({"a": 1}), json!({"a": 0})), change("k", json!({"a": 0}), json!({"a": 1}))];
        assert_eq!(plan(Some(&present(json!({"a": 0}), &[])), &events), RestorePlan::default());
        let again = [&[change("k", json!({"a": 0}), json!({"a": 1}))], &events[..]].concat();
        assert_eq!(plan(Some(&present(json!({"a": 1}), &[])), &again).document, Some(map(json!({"a": 0}))));
    }

    #[test]
    fn a_deleted_one_comes_back_with_its_groups_and_half_of_it_is_completed() {
        let deletion = Deletion {
            document: Some(map(json!({"userName": "bob", "active": false}))),
            groups: ["g", "h"].map(str::to_owned).into(),
            version: 3,
            created: None,
        };
        let deactivation = change("k", json!({"active": true}), json!({"active": false}));
        let events = [event("k", Effect::Deleted(Box::new(deletion.clone()))), deactivation];
        let whole = plan(None, &events);
        assert_eq!(whole.document, Some(map(json!({"userName": "bob", "active": true}))));
        assert_eq!((whole.join.len(), whole.revival.is_some()), (2, true));
        let half = plan(Some(&present(json!({"userName": "bob", "active": true}), &["g"])), &events);
        assert_eq!((half.join, half.document, half.revival), (vec!["h".to_owned()], None, None));
        let by_other = [event("other", Effect::Deleted(Box::new(deletion.clone())))];
        assert_eq!(reasons(&plan(None, &by_other)), [ConflictReason::DeletedSince]);
        let long = Deletion { document: None, ..deletion };
        assert_eq!(reasons(&plan(None, &[event("k", Effect::Deleted(Box::new(long)))])), [ConflictReason::NotKept]);
        assert_eq!(reasons(&plan(None, &[])), [ConflictReason::NotFound]);
    }

    #[test]
    fn who_was_created_is_kept_and_who_joined_leaves() {
        let now = present(json!({"userName": "bob"}), &["g"]);
        assert_eq!(reasons(&plan(Some(&now), &[event("k", Effect::Created)])), [ConflictReason::CreatedSince]);
        let joined = plan(Some(&now), &[event("k", Effect::Joined("g".into()))]);
        assert_eq!((joined.leave, joined.join.len()), (vec!["g".to_owned()], 0));
    }

    #[test]
    fn a_hold_takes_what_its_windows_counted() {
        let span = |group: Option<&str>| HoldSpan { group: group.map(str::to_owned), from: 0, until: 20_000 };
        let scope = RestoreScope::Hold { spans: vec![span(None), span(Some("g"))] };
        let typed = |kind: &str, effect| HistoryEvent { kind: kind.to_owned(), ..event("k", effect) };
        let off = || change("k", json!({}), json!({"active": false})).effect;
        let deleted = |active: bool| {
            let document = Some(map(json!({"active": active})));
            Effect::Deleted(Box::new(Deletion { document, groups: BTreeSet::new(), version: 1, created: None }))
        };
        let events = [
            typed("user.deleted", deleted(false)),
            typed("user.updated", off()),
            typed("user.deactivated", off()),
            typed("group.member_removed", Effect::Left("h".into())),
            typed("group.member_removed", Effect::Left("g".into())),
        ];
        assert_eq!(scope.select(&events), [true, false, true, false, true]);
        assert_eq!(scope.select(&events[..2]), [false, false], "who had no access loses none");
        assert_eq!(scope.select(&[typed("user.deleted", deleted(true))]), [true]);
        let late = HistoryEvent { at: Timestamp::from_second(30).unwrap(), ..events[2].clone() };
        assert_eq!(scope.select(&[late]), [false]);
    }
}
