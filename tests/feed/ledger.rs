//! The state that a reader makes of the feed alone is the state that SCIM shows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::member;
use crate::support::conflict::Conflict;
use crate::support::feed::{Pump, Reader};
use crate::support::{Harness, is_embedded, patch};

type Documents = BTreeMap<String, Map<String, Value>>;

/// What a consumer knows.
#[derive(Debug, Default, PartialEq)]
struct State {
    users: Documents,
    groups: Documents,
    /// Group and member.
    members: BTreeSet<(String, String)>,
}

impl State {
    /// What a guide asks a consumer to do.
    fn apply(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let kind = event["type"].as_str().unwrap();
        let id = text(&event["resource"]["id"]);
        let documents = if event["resource"]["type"] == "User" { &mut self.users } else { &mut self.groups };
        match kind {
            "group.member_added" | "group.member_removed" => {
                let who = if event["user"].is_null() { &event["memberGroup"] } else { &event["user"] };
                let pair = (text(&event["group"]["id"]), text(&who["id"]));
                // Groups and members are in two lanes: the end of a group may come before that of a membership.
                let is_gone = !self.groups.contains_key(&pair.0);
                let has_changed = match kind {
                    "group.member_added" => self.members.insert(pair),
                    _ => self.members.remove(&pair) || is_gone || !event["cause"].is_null(),
                };
                assert!(has_changed, "recorded twice: {event}");
            }
            "user.created" | "group.created" => {
                let data = event["data"].as_object().unwrap().clone();
                assert!(documents.insert(id, data).is_none(), "created twice: {event}");
            }
            "user.deleted" | "group.deleted" => {
                assert!(documents.remove(&id).is_some(), "deleted and not there: {event}");
                self.members.retain(|(group, member)| *group != id && *member != id);
            }
            _ => {
                let document = documents.get_mut(&id).unwrap();
                for (name, value) in event["before"].as_object().unwrap() {
                    assert_eq!(document.get(name), Some(value), "not as it was: {event}");
                }
                for (name, value) in event["data"].as_object().unwrap() {
                    match value {
                        Value::Null => drop(document.shift_remove(name)),
                        value => drop(document.insert(name.clone(), value.clone())),
                    }
                }
            }
        }
    }

    async fn of_scim(harness: &Harness) -> Self {
        let mut state = Self::default();
        for (path, documents) in [("/Users", &mut state.users), ("/Groups", &mut state.groups)] {
            for resource in pages(harness, path, "&excludedAttributes=members,groups").await {
                let mut document = resource.as_object().unwrap().clone();
                ["schemas", "id", "meta"].iter().for_each(|name| drop(document.shift_remove(*name)));
                documents.insert(resource["id"].as_str().unwrap().to_owned(), document);
            }
        }
        for row in pages(harness, "/GroupMembers", "").await {
            let id = |part: &str| row[part]["value"].as_str().unwrap().to_owned();
            state.members.insert((id("group"), id("member")));
        }
        state
    }
}

async fn pages(harness: &Harness, path: &str, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = harness.send("GET", &format!("{path}?cursor={cursor}{query}"), None).await;
        assert_eq!(page.status, 200, "{page:?}");
        all.extend(page.body["Resources"].as_array().cloned().unwrap_or_default());
        match page.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

/// Random requests, from a seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }

    fn one_of(&mut self, ids: &[String]) -> String {
        ids[self.below(ids.len())].clone()
    }

    fn request(
        &mut self,
        (users, groups): (&[String], &[String]),
        number: usize,
    ) -> (&'static str, String, Option<Value>) {
        let (user, group) = (self.one_of(users), self.one_of(groups));
        let of_user = format!("/Users/{user}");
        let of_group = format!("/Groups/{group}");
        let values = |ids: &[String]| ids.iter().map(|id| json!({"value": id})).collect::<Vec<_>>();
        let set = |path: &str, value: Value| patch(json!([{"op": "replace", "path": path, "value": value}]));
        match self.below(16) {
            0 => ("POST", "/Users".to_owned(), Some(json!({"userName": format!("n{number}"), "title": "new"}))),
            1 => (
                "POST",
                "/Groups".to_owned(),
                Some(json!({"displayName": format!("g{number}"), "members": [{"value": user}]})),
            ),
            2 => ("PATCH", of_user, Some(set("title", json!(format!("t{}", self.below(3)))))),
            3 => ("PATCH", of_user, Some(set("active", json!(self.below(2) == 0)))),
            4 => ("PATCH", of_user, Some(set("userName", json!(format!("r{number}"))))),
            5 => (
                "PUT",
                of_user,
                Some(json!({"userName": format!("p{number}"), "nickName": "p", "name": {"familyName": "P"}})),
            ),
            6..=8 => ("PATCH", of_group, Some(member("add", &user))),
            9 | 10 => ("PATCH", of_group, Some(member("remove", &user))),
            11 => ("PATCH", of_group, Some(set("displayName", json!(format!("d{number}"))))),
            12 => ("PATCH", of_group, Some(set("members", json!(values(users))))),
            13 => ("PATCH", of_group, Some(member("add", &self.one_of(groups)))),
            14 => ("DELETE", of_user, None),
            _ => ("DELETE", of_group, None),
        }
    }
}

/// `ROLLCALL_ROUNDS=100` asks for more than CI does, `ROLLCALL_SEED` for others.
#[tokio::test(start_paused = true)]
async fn the_state_computed_from_the_feed_is_the_state_that_scim_returns() {
    if !is_embedded() {
        return;
    }
    let rounds = std::env::var("ROLLCALL_ROUNDS").map_or(12, |rounds| rounds.parse().unwrap());
    let harness = Harness::with(vec![Conflict::new()]).await;
    let mut chance = Chance(std::env::var("ROLLCALL_SEED").map_or(9967, |seed| seed.parse().unwrap()));
    let (mut early, mut late) = (Reader::new(&harness).await, Reader::new(&harness).await);
    let (mut of_early, mut of_late) = (State::default(), State::default());
    let mut pump = Pump::new(&harness);
    let (mut events, mut requests, mut kinds) = (0, 0, BTreeMap::<String, usize>::new());
    for i in 0..70 {
        harness.user(&format!("first{i}")).await;
    }
    for i in 0..4 {
        let creation = harness.send("POST", "/Groups", json!({"displayName": format!("first{i}")})).await;
        assert_eq!(creation.status, 201);
    }
    for round in 0..rounds {
        let now = State::of_scim(&harness).await;
        let (users, groups): (Vec<_>, Vec<_>) = (now.users.into_keys().collect(), now.groups.into_keys().collect());
        if users.is_empty() || groups.is_empty() {
            break;
        }
        let some: Vec<_> = (0..16).map(|number| chance.request((&users, &groups), round * 16 + number)).collect();
        requests += some.len();
        let sent = some.iter().map(|(method, path, body)| harness.send(method, path, body.clone()));
        for (reply, request) in join_all(sent).await.iter().zip(&some) {
            assert!(reply.status < 500 || reply.status == 503, "{request:?}: {reply:?}");
        }
        // The worker is late now and then, and what is left of large changes waits.
        if round % 3 == 1 {
            pump.run(&harness).await;
            for event in early.read(&harness, 5).await {
                of_early.apply(&event);
                events += 1;
                *kinds.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    harness.settle().await;
    pump.run(&harness).await;
    for event in early.read(&harness, 5).await {
        of_early.apply(&event);
        events += 1;
    }
    for event in late.read(&harness, 1_000).await {
        of_late.apply(&event);
    }
    let output = State::of_scim(&harness).await;
    assert_eq!(of_early, output);
    assert_eq!(of_late, output);
    eprintln!("{requests} requests, {events} events, {kinds:?}");
}
