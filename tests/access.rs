//! Declared is used, and used is declared. The guard on every test's wire refuses what a route has not declared; here
//! every route is driven through all that it may need, and a declared access that is never used fails.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall::api::{Base, ROUTES};
use rollcall::app::Clock;
use rollcall::auth::{ApiKey, Credential, KeyRecord, Scope};
use rollcall::tenant::{Profile, TenantName};
use rollcall::worker;
use serde_json::{Value, json};

use crate::support::access::{ROLE, USED, role};
use crate::support::crash::Crash;
use crate::support::feed::all_events;
use crate::support::{Harness, encode, is_embedded, key, patch};
use crate::token_endpoint::FORM;

#[tokio::test(start_paused = true)]
async fn every_declared_access_is_needed() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let two = json!([{"value": "a@x"}, {"value": "b@x"}]);
    let other_two = json!([{"value": "a@x"}, {"value": "c@x"}]);
    let id = harness.create(json!({"userName": "bob", "externalId": "E", "emails": two})).await;
    let path = format!("/Users/{id}");
    for filter in [
        "userName eq \"bob\"",
        "title pr",
        "externalId eq \"E\"",
        "emails eq \"b@x\"",
        "id eq \"x\"",
        "userName sw \"b\"",
    ] {
        harness.find(filter).await;
    }
    for (method, path, body) in [
        ("GET", "/Users", None),
        ("GET", path.as_str(), None),
        ("PUT", &path, Some(json!({"userName": "bob", "emails": other_two}))),
        ("PUT", &path, Some(json!({"userName": "eve"}))),
        ("PATCH", &path, Some(patch(json!([{"op": "add", "path": "emails", "value": two}])))),
        (
            "PATCH",
            &path,
            Some(patch(
                json!([{"op": "remove", "path": "emails"}, {"op": "replace", "path": "userName", "value": "bob"}]),
            )),
        ),
        ("PATCH", &path, Some(patch(json!([{"op": "add", "path": "emails", "value": two}])))),
        ("DELETE", &path, None),
        ("GET", "/ServiceProviderConfig", None),
        ("GET", "/ResourceTypes", None),
        ("GET", "/ResourceTypes/User", None),
        ("GET", "/Schemas", None),
        ("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", None),
    ] {
        let reply = harness.send(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    }
    let again = [("idempotency-key", "1")];
    for _ in 0..2 {
        assert_eq!(harness.send_with("POST", "/Users", json!({"userName": "again"}), &again).await.status, 201);
    }
    Box::pin(drive_groups(&harness)).await;
    Box::pin(drive_bulk(&harness)).await;
    drive_me(&harness).await;
    Box::pin(drive_protection(&harness)).await;
    Box::pin(drive_operators(&harness)).await;
    Box::pin(drive_uses(&harness)).await;
    Box::pin(drive_restore(&harness)).await;
    Box::pin(crate::verify::each_damage()).await;
    Box::pin(crate::verify::crashes()).await;
    Box::pin(crate::transfer::export_and_import()).await;
    Box::pin(crate::tenant_end::end_of_a_tenant()).await;
    Box::pin(drive_tenant_data(&harness)).await;
    Box::pin(crate::pages::drive(&harness)).await;
    let events = all_events(&harness).await;
    let admin = harness.operator().await;
    let user = events.iter().find_map(|event| event["user"]["id"].as_str()).unwrap();
    for path in [format!("/tenants/acme/log?user={user}"), "/tenants/acme/log/chain".to_owned()] {
        assert_eq!(crate::admin::ask(&harness, &admin, "GET", &path, Value::Null).await.status, 200);
    }
    let of_worker = Some((worker::HANDLER, worker::ACCESS));
    for schedule in ["{}", "{\"daily\": true}"] {
        let event = serde_json::from_str(schedule).unwrap();
        ROLE.scope(of_worker, worker::handle(&harness.app.store, &Clock::System, event)).await;
    }
    let used = USED.lock().unwrap().clone();
    let roles = ROUTES.iter().map(role).chain([(worker::HANDLER, worker::ACCESS)]);
    let declared: BTreeSet<_> =
        roles.flat_map(|(name, all)| all.iter().copied().flatten().map(move |access| (name, *access))).collect();
    let unused: Vec<_> = declared.difference(&used).collect();
    assert!(unused.is_empty(), "declared and never used: {unused:?}");
}

#[tokio::test]
async fn a_function_that_reports_the_use_of_a_key_changes_nothing_else_of_it() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let (store, acme) = (&harness.app.store, "acme".parse().unwrap());
    let id = &store.keys(&acme).await.unwrap()[0].id;
    let as_row = |name: &str| ROUTES.iter().find(|route| route.name == name).map(role);
    let later = Timestamp::now() + SignedDuration::from_hours(1);
    ROLE.scope(as_row("users.get"), store.record_last_used(&acme, id, later)).await;
    assert!(store.key(&acme, id).await.unwrap().unwrap().used > Some(Timestamp::now()), "the use is told");
    // Its condition does not hold now: the item that it meets is not asked for.
    ROLE.scope(as_row("users.get"), store.record_last_used(&acme, id, later)).await;
    for (name, may_revoke) in [("users.get", false), ("admin.keys.list", false), ("admin.keys.revoke", true)] {
        assert!(
            ROLE.scope(as_row(name), store.expire_key_at(&acme, (id, id), (None, later), later)).await.is_err(),
            "{name}"
        );
        assert!(ROLE.scope(as_row(name), store.activate_key(&acme, id)).await.is_err(), "{name}");
        assert_eq!(ROLE.scope(as_row(name), store.revoke_key(&acme, id, later)).await.is_ok(), may_revoke, "{name}");
    }
}

/// Tenants, keys and automation users, and an access token.
async fn drive_operators(harness: &Harness) {
    let admin = harness.operator().await;
    let ask = async |method: &str, path: &str, body: Value| {
        if method != "GET" {
            try_as_operator(harness, &admin, method, path, &body).await;
        }
        let reply = crate::admin::ask(harness, &admin, method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        reply.body
    };
    let mut profile: Value = serde_json::from_str(Profile::shipped("default").unwrap()).unwrap();
    profile["name"] = json!("mine");
    ask("POST", "/tenants", json!({"name": "initech"})).await;
    ask("GET", "/tenants", Value::Null).await;
    ask("GET", "/tenants/initech", Value::Null).await;
    let robot = "/tenants/initech/automation-users/robot";
    ask("PUT", robot, json!({"active": false})).await;
    let keys = "/tenants/initech/keys";
    let new = |form: &str| json!({"description": "x", "type": form, "automation": "robot"});
    let creation = ask("POST", keys, new("bearer")).await;
    ask("PATCH", "/tenants/initech", json!({"profile": profile})).await;
    ask("PUT", robot, json!({"active": true})).await;
    ask("GET", "/tenants/initech/automation-users", Value::Null).await;
    ask("GET", keys, Value::Null).await;
    ask("GET", "/tenants/initech/events", Value::Null).await;
    ask("POST", &format!("{keys}/{}/rotate", creation["id"].as_str().unwrap()), json!({})).await;
    ask("DELETE", &format!("{keys}/{}", creation["id"].as_str().unwrap()), Value::Null).await;
    let client = ask("POST", keys, new("client")).await;
    let (id, secret) = (client["id"].as_str().unwrap(), client["secret"].as_str().unwrap());
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let token = harness.raw("POST", "/initech/oauth/token", form.into_bytes(), &[FORM]).await;
    assert_eq!(token.status, 200, "{token:?}");
    ask("DELETE", &format!("{keys}/{id}"), Value::Null).await;
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    assert_eq!(harness.raw("POST", "/initech/oauth/token", form.into_bytes(), &[FORM]).await.status, 401);
}

/// What is done with a tenant as a whole, and is not driven by the tests of it.
async fn drive_tenant_data(harness: &Harness) {
    let admin = harness.operator().await;
    let key = json!({"tenant": {"S": "globex"}, "keyId": {"S": "."}});
    let body = json!({"TableName": "test-keys", "Key": key, "UpdateExpression": "SET #n = :v",
        "ExpressionAttributeNames": {"#n": "format"}, "ExpressionAttributeValues": {":v": {"N": "0"}}});
    assert_eq!(harness.engine.call("UpdateItem", body.to_string().as_bytes()).0, 200);
    let row = json!({"pk": {"S": "acme#counter"}, "sk": {"S": "users"}});
    let body = json!({"TableName": "test-links", "Key": row}).to_string();
    assert_eq!(harness.engine.call("DeleteItem", body.as_bytes()).0, 200);
    for (method, path) in [
        ("POST", "/tenants/globex/upgrade"),
        ("POST", "/tenants/acme/count"),
        ("DELETE", "/tenants/globex"),
        ("POST", "/tenants/globex/reopen"),
    ] {
        let reply = crate::admin::ask(harness, &admin, method, path, Value::Null).await;
        assert_eq!(reply.status, 200, "{method} {path}: {reply:?}");
    }
}

/// An access token of a new client that may do anything.
async fn access_token(harness: &Harness, name: &str) -> String {
    let secret = ApiKey::mint(&name.parse().unwrap()).unwrap();
    let client = KeyRecord {
        id: secret.id().clone(),
        credential: Credential::Client(secret.hash()),
        scopes: Scope::ALL.to_vec(),
        used: None,
        ..harness.app.store.keys(&name.parse().unwrap()).await.unwrap()[0].clone()
    };
    harness.app.store.add_key(&client, client.created).await.unwrap();
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", client.id, secret.reveal());
    let token = harness.raw("POST", &format!("/{name}/oauth/token"), form.into_bytes(), &[FORM]).await;
    assert_eq!(token.status, 200, "{token:?}");
    token.body["access_token"].as_str().unwrap().to_owned()
}

/// A change by operators as a dry run.
async fn try_as_operator(harness: &Harness, admin: &str, method: &str, path: &str, body: &Value) {
    let header = format!("Bearer {admin}");
    let headers = [("authorization", header.as_str()), ("rollcall-dry-run", "true")];
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let reply = harness.raw(method, &format!("/admin/v1{path}"), bytes, &headers).await;
    assert!(reply.status < 300, "dry {method} {path}: {reply:?}");
}

/// Every route with keys that were not used for a while, with access tokens, and with a revoked key.
async fn drive_uses(harness: &Harness) {
    let store = &harness.app.store;
    let tokens = [access_token(harness, "acme").await, access_token(harness, "admin").await];
    let routes = ROUTES.iter().filter(|route| matches!(route.base, Base::Scim | Base::Admin | Base::Events));
    for (number, route) in routes.enumerate() {
        let tenant: TenantName = if route.base == Base::Admin { "admin" } else { "acme" }.parse().unwrap();
        let key = key(store, &tenant, |record| {
            (record.used, record.scopes) = (None, Scope::ALL.to_vec());
        })
        .await;
        let path =
            route.path.replace("{tenant}", "nobody").replace("{id}", "x").replace("{key}", "x").replace("{link}", "x");
        let uri = format!("{}{}", route.base.patterns()[0].replace("{tenant}", "acme"), path.replace("{name}", "x"));
        let token = &tokens[usize::from(route.base == Base::Admin)];
        for header in [format!("Bearer {key}"), format!("Bearer {token}")] {
            let reply = harness.raw(route.method.as_str(), &uri, b"{}".to_vec(), &[("authorization", &header)]).await;
            assert!(reply.status != 401 && reply.status != 403, "{}: {reply:?}", route.name);
        }
        // Each in a minute of its own: a minute has only so many refusals in the log.
        let later = Timestamp::now() + SignedDuration::from_mins(2 + i64::try_from(number).unwrap());
        let revoked = crate::support::key(store, &tenant, |record| record.revoked = Some(Timestamp::now())).await;
        let header = format!("Bearer {revoked}");
        let refused =
            harness.at(later).raw(route.method.as_str(), &uri, Vec::new(), &[("authorization", &header)]).await;
        assert_eq!(refused.status, 401, "{}", route.name);
    }
}

/// Groups through all that they may need: members by transaction and by job, names, parents, deletion with many.
async fn drive_groups(harness: &Harness) {
    let mut users = Vec::new();
    for i in 0..70 {
        users.push(json!({"value": harness.user(&format!("m{i}")).await}));
    }
    let group = async |body: serde_json::Value| {
        let reply = harness.send("POST", "/Groups", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["id"].as_str().unwrap().to_owned()
    };
    let inner = group(json!({"displayName": "inner", "externalId": "I"})).await;
    let small = group(json!({"displayName": "small", "members": [users[0], {"value": inner}]})).await;
    let large = group(json!({"displayName": "large", "members": users})).await;
    let path = format!("/Groups/{small}");
    let first = users[0]["value"].as_str().unwrap();
    for filter in [
        "displayName eq \"small\"",
        "externalId eq \"I\"",
        "displayName co \"a\"",
        "members pr",
        &format!("members.value eq \"{first}\""),
        &format!("id eq \"{small}\" and members eq \"{first}\""),
    ] {
        assert_eq!(harness.send("GET", &format!("/Groups?filter={}", encode(filter)), None).await.status, 200);
    }
    let child = group(json!({"displayName": "child", "members": [users[2]]})).await;
    let parent = group(json!({"displayName": "parent", "members": [{"value": child}]})).await;
    let renamed = json!({"displayName": "renamed", "members": [users[1]]});
    let many = patch(json!([{"op": "replace", "path": "members", "value": users}]));
    let one = patch(json!([{"op": "add", "path": "members", "value": [users[0]]}]));
    // Of whom one is a member already.
    let two = patch(json!([{"op": "add", "path": "members", "value": [users[0], users[1]]}]));
    let rename =
        patch(json!([{"op": "replace", "path": "displayName", "value": "small"}, {"op": "remove", "path": "members"}]));
    for (method, path, body) in [
        ("GET", path.as_str(), None),
        ("GET", "/Groups", None),
        ("PUT", &path, Some(renamed)),
        ("PUT", &path, Some(json!({"displayName": "renamed"}))),
        ("PATCH", &path, Some(rename)),
        ("PATCH", &path, Some(many)),
        ("PUT", &path, Some(json!({"displayName": "small"}))),
        ("PATCH", &path, Some(one)),
        ("PATCH", &path, Some(two)),
        ("GET", &format!("/Users/{first}"), None),
        ("PUT", &format!("/Users/{first}"), Some(json!({"userName": "m0", "title": "t"}))),
        ("PATCH", &format!("/Users/{first}"), Some(patch(json!([{"op": "add", "path": "title", "value": "u"}])))),
        ("GET", "/Users", None),
        ("DELETE", &format!("/Users/{first}"), None),
        ("DELETE", &format!("/Groups/{large}"), None),
        ("DELETE", &format!("/Groups/{inner}"), None),
        ("DELETE", &format!("/Groups/{child}"), None),
        ("DELETE", &format!("/Groups/{parent}"), None),
    ] {
        let reply = harness.send(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    }
    // Members of a group that is gone, and whose rows are left to the worker.
    let child = group(json!({"displayName": "child"})).await;
    let second = harness.user("of-gone").await;
    let others = [json!({"value": child}), json!({"value": second})];
    let of_gone: Vec<_> = users[3..40].iter().cloned().chain(others).collect();
    let gone = group(json!({"displayName": "gone", "members": of_gone})).await;
    for path in [format!("/Groups/{gone}"), format!("/Groups/{child}"), format!("/Users/{second}")] {
        assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
    }
    // A user in more groups than its deletion takes with it at once.
    let busy = harness.user("busy").await;
    let mut of_busy = Vec::new();
    for i in 0..50 {
        of_busy.push(group(json!({"displayName": format!("of-busy-{i}"), "members": [{"value": busy}]})).await);
    }
    assert_eq!(harness.send("DELETE", &format!("/Users/{busy}"), None).await.status, 204);
    // Its rows are met before the worker has taken them.
    let nobody = "2819c223-7f76-453a-919d-413861904646";
    let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{nobody}\"]")}]));
    for (method, path, body, status) in [
        ("PUT", &of_busy[0], Some(json!({"displayName": "of-busy"})), 200),
        ("PATCH", &of_busy[1], Some(remove), 204),
        ("DELETE", &of_busy[2], None, 204),
    ] {
        assert_eq!(harness.send(method, &format!("/Groups/{path}"), body).await.status, status);
    }
    drive_memberships(harness, &of_busy[3..5], &users[30..]).await;
    drive_searches(harness, users[30]["value"].as_str().unwrap()).await;
    // A change that is left to the worker, and adds.
    let dying = harness.again(vec![Crash::after(8)]).await;
    let many = patch(json!([{"op": "add", "path": "members", "value": users[1..]}]));
    assert_eq!(dying.send("PATCH", &format!("/Groups/{}", of_busy[6]), many).await.status, 204);
    harness.settle().await;
}

/// Every list in each way that it may be found, by GET and by POST.
async fn drive_searches(harness: &Harness, user: &str) {
    let of_group = format!("members.value eq \"{user}\"");
    let by_id = format!("id eq \"{user}\" and members.value eq \"{user}\"");
    for (path, filters) in [
        (
            "/Users",
            vec![
                "userName eq \"m1\"",
                "externalId eq \"x\"",
                "emails.value eq \"x\"",
                "title pr",
                "meta.lastModified gt \"2026-01-01T00:00:00Z\"",
            ],
        ),
        ("/Groups", vec!["displayName eq \"outer\"", "externalId eq \"x\"", "members pr", &of_group, &by_id]),
        ("/GroupMembers", vec![&format!("member.value eq \"{user}\"") as &str, "member.type eq \"User\""]),
        (
            "",
            vec![
                "userName eq \"m1\"",
                "externalId eq \"x\"",
                "emails.value eq \"x\"",
                "meta.lastModified gt \"2026-01-01T00:00:00Z\"",
                "members pr",
                &of_group,
                &by_id,
                "title pr",
            ],
        ),
    ] {
        for filter in filters.into_iter().map(Some).chain([None]) {
            let text = filter.map_or(String::new(), |filter| format!("&filter={}", encode(filter)));
            for cursor in ["startIndex=1", "cursor="] {
                assert_eq!(
                    harness.send("GET", &format!("{path}?{cursor}{text}"), None).await.status,
                    200,
                    "{path} {text}"
                );
            }
            for mut body in [json!({"startIndex": 1}), json!({"cursor": ""})] {
                body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
                if let Some(filter) = filter {
                    body["filter"] = json!(filter);
                }
                assert_eq!(harness.send("POST", &format!("{path}/.search"), body).await.status, 200, "{path} {text}");
            }
        }
    }
}

fn decode(text: &str) -> String {
    form_urlencoded::parse(format!("f={text}").as_bytes()).next().unwrap().1.into_owned()
}

/// The automation user through all that may be done to it.
async fn drive_me(harness: &Harness) {
    let acme = "acme".parse().unwrap();
    let bot = |record: &mut rollcall::auth::KeyRecord| record.automation = Some("bot".into());
    let header = format!("Bearer {}", crate::support::key(&harness.app.store, &acme, bot).await);
    let id = harness.create(json!({"userName": "bot", "emails": [{"value": "a@x"}, {"value": "b@x"}]})).await;
    let member = json!({"displayName": "of-bot", "members": [{"value": id}]});
    assert_eq!(harness.send("POST", "/Groups", member).await.status, 201);
    let change = |value| patch(json!([{"op": "replace", "path": "emails", "value": value}]));
    let rename = patch(json!([{"op": "replace", "path": "userName", "value": "robot"}]));
    let back = patch(json!([{"op": "replace", "path": "userName", "value": "bot"}]));
    let two = json!({"userName": "bot", "emails": [{"value": "c@x"}, {"value": "d@x"}]});
    for (method, body) in [
        ("GET", None),
        ("PATCH", Some(change(json!([{"value": "a@x"}, {"value": "c@x"}])))),
        ("PUT", Some(two)),
        ("PATCH", Some(rename)),
    ] {
        let body = body.map(|body: serde_json::Value| body.to_string()).unwrap_or_default().into_bytes();
        let reply = harness.raw(method, "/acme/scim/v2/Me", body, &[("authorization", &header)]).await;
        assert!(reply.status < 300, "{method}: {reply:?}");
    }
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), back).await.status, 200);
    let rename = json!({"userName": "robot"}).to_string().into_bytes();
    let headers = [("authorization", header.as_str())];
    assert_eq!(harness.raw("PUT", "/acme/scim/v2/Me", rename, &headers).await.status, 200);
    let back = patch(json!([{"op": "replace", "path": "userName", "value": "bot"},
        {"op": "add", "path": "emails", "value": [{"value": "a@x"}, {"value": "b@x"}]}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), back).await.status, 200);
    // In so many groups that the worker takes it out of them.
    for i in 0..50 {
        let group = json!({"displayName": format!("of-bot-{i}"), "members": [{"value": id}]});
        assert_eq!(harness.send("POST", "/Groups", group).await.status, 201);
    }
    assert_eq!(harness.raw("DELETE", "/acme/scim/v2/Me", Vec::new(), &headers).await.status, 204);
    harness.create(json!({"userName": "bot"})).await;
    let found = harness.find("userName eq \"bot\"").await[0]["id"].clone();
    let group = json!({"displayName": "of-new-bot", "members": [{"value": found}]});
    assert_eq!(harness.send("POST", "/Groups", group).await.status, 201);
    let mut members = vec![json!({"value": found})];
    for i in 0..30 {
        members.push(json!({"value": harness.user(&format!("beside-bot-{i}")).await}));
    }
    let gone = json!({"displayName": "gone-with-bot", "members": members});
    let gone = harness.send("POST", "/Groups", gone).await.body["id"].clone();
    assert_eq!(harness.send("DELETE", &format!("/Groups/{}", gone.as_str().unwrap()), None).await.status, 204);
    assert_eq!(harness.raw("DELETE", "/acme/scim/v2/Me", Vec::new(), &headers).await.status, 204);
}

/// What takes access away, over the bound; and every write as a dry run.
async fn drive_protection(harness: &Harness) {
    let acme: TenantName = "acme".parse().unwrap();
    let store = &harness.app.store;
    let admin = harness.operator().await;
    let settings = json!({"settings": {"protectUsers": "0%/0"}});
    assert_eq!(crate::admin::ask(harness, &admin, "PATCH", "/tenants/acme", settings).await.status, 200);
    let bot = |record: &mut KeyRecord| record.automation = Some("bot".into());
    let header = format!("Bearer {}", crate::support::key(store, &acme, bot).await);
    let off = || Some(patch(json!([{"op": "replace", "path": "active", "value": false}])));
    let (user, gone) = (harness.user("protected").await, harness.user("protected-too").await);
    let me = match harness.find("userName eq \"bot\"").await.first() {
        Some(found) => found["id"].as_str().unwrap().to_owned(),
        None => harness.user("bot").await,
    };
    let members = json!([{"value": user}, {"value": gone}, {"value": me}]);
    let body = json!({"displayName": "protected", "members": members});
    let group = harness.send("POST", "/Groups", body).await.body["id"].as_str().unwrap().to_owned();
    let remove = || Some(patch(json!([{"op": "remove", "path": format!("members[value eq \"{user}\"]")}])));
    let add = |id: &str| patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}]));
    let (path, of_group, of_gone) = (format!("/Users/{user}"), format!("/Groups/{group}"), format!("/Users/{gone}"));
    let renamed = || Some(json!({"displayName": "protected-2", "members": [{"value": user}]}));
    let put = || Some(json!({"userName": "protected", "active": false}));
    let operations = json!([
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"displayName": "of-protected-bulk"}},
        {"method": "PATCH", "path": path, "data": off()},
        {"method": "DELETE", "path": of_gone},
    ]);
    for dry in [true, false] {
        let headers: Vec<(&str, &str)> = [("authorization", header.as_str()), ("idempotency-key", "protected")]
            .into_iter()
            .chain(dry.then_some(("rollcall-dry-run", "true")))
            .collect();
        let send = async |method: &str, path: &str, body: Option<Value>| {
            let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
            let reply = harness.raw(method, &format!("/acme/scim/v2{path}"), body, &headers).await;
            assert!(reply.status < 300, "{dry} {method} {path}: {reply:?}");
        };
        let activate = async |id: &str| {
            let on = patch(json!([{"op": "replace", "path": "active", "value": true}]));
            assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), on).await.status, 200);
        };
        send("POST", "/Users", Some(json!({"userName": "protected-new"}))).await;
        send("POST", "/Groups", Some(json!({"displayName": "protected-new", "members": members}))).await;
        send("PATCH", &path, off()).await;
        activate(&user).await;
        send("PUT", &path, put()).await;
        activate(&user).await;
        send("PATCH", "/Me", off()).await;
        activate(&me).await;
        send("PUT", "/Me", Some(json!({"userName": "bot", "active": false}))).await;
        activate(&me).await;
        send("PATCH", &of_group, remove()).await;
        assert_eq!(harness.send("PATCH", &of_group, add(&user)).await.status, 204);
        send("DELETE", &format!("/GroupMembers/{group}.{user}"), None).await;
        if !dry {
            assert_eq!(harness.send("PATCH", &of_group, add(&user)).await.status, 204);
        }
        let other = harness.user(&format!("other-{dry}")).await;
        let membership = json!({"group": {"value": group}, "member": {"value": other}});
        send("POST", "/GroupMembers", Some(membership)).await;
        send("POST", "/Bulk", Some(crate::bulk::bulk(operations.clone()))).await;
        if !dry {
            activate(&user).await;
        }
        let rename = patch(json!([{"op": "replace", "path": "displayName", "value": "protected-3"}]));
        send("PATCH", &of_group, Some(rename)).await;
        send("PUT", &of_group, renamed()).await;
        assert_eq!(harness.send("PATCH", &of_group, add(&me)).await.status, 204);
        send("DELETE", &path, None).await;
        send("DELETE", "/Me", None).await;
        send("DELETE", &of_group, None).await;
    }
    let hold = "/tenants/acme/hold";
    try_as_operator(harness, &admin, "POST", hold, &json!({"action": "approve"})).await;
    for (method, body) in [("GET", Value::Null), ("POST", json!({"action": "approve"}))] {
        assert_eq!(crate::admin::ask(harness, &admin, method, hold, body).await.status, 200);
    }
    let settings = json!({"settings": {"protect": "off"}});
    assert_eq!(crate::admin::ask(harness, &admin, "PATCH", "/tenants/acme", settings).await.status, 200);
}

/// Everything that a restore may have to write, and the states and histories of a user and a group.
async fn drive_restore(harness: &Harness) {
    let admin = harness.operator().await;
    let ask = async |harness: &Harness, method: &str, path: String, body: Value| {
        crate::admin::ask(harness, &admin, method, &format!("/tenants/acme{path}"), body).await
    };
    let mut users = Vec::new();
    for name in ["lost", "renamed"] {
        let emails = json!([{"value": "a@x"}, {"value": format!("{name}@x")}]);
        users.push(harness.create(json!({"userName": name, "emails": emails})).await);
    }
    let mut groups = Vec::new();
    for name in ["to-restore", "ended"] {
        let members: Vec<_> = users.iter().map(|id| json!({"value": id})).collect();
        let group = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
        groups.push(group.body["id"].as_str().unwrap().to_owned());
    }
    let nested = json!({"displayName": "around", "members": [{"value": groups[0]}]});
    assert_eq!(harness.send("POST", "/Groups", nested).await.status, 201);
    let since = Timestamp::now();
    let send = async |method: &str, path: String, body: Option<Value>| {
        let reply = harness.send(method, &path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    };
    send(
        "PUT",
        format!("/Users/{}", users[1]),
        Some(json!({"userName": "other", "emails": [{"value": "z@x"}, {"value": "y@x"}]})),
    )
    .await;
    send("DELETE", format!("/Users/{}", users[0]), None).await;
    send("DELETE", format!("/Groups/{}", groups[1]), None).await;
    let join = json!([{"op": "replace", "path": "displayName", "value": "new"},
        {"op": "add", "path": "members", "value": [{"value": harness.user("added").await}]}]);
    send("PATCH", format!("/Groups/{}", groups[0]), Some(patch(join))).await;
    harness.settle().await;
    all_events(harness).await;
    let later = harness.at(Timestamp::now() + SignedDuration::from_secs(60));
    let key = ApiKey::parse(&harness.acme).unwrap().id().as_str().to_owned();
    let reply = ask(&later, "POST", "/restore".to_owned(), json!({"key": key, "since": since.to_string()})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body["restored"].as_array().unwrap().len() >= 4, "{reply:?}");
    let reply = ask(&later, "POST", "/restore".to_owned(), json!({"hold": "nobody@never"})).await;
    assert_eq!(reply.status, 409, "{reply:?}");
    all_events(harness).await;
    let member = users[1].as_str();
    let none = uuid::Uuid::from_u128(1).to_string();
    for (path, status) in [
        (format!("/users/{member}"), 200),
        (format!("/groups/{}", groups[0]), 200),
        (format!("/users/{member}/history"), 200),
        (format!("/groups/{}/history", groups[0]), 200),
        (format!("/users/{none}/history"), 404),
        (format!("/groups/{none}/history"), 404),
    ] {
        let reply = ask(harness, "GET", path.clone(), Value::Null).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
}

/// Every kind of operation in one request.
async fn drive_bulk(harness: &Harness) {
    let post = |path: &str, id: &str, data: serde_json::Value| json!({"method": "POST", "path": path, "bulkId": id, "data": data});
    let on = |method: &str, path: &str, data: serde_json::Value| json!({"method": method, "path": path, "data": data});
    let title = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    let named = |i: usize| format!("of-bulk-{i}");
    let mut operations: Vec<_> = (0..70).map(|i| post("/Users", &named(i), json!({"userName": named(i)}))).collect();
    let members: Vec<_> = (0..70).map(|i| json!({"value": format!("bulkId:{}", named(i))})).collect();
    let first = "/Users/bulkId:of-bulk-0";
    operations.extend([
        post("/Groups", "g", json!({"displayName": "of-bulk", "members": members})),
        on("PATCH", first, title),
        on("PUT", first, json!({"userName": "renamed-by-bulk"})),
        on("PUT", "/Groups/bulkId:g", json!({"displayName": "renamed-by-bulk"})),
        on("PATCH", "/Groups/bulkId:g", patch(json!([{"op": "add", "path": "members", "value": &members[1..2]}]))),
        on("PATCH", "/Groups/bulkId:g", patch(json!([{"op": "add", "path": "members", "value": &members[1..3]}]))),
        on("DELETE", "/Groups/bulkId:g", json!(null)),
        on("DELETE", first, json!(null)),
    ]);
    let reply = harness.send("POST", "/Bulk", crate::bulk::bulk(json!(operations))).await;
    let results = reply.body["Operations"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"].as_str().unwrap().starts_with('2')), "{results:?}");
}

/// Memberships one by one, each kind of list, and in groups whose last change died half-way.
async fn drive_memberships(harness: &Harness, groups: &[String], users: &[serde_json::Value]) {
    for (group, is_creation) in groups.iter().zip([true, false]) {
        let mut members = Vec::new();
        for i in 0..60 {
            members.push(json!({"value": harness.user(&format!("{group}-{i}")).await}));
        }
        let path = format!("/Groups/{group}");
        let (old, new) = members.split_at(30);
        let add = patch(json!([{"op": "replace", "path": "members", "value": old}]));
        assert_eq!(harness.send("PATCH", &path, add).await.status, 204);
        let first = format!("{group}.{}", old[0]["value"].as_str().unwrap());
        let dying = harness.again(vec![Crash::after(70)]).await;
        let replace = patch(json!([{"op": "replace", "path": "members", "value": new}]));
        assert_eq!(dying.send("PATCH", &path, replace).await.status, 204, "committed, though not all is done");
        let one = format!("{group}.{}", new[0]["value"].as_str().unwrap());
        match is_creation {
            true => {
                let body = json!({"group": {"value": group}, "member": users[0]});
                assert_eq!(harness.send("POST", "/GroupMembers", body).await.status, 201);
            }
            false => {
                assert_eq!(harness.send("DELETE", &format!("/GroupMembers/{one}"), None).await.status, 204);
            }
        }
        assert_eq!(harness.send("GET", &format!("/GroupMembers/{first}"), None).await.status, 404);
    }
    let (group, user) = (&groups[0], users[0]["value"].as_str().unwrap());
    for query in [
        String::new(),
        format!("?filter={}", encode(&format!("group.value eq \"{group}\""))),
        format!("?filter={}", encode(&format!("member.value eq \"{user}\""))),
        format!("?filter={}", encode(&format!("group.value eq \"{group}\" and member.value eq \"{user}\""))),
    ] {
        assert_eq!(harness.send("GET", &format!("/GroupMembers{query}"), None).await.status, 200, "{query}");
        let filter = query.strip_prefix("?filter=").map(decode);
        let mut search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
        search.as_object_mut().unwrap().extend(filter.map(|filter| ("filter".to_owned(), json!(filter))));
        assert_eq!(harness.send("POST", "/GroupMembers/.search", search).await.status, 200, "{query}");
    }
}
