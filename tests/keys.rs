//! Who is let in.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall::auth::{ApiKey, Credential, Scope};
use rollcall::tenant::TenantName;

use crate::support::{Harness, key};

#[tokio::test(start_paused = true)]
async fn every_reason_to_refuse_a_key_looks_the_same() {
    let harness = Harness::new().await;
    let store = &harness.app.store;
    let acme: TenantName = "acme".parse().unwrap();
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    let tokens = [
        ("junk", "non-token".to_owned()),
        ("unknown", ApiKey::mint(&acme).unwrap().reveal()),
        ("of another tenant", harness.globex.clone()),
        ("wrong secret", key(store, &acme, |record| record.credential = Credential::Bearer([1; 32])).await),
        ("revoked", key(store, &acme, |record| record.revoked = Some(past)).await),
        ("expired", key(store, &acme, |record| record.expires = Some(past)).await),
    ];
    let mut bodies = BTreeSet::new();
    for (reason, token) in &tokens {
        let header = format!("Bearer {token}");
        let reply = harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &[("authorization", &header)]).await;
        assert_eq!(reply.status, 401, "{reason}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"scim\"");
        bodies.insert(reply.body.to_string());
    }
    for headers in [vec![], vec![("authorization", "non-token")], vec![("authorization", "Basic YTpi")]] {
        let reply = harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &headers).await;
        assert_eq!(reply.status, 401);
        bodies.insert(reply.body.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_about_a_request_is_said_before_its_key_is_good() {
    let harness = Harness::new().await;
    let id = harness.user("bob").await;
    for (method, path, body) in [
        ("GET", "/Users?filter=(((".to_owned(), ""),
        ("GET", "/Users?count=x".to_owned(), ""),
        ("POST", "/Users".to_owned(), "{"),
        ("PATCH", format!("/Users/{id}"), "{"),
        ("GET", format!("/Users/{id}"), ""),
        ("DELETE", format!("/Users/{id}"), ""),
        ("GET", "/Schemas/none".to_owned(), ""),
    ] {
        let uri = format!("/acme/scim/v2{path}");
        let reply = harness.raw(method, &uri, body.as_bytes().to_vec(), &[]).await;
        assert_eq!(reply.status, 401, "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_does_no_more_than_its_scopes() {
    let harness = Harness::new().await;
    let acme: TenantName = "acme".parse().unwrap();
    let reader = key(&harness.app.store, &acme, |record| record.scopes = vec![Scope::Read]).await;
    let header = format!("Bearer {reader}");
    let headers = [("authorization", header.as_str())];
    assert_eq!(harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &headers).await.status, 200);
    let refused = harness.raw("POST", "/acme/scim/v2/Users", b"{\"userName\":\"x\"}".to_vec(), &headers).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body["detail"].as_str().unwrap().contains("write"));
    assert!(harness.find("userName eq \"x\"").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_from_the_next_request_on() {
    let harness = Harness::new().await;
    let acme: TenantName = "acme".parse().unwrap();
    let id = ApiKey::parse(&harness.acme).unwrap().id().clone();
    assert_eq!(harness.send("GET", "/Users", None).await.status, 200);
    assert!(harness.app.store.revoke_key(&acme, &id, Timestamp::now()).await.unwrap());
    assert_eq!(harness.send("GET", "/Users", None).await.status, 401);
    let listed = harness.app.store.keys(&acme).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(!format!("{listed:?}").contains(&harness.acme[harness.acme.len() - 49..]));
}
