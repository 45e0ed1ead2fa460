//! Which credentials authorize a request.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;

use jiff::{SignedDuration, Timestamp};
use rollcall::admin::tenants::{self, Chosen};
use rollcall::auth::{ApiKey, Credential, Scope};
use rollcall::tenant::{Profile, Settings, TenantName};

use crate::support::{Harness, key};

const BEARER: &str = "Bearer realm=\"scim\"";
const BASIC: &str = "Basic realm=\"scim\"";

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
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"scim\", Basic realm=\"scim\"");
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

#[tokio::test(start_paused = true)]
async fn of_several_authorization_headers_none_counts() {
    let harness = Harness::new().await;
    let good = format!("Bearer {}", harness.acme);
    for (first, second) in [(good.as_str(), "Bearer junk"), ("Bearer junk", &good), (&good, &good), (&good, "")] {
        let headers = [("authorization", first), ("authorization", second)];
        assert_eq!(harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &headers).await.status, 401);
    }
    // As API Gateway hands them over.
    let joined = format!("{good},{good}");
    let headers = [("authorization", joined.as_str())];
    assert_eq!(harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &headers).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_401_offers_what_the_tenant_allows_to_who_holds_a_key_of_it_and_the_default_to_all_others() {
    let harness = Harness::new().await;
    let (store, now) = (&harness.app.store, Timestamp::now());
    let usual = format!("{BEARER}, {BASIC}");
    let own = Profile::shipped("jive").unwrap().replace("\"jive\"", "\"mine\"");
    for (name, profile, expected) in [
        ("of-default", Chosen::shipped("default").unwrap(), usual.clone()),
        ("of-jostle", Chosen::shipped("jostle").unwrap(), BEARER.to_owned()),
        ("of-jive", Chosen::shipped("jive").unwrap(), format!("{BASIC}, {BEARER}")),
        // What it says takes a read, which no 401 makes.
        ("of-its-own", Chosen::own(own).unwrap(), usual.clone()),
    ] {
        let tenant: TenantName = name.parse().unwrap();
        tenants::add(store, &tenant, &profile, Settings::default(), now).await.unwrap();
        let revoked = key(store, &tenant, |record| record.revoked = Some(now)).await;
        let ended = key(store, &tenant, |record| record.expires = Some(now)).await;
        let wrong = key(store, &tenant, |record| record.credential = Credential::Bearer([1; 32])).await;
        let forged = ApiKey::mint(&tenant).unwrap().reveal();
        let challenge = async |name: &str, header: &str| {
            let headers = [("authorization", header)];
            let headers = if header.is_empty() { &[] } else { &headers[..] };
            let reply = harness.raw("GET", &format!("/{name}/scim/v2/Users"), Vec::new(), headers).await;
            assert_eq!(reply.status, 401);
            assert_eq!(reply.headers.get_all("www-authenticate").iter().count(), 1);
            reply.headers["www-authenticate"].to_str().unwrap().to_owned()
        };
        for held in [&revoked, &ended] {
            assert_eq!(challenge(name, &format!("Bearer {held}")).await, expected, "{name}");
        }
        for header in [String::new(), "Digest x".into(), format!("Bearer {wrong}"), format!("Bearer {forged}")] {
            assert_eq!(challenge(name, &header).await, usual, "{name} {header}");
            assert_eq!(challenge("nobody", &header).await, usual, "{header}");
        }
        assert_eq!(challenge("nobody", &format!("Bearer {revoked}")).await, usual, "at another tenant's address");
    }
}

thread_local! {
    /// What was logged by the test of this thread, if it listens.
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to the test that listens. The log is one for all tests: what no subscriber of a process wants is not even created
/// for that of a thread.
struct Listener;

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.as_mut().map(|logged| logged.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_logged_with_tenant_key_and_reason() {
    let harness = Harness::new().await;
    let acme: TenantName = "acme".parse().unwrap();
    let revoked = key(&harness.app.store, &acme, |record| record.revoked = Some(Timestamp::now())).await;
    let (id, others) = (ApiKey::parse(&revoked).unwrap(), ApiKey::parse(&harness.globex).unwrap());
    let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::WARN);
    tracing::subscriber::set_global_default(log.with_writer(|| Listener).finish()).unwrap();
    let long = "x".repeat(500);
    for (tenant, header, key, reason) in [
        ("acme", format!("Bearer {revoked}"), id.id().as_str(), "Revoked"),
        ("acme", format!("Bearer {}", harness.globex), others.id().as_str(), "OtherTenant"),
        ("acme", "Bearer junk".to_owned(), "", "Malformed"),
        (&long, "Bearer junk".to_owned(), "", "Malformed"),
    ] {
        LOGGED.set(Some(Vec::new()));
        let path = format!("/{tenant}/scim/v2/Users");
        assert_eq!(harness.raw("GET", &path, Vec::new(), &[("authorization", &header)]).await.status, 401);
        let said = String::from_utf8(LOGGED.take().unwrap()).unwrap();
        let line = said.lines().find(|line| line.contains("denied")).unwrap_or_else(|| panic!("{said}"));
        let output: String = tenant.chars().take(40).collect();
        for part in [format!("tenant={output:?}"), format!("key={key:?}"), format!("denial={reason}")] {
            assert!(line.contains(&part), "{part}: {line}");
        }
        assert!(!line.contains(&header[header.len().saturating_sub(20)..]) || key.is_empty(), "{line}");
    }
}
