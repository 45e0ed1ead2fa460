//! `/Bulk`: who may send one, how large it may be, and how long it may take.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rollcall::auth::Scope;
use rollcall::limits::{BULK_RESPONSE_DEADLINE_SECONDS, MAX_BODY_BYTES, MAX_BULK_OPERATIONS};
use rollcall::store::dynamo::tables::Table;
use rollcall::tenant::TenantName;
use serde_json::{Value, json};

use crate::bulk::{bulk, detail, group, names, post, send, statuses, user};
use crate::support::wire::{Answer, DynamoCall, Held, Layer, Lost};
use crate::support::{Harness, is_embedded, key, patch};

/// Counts lookups of keys.
#[derive(Default)]
struct Lookups(AtomicUsize);

impl Layer for Lookups {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let is_key = call.body["TableName"].as_str().is_some_and(|table| table.ends_with("keys"));
        self.0.fetch_add(usize::from(is_key), Ordering::SeqCst);
        Ok(None)
    }
}

#[tokio::test(start_paused = true)]
async fn the_caller_is_let_in_once_and_by_scope() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let lookups = Arc::new(Lookups::default());
    let counted = harness.again(vec![lookups.clone()]).await;
    let operations: Vec<_> = (0..40).map(|i| user(&format!("u{i}"))).collect();
    assert!(statuses(&send(&counted, json!(operations)).await).iter().all(|status| *status == 201));
    assert_eq!(lookups.0.load(Ordering::SeqCst), 1);
    // By its request's id an item knows who wrote it.
    let users = harness.dump(Table::Users).await;
    let writers: BTreeSet<_> = users.iter().map(|user| user["req"].as_l().unwrap()[0].as_s().unwrap()).collect();
    assert_eq!(writers.len(), 40);
    let tenant: TenantName = "acme".parse().unwrap();
    let reader = key(&harness.app.store, &tenant, |record| record.scopes = vec![Scope::Read]).await;
    for (authorization, status) in [(format!("Bearer {reader}"), 403), ("Bearer x".to_owned(), 401)] {
        let body = bulk(json!([user("x")])).to_string().into_bytes();
        let headers = [("authorization", authorization.as_str())];
        assert_eq!(harness.raw("POST", "/acme/scim/v2/Bulk", body, &headers).await.status, status);
    }
    assert_eq!(names(&harness).await.len(), 40);
}

#[tokio::test(start_paused = true)]
async fn another_tenants_resources_are_not_there() {
    let harness = Harness::new().await;
    let header = format!("Bearer {}", harness.globex);
    let body = json!({"userName": "theirs"}).to_string().into_bytes();
    let theirs = harness.raw("POST", "/globex/scim/v2/Users", body, &[("authorization", &header)]).await;
    let theirs = theirs.body["id"].as_str().unwrap();
    let before = harness.dump(Table::Users).await;
    let path = format!("/Users/{theirs}");
    let results = send(
        &harness,
        json!([
            {"method": "PUT", "path": path, "data": {"userName": "x"}},
            {"method": "PATCH", "path": path, "data": patch(json!([{"op": "add", "path": "title", "value": "x"}]))},
            {"method": "DELETE", "path": path},
            {"method": "DELETE", "path": format!("/Groups/{theirs}")},
            post("/Groups", "g", json!({"displayName": "g", "members": [{"value": theirs}]})),
        ]),
    )
    .await;
    assert_eq!(statuses(&results), [404, 404, 404, 404, 400]);
    assert_eq!(harness.dump(Table::Users).await, before);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_or_no_bulk_is_refused_whole() {
    let harness = Harness::new().await;
    let config = harness.send("GET", "/ServiceProviderConfig", None).await.body;
    assert_eq!(
        config["bulk"],
        json!({"supported": true, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BODY_BYTES})
    );
    let many: Vec<_> = (0..=MAX_BULK_OPERATIONS).map(|i| user(&i.to_string())).collect();
    let long = json!([user("a"), post("/Users", "b", json!({"userName": "b", "x": "x".repeat(MAX_BODY_BYTES)}))]);
    for (operations, status, named) in
        [(json!(many), 413, "1000"), (long, 413, "1048576"), (json!({}), 400, "Operations must be an array")]
    {
        let reply = harness.send("POST", "/Bulk", bulk(operations)).await;
        assert_eq!(reply.status, status);
        assert!(reply.body["detail"].as_str().unwrap().contains(named), "{reply:?}");
    }
    assert_eq!(harness.send("POST", "/Bulk", json!({"Operations": []})).await.status, 400);
    assert_eq!(send(&harness, json!([])).await, Vec::<Value>::new());
    assert_eq!(names(&harness).await, Vec::<String>::new());
}

/// Every call takes that long.
struct Slow(Duration);

impl Layer for Slow {
    fn hold<'a>(&'a self, _: &'a DynamoCall) -> Held<'a> {
        Box::pin(tokio::time::sleep(self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_that_outlives_its_time_says_what_was_done_and_what_was_not() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let slow = harness.again(vec![Arc::new(Slow(Duration::from_secs(2)))]).await;
    let mut operations: Vec<_> = (0..100).map(|i| user(&format!("u{i:02}"))).collect();
    operations.push(group("g", &["u99"]));
    let results = send(&slow, json!(operations)).await;
    let (done, left): (Vec<_>, Vec<_>) = results.iter().partition(|result| result["status"] == "201");
    assert_eq!((done.len(), left.len()), (72, 29), "8 at once, from the 2nd second until before the 20th");
    let report: Vec<_> = done.iter().map(|result| result["bulkId"].as_str().unwrap()).collect();
    assert_eq!(names(&harness).await, report);
    for result in left {
        assert_eq!(result["status"], "503");
        assert!(detail(result).contains("did not run") && detail(result).contains("send it again"), "{result}");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_that_do_not_end_in_time_may_have_run_and_the_answer_says_so() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let slow = harness.again(vec![Arc::new(Slow(Duration::from_secs(12)))]).await;
    let operations: Vec<_> = (0..20).map(|i| user(&format!("u{i}"))).collect();
    let started = tokio::time::Instant::now();
    let results = send(&slow, json!(operations)).await;
    assert_eq!(started.elapsed().as_secs(), BULK_RESPONSE_DEADLINE_SECONDS);
    assert!(results.iter().all(|result| result["status"] == "503"));
    let unknown = results.iter().filter(|result| detail(result).contains("may have been done")).count();
    let not_run = results.iter().filter(|result| detail(result).contains("not run")).count();
    assert_eq!((unknown, not_run), (8, 12));
}
