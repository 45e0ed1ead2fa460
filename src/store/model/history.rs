//! What the events of one user or group say of how it was before: for its state at a time, and to undo some of them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::member::{MemberKind, Members};
use crate::scim::etag;

/// The manner of events that a restore has written.
const RESTORE: &str = "restore";

/// An event of the history of one resource.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct HistoryEvent {
    pub(in crate::store) id: String,
    /// The type, such as `user.deleted`.
    pub(in crate::store) kind: String,
    pub(in crate::store) at: Timestamp,
    /// The key that did it.
    pub(in crate::store) key: Option<String>,
    /// The request that did it.
    pub(in crate::store) request: Option<String>,
    /// Whether a restore did it.
    pub(in crate::store) is_restore: bool,
    /// Whether it follows from something else, such as the deletion of a group.
    pub(in crate::store) has_cause: bool,
    pub(in crate::store) effect: Effect,
}

/// What an event did to the resource whose history it is in.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Effect {
    Created,
    /// Attributes as they were, and as they became: null for those that ended.
    Changed {
        before: Map<String, Value>,
        after: Map<String, Value>,
        /// The names of all attributes in their old order, where the change has altered it.
        order: Vec<String>,
    },
    Deleted(Box<Deletion>),
    /// It became a member of that group.
    Joined(String),
    /// It is no member of that group any more.
    Left(String),
    /// Somebody became its member.
    MemberJoined(String, MemberKind),
    /// Somebody is no member of it any more.
    MemberLeft(String, MemberKind),
    /// Attributes changed, and nobody knows how they were: they were too long for an event.
    Unknown,
}

/// A resource as it was when it was deleted.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Deletion {
    /// None if it was too long for an event.
    pub(in crate::store) document: Option<Map<String, Value>>,
    /// The groups that it was in.
    pub(in crate::store) groups: BTreeSet<String>,
    pub(in crate::store) version: u64,
    pub(in crate::store) created: Option<Timestamp>,
}

impl HistoryEvent {
    /// Reads an event of the feed as part of the history of a resource; none if it says nothing of it.
    pub(in crate::store) fn parse(event: &Value, id: &str) -> Option<Self> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        let owned = |pointer: &str| text(pointer).map(str::to_owned);
        Some(Self {
            id: owned("/id")?,
            kind: owned("/type")?,
            at: text("/timestamp")?.parse().ok()?,
            key: owned("/actor/key"),
            request: owned("/request"),
            is_restore: text("/how") == Some(RESTORE),
            has_cause: event.get("cause").is_some(),
            effect: Effect::parse(event, id)?,
        })
    }

    /// Whether it changed the document.
    pub(in crate::store) fn is_of_document(&self) -> bool {
        matches!(self.effect, Effect::Created | Effect::Changed { .. } | Effect::Deleted(_) | Effect::Unknown)
    }

    /// Whether it is the end of the resource.
    pub(in crate::store) fn is_deletion(&self) -> bool {
        matches!(self.effect, Effect::Deleted(_))
    }

    /// Whether it changed which groups the resource is in.
    pub(in crate::store) fn is_of_membership(&self) -> bool {
        matches!(self.effect, Effect::Joined(_) | Effect::Left(_))
    }
}

/// The member that an event is of: its id, and what it is.
pub(in crate::store) fn member_of(event: &Value) -> Option<(&str, MemberKind)> {
    let id = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let user = id("/user/id").map(|id| (id, MemberKind::User));
    user.or_else(|| id("/memberGroup/id").map(|id| (id, MemberKind::Group)))
}

impl Effect {
    fn parse(event: &Value, id: &str) -> Option<Self> {
        let resource = event.pointer("/resource/id")?.as_str()?;
        let is_own = resource == id;
        let what = event.get("type")?.as_str()?.split_once('.')?.1;
        if let "member_added" | "member_removed" = what {
            let (member, kind) = member_of(event)?;
            return Some(match (what == "member_added", member == id) {
                (true, true) => Self::Joined(resource.to_owned()),
                (false, true) => Self::Left(resource.to_owned()),
                (true, false) if is_own => Self::MemberJoined(member.to_owned(), kind),
                (false, false) if is_own => Self::MemberLeft(member.to_owned(), kind),
                _ => return None,
            });
        }
        match (what, is_own) {
            ("created", true) => Some(Self::Created),
            ("updated" | "deactivated" | "reactivated", true) => Some(Self::changed(event)),
            ("deleted", true) => Some(Self::Deleted(Box::new(Deletion::parse(event)))),
            // A member was deleted, and with it its place in the group.
            ("deleted", false) if groups(event).contains(id) => {
                let is_user = event.pointer("/resource/type").is_some_and(|kind| kind == "User");
                let kind = if is_user { MemberKind::User } else { MemberKind::Group };
                Some(Self::MemberLeft(resource.to_owned(), kind))
            }
            _ => None,
        }
    }

    fn changed(event: &Value) -> Self {
        let map = |name: &str| event.get(name).and_then(Value::as_object).cloned();
        let (Some(before), Some(after)) = (map("before"), map("data")) else { return Self::Unknown };
        // Of a rename whose old values were too long, the event has the whole resource as if all of it were new.
        let is_whole = after.contains_key("userName") && !before.contains_key("userName");
        let order = event.get("order").and_then(Value::as_array).into_iter().flatten();
        let order = order.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        if is_whole { Self::Unknown } else { Self::Changed { before, after, order } }
    }
}

impl Deletion {
    fn parse(event: &Value) -> Self {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        Self {
            document: event.get("before").and_then(Value::as_object).cloned(),
            groups: groups(event),
            version: text("/resource/version").and_then(etag::version_of).unwrap_or(1),
            created: text("/created").and_then(|created| created.parse().ok()),
        }
    }

    /// Whether it was the deletion of a user without access.
    pub(in crate::store) fn is_of_inactive(&self) -> bool {
        self.document.as_ref().and_then(|document| document.get("active")).is_some_and(|active| active == false)
    }
}

fn groups(event: &Value) -> BTreeSet<String> {
    let ids = event.get("groups").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

/// A user or group on its way back in time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::store) struct PastState {
    /// None where it is not there.
    pub(in crate::store) document: Option<Map<String, Value>>,
    /// The groups that it is in.
    pub(in crate::store) groups: BTreeSet<String>,
    /// Of a group.
    pub(in crate::store) members: Members,
    /// Whether something of it is not known.
    pub(in crate::store) has_gap: bool,
}

impl PastState {
    /// As it was before an event. What the event did not do already is no harm: it sets what was.
    pub(in crate::store) fn undo(&mut self, event: &HistoryEvent) {
        match &event.effect {
            Effect::Created => self.document = None,
            Effect::Changed { before, after, order } => {
                let document = self.document.get_or_insert_default();
                after.keys().for_each(|name| reset(document, name, before.get(name)));
                arrange(document, order);
            }
            Effect::Deleted(deletion) => {
                self.has_gap |= deletion.document.is_none();
                self.document = Some(deletion.document.clone().unwrap_or_default());
                self.groups.extend(deletion.groups.iter().cloned());
            }
            Effect::Joined(group) => drop(self.groups.remove(group)),
            Effect::Left(group) => drop(self.groups.insert(group.clone())),
            Effect::MemberJoined(id, _) => drop(self.members.remove(id)),
            Effect::MemberLeft(id, kind) => drop(self.members.insert(id.clone(), *kind)),
            Effect::Unknown => self.has_gap = true,
        }
    }
}

/// Gives an attribute a value in its place, or ends it.
pub(in crate::store) fn reset(document: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    match value {
        Some(value) => drop(document.insert(name.to_owned(), value.clone())),
        None => drop(document.shift_remove(name)),
    }
}

/// Brings the attributes into an order; those that it does not name follow.
pub(in crate::store) fn arrange(document: &mut Map<String, Value>, order: &[String]) {
    let first: Vec<_> = order.iter().filter_map(|name| document.shift_remove_entry(name)).collect();
    let rest = std::mem::take(document);
    *document = first.into_iter().chain(rest).collect();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, rest: Value) -> Value {
        let mut event = json!({"id": "e", "type": kind, "timestamp": "2027-01-31T12:00:00.000Z",
            "resource": {"type": "User", "id": "u", "version": "W/\"7\""}, "actor": {"key": "k"}});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    }

    fn effect(event: &Value, id: &str) -> Option<Effect> {
        HistoryEvent::parse(event, id).map(|event| event.effect)
    }

    #[test]
    fn an_event_says_something_of_the_resource_the_group_and_the_member() {
        let join = event(
            "group.member_added",
            json!({"resource": {"type": "Group", "id": "g"}, "user": {"id": "u"}, "group": {"id": "g"}}),
        );
        assert_eq!(effect(&join, "u"), Some(Effect::Joined("g".into())));
        assert_eq!(effect(&join, "g"), Some(Effect::MemberJoined("u".into(), MemberKind::User)));
        assert_eq!(effect(&join, "x"), None);
        let end = event("user.deleted", json!({"before": {"userName": "bob", "active": false}, "groups": ["g"]}));
        let Some(Effect::Deleted(deletion)) = effect(&end, "u") else { panic!() };
        assert_eq!((deletion.version, deletion.is_of_inactive(), deletion.groups.len()), (7, true, 1));
        assert_eq!(effect(&end, "g"), Some(Effect::MemberLeft("u".into(), MemberKind::User)));
        assert_eq!(effect(&event("feed.gap", json!({})), "u"), None);
    }

    #[test]
    fn old_values_that_are_not_in_the_event_are_unknown() {
        let long = event("user.updated", json!({"data": {"title": "x"}, "truncated": ["before"]}));
        assert_eq!(effect(&long, "u"), Some(Effect::Unknown));
        let rename = event("user.updated", json!({"before": {}, "data": {"userName": "eve", "title": "x"}}));
        assert_eq!(effect(&rename, "u"), Some(Effect::Unknown));
        let mut state = PastState::default();
        state.undo(&HistoryEvent::parse(&long, "u").unwrap());
        assert!(state.has_gap);
    }

    #[test]
    fn undone_from_the_newest_on_events_lead_back_to_the_beginning() {
        let all = [
            event("user.deleted", json!({"before": {"userName": "bob", "active": false, "title": "x"}, "groups": []})),
            event("group.member_removed", json!({"resource": {"id": "g"}, "user": {"id": "u"}})),
            event("user.deactivated", json!({"before": {}, "data": {"active": false}})),
            event(
                "user.updated",
                json!({"before": {"nick": "b"}, "data": {"nick": null, "title": "x"}, "order": ["nick", "userName"]}),
            ),
            event("group.member_added", json!({"resource": {"id": "g"}, "user": {"id": "u"}})),
            event("user.created", json!({"data": {"userName": "bob", "nick": "b"}})),
        ];
        let mut state = PastState::default();
        let mut states = Vec::new();
        for event in &all {
            state.undo(&HistoryEvent::parse(event, "u").unwrap());
            states.push((state.document.clone().map(Value::from), state.groups.len()));
        }
        let there = |document: Value, groups| (Some(document), groups);
        assert_eq!(states[0], there(json!({"userName": "bob", "active": false, "title": "x"}), 0));
        assert_eq!(states[1].1, 1);
        assert_eq!(states[2], there(json!({"userName": "bob", "title": "x"}), 1));
        assert_eq!(states[3], there(json!({"userName": "bob", "nick": "b"}), 1));
        assert_eq!(states[3].0.as_ref().unwrap().to_string(), "{\"nick\":\"b\",\"userName\":\"bob\"}");
        assert_eq!(states[4].1, 0);
        assert_eq!(states[5], (None, 0));
        assert!(!state.has_gap);
    }
}
