//! `Rollcall-Dry-Run`: every write answers as it would, and writes nothing. Walks the route table.

use std::collections::HashMap;
use std::process::Command;

use aws_sdk_dynamodb::types::AttributeValue;
use rollcall::api::{Base, NOT_TRIED, ROUTES};
use rollcall::auth::Scope;
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::bulk::{bulk, post};
use crate::serve::{ROLLCALL, Server};
use crate::support::{Harness, ScimResponse, key, patch};

const DRY: (&str, &str) = ("rollcall-dry-run", "true");

/// Everything that is stored.
async fn stored(harness: &Harness) -> Vec<(Table, HashMap<String, AttributeValue>)> {
    let mut all = Vec::new();
    for table in Table::ALL {
        let scan = harness.app.store.client().scan().table_name(harness.app.store.names().of(table));
        let mut items = scan.consistent_read(true).into_paginator().items().send();
        while let Some(item) = items.next().await {
            all.push((table, item.unwrap()));
        }
    }
    all
}

/// A request in both ways: the dry one first.
async fn both(harness: &Harness, method: &str, path: &str, body: Option<Value>, key: &str) -> [ScimResponse; 2] {
    let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let (uri, header) = (format!("/acme/scim/v2{path}"), format!("Bearer {key}"));
    let authorization = ("authorization", header.as_str());
    let before = stored(harness).await;
    let dry = harness.raw(method, &uri, bytes.clone(), &[authorization, DRY]).await;
    assert!(stored(harness).await == before, "{method} {path} has written");
    assert_eq!(dry.headers.get(DRY.0).unwrap(), "true", "{method} {path}");
    let real = harness.raw(method, &uri, bytes, &[authorization]).await;
    assert!(real.headers.get(DRY.0).is_none());
    assert_eq!(dry.status, real.status, "{method} {path}: {dry:?} {real:?}");
    [dry, real]
}

/// A body without what differs from one request to the next.
fn lasting(mut body: Value) -> Value {
    let Some(fields) = body.as_object_mut() else { return body };
    fields.remove("id");
    fields.remove("meta");
    body
}

/// Two users, the automation user and a group of all three, under names of their own.
pub async fn resources(harness: &Harness, prefix: &str, bot: &str) -> (Vec<String>, String) {
    let mut users = Vec::new();
    for name in ["a", "b"] {
        users.push(harness.user(&format!("{prefix}-{name}")).await);
    }
    users.push(harness.user(bot).await);
    let members: Vec<_> = users.iter().map(|id| json!({"value": id})).collect();
    let body = json!({"displayName": prefix, "members": members});
    let group = harness.send("POST", "/Groups", body).await.body["id"].as_str().unwrap().to_owned();
    (users, group)
}

/// Requests to a route that change something, and some that are refused.
pub fn requests(name: &str, users: &[String], group: &str) -> Vec<(String, Option<Value>)> {
    let (user, other) = (&users[0], &users[1]);
    let off = || Some(patch(json!([{"op": "replace", "path": "active", "value": false}])));
    let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{other}\"]")}]));
    let members = json!([{"value": user}]);
    let nobody = "2819c223-7f76-453a-919d-413861904646";
    match name {
        "users.create" => vec![
            (
                "/Users".into(),
                Some(json!({"userName": format!("{name}-new"), "emails": [{"value": "a@x"}, {"value": "b@x"}]})),
            ),
            ("/Users".into(), Some(json!({"userName": format!("{name}-A")}))),
            ("/Users".into(), Some(json!({"title": "no name"}))),
        ],
        "users.replace" => vec![
            (format!("/Users/{user}"), Some(json!({"userName": format!("{name}-b")}))),
            (format!("/Users/{user}"), Some(json!({"userName": format!("{name}-c"), "active": false}))),
            (format!("/Users/{nobody}"), Some(json!({"userName": "x"}))),
        ],
        "users.patch" => vec![(format!("/Users/{user}"), off()), (format!("/Users/{user}"), off())],
        "users.delete" => vec![(format!("/Users/{user}"), None), (format!("/Users/{nobody}"), None)],
        "groups.create" => vec![
            ("/Groups".into(), Some(json!({"displayName": format!("{name}-new"), "members": members}))),
            ("/Groups".into(), Some(json!({"displayName": name, "members": members}))),
            ("/Groups".into(), Some(json!({"displayName": "x", "members": [{"value": nobody}]}))),
        ],
        "groups.replace" => vec![
            (format!("/Groups/{group}"), Some(json!({"displayName": format!("{name}-new"), "members": members}))),
            (format!("/Groups/{group}"), Some(json!({"displayName": format!("{name}-new"), "members": []}))),
        ],
        "groups.patch" => vec![
            (format!("/Groups/{group}?attributes=displayName,members"), Some(remove.clone())),
            (
                format!("/Groups/{group}"),
                Some(patch(json!([{"op": "replace", "path": "displayName", "value": "renamed"}]))),
            ),
        ],
        "groups.delete" => vec![(format!("/Groups/{group}"), None)],
        "groupmembers.create" => {
            vec![("/GroupMembers".into(), Some(json!({"group": {"value": group}, "member": {"value": other}})))]
        }
        "groupmembers.delete" => vec![(format!("/GroupMembers/{group}.{other}"), None)],
        "bulk.post" => vec![(
            "/Bulk".into(),
            Some(bulk(json!([
                post("/Users", "u", json!({"userName": "of-bulk"})),
                post("/Groups", "g", json!({"displayName": "of-bulk", "members": [{"value": "bulkId:u"}]})),
                {"method": "DELETE", "path": format!("/Users/{user}")},
                {"method": "PATCH", "path": format!("/Groups/{group}"), "data": remove},
            ]))),
        )],
        "me.replace" => vec![("/Me".into(), Some(json!({"userName": "bot", "title": "t"})))],
        "me.patch" => vec![("/Me".into(), off())],
        "me.delete" => vec![("/Me".into(), None)],
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_answers_as_it_would_and_writes_nothing() {
    for route in ROUTES.iter().filter(|route| route.base == Base::Scim && route.scope == Scope::Write) {
        let harness = Harness::new().await;
        let (users, group) = resources(&harness, route.name, "bot").await;
        let bot = key(&harness.app.store, &"acme".parse().unwrap(), |record| {
            (record.automation, record.used) = (Some("bot".into()), None);
        })
        .await;
        if route.name == "groupmembers.create" {
            let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", users[1])}]));
            assert_eq!(harness.send("PATCH", &format!("/Groups/{group}"), remove).await.status, 204);
        }
        let all = requests(route.name, &users, &group);
        assert!(!all.is_empty(), "{} is not tried", route.name);
        for (path, body) in all {
            let [dry, real] = both(&harness, route.method.as_str(), &path, body, &bot).await;
            if route.name == "bulk.post" {
                let statuses = |reply: &ScimResponse| {
                    let results = reply.body["Operations"].as_array().unwrap().iter();
                    results.map(|result| result["status"].clone()).collect::<Vec<_>>()
                };
                assert_eq!(statuses(&dry), statuses(&real), "{dry:?}");
            } else {
                assert_eq!(lasting(dry.body), lasting(real.body), "{} {path}", route.name);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_many_members_and_a_held_one_are_tried_too() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let hold = json!({"settings": {"protect": "hold", "protectUsers": "0%/1"}});
    assert_eq!(ask(&harness, &admin, "PATCH", "/tenants/acme", hold).await.status, 200);
    let mut members = Vec::new();
    for number in 0..130 {
        members.push(json!({"value": harness.user(&format!("m{number}")).await}));
    }
    let acme = harness.acme.clone();
    let [_, real] =
        both(&harness, "POST", "/Groups", Some(json!({"displayName": "g", "members": members})), &acme).await;
    let path = format!("/Groups/{}", real.body["id"].as_str().unwrap());
    let keep = |count: usize| Some(json!({"displayName": "g", "members": members[..count]}));
    for (count, status) in [(10, 429), (70, 200), (130, 200)] {
        let [dry, _] = both(&harness, "PUT", &path, keep(count), &acme).await;
        assert_eq!(dry.status, status);
    }
    for (number, status) in [(0, 200), (1, 429)] {
        let user = format!("/Users/{}", members[number]["value"].as_str().unwrap());
        let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
        let [dry, _] = both(&harness, "PATCH", &user, Some(off), &acme).await;
        assert_eq!(dry.status, status);
    }
}

/// A body of the admin API without what differs from one request to the next; and without the secret, which a dry run
/// does not return.
fn lasting_of_admin(mut body: Value) -> Value {
    fn strip(value: &mut Value) {
        value.as_array_mut().into_iter().flatten().for_each(strip);
        let Some(fields) = value.as_object_mut() else { return };
        for name in ["id", "prefix", "secret", "created", "expires", "activated", "revoked", "until", "url"] {
            fields.remove(name);
        }
        fields.values_mut().for_each(strip);
    }
    strip(&mut body);
    body
}

/// Requests to a route of the admin API that change something, and some that are refused.
pub fn requests_of_admin(name: &str, key: &str) -> Vec<(String, Value)> {
    let own = json!({"name": "own", "schemas": {}});
    match name {
        "admin.tenants.create" => vec![
            ("/tenants".into(), json!({"name": "initech", "settings": {"protect": "hold"}})),
            ("/tenants".into(), json!({"name": "hooli", "profile": own})),
            ("/tenants".into(), json!({"name": "acme"})),
            ("/tenants".into(), json!({"name": "NO"})),
        ],
        "admin.tenants.patch" => vec![
            ("/tenants/acme".into(), json!({"settings": {"rate": "5/10", "onDeactivation": "suspend"}})),
            ("/tenants/acme".into(), json!({"profile": "jostle"})),
            ("/tenants/nobody".into(), json!({"settings": {}})),
        ],
        "admin.keys.create" => vec![
            ("/tenants/acme/keys".into(), json!({"description": "new", "expires": "never"})),
            ("/tenants/acme/keys".into(), json!({"description": "new", "type": "client"})),
            ("/tenants/acme/keys".into(), json!({"description": ""})),
        ],
        "admin.keys.rotate" => vec![
            (format!("/tenants/acme/keys/{key}/rotate"), json!({"overlapSeconds": 60})),
            ("/tenants/acme/keys/AAAAAAAAAAAAAAAA/rotate".into(), json!({})),
        ],
        "admin.keys.revoke" => {
            vec![(format!("/tenants/acme/keys/{key}"), Value::Null), ("/tenants/acme/keys/x".into(), Value::Null)]
        }
        "admin.automation.put" => vec![
            ("/tenants/acme/automation-users/bot".into(), json!({"active": false})),
            ("/tenants/acme/automation-users/bot".into(), json!({"active": true})),
            ("/tenants/acme/automation-users/other".into(), json!({"active": true})),
            ("/tenants/nobody/automation-users/bot".into(), json!({"active": true})),
        ],
        "admin.hold.decide" => vec![
            ("/tenants/acme/hold".into(), json!({"action": "once", "count": 2})),
            ("/tenants/acme/hold".into(), json!({"action": "reject"})),
            ("/tenants/acme/hold".into(), json!({"action": "approve"})),
            ("/tenants/globex/hold".into(), json!({"action": "approve"})),
        ],
        "admin.links.create" => vec![
            ("/tenants/acme/links".into(), json!({"role": "view"})),
            ("/tenants/nobody/links".into(), json!({})),
            ("/tenants/acme/links".into(), json!({"role": "admin"})),
        ],
        "admin.links.revoke" => vec![("/tenants/acme/links/00000000000000".into(), Value::Null)],
        _ => Vec::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_by_operators_answers_as_it_would_and_changes_nothing() {
    for route in ROUTES.iter().filter(|route| route.base == Base::Admin && route.method != http::Method::GET) {
        let harness = Harness::new().await;
        let admin = format!("Bearer {}", harness.operator().await);
        let user = harness.user("bob").await;
        assert_eq!(harness.send("DELETE", &format!("/Users/{user}"), None).await.status, 204);
        let key = harness.acme.split('_').nth(2).unwrap();
        if NOT_TRIED.contains(&route.name) {
            let uri = format!("/admin/v1{}", route.path.replace("{tenant}", "acme"));
            let before = stored(&harness).await;
            let headers = [("authorization", admin.as_str()), DRY];
            assert_eq!(harness.raw(route.method.as_str(), &uri, b"{}".to_vec(), &headers).await.status, 400, "{uri}");
            assert!(stored(&harness).await == before, "{uri} has written");
            continue;
        }
        let all = requests_of_admin(route.name, key);
        assert!(!all.is_empty(), "{} is not tried", route.name);
        for (path, body) in all {
            let (uri, method) = (format!("/admin/v1{path}"), route.method.as_str());
            let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            let before = stored(&harness).await;
            let dry = harness.raw(method, &uri, bytes.clone(), &[("authorization", &admin), DRY]).await;
            assert!(stored(&harness).await == before, "{method} {path} has written");
            assert_eq!(dry.headers.get(DRY.0).unwrap(), "true", "{method} {path}");
            assert!(dry.body.get("secret").is_none());
            let real = harness.raw(method, &uri, bytes, &[("authorization", &admin)]).await;
            assert_eq!(dry.status, real.status, "{method} {path}: {dry:?} {real:?}");
            let [dry, real] = [dry, real].map(|reply| lasting_of_admin(reply.body));
            assert_eq!(dry, real, "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_is_tried_as_far_as_it_does_not_use_what_it_would_create() {
    let harness = Harness::new().await;
    let acme = harness.acme.clone();
    let id = harness.user("eve").await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "there"})).await.body["id"].clone();
    let group = group.as_str().unwrap();
    let join = patch(json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:u"}]}]));
    let rename = patch(json!([{"op": "replace", "path": "displayName", "value": "x"}]));
    let operations = json!([
        post("/Users", "u", json!({"userName": "new"})),
        post("/Groups", "g", json!({"displayName": "new", "members": [{"value": "bulkId:u"}, {"value": id}]})),
        {"method": "PATCH", "path": format!("/Groups/{group}"), "data": join},
        post("/GroupMembers", "m", json!({"group": {"value": group}, "member": {"value": id}})),
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": rename},
        {"method": "DELETE", "path": "/Users/bulkId:u"},
        post("/Users", "v", json!({"userName": "EVE"})),
    ]);
    let [dry, real] = both(&harness, "POST", "/Bulk", Some(bulk(operations)), &acme).await;
    let results = |reply: &ScimResponse| reply.body["Operations"].as_array().unwrap().clone();
    let statuses = |reply: &ScimResponse| {
        results(reply).iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&real), ["201", "201", "204", "201", "204", "204", "409"]);
    assert_eq!(statuses(&dry), ["201", "201", "204", "201", "409", "409", "409"], "{dry:?}");
    for result in &results(&dry)[4..6] {
        let detail = result["response"]["detail"].as_str().unwrap();
        assert!(detail.contains("dry run"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_tried_the_header_is_refused() {
    let harness = Harness::new().await;
    let before = stored(&harness).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let reply = harness.raw("POST", "/acme/oauth/token", b"grant_type=x".to_vec(), &[form, DRY]).await;
    assert_eq!(reply.status, 400);
    let reply = harness.send_with("POST", "/Users", json!({"userName": "a"}), &[("rollcall-dry-run", "yes")]).await;
    assert_eq!(reply.status, 400);
    assert!(stored(&harness).await == before);
    assert_eq!(
        harness.send_with("POST", "/Users", json!({"userName": "a"}), &[("rollcall-dry-run", "false")]).await.status,
        201
    );
    assert_eq!(harness.send_with("GET", "/Users", None, &[DRY]).await.body["totalResults"], 1);
}

#[test]
fn a_command_with_dry_run_prints_what_it_would_do_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Command::new(ROLLCALL).args(args).arg("--data").arg(folder.path()).output().unwrap();
    let done = |args: &[&str]| {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    };
    done(&["tenant", "create", "acme"]);
    let key = String::from_utf8(done(&["key", "create", "acme", "--description", "first"]).stdout).unwrap();
    let id = key.split('_').nth(2).unwrap();
    done(&["automation", "create", "acme", "bot"]);
    let state = || {
        let lists: [&[&str]; 4] = [
            &["tenant", "list", "--json"],
            &["tenant", "show", "acme", "--json"],
            &["key", "list", "acme", "--json"],
            &["automation", "list", "acme", "--json"],
        ];
        lists.map(|args| done(args).stdout)
    };
    let before = state();
    for is_served in [false, true] {
        let server = is_served.then(|| Server::start(folder.path()));
        let changes: [&[&str]; 8] = [
            &["tenant", "create", "globex"],
            &["tenant", "set", "acme", "--rate", "5/10", "--protect", "hold"],
            &["key", "create", "acme", "--description", "second"],
            &["key", "rotate", "acme", id],
            &["key", "revoke", "acme", id],
            &["automation", "create", "acme", "other"],
            &["automation", "activate", "acme", "bot"],
            &["automation", "activate", "acme", "other"],
        ];
        for change in changes {
            let output = done(&[change, &["--dry-run"]].concat());
            let report = String::from_utf8(output.stderr).unwrap();
            assert!(report.starts_with("Dry run: nothing is changed. Without --dry-run: "), "{change:?}: {report}");
            assert!(output.stdout.is_empty(), "{change:?} prints a secret");
            assert!(state() == before, "{change:?} has changed something");
        }
        for refused in [
            &["tenant", "create", "acme"][..],
            &["key", "revoke", "acme", "AAAAAAAAAAAAAA"],
            &["hold", "approve", "acme"],
        ] {
            assert!(!run(&[refused, &["--dry-run"]].concat()).status.success(), "{refused:?}");
        }
        drop(server);
    }
}
