//! The protection against mass deprovisioning: exactly so many lose access, and everything else goes on.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rollcall::tenant::TenantName;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::bulk::bulk;
use crate::support::conflict::Conflict;
use crate::support::{Harness, ScimResponse, patch};

/// An endpoint with conflicts, whose tenant acme holds, with so many users.
async fn holding(users: usize, settings: Value) -> (Harness, String, Vec<String>) {
    let harness = Harness::with(vec![Conflict::new()]).await;
    let admin = harness.operator().await;
    set(&harness, &admin, settings).await;
    let mut ids = Vec::new();
    for number in 0..users {
        ids.push(harness.user(&format!("u{number}")).await);
    }
    let acme: TenantName = "acme".parse().unwrap();
    harness.app.store.recount(&acme, Timestamp::now()).await.unwrap();
    (harness, admin, ids)
}

async fn set(harness: &Harness, admin: &str, settings: Value) {
    let reply = ask(harness, admin, "PATCH", "/tenants/acme", json!({"settings": settings})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

async fn hold(harness: &Harness, admin: &str, body: Value) -> Value {
    let method = if body.is_null() { "GET" } else { "POST" };
    let reply = ask(harness, admin, method, "/tenants/acme/hold", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.body
}

fn deactivation() -> Value {
    patch(json!([{"op": "replace", "path": "active", "value": false}]))
}

async fn deactivate(harness: &Harness, id: &str) -> ScimResponse {
    harness.send("PATCH", &format!("/Users/{id}"), deactivation()).await
}

fn count(replies: &[ScimResponse], status: u16) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

async fn inactive(harness: &Harness) -> usize {
    harness.find("active eq false").await.len()
}

#[tokio::test(start_paused = true)]
async fn of_64_parallel_deactivations_of_100_users_25_go_through() {
    let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
    let replies = join_all(ids[..64].iter().enumerate().map(|(number, id)| {
        let (method, path) = (["PATCH", "PUT", "PATCH"][number % 3], format!("/Users/{id}"));
        let body =
            if method == "PUT" { json!({"userName": format!("u{number}"), "active": false}) } else { deactivation() };
        let harness = &harness;
        async move { harness.send(method, &path, body).await }
    }))
    .await;
    assert_eq!((count(&replies, 200), count(&replies, 429)), (25, 39));
    assert_eq!(inactive(&harness).await, 25);
    let held = replies.iter().find(|reply| reply.status == 429).unwrap();
    let detail = held.body["detail"].as_str().unwrap();
    assert!(detail.contains("25 users lost access") && detail.contains("the bound is 25"), "{detail}");
    assert!(detail.contains("rollcall hold approve acme"), "{detail}");
    let wait: u32 = held.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    let window = &hold(&harness, &admin, Value::Null).await["windows"][0];
    assert_eq!((&window["count"], &window["bound"], &window["left"]), (&json!(25), &json!(25), &json!(0)));
    // Everything else goes on, and so does what takes nothing away again.
    let off: Vec<_> = harness.find("active eq false").await;
    let path = format!("/Users/{}", off[0]["id"].as_str().unwrap());
    assert_eq!(harness.send("PATCH", &path, deactivation()).await.status, 200);
    assert_eq!(harness.send("DELETE", &path, None).await.status, 204, "of an inactive user");
    harness.user("new").await;
    let title = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{}", ids[99]), title).await.status, 200);
    assert_eq!(harness.send("DELETE", &format!("/Users/{}", ids[99]), None).await.status, 429);
    assert_eq!(harness.send("GET", &format!("/Users/{}", ids[99]), None).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn of_64_deletions_in_one_bulk_25_go_through() {
    let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
    let operation = |id: &String| json!({"method": "DELETE", "path": format!("/Users/{id}")});
    let operations: Vec<_> = ids[..64].iter().map(operation).collect();
    let reply = harness.send("POST", "/Bulk", bulk(json!(operations))).await;
    let results = reply.body["Operations"].as_array().unwrap();
    let of = |status: &str| results.iter().filter(|result| result["status"] == status).count();
    assert_eq!((of("204"), of("429")), (25, 39), "{results:?}");
    assert_eq!(harness.send("GET", "/Users?count=0", None).await.body["totalResults"], 75);
    assert_eq!(hold(&harness, &admin, Value::Null).await["windows"][0]["count"], 25);
}

#[tokio::test(start_paused = true)]
async fn a_group_has_a_bound_of_its_own() {
    let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    let group = harness.send("POST", "/Groups", json!({"displayName": "g", "members": members})).await;
    let id = group.body["id"].as_str().unwrap().to_owned();
    let path = format!("/Groups/{id}");
    let remove = |id: &String| patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]));
    let replies = join_all(ids[..64].iter().map(|id| {
        let (harness, path, body) = (&harness, &path, remove(id));
        async move { harness.send("PATCH", path, body).await }
    }))
    .await;
    assert_eq!((count(&replies, 204), count(&replies, 429)), (50, 14));
    let left = harness.send("GET", &path, None).await.body["members"].as_array().unwrap().len();
    assert_eq!(left, 50);
    // No other way leads out, and joining goes on.
    for (method, body) in [
        ("PUT", json!({"displayName": "g", "members": []})),
        ("PATCH", patch(json!([{"op": "replace", "path": "members", "value": []}]))),
        ("PATCH", remove(&ids[99])),
    ] {
        assert_eq!(harness.send(method, &path, body).await.status, 429, "{method}");
    }
    assert_eq!(harness.send("DELETE", &format!("/GroupMembers/{id}.{}", ids[99]), None).await.status, 429);
    let join = patch(json!([{"op": "add", "path": "members", "value": [{"value": ids[0]}]}]));
    assert_eq!(harness.send("PATCH", &path, join).await.status, 204);
    // Users are another window, and so is another group.
    assert_eq!(deactivate(&harness, &ids[1]).await.status, 200);
    hold(&harness, &admin, json!({"action": "once", "count": 1, "group": id})).await;
    assert_eq!(harness.send("PATCH", &path, remove(&ids[99])).await.status, 204);
    assert_eq!(harness.send("PATCH", &path, remove(&ids[98])).await.status, 429);
    hold(&harness, &admin, json!({"action": "approve", "group": id})).await;
    assert_eq!(harness.send("PUT", &path, json!({"displayName": "g", "members": []})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn half_of_a_large_group_may_leave_at_once_and_not_more() {
    let (harness, _, ids) = holding(160, json!({"protect": "hold"})).await;
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    let group = harness.send("POST", "/Groups", json!({"displayName": "g", "members": members})).await;
    let path = format!("/Groups/{}", group.body["id"].as_str().unwrap());
    let keep = |count: usize| json!({"displayName": "g", "members": members[..count]});
    assert_eq!(harness.send("PUT", &path, keep(79)).await.status, 429);
    assert_eq!(harness.send("PUT", &path, keep(80)).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn operators_decide_and_the_log_has_it() {
    let (harness, admin, ids) = holding(40, json!({"protect": "hold", "protectUsers": "0%/2"})).await;
    for (id, status) in ids.iter().zip([200, 200, 429, 429]) {
        assert_eq!(deactivate(&harness, id).await.status, status);
    }
    hold(&harness, &admin, json!({"action": "once", "count": 2})).await;
    for (id, status) in ids[2..].iter().zip([200, 200, 429]) {
        assert_eq!(deactivate(&harness, id).await.status, status);
    }
    hold(&harness, &admin, json!({"action": "reject"})).await;
    // Not even with other settings.
    set(&harness, &admin, json!({"protectUsers": "0%/100"})).await;
    assert_eq!(deactivate(&harness, &ids[4]).await.status, 429);
    let answer = hold(&harness, &admin, json!({"action": "approve"})).await;
    assert_eq!(answer["windows"][0]["decision"], "approved");
    assert!(answer["windows"][0].get("left").is_none());
    let replies = join_all(ids[4..].iter().map(|id| deactivate(&harness, id))).await;
    assert_eq!(count(&replies, 200), 36);
    let log = ask(&harness, &admin, "GET", "/tenants/acme/log?kind=admin", Value::Null).await.body.to_string();
    for kind in ["hold.once", "hold.rejected", "hold.approved"] {
        assert!(log.contains(kind), "{kind}: {log}");
    }
    // The next window has a bound again; an approval lasts two hours.
    let later = harness.at(Timestamp::now() + SignedDuration::from_mins(121));
    assert_eq!(later.send("PATCH", &format!("/Users/{}", ids[0]), deactivation()).await.status, 200);
    set(&harness, &admin, json!({"protectUsers": "0%/0"})).await;
    let id = harness.user("late").await;
    assert_eq!(deactivate(&later, &id).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn settings_work_at_once_and_in_the_open_window() {
    let (harness, admin, ids) = holding(40, json!({"protect": "off", "protectUsers": "0%/1"})).await;
    assert_eq!(deactivate(&harness, &ids[0]).await.status, 200);
    assert!(hold(&harness, &admin, Value::Null).await["windows"].as_array().unwrap().is_empty());
    set(&harness, &admin, json!({"protect": "warn"})).await;
    for id in &ids[1..4] {
        assert_eq!(deactivate(&harness, id).await.status, 200);
    }
    let window = hold(&harness, &admin, Value::Null).await["windows"][0].clone();
    assert_eq!((&window["count"], &window["left"]), (&json!(1), &json!(0)), "up to the bound");
    set(&harness, &admin, json!({"protect": "hold"})).await;
    assert_eq!(deactivate(&harness, &ids[4]).await.status, 429);
    set(&harness, &admin, json!({"protectUsers": "0%/2"})).await;
    assert_eq!(deactivate(&harness, &ids[4]).await.status, 200);
    assert_eq!(deactivate(&harness, &ids[5]).await.status, 429);
    set(&harness, &admin, json!({"protectUsers": "10%/0"})).await;
    for (id, status) in ids[5..].iter().zip([200, 200, 429]) {
        assert_eq!(deactivate(&harness, id).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_happen_is_given_back() {
    let (harness, admin, ids) = holding(10, json!({"protect": "hold", "protectUsers": "0%/3"})).await;
    // Of many requests for one user, one takes access away.
    let replies = join_all((0..8).map(|_| deactivate(&harness, &ids[0]))).await;
    assert!(count(&replies, 200) >= 1 && count(&replies, 200) + count(&replies, 429) == 8);
    let window = hold(&harness, &admin, Value::Null).await["windows"][0].clone();
    assert_eq!((&window["count"], &window["left"]), (&json!(1), &json!(2)));
    let taken = json!({"userName": "u2", "active": false});
    assert_eq!(harness.send("PUT", &format!("/Users/{}", ids[1]), taken).await.status, 409);
    let window = hold(&harness, &admin, Value::Null).await["windows"][0].clone();
    assert_eq!((&window["count"], &window["left"]), (&json!(1), &json!(2)));
    assert_eq!(deactivate(&harness, &ids[0]).await.status, 200, "it is inactive already");
    for (id, status) in ids[1..].iter().zip([200, 200, 429]) {
        assert_eq!(deactivate(&harness, id).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn one_tenants_window_is_not_the_others() {
    let (harness, admin, ids) = holding(10, json!({"protect": "hold", "protectUsers": "0%/0"})).await;
    let reply = ask(&harness, &admin, "PATCH", "/tenants/globex", json!({"settings": {"protect": "hold"}})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(deactivate(&harness, &ids[0]).await.status, 429);
    let header = format!("Bearer {}", harness.globex);
    let send = async |method: &str, path: &str, body: Value| {
        let uri = format!("/globex/scim/v2{path}");
        harness.raw(method, &uri, body.to_string().into_bytes(), &[("authorization", &header)]).await
    };
    let id = send("POST", "/Users", json!({"userName": "u"})).await.body["id"].as_str().unwrap().to_owned();
    assert_eq!(send("PATCH", &format!("/Users/{id}"), deactivation()).await.status, 200);
    let theirs = ask(&harness, &admin, "GET", "/tenants/globex/hold", Value::Null).await.body;
    assert_eq!(theirs["windows"][0]["count"], 1);
    assert_eq!(hold(&harness, &admin, Value::Null).await["windows"][0]["count"], 0);
    hold(&harness, &admin, json!({"action": "approve"})).await;
    let theirs = ask(&harness, &admin, "GET", "/tenants/globex/hold", Value::Null).await.body;
    assert!(theirs["windows"][0].get("decision").is_none());
}

#[tokio::test(start_paused = true)]
async fn of_64_deactivations_in_one_bulk_with_conflicts_25_go_through() {
    let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
    let operation = |(number, id): (usize, &String)| match number % 2 {
        0 => json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": deactivation()}),
        _ => json!({"method": "PUT", "path": format!("/Users/{id}"),
            "data": {"userName": format!("u{number}"), "active": false}}),
    };
    let operations: Vec<_> = ids[..64].iter().enumerate().map(operation).collect();
    // The half of them twice, at the same time: each user counts once.
    let (first, second) = futures_util::future::join(
        harness.send("POST", "/Bulk", bulk(json!(operations))),
        harness.send("POST", "/Bulk", bulk(json!(operations[..32]))),
    )
    .await;
    let of = |reply: &ScimResponse, status: &str| {
        let results = reply.body["Operations"].as_array().unwrap().iter();
        results.filter(|result| result["status"] == status).count()
    };
    for (reply, total) in [(&first, 64), (&second, 32)] {
        assert_eq!(of(reply, "200") + of(reply, "429"), total, "{reply:?}");
    }
    assert_eq!(inactive(&harness).await, 25);
    assert_eq!(hold(&harness, &admin, Value::Null).await["windows"][0]["count"], 25);
}

#[tokio::test(start_paused = true)]
async fn of_64_removals_through_bulk_and_as_memberships_50_go_through() {
    for is_bulk in [true, false] {
        let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
        let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
        let group = harness.send("POST", "/Groups", json!({"displayName": "g", "members": members})).await;
        let id = group.body["id"].as_str().unwrap();
        let path = |member: &String| format!("/GroupMembers/{id}.{member}");
        let statuses: Vec<u16> = if is_bulk {
            let operations: Vec<_> =
                ids[..64].iter().map(|member| json!({"method": "DELETE", "path": path(member)})).collect();
            let reply = harness.send("POST", "/Bulk", bulk(json!(operations))).await;
            let results = reply.body["Operations"].as_array().unwrap().iter();
            results.map(|result| result["status"].as_str().unwrap().parse().unwrap()).collect()
        } else {
            let harness = &harness;
            join_all(
                ids[..64].iter().map(|member| async move { harness.send("DELETE", &path(member), None).await.status }),
            )
            .await
        };
        let of = |status| statuses.iter().filter(|other| **other == status).count();
        assert_eq!((of(204), of(429)), (50, 14), "{statuses:?}");
        let window = &hold(&harness, &admin, Value::Null).await["windows"][0];
        assert_eq!((&window["count"], &window["group"]), (&json!(50), &json!(id)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_group_takes_its_members_away() {
    let (harness, admin, ids) = holding(160, json!({"protect": "hold"})).await;
    let group = async |name: &str, count: usize| {
        let members: Vec<_> = ids[..count].iter().map(|id| json!({"value": id})).collect();
        let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
        reply.body["id"].as_str().unwrap().to_owned()
    };
    for (count, status) in [(0, 204), (50, 204), (51, 429), (160, 429)] {
        let id = group(&format!("g{count}"), count).await;
        let path = format!("/Groups/{id}");
        let reply = harness.send("DELETE", &path, None).await;
        assert_eq!(reply.status, status, "{count}: {reply:?}");
        let dry = harness.send_with("DELETE", &path, None, &[("rollcall-dry-run", "true")]).await;
        assert_eq!(dry.status, if status == 204 { 404 } else { 429 });
        if status == 429 {
            assert!(reply.body["detail"].as_str().unwrap().contains(&format!("--group {id}")), "{reply:?}");
            assert_eq!(harness.send("GET", &path, None).await.body["members"].as_array().unwrap().len(), count);
            let delete = json!({"method": "DELETE", "path": path});
            let bulk = harness.send("POST", "/Bulk", bulk(json!([delete]))).await;
            assert_eq!(bulk.body["Operations"][0]["status"], "429");
            hold(&harness, &admin, json!({"action": "approve", "group": id})).await;
            assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
        }
    }
    // What an end that did not happen has counted is given back.
    let id = group("kept", 20).await;
    let wrong = [("if-match", "W/\"77\"")];
    assert_eq!(harness.send_with("DELETE", &format!("/Groups/{id}"), None, &wrong).await.status, 412);
    let windows = hold(&harness, &admin, Value::Null).await["windows"].clone();
    let of_it = windows.as_array().unwrap().iter().find(|window| window["group"] == json!(id));
    assert!(of_it.is_none_or(|window| window["count"] == 0), "{windows}");
}

/// How a client comes back after a 429, by the pages of its vendor: Okta waits as `Retry-After` says, ten
/// times at most; Entra ID takes it for a failed operation and comes back with its next cycle, forty minutes later.
enum Client {
    Okta,
    Entra,
}

/// Deactivates users one after the other as a client does; after how many minutes all are done, if they are. An operator
/// approves after so many minutes.
async fn deactivate_all(client: Client, approval: i64) -> Option<i64> {
    const OKTA_ATTEMPTS: usize = 10;
    const ENTRA_CYCLE_MINUTES: i64 = 40;
    let (harness, admin, ids) = holding(100, json!({"protect": "hold"})).await;
    let start = Timestamp::now();
    let at = |seconds: i64| harness.at(start + SignedDuration::from_secs(seconds));
    let (mut left, mut now, mut is_approved) = (ids[..64].to_vec(), 0, false);
    for _ in 0..OKTA_ATTEMPTS {
        if !is_approved && now >= approval * 60 {
            // Of the window that is open then, if one is.
            let then = if now < approval * 60 + 3_600 { at(approval * 60) } else { at(now) };
            let reply = ask(&then, &admin, "POST", "/tenants/acme/hold", json!({"action": "approve"})).await;
            assert!(matches!(reply.status, 200 | 409), "{reply:?}");
            is_approved = reply.status == 200;
        }
        let (mut failed, mut wait) = (Vec::new(), 0);
        for id in left {
            let reply = at(now).send("PATCH", &format!("/Users/{id}"), deactivation()).await;
            assert!(matches!(reply.status, 200 | 429), "a status that puts a job into quarantine: {reply:?}");
            if reply.status == 429 {
                wait = wait.max(reply.headers["retry-after"].to_str().unwrap().parse::<i64>().unwrap());
                failed.push(id);
            }
        }
        left = failed;
        if left.is_empty() {
            assert_eq!(inactive(&harness).await, 64);
            return Some(now / 60);
        }
        now += match client {
            Client::Okta => wait,
            Client::Entra => ENTRA_CYCLE_MINUTES * 60,
        };
    }
    None
}

#[tokio::test(start_paused = true)]
async fn okta_and_entra_end_well_after_an_approval() {
    // Okta comes back when the window ends, or before: an approval is of the window that is open then.
    assert!(deactivate_all(Client::Okta, 10).await.is_some_and(|minutes| minutes <= 60));
    assert_eq!(deactivate_all(Client::Entra, 10).await, Some(40), "with the next cycle");
    assert_eq!(deactivate_all(Client::Entra, 50).await, Some(80));
    // Without an operator, 25 go through in each window, and neither gives up before.
    assert!(deactivate_all(Client::Okta, i64::MAX / 60).await.is_some_and(|minutes| minutes <= 121));
    assert!(deactivate_all(Client::Entra, i64::MAX / 60).await.is_some_and(|minutes| minutes <= 160));
}
