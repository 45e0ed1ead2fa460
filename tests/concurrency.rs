//! Many clients at once, with conflicts as DynamoDB raises them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rollcall::limits::REQUEST_SECONDS;
use serde_json::{Value, json};

use crate::support::conflict::Conflict;
use crate::support::wire::{Answer, DynamoCall, Held, Layer, Lost};
use crate::support::{Harness, is_embedded, patch};

async fn contested() -> (Harness, Arc<Conflict>) {
    let conflict = Conflict::new();
    (Harness::with(vec![conflict.clone()]).await, conflict)
}

fn count(replies: &[crate::support::ScimResponse], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

#[tokio::test(start_paused = true)]
async fn of_40_creates_of_one_name_in_any_case_exactly_one_succeeds() {
    let (harness, _) = contested().await;
    let spellings = ["bob@example.com", "BOB@example.com", "Bob@Example.com", "bOB@eXAMPLE.COM"];
    let posts =
        (0..40).map(|i| harness.send("POST", "/Users", json!({"userName": spellings[i % 4], "title": i.to_string()})));
    let replies = join_all(posts).await;
    assert_eq!((count(&replies, 201), count(&replies, 409)), (1, 39));
    assert!(replies.iter().all(|reply| reply.status == 201 || reply.body["scimType"] == "uniqueness"));
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 1);
}

#[tokio::test(start_paused = true)]
async fn of_32_puts_with_one_if_match_exactly_one_succeeds() {
    let (harness, _) = contested().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    for renames in [false, true] {
        let etag = harness.send("GET", &path, None).await.headers["etag"].to_str().unwrap().to_owned();
        let headers = [("if-match", etag.as_str())];
        let puts = (0..32).map(|i| {
            let name = if renames { format!("bob-{i}") } else { "bob".to_owned() };
            harness.send_with("PUT", &path, json!({"userName": name, "title": format!("{renames} {i}")}), &headers)
        });
        let replies = join_all(puts).await;
        assert_eq!((count(&replies, 200), count(&replies, 412)), (1, 31), "renames: {renames}");
        let winner = replies.iter().find(|reply| reply.status == 200).unwrap();
        assert_eq!(harness.send("GET", &path, None).await.body, winner.body);
    }
}

#[tokio::test(start_paused = true)]
async fn of_40_patches_of_different_attributes_none_is_lost() {
    let (harness, _) = contested().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    let extension = "urn:acme:2.0:User";
    let patches = (0..40).map(|i| {
        harness.send("PATCH", &path, patch(json!([{"op": "add", "path": format!("{extension}:a{i}"), "value": i}])))
    });
    let replies = join_all(patches).await;
    assert_eq!(count(&replies, 200), 40);
    let user = harness.send("GET", &path, None).await.body;
    assert_eq!(user[extension].as_object().unwrap().len(), 40);
    assert_eq!(user["meta"]["version"], "W/\"41\"");
}

#[tokio::test(start_paused = true)]
async fn renames_patches_and_deletes_at_once_end_as_if_one_after_the_other() {
    let (harness, conflict) = contested().await;
    let path = format!(
        "/Users/{}",
        harness.create(json!({"userName": "bob", "emails": [{"value": "a"}, {"value": "b"}]})).await
    );
    let operations = (0..30).map(|i| {
        let operation = match i % 3 {
            0 => json!({"op": "replace", "path": "userName", "value": format!("bob-{i}")}),
            1 => json!({"op": "add", "path": "emails", "value": [{"value": format!("m{i}")}]}),
            _ => json!({"op": "add", "path": format!("urn:acme:2.0:User:a{i}"), "value": i}),
        };
        harness.send("PATCH", &path, patch(json!([operation])))
    });
    let replies = join_all(operations).await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(
        refused.iter().all(|reply| reply.status == 503 && reply.headers.contains_key("retry-after")),
        "{refused:?}"
    );
    let done =
        |kind: usize| replies.iter().enumerate().filter(|(i, reply)| i % 3 == kind && reply.status == 200).count();
    let user = harness.send("GET", &path, None).await.body;
    assert_eq!(user["emails"].as_array().unwrap().len(), 2 + done(1));
    assert_eq!(user["urn:acme:2.0:User"].as_object().map_or(0, |extension| extension.len()), done(2));
    assert!(refused.len() < 10, "{} of 30 gave up", refused.len());
    assert!(conflict.raised() > 0 || !is_embedded(), "the connector raised nothing");
    // Every address leads to the user, and the name to nobody else.
    for email in user["emails"].as_array().unwrap() {
        let found = harness.find(&format!("emails.value eq {}", email["value"])).await;
        assert_eq!(found, std::slice::from_ref(&user));
    }
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_delete_among_patches_is_final() {
    let (harness, _) = contested().await;
    let id = harness.user("bob").await;
    let path = format!("/Users/{id}");
    let patches = (0..20)
        .map(|i| harness.send("PATCH", &path, patch(json!([{"op": "add", "path": "title", "value": i.to_string()}]))));
    let (patched, deleted) = futures_util::future::join(join_all(patches), harness.send("DELETE", &path, None)).await;
    assert_eq!(deleted.status, 204);
    assert!(patched.iter().all(|reply| matches!(reply.status, 200 | 404)));
    assert_eq!(harness.send("GET", &path, None).await.status, 404);
    assert_eq!(harness.send("GET", "/Users", None).await.body["Resources"], Value::Array(Vec::new()));
}

/// Calls take long, and whoever writes meets somebody else's transaction.
struct Crowded;

impl Layer for Crowded {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionConflictException";
        Ok((!call.written_items().is_empty()).then(|| (400, json!({"__type": kind, "message": "conflict"}))))
    }

    fn hold<'a>(&'a self, _: &'a DynamoCall) -> Held<'a> {
        Box::pin(tokio::time::sleep(Duration::from_secs(2)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_before_the_function_times_out() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    let crowded = harness.again(vec![Arc::new(Crowded)]).await;
    let started = tokio::time::Instant::now();
    let body = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    let reply = crowded.send("PATCH", &path, body).await;
    assert_eq!((reply.status, reply.headers["retry-after"].to_str().unwrap()), (503, "1"));
    assert!(reply.body["detail"].as_str().unwrap().contains("too long"), "{reply:?}");
    assert_eq!(started.elapsed().as_secs(), REQUEST_SECONDS);
}
