//! The feed reports each change once, in order, with who did it; and nothing else.

use serde_json::{Value, json};

mod commands;
mod crash;
mod follower;
mod ledger;
mod outward;
mod reader;

use crate::support::feed::{Pump, Reader, all_events};
use crate::support::{Harness, is_embedded, patch};

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn member(op: &str, id: &str) -> Value {
    match op {
        "add" => patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}])),
        _ => patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}])),
    }
}

async fn group(harness: &Harness, name: &str) -> String {
    let reply = harness.send("POST", "/Groups", json!({"displayName": name})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

async fn send(harness: &Harness, method: &str, path: &str, body: impl Into<Option<Value>>) -> Value {
    let reply = harness.send(method, path, body).await;
    assert!(reply.status < 300, "{method} {path}: {reply:?}");
    reply.body
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_user_is_four_events_in_order() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let group = group(&harness, "team").await;
    let id = harness.create(json!({"userName": "bob", "externalId": "E1", "title": "Engineer"})).await;
    send(&harness, "PATCH", &format!("/Groups/{group}"), member("add", &id)).await;
    let leaves = patch(json!([{"op": "Replace", "value": {"active": false, "title": "Left"}}]));
    let path = format!("/Users/{id}");
    send(&harness, "PATCH", &path, leaves.clone()).await;
    // Nothing changes, and no event is written.
    send(&harness, "PATCH", &path, leaves).await;
    send(&harness, "DELETE", &path, None).await;
    let events = all_events(&harness).await;
    let of_user: Vec<Value> =
        events.iter().filter(|event| event["resource"]["id"] == id || event["user"]["id"] == id).cloned().collect();
    assert_eq!(types(&of_user), ["user.created", "group.member_added", "user.deactivated", "user.deleted"]);
    assert_eq!(events.len(), 5, "{events:#?}");
    let [created, added, deactivated, deleted] = &of_user[..] else { panic!() };
    assert_eq!(created["data"], json!({"userName": "bob", "externalId": "E1", "title": "Engineer"}));
    assert_eq!(
        created["resource"],
        json!({"type": "User", "id": id, "externalId": "E1", "userName": "bob", "version": "W/\"1\""})
    );
    assert_eq!(created["how"], "post");
    assert_eq!(added["group"], json!({"id": group, "displayName": "team"}));
    assert_eq!(added["user"], json!({"id": id, "externalId": "E1", "userName": "bob"}));
    assert_eq!(deactivated["changed"], json!(["title", "active"]));
    assert_eq!(deactivated["before"], json!({"title": "Engineer"}));
    assert_eq!(deactivated["data"], json!({"active": false, "title": "Left"}));
    assert_eq!(deactivated["actor"]["client"], "entra");
    assert_eq!(deleted["groups"], json!([group]));
    let key = created["actor"]["key"].as_str().unwrap();
    for event in &of_user {
        assert_eq!((&event["actor"]["key"], &event["actor"]["description"]), (&json!(key), &json!("test")), "{event}");
        assert_eq!(event["request"].as_str().unwrap().len(), 32, "{event}");
        assert_eq!(event["tenant"], "acme");
        assert!(
            event["timestamp"].as_str().unwrap().ends_with('Z') && event["id"].as_str().unwrap().starts_with("evt_u_")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rename_is_one_update_and_a_deletion_after_it_is_reported() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let group = group(&harness, "team").await;
    let id = harness.create(json!({"userName": "bob", "title": "x"})).await;
    send(&harness, "PATCH", &format!("/Groups/{group}"), member("add", &id)).await;
    let path = format!("/Users/{id}");
    let mut pump = Pump::new(&harness);
    send(&harness, "PUT", &path, json!({"userName": "eve", "nickName": "e", "active": false})).await;
    // Once reported while the user exists, and once after its deletion.
    for is_late in [false, true] {
        if is_late {
            send(&harness, "PUT", &path, json!({"userName": "eva", "active": true})).await;
            send(&harness, "DELETE", &path, None).await;
        }
        pump.run(&harness).await;
    }
    let events = Reader::new(&harness).await.read(&harness, 2).await;
    let of_users: Vec<Value> =
        events.into_iter().filter(|event| event["id"].as_str().unwrap().contains("_u_")).collect();
    assert_eq!(
        types(&of_users),
        ["user.created", "group.member_added", "user.deactivated", "user.reactivated", "user.deleted"]
    );
    assert_eq!(of_users[2]["before"], json!({"userName": "bob", "title": "x"}));
    assert_eq!(of_users[2]["data"], json!({"userName": "eve", "nickName": "e", "active": false, "title": null}));
    assert_eq!(of_users[4]["groups"], json!([group]));
    assert_eq!(of_users[4]["resource"]["userName"], "eva");
}

#[tokio::test(start_paused = true)]
async fn an_event_has_how_by_which_client_and_which_rules_it_took() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let group = group(&harness, "team").await;
    let id = harness.create(json!({"userName": "bob", "externalId": 7, "password": "x"})).await;
    let path = format!("/Users/{id}");
    let entra = patch(json!([{"op": "Replace", "path": "active", "value": "False"}]));
    send(&harness, "PATCH", &path, entra).await;
    let flagged = patch(json!([{"op": "replace", "value": {"title": "x", "name.givenName": "Bo"}}]));
    send(&harness, "PATCH", &path, flagged).await;
    let operations = json!([{"method": "PATCH", "path": format!("/Groups/{group}"), "data": member("add", &id)},
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": "eve"}}]);
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
    send(&harness, "POST", "/Bulk", bulk).await;
    let okta = [("user-agent", "Okta SCIM Client 1.0.0")];
    assert_eq!(harness.send_with("DELETE", &path, None, &okta).await.status, 204);
    let events = all_events(&harness).await;
    let manner = |kind: &str, name: &str| {
        let is_it = |event: &&Value| event["type"] == kind && event.to_string().contains(name);
        let event = events.iter().find(is_it).unwrap_or_else(|| panic!("{kind} {name}: {events:#?}"));
        [&event["how"], &event["method"], &event["actor"]["client"], &event["rules"]].map(Value::clone)
    };
    let null = Value::Null;
    let rules = json!(["number-where-text-is-defined", "password"]);
    assert_eq!(manner("user.created", "bob"), [json!("post"), null.clone(), json!("other"), rules]);
    let rules = json!(["operation-in-any-case", "boolean-as-text"]);
    assert_eq!(manner("user.deactivated", "bob"), [json!("patch"), null.clone(), json!("entra"), rules]);
    assert_eq!(manner("user.updated", "bob"), [json!("patch"), null.clone(), json!("entra-flag"), null.clone()]);
    assert_eq!(manner("group.member_added", "bob"), [json!("bulk"), json!("patch"), json!("other"), null.clone()]);
    assert_eq!(manner("user.created", "eve"), [json!("bulk"), json!("post"), json!("other"), null.clone()]);
    assert_eq!(manner("user.deleted", "bob"), [json!("delete"), null.clone(), json!("okta"), null]);
}
