//! The worker's look for work: what it cannot read, and who fails, hold up nobody else.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use rollcall::app::Clock;
use rollcall::limits::{JOB_GRACE_SECONDS, JOB_LANES, MAX_JOB_RETRY_SECONDS, MAX_JOBS_PER_LANE};
use rollcall::store::dynamo::tables::Table;
use rollcall::worker::Sweep;
use serde_json::json;

use crate::support::throttle::{Refuse, Throttle};
use crate::support::wire::DynamoCall;
use crate::support::{Harness, is_embedded, patch};

/// A job that is ready for each tenant: the members of a group that is deleted.
async fn deleted_groups(harness: &Harness, count: usize) {
    for key in [&harness.acme, &harness.globex] {
        let tenant = if *key == harness.acme { "acme" } else { "globex" };
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str())];
        for number in 0..count {
            let body = json!({"displayName": format!("Group {number}")}).to_string().into_bytes();
            let group = harness.raw("POST", &format!("/{tenant}/scim/v2/Groups"), body, &headers).await;
            let path = format!("/{tenant}/scim/v2/Groups/{}", group.body["id"].as_str().unwrap());
            assert_eq!(harness.raw("DELETE", &path, Vec::new(), &headers).await.status, 204);
        }
    }
}

fn after(seconds: i64) -> Clock {
    Clock::Fixed(Arc::new(move || Timestamp::now() + SignedDuration::from_secs(seconds)))
}

fn ready() -> Clock {
    after(JOB_GRACE_SECONDS + 1)
}

async fn put(harness: &Harness, pk: &str, sk: &str) {
    let put = harness.app.store.client().put_item().table_name(harness.app.store.names().of(Table::Links));
    let put = put.item("pk", AttributeValue::S(pk.into())).item("sk", AttributeValue::S(sk.into()));
    put.item("work", AttributeValue::S("of another version".into())).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_is_counted_and_stops_no_other() {
    let harness = Harness::new().await;
    for lane in 0..JOB_LANES {
        put(&harness, &format!("job#{lane:02x}"), "acme#!").await;
        put(&harness, &format!("job#{lane:02x}"), "!").await;
    }
    let batch = format!("acme#{}.1", uuid::Uuid::from_u128(1));
    put(&harness, "job#00", &batch).await;
    deleted_groups(&harness, 20).await;
    let sweep = harness.sweep(ready()).await;
    let rows = 2 * usize::from(JOB_LANES) + 1;
    assert_eq!((sweep.done, sweep.failed, sweep.unreadable, sweep.unread_lanes), (40, 0, rows, 0));
    assert_eq!(harness.sweep(ready()).await, Sweep { unreadable: rows, ..Sweep::default() });
    let user = harness.user("bob").await;
    assert_eq!(harness.send("DELETE", &format!("/Users/{user}"), None).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_not_ready_is_left_at_once() {
    let harness = Harness::new().await;
    deleted_groups(&harness, 1).await;
    let begun = tokio::time::Instant::now();
    let sweep = harness.sweep(Clock::System).await;
    assert_eq!((sweep.done, sweep.failed), (0, 0));
    assert!(begun.elapsed().as_millis() < 100, "{:?}", begun.elapsed());
    assert_eq!(harness.sweep(ready()).await.done, 2);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_whose_jobs_fail_stops_no_other() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    deleted_groups(&harness, 20).await;
    for code in ["ProvisionedThroughputExceededException", "ValidationException"] {
        let is_of_acme = |call: &DynamoCall| {
            call.written_items().iter().any(|(_, key)| key.contains("/acme#")) && call.operation == "DeleteItem"
        };
        let sweep = harness.again(vec![Refuse::new(code, is_of_acme)]).await.sweep(ready()).await;
        // A tenant that is throttled is left alone after the first refusal.
        let expected = if code.starts_with('P') { (20, 1) } else { (0, 20) };
        assert_eq!((sweep.done, sweep.failed, sweep.unreadable), (expected.0, expected.1, 0), "{code}");
    }
    // Each was put off by its own age.
    assert_eq!(harness.sweep(after(JOB_GRACE_SECONDS + 2)).await.done, 0);
    assert_eq!(harness.sweep(after(4 * JOB_GRACE_SECONDS)).await.done, 20);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_always_fails_is_tried_once_a_day_in_the_end() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    deleted_groups(&harness, 1).await;
    let refuse = Refuse::new("ValidationException", |call| call.operation == "DeleteItem");
    let broken = harness.again(vec![refuse.clone()]).await;
    // Every ten minutes at first, and then every six hours.
    let days = 7;
    for seconds in (0..6).map(|turn| 600 * turn).chain((1..=4 * days).map(|turn| 6 * 3_600 * turn)) {
        broken.sweep(after(seconds)).await;
    }
    let tries = refuse.raised() / 2;
    assert!((8..=14).contains(&tries), "{tries} tries in {days} days");
    let sweep = harness.sweep(after(days * 86_400 + MAX_JOB_RETRY_SECONDS + 60)).await;
    assert_eq!(sweep.done, 2);
    assert!(sweep.oldest_seconds >= 7 * 86_400, "{sweep:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_does_not_answer_stops_no_other() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    deleted_groups(&harness, 30).await;
    let is_of_lane = |call: &DynamoCall| call.body.to_string().contains("\"job#03\"") && call.operation == "Query";
    let broken = harness.again(vec![Refuse::new("InternalServerError", is_of_lane)]).await;
    let sweep = broken.sweep(ready()).await;
    assert_eq!((sweep.unread_lanes, sweep.failed), (1, 0));
    assert!(sweep.done > 40, "{sweep:?}");
    assert_eq!(harness.sweep(ready()).await.done, 60 - sweep.done);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_with_very_many_jobs_hides_none_of_another() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    for lane in 0..JOB_LANES {
        let of_lane = |number: usize| {
            let item = json!({"pk": {"S": format!("job#{lane:02x}")}, "sk": {"S": format!("acme#{number:06}")},
                "work": {"S": "tombstone"}, "req": {"S": "r".repeat(600)}, "at": {"N": "99999999999999"}});
            json!({"PutRequest": {"Item": item}})
        };
        let rows: Vec<_> = (0..2 * MAX_JOBS_PER_LANE).map(of_lane).collect();
        for some in rows.chunks(25) {
            let body = json!({"RequestItems": {"test-links": some}}).to_string();
            assert_eq!(harness.engine.call("BatchWriteItem", body.as_bytes()).0, 200);
        }
    }
    deleted_groups(&harness, 20).await;
    let sweep = harness.sweep(ready()).await;
    assert!((20..=40).contains(&sweep.done), "{sweep:?}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_batch_slows_down_and_leaves_room_for_requests() {
    if !is_embedded() {
        return;
    }
    let throttle = Throttle::new(200.0);
    let harness = Harness::new().await;
    let mut members = Vec::new();
    for number in 0..1_000 {
        members.push(json!({"value": harness.user(&format!("user{number}")).await}));
    }
    let of = |name: &str| json!({"displayName": name});
    let group = harness.send("POST", "/Groups", of("large")).await.body["id"].as_str().unwrap().to_owned();
    let other = harness.send("POST", "/Groups", of("small")).await.body["id"].as_str().unwrap().to_owned();
    let id = harness.user("foreground").await;
    let slow = harness.again(vec![throttle.clone()]).await;
    let large = async {
        let operation = json!({"op": "add", "path": "members", "value": members});
        slow.send("PATCH", &format!("/Groups/{group}"), patch(json!([operation]))).await
    };
    let foreground = async {
        let mut statuses = Vec::new();
        for turn in 0..40 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let op = if turn % 2 == 0 { "add" } else { "remove" };
            let operation = json!({"op": op, "path": "members", "value": [{"value": id}]});
            statuses.push(slow.send("PATCH", &format!("/Groups/{other}"), patch(json!([operation]))).await.status);
        }
        statuses
    };
    let (large, statuses) = tokio::join!(large, foreground);
    assert_eq!(large.status, 204, "{large:?}");
    let refused = statuses.iter().filter(|status| **status != 204).count();
    let transactions = throttle.transactions();
    let throttled = transactions.iter().filter(|(_, is_throttled)| *is_throttled).count();
    eprintln!("{refused} of 40 requests refused; {throttled} of {} transactions throttled", transactions.len());
    assert!(throttled > 3, "the table never throttled");
    assert!(
        transactions.iter().any(|(items, is_throttled)| !is_throttled && (3..60).contains(items)),
        "none was smaller"
    );
    // A client tries a 429 again: one is no starving.
    assert!(refused <= 1, "the batch starves requests: {statuses:?}");
    harness.settle().await;
    let read = harness.send("GET", &format!("/Groups/{group}"), None).await;
    assert_eq!(read.body["members"].as_array().unwrap().len(), 1_000);
}
