//! Events: what a change record means to who follows the feed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::change_record::ChangeRecord;
use super::record::{REVIVED, id_set};
use super::signature::{FORMER, Manner, Signature};
use super::tenant::read_config;
use crate::limits::{MAX_EVENT_BYTES, MAX_EVENT_GROUPS};
use crate::scim::deviation::trace::Rule;
use crate::scim::projection::drop_never_returned;
use crate::scim::resource::date_time;
use crate::scim::{Schemas, etag};
use crate::store::dynamo::item::{Item, optional_instant, optional_number, optional_text};
use crate::store::dynamo::tables::Table;

mod difference;

use difference::Difference;

/// Writes [`EventType`] and its table: variant, name, what it means.
macro_rules! event_types {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// What an event says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $(#[doc = $meaning] $variant,)*
        }

        impl EventType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in events and in the parameter `types`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

event_types! {
    UserCreated "user.created" "A user was created.";
    UserUpdated "user.updated" "Attributes of a user changed.";
    UserDeactivated "user.deactivated" "A user's `active` became false, perhaps with other attributes. End its sessions now.";
    UserReactivated "user.reactivated" "A user's `active` became true again, perhaps with other attributes.";
    UserDeleted "user.deleted" "A user was deleted, and with it its memberships. End its sessions now.";
    GroupCreated "group.created" "A group was created. Its members follow as events of their own.";
    GroupUpdated "group.updated" "Attributes of a group changed, but not its members.";
    GroupDeleted "group.deleted" "A group was deleted. The removal of each member follows, with the cause.";
    MemberAdded "group.member_added" "A user, or another group, became a member of a group.";
    MemberRemoved "group.member_removed" "A user, or another group, is no member of a group any more.";
    KeyExpiring "key.expiring" "A key of the tenant expires within 30, 7 or 1 days. Each is one event. Rotate it.";
    TenantSilent "tenant.silent" "No key of the tenant was used for three days, or its `silentAfter`. Look whether provisioning was stopped.";
    TenantFailing "tenant.failing" "More requests of the tenant than its `failingAbove` were refused within an hour. At most once a day. Read the log.";
    TenantHeld "tenant.held" "The protection of the tenant has begun to hold requests, or an operator has rejected them (`decision`). Approve or reject.";
    TenantReleased "tenant.released" "The protection holds nothing any more: an operator has approved, or the window has ended (`decision`).";
    FeedReset "feed.reset" "The order starts again, for example after a restored table. Read the whole state again.";
    FeedGap "feed.gap" "A change could not be read, and is missing. Read the whole state again.";
}

/// Of what the events of a lane are. Each lane is in order by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Lane {
    /// Users, and which groups they are in.
    Users,
    /// Groups, and which groups they are in.
    Groups,
}

impl Lane {
    pub(in crate::store) const ALL: [Self; 2] = [Self::Users, Self::Groups];

    /// The lane of a table.
    pub(in crate::store) fn of(table: Table) -> Self {
        if table == Table::Groups { Self::Groups } else { Self::Users }
    }

    pub(in crate::store) fn letter(self) -> &'static str {
        match self {
            Self::Users => "u",
            Self::Groups => "g",
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::Users => "User",
            Self::Groups => "Group",
        }
    }
}

/// An event that has no place in the feed yet.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) struct Event {
    pub(in crate::store) kind: EventType,
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) fields: Map<String, Value>,
}

/// What events say besides what is in the record: looked up beforehand.
pub(in crate::store) struct EventContext<'s> {
    /// What users and groups are like: what is never returned is in no event.
    pub(in crate::store) schemas: &'s Schemas,
    /// Who deleted a resource, by its id: the rows that deletions leave.
    pub(in crate::store) deletions: HashMap<String, Item>,
    /// Description and automation user of keys, by their ids.
    pub(in crate::store) keys: HashMap<String, Map<String, Value>>,
    /// The names of groups, by their ids.
    pub(in crate::store) groups: BTreeMap<String, String>,
    /// The users who are still there, of those whose item is gone and whose deletion nobody has signed.
    pub(in crate::store) renamed: BTreeSet<String>,
}

/// What a record has to be looked up for.
#[derive(Debug, Default)]
pub(in crate::store) struct Lookup {
    /// Deleted resources.
    pub(in crate::store) deletions: BTreeSet<String>,
    /// Groups whose name the events have.
    pub(in crate::store) groups: BTreeSet<String>,
    /// Keys that signed a record itself.
    pub(in crate::store) keys: BTreeSet<String>,
}

impl Lookup {
    pub(in crate::store) fn add(&mut self, record: &ChangeRecord) {
        match (&record.old, &record.new) {
            (Some(old), None) => self.deletions.extend(optional_text(old, "id").map(str::to_owned)),
            (old, Some(new)) => {
                let (came, went) = moves(old.as_ref(), new);
                self.groups.extend(came.into_iter().chain(went));
                let membership = Signature::of_membership(new);
                self.deletions.extend(membership.deleted_group.clone());
                self.keys.extend(membership.key.into_iter().chain(Signature::of_document(new).key));
            }
            (None, None) => {}
        }
    }
}

impl<'s> EventContext<'s> {
    /// Without anything.
    pub(in crate::store) fn new(schemas: &'s Schemas) -> Self {
        let (deletions, keys) = (HashMap::new(), HashMap::new());
        Self { schemas, deletions, keys, groups: BTreeMap::new(), renamed: BTreeSet::new() }
    }

    /// The keys that signed a deletion.
    pub(in crate::store) fn keys_of_deletions(&self) -> impl Iterator<Item = String> {
        self.deletions.values().filter_map(|row| Signature::of_map(row).key)
    }

    /// Who deleted the very version of an item that is gone.
    fn deletion_of(&self, old: &Item) -> Option<Signature> {
        let row = self.deletions.get(optional_text(old, "id")?)?;
        Signature::of_deletion(row, optional_number(old, "ver")?)
    }

    /// The events of a record; none for a change that alters nothing.
    pub(in crate::store) fn events(&self, lane: Lane, record: &ChangeRecord) -> Vec<Event> {
        let images = record.old.iter().chain(&record.new);
        if images.into_iter().any(|image| self.document(lane, image).is_none() || optional_text(image, "id").is_none())
        {
            return vec![Event { kind: EventType::FeedGap, at: record.at, fields: Map::new() }];
        }
        match (&record.old, &record.new) {
            (None, Some(new)) => self.arrival(lane, record, new),
            (Some(old), Some(new)) => self.change(lane, record, old, new),
            (Some(old), None) => self.departure(lane, record, old).into_iter().collect(),
            (None, None) => Vec::new(),
        }
    }

    /// A new item: a new resource, or a user under another name.
    fn arrival(&self, lane: Lane, record: &ChangeRecord, new: &Item) -> Vec<Event> {
        let is_rename =
            optional_number(new, "ver").is_some_and(|version: u64| version > 1) && !new.contains_key(REVIVED);
        if is_rename && lane == Lane::Users {
            let former = optional_text(new, FORMER).and_then(|text| self.parse_document(lane, text));
            let after = self.document(lane, new).unwrap_or_default();
            let difference = Difference::after_rename(former, &after);
            return vec![self.update_event(lane, record, new, difference)];
        }
        let kind = if lane == Lane::Users { EventType::UserCreated } else { EventType::GroupCreated };
        let mut event = self.event(kind, lane, record, new, &Signature::of_document(new));
        event.fields.insert("data".to_owned(), self.document(lane, new).unwrap_or_default().into());
        std::iter::once(event).chain(self.memberships(lane, record, None, new)).collect()
    }

    fn change(&self, lane: Lane, record: &ChangeRecord, old: &Item, new: &Item) -> Vec<Event> {
        let document = |image| self.document(lane, image).unwrap_or_default();
        let (before, after) = (document(old), document(new));
        let difference = Difference::between(&before, &after);
        let changed = (!difference.changed.is_empty()).then(|| self.update_event(lane, record, new, difference));
        changed.into_iter().chain(self.memberships(lane, record, Some(old), new)).collect()
    }

    fn update_event(&self, lane: Lane, record: &ChangeRecord, new: &Item, difference: Difference) -> Event {
        let kind = match (lane, difference.activation()) {
            (Lane::Groups, _) => EventType::GroupUpdated,
            (Lane::Users, Some(false)) => EventType::UserDeactivated,
            (Lane::Users, Some(true)) => EventType::UserReactivated,
            (Lane::Users, None) => EventType::UserUpdated,
        };
        let mut event = self.event(kind, lane, record, new, &Signature::of_document(new));
        event.fields.insert("changed".to_owned(), difference.changed.into());
        event.fields.insert("before".to_owned(), difference.before.into());
        event.fields.extend(difference.order.map(|order| ("order".to_owned(), json!(order))));
        event.fields.insert("data".to_owned(), difference.after.into());
        event
    }

    /// The end of an item: of a resource, or only of a user's old name.
    fn departure(&self, lane: Lane, record: &ChangeRecord, old: &Item) -> Option<Event> {
        let signature = self.deletion_of(old);
        let id = optional_text(old, "id")?;
        if signature.is_none() && (self.deletions.contains_key(id) || self.renamed.contains(id)) {
            return None;
        }
        let kind = if lane == Lane::Users { EventType::UserDeleted } else { EventType::GroupDeleted };
        let mut event = self.event(kind, lane, record, old, &signature.unwrap_or_default());
        event.fields.insert("before".to_owned(), self.document(lane, old)?.into());
        let created = optional_instant(old, "created").map(|created| ("created".to_owned(), date_time(created).into()));
        event.fields.extend(created);
        let groups = id_set(old, "groupIds");
        if !groups.is_empty() {
            let some: Vec<&String> = groups.iter().take(MAX_EVENT_GROUPS).collect();
            event.fields.insert("groups".to_owned(), json!(some));
        }
        if groups.len() > MAX_EVENT_GROUPS {
            event.fields.insert("groupsTruncated".to_owned(), true.into());
        }
        Some(event)
    }

    fn memberships(&self, lane: Lane, record: &ChangeRecord, old: Option<&Item>, new: &Item) -> Vec<Event> {
        let (came, went) = moves(old, new);
        let came = came.into_iter().map(|group| (EventType::MemberAdded, group));
        let went = went.into_iter().map(|group| (EventType::MemberRemoved, group));
        let signed = Signature::of_membership(new);
        let event = |(kind, group): (EventType, String)| {
            let mut signature = signed.clone();
            let is_swept = signature.deleted_group.as_ref() == Some(&group);
            if let Some(row) = self.deletions.get(&group).filter(|_| is_swept) {
                signature = Signature::of_map(row);
            }
            let is_deletion = signature.manner().is_some_and(Manner::is_group_deletion);
            let mut event = self.event(kind, lane, record, new, &signature);
            if kind == EventType::MemberRemoved && (is_swept || is_deletion) {
                event.fields.insert("cause".to_owned(), json!({"type": "group.deleted", "group": group}));
            }
            let mut of_group = Map::from_iter([("id".to_owned(), Value::from(group.as_str()))]);
            of_group.extend(self.groups.get(&group).map(|name| ("displayName".to_owned(), name.as_str().into())));
            let member = event.fields.remove("resource").unwrap_or_default();
            let mut resource = of_group.clone();
            resource.insert("type".to_owned(), "Group".into());
            event.fields.insert("resource".to_owned(), resource.into());
            event.fields.insert("group".to_owned(), of_group.into());
            let name = if lane == Lane::Users { "user" } else { "memberGroup" };
            event.fields.insert(name.to_owned(), without_version(member));
            event.fields.shift_remove("settings");
            event
        };
        came.chain(went).map(event).collect()
    }

    /// What all events have: of whom, and who did it.
    fn event(&self, kind: EventType, lane: Lane, record: &ChangeRecord, image: &Item, by: &Signature) -> Event {
        let at = by.at.unwrap_or(record.at);
        let mut fields = Map::new();
        let document = self.document(lane, image).unwrap_or_default();
        fields.insert("resource".to_owned(), resource(lane, image, &document).into());
        fields.insert("actor".to_owned(), self.actor(by).into());
        fields.extend(by.request.as_ref().map(|request| ("request".to_owned(), request.as_str().into())));
        fields.extend(by.manner().map(manner_fields).unwrap_or_default());
        if lane == Lane::Users && image.contains_key("settings") {
            let settings = read_config(image).settings;
            let value = json!({"inviteAutomatically": settings.invite_automatically,
                "onDeactivation": settings.on_deactivation.as_str()});
            fields.insert("settings".to_owned(), value);
        }
        Event { kind, at, fields }
    }

    /// The document of an item, without what is never returned.
    fn document(&self, lane: Lane, image: &Item) -> Option<Map<String, Value>> {
        self.parse_document(lane, optional_text(image, "doc")?)
    }

    fn parse_document(&self, lane: Lane, text: &str) -> Option<Map<String, Value>> {
        let mut document = serde_json::from_str(text).ok()?;
        let schema = if lane == Lane::Users { &self.schemas.user } else { &self.schemas.group };
        drop_never_returned(&mut document, schema);
        Some(document)
    }

    fn actor(&self, by: &Signature) -> Map<String, Value> {
        let Some(key) = &by.key else { return Map::new() };
        let mut actor = Map::from_iter([("key".to_owned(), Value::from(key.as_str()))]);
        actor.extend(self.keys.get(key).cloned().unwrap_or_default());
        actor.extend(by.manner().map(|manner| ("client".to_owned(), manner.client.into())));
        actor
    }
}

impl Event {
    /// An event of the feed itself.
    pub(in crate::store) fn of_feed(kind: EventType, at: Timestamp) -> Self {
        Self { kind, at, fields: Map::new() }
    }

    /// The event as the feed answers with it. If it is too long for an item, it leaves out old values, then new ones.
    pub(in crate::store) fn text(mut self, id: &str, tenant: &str) -> String {
        let mut left_out: Vec<Value> = Vec::new();
        for part in ["before", "data", "changed"] {
            let text = self.with_head(id, tenant, &left_out);
            if text.len() <= MAX_EVENT_BYTES {
                return text;
            }
            if self.fields.shift_remove(part).is_some() {
                left_out.push(part.into());
            }
        }
        self.with_head(id, tenant, &left_out)
    }

    fn with_head(&self, id: &str, tenant: &str, left_out: &[Value]) -> String {
        let mut whole = Map::new();
        whole.insert("id".to_owned(), id.into());
        whole.insert("type".to_owned(), self.kind.as_str().into());
        whole.insert("tenant".to_owned(), tenant.into());
        whole.insert("timestamp".to_owned(), date_time(self.at).into());
        whole.extend(self.fields.clone());
        if !left_out.is_empty() {
            whole.insert("truncated".to_owned(), left_out.to_vec().into());
        }
        for (name, value) in [("resource", json!({"type": "Feed", "id": tenant})), ("actor", json!({}))] {
            whole.entry(name).or_insert(value);
        }
        Value::Object(whole).to_string()
    }

    /// The ids of the resources whose history it is part of: for a membership the group's and the member's; for a deletion
    /// the groups', too, which lose a member.
    pub(in crate::store) fn resource_ids(&self) -> Vec<String> {
        let of = ["user", "memberGroup", "resource"].into_iter().filter_map(|name| self.fields.get(name));
        let ids = of.filter_map(|resource| Some(resource.get("id")?.as_str()?.to_owned()));
        let groups = self.fields.get("groups").and_then(Value::as_array).into_iter().flatten();
        ids.chain(groups.filter_map(|id| id.as_str().map(str::to_owned))).collect()
    }
}

/// How something was done: the method or `bulk`, and the rules that the request has needed.
fn manner_fields(manner: Manner<'_>) -> Vec<(String, Value)> {
    let rules: Vec<&str> = manner.rules.iter().map(Rule::as_str).collect();
    let fields = [
        ("how", Some(Value::from(manner.kind()))),
        ("method", manner.method_in_bulk().map(Value::from)),
        ("rules", (!rules.is_empty()).then(|| json!(rules))),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The groups that a member came into, and those that it left.
fn moves(old: Option<&Item>, new: &Item) -> (Vec<String>, Vec<String>) {
    let (before, after) = (old.map(|old| id_set(old, "groupIds")).unwrap_or_default(), id_set(new, "groupIds"));
    // Of a renamed user the new item holds the same groups.
    if old.is_none() {
        return (Vec::new(), Vec::new());
    }
    (after.difference(&before).cloned().collect(), before.difference(&after).cloned().collect())
}

fn resource(lane: Lane, image: &Item, document: &Map<String, Value>) -> Map<String, Value> {
    let name = if lane == Lane::Users { "userName" } else { "displayName" };
    let mut resource = Map::new();
    resource.insert("type".to_owned(), lane.resource().into());
    resource.extend(optional_text(image, "id").map(|id| ("id".to_owned(), id.into())));
    for attribute in ["externalId", name] {
        resource.extend(document.get(attribute).map(|value| (attribute.to_owned(), value.clone())));
    }
    resource.extend(optional_number(image, "ver").map(|version| ("version".to_owned(), etag::weak(version).into())));
    resource
}

/// A member of a group: its version does not change with its memberships.
fn without_version(resource: Value) -> Value {
    match resource {
        Value::Object(mut resource) => {
            resource.shift_remove("version");
            resource.shift_remove("type");
            resource.into()
        }
        other => other,
    }
}
