//! What a request costs a function in instructions: the way of the Lambda binary from the event to the answer, with the
//! SDK over answers that were recorded before. No engine, no network and no clock is in it, so a run repeats to some
//! thousandths. `tests/instructions/run.py` runs it under callgrind.

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use jiff::Timestamp;
use rollcall::admin::keys::{self, Expiry, NewCredentialType, NewKey};
use rollcall::api::gateway::{HttpApiEvent, HttpApiResponse};
use rollcall::api::{self, Selection};
use rollcall::app::metrics::Observer;
use rollcall::app::{App, Clock};
use rollcall::auth::Scope;
use rollcall::store::Store;
use rollcall::store::dynamo::client;
use rollcall::store::dynamo::embedded::Engine;
use rollcall::store::dynamo::tables::{TableNames, create_missing};
use rollcall::tenant::{TenantConfig, TenantName};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// That of the function.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Users of the tenant: more than a page has.
const USERS: usize = 120;

/// Requests in one measurement.
const REPEATS: usize = 20;

/// The body of a request, and before it that of an earlier one.
type Bodies = Option<(Value, Value)>;

/// Answers of the engine, by operation.
type Answers = BTreeMap<String, VecDeque<(u16, Bytes)>>;

/// The engine while it records, and its answers afterwards.
#[derive(Clone)]
struct Canned {
    engine: Engine,
    recorded: Arc<Mutex<Answers>>,
    left: Arc<Mutex<Option<Answers>>>,
}

impl Canned {
    fn answer(&self, operation: &str, body: &[u8]) -> (u16, Bytes) {
        if let Some(left) = &mut *self.left.lock().unwrap() {
            return left.get_mut(operation).and_then(VecDeque::pop_front).expect("a call as it was recorded");
        }
        let (status, body) = self.engine.call(operation, body);
        let answer = (status, Bytes::from(body));
        self.recorded.lock().unwrap().entry(operation.to_owned()).or_default().push_back(answer.clone());
        answer
    }
}

impl std::fmt::Debug for Canned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Canned")
    }
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let (status, body) = self.answer(operation, request.body().bytes().unwrap_or_default());
        let response = http::Response::builder().status(status).body(SdkBody::from(body)).unwrap();
        HttpConnectorFuture::ready(HttpResponse::try_from(response).map_err(|e| ConnectorError::other(e.into(), None)))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

struct Function {
    runtime: Runtime,
    app: App,
    canned: Canned,
    selection: Selection,
    secret: String,
}

impl Function {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let canned = Canned { engine: Engine::in_memory().unwrap(), recorded: Arc::default(), left: Arc::default() };
        let names = TableNames::prefixed("instructions");
        let store = Store::new(client::from_connector(SharedHttpClient::new(canned.clone())), names.clone());
        let secret = runtime.block_on(async {
            create_missing(store.client(), &names).await.unwrap();
            key(&store).await
        });
        let now = Timestamp::now();
        let app =
            App { clock: Clock::Fixed(Arc::new(move || now)), observer: Observer::Log, ..App::new(store).unwrap() };
        Self { runtime, app, canned, selection: Selection::all(), secret }
    }

    fn event(&self, method: &str, path: &str, query: &str, body: Option<&Value>) -> Vec<u8> {
        let event = json!({
            "version": "2.0",
            "rawPath": format!("/acme/scim/v2{path}"),
            "rawQueryString": query,
            "headers": {
                "authorization": format!("Bearer {}", self.secret),
                "content-type": "application/scim+json",
                "host": "scim.example.com",
                "user-agent": "Mozilla/5.0 (compatible; MSFT-AAD-SCIM)",
            },
            "requestContext": {"domainName": "scim.example.com", "http": {"method": method}, "requestId": "id"},
            "body": body.map(Value::to_string),
            "isBase64Encoded": false,
        });
        event.to_string().into_bytes()
    }

    fn answer(&self, event: &[u8]) -> Vec<u8> {
        let event: HttpApiEvent = serde_json::from_slice(event).unwrap();
        let response = self.runtime.block_on(api::handle(&self.app, &self.selection, event.into_request()));
        serde_json::to_vec(&HttpApiResponse::from(response)).unwrap()
    }

    /// A request over the engine: its status and body.
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer: Value = serde_json::from_slice(&self.answer(&self.event(method, path, "", body))).unwrap();
        assert!(answer["statusCode"].as_u64().unwrap() < 300, "{method} {path}: {answer}");
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default()
    }

    /// Records what a request asks of the engine, and then sends it so many times over the recorded answers. An earlier
    /// request fills what a process keeps, and leaves something to change.
    fn measure(&self, measurement: fn(&Self, &[u8]), method: &str, (path, query): (&str, &str), bodies: Bodies) {
        let [earlier, event] = match bodies {
            None => [None, None],
            Some((earlier, body)) => [Some(earlier), Some(body)],
        }
        .map(|body| self.event(method, path, query, body.as_ref()));
        self.answer(&earlier);
        self.canned.recorded.lock().unwrap().clear();
        let answer: Value = serde_json::from_slice(&self.answer(&event)).unwrap();
        assert!(answer["statusCode"].as_u64().unwrap() < 300, "{answer}");
        let once = self.canned.recorded.lock().unwrap().clone();
        let mut all = Answers::new();
        for _ in 0..REPEATS {
            for (operation, answers) in &once {
                all.entry(operation.clone()).or_default().extend(answers.iter().cloned());
            }
        }
        *self.canned.left.lock().unwrap() = Some(all);
        measurement(self, &event);
        *self.canned.left.lock().unwrap() = None;
    }

    fn repeat(&self, event: &[u8]) {
        for _ in 0..REPEATS {
            black_box(self.answer(black_box(event)));
        }
    }
}

async fn key(store: &Store) -> String {
    let tenant: TenantName = "acme".parse().unwrap();
    store.add_tenant(&tenant, &TenantConfig::default(), Timestamp::now()).await.unwrap();
    let new = NewKey {
        tenant,
        description: "instructions".to_owned(),
        automation: None,
        scopes: vec![Scope::Read, Scope::Write],
        not_before: None,
        expires: Expiry::Default,
        credential_type: NewCredentialType::Bearer,
    };
    keys::add(store, new, Timestamp::now()).await.unwrap().secret.unwrap()
}

fn user(number: usize) -> Value {
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
        ],
        "userName": format!("person{number}@example.com"),
        "externalId": format!("external-{number}"),
        "active": true,
        "displayName": format!("Person {number}"),
        "title": "Engineer",
        "preferredLanguage": "en-US",
        "name": {"givenName": "Person", "familyName": format!("Number {number}"), "formatted": format!("Person Number {number}")},
        "emails": [{"primary": true, "type": "work", "value": format!("person{number}@example.com")}],
        "phoneNumbers": [{"type": "work", "value": "+1 425 555 0100"}, {"type": "mobile", "value": "+1 425 555 0101"}],
        "addresses": [{"type": "work", "streetAddress": "1 Main Street", "locality": "Redmond", "region": "WA",
            "postalCode": "98052", "country": "US", "formatted": "1 Main Street, Redmond, WA 98052"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": format!("{number}"), "department": "Engineering", "costCenter": "4130"
        }
    })
}

/// One function each, so that callgrind knows where a measurement begins and ends.
macro_rules! measurements {
    ($($name:ident),*) => {
        $(
            #[inline(never)]
            #[unsafe(no_mangle)]
            fn $name(function: &Function, event: &[u8]) {
                function.repeat(event);
                black_box(stringify!($name));
            }
        )*
    };
}

measurements!(measured_get, measured_find, measured_page, measured_patch, measured_put, measured_group, measured_add);

fn main() {
    // The log line is a part of each request; it goes nowhere. Libraries log as little as in a function.
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_target(false);
    let targets = Targets::new().with_target("rollcall", LevelFilter::INFO).with_default(LevelFilter::WARN);
    tracing_subscriber::registry().with(lines.with_writer(std::io::sink).with_filter(targets)).init();
    let function = Function::new();
    let mut ids = Vec::new();
    for number in 0..USERS {
        let created = function.send("POST", "/Users", Some(&user(number)));
        ids.push(created["id"].as_str().unwrap().to_owned());
    }
    let members: Vec<_> = ids.iter().take(40).map(|id| json!({"value": id})).collect();
    let group = function.send("POST", "/Groups", Some(&json!({"displayName": "Engineers", "members": members})));
    let (user_path, group_path) = (format!("/Users/{}", ids[7]), format!("/Groups/{}", group["id"].as_str().unwrap()));
    let filter = "filter=userName%20eq%20%22person7%40example.com%22";
    let patch = |operation: Value| json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
    let titled = |title: &str| patch(json!({"op": "Replace", "path": "title", "value": title}));
    let joins = |id: &str| patch(json!({"op": "Add", "path": "members", "value": [{"value": id}]}));
    let mut another = user(7);
    another["title"] = json!("Director");
    let (user_path, group_path) = ((&*user_path, ""), (&*group_path, ""));
    function.measure(measured_get, "GET", user_path, None);
    function.measure(measured_find, "GET", ("/Users", filter), None);
    function.measure(measured_page, "GET", ("/Users", "count=100"), None);
    function.measure(measured_group, "GET", group_path, None);
    function.measure(measured_patch, "PATCH", user_path, Some((titled("Director"), titled("Manager"))));
    function.measure(measured_put, "PUT", user_path, Some((another, user(7))));
    function.measure(measured_add, "PATCH", group_path, Some((joins(&ids[91]), joins(&ids[90]))));
}
