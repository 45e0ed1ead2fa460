//! An endpoint in the process: the real handlers, the real SDK, an embedded engine, and between them a wire that
//! counts, guards and fails as a test wants. With `ROLLCALL_TEST_ENDPOINT` the engine is whatever DynamoDB endpoint
//! that URL names, with the credentials and region of the AWS environment.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use rollcall::api::{self, ROUTES, Route, Selection};
use rollcall::app::{App, Clock};
use rollcall::auth::{ApiKey, Credential, KeyRecord, Scope};
use rollcall::cli::openapi;
use rollcall::limits::{BATCH_LEASE_SECONDS, JOB_GRACE_SECONDS, JOB_LANES};
use rollcall::store::Store;
use rollcall::store::dynamo::client;
use rollcall::store::dynamo::embedded::Engine;
use rollcall::store::dynamo::tables::{Table, TableNames, create_missing};
use rollcall::tenant::{OPERATOR_TENANT, Profile, ProfileRef, TenantConfig, TenantName};
use rollcall::worker;
use serde_json::{Value, json};

pub mod access;
pub mod budget;
pub mod canned;
pub mod conflict;
pub mod crash;
pub mod feed;
pub mod issuer;
pub mod pause;
pub mod stale;
pub mod throttle;
pub mod wire;

use wire::{Backend, Layer, Wire};

/// How often the worker was run.
static SETTLES: AtomicI64 = AtomicI64::new(0);

pub const HOST: &str = "scim.example.com";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// An item as it is stored.
pub type Item = std::collections::BTreeMap<String, AttributeValue>;

/// An endpoint with the tenants `acme` and `globex`, and a key of each.
#[derive(Clone)]
pub struct Harness {
    pub app: Arc<App>,
    pub engine: Engine,
    pub acme: String,
    pub globex: String,
}

/// A response, its body as JSON; null for none.
#[derive(Debug, Clone)]
pub struct ScimResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl ScimResponse {
    /// The error of that status and `scimType`.
    #[track_caller]
    pub fn assert_error(&self, status: u16, scim_type: &str) {
        assert_eq!((self.status, self.body["scimType"].as_str()), (status, Some(scim_type)), "{}", self.body);
    }
}

impl Harness {
    pub async fn new() -> Self {
        Self::with(Vec::new()).await
    }

    /// With layers on the wire, the first one outermost. Declared accesses are enforced in any case.
    pub async fn with(layers: Vec<Arc<dyn Layer>>) -> Self {
        Self::on(Engine::in_memory().unwrap(), layers).await
    }

    pub async fn on(engine: Engine, mut layers: Vec<Arc<dyn Layer>>) -> Self {
        layers.push(Arc::new(access::Guard));
        let (backend, names) = backend(&engine).await;
        let setup = Store::new(backend.clone().into_client(Vec::new()), names.clone());
        create_missing(setup.client(), &names).await.unwrap();
        let (acme, globex) = (tenant(&setup, "acme").await, tenant(&setup, "globex").await);
        let app = Arc::new(App::new(Store::new(backend.into_client(layers), names)).unwrap());
        Self { app, engine, acme, globex }
    }

    /// The same data, as another process with other layers would see it.
    pub async fn again(&self, mut layers: Vec<Arc<dyn Layer>>) -> Self {
        layers.push(Arc::new(access::Guard));
        let backend = Backend::Engine(self.engine.clone());
        let store = Store::new(backend.into_client(layers), self.app.store.names().clone());
        Self {
            app: Arc::new(App::new(store).unwrap()),
            engine: self.engine.clone(),
            acme: self.acme.clone(),
            globex: self.globex.clone(),
        }
    }

    /// The same endpoint, whose clock stands still.
    pub fn at(&self, then: Timestamp) -> Self {
        self.with_clock(Arc::new(move || then))
    }

    /// The same endpoint with another clock.
    pub fn with_clock(&self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        let app = App { clock: Clock::Fixed(clock), ..(*self.app).clone() };
        Self { app: Arc::new(app), engine: self.engine.clone(), acme: self.acme.clone(), globex: self.globex.clone() }
    }

    /// A request of the tenant `acme`.
    pub async fn send(&self, method: &str, path: &str, body: impl Into<Option<Value>>) -> ScimResponse {
        self.send_with(method, path, body, &[]).await
    }

    pub async fn send_with(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Option<Value>>,
        headers: &[(&str, &str)],
    ) -> ScimResponse {
        let body = body.into().map(|body| body.to_string()).unwrap_or_default();
        let authorization = format!("Bearer {}", self.acme);
        let mut all = vec![("authorization", authorization.as_str())];
        all.extend_from_slice(headers);
        self.raw(method, &format!("/acme/scim/v2{path}"), body.into(), &all).await
    }

    /// A key of the operators.
    pub async fn operator(&self) -> String {
        let operators: TenantName = OPERATOR_TENANT.parse().unwrap();
        let store = &self.app.store;
        store.add_tenant(&operators, &TenantConfig::default(), Timestamp::now()).await.unwrap();
        key(store, &operators, |record| record.scopes = vec![Scope::Admin]).await
    }

    /// Any request at all.
    pub async fn raw(&self, method: &str, uri: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> ScimResponse {
        let uri = uri.replace(' ', "%20");
        let mut request = Request::builder().method(method).uri(uri.as_str()).header("host", HOST);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        let route = route_of(request.method(), request.uri().path());
        let selection = Selection::all();
        let response = access::ROLE.scope(route.map(access::role), api::handle(&self.app, &selection, request)).await;
        let (head, body) = response.into_parts();
        let body = decoded(&head.headers, body);
        let body = match head.headers.get("content-type") {
            _ if body.is_empty() => Value::Null,
            Some(kind) if kind.to_str().unwrap().starts_with("text/") || kind == "image/svg+xml" => {
                Value::String(String::from_utf8(body.to_vec()).unwrap())
            }
            _ => serde_json::from_slice(&body).unwrap(),
        };
        if method == "HEAD" {
            assert!(body.is_null(), "an answer to HEAD has no body");
        } else {
            check_contract(head.status, &head.headers, &body);
        }
        check_headers(&head.headers);
        check_documented(route, head.status);
        ScimResponse { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub async fn create(&self, body: Value) -> String {
        let reply = self.send("POST", "/Users", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["id"].as_str().unwrap().to_owned()
    }

    pub async fn user(&self, user_name: &str) -> String {
        self.create(json!({"userName": user_name})).await
    }

    /// The resources that a filter finds.
    pub async fn find(&self, filter: &str) -> Vec<Value> {
        let reply = self.send("GET", &format!("/Users?filter={}", encode(filter)), None).await;
        assert_eq!(reply.status, 200, "{filter}: {reply:?}");
        reply.body["Resources"].as_array().unwrap().clone()
    }

    /// Lets the worker do what requests have left, as if it had settled; how much there was.
    pub async fn settle(&self) -> usize {
        let mut first = None;
        for _ in 0..20 {
            let (count, sweep) = self.try_to_settle().await;
            assert_eq!((sweep.failed, sweep.unreadable, sweep.unread_lanes), (0, 0, 0));
            if count == 0 {
                return first.unwrap_or(0);
            }
            // A tombstone is one more job.
            first.get_or_insert(count);
        }
        panic!("the worker does not end");
    }

    /// As [`Self::settle`], with a worker that may fail: how much there was, and what it says.
    pub async fn try_to_settle(&self) -> (usize, worker::Sweep) {
        let count = self.jobs().await;
        // Each time later than the leases that were taken the last time.
        let passed = SETTLES.fetch_add(1, Ordering::SeqCst) * (BATCH_LEASE_SECONDS + 1);
        let later = move || Timestamp::now() + SignedDuration::from_secs(2 * JOB_GRACE_SECONDS + 1 + passed);
        (count, self.sweep(Clock::Fixed(Arc::new(later))).await)
    }

    /// The worker's run of every minute, by that clock.
    pub async fn sweep(&self, clock: Clock) -> worker::Sweep {
        let role = (worker::HANDLER, worker::ACCESS);
        let event = serde_json::from_value(json!({})).unwrap();
        access::ROLE.scope(Some(role), worker::handle(&self.app.store, &clock, event)).await.sweep().unwrap()
    }

    /// How many jobs the tenant `acme` has.
    async fn jobs(&self) -> usize {
        let client = Backend::Engine(self.engine.clone()).into_client(Vec::new());
        let mut count = 0;
        for lane in 0..JOB_LANES {
            let query = client.query().table_name(self.app.store.names().of(Table::Links)).consistent_read(true);
            let query = query.key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
            let query = query.expression_attribute_values(":pk", AttributeValue::S(format!("job#{lane:02x}")));
            let query = query.expression_attribute_values(":sk", AttributeValue::S("acme#".into()));
            let mut rows = query.into_paginator().items().send();
            while let Some(row) = rows.next().await {
                row.unwrap();
                count += 1;
            }
        }
        count
    }

    /// How many items a table has.
    pub async fn count(&self, table: Table) -> usize {
        let scan = self.app.store.client().scan().table_name(self.app.store.names().of(table)).consistent_read(true);
        // Each tenant's users are counted in a row that is always there.
        let scan = scan.filter_expression("attribute_not_exists(counted) AND attribute_not_exists(opened)");
        let mut pages = scan.select(aws_sdk_dynamodb::types::Select::Count).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += usize::try_from(page.unwrap().count()).unwrap();
        }
        count
    }

    /// Every item of a table, in the order of the keys.
    pub async fn dump(&self, table: Table) -> Vec<Item> {
        let scan = self.app.store.client().scan().table_name(self.app.store.names().of(table)).consistent_read(true);
        let items = scan
            .filter_expression("attribute_not_exists(counted) AND attribute_not_exists(opened)")
            .send()
            .await
            .unwrap();
        assert!(items.last_evaluated_key.is_none(), "too much to dump");
        let mut items: Vec<Item> = items.items().iter().map(|item| item.clone().into_iter().collect()).collect();
        items.sort_by_key(|item| format!("{item:?}"));
        items
    }
}

pub fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The row of the table that a request goes to.
fn route_of(method: &Method, path: &str) -> Option<&'static Route> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<_> = path.split('/').collect();
    let is_at = |route: &&Route| {
        let is_it = |base: &&str| {
            let pattern = format!("{base}{}", route.path.trim_end_matches('/'));
            let parts: Vec<_> = pattern.split('/').collect();
            parts.len() == segments.len()
                && parts.iter().zip(&segments).all(|(part, segment)| part.starts_with('{') || part == segment)
        };
        route.base.patterns().iter().any(is_it)
    };
    let fixed = ROUTES.iter().filter(is_at).find(|route| !route.path.contains('{'));
    let mut rows = ROUTES.iter().filter(is_at).filter(|row| fixed.is_none_or(|fixed| fixed.path == row.path));
    rows.find(|route| route.methods().any(|answered| answered == method))
}

/// The body without its content coding.
fn decoded(headers: &HeaderMap, body: Bytes) -> Bytes {
    if !headers.contains_key("content-encoding") || body.is_empty() {
        return body;
    }
    assert_eq!(headers["content-encoding"], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body.as_ref()).read_to_end(&mut plain).unwrap();
    plain.into()
}

/// What holds of every response, whatever the request.
fn check_contract(status: StatusCode, headers: &HeaderMap, body: &Value) {
    if body.is_null() {
        assert!([204, 303, 304].contains(&status.as_u16()), "{status} without a body");
        return;
    }
    if body.is_string() {
        assert_eq!(status == 401, headers.contains_key("www-authenticate"));
        return;
    }
    if headers["content-type"] == "application/json" {
        body["error_description"].as_str().into_iter().for_each(check_detail);
        return;
    }
    assert_eq!(headers["content-type"], "application/scim+json");
    assert!(!body.to_string().contains(":null"), "null in {body}");
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(body["status"], status.as_str());
        check_detail(body["detail"].as_str().unwrap());
        assert_eq!(status == 401, headers.contains_key("www-authenticate"));
    }
}

/// An error is `<field> <problem>; <what to do>`, or `<field> must <rule>`, which is both.
fn check_detail(detail: &str) {
    assert!(detail.contains("; ") || detail.contains(" must "), "an error does not state what to do: {detail}");
}

/// What every answer says, whatever it is.
fn check_headers(headers: &HeaderMap) {
    assert_eq!(headers["x-request-id"].len(), 32);
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let is_kept = headers["cache-control"] == "private, no-cache";
    let is_for_good = headers["cache-control"] == "public, max-age=31536000, immutable";
    assert!(is_kept || is_for_good || headers["cache-control"] == "no-store", "{headers:?}");
}

/// No answer is of a status that `openapi.json` does not list for its route.
fn check_documented(route: Option<&Route>, status: StatusCode) {
    if let Some(route) = route {
        assert!(openapi::statuses(route).contains(&status.as_u16()), "{} answers {status}", route.name);
    }
}

async fn tenant(store: &Store, name: &str) -> String {
    let tenant: TenantName = name.parse().unwrap();
    store.add_tenant(&tenant, &TenantConfig::default(), Timestamp::now()).await.unwrap();
    key(store, &tenant, |_| {}).await
}

/// Creates a tenant with a profile of its own.
pub async fn tenant_with_profile(harness: &Harness, name: &str, text: &str) -> TenantName {
    let profile = ProfileRef::own(&Profile::parse_own(text).unwrap(), text);
    let tenant: TenantName = name.parse().unwrap();
    let store = &harness.app.store;
    store.add_profile(&tenant, profile.digest().unwrap(), text).await.unwrap();
    let config = TenantConfig { profile, ..TenantConfig::default() };
    assert!(store.add_tenant(&tenant, &config, Timestamp::now()).await.unwrap());
    tenant
}

/// Makes a key whose record is first changed.
pub async fn key(store: &Store, tenant: &TenantName, change: impl FnOnce(&mut KeyRecord)) -> String {
    let key = ApiKey::mint(tenant).unwrap();
    let mut record = KeyRecord {
        tenant: tenant.clone(),
        id: key.id().clone(),
        credential: Credential::Bearer(key.hash()),
        scopes: vec![Scope::Read, Scope::Write],
        description: "test".into(),
        automation: None,
        awaiting_activation: false,
        created: Timestamp::now(),
        not_before: None,
        expires: None,
        retires: None,
        revoked: None,
        // Once in a quarter of an hour a request writes it down: what requests cost is pinned without.
        used: Some(Timestamp::now()),
        refill: None,
        config: store.tenant(tenant).await.unwrap().unwrap().config,
    };
    change(&mut record);
    store.add_key(&record, record.created).await.unwrap();
    key.reveal()
}

async fn backend(engine: &Engine) -> (Backend, TableNames) {
    match std::env::var("ROLLCALL_TEST_ENDPOINT") {
        Err(_) => (Backend::Engine(engine.clone()), TableNames::prefixed("test")),
        Ok(url) => {
            let client = client::from_aws_environment(Some(url)).await.unwrap();
            (Backend::Remote(client), TableNames::prefixed(&format!("test-{}", uuid::Uuid::from_u128(random()))))
        }
    }
}

pub fn random() -> u128 {
    u128::from(getrandom::u64().unwrap()) << 64 | u128::from(getrandom::u64().unwrap())
}

/// Whether the tests run on the embedded engine, whose capacity figures they pin.
pub fn is_embedded() -> bool {
    std::env::var("ROLLCALL_TEST_ENDPOINT").is_err()
}

impl Backend {
    fn into_client(self, layers: Vec<Arc<dyn Layer>>) -> aws_sdk_dynamodb::Client {
        Wire::client(self, layers)
    }
}
