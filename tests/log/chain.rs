//! The hash chain finds a row that was altered and one that was deleted.

use std::process::Command;

use rollcall::store::dynamo::embedded::Engine;
use rollcall::store::model::chain::{ChainExamination, ChainHead, ChainRow};
use rollcall::store::model::notice::Notice;

use super::*;
use crate::serve::{ROLLCALL, Server, request};

/// What an examination of the lane of users says.
async fn examine(harness: &Harness, admin: &str) -> Result<u64, String> {
    let (mut examination, mut cursor) = (ChainExamination::default(), String::new());
    loop {
        let path = format!("/tenants/acme/log/chain?lane=u&cursor={}", encode(&cursor));
        let page = ask(harness, admin, "GET", &path, Value::Null).await;
        assert_eq!(page.status, 200, "{page:?}");
        let rows: Vec<ChainRow> = serde_json::from_value(page.body["rows"].clone()).unwrap();
        rows.iter().try_for_each(|row| examination.add(row, Timestamp::now().as_second()))?;
        match page.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => {
                let head: Option<ChainHead> = serde_json::from_value(page.body["head"].clone()).unwrap();
                return examination.end(head.as_ref()).map(|sound| sound.rows);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_altered_row_and_a_deleted_one_are_found_wherever_they_are() {
    if !is_embedded() {
        return;
    }
    for at in 0..4 {
        for is_deleted in [true, false] {
            let harness = Harness::new().await;
            for name in ["a", "b", "c", "d"] {
                harness.user(name).await;
            }
            all_events(&harness).await;
            let admin = harness.operator().await;
            assert_eq!(examine(&harness, &admin).await, Ok(4));
            let rows = harness.dump(Table::Changes).await;
            let mut rows: Vec<_> = rows.iter().filter(|row| row["pk"].as_s().unwrap() == "acme#u").collect();
            rows.sort_by_key(|row| row["sk"].as_s().unwrap().clone());
            let key = json!({"pk": {"S": "acme#u"}, "sk": {"S": rows[at]["sk"].as_s().unwrap()}});
            let table = harness.app.store.names().of(Table::Changes);
            let mut change = json!({"TableName": table, "Key": key});
            if !is_deleted {
                change["UpdateExpression"] = json!("SET event = :event");
                let event = rows[at]["event"].as_s().unwrap().replace("\"post\"", "\"put\"");
                change["ExpressionAttributeValues"] = json!({":event": {"S": event}});
            }
            let operation = if is_deleted { "DeleteItem" } else { "UpdateItem" };
            assert_eq!(harness.engine.call(operation, change.to_string().as_bytes()).0, 200);
            let found = examine(&harness, &admin).await;
            assert!(found.is_err(), "row {at}, deleted {is_deleted}: {found:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_comes_again_leaves_the_chain_sound() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    assert_eq!(examine(&harness, &admin).await, Ok(0), "nothing has happened");
    for round in 1..=3 {
        harness.user(&format!("user{round}")).await;
        all_events(&harness).await;
        all_events(&harness).await;
        assert_eq!(examine(&harness, &admin).await, Ok(round));
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_without_a_record_continues_the_chain() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let acme = "acme".parse().unwrap();
    let store = &harness.app.store;
    let gap = async |cause: &str| store.write_gap(&acme, Table::Users, cause, Timestamp::now()).await.unwrap();
    gap("before any record").await;
    assert_eq!(examine(&harness, &admin).await, Ok(1));
    harness.user("bob").await;
    all_events(&harness).await;
    assert_eq!(examine(&harness, &admin).await, Ok(2));
    for cause in ["a", "b", "b"] {
        gap(cause).await;
    }
    let notice = Notice::TenantSilent { since: Timestamp::now() };
    assert!(store.write_notice(&acme, &notice, Timestamp::now()).await.unwrap());
    assert_eq!(examine(&harness, &admin).await, Ok(5));
    harness.user("eve").await;
    all_events(&harness).await;
    assert_eq!(examine(&harness, &admin).await, Ok(6));
    let changes = entries(&harness, &admin, "acme", "kind=change").await;
    let mut types = texts(&changes, "/type");
    types.sort_unstable();
    assert_eq!(types, ["feed.gap", "feed.gap", "feed.gap", "tenant.silent", "user.created", "user.created"]);
}

#[test]
fn the_command_says_by_its_status_whether_the_log_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let log = |args: &[&str]| {
        let output = Command::new(ROLLCALL).arg("log").args(args).arg("--data").arg(folder.path()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let server = Server::start(folder.path());
    let (url, token) = (server.url().to_owned(), server.line("Secret token: ").to_owned());
    for name in ["bob", "eve", "bob"] {
        request(&url, &token, "POST", "/Users", &json!({"userName": name})).unwrap();
    }
    let start = std::time::Instant::now();
    while log(&["demo", "--json", "--kind", "change"]).1.lines().count() < 2 {
        assert!(start.elapsed().as_secs() < 30, "nothing came");
    }
    let (status, refusals) = log(&["demo", "--kind", "refusal"]);
    assert!(status == 0 && refusals.contains("409 POST users.create"), "{refusals}");
    assert!(log(&["demo", "--csv"]).1.lines().count() >= 5, "a header, two users, a refusal and what serve did");
    assert_eq!(log(&["verify", "demo"]).0, 0);
    assert_eq!(log(&["verify", "nobody"]).0, 2);
    drop(server);
    {
        let engine = Engine::in_file(folder.path().join("rollcall.db").to_str().unwrap()).unwrap();
        let query = json!({"TableName": "rollcall-changes", "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "demo#u"}}});
        let (_, rows) = engine.call("Query", query.to_string().as_bytes());
        let rows: Value = serde_json::from_slice(&rows).unwrap();
        let key = json!({"pk": rows["Items"][0]["pk"], "sk": rows["Items"][0]["sk"]});
        let delete = json!({"TableName": "rollcall-changes", "Key": key});
        assert_eq!(engine.call("DeleteItem", delete.to_string().as_bytes()).0, 200);
    }
    let (status, said) = log(&["verify", "demo"]);
    assert!(status == 1 && said.contains("users: broken") && said.contains("groups: sound"), "{said}");
}
