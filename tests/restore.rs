//! Restores: what a hold has counted, what a key did and what happened to some users is undone, exactly, and a restore
//! that was interrupted anywhere is completed by the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use rollcall::app::App;
use rollcall::store::dynamo::tables::Table;
use rollcall::tenant::TenantName;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::crash::Crash;
use crate::support::feed::all_events;
use crate::support::{Harness, Item, ScimResponse, is_embedded, key, patch};

/// Everything of a tenant that a restore must bring back, as it is stored.
#[derive(Debug, PartialEq)]
struct Stored {
    users: BTreeMap<String, BTreeMap<String, String>>,
    groups: BTreeMap<String, BTreeMap<String, String>>,
    members: BTreeSet<String>,
}

async fn items(harness: &Harness, table: Table) -> Vec<Item> {
    let scan = harness.app.store.client().scan().table_name(harness.app.store.names().of(table));
    let mut pages = scan.consistent_read(true).into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(item.unwrap().into_iter().collect());
    }
    items
}

fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Bs(ids) => {
            let mut ids: Vec<_> = ids.iter().map(|id| format!("{:?}", id.as_ref())).collect();
            ids.sort();
            ids.join(" ")
        }
        other => format!("{other:?}"),
    }
}

/// The documents to the byte, keys, indexed values, memberships and when each was created first. Not: versions, times of
/// changes and who changed it, which go on.
async fn stored(harness: &Harness) -> Stored {
    let kept = |item: Item, names: &[&str]| {
        let id = item["id"].as_s().unwrap().clone();
        let attributes = item.into_iter().filter(|(name, _)| names.contains(&name.as_str()));
        (id, attributes.map(|(name, value)| (name, text(&value))).collect())
    };
    let of_user = ["userName", "doc", "externalId", "email", "groupIds", "created"];
    let of_group = ["doc", "name", "externalId", "groupIds", "created"];
    let users = items(harness, Table::Users).await.into_iter().map(|item| kept(item, &of_user)).collect();
    let groups = items(harness, Table::Groups).await.into_iter().map(|item| kept(item, &of_group)).collect();
    let is_lasting = |pk: &str| ["#member#", "#name#", "#email#"].iter().any(|part| pk.contains(part));
    let row = |item: Item| {
        let pk = item["pk"].as_s().unwrap().clone();
        is_lasting(&pk).then(|| format!("{pk} {}", item["sk"].as_s().unwrap()))
    };
    let members = items(harness, Table::Links).await.into_iter().filter_map(row).collect();
    Stored { users, groups, members }
}

/// The same endpoint, when nothing of a deletion is under way any more.
async fn later(harness: &Harness) -> Harness {
    harness.settle().await;
    all_events(harness).await;
    harness.at(Timestamp::now() + SignedDuration::from_secs(60))
}

/// One request of a restore.
async fn request(harness: &Harness, admin: &str, body: Value) -> ScimResponse {
    ask(harness, admin, "POST", "/tenants/acme/restore", body).await
}

/// A whole restore: what was changed, how many were as they should be, and what stands against it.
#[derive(Debug, Default)]
struct Restored {
    changes: Vec<Value>,
    unchanged: u64,
    conflicts: Vec<Value>,
    requests: usize,
}

async fn restore(harness: &Harness, admin: &str, body: Value) -> Restored {
    let (mut body, mut all) = (body, Restored::default());
    loop {
        let reply = request(harness, admin, body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        all.requests += 1;
        all.changes.extend(reply.body["restored"].as_array().unwrap().iter().cloned());
        all.unchanged += reply.body["unchanged"].as_u64().unwrap();
        all.conflicts.extend(reply.body["conflicts"].as_array().unwrap().iter().cloned());
        assert!(reply.body["note"].as_str().unwrap().contains("identity provider"));
        match reply.body["nextCursor"].as_str() {
            Some(cursor) => body = json!({"cursor": cursor}),
            None => return all,
        }
    }
}

fn reasons(restored: &Restored) -> Vec<&str> {
    restored.conflicts.iter().map(|conflict| conflict["reason"].as_str().unwrap()).collect()
}

fn ids(restored: &Restored) -> BTreeSet<&str> {
    restored.changes.iter().map(|change| change["resource"]["id"].as_str().unwrap()).collect()
}

async fn group(harness: &Harness, name: &str, members: &[String]) -> String {
    let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
    let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

fn deactivation() -> Value {
    patch(json!([{"op": "replace", "path": "active", "value": false}]))
}

fn removal(id: &str) -> Value {
    patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]))
}

/// So many users, each in three of eight groups, and one group in another.
async fn company(harness: &Harness, size: usize) -> (Vec<String>, Vec<String>) {
    let mut users = Vec::new();
    for number in 0..size {
        let mut user = json!({"userName": format!("u{number}"), "externalId": format!("x{number}"), "title": "t",
            "name": {"familyName": "é\"\\", "givenName": "ü"}, "custom": 1.50,
            "emails": [{"value": format!("a{number}@x.org"), "primary": true}, {"value": format!("b{number}@x.org")}]});
        if number % 2 == 0 {
            user["active"] = json!(true);
        }
        users.push(harness.create(user).await);
    }
    let mut groups = Vec::new();
    for number in 0..8 {
        let members: Vec<String> =
            users.iter().enumerate().filter(|(i, _)| (i + number) % 8 < 3).map(|(_, id)| id.clone()).collect();
        groups.push(group(harness, &format!("g{number}"), &members).await);
    }
    let nest = patch(json!([{"op": "add", "path": "members", "value": [{"value": groups[0]}]}]));
    assert_eq!(harness.send("PATCH", &format!("/Groups/{}", groups[1]), nest).await.status, 204);
    (users, groups)
}

async fn set(harness: &Harness, admin: &str, settings: Value) {
    let reply = ask(harness, admin, "PATCH", "/tenants/acme", json!({"settings": settings})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Takes access from users until the protection holds: deactivations, deletions, and both; and removals from a group.
async fn withdraw(harness: &Harness, users: &[String], groups: &[String]) -> (usize, usize) {
    let mut count = 0;
    for (number, id) in users.iter().enumerate() {
        let path = format!("/Users/{id}");
        let reply = match number % 3 {
            0 => harness.send("PATCH", &path, deactivation()).await,
            1 => harness.send("DELETE", &path, None).await,
            _ => {
                let off = json!({"userName": format!("u{number}"), "active": false});
                let reply = harness.send("PUT", &path, off).await;
                if reply.status == 200 {
                    assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
                }
                reply
            }
        };
        match reply.status {
            200 | 204 => count += 1,
            429 => break,
            _ => panic!("{reply:?}"),
        }
    }
    let others = users.iter().enumerate().skip(count).filter(|(number, _)| (number + 2) % 8 < 3);
    let others: Vec<_> = others.map(|(_, id)| id).take(4).collect();
    for id in &others {
        assert_eq!(harness.send("PATCH", &format!("/Groups/{}", groups[2]), removal(id)).await.status, 204);
    }
    (count, others.len())
}

/// A company of which a hold has let some go.
async fn after_a_hold(size: usize, floor: usize) -> (Harness, String, Stored, usize) {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let (users, groups) = company(&harness, size).await;
    let before = stored(&harness).await;
    let acme: TenantName = "acme".parse().unwrap();
    harness.app.store.recount(&acme, Timestamp::now()).await.unwrap();
    set(&harness, &admin, json!({"protect": "hold", "protectUsers": format!("20%/{floor}")})).await;
    let (count, removals) = withdraw(&harness, &users, &groups).await;
    assert_eq!((count, removals), (floor.max(size / 5), removals.clamp(1, 4)));
    let reply = ask(&harness, &admin, "POST", "/tenants/acme/hold", json!({"action": "reject"})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (harness, admin, before, count + removals)
}

#[tokio::test(start_paused = true)]
async fn after_a_hold_everything_is_as_it_was_to_the_byte() {
    if !is_embedded() {
        return;
    }
    let size = std::env::var("ROLLCALL_RESTORE_USERS").ok().and_then(|size| size.parse().ok()).unwrap_or(60);
    let (harness, admin, before, count) = after_a_hold(size, 25).await;
    let harness = later(&harness).await;
    let after = stored(&harness).await;
    assert_ne!(before, after);
    let plan = restore(&harness, &admin, json!({"hold": "current", "dryRun": true})).await;
    assert_eq!(stored(&harness).await, after, "a plan has written");
    let restored = restore(&harness, &admin, json!({"hold": "current"})).await;
    assert_eq!(restored.conflicts, Vec::<Value>::new());
    assert_eq!(plan.changes, restored.changes, "a plan is what is done");
    assert_eq!(restored.changes.len(), count);
    assert!(restored.requests >= count.div_ceil(100));
    assert_eq!(stored(&harness).await, before);
    // It changes nothing a second time, whether the worker has seen the first one or not.
    for _ in 0..2 {
        let again = restore(&harness, &admin, json!({"hold": "current"})).await;
        assert_eq!((again.changes.len(), again.conflicts.len()), (0, 0), "{again:?}");
        assert_eq!(again.unchanged, count as u64);
        all_events(&harness).await;
    }
    assert_eq!(stored(&harness).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_in_the_feed_and_in_the_log() {
    if !is_embedded() {
        return;
    }
    let (harness, admin, ..) = after_a_hold(12, 6).await;
    let harness = later(&harness).await;
    let old = all_events(&harness).await.len();
    let window = ask(&harness, &admin, "GET", "/tenants/acme/hold", Value::Null).await.body["windows"][0].clone();
    let reply = request(&harness, &admin, json!({"hold": window["id"]})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let events = all_events(&harness).await;
    let kinds = |kind: &str| events[old..].iter().filter(|event| event["type"] == kind).count();
    let all: Vec<_> = events[old..].iter().map(|event| &event["type"]).collect();
    assert_eq!((kinds("user.created"), kinds("user.reactivated")), (4, 2), "{all:?}");
    assert_eq!(kinds("group.member_added"), 12, "{all:?}");
    assert_eq!(events.len() - old, 18);
    assert!(events[old..].iter().all(|event| event["how"] == "restore"), "{events:?}");
    let log = ask(&harness, &admin, "GET", "/tenants/acme/log?kind=admin", Value::Null).await;
    let entry = &log.body["entries"][0];
    assert_eq!((&entry["type"], &entry["resource"]["id"]), (&json!("restore.run"), &json!("acme")));
    assert_eq!(entry["after"]["hold"][0]["until"], window["until"]);
    let request = entry["request"].as_str().unwrap();
    assert!(events[old..].iter().all(|event| event["request"].as_str().unwrap().starts_with(&request[..26])));
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_stops_at_any_call_is_completed_by_the_next_one() {
    if !is_embedded() {
        return;
    }
    // Each point takes a company of its own: every third one, or with ROLLCALL_RESTORE_POINTS=1 every one. To the store, a
    // process that dies after a call is one that dies before the next.
    let step = std::env::var("ROLLCALL_RESTORE_POINTS").ok().and_then(|step| step.parse().ok()).unwrap_or(3);
    for at in (1..).step_by(step) {
        let (harness, admin, before, count) = Box::pin(after_a_hold(7, 3)).await;
        let harness = later(&harness).await;
        let crash = Crash::before(at);
        let again = harness.again(vec![crash.clone()]).await;
        let mut dying = harness.clone();
        dying.app = Arc::new(App { clock: harness.app.clock.clone(), ..(*again.app).clone() });
        let reply = request(&dying, &admin, json!({"hold": "current"})).await;
        if !crash.happened() {
            assert_eq!(reply.status, 200);
            assert!(at > 40, "{at} calls");
            return;
        }
        if at % 2 == 0 {
            all_events(&harness).await;
        }
        let rest = restore(&harness, &admin, json!({"hold": "current"})).await;
        assert_eq!(rest.conflicts, Vec::<Value>::new(), "call {at}");
        assert!(rest.changes.len() <= count);
        assert!(stored(&harness).await == before, "call {at}");
    }
}

/// A second key of the tenant: its secret and its id.
async fn second_key(harness: &Harness) -> (String, String) {
    let mut id = String::new();
    let acme = "acme".parse().unwrap();
    let secret = key(&harness.app.store, &acme, |record| record.id.as_str().clone_into(&mut id)).await;
    (secret, id)
}

/// A request with that key, which must succeed.
async fn by(harness: &Harness, secret: &str, method: &str, path: &str, body: Value) {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let header = format!("Bearer {secret}");
    let reply = harness.raw(method, &format!("/acme/scim/v2{path}"), bytes, &[("authorization", &header)]).await;
    assert!(reply.status < 300, "{method} {path}: {reply:?}");
}

#[tokio::test(start_paused = true)]
async fn everything_that_a_key_did_is_undone_groups_first() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let (users, groups) = company(&harness, 9).await;
    let before = stored(&harness).await;
    let (bad, key) = second_key(&harness).await;
    let since = Timestamp::now().to_string();
    let user = |number: usize| format!("/Users/{}", users[number]);
    let group = |number: usize| format!("/Groups/{}", groups[number]);
    let rename = |name: &str| patch(json!([{"op": "replace", "path": "userName", "value": name}]));
    let named = |name: &str| patch(json!([{"op": "replace", "path": "displayName", "value": name}]));
    let harness_ref = &harness;
    let bad_ref = bad.as_str();
    let send = async |method: &str, path: String, body: Value| by(harness_ref, bad_ref, method, &path, body).await;
    send("PATCH", user(0), rename("other")).await;
    send("PUT", user(1), json!({"userName": "u1", "nickName": "n"})).await;
    send("DELETE", user(2), Value::Null).await;
    send("PATCH", group(3), named("renamed")).await;
    // A member of a deleted group, that was deleted, too; and a group that was nested in a deleted one.
    send("DELETE", group(1), Value::Null).await;
    send("DELETE", group(0), Value::Null).await;
    send("DELETE", user(7), Value::Null).await;
    send("PATCH", group(4), removal(&users[4])).await;
    let join = patch(json!([{"op": "add", "path": "members", "value": [{"value": users[3]}]}]));
    send("PATCH", group(6), join).await;
    send("PATCH", user(2 + 3), deactivation()).await;
    let harness = later(&harness).await;
    let body = json!({"key": key, "since": since});
    let mut planning = body.clone();
    planning["dryRun"] = json!(true);
    let plan = restore(&harness, &admin, planning).await;
    assert_eq!(plan.conflicts, Vec::<Value>::new());
    let restored = restore(&harness, &admin, body.clone()).await;
    assert_eq!(restored.conflicts, Vec::<Value>::new());
    assert_eq!(ids(&plan), ids(&restored));
    assert_eq!(stored(&harness).await, before);
    let again = restore(&harness, &admin, body).await;
    assert_eq!((again.changes.len(), again.conflicts.len()), (0, 0), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stands_against_it_is_reported_and_the_rest_is_done() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let (users, groups) = company(&harness, 8).await;
    let (bad, key) = second_key(&harness).await;
    let since = Timestamp::now().to_string();
    let title = |value: &str| patch(json!([{"op": "replace", "path": "title", "value": value}]));
    // Changed since, created, deleted and its name taken, deleted by somebody else, its group gone.
    by(&harness, &bad, "PATCH", &format!("/Users/{}", users[0]), title("bad")).await;
    by(&harness, &bad, "PATCH", &format!("/Users/{}", users[0]), deactivation()).await;
    assert_eq!(harness.send("PATCH", &format!("/Users/{}", users[0]), title("good")).await.status, 200);
    by(&harness, &bad, "POST", "/Users", json!({"userName": "new"})).await;
    by(&harness, &bad, "DELETE", &format!("/Users/{}", users[1]), Value::Null).await;
    harness.user("U1").await;
    by(&harness, &bad, "PATCH", &format!("/Users/{}", users[2]), title("bad")).await;
    assert_eq!(harness.send("DELETE", &format!("/Users/{}", users[2]), None).await.status, 204);
    by(&harness, &bad, "DELETE", &format!("/Users/{}", users[3]), Value::Null).await;
    assert_eq!(harness.send("DELETE", &format!("/Groups/{}", groups[5]), None).await.status, 204);
    all_events(&harness).await;
    let body = json!({"key": key, "since": since});
    let early = restore(&harness, &admin, body.clone()).await;
    let mut early_reasons = reasons(&early);
    early_reasons.sort_unstable();
    assert_eq!(early_reasons, ["changed-since", "created-since", "deleted-since", "try-later", "try-later"]);
    let harness = later(&harness).await;
    let restored = restore(&harness, &admin, body).await;
    let mut found: Vec<_> = restored
        .conflicts
        .iter()
        .map(|conflict| {
            let field = conflict["attribute"].as_str().or(conflict["group"].as_str()).unwrap_or("-");
            (conflict["reason"].as_str().unwrap(), conflict["resource"]["id"].as_str().unwrap(), field)
        })
        .collect();
    found.sort_unstable();
    let new = harness.find("userName eq \"new\"").await[0]["id"].as_str().unwrap().to_owned();
    let mut expected = vec![
        ("changed-since", users[0].as_str(), "title"),
        ("created-since", new.as_str(), "-"),
        ("deleted-since", users[2].as_str(), "-"),
        ("group-gone", users[3].as_str(), groups[5].as_str()),
        ("name-taken", users[1].as_str(), "-"),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    let first = harness.send("GET", &format!("/Users/{}", users[0]), None).await.body;
    assert_eq!((&first["title"], &first["active"]), (&json!("good"), &json!(true)), "the rest of it is undone");
    let back = harness.send("GET", &format!("/Users/{}", users[3]), None).await.body;
    assert_eq!(back["groups"].as_array().unwrap().len(), 2);
    // By its id, what anybody did is undone.
    let by_id = restore(&harness, &admin, json!({"users": [users[2]]})).await;
    assert_eq!((by_id.changes.len(), by_id.conflicts.len()), (1, 0), "{by_id:?}");
    assert_eq!(harness.send("GET", &format!("/Users/{}", users[2]), None).await.body["title"], "bad");
}

#[tokio::test(start_paused = true)]
async fn users_get_back_what_they_lost_last_or_all_since_a_time() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let id = harness.create(json!({"userName": "bob", "title": "a"})).await;
    let nobody = uuid::Uuid::from_u128(7).to_string();
    let path = format!("/Users/{id}");
    let since = Timestamp::now().to_string();
    let title = patch(json!([{"op": "replace", "path": "title", "value": "b"}]));
    assert_eq!(harness.send("PATCH", &path, title).await.status, 200);
    let tag = harness.send("PATCH", &path, deactivation()).await.headers["etag"].clone();
    assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
    let harness = later(&harness).await;
    let restored = restore(&harness, &admin, json!({"users": [id, nobody]})).await;
    assert_eq!(reasons(&restored), ["not-found"]);
    assert_eq!((&restored.changes[0]["wasDeleted"], ids(&restored).len()), (&json!(true), 1));
    let back = harness.send("GET", &path, None).await;
    assert_eq!((&back.body["active"], &back.body["title"]), (&json!(false), &json!("b")));
    assert_ne!(back.headers["etag"], tag, "no tag is of two documents");
    all_events(&harness).await;
    assert_eq!(restore(&harness, &admin, json!({"users": [id]})).await.unchanged, 1);
    let all = restore(&harness, &admin, json!({"users": [id], "since": since})).await;
    let names: Vec<_> = all.changes[0]["attributes"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["active", "title"]);
    let back = harness.send("GET", &path, None).await.body;
    assert_eq!((back.get("active"), &back["title"]), (None, &json!("a")));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_clear_is_refused() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let id = harness.user("bob").await;
    for body in [
        json!({}),
        json!({"users": []}),
        json!({"users": ["no id"]}),
        json!({"users": [id], "key": "k"}),
        json!({"users": [id], "until": "2027-01-31T12:00:00Z"}),
        json!({"key": "k"}),
        json!({"key": "k", "since": "yesterday"}),
        json!({"hold": "current", "since": "2027-01-31T12:00:00Z"}),
        json!({"cursor": "x"}),
        json!({"users": [id], "all": true}),
    ] {
        assert_eq!(request(&harness, &admin, body.clone()).await.status, 400, "{body}");
    }
    assert_eq!(request(&harness, &admin, json!({"hold": "current"})).await.status, 409);
    // A cursor is of one tenant, and has all of what was asked for.
    let cursor = rollcall::store::ops::restore::RestoreCursor::parse("e30", &"acme".parse().unwrap());
    assert!(cursor.is_none());
    let acme: TenantName = "acme".parse().unwrap();
    let scope = rollcall::store::model::restore::RestoreScope::Users { ids: vec![id], since: None };
    let cursor = harness.app.store.begin_restore(&acme, scope, true).await.unwrap().to_text();
    let reply = request(&harness, &admin, json!({"cursor": cursor})).await;
    assert_eq!((reply.status, &reply.body["dryRun"]), (200, &json!(true)));
    assert_eq!(request(&harness, &admin, json!({"cursor": cursor, "dryRun": false})).await.status, 400);
    let path = "/tenants/globex/restore";
    assert_eq!(ask(&harness, &admin, "POST", path, json!({"cursor": cursor})).await.status, 400);
}
