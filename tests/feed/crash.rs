//! Each change is in the feed once, whatever dies and whatever comes again; and a reader sees nothing that is not whole.

use std::sync::Arc;

use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use super::{group, member, send};
use crate::support::crash::Crash;
use crate::support::feed::{Pump, Reader, all_events, hand_over};
use crate::support::pause::Pause;
use crate::support::wire::Layer;
use crate::support::{Harness, Item, is_embedded, patch};

/// Some changes of each kind, and the records of users and of groups.
async fn with_changes() -> (Harness, Vec<Vec<Value>>) {
    let harness = Harness::new().await;
    let mut users = Vec::new();
    let team = group(&harness, "team").await;
    for i in 0..28 {
        users.push(harness.create(json!({"userName": format!("u{i}"), "title": "t"})).await);
    }
    let path = format!("/Groups/{team}");
    for id in users.iter().take(12) {
        send(&harness, "PATCH", &path, member("add", id)).await;
    }
    send(&harness, "PATCH", &path, member("remove", &users[0])).await;
    send(&harness, "PUT", &format!("/Users/{}", users[1]), json!({"userName": "renamed"})).await;
    let rename = patch(json!([{"op": "replace", "path": "displayName", "value": "crew"}]));
    send(&harness, "PATCH", &path, rename).await;
    send(&harness, "DELETE", &format!("/Users/{}", users[2]), None).await;
    send(&harness, "DELETE", &path, None).await;
    let records = Pump::new(&harness).peek(&harness, 1_000);
    (harness, records)
}

/// The rows of the feed, without those that the requests have written.
async fn rows(harness: &Harness) -> Vec<Item> {
    let mut rows = harness.dump(Table::Changes).await;
    rows.retain(|row| !["#a", "#d"].iter().any(|lane| row["pk"].as_s().unwrap().ends_with(lane)));
    rows
}

async fn clear(harness: &Harness) {
    let (client, table) = (harness.app.store.client(), harness.app.store.names().of(Table::Changes));
    for row in rows(harness).await {
        let delete = client.delete_item().table_name(table).key("pk", row["pk"].clone()).key("sk", row["sk"].clone());
        delete.send().await.unwrap();
    }
}

fn nothing_failed() -> Value {
    json!({"batchItemFailures": []})
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_at_any_call_leaves_a_beginning_of_the_feed_and_the_next_one_the_whole() {
    if !is_embedded() {
        return;
    }
    let (harness, records) = with_changes().await;
    let expected = all_events(&harness).await;
    let reference = rows(&harness).await;
    assert!(expected.len() > 40, "{}", expected.len());
    let mut reader = Reader::new(&harness).await;
    let mut points = 0;
    for crash in (1..).flat_map(|at| [Crash::before(at), Crash::after(at)]) {
        clear(&harness).await;
        let dying = harness.again(vec![crash.clone() as Arc<dyn Layer>]).await;
        for records in &records {
            hand_over(&dying.app.store, records).await;
        }
        if !crash.happened() {
            break;
        }
        points += 1;
        reader.cursor.clear();
        let seen = reader.read(&harness, 40).await;
        for lane in ["_u_", "_g_"] {
            let of_lane = |events: &[Value]| -> Vec<Value> {
                events.iter().filter(|event| event["id"].as_str().unwrap().contains(lane)).cloned().collect()
            };
            let (seen, expected) = (of_lane(&seen), of_lane(&expected));
            assert!(seen == expected || seen.is_empty(), "a reader sees a part of what is not whole");
        }
        for records in &records {
            assert_eq!(hand_over(&harness.app.store, records).await, nothing_failed());
        }
        assert_eq!(rows(&harness).await, reference);
        let rest = reader.read(&harness, 40).await;
        let mut ids: Vec<_> = seen.iter().chain(&rest).map(|event| event["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), seen.len() + rest.len()), (expected.len(), expected.len()), "each once");
    }
    assert!(points >= 20, "{points} points");
}

#[tokio::test(start_paused = true)]
async fn records_that_come_again_in_other_batches_make_the_same_rows() {
    if !is_embedded() {
        return;
    }
    let (harness, records) = with_changes().await;
    all_events(&harness).await;
    // A record is counted in the head once, also if it comes again.
    let reference = rows(&harness).await;
    for size in [1, 2, 7, 100] {
        clear(&harness).await;
        for records in &records {
            for end in (0..records.len()).step_by(size).chain([records.len()]) {
                let start = end.saturating_sub(2 * size);
                assert_eq!(hand_over(&harness.app.store, &records[start..end]).await, nothing_failed());
            }
        }
        assert_eq!(rows(&harness).await, reference, "batches of {size}");
        // Late, all of it once more.
        for records in &records {
            assert_eq!(hand_over(&harness.app.store, records).await, nothing_failed());
        }
        assert_eq!(rows(&harness).await, reference, "batches of {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_at_once_one_is_refused_and_nothing_is_twice() {
    if !is_embedded() {
        return;
    }
    let (harness, records) = with_changes().await;
    let expected = all_events(&harness).await.len();
    clear(&harness).await;
    let store = &harness.app.store;
    let both = futures_util::future::join(hand_over(store, &records[0]), hand_over(store, &records[0]));
    let (a, b) = both.await;
    assert!(a != b || a == nothing_failed(), "one of two is late: {a} {b}");
    assert_eq!(hand_over(store, &records[0]).await, nothing_failed());
    assert_eq!(hand_over(store, &records[1]).await, nothing_failed());
    assert_eq!(Reader::new(&harness).await.read(&harness, 1_000).await.len(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_new_stream_is_reported_and_goes_on_from_any_number() {
    if !is_embedded() {
        return;
    }
    let (harness, records) = with_changes().await;
    let before = all_events(&harness).await;
    // As if the table had been restored: its stream has another label, and numbers that begin anew.
    let mut again = records[0].clone();
    for (number, record) in again.iter_mut().enumerate() {
        record["eventSourceARN"] = json!("arn:aws:dynamodb:x:1:table/t/stream/9999-01-01");
        record["dynamodb"]["SequenceNumber"] = json!((number + 1).to_string());
    }
    for _ in 0..2 {
        assert_eq!(hand_over(&harness.app.store, &again).await, nothing_failed());
    }
    // What is left of the old stream changes nothing.
    assert_eq!(hand_over(&harness.app.store, &records[0]).await, nothing_failed());
    let after = Reader::new(&harness).await.read(&harness, 1_000).await;
    let resets = after.iter().filter(|event| event["type"] == "feed.reset").count();
    let of_users = before.iter().filter(|event| event["id"].as_str().unwrap().contains("_u_")).count();
    assert_eq!((resets, after.len()), (1, before.len() + of_users + 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_not_ours_is_a_gap_and_no_silence() {
    if !is_embedded() {
        return;
    }
    let (harness, mut records) = with_changes().await;
    records[1][0]["dynamodb"]["NewImage"].as_object_mut().unwrap().shift_remove("doc");
    assert_eq!(hand_over(&harness.app.store, &records[1]).await, nothing_failed());
    let events = Reader::new(&harness).await.read(&harness, 1_000).await;
    assert_eq!((&events[0]["type"], &events[0]["resource"]["type"]), (&json!("feed.gap"), &json!("Feed")));
}

/// The record of the old name comes alone, and the user is deleted between the worker's two looks.
#[tokio::test(start_paused = true)]
async fn a_rename_is_no_deletion_although_the_user_is_deleted_while_the_worker_looks() {
    if !is_embedded() {
        return;
    }
    for at in 1..8 {
        let harness = Harness::new().await;
        let path = format!("/Users/{}", harness.user("bob").await);
        send(&harness, "PUT", &path, json!({"userName": "eve"})).await;
        let records = Pump::new(&harness).peek(&harness, 9).swap_remove(0);
        let names: Vec<_> = records.iter().map(|record| record["eventName"].as_str().unwrap()).collect();
        assert_eq!(names, ["INSERT", "REMOVE", "INSERT"]);
        let pause = Pause::at_call("Query", at);
        let slow = harness.again(vec![pause.clone() as Arc<dyn Layer>]).await;
        let one_by_one = async {
            for record in &records {
                assert_eq!(hand_over(&slow.app.store, std::slice::from_ref(record)).await, nothing_failed());
            }
        };
        let meanwhile = async {
            tokio::select! {
                () = pause.reached() => send(&harness, "DELETE", &path, None).await,
                // Fewer calls than that.
                () = tokio::time::sleep(std::time::Duration::from_secs(5)) => Value::Null,
            };
            pause.go_on();
        };
        futures_util::future::join(one_by_one, meanwhile).await;
        let events = all_events(&harness).await;
        let report = super::types(&events);
        assert!(
            report == ["user.created", "user.updated"] || report == ["user.created", "user.updated", "user.deleted"],
            "{report:?}"
        );
    }
}
