//! Every form of credential: what opens the tenant, and that whatever is wrong is refused alike.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use rollcall::admin::keys::{self, CreatedKey, Expiry, NewCredentialType, NewKey};
use rollcall::app::App;
use rollcall::auth::jwt::Algorithm;
use rollcall::auth::{Credential, FederatedIssuer, Issuers, KeyId, Scope, TrustedSubject};
use rollcall::limits::{
    CLOCK_TOLERANCE_SECONDS, JWKS_MIN_REFETCH_SECONDS, JWKS_STALE_TTL_SECONDS, JWKS_TTL_SECONDS, MAX_ISSUER_JWT_SECONDS,
};
use rollcall::store::dynamo::tables::Table;
use rollcall::tenant::TenantName;
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::issuer::{
    AUDIENCE, ISSUER, Issuer, JWKS_URI, Reached, claims, claims_with, signed, token as of_issuer,
};
use crate::support::{Harness, ScimResponse, is_embedded};
use crate::token_endpoint::token_by_secret;

pub const ROBOT: &str = "robot@example.com";

pub fn tenant(name: &str) -> TenantName {
    name.parse().unwrap()
}

pub fn trust() -> FederatedIssuer {
    FederatedIssuer {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: TrustedSubject::Only("workload".to_owned()),
        jwks_uri: JWKS_URI.to_owned(),
        algorithm: Algorithm::RS256,
    }
}

pub fn new_key(name: &str, form: NewCredentialType) -> NewKey {
    NewKey {
        tenant: tenant(name),
        description: "test".to_owned(),
        automation: Some(ROBOT.to_owned()),
        scopes: vec![Scope::Read, Scope::Write],
        not_before: None,
        expires: Expiry::Default,
        credential_type: form,
    }
}

/// An endpoint that reaches an issuer, with an active automation user in each tenant.
pub async fn with_issuer(budget: Option<Arc<Budget>>) -> (Harness, Arc<Issuer>) {
    let layers = budget.into_iter().map(|budget| budget as Arc<_>).collect();
    let mut harness = Harness::with(layers).await;
    let issuer = Issuer::new();
    let issuers = Arc::new(Issuers::new(Reached(issuer.clone())));
    harness.app = Arc::new(App { issuers, ..(*harness.app).clone() });
    for name in ["acme", "globex"] {
        keys::put_automation_user(&harness.app.store, &tenant(name), ROBOT, true, Timestamp::now()).await.unwrap();
    }
    (harness, issuer)
}

pub async fn add(harness: &Harness, new: NewKey) -> CreatedKey {
    keys::add(&harness.app.store, new, Timestamp::now()).await.unwrap()
}

/// The same endpoint so many seconds from now.
pub fn at(harness: &Harness, seconds: i64) -> Harness {
    harness.at(Timestamp::now() + SignedDuration::from_secs(seconds))
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The `Authorization` header of a holder.
pub fn header_of(creation: &CreatedKey) -> String {
    match (&creation.record.credential, &creation.secret) {
        (Credential::Basic(_), Some(secret)) => basic(ROBOT, secret),
        (Credential::Federation { .. }, _) => bearer(&of_issuer("first", &claims())),
        (_, secret) => bearer(secret.as_deref().unwrap()),
    }
}

pub async fn get(harness: &Harness, authorization: &str) -> ScimResponse {
    let headers = [("authorization", authorization)];
    harness.raw("GET", "/acme/scim/v2/Users?filter=userName+eq+%22x%22", Vec::new(), &headers).await
}

#[tokio::test(start_paused = true)]
async fn every_credential_type_keeps_the_budget_of_a_bearer_key() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    let mut headers = Vec::new();
    for form in [
        NewCredentialType::Bearer,
        NewCredentialType::Basic,
        NewCredentialType::Jwt,
        NewCredentialType::Federation(trust()),
    ] {
        headers.push(header_of(&add(&harness, new_key("acme", form)).await));
    }
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let token = token_by_secret(&harness, &client).await.body["access_token"].as_str().unwrap().to_owned();
    headers.push(bearer(&token));
    let mut spent = BTreeSet::new();
    let is_token = |number: usize| number + 1 == headers.len();
    for (number, header) in headers.iter().enumerate() {
        // The first use is written down, once in a quarter of an hour.
        assert_eq!(get(&harness, header).await.status, 200, "{number}");
        budget.take();
        assert_eq!(get(&harness, header).await.status, 200);
        let read = budget.take();
        let body = json!({"userName": format!("u{number}")}).to_string().into_bytes();
        let reply = harness.raw("POST", "/acme/scim/v2/Users", body, &[("authorization", header)]).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let write = budget.take();
        // The record of an access token is read with that of its client.
        let units = read.rcu - f64::from(u8::from(is_token(number)));
        spent.insert(format!(
            "read {} round trips {units} units, write {} round trips {} units",
            read.round_trips, write.round_trips, write.wcu
        ));
    }
    assert_eq!(spent.len(), 1, "{spent:?}");
    assert!(spent.first().unwrap().starts_with("read 1 round trips"), "{spent:?}");
}

/// What is wrong with a credential, and the answer to it.
async fn wrong_ones(harness: &Harness) -> Vec<(&'static str, String)> {
    let now = Timestamp::now();
    let ago = |seconds: i64| now - SignedDuration::from_secs(seconds);
    let mut all = Vec::new();
    for form in [NewCredentialType::Bearer, NewCredentialType::Basic, NewCredentialType::Jwt] {
        let good = add(harness, new_key("acme", form.clone())).await;
        let others = add(harness, new_key("globex", form.clone())).await;
        all.push(("of another tenant", header_of(&others)));
        let mut later = new_key("acme", form.clone());
        later.not_before = Some(now + SignedDuration::from_hours(1));
        all.push(("not yet valid", header_of(&add(harness, later).await)));
        let mut short = new_key("acme", form.clone());
        short.expires = Expiry::At(ago(60));
        let short = keys::add(&harness.app.store, short, ago(120)).await.unwrap();
        all.push(("expired", header_of(&short)));
        let revoked = add(harness, new_key("acme", form)).await;
        harness.app.store.revoke_key(&tenant("acme"), &revoked.record.id, now).await.unwrap();
        all.push(("revoked", header_of(&revoked)));
        all.push((
            "under another scheme",
            header_of(&good).replacen("Bearer", "Digest", 1).replacen("Basic", "Digest", 1),
        ));
    }
    let key = add(harness, new_key("acme", NewCredentialType::Bearer)).await.secret.unwrap();
    let password = add(harness, new_key("acme", NewCredentialType::Basic)).await.secret.unwrap();
    let client = add(harness, new_key("acme", NewCredentialType::Client)).await.secret.unwrap();
    all.push(("a bearer key as password", basic(ROBOT, &key)));
    all.push(("a password as bearer key", bearer(&password)));
    all.push(("a client's secret as bearer key", bearer(&client)));
    all.push(("another user's name", basic("somebody", &password)));
    all.push(("no password", basic(ROBOT, "")));
    all.push(("no Base64", "Basic ***".to_owned()));
    all.push(("oversized", bearer(&"x".repeat(9_000))));
    all
}

/// What is wrong with a JWT that Rollcall issued.
async fn wrong_jwts(harness: &Harness) -> Vec<(&'static str, String)> {
    let creation = add(harness, new_key("acme", NewCredentialType::Jwt)).await;
    let token = creation.secret.unwrap();
    let Credential::Jwt { public_key, .. } = creation.record.credential else { panic!() };
    let [_, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |header: Value, claims: &Value| format!("{}.{}.{signature}", part(&header), part(claims));
    let mut forged = claims.clone();
    forged["exp"] = json!(claims["exp"].as_i64().unwrap() + 1);
    let mut unknown = claims.clone();
    unknown["jti"] = json!("0000000000000a");
    let confused = format!("{}.{payload}", part(&json!({"alg": "HS256", "typ": "JWT"})));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &public_key);
    let confused = format!("{confused}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, confused.as_bytes())));
    let headers = json!({"alg": "EdDSA", "typ": "JWT"});
    vec![
        ("changed", with(headers.clone(), &forged)),
        ("of an unknown id", with(headers.clone(), &unknown)),
        ("alg none", format!("{}.{payload}.", part(&json!({"alg": "none"})))),
        ("another algorithm", with(json!({"alg": "RS256", "typ": "JWT"}), &claims)),
        ("key confusion", confused),
        ("of a record that is none of a JWT of ours", {
            let mut foreign = claims.clone();
            foreign["jti"] = json!(FederatedIssuer::key_id(ISSUER, AUDIENCE).as_str());
            with(headers.clone(), &foreign)
        }),
        ("a critical header", with(json!({"alg": "EdDSA", "crit": ["b64"], "b64": false}), &claims)),
        ("cut", token[..token.len() - 4].to_owned()),
        ("not a JWT", "a.b.c".to_owned()),
    ]
}

/// What is wrong with a JWT of an identity provider.
pub fn wrong_foreign_jwts() -> Vec<(&'static str, String)> {
    let now = Timestamp::now().as_second();
    let say = |change: Value| of_issuer("first", &claims_with(change));
    let head = |alg: &str| signed(&json!({"alg": alg, "kid": "first"}), &claims());
    vec![
        ("expired", say(json!({"exp": now - CLOCK_TOLERANCE_SECONDS - 1}))),
        ("not yet valid", say(json!({"nbf": now + CLOCK_TOLERANCE_SECONDS + 5}))),
        ("of an unknown issuer", say(json!({"iss": "https://evil.example.com"}))),
        ("for another audience", say(json!({"aud": "api://other"}))),
        ("of another workload", say(json!({"sub": "other"}))),
        ("of no workload", say(json!({"sub": null}))),
        ("without an end", say(json!({"exp": null}))),
        ("with an end of another type", say(json!({"exp": "tomorrow"}))),
        ("with a beginning of another type", say(json!({"nbf": "yesterday"}))),
        ("with a time of issue of another type", say(json!({"iat": "yesterday"}))),
        ("with an end that is too far", say(json!({"exp": now + MAX_ISSUER_JWT_SECONDS + 65, "iat": null}))),
        ("with an end that is too far, issued in a while", {
            let later = now + 1_000_000;
            say(json!({"exp": later + 600, "iat": later, "nbf": now}))
        }),
        ("that lives too long", say(json!({"iat": now + 600 - MAX_ISSUER_JWT_SECONDS - 1}))),
        ("alg none", head("none")),
        ("key confusion", head("HS256")),
        ("another algorithm of the same key", head("PS256")),
        ("an unknown kid", signed(&json!({"alg": "RS256", "kid": "second"}), &claims())),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_is_wrong_is_refused_alike_and_before_anything_is_read_further() {
    let budget = Budget::new();
    let (harness, _) = with_issuer(Some(budget.clone())).await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let mut headers = wrong_ones(&harness).await;
    let jwts = wrong_jwts(&harness).await.into_iter().chain(wrong_foreign_jwts());
    headers.extend(jwts.map(|(what, token)| (what, bearer(&token))));
    let mut bodies = BTreeSet::new();
    for (what, header) in headers {
        budget.take();
        let mut reply = get(&harness, &header).await;
        assert_eq!(reply.status, 401, "{what}: {reply:?}");
        assert!(reply.headers.remove("x-request-id").is_some(), "each has an id of its own");
        bodies.insert((reply.body.to_string(), format!("{:?}", reply.headers)));
        assert!(budget.take().round_trips <= 1, "{what}");
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[tokio::test(start_paused = true)]
async fn clocks_may_differ_a_little() {
    let (harness, _) = with_issuer(None).await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let now = Timestamp::now().as_second();
    for change in [
        json!({"exp": now - 30}),
        json!({"nbf": now + 30}),
        json!({"aud": [AUDIENCE, "other"]}),
        // As long as one may live.
        json!({"iat": null, "exp": now + MAX_ISSUER_JWT_SECONDS}),
        json!({"iat": now + 605 - MAX_ISSUER_JWT_SECONDS}),
    ] {
        assert_eq!(
            get(&harness, &bearer(&of_issuer("first", &claims_with(change.clone())))).await.status,
            200,
            "{change}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_changes_its_keys_and_is_not_asked_more_than_it_must_be() {
    let (harness, issuer) = with_issuer(None).await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let asked = || issuer.asked.swap(0, Ordering::Relaxed);
    let of_then = |then: &Harness, kid: &str| {
        let now = then.app.clock.now().as_second();
        bearer(&of_issuer(kid, &claims_with(json!({"iat": now, "nbf": now, "exp": now + 600}))))
    };
    let of = |kid: &str| of_then(&harness, kid);
    for _ in 0..5 {
        assert_eq!(get(&harness, &of("first")).await.status, 200);
    }
    assert_eq!(asked(), 1, "its keys are kept");
    for _ in 0..5 {
        assert_eq!(get(&harness, &of("second")).await.status, 401);
    }
    assert_eq!(asked(), 0, "a forged kid does not have it asked again at once");
    issuer.publish(&["first", "second"]);
    let soon = at(&harness, JWKS_MIN_REFETCH_SECONDS + 1);
    assert_eq!(get(&soon, &of_then(&soon, "second")).await.status, 200, "a new key is fetched when a token names it");
    assert_eq!(asked(), 1);
    issuer.publish(&["second"]);
    let later = at(&harness, JWKS_MIN_REFETCH_SECONDS + JWKS_TTL_SECONDS + 2);
    assert_eq!(
        get(&later, &of_then(&later, "first")).await.status,
        401,
        "a key that is withdrawn is not taken any more"
    );
    assert_eq!(asked(), 1);
    issuer.is_down.store(true, Ordering::Relaxed);
    let still = at(&harness, 2 * JWKS_TTL_SECONDS + 100);
    assert_eq!(get(&still, &of_then(&still, "second")).await.status, 200, "an issuer may be down for a while");
    let unknown = get(&still, &of_then(&still, "first")).await;
    assert_eq!(unknown.status, 503, "its key may be one that could not be fetched: {unknown:?}");
    let late = at(&harness, JWKS_STALE_TTL_SECONDS + 2 * JWKS_TTL_SECONDS);
    let refused = get(&late, &of_then(&late, "second")).await;
    assert_eq!(refused.status, 503, "it is not the client's fault: {refused:?}");
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_signs_as_the_key_says_and_in_no_other_way() {
    let (harness, issuer) = with_issuer(None).await;
    issuer.publish(&["first", "p256", "ed25519"]);
    let algorithms = [
        (Algorithm::RS256, "RS256", "first"),
        (Algorithm::PS256, "PS256", "first"),
        (Algorithm::ES256, "ES256", "p256"),
        (Algorithm::EdDSA, "EdDSA", "ed25519"),
    ];
    for (algorithm, name, _) in algorithms {
        let creation =
            add(&harness, new_key("acme", NewCredentialType::Federation(FederatedIssuer { algorithm, ..trust() })))
                .await;
        for (_, other, kid) in algorithms {
            let token = signed(&json!({"alg": other, "kid": kid}), &claims());
            let expected = if other == name { 200 } else { 401 };
            assert_eq!(get(&harness, &bearer(&token)).await.status, expected, "{name} {other}");
        }
        harness.app.store.revoke_key(&tenant("acme"), &creation.record.id, Timestamp::now()).await.unwrap();
    }
}

/// Answers with the issuer's keys, as often as somebody asks.
fn publish_at_http(issuer: Arc<Issuer>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 1_024];
            assert!(stream.read(&mut asked).unwrap() > 0);
            let keys = issuer.keys().to_string();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", keys.len());
            stream.write_all((head + &keys).as_bytes()).unwrap();
        }
    });
    format!("http://{address}/keys")
}

#[tokio::test]
async fn an_issuer_is_reached_over_http_and_one_that_is_not_there_is_no_refusal() {
    let harness = Harness::new().await;
    let issuer = Issuer::new();
    let jwks_uri = publish_at_http(issuer.clone());
    let federation = |jwks_uri: &str| {
        let trust = FederatedIssuer { jwks_uri: jwks_uri.to_owned(), ..trust() };
        NewKey { automation: None, ..new_key("acme", NewCredentialType::Federation(trust)) }
    };
    let creation = add(&harness, federation(&jwks_uri)).await;
    let output = bearer(&of_issuer("first", &claims()));
    assert_eq!(get(&harness, &output).await.status, 200);
    assert_eq!(get(&harness, &bearer(&of_issuer("second", &claims()))).await.status, 401);
    harness.app.store.revoke_key(&tenant("acme"), &creation.record.id, Timestamp::now()).await.unwrap();
    assert_eq!(get(&harness, &output).await.status, 401);
    add(&harness, federation("https://127.0.0.1:9/keys")).await;
    assert_eq!(get(&harness, &output).await.status, 503);
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_is_stored_or_returned() {
    let (harness, _) = with_issuer(None).await;
    for form in [NewCredentialType::Bearer, NewCredentialType::Basic, NewCredentialType::Client, NewCredentialType::Jwt]
    {
        let creation = add(&harness, new_key("acme", form)).await;
        let secret = creation.secret.unwrap();
        let last = &secret[secret.len() - 30..];
        let stored = format!("{:?}", harness.dump(Table::Keys).await);
        assert!(!stored.contains(last) && !format!("{:?}", creation.record).contains(last));
        assert!(KeyId::parse(creation.record.id.as_str()).is_some());
    }
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let token = token_by_secret(&harness, &client).await.body["access_token"].as_str().unwrap().to_owned();
    let stored = format!("{:?}", harness.dump(Table::Tokens).await);
    assert!(stored.contains(client.record.id.as_str()) && !stored.contains(&token[token.len() - 30..]));
}

#[tokio::test(start_paused = true)]
async fn whoever_an_issuer_signs_for_is_let_in_where_the_key_says_so_alone() {
    let (harness, _) = with_issuer(None).await;
    let other = bearer(&of_issuer("first", &claims_with(json!({"sub": "any-employee"}))));
    let only = add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    assert_eq!(get(&harness, &other).await.status, 401);
    harness.app.store.revoke_key(&tenant("acme"), &only.record.id, Timestamp::now()).await.unwrap();
    let any = FederatedIssuer { subject: TrustedSubject::Any, ..trust() };
    add(&harness, new_key("acme", NewCredentialType::Federation(any))).await;
    assert_eq!(get(&harness, &other).await.status, 200);
    let without = bearer(&of_issuer("first", &claims_with(json!({"sub": null}))));
    assert_eq!(get(&harness, &without).await.status, 200);
}
