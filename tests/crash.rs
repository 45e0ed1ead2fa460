//! A process that dies at any call of any route leaves nothing half done, and the client's retry brings what it asked.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::crash::{Crash, LostAnswers};
use crate::support::wire::Layer;
use crate::support::{Harness, is_embedded, patch};

/// A request, and what must be true of the tenant after it, and before.
struct Change {
    name: &'static str,
    method: &'static str,
    path: fn(&str) -> String,
    body: Option<Value>,
    /// Acceptable to a client that retries: the change itself, or that it is there already.
    retried: &'static [u16],
}

fn user() -> Value {
    json!({"userName": "bob", "externalId": "E1", "displayName": "before",
        "emails": [{"value": "a@x", "primary": true}, {"value": "b@x"}]})
}

fn changes() -> Vec<Change> {
    let by_id: fn(&str) -> String = |id| format!("/Users/{id}");
    let renamed = json!({"userName": "eve", "externalId": "E2", "displayName": "after", "emails": [{"value": "b@x"}, {"value": "c@x"}]});
    let new = json!({"userName": "new", "displayName": "after", "emails": [{"value": "n@x"}, {"value": "m@x"}]});
    let set = patch(json!([{"op": "replace", "value": {"displayName": "after", "externalId": "E2"}}]));
    let rename = patch(json!([{"op": "replace", "value": {"displayName": "after", "userName": "eve"}}]));
    let change = |name, method, path, body, retried| Change { name, method, path, body, retried };
    vec![
        change(
            "create",
            "POST",
            |_| "/Users".to_owned(),
            Some(json!({"userName": "new", "displayName": "after"})),
            &[201, 409],
        ),
        change("create with further e-mails", "POST", |_| "/Users".to_owned(), Some(new), &[201, 409]),
        change("patch", "PATCH", by_id, Some(set), &[200]),
        change("rename by patch", "PATCH", by_id, Some(rename), &[200]),
        change("rename by put", "PUT", by_id, Some(renamed), &[200]),
        change("put", "PUT", by_id, Some(json!({"userName": "bob", "displayName": "after"})), &[200]),
        change("delete", "DELETE", by_id, None, &[204, 404]),
    ]
}

/// What every reader sees: each user whole, by each way to find it; keys and rows in step.
async fn observe(harness: &Harness, id: &str) -> Value {
    let listed = harness.send("GET", "/Users", None).await.body;
    let by_id = harness.send("GET", &format!("/Users/{id}"), None).await;
    let mut found = Vec::new();
    for value in ["a@x", "b@x", "c@x", "n@x", "m@x"] {
        found.push(names(harness.find(&format!("emails.value eq \"{value}\"")).await));
    }
    for filter in [
        "externalId eq \"E1\"",
        "externalId eq \"E2\"",
        "userName eq \"bob\"",
        "userName eq \"eve\"",
        "userName eq \"new\"",
    ] {
        found.push(names(harness.find(filter).await));
    }
    let users: Vec<_> = listed["Resources"].as_array().unwrap().iter().map(core).collect();
    let rows = harness.dump(rollcall::store::dynamo::tables::Table::Links).await.len();
    json!({"users": users, "total": listed["totalResults"], "byId": by_id.status, "found": found, "rows": rows})
}

fn core(user: &Value) -> Value {
    json!([user["userName"], user["displayName"], user["externalId"], user["emails"]])
}

fn names(users: Vec<Value>) -> Vec<Value> {
    users.iter().map(|user| user["userName"].clone()).collect()
}

async fn start() -> (Harness, String) {
    let harness = Harness::new().await;
    let id = harness.create(user()).await;
    (harness, id)
}

async fn send(harness: &Harness, change: &Change, id: &str) -> u16 {
    harness.send(change.method, &(change.path)(id), change.body.clone()).await.status
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_leaves_the_old_or_the_new_state_and_a_retry_the_new_one() {
    if !is_embedded() {
        return;
    }
    for change in changes() {
        let (reference, id) = start().await;
        let before = observe(&reference, &id).await;
        assert!(send(&reference, &change, &id).await < 300, "{}", change.name);
        let after = observe(&reference, &id).await;
        assert_ne!(before, after, "{}", change.name);
        let mut points = 0;
        for crash in (1..).flat_map(|at| [Crash::before(at), Crash::after(at)]) {
            let (harness, id) = start().await;
            let dying = harness.again(vec![crash.clone() as Arc<dyn Layer>]).await;
            let status = send(&dying, &change, &id).await;
            if !crash.happened() {
                assert!(status < 300);
                break;
            }
            points += 1;
            assert_eq!(status, 503, "{}: what is not known to be done is said to be unknown", change.name);
            let left = observe(&harness, &id).await;
            assert!(left == before || left == after, "{} half done: {left}", change.name);
            let retried = send(&harness, &change, &id).await;
            assert!(change.retried.contains(&retried), "{}: retry answered {retried}", change.name);
            assert_eq!(observe(&harness, &id).await, after, "{}", change.name);
        }
        assert!(points >= 4, "{}: {points} points", change.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_recognised_as_ones_own() {
    if !is_embedded() {
        return;
    }
    for change in changes() {
        let (reference, id) = start().await;
        let first = send(&reference, &change, &id).await;
        let after = observe(&reference, &id).await;
        let (harness, id) = start().await;
        // Every first answer to a write is lost, and the SDK sends the write again.
        let lossy = harness.again(vec![LostAnswers::every(2) as Arc<dyn Layer>]).await;
        let _ = lossy.send("POST", "/Users", json!({"userName": "warm-up"})).await;
        let status = send(&lossy, &change, &id).await;
        assert_eq!(status, first, "{}: not 409, 412 or 404", change.name);
        harness
            .send(
                "DELETE",
                &format!("/Users/{}", harness.find("userName eq \"warm-up\"").await[0]["id"].as_str().unwrap()),
                None,
            )
            .await;
        assert_eq!(observe(&harness, &id).await, after, "{}", change.name);
    }
}
