//! The token endpoint: what a client sends, and the answer (RFC 6749).

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall::admin::keys::{self, CreatedKey, Expiry, NewCredentialType};
use serde_json::json;

use crate::credentials::{add, at, basic, bearer, get, new_key, tenant, trust, with_issuer, wrong_foreign_jwts};
use crate::support::issuer::{claims, token as of_issuer};
use crate::support::{Harness, ScimResponse};

/// The header of a token request.
pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

async fn ask_token(harness: &Harness, form: &[(&str, &str)], headers: &[(&str, &str)]) -> ScimResponse {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    harness.raw("POST", "/acme/oauth/token", body.into_bytes(), &[headers, &[FORM]].concat()).await
}

pub async fn token_by_secret(harness: &Harness, creation: &CreatedKey) -> ScimResponse {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", creation.record.id.as_str()),
        ("client_secret", creation.secret.as_deref().unwrap()),
    ];
    ask_token(harness, &form, &[]).await
}

pub async fn token_by_assertion(harness: &Harness, assertion: &str) -> ScimResponse {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", assertion),
    ];
    ask_token(harness, &form, &[]).await
}

#[tokio::test(start_paused = true)]
async fn a_client_is_given_a_token_by_header_by_body_and_by_assertion() {
    let (harness, _) = with_issuer(None).await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let (id, secret) = (client.record.id.as_str(), client.secret.as_deref().unwrap());
    let by_header = ask_token(
        &harness,
        &[("grant_type", "client_credentials"), ("scope", "scim read")],
        &[("authorization", &basic(id, secret))],
    )
    .await;
    let by_body = token_by_secret(&harness, &client).await;
    let by_assertion = token_by_assertion(&harness, &of_issuer("first", &claims())).await;
    for (reply, scope) in [(&by_header, "read"), (&by_body, "read write"), (&by_assertion, "read write")] {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!((&reply.body["token_type"], &reply.body["scope"]), (&json!("Bearer"), &json!(scope)));
        assert_eq!(reply.body["expires_in"], 3_600);
        assert_eq!(reply.headers["cache-control"], "no-store");
        let token = bearer(reply.body["access_token"].as_str().unwrap());
        assert_eq!(get(&harness, &token).await.status, 200);
        assert_eq!(get(&at(&harness, 3_601), &token).await.status, 401, "it lives for an hour");
        let write = harness.raw("POST", "/acme/scim/v2/Users", b"{}".to_vec(), &[("authorization", &token)]).await;
        assert_eq!(write.status, if scope == "read" { 403 } else { 400 });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_token_request_is_said_as_rfc_6749_has_it() {
    let (harness, _) = with_issuer(None).await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let bearer_key = add(&harness, new_key("acme", NewCredentialType::Bearer)).await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let (id, secret) = (client.record.id.as_str(), client.secret.as_deref().unwrap());
    let grant = ("grant_type", "client_credentials");
    let output = of_issuer("first", &claims());
    assert_eq!(token_by_assertion(&harness, &output).await.status, 200);
    let error = |reply: &ScimResponse| (reply.status, reply.body["error"].as_str().unwrap().to_owned());
    let invalid_client = (401, "invalid_client".to_owned());
    for (what, form) in [
        ("no grant type", vec![("client_id", id), ("client_secret", secret)]),
        ("a parameter twice", vec![grant, grant, ("client_id", id), ("client_secret", secret)]),
        ("two ways at once", vec![grant, ("client_id", id), ("client_secret", secret), ("client_assertion", &output)]),
        ("an assertion of another type", vec![grant, ("client_assertion_type", "saml"), ("client_assertion", &output)]),
        ("no client id", vec![grant, ("client_secret", secret)]),
    ] {
        assert_eq!(error(&ask_token(&harness, &form, &[]).await), (400, "invalid_request".to_owned()), "{what}");
    }
    let form = [grant, ("client_id", "another")];
    let reply = ask_token(&harness, &form, &[("authorization", &basic(id, secret))]).await;
    assert_eq!(error(&reply), (400, "invalid_request".to_owned()), "client ids that disagree");
    let form = [grant, ("client_id", id)];
    let two = [("authorization", &basic(id, secret) as &str), ("authorization", &basic(id, secret))];
    assert_eq!(ask_token(&harness, &form, &two[..1]).await.status, 200, "client ids that agree");
    assert_eq!(error(&ask_token(&harness, &form, &two).await), invalid_client, "two headers");
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}").into_bytes();
    for (media_type, status) in [
        (None, 400),
        (Some("application/json"), 400),
        (Some("application/x-www-form-urlencoded+x"), 400),
        (Some("text/plain; x=application/x-www-form-urlencoded"), 400),
        (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), 200),
    ] {
        let headers: Vec<_> = media_type.map(|media_type| ("content-type", media_type)).into_iter().collect();
        let reply = harness.raw("POST", "/acme/oauth/token", body.clone(), &headers).await;
        assert_eq!(reply.status, status, "{media_type:?}: {reply:?}");
    }
    let form = [("grant_type", "password"), ("client_id", id), ("client_secret", secret)];
    assert_eq!(error(&ask_token(&harness, &form, &[]).await), (400, "unsupported_grant_type".to_owned()));
    let form = [grant, ("client_id", id), ("client_secret", secret), ("scope", "read admin")];
    assert_eq!(error(&ask_token(&harness, &form, &[]).await), (400, "invalid_scope".to_owned()));
    let mut bodies = BTreeSet::new();
    let key = (bearer_key.record.id.as_str(), bearer_key.secret.as_deref().unwrap());
    for (id, secret) in [("unknown", secret), (id, "wrong"), (id, ""), key] {
        let reply = ask_token(&harness, &[grant, ("client_id", id), ("client_secret", secret)], &[]).await;
        assert_eq!(error(&reply), invalid_client, "{id}");
        bodies.insert(reply.body.to_string());
    }
    for (what, assertion) in wrong_foreign_jwts().into_iter().chain([("replayed", output)]) {
        let reply = token_by_assertion(&harness, &assertion).await;
        assert_eq!(error(&reply), invalid_client, "{what}");
        bodies.insert(reply.body.to_string());
    }
    let refused = ask_token(&harness, &[grant], &[("authorization", &basic(id, "wrong"))]).await;
    assert_eq!(error(&refused), invalid_client);
    assert_eq!(refused.headers["www-authenticate"], "Basic realm=\"scim\"");
    bodies.insert(refused.body.to_string());
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    harness.app.store.revoke_key(&tenant("acme"), &client.record.id, Timestamp::now()).await.unwrap();
    assert_eq!(error(&token_by_secret(&harness, &client).await), invalid_client, "a revoked client gets no token");
}

#[tokio::test(start_paused = true)]
async fn token_endpoint_metadata_needs_no_key_and_reveals_no_tenant() {
    let (harness, _) = with_issuer(None).await;
    for name in ["acme", "nobody"] {
        let path = format!("/.well-known/oauth-authorization-server/{name}");
        let reply = harness.raw("GET", &path, Vec::new(), &[]).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body["issuer"], format!("http://scim.example.com/{name}"));
        assert_eq!(reply.body["token_endpoint"], format!("http://scim.example.com/{name}/oauth/token"));
    }
    for text in ["No%20Name", "a%2Fb", "%22", "UPPER"] {
        let path = format!("/.well-known/oauth-authorization-server/{text}");
        assert_eq!(harness.raw("GET", &path, Vec::new(), &[]).await.status, 404, "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_revoked_takes_its_tokens_along() {
    let (harness, _) = with_issuer(None).await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let token = bearer(token_by_secret(&harness, &client).await.body["access_token"].as_str().unwrap());
    assert_eq!(get(&harness, &token).await.status, 200);
    assert!(harness.app.store.revoke_key(&tenant("acme"), &client.record.id, Timestamp::now()).await.unwrap());
    let elsewhere = harness.again(Vec::new()).await;
    assert_eq!(get(&elsewhere, &token).await.status, 401, "in every process");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_rotated_takes_its_tokens_along_at_the_end_of_the_overlap() {
    let (harness, _) = with_issuer(None).await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let token = bearer(token_by_secret(&harness, &client).await.body["access_token"].as_str().unwrap());
    let overlap = SignedDuration::from_mins(10);
    let store = &harness.app.store;
    keys::rotate(store, &tenant("acme"), &client.record.id, overlap, Expiry::Default, Timestamp::now()).await.unwrap();
    assert_eq!(get(&at(&harness, 590), &token).await.status, 200);
    assert_eq!(get(&at(&harness, 610), &token).await.status, 401);
    assert_eq!(token_by_secret(&at(&harness, 610), &client).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_form_of_any_kind_is_answered_and_costs_little() {
    let (harness, _) = with_issuer(None).await;
    let many: String = (0..100_000).map(|i| format!("{i:x}&")).collect();
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let (id, secret) = (client.record.id.as_str(), client.secret.as_deref().unwrap());
    let twice = format!("grant_type=client_credentials&scope=read+read&client_id={id}&client_secret={secret}");
    for (body, status) in [(many, 400), ("a=1&".repeat(9_000), 400), (twice, 200), ("%ff&=&&".to_owned(), 400)] {
        let reply = harness.raw("POST", "/acme/oauth/token", body.into_bytes(), &[FORM]).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_token_goes_on_where_the_old_one_was() {
    let (harness, _) = with_issuer(None).await;
    for i in 0..3 {
        harness.user(&format!("u{i}")).await;
    }
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let mut cursor = String::new();
    for _ in 0..3 {
        let token = bearer(token_by_secret(&harness, &client).await.body["access_token"].as_str().unwrap());
        let path = format!("/acme/scim/v2/Users?count=1&cursor={cursor}");
        let page = harness.raw("GET", &path, Vec::new(), &[("authorization", &token)]).await;
        assert_eq!(page.status, 200, "{page:?}");
        cursor = page.body["nextCursor"].as_str().unwrap_or_default().to_owned();
    }
}
