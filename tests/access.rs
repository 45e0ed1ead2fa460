//! Declared is used, and used is declared. The guard on every test's wire refuses what a route has not declared; here
//! every route is driven through all that it may need, and a declared access that is never used fails.

use std::collections::BTreeSet;

use rollcall::api::ROUTES;
use serde_json::json;

use crate::support::access::USED;
use crate::support::{Harness, is_embedded, patch};

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
        ("GET", "/Groups", None),
        ("GET", "/ServiceProviderConfig", None),
        ("GET", "/ResourceTypes", None),
        ("GET", "/ResourceTypes/User", None),
        ("GET", "/Schemas", None),
        ("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", None),
    ] {
        let reply = harness.send(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    }
    let used = USED.lock().unwrap().clone();
    let declared: BTreeSet<_> = ROUTES.iter().flat_map(|r| r.access.iter().map(|access| (r.name, *access))).collect();
    let unused: Vec<_> = declared.difference(&used).collect();
    assert!(unused.is_empty(), "declared and never used: {unused:?}");
}
