//! The log of a tenant: what was refused and by whom, what operators did, who reads which entry, and whether it is whole.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall::auth::Scope;
use rollcall::limits::MAX_REFUSALS_PER_MINUTE;
use rollcall::store::dynamo::tables::Table;
use rollcall::store::ops::log::{LogFilter, LogPosition};
use serde_json::{Value, json};

mod chain;
mod forms;
mod operators;
mod refusals;

use crate::admin::ask;
use crate::support::feed::all_events;
use crate::support::{Harness, encode, is_embedded, key, patch};

/// The entries that an operator reads with a query.
async fn entries(harness: &Harness, admin: &str, tenant: &str, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/tenants/{tenant}/log?{query}&cursor={cursor}");
        let page = ask(harness, admin, "GET", &path, Value::Null).await;
        assert_eq!(page.status, 200, "{page:?}");
        all.extend(page.body["entries"].as_array().unwrap().iter().cloned());
        match page.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

fn texts<'v>(entries: &'v [Value], pointer: &str) -> Vec<&'v str> {
    entries.iter().map(|entry| entry.pointer(pointer).and_then(Value::as_str).unwrap_or("-")).collect()
}

/// A user, a group with it, a refusal for it and its deletion.
async fn with_history(harness: &Harness) -> (String, String) {
    let user = harness.create(json!({"userName": "bob", "title": "x"})).await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "team"})).await.body["id"].clone();
    let group = group.as_str().unwrap().to_owned();
    let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": user}]}]));
    assert_eq!(harness.send("PATCH", &format!("/Groups/{group}"), add).await.status, 204);
    let bad = patch(json!([{"op": "replace", "path": "active", "value": "perhaps"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{user}"), bad).await.status, 400);
    harness.user("eve").await;
    assert_eq!(harness.send("DELETE", &format!("/Users/{user}"), None).await.status, 204);
    all_events(harness).await;
    (user, group)
}

#[tokio::test(start_paused = true)]
async fn each_filter_takes_what_it_names_and_pages_are_the_whole() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let (user, group) = with_history(&harness).await;
    let admin = harness.operator().await;
    let all = entries(&harness, &admin, "acme", "").await;
    let times = texts(&all, "/timestamp");
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "newest first: {times:?}");
    // One for the tenant and one for each of the two keys, of which one reads the feed.
    let of_kind = |kind: &str| all.iter().filter(|entry| entry["kind"] == kind).count();
    assert_eq!((of_kind("change"), of_kind("refusal"), of_kind("admin")), (5, 1, 3), "{all:#?}");
    for limit in [1, 2, 3, 7] {
        assert_eq!(entries(&harness, &admin, "acme", &format!("limit={limit}")).await, all, "{limit} at a time");
    }
    let ask = async |query: String| entries(&harness, &admin, "acme", &query).await;
    let of_user = ask(format!("user={user}&limit=1")).await;
    let types_of_user: BTreeSet<&str> =
        of_user.iter().map(|entry| entry["type"].as_str().unwrap_or("refusal")).collect();
    assert_eq!(types_of_user, BTreeSet::from(["user.created", "group.member_added", "refusal", "user.deleted"]));
    assert_eq!(of_user.len(), 4);
    let mut of_group = ask(format!("group={group}")).await;
    of_group.sort_by_key(|entry| entry["type"].to_string());
    assert_eq!(texts(&of_group, "/type"), ["group.created", "group.member_added", "user.deleted"]);
    assert_eq!(ask(format!("user={user}&group={group}")).await.len(), 2);
    let refusals = ask("status=400".to_owned()).await;
    assert_eq!(ask("kind=refusal".to_owned()).await, refusals);
    assert_eq!(ask("status=4xx".to_owned()).await, refusals);
    assert_eq!(ask("status=5xx".to_owned()).await, Vec::<Value>::new());
    let [refusal] = &refusals[..] else { panic!("{refusals:#?}") };
    assert_eq!(ask(format!("request={}", refusal["request"].as_str().unwrap())).await, refusals);
    let of_key = ask(format!("key={}", refusal["actor"]["key"].as_str().unwrap())).await;
    assert_eq!(of_key.len(), 6, "five changes and a refusal: {of_key:#?}");
    let since = refusal["timestamp"].as_str().unwrap();
    let (after, before) = (ask(format!("since={since}")).await, ask(format!("until={since}")).await);
    assert!(texts(&after, "/timestamp").iter().all(|time| *time >= since) && after.contains(refusal));
    assert!(texts(&before, "/timestamp").iter().all(|time| *time <= since) && before.contains(refusal));
    assert!(after.len() + before.len() > all.len(), "both have the moment itself");
    let (store, acme) = (&harness.app.store, "acme".parse().unwrap());
    let (filter, newest) = (LogFilter::default(), LogPosition::newest(&acme));
    for (days, expected) in [(29, all.len()), (31, 0)] {
        let later = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let page = store.log_page(&acme, &filter, &newest, 100, later).await.unwrap();
        assert_eq!(page.entries.len(), expected, "after {days} days");
    }
    for bad in ["since=x", "kind=x", "status=200", "limit=0", "limit=1001", "cursor=x"] {
        let reply = crate::admin::ask(&harness, &admin, "GET", &format!("/tenants/acme/log?{bad}"), Value::Null).await;
        assert_eq!(reply.status, 400, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_tenants_have_two_logs_and_a_cursor_is_of_one() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let (user, _) = with_history(&harness).await;
    let header = format!("Bearer {}", harness.globex);
    let authorization = [("authorization", header.as_str())];
    let theirs = harness.raw("POST", "/globex/scim/v2/Users", b"{\"userName\": \"\"}".to_vec(), &authorization).await;
    assert_eq!(theirs.status, 400);
    // Of a key that somebody shows at another tenant's address, neither has an entry.
    let stray = harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &authorization).await;
    assert_eq!(stray.status, 401);
    let admin = harness.operator().await;
    let (ours, others) = (entries(&harness, &admin, "acme", "").await, entries(&harness, &admin, "globex", "").await);
    assert_eq!(others.iter().filter(|entry| entry["kind"] == "refusal").count(), 1);
    let is_known = |entry: &&Value| ours.iter().any(|our| our["id"] == entry["id"] && our["kind"] != "admin");
    assert_eq!(others.iter().filter(is_known).count(), 0);
    assert_eq!(entries(&harness, &admin, "globex", &format!("user={user}")).await, Vec::<Value>::new());
    let page = ask(&harness, &admin, "GET", "/tenants/acme/log?limit=1", Value::Null).await;
    let cursor = page.body["nextCursor"].as_str().unwrap();
    let reply = ask(&harness, &admin, "GET", &format!("/tenants/globex/log?cursor={cursor}"), Value::Null).await;
    reply.assert_error(400, "invalidCursor");
    // A key of a tenant reads no log, not even its own.
    for tenant in ["acme", "globex"] {
        let uri = format!("/admin/v1/tenants/{tenant}/log");
        assert_eq!(harness.raw("GET", &uri, Vec::new(), &authorization).await.status, 401);
    }
}
