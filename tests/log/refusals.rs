//! Refused requests in the log: which ones, with what, and what they cost.

use std::sync::Arc;

use rollcall::auth::ApiKey;

use super::*;
use crate::support::budget::Budget;
use crate::support::wire::{Answer, DynamoCall, Layer, Lost};

/// Everything that an entry of a refusal may have.
const FIELDS: [&str; 17] = [
    "kind",
    "id",
    "timestamp",
    "request",
    "actor",
    "method",
    "route",
    "target",
    "status",
    "code",
    "scimType",
    "detail",
    "remedy",
    "milliseconds",
    "rules",
    "suppressed",
    "type",
];

/// What stands for a value that must never be in the log.
const SECRET: &str = "never-in-a-log";

#[tokio::test(start_paused = true)]
async fn a_refusal_has_whitelisted_fields_alone() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let body = json!({"userName": "bob", "password": SECRET, "nickName": SECRET, "emails": [{"value": SECRET}]});
    harness.create(body.clone()).await;
    assert_eq!(harness.send_with("POST", "/Users", body, &[("x-secret", SECRET)]).await.status, 409);
    let filter = format!("/Users?filter={}", encode(&format!("meta.created gt \"{SECRET}\"")));
    let searched = harness.send("GET", &filter, None).await;
    assert_eq!(searched.status, 400, "{searched:?}");
    let admin = harness.operator().await;
    let refusals = entries(&harness, &admin, "acme", "kind=refusal").await;
    let [search, create] = &refusals[..] else { panic!("{refusals:#?}") };
    for entry in &refusals {
        let fields: Vec<_> =
            entry.as_object().unwrap().keys().filter(|name| !FIELDS.contains(&name.as_str())).collect();
        assert!(fields.is_empty(), "{fields:?}");
        let of_actor: Vec<_> = entry["actor"].as_object().unwrap().keys().collect();
        assert_eq!(of_actor, ["key", "keyState", "client"]);
    }
    assert_eq!(
        (&create["status"], &create["code"], &create["scimType"]),
        (&json!(409), &json!("taken"), &json!("uniqueness"))
    );
    assert_eq!((&create["method"], &create["route"]), (&json!("POST"), &json!("users.create")));
    assert_eq!((&create["actor"]["keyState"], &create["rules"]), (&json!("ok"), &json!(["password"])));
    assert!(create["detail"].as_str().unwrap().contains("bob") && create["remedy"].is_string());
    assert!(search["target"].as_str().unwrap().starts_with("meta.created gt sha256:"), "{search}");
    let rows = harness.dump(Table::Changes).await;
    let rows: Vec<_> = rows.iter().filter(|row| row["pk"].as_s().unwrap().ends_with("#r")).collect();
    let secret = &harness.acme[harness.acme.len() - 30..];
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| !format!("{row:?}").contains(secret)), "no secret of a key");
    assert!(rows.iter().all(|row| !format!("{row:?}").contains(SECRET)), "no value of a body or a filter: {rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_has_ended_has_an_entry_and_a_forged_one_is_not() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let acme = "acme".parse().unwrap();
    let ago = Timestamp::now() - SignedDuration::from_hours(1);
    let store = &harness.app.store;
    let revoked = key(store, &acme, |record| record.revoked = Some(ago)).await;
    let expired = key(store, &acme, |record| record.expires = Some(ago)).await;
    let pending =
        key(store, &acme, |record| record.not_before = Some(Timestamp::now() + SignedDuration::from_hours(1))).await;
    let reader = key(store, &acme, |record| record.scopes = vec![Scope::Read]).await;
    let forged = ApiKey::mint(&acme).unwrap().reveal();
    for secret in [&revoked, &expired, &pending, &forged] {
        let header = format!("Bearer {secret}");
        let reply = harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &[("authorization", &header)]).await;
        assert_eq!(reply.status, 401);
    }
    let header = format!("Bearer {reader}");
    let reply = harness.raw("POST", "/acme/scim/v2/Users", b"{}".to_vec(), &[("authorization", &header)]).await;
    assert_eq!(reply.status, 403);
    // A lookup of what is not there is no refusal; to change it is one.
    let nobody = "/Users/2819c223-7f76-453a-919d-413861904646";
    assert_eq!(harness.send("GET", nobody, None).await.status, 404);
    assert_eq!(harness.send("DELETE", nobody, None).await.status, 404);
    assert_eq!(harness.send("GET", "/Nothing", None).await.status, 404);
    let admin = harness.operator().await;
    let refusals = entries(&harness, &admin, "acme", "kind=refusal").await;
    let mut states: Vec<_> = refusals
        .iter()
        .map(|entry| (entry["status"].as_u64().unwrap(), entry["actor"]["keyState"].as_str().unwrap()))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [(401, "expired"), (401, "pending"), (401, "revoked"), (403, "ok"), (404, "ok")]);
    assert_eq!(texts(&refusals, "/target").iter().filter(|target| nobody.ends_with(**target)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_minute_has_so_many_rows_and_the_next_one_says_how_many_were_left_out() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let minute = Timestamp::from_second(Timestamp::now().as_second() / 60 * 60).unwrap();
    let (first, second) = (harness.at(minute), harness.at(minute + SignedDuration::from_secs(60)));
    let most = MAX_REFUSALS_PER_MINUTE as usize;
    for _ in 0..most + 5 {
        assert_eq!(first.send("POST", "/Users", json!({})).await.status, 400);
    }
    let globex = [("authorization", &*format!("Bearer {}", harness.globex))];
    assert_eq!(first.raw("POST", "/globex/scim/v2/Users", b"{}".to_vec(), &globex).await.status, 400);
    let admin = harness.operator().await;
    assert_eq!(entries(&harness, &admin, "acme", "kind=refusal").await.len(), most);
    assert_eq!(entries(&harness, &admin, "globex", "kind=refusal").await.len(), 1, "each tenant has its own");
    assert_eq!(second.send("POST", "/Users", json!({})).await.status, 400);
    let refusals = entries(&harness, &admin, "acme", "kind=refusal").await;
    assert_eq!(
        (refusals.len(), &refusals[0]["suppressed"], &refusals[1]["suppressed"]),
        (most + 1, &json!(5), &Value::Null)
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_one_small_write_after_its_answer_is_known() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let harness = Harness::with(vec![budget.clone()]).await;
    harness.user("bob").await;
    budget.take();
    assert_eq!(harness.send("POST", "/Users", json!({"userName": "bob"})).await.status, 409);
    let with_write = budget.take();
    assert_eq!(with_write.calls, ["GetItem", "PutItem", "PutItem"]);
    assert_eq!(harness.send("POST", "/Users", json!({})).await.status, 400);
    let refused = budget.take();
    assert_eq!((refused.calls, refused.round_trips, refused.wcu), (vec!["GetItem".into(), "PutItem".into()], 2, 1.0));
    assert_eq!(harness.send("GET", "/Users/nobody", None).await.status, 404);
    assert_eq!(budget.take().calls, ["GetItem"], "a lookup is no refusal");
}

/// Refuses every write of a refusal, or breaks the connection at it.
struct NoLog {
    breaks: bool,
}

impl Layer for NoLog {
    fn before(&self, call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let is_row = call.body.pointer("/Item/pk/S").and_then(Value::as_str).is_some_and(|pk| pk.ends_with("#r"));
        match (is_row, self.breaks) {
            (false, _) => Ok(None),
            (true, true) => Err(Lost),
            (true, false) => {
                Ok(Some((400, json!({"__type": "x#ResourceNotFoundException", "message": "no such table"}))))
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_the_same_where_the_log_cannot_be_written() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let expected = harness.send("POST", "/Users", json!({})).await;
    for breaks in [true, false] {
        let broken = harness.again(vec![Arc::new(NoLog { breaks })]).await;
        let reply = broken.send("POST", "/Users", json!({})).await;
        assert_eq!((reply.status, reply.body), (expected.status, expected.body.clone()));
    }
    let admin = harness.operator().await;
    assert_eq!(entries(&harness, &admin, "acme", "kind=refusal").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operation_of_a_bulk_that_is_refused_has_an_entry_and_one_that_succeeds_later_has_none() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let id = harness.user("bob").await;
    let operations = json!([
        {"method": "DELETE", "path": format!("/Users/{id}")},
        {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"userName": "bob"}},
        {"method": "POST", "path": "/Users", "bulkId": "2", "data": {"userName": ""}},
        {"method": "DELETE", "path": "/Users/nobody"},
    ]);
    let reply = harness.send("POST", "/Bulk", crate::bulk::bulk(operations)).await;
    let statuses: Vec<_> = reply.body["Operations"].as_array().unwrap().iter().map(|of| of["status"].clone()).collect();
    assert_eq!(statuses, ["204", "201", "400", "404"]);
    let admin = harness.operator().await;
    let mut refusals = entries(&harness, &admin, "acme", "kind=refusal").await;
    refusals.sort_by_key(|entry| entry["status"].as_u64());
    let [bad, missing] = &refusals[..] else { panic!("{refusals:#?}") };
    assert_eq!((&bad["route"], &bad["status"]), (&json!("users.create"), &json!(400)));
    assert_eq!((&missing["route"], &missing["target"]), (&json!("users.delete"), &json!("nobody")));
    let of_bulk = reply.headers["x-request-id"].to_str().unwrap();
    assert!(bad["request"].as_str().unwrap().starts_with(&of_bulk[..28]));
}
