//! The end of a tenant: its keys are refused at once, its data is deleted after a time, and its name is nobody's again.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use rollcall::app::{App, Clock};
use rollcall::limits::JOB_GRACE_SECONDS;
use rollcall::store::dynamo::embedded::ROWS_PER_BATCH;
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::feed::{Pump, all_events};
use crate::support::{Harness, Item, is_embedded, key, patch};

async fn populated() -> (Harness, String) {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let mut users = Vec::new();
    for number in 0..130 {
        let emails = json!([{"value": format!("a{number}@x")}, {"value": format!("b{number}@x")}]);
        let id = harness.create(json!({"userName": format!("u{number}"), "emails": emails})).await;
        users.push(json!({"value": id}));
    }
    for (name, members) in [("large", &users[..]), ("small", &users[..2]), ("empty", &[])] {
        let group = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
        assert_eq!(group.status, 201);
    }
    let gone = users[7]["value"].as_str().unwrap();
    assert_eq!(harness.send("DELETE", &format!("/Users/{gone}"), None).await.status, 204);
    harness.send("GET", "/Users?filter=nothing", None).await;
    let token = harness.app.store.client().put_item().table_name("test-tokens");
    let text = |text: &str| AttributeValue::S(text.to_owned());
    token.item("tenant", text("acme")).item("tokenId", text("x#y")).send().await.unwrap();
    all_events(&harness).await;
    (harness, admin)
}

async fn of_tenant(harness: &Harness, tenant: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for table in Table::ALL {
        let scan = harness.app.store.client().scan().table_name(harness.app.store.names().of(table));
        let mut all = scan.into_paginator().items().send();
        while let Some(item) = all.next().await {
            items.push(item.unwrap().into_iter().collect::<Item>());
        }
    }
    let starts = |value: &str| value == tenant || value.starts_with(&format!("{tenant}#"));
    items.retain(|item| {
        ["tenant", "pk", "sk"].iter().any(|key| item.get(*key).and_then(|v| v.as_s().ok()).is_some_and(|v| starts(v)))
    });
    items
}

fn after(duration: SignedDuration) -> Clock {
    Clock::Fixed(Arc::new(move || Timestamp::now() + duration))
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_tenant_but_its_name() {
    end_of_a_tenant().await;
}

/// A tenant from its decided end to its last item.
pub async fn end_of_a_tenant() {
    let (mut harness, admin) = populated().await;
    if is_embedded() {
        // As in `rollcall serve`: its engine takes larger batches of some kinds.
        let store = harness.app.store.clone().with_rows_per_batch(ROWS_PER_BATCH);
        harness.app = Arc::new(App { store, ..(*harness.app).clone() });
    }
    let globex = of_tenant(&harness, "globex").await;
    let closed = ask(&harness, &admin, "DELETE", "/tenants/acme", Value::Null).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    let closes: Timestamp = closed.body["closes"].as_str().unwrap().parse().unwrap();
    assert!(closes.duration_since(Timestamp::now()) > SignedDuration::from_hours(24 * 7 - 1));
    assert_eq!(harness.send("GET", "/Users", None).await.status, 401, "at once");
    // The waiting time lasts.
    harness.sweep(after(SignedDuration::from_hours(24 * 6))).await;
    assert_eq!(ask(&harness, &admin, "GET", "/tenants/acme", Value::Null).await.status, 200);
    let late = after(SignedDuration::from_hours(24 * 7) + SignedDuration::from_secs(JOB_GRACE_SECONDS + 60));
    let mut runs = 0;
    while of_tenant(&harness, "acme").await.len() > 1 {
        harness.sweep(late.clone()).await;
        runs += 1;
        assert!(runs < 50, "{:?}", of_tenant(&harness, "acme").await);
    }
    // What the stream says of the end is in no feed.
    all_events_of_nobody(&harness).await;
    let left = of_tenant(&harness, "acme").await;
    assert_eq!(left.len(), 1, "{left:?}");
    let names: Vec<_> = left[0].keys().map(String::as_str).collect();
    assert_eq!(names, ["ended", "f", "keyId", "tenant"]);
    assert_eq!(ask(&harness, &admin, "GET", "/tenants/acme", Value::Null).await.status, 404);
    assert_eq!(ask(&harness, &admin, "POST", "/tenants/acme/reopen", Value::Null).await.status, 404);
    assert_eq!(ask(&harness, &admin, "POST", "/tenants", json!({"name": "acme"})).await.status, 409, "for ever");
    let listed = ask(&harness, &admin, "GET", "/tenants", Value::Null).await.body;
    assert!(!listed.to_string().contains("acme"));
    assert_eq!(harness.send("GET", "/Users", None).await.status, 401);
    assert_eq!(of_tenant(&harness, "globex").await, globex, "another tenant");
}

/// Hands the rest of the streams to the worker.
async fn all_events_of_nobody(harness: &Harness) {
    Pump::new(harness).run(harness).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_can_be_taken_back_while_the_data_waits() {
    let (harness, admin) = populated().await;
    let closed = ask(&harness, &admin, "DELETE", "/tenants/acme?afterSeconds=3600", Value::Null).await;
    assert_eq!(closed.status, 200);
    assert_eq!(harness.send("GET", "/Users", None).await.status, 401);
    // A key that is created meanwhile does not work either.
    let body = json!({"description": "late"});
    let late = ask(&harness, &admin, "POST", "/tenants/acme/keys", body).await.body;
    assert_eq!(late["state"], "closed");
    let keys = ask(&harness, &admin, "GET", "/tenants/acme/keys", Value::Null).await.body;
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key["state"] == "closed"), "{keys}");
    let open = ask(&harness, &admin, "POST", "/tenants/acme/reopen", Value::Null).await;
    assert_eq!((open.status, open.body.get("closes")), (200, None), "{open:?}");
    assert_eq!(harness.send("GET", "/Users", None).await.status, 200);
    let header = format!("Bearer {}", late["secret"].as_str().unwrap());
    let users = harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &[("authorization", &header)]).await;
    assert_eq!(users.status, 200);
    harness.sweep(after(SignedDuration::from_hours(2))).await;
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 129);
    // Deleted again, with another time: the first one counts no more.
    ask(&harness, &admin, "DELETE", "/tenants/acme?afterSeconds=3600", Value::Null).await;
    ask(&harness, &admin, "DELETE", "/tenants/acme?afterSeconds=7776000", Value::Null).await;
    harness.sweep(after(SignedDuration::from_hours(48))).await;
    ask(&harness, &admin, "POST", "/tenants/acme/reopen", Value::Null).await;
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 129);
}

#[tokio::test(start_paused = true)]
async fn who_may_be_deleted_and_when_is_checked() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    for (path, status) in [
        ("/tenants/nobody", 404),
        ("/tenants/admin", 400),
        ("/tenants/acme?afterSeconds=x", 400),
        ("/tenants/acme?afterSeconds=-1", 400),
        ("/tenants/acme?afterSeconds=7776001", 400),
    ] {
        assert_eq!(ask(&harness, &admin, "DELETE", path, Value::Null).await.status, status, "{path}");
    }
    assert_eq!(harness.send("GET", "/Users", None).await.status, 200);
    let globex = "globex".parse().unwrap();
    let client = key(&harness.app.store, &globex, |_| {}).await;
    let header = format!("Bearer {client}");
    ask(&harness, &admin, "DELETE", "/tenants/globex?afterSeconds=0", Value::Null).await;
    for method in ["GET", "POST", "PATCH"] {
        let body = patch(json!([])).to_string().into_bytes();
        let reply = harness.raw(method, "/globex/scim/v2/Users", body, &[("authorization", &header)]).await;
        assert!(reply.status == 401 || reply.status == 405, "{method}: {reply:?}");
    }
}
