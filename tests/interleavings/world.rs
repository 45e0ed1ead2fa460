//! The group of one schedule, and what each operation does with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use rollcall::limits::BATCH_LEASE_SECONDS;
use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::model::{Act, Event, Model, Name, Seen};
use super::people::Person;
use super::scheduler::{Gate, LostRaces, THREAD, Thread};
use super::state::Names;
use super::{MANY, Operation, PART};
use crate::support::{Harness, ScimResponse, encode, patch};

use Operation::*;

/// A group with the member `old`, and with all of the many if they are to leave, for one schedule.
#[derive(Clone)]
pub(super) struct World {
    pub(super) harness: Harness,
    pub(super) gate: Arc<Gate>,
    pub(super) group: String,
    pub(super) name: String,
    pub(super) people: Arc<BTreeMap<Name, Person>>,
    pub(super) many: Arc<Vec<Person>>,
    pub(super) clock: Arc<AtomicUsize>,
    pub(super) first_tag: String,
}

/// Whose clock is so far ahead that each lease of another thread has passed.
#[derive(Debug, Default)]
pub(super) struct Ahead(AtomicUsize);

impl Ahead {
    pub(super) fn set(&self, thread: Option<usize>) {
        self.0.store(thread.map_or(0, |thread| thread + 1), Ordering::SeqCst);
    }

    pub(super) fn is(&self, thread: usize) -> bool {
        self.0.load(Ordering::SeqCst) == thread + 1
    }
}

/// Each thread has a clock that stands still, a second before the next one's, and what is no thread's another second
/// before: what a schedule means does not depend on how fast it runs. One thread's clock may be ahead.
pub(super) fn clock(now: Timestamp, ahead: Arc<Ahead>) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    Arc::new(move || {
        let Some(thread) = Thread::current() else { return now };
        let lead = if ahead.is(thread) { 2 * BATCH_LEASE_SECONDS } else { 0 };
        now + SignedDuration::from_secs(i64::try_from(thread).unwrap() + 1 + lead)
    })
}

pub(super) type Log = Arc<std::sync::Mutex<Vec<Event>>>;

impl World {
    pub(super) fn with_many(self, has_many: bool) -> Self {
        if has_many {
            self.clock.store(HAS_MANY, Ordering::SeqCst);
        }
        self
    }

    /// The group before the first operation.
    pub(super) fn start(&self) -> Model {
        let mut model = Model { users: self.people.keys().copied().chain([MANY]).collect(), ..Model::default() };
        model.members.insert("old");
        if self.clock.load(Ordering::SeqCst) >= HAS_MANY {
            model.members.insert(MANY);
        }
        model.tags.insert(self.first_tag.clone(), 0);
        model
    }

    /// What ids are called in a schedule.
    pub(super) fn id_names(&self) -> Names {
        let many = self
            .many
            .iter()
            .enumerate()
            .flat_map(|(at, person)| person.texts().map(|text| (text, format!("<many {at}>"))));
        Names { shared: self.shared(), others: many.chain([(self.name.clone(), "<name>".to_owned())]).collect() }
    }

    /// The ids and user names that operations share.
    fn shared(&self) -> BTreeMap<String, String> {
        let people =
            self.people.iter().flat_map(|(name, person)| person.texts().map(|text| (text, format!("<{name}>"))));
        // As users have it.
        let bytes = BASE64.encode(uuid::Uuid::parse_str(&self.group).unwrap());
        let group = [(self.group.clone(), "<group>".to_owned()), (bytes, "<group>".to_owned())];
        people.chain(group).collect()
    }

    pub(super) fn spawn(&self, thread: usize, operation: Operation) -> (tokio::task::JoinHandle<()>, Log) {
        let (world, log) = (self.clone(), Log::default());
        let own = log.clone();
        let log_of_thread = match operation {
            // Their resource is a user.
            DeleteOld | DeleteNew => Dispatch::none(),
            _ => LostRaces { gate: self.gate.clone(), thread }.log(),
        };
        let performance = THREAD.scope(Thread(thread), async move { world.perform(operation, &own).await });
        (tokio::spawn(performance.with_subscriber(log_of_thread)), log)
    }

    pub(super) fn tick(&self) -> usize {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn value(&self, names: &[Name]) -> Value {
        let ids = names.iter().flat_map(|name| match *name {
            MANY => self.many.iter().map(|person| &person.id).collect(),
            name => vec![&self.people[name].id],
        });
        ids.map(|id| json!({"value": id})).collect()
    }

    /// The members of an answer, by name.
    pub(super) fn names<'a>(&self, ids: impl Iterator<Item = &'a str>) -> BTreeSet<Name> {
        let ids: BTreeSet<&str> = ids.collect();
        let mut names: BTreeSet<Name> =
            self.people.iter().filter(|(_, person)| ids.contains(&*person.id)).map(|(name, _)| *name).collect();
        match self.many.iter().filter(|person| ids.contains(&*person.id)).count() {
            0 => {}
            count if count == self.many.len() => _ = names.insert(MANY),
            _ => _ = names.insert(PART),
        }
        names
    }

    pub(super) async fn perform(&self, operation: Operation, log: &Log) {
        let path = format!("/Groups/{}", self.group);
        let add = |names: &[Name]| json!({"op": "add", "path": "members", "value": self.value(names)});
        let remove = |names: &[Name]| json!({"op": "remove", "path": "members", "value": self.value(names)});
        match operation {
            Add => self.patch(log, Act::Add(vec!["new"]), json!([add(&["new"])])).await,
            AddTwo => self.patch(log, Act::Add(vec!["old", "new"]), json!([add(&["old", "new"])])).await,
            AddMany => self.patch(log, Act::Add(vec![MANY]), json!([add(&[MANY])])).await,
            Remove => self.patch(log, Act::Remove(vec!["old"]), json!([remove(&["old"])])).await,
            RemoveMany => self.patch(log, Act::Remove(vec![MANY]), json!([remove(&[MANY])])).await,
            AddManyAndNew => self.patch(log, Act::Add(vec![MANY, "new"]), json!([add(&[MANY, "new"])])).await,
            RemoveManyAndOld => self.patch(log, Act::Remove(vec![MANY, "old"]), json!([remove(&[MANY, "old"])])).await,
            RemoveNew => self.patch(log, Act::Remove(vec!["new"]), json!([remove(&["new"])])).await,
            AddOld => self.patch(log, Act::Add(vec!["old"]), json!([add(&["old"])])).await,
            SeeAndRemoveNew => {
                let seen = self.request(log, Act::Read, ("GET", &path), None, &[]).await;
                if seen.members.is_some_and(|members| members.contains("new")) {
                    self.patch(log, Act::Remove(vec!["new"]), json!([remove(&["new"])])).await;
                }
            }
            SeeAndAddOld => {
                let seen = self.request(log, Act::Read, ("GET", &path), None, &[]).await;
                if seen.members.is_some_and(|members| !members.contains("old")) {
                    self.patch(log, Act::Add(vec!["old"]), json!([add(&["old"])])).await;
                }
            }
            Exchange => {
                let act = Act::Exchange("old", "new");
                self.patch(log, act, json!([remove(&["old"]), add(&["new"])])).await;
            }
            Rename => {
                let operation = json!({"op": "replace", "path": "externalId", "value": "renamed"});
                self.patch(log, Act::Rename("renamed"), json!([operation])).await;
            }
            Post => {
                let body = json!({"group": {"value": self.group}, "member": {"value": self.people["new"].id}});
                self.request(log, Act::Post("new"), ("POST", "/GroupMembers"), Some(body), &[]).await;
            }
            Put => self.put(log, vec!["other"], None).await,
            PutMany => self.put(log, vec!["other", MANY], None).await,
            ReadAndPut => {
                let seen = self.request(log, Act::Read, ("GET", &path), None, &[]).await;
                let (Some(mut members), Some(tag)) = (seen.members, seen.etag) else { return };
                members.insert("other");
                if !members.contains(PART) {
                    self.put(log, members.into_iter().collect(), Some(tag)).await;
                }
            }
            DeleteGroup => _ = self.request(log, Act::DeleteGroup, ("DELETE", &path), None, &[]).await,
            DeleteOld => self.delete_user(log, "old").await,
            DeleteNew => self.delete_user(log, "new").await,
            Get => _ = self.request(log, Act::Read, ("GET", &path), None, &[]).await,
            GetIfChanged => {
                let tag = [("if-none-match", self.first_tag.as_str())];
                self.request(log, Act::ReadIfChanged(self.first_tag.clone()), ("GET", &path), None, &tag).await;
            }
            List => {
                let path = format!("/Groups?filter={}", encode(&format!("id eq \"{}\"", self.group)));
                self.request(log, Act::List, ("GET", &path), None, &[]).await;
            }
            GroupMembers => {
                let filter = encode(&format!("group.value eq \"{}\"", self.group));
                let path = format!("/GroupMembers?count=1000&filter={filter}");
                self.request(log, Act::List, ("GET", &path), None, &[]).await;
            }
        }
    }

    pub(super) async fn patch(&self, log: &Log, act: Act, operations: Value) {
        let path = format!("/Groups/{}", self.group);
        self.request(log, act, ("PATCH", &path), Some(patch(operations)), &[]).await;
    }

    pub(super) async fn put(&self, log: &Log, names: Vec<Name>, tag: Option<String>) {
        let body = json!({"displayName": format!("put-{}", self.group), "members": self.value(&names)});
        let headers: Vec<_> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let path = format!("/Groups/{}", self.group);
        self.request(log, Act::Put(names, tag.clone()), ("PUT", &path), Some(body), &headers).await;
    }

    pub(super) async fn delete_user(&self, log: &Log, name: Name) {
        let path = format!("/Users/{}", self.people[name].id);
        self.request(log, Act::DeleteUser(name), ("DELETE", &path), None, &[]).await;
    }

    /// Sends a request and writes down what it was and what came of it. A list that the answer to a change shows is a
    /// read that comes after the change.
    pub(super) async fn request(
        &self,
        log: &Log,
        act: Act,
        (method, path): (&str, &str),
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Seen {
        let begun = self.tick();
        let at = log.lock().unwrap().len();
        log.lock().unwrap().push(Event { act: act.clone(), seen: None, begun, ended: usize::MAX, after: None });
        let thread = Thread::current();
        thread.inspect(|thread| self.gate.begin_request(*thread));
        let reply = self.harness.send_with(method, path, body, headers).await;
        let seen = self.seen(&reply);
        // A request that waits for its first call might as well not have begun.
        let begun = thread.and_then(|thread| self.gate.request_begun(thread)).unwrap_or(begun);
        let ended = self.tick();
        let mut log = log.lock().unwrap();
        let is_read = matches!(act, Act::Read | Act::ReadIfChanged(_) | Act::List);
        let of_change = Seen { status: seen.status, ..Seen::default() };
        log[at].seen = Some(if is_read { seen.clone() } else { of_change });
        (log[at].begun, log[at].ended) = (begun, ended);
        if method == "PUT" && seen.status == 200 {
            log.push(Event { act: Act::Read, seen: Some(seen.clone()), begun, ended, after: Some(at) });
        }
        seen
    }

    pub(super) fn seen(&self, reply: &ScimResponse) -> Seen {
        let etag = reply.headers.get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let body = &reply.body;
        let mut seen = Seen { status: reply.status, etag, ..Seen::default() };
        if reply.status >= 300 {
            return seen;
        }
        let resource = match body["Resources"].as_array() {
            None => body,
            Some(list) if list.first().is_some_and(|first| first.get("member").is_some()) || list.is_empty() => {
                let ids = list.iter().map(|membership| membership["member"]["value"].as_str().unwrap());
                seen.members = Some(self.names(ids));
                return seen;
            }
            Some(list) => {
                seen.etag = list[0]["meta"]["version"].as_str().map(str::to_owned);
                &list[0]
            }
        };
        let members = resource["members"].as_array().into_iter().flatten();
        seen.members = Some(self.names(members.map(|member| member["value"].as_str().unwrap())));
        seen.name = Some(resource["externalId"].as_str().unwrap_or_default().to_owned());
        seen
    }

    /// The members as their own items have it.
    pub(super) async fn read_by_user(&self) -> Event {
        let begun = self.tick();
        let mut ids = Vec::new();
        let some = [self.many.first(), self.many.last()].into_iter().flatten();
        for Person { id, .. } in self.people.values().chain(some) {
            let user = self.harness.send("GET", &format!("/Users/{id}"), None).await;
            let groups = user.body["groups"].as_array().into_iter().flatten();
            if groups.into_iter().any(|group| group["value"] == self.group.as_str()) {
                ids.push(id.as_str());
            }
        }
        // Two of the many stand for all.
        if self.many.iter().filter(|person| ids.contains(&&*person.id)).count() == 2 {
            ids.extend(self.many.iter().map(|person| &*person.id));
        }
        let seen = Seen { status: 200, members: Some(self.names(ids.into_iter())), ..Seen::default() };
        Event { act: Act::List, seen: Some(seen), begun, ended: self.tick(), after: None }
    }
}

/// The clock of a world whose group begins with the many.
const HAS_MANY: usize = 1 << 40;
