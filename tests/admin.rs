//! The admin API: what operators do to tenants, keys and automation users, and that nobody else does.

use std::collections::BTreeSet;

use rollcall::api::{Base, ROUTES};
use rollcall::auth::Scope;
use rollcall::tenant::TenantName;
use serde_json::{Value, json};

use crate::support::{Harness, ScimResponse, key};

/// A request of an operator.
pub async fn ask(harness: &Harness, admin: &str, method: &str, path: &str, body: Value) -> ScimResponse {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let header = format!("Bearer {admin}");
    harness.raw(method, &format!("/admin/v1{path}"), body, &[("authorization", &header)]).await
}

async fn users(harness: &Harness, tenant: &str, secret: &str) -> u16 {
    let header = format!("Bearer {secret}");
    harness.raw("GET", &format!("/{tenant}/scim/v2/Users"), Vec::new(), &[("authorization", &header)]).await.status
}

#[tokio::test(start_paused = true)]
async fn a_tenant_is_created_returned_and_changed() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let body = json!({"name": "initech", "profile": "jostle", "settings": {"onDeactivation": "suspend"}});
    let creation = ask(&harness, &admin, "POST", "/tenants", body.clone()).await;
    assert_eq!(creation.status, 201, "{creation:?}");
    assert_eq!(creation.headers["cache-control"], "no-store");
    assert_eq!((&creation.body["profile"], &creation.body["path"]), (&json!("jostle"), &json!("/initech/scim/v2")));
    assert_eq!(
        creation.body["settings"],
        json!({"inviteAutomatically": false, "onDeactivation": "suspend",
            "protect": "warn", "protectUsers": "20%/25", "protectWindow": "60m", "rate": "default",
            "notify": [], "silentAfter": "3d", "failingAbove": "20"})
    );
    assert_eq!(ask(&harness, &admin, "POST", "/tenants", body).await.status, 409);
    let change = json!({"settings": {"inviteAutomatically": true}, "profile": "mindtickle"});
    let changed = ask(&harness, &admin, "PATCH", "/tenants/initech", change).await;
    assert_eq!(
        changed.body["settings"],
        json!({"inviteAutomatically": true, "onDeactivation": "suspend",
            "protect": "warn", "protectUsers": "20%/25", "protectWindow": "60m", "rate": "default",
            "notify": [], "silentAfter": "3d", "failingAbove": "20"})
    );
    assert_eq!(changed.body["path"], "/initech/scim");
    let output = ask(&harness, &admin, "GET", "/tenants/initech", Value::Null).await;
    assert_eq!(output.body, changed.body);
    let all = ask(&harness, &admin, "GET", "/tenants", Value::Null).await.body;
    let names: Vec<_> = all["tenants"].as_array().unwrap().iter().map(|tenant| tenant["name"].clone()).collect();
    assert_eq!(names, ["acme", "admin", "globex", "initech"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_created_listed_rotated_and_revoked() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let path = "/tenants/acme/keys";
    let creation = ask(&harness, &admin, "POST", path, json!({"description": "Entra ID", "scopes": ["read"]})).await;
    assert_eq!(creation.status, 201, "{creation:?}");
    let secret = creation.body["secret"].as_str().unwrap().to_owned();
    assert_eq!(users(&harness, "acme", &secret).await, 200);
    let listed = ask(&harness, &admin, "GET", path, Value::Null).await.body;
    let ours = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == creation.body["id"]).unwrap().clone();
    assert_eq!((&ours["state"], &ours["scopes"], &ours["type"]), (&json!("live"), &json!(["read"]), &json!("bearer")));
    assert!(ours["used"].is_string() && secret.starts_with(ours["prefix"].as_str().unwrap()));
    assert!(!listed.to_string().contains(&secret[30..]), "the secret is shown once");
    let rotate = format!("{path}/{}/rotate", creation.body["id"].as_str().unwrap());
    let rotated = ask(&harness, &admin, "POST", &rotate, json!({"overlapSeconds": 60})).await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    let listed = ask(&harness, &admin, "GET", path, Value::Null).await.body;
    let old = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == creation.body["id"]).unwrap();
    assert_eq!(rotated.body["replaces"], json!({"id": old["id"], "expires": old["expires"]}));
    let next = rotated.body["secret"].as_str().unwrap();
    assert_eq!((users(&harness, "acme", &secret).await, users(&harness, "acme", next).await), (200, 200));
    for id in [&creation.body["id"], &rotated.body["id"]] {
        let revoke = format!("{path}/{}", id.as_str().unwrap());
        assert_eq!(ask(&harness, &admin, "DELETE", &revoke, Value::Null).await.status, 204);
    }
    assert_eq!((users(&harness, "acme", &secret).await, users(&harness, "acme", next).await), (401, 401));
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_for_its_automation_user() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let robot = "/tenants/acme/automation-users/robot%40example.com";
    let user = ask(&harness, &admin, "PUT", robot, json!({"active": false})).await;
    assert_eq!((user.status, &user.body["active"]), (200, &json!(false)));
    let body = json!({"description": "Jive", "form": "basic", "automation": "robot@example.com"});
    let creation = ask(&harness, &admin, "POST", "/tenants/acme/keys", body).await;
    assert_eq!(
        (&creation.body["state"], creation.body["warning"].is_string()),
        (&json!("waiting"), true),
        "{creation:?}"
    );
    assert_eq!(ask(&harness, &admin, "PUT", robot, json!({"active": true})).await.body["active"], true);
    let listed = ask(&harness, &admin, "GET", "/tenants/acme/automation-users", Value::Null).await.body;
    assert_eq!(listed["automationUsers"][0]["name"], "robot@example.com");
    let listed = ask(&harness, &admin, "GET", "/tenants/acme/keys", Value::Null).await.body;
    let state =
        listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == creation.body["id"]).unwrap()["state"]
            .clone();
    assert_eq!(state, "live");
}

/// A request for a trust in an issuer.
fn trusting(issuer: &str, more: Value) -> Value {
    let mut body = json!({"description": "x", "type": "federation", "issuer": issuer, "audience": "a",
        "jwksUri": "https://idp.example.com/keys"});
    let is_about_keys = more.get("jwksUri").is_some();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if is_about_keys {
        body["subject"] = json!("workload");
    }
    body
}

#[tokio::test(start_paused = true)]
async fn any_subject_and_no_expiry_must_be_requested_and_are_returned() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let path = "/tenants/acme/keys";
    let mut body = trusting("https://idp.example.com", json!({"anySubject": true}));
    body["expires"] = json!("never");
    let any = ask(&harness, &admin, "POST", path, body).await;
    assert_eq!((any.status, &any.body["anySubject"]), (201, &json!(true)), "{any:?}");
    assert!(any.body.get("subject").is_none() && any.body.get("expires").is_none());
    let one =
        ask(&harness, &admin, "POST", path, trusting("https://accounts.google.com", json!({"subject": "7"}))).await;
    assert_eq!((one.status, &one.body["subject"]), (201, &json!("7")), "{one:?}");
    assert!(one.body.get("anySubject").is_none() && one.body["expires"].is_string());
    let listed = ask(&harness, &admin, "GET", path, Value::Null).await.body;
    assert_eq!(listed["keys"].as_array().unwrap().iter().filter(|key| key["anySubject"] == true).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_is_said_and_nothing_is_done() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let keys = "/tenants/acme/keys";
    for (method, path, body, status, said) in [
        ("POST", "/tenants", json!({}), 400, "name"),
        ("POST", "/tenants", json!({"name": "A b"}), 400, "name"),
        ("POST", "/tenants", json!({"name": "x", "nam": 1}), 400, "nam"),
        ("POST", "/tenants", json!({"name": "x", "profile": "nothing"}), 400, "profile"),
        ("POST", "/tenants", json!({"name": "x", "profile": {"name": "mine"}}), 400, "profile"),
        ("POST", "/tenants", json!({"name": "x", "settings": {"onDeactivation": "delete"}}), 400, "onDeactivation"),
        ("POST", "/tenants", json!({"name": "x", "settings": {"protect": "stop"}}), 400, "protect"),
        ("PATCH", "/tenants/acme", json!({"settings": {"protectUsers": "200%/1"}}), 400, "protectUsers"),
        ("PATCH", "/tenants/acme", json!({"settings": {"protectWindow": "0m"}}), 400, "protectWindow"),
        ("POST", "/tenants/acme/hold", json!({"action": "once"}), 400, "count"),
        ("POST", "/tenants/acme/hold", json!({"action": "approve"}), 409, "window"),
        ("GET", "/tenants/nobody/hold", Value::Null, 404, "nobody"),
        ("GET", "/tenants/nobody", Value::Null, 404, "nobody"),
        ("PATCH", "/tenants/acme", json!({"name": "other"}), 400, "name"),
        ("PATCH", "/tenants/nobody", json!({}), 404, "nobody"),
        ("GET", "/tenants/nobody/keys", Value::Null, 404, "nobody"),
        ("POST", "/tenants/nobody/keys", json!({"description": "x"}), 404, "nobody"),
        ("POST", keys, json!({}), 400, "description"),
        ("POST", keys, json!({"description": "x", "type": "saml"}), 400, "type"),
        ("POST", keys, json!({"description": "x", "scopes": ["all"]}), 400, "scopes"),
        ("POST", keys, json!({"description": "x", "expires": "soon"}), 400, "expires"),
        ("POST", keys, json!({"description": "x", "expires": "Never"}), 400, "expires"),
        ("POST", keys, json!({"description": "x", "scopes": ["admin", "write"]}), 400, "scopes cannot contain admin"),
        ("POST", keys, json!({"description": "x", "type": "federation"}), 400, "issuer"),
        ("POST", keys, trusting("https://idp.example.com", json!({})), 400, "subject is missing; "),
        ("POST", keys, trusting("https://idp.example.com", json!({"anySubject": false})), 400, "subject is missing; "),
        (
            "POST",
            keys,
            trusting("https://idp.example.com", json!({"subject": "a", "anySubject": true})),
            400,
            "anySubject",
        ),
        (
            "POST",
            keys,
            trusting("https://accounts.google.com", json!({"anySubject": true})),
            400,
            "subject is missing, and https",
        ),
        (
            "POST",
            keys,
            trusting("https://login.microsoftonline.com/common/v2.0", json!({"anySubject": true})),
            400,
            "subject is missing, and https",
        ),
        (
            "POST",
            keys,
            trusting("https://idp.example.com", json!({"jwksUri": "https://10.0.0.1/keys"})),
            400,
            "jwksUri",
        ),
        ("POST", keys, json!({"description": "x", "automation": "nobody"}), 404, "nobody"),
        ("POST", "/tenants/acme/keys/00000000000000/rotate", json!({}), 404, "00000000000000"),
        ("POST", "/tenants/acme/keys/x/rotate", json!({"overlapSeconds": -1}), 400, "overlapSeconds"),
        ("DELETE", "/tenants/acme/keys/00000000000000", Value::Null, 404, "00000000000000"),
        ("DELETE", "/tenants/acme/keys/short", Value::Null, 404, "short"),
        ("PUT", "/tenants/acme/automation-users/a%3Ab", json!({"active": true}), 400, "colon"),
        ("PUT", "/tenants/nobody/automation-users/a", json!({"active": true}), 404, "nobody"),
        ("PUT", "/tenants/acme/automation-users/a", json!({}), 400, "active"),
    ] {
        let reply = ask(&harness, &admin, method, path, body).await;
        assert_eq!(reply.status, status, "{method} {path}: {reply:?}");
        assert!(reply.body["detail"].as_str().unwrap().contains(said), "{method} {path}: {reply:?}");
    }
    let all = ask(&harness, &admin, "GET", "/tenants", Value::Null).await.body;
    assert_eq!(all["tenants"].as_array().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn only_the_operators_key_with_its_scope_may_do_any_of_it() {
    let harness = Harness::new().await;
    harness.operator().await;
    let store = &harness.app.store;
    let (acme, operators): (TenantName, TenantName) = ("acme".parse().unwrap(), "admin".parse().unwrap());
    let of_acme = key(store, &acme, |record| record.scopes = vec![Scope::Read, Scope::Write, Scope::Admin]).await;
    let without = key(store, &operators, |record| record.scopes = vec![Scope::Read, Scope::Write]).await;
    for route in ROUTES.iter().filter(|route| route.base == Base::Admin) {
        assert_eq!(route.scope, Scope::Admin);
        let path = route.path.replace("{tenant}", "acme").replace("{key}", "00000000000000").replace("{name}", "a");
        let path = path.replace("{link}", "00000000000000");
        let mut statuses = BTreeSet::new();
        for key in [of_acme.as_str(), without.as_str(), "none"] {
            statuses.insert(ask(&harness, key, route.method.as_str(), &path, json!({})).await.status);
        }
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [401, 403], "{}", route.name);
    }
}
