//! Declared is used, and used is declared. The guard on every test's wire refuses what a route has not declared; here
//! every route is driven through all that it may need, and a declared access that is never used fails.

use std::collections::BTreeSet;
use std::pin::Pin;

use jiff::{SignedDuration, Timestamp};
use rollcall::api::ROUTES;
use rollcall::app::Clock;
use rollcall::worker;
use serde_json::{Value, json};

use crate::support::access::{ROLE, USED, role};
use crate::support::feed::all_events;
use crate::support::{Harness, is_embedded, patch};

pub mod operators;
mod scim;

/// A part of the drive. It begins in a frame of its own: what a test awaits in place is in each of its frames, and a
/// thread of a test has two megabytes.
fn part<'f, F: Future<Output = ()> + 'f>(begin: impl FnOnce() -> F) -> Pin<Box<dyn Future<Output = ()> + 'f>> {
    Box::pin(begin())
}

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
    part(|| scim::drive_groups(&harness)).await;
    part(|| scim::drive_bulk(&harness)).await;
    part(|| scim::drive_me(&harness)).await;
    part(|| operators::drive_protection(&harness)).await;
    part(|| operators::drive_operators(&harness)).await;
    part(|| operators::drive_uses(&harness)).await;
    part(|| operators::drive_restore(&harness)).await;
    part(crate::verify::each_damage).await;
    part(crate::verify::crashes).await;
    part(crate::transfer::export_and_import).await;
    part(crate::tenant_end::end_of_a_tenant).await;
    part(|| operators::drive_resources(&harness)).await;
    part(|| operators::drive_tenant_data(&harness)).await;
    part(|| crate::pages::drive(&harness)).await;
    part(|| crate::pages::drive_restore(&harness)).await;
    let events = all_events(&harness).await;
    let admin = harness.operator().await;
    let user = events.iter().find_map(|event| event["user"]["id"].as_str()).unwrap();
    for path in [&format!("/tenants/acme/log?user={user}"), "/tenants/acme/log/chain", "/tenants/acme?load=true"] {
        assert_eq!(crate::admin::ask(&harness, &admin, "GET", path, Value::Null).await.status, 200);
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
