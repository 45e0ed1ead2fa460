//! The history of a user or group, and its state at a time: equal to what it was, whatever happened since.

use jiff::{SignedDuration, Timestamp};
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::feed::all_events;
use crate::support::{Harness, ScimResponse, encode, is_embedded, patch};

async fn get(harness: &Harness, admin: &str, path: &str) -> ScimResponse {
    ask(harness, admin, "GET", &format!("/tenants/acme{path}"), Value::Null).await
}

async fn at(harness: &Harness, admin: &str, path: &str, time: Timestamp) -> ScimResponse {
    get(harness, admin, &format!("{path}?at={}", encode(&time.to_string()))).await
}

/// The time now, between the requests before and those after.
fn instant() -> Timestamp {
    std::thread::sleep(std::time::Duration::from_millis(2));
    let now = Timestamp::now();
    std::thread::sleep(std::time::Duration::from_millis(2));
    now
}

/// What lasts of a resource as SCIM returns it: its attributes, and the ids of members or groups.
fn lasting(resource: &Value, is_group: bool) -> Value {
    let mut resource = resource.clone();
    let fields = resource.as_object_mut().unwrap();
    for name in ["schemas", "meta"] {
        fields.remove(name);
    }
    let name = if is_group { "members" } else { "groups" };
    let values = fields.remove(name).unwrap_or_default();
    let mut values: Vec<Value> = values.as_array().into_iter().flatten().map(|value| value["value"].clone()).collect();
    values.sort_by_key(Value::to_string);
    fields.remove(if is_group { "groups" } else { "members" });
    fields.insert("related".to_owned(), values.into());
    resource
}

/// Requests that change three users and two groups, in an order that a number decides.
async fn change(harness: &Harness, users: &[String], groups: &[String], number: usize) {
    let mixed = number.wrapping_mul(0x9e37_79b9) >> 7;
    let (user, group) = (&users[mixed % users.len()], &groups[(mixed / 5) % groups.len()]);
    let (of_user, of_group) = (format!("/Users/{user}"), format!("/Groups/{group}"));
    let set = |path: &str, value: Value| patch(json!([{"op": "replace", "path": path, "value": value}]));
    let member = |op: &str| match op {
        "add" => patch(json!([{"op": "add", "path": "members", "value": [{"value": user}]}])),
        _ => patch(json!([{"op": "remove", "path": format!("members[value eq \"{user}\"]")}])),
    };
    let reply = match (mixed / 11) % 7 {
        0 => harness.send("PATCH", &of_user, set("title", json!(format!("t{number}")))).await,
        1 => harness.send("PATCH", &of_user, set("active", json!(number.is_multiple_of(2)))).await,
        2 => harness.send("PUT", &of_user, json!({"userName": format!("n{number}"), "nickName": "n"})).await,
        3 => harness.send("PATCH", &of_group, set("displayName", json!(format!("g{number}")))).await,
        4 | 5 => harness.send("PATCH", &of_group, member("add")).await,
        _ => harness.send("PATCH", &of_group, member("remove")).await,
    };
    // Also on what is deleted, and with a member that is.
    assert!(reply.status < 300 || [400, 404].contains(&reply.status), "{reply:?}");
}

#[tokio::test(start_paused = true)]
async fn the_state_at_a_time_is_what_it_was_then() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let before_all = instant();
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c"] {
        users.push(harness.create(json!({"userName": name, "emails": [{"value": format!("{name}@x.org")}]})).await);
    }
    for name in ["g", "h"] {
        let group =
            harness.send("POST", "/Groups", json!({"displayName": name, "members": [{"value": users[0]}]})).await;
        groups.push(group.body["id"].as_str().unwrap().to_owned());
    }
    let paths: Vec<(String, bool)> = users
        .iter()
        .map(|id| (format!("/Users/{id}"), false))
        .chain(groups.iter().map(|id| (format!("/Groups/{id}"), true)))
        .collect();
    let mut past = Vec::new();
    for number in 0..40 {
        match number {
            // A member goes, and one of the groups.
            25 => assert_eq!(harness.send("DELETE", &paths[0].0, None).await.status, 204),
            32 => assert_eq!(harness.send("DELETE", &paths[4].0, None).await.status, 204),
            _ => change(&harness, &users, &groups, number).await,
        }
        let time = instant();
        for (path, is_group) in &paths {
            let now = harness.send("GET", path, None).await;
            let state = (now.status == 200).then(|| lasting(&now.body, *is_group));
            past.push((time, path.clone(), *is_group, state));
        }
    }
    harness.settle().await;
    all_events(&harness).await;
    for (time, path, is_group, state) in past {
        let path = path.replace("/Users", "/users").replace("/Groups", "/groups");
        let found = at(&harness, &admin, &path, time).await;
        match state {
            None => assert_eq!(found.status, 404, "{path} at {time}: {found:?}"),
            Some(state) => {
                assert_eq!((found.status, &found.body["exact"]), (200, &json!(true)), "{found:?}");
                assert_eq!(lasting(&found.body["resource"], is_group), state, "{path} at {time}");
            }
        }
    }
    for (path, _) in &paths {
        let path = path.replace("/Users", "/users").replace("/Groups", "/groups");
        assert_eq!(at(&harness, &admin, &path, before_all).await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_is_newest_first_and_says_who_how_and_what_was_before() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let user = harness.create(json!({"userName": "bob", "title": "a"})).await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "team", "members": [{"value": user}]})).await;
    let group = group.body["id"].as_str().unwrap().to_owned();
    let title = patch(json!([{"op": "Replace", "path": "title", "value": "b"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{user}"), title).await.status, 200);
    harness.user("eve").await;
    assert_eq!(harness.send("DELETE", &format!("/Users/{user}"), None).await.status, 204);
    all_events(&harness).await;
    let of_user = get(&harness, &admin, &format!("/users/{user}/history")).await;
    let kinds = |reply: &ScimResponse| -> Vec<String> {
        let entries = reply.body["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&of_user), ["user.deleted", "user.updated", "group.member_added", "user.created"]);
    let update = &of_user.body["entries"][1];
    assert_eq!((&update["before"], &update["data"]), (&json!({"title": "a"}), &json!({"title": "b"})));
    assert_eq!((&update["how"], &update["actor"]["description"]), (&json!("patch"), &json!("test")));
    assert!(update["rules"].is_array(), "{update}");
    let of_group = get(&harness, &admin, &format!("/groups/{group}/history")).await;
    assert_eq!(kinds(&of_group), ["user.deleted", "group.member_added", "group.created"]);
    // Page by page it is the same.
    let (mut all, mut path) = (Vec::new(), format!("/users/{user}/history?limit=1"));
    loop {
        let page = get(&harness, &admin, &path).await;
        assert!(page.body["entries"].as_array().unwrap().len() <= 1);
        all.extend(kinds(&page));
        match page.body["nextCursor"].as_str() {
            Some(cursor) => path = format!("/users/{user}/history?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(all, kinds(&of_user));
    // A group is no user, and nobody has no history.
    for path in [
        format!("/users/{group}/history"),
        format!("/groups/{user}/history"),
        format!("/users/{}/history", uuid::Uuid::from_u128(1)),
        "/users/x/history".to_owned(),
        format!("/users/{group}"),
    ] {
        assert_eq!(get(&harness, &admin, &path).await.status, 404, "{path}");
    }
    for query in ["since=x", "limit=0", "cursor=x"] {
        assert_eq!(get(&harness, &admin, &format!("/users/{user}/history?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn beyond_the_retention_the_oldest_time_is_named() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let user = harness.create(json!({"userName": "bob", "title": "a"})).await;
    let first = instant();
    let title = |value: &str| patch(json!([{"op": "replace", "path": "title", "value": value}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{user}"), title("b")).await.status, 200);
    // Before the worker has seen the last change, nobody can undo it.
    let path = format!("/users/{user}");
    let early = at(&harness, &admin, &path, first).await;
    assert_eq!(early.status, 503, "{early:?}");
    assert!(early.headers.contains_key("retry-after"));
    all_events(&harness).await;
    assert_eq!(at(&harness, &admin, &path, first).await.body["resource"]["title"], "a");
    let after = harness.at(Timestamp::now() + SignedDuration::from_hours(24 * 31));
    let gone = at(&after, &admin, &path, first).await;
    assert_eq!(gone.status, 410, "{gone:?}");
    // What has not changed since is as it was.
    assert_eq!(at(&after, &admin, &path, Timestamp::now()).await.body["resource"]["title"], "b");
    let to_come = Timestamp::now() + SignedDuration::from_hours(1);
    assert_eq!(at(&harness, &admin, &path, to_come).await.status, 400);
    // A gap in the feed is one in what is known.
    let acme = "acme".parse().unwrap();
    assert_eq!(at(&harness, &admin, &path, first).await.body["exact"], true);
    harness.app.store.write_gap(&acme, Table::Users, "lost", Timestamp::now()).await.unwrap();
    assert_eq!(at(&harness, &admin, &path, first).await.body["exact"], false);
}
