//! What the feed's address takes and answers.

use jiff::{SignedDuration, Timestamp};
use rollcall::auth::Scope;
use serde_json::{Value, json};

use super::{group, member, send, types};
use crate::support::feed::{Pump, Reader, all_events};
use crate::support::{Harness, encode, is_embedded, key, patch, tenant_with_profile};

#[tokio::test(start_paused = true)]
async fn a_query_chooses_types_time_and_length() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let id = harness.user("bob").await;
    group(&harness, "team").await;
    let title = |title: &str| patch(json!([{"op": "replace", "path": "title", "value": title}]));
    let later = harness.at(Timestamp::now() + SignedDuration::from_hours(3));
    send(&later, "PATCH", &format!("/Users/{id}"), title("late")).await;
    all_events(&harness).await;
    let reader = Reader::new(&harness).await;
    let ask = async |query: &str| {
        let answer = reader.ask(&harness, query).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        assert!(!answer.body["nextCursor"].as_str().unwrap().is_empty());
        answer.body
    };
    let events = |answer: &Value| answer["events"].as_array().unwrap().clone();
    assert_eq!(types(&events(&ask("").await)), ["user.created", "group.created", "user.updated"]);
    assert_eq!(types(&events(&ask("types=group.*").await)), ["group.created"]);
    assert_eq!(types(&events(&ask("types=user.created,user.deleted").await)), ["user.created"]);
    let first = ask("limit=2").await;
    assert_eq!((types(&events(&first)).len(), &first["caughtUp"]), (2, &json!(false)));
    let rest = ask(&format!("cursor={}", first["nextCursor"].as_str().unwrap())).await;
    assert_eq!((types(&events(&rest)), &rest["caughtUp"]), (vec!["user.updated"], &json!(true)));
    for (hours, count) in [(-1, 3), (2, 1), (4, 0)] {
        let since = (Timestamp::now() + SignedDuration::from_hours(hours)).to_string();
        let found = ask(&format!("since={}", encode(&since))).await;
        assert_eq!(events(&found).len(), count, "since {hours} hours");
    }
    let now = ask("cursor=now").await;
    assert!(events(&now).is_empty());
    send(&harness, "PATCH", &format!("/Users/{id}"), title("after")).await;
    all_events(&harness).await;
    let after = ask(&format!("cursor={}&wait=20", now["nextCursor"].as_str().unwrap())).await;
    assert_eq!(types(&events(&after)), ["user.updated"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_query_is_said() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    harness.user("bob").await;
    all_events(&harness).await;
    let reader = Reader::new(&harness).await;
    let of_globex =
        key(&harness.app.store, &"globex".parse().unwrap(), |record| record.scopes = vec![Scope::Events]).await;
    let header = format!("Bearer {of_globex}");
    let theirs = harness.raw("GET", "/globex/events", Vec::new(), &[("authorization", &header)]).await;
    assert_eq!((theirs.status, &theirs.body["events"]), (200, &json!([])));
    let cursor = theirs.body["nextCursor"].as_str().unwrap();
    for (query, scim_type) in [
        ("limit=0", "invalidValue"),
        ("limit=1001", "invalidValue"),
        ("limit=x", "invalidValue"),
        ("wait=21", "invalidValue"),
        ("since=yesterday", "invalidValue"),
        ("types=user.renamed", "invalidValue"),
        ("cursor=junk", "invalidCursor"),
        (&format!("cursor={cursor}"), "invalidCursor"),
    ] {
        reader.ask(&harness, query).await.assert_error(400, scim_type);
    }
    // Neither a key without the scope, nor another tenant's.
    for (uri, key, status) in [("/acme/events", &harness.acme, 403), ("/acme/events", &of_globex, 401)] {
        let header = format!("Bearer {key}");
        assert_eq!(harness.raw("GET", uri, Vec::new(), &[("authorization", &header)]).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cursor_outlives_its_key_and_ends_with_what_is_kept() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    harness.user("bob").await;
    all_events(&harness).await;
    let mut reader = Reader::new(&harness).await;
    assert_eq!(reader.read(&harness, 10).await.len(), 1);
    harness.user("eve").await;
    all_events(&harness).await;
    let mut other = Reader::new(&harness).await;
    other.cursor.clone_from(&reader.cursor);
    assert_eq!(other.read(&harness, 10).await.len(), 1, "by another key");
    let later = harness.at(Timestamp::now() + SignedDuration::from_hours(24 * 30 - 1));
    assert_eq!(reader.ask(&later, &format!("cursor={}", reader.cursor)).await.status, 200);
    let later = harness.at(Timestamp::now() + SignedDuration::from_hours(24 * 30 + 1));
    let gone = reader.ask(&later, &format!("cursor={}", reader.cursor)).await;
    assert_eq!(gone.status, 410, "{gone:?}");
    assert!(gone.body["oldest"].as_str().unwrap().ends_with('Z'), "{gone:?}");
    let oldest = reader.ask(&later, "").await;
    assert_eq!((oldest.status, &oldest.body["events"]), (200, &json!([])), "nobody is shown what has expired");
    assert_eq!(reader.ask(&harness, "").await.body["events"].as_array().unwrap().len(), 2, "it is still there");
}

#[tokio::test(start_paused = true)]
async fn operators_read_the_feed_of_each_tenant() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    harness.user("bob").await;
    all_events(&harness).await;
    let ask = async |path: &str| crate::admin::ask(&harness, &admin, "GET", path, Value::Null).await;
    let ours = ask("/tenants/acme/events").await;
    assert_eq!(types(ours.body["events"].as_array().unwrap()), ["user.created"]);
    assert_eq!(ask("/tenants/globex/events").await.body["events"], json!([]));
    assert_eq!(ask("/tenants/nobody/events").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_large_change_and_a_deleted_group_are_reported_member_by_member_with_who_did_it() {
    if !is_embedded() {
        return;
    }
    let many: usize = std::env::var("ROLLCALL_SCALE").map_or(120, |count| count.parse().unwrap());
    let harness = Harness::new().await;
    let mut users = Vec::new();
    for i in 0..many {
        users.push(json!({"value": harness.user(&format!("m{i}")).await}));
    }
    let mut pump = Pump::new(&harness);
    let mut reader = Reader::new(&harness).await;
    pump.run(&harness).await;
    reader.read(&harness, 1_000).await;
    let large = group(&harness, "large").await;
    let path = format!("/Groups/{large}");
    let add = patch(json!([{"op": "add", "path": "members", "value": users}]));
    send(&harness, "PATCH", &path, add).await;
    pump.run(&harness).await;
    let events = reader.read(&harness, 1_000).await;
    let key = &events[0]["actor"]["key"];
    let added: Vec<_> = events.iter().filter(|event| event["type"] == "group.member_added").collect();
    assert_eq!((added.len(), events.len()), (many, many + 1));
    for event in added {
        assert_eq!((&event["actor"]["key"], &event["how"]), (key, &json!("patch")), "{event}");
        assert_eq!(event["group"], json!({"id": large, "displayName": "large"}));
    }
    send(&harness, "DELETE", &path, None).await;
    harness.settle().await;
    pump.run(&harness).await;
    let events = reader.read(&harness, 1_000).await;
    let removed: Vec<_> = events.iter().filter(|event| event["type"] == "group.member_removed").collect();
    assert_eq!((removed.len(), events.len()), (many, many + 1));
    for event in &events {
        assert_eq!((&event["actor"]["key"], &event["how"]), (key, &json!("delete")), "{event}");
    }
    for event in removed {
        assert_eq!(event["cause"], json!({"type": "group.deleted", "group": large}));
    }
    // Of few members, in the transaction of the deletion.
    let small = group(&harness, "small").await;
    send(&harness, "PATCH", &format!("/Groups/{small}"), member("add", users[0]["value"].as_str().unwrap())).await;
    send(&harness, "DELETE", &format!("/Groups/{small}"), None).await;
    pump.run(&harness).await;
    let events = reader.read(&harness, 1_000).await;
    let removed = events.iter().find(|event| event["type"] == "group.member_removed").unwrap();
    assert_eq!(removed["cause"], json!({"type": "group.deleted", "group": small}));
    assert_eq!(events.len(), 4, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_never_returned_is_in_no_event() {
    if !is_embedded() {
        return;
    }
    const APP: &str = "urn:example:params:scim:app:2.0:User";
    let harness = Harness::new().await;
    let text = json!({"name": "secretive", "credentials": ["bearer"], "attributes": ["userName", "title"], "schemas": [{"id": APP, "name": "App",
        "attributes": [{"name": "pin", "type": "string", "returned": "never", "mutability": "writeOnly"}]}]})
    .to_string();
    let tenant = tenant_with_profile(&harness, "hidden", &text).await;
    let all = key(&harness.app.store, &tenant, |record| record.scopes = Scope::ALL.to_vec()).await;
    let header = format!("Bearer {all}");
    let send = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let reply = harness.raw(method, &format!("/hidden{path}"), body, &[("authorization", &header)]).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        reply.body
    };
    let user = |name: &str, pin: &str| json!({"userName": name, "title": pin.len(), APP: {"pin": pin}});
    let creation = send("POST", "/scim/v2/Users", user("a", "c0de1")).await;
    let path = format!("/scim/v2/Users/{}", creation["id"].as_str().unwrap());
    send("PUT", &path, user("a", "c0de22")).await;
    send("PUT", &path, user("b", "c0de333")).await;
    send("PUT", &path, user("b", "c0de444")).await;
    send("DELETE", &path, Value::Null).await;
    Pump::new(&harness).run(&harness).await;
    let events = send("GET", "/events", Value::Null).await;
    // A change of an attribute that is never returned has no event.
    let report = events["events"].as_array().unwrap();
    assert_eq!(types(report), ["user.created", "user.updated", "user.updated", "user.deleted"]);
    assert!(!events.to_string().contains("c0de"), "{events:#}");
}
