//! Requests that use every declared access of the admin API, of the token endpoint and of the protection.

use jiff::{SignedDuration, Timestamp};
use rollcall::api::{Base, ROUTES};
use rollcall::auth::{ApiKey, Credential, KeyRecord, Scope};
use rollcall::tenant::{Profile, TenantName};
use serde_json::{Value, json};

use crate::support::feed::all_events;
use crate::support::{Harness, encode, key, patch};
use crate::token_endpoint::FORM;

/// Tenants, keys and automation users, and an access token.
pub(super) async fn drive_operators(harness: &Harness) {
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
pub(super) async fn drive_tenant_data(harness: &Harness) {
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

/// The users, groups and memberships of a tenant, in each way that they may be found.
pub(super) async fn drive_resources(harness: &Harness) {
    let admin = harness.operator().await;
    let user = harness.user("of-operators").await;
    let inner = harness.send("POST", "/Groups", json!({"displayName": "inner-of-operators"})).await.body;
    let members = json!([{"value": user}, {"value": inner["id"]}]);
    let group = json!({"displayName": "of-operators", "externalId": "O", "members": members});
    let group = harness.send("POST", "/Groups", group).await.body["id"].as_str().unwrap().to_owned();
    let of_group = format!("members.value eq \"{user}\"");
    let by_id = format!("id eq \"{group}\" and members.value eq \"{user}\"");
    let changed = "meta.lastModified gt \"2026-01-01T00:00:00Z\"";
    let filters: [(&str, &[&str]); 3] = [
        (
            "users",
            &[
                "",
                "userName eq \"of-operators\"",
                "externalId eq \"x\"",
                "emails.value eq \"b@x\"",
                "title pr",
                changed,
            ],
        ),
        ("groups", &["", "displayName eq \"of-operators\"", "externalId eq \"O\"", "members pr", &of_group, &by_id]),
        (&format!("groups/{group}/members"), &[""]),
    ];
    for (path, filters) in filters {
        for filter in filters {
            for more in ["", "&cursor=&count=1", "&startIndex=1&count=0"] {
                let path = format!("/tenants/acme/{path}?filter={}{more}", encode(filter));
                let reply = Box::pin(crate::admin::ask(harness, &admin, "GET", &path, Value::Null)).await;
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
            }
        }
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
pub(super) async fn drive_uses(harness: &Harness) {
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

/// What takes access away, over the bound; and every write as a dry run.
pub(super) async fn drive_protection(harness: &Harness) {
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

/// Damage that a restore has to write everything for: the key that did it, since when, a user and a group.
pub(crate) async fn damage(harness: &Harness, prefix: &str) -> (String, String, (String, String)) {
    let mut users = Vec::new();
    for name in ["lost", "renamed"] {
        let name = format!("{prefix}{name}");
        let emails = json!([{"value": "a@x"}, {"value": format!("{name}@x")}]);
        users.push(harness.create(json!({"userName": name, "emails": emails})).await);
    }
    let mut groups = Vec::new();
    for name in ["to-restore", "ended"] {
        let members: Vec<_> = users.iter().map(|id| json!({"value": id})).collect();
        let group = json!({"displayName": format!("{prefix}{name}"), "members": members});
        let group = harness.send("POST", "/Groups", group).await;
        groups.push(group.body["id"].as_str().unwrap().to_owned());
    }
    let nested = json!({"displayName": format!("{prefix}around"), "members": [{"value": groups[0]}]});
    assert_eq!(harness.send("POST", "/Groups", nested).await.status, 201);
    let since = Timestamp::now();
    let send = async |method: &str, path: String, body: Option<Value>| {
        let reply = harness.send(method, &path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    };
    let emails = json!([{"value": "z@x"}, {"value": "y@x"}]);
    let renamed = json!({"userName": format!("{prefix}other"), "emails": emails});
    send("PUT", format!("/Users/{}", users[1]), Some(renamed)).await;
    send("DELETE", format!("/Users/{}", users[0]), None).await;
    send("DELETE", format!("/Groups/{}", groups[1]), None).await;
    let added = harness.user(&format!("{prefix}added")).await;
    let join = json!([{"op": "replace", "path": "displayName", "value": format!("{prefix}new")},
        {"op": "add", "path": "members", "value": [{"value": added}]}]);
    send("PATCH", format!("/Groups/{}", groups[0]), Some(patch(join))).await;
    harness.settle().await;
    all_events(harness).await;
    let key = ApiKey::parse(&harness.acme).unwrap().id().as_str().to_owned();
    (key, since.to_string(), (users[1].clone(), groups[0].clone()))
}

/// Everything that a restore may have to write, and the states and histories of a user and a group.
pub(super) async fn drive_restore(harness: &Harness) {
    let admin = harness.operator().await;
    let ask = async |harness: &Harness, method: &str, path: String, body: Value| {
        crate::admin::ask(harness, &admin, method, &format!("/tenants/acme{path}"), body).await
    };
    let (key, since, (member, group)) = Box::pin(damage(harness, "")).await;
    let later = harness.at(Timestamp::now() + SignedDuration::from_secs(60));
    let reply = ask(&later, "POST", "/restore".to_owned(), json!({"key": key, "since": since})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body["restored"].as_array().unwrap().len() >= 4, "{reply:?}");
    let reply = ask(&later, "POST", "/restore".to_owned(), json!({"hold": "nobody@never"})).await;
    assert_eq!(reply.status, 409, "{reply:?}");
    all_events(harness).await;
    let none = uuid::Uuid::from_u128(1).to_string();
    for (path, status) in [
        (format!("/users/{member}"), 200),
        (format!("/groups/{group}"), 200),
        (format!("/users/{member}/history"), 200),
        (format!("/groups/{group}/history"), 200),
        (format!("/users/{none}/history"), 404),
        (format!("/groups/{none}/history"), 404),
    ] {
        let reply = ask(harness, "GET", path.clone(), Value::Null).await;
        assert_eq!(reply.status, status, "{path}: {reply:?}");
    }
}
