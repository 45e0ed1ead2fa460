//! A row of the route table, and one request on its way through its handler.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method, Request};
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::client_kind::client_kind;
use super::path::{Base, RequestTarget};
use super::response::ScimResponse;
use super::trace::RequestTrace;
use crate::app::App;
use crate::auth::{Principal, Scope, Tenant};
use crate::limits::{MAX_IDEMPOTENCY_KEY_BYTES, REQUEST_SECONDS};
use crate::scim::etag::{self, Tags};
use crate::scim::list::Query;
use crate::scim::projection::Projection;
use crate::scim::{ErrorCode, ResourceSchema, ScimError, json};
use crate::store::dynamo::tables::{AccessList, TablePermission};
use crate::store::model::hold::Reservation;
use crate::store::model::record::Author;
use crate::store::ops::idempotency::IdempotencyKey;

/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Rows that one function serves: a stack holds 500 resources, and a function takes seven. The rows of a family need the
/// same kind of caller, and most of them the same access. Keys have a function for each row, as users and groups have.
const FAMILIES: [&str; 14] = [
    "admin.automation.*",
    "admin.groups.*",
    "admin.hold.*",
    "admin.links.*",
    "admin.log.*",
    "admin.tenants.*",
    "admin.users.*",
    "admin.verify.*",
    "all.*",
    "me.*",
    "pages.inside.*",
    "pages.public.*",
    "resourcetypes.*",
    "schemas.*",
];

/// The scheme and host that a request came to, put into its extensions by the binary that received it.
#[derive(Debug, Clone)]
pub struct Origin(pub String);

/// A row of the route table.
pub struct Route {
    /// The function's handler string, such as `users.get`.
    pub name: &'static str,
    /// The method.
    pub method: Method,
    /// Below which address.
    pub base: Base,
    /// The path below it.
    pub path: &'static str,
    /// What the key must be allowed.
    pub scope: Scope,
    /// Every access to a table that the handler may make; the role allows no other.
    pub access: AccessList,
    /// The handler.
    pub handler: Handler,
}

impl Route {
    /// Whether a path is one of the row's.
    pub(super) fn accepts(&self, target: &RequestTarget) -> bool {
        target.matches(self.base, self.path)
    }

    /// The methods that it answers: HEAD wherever GET is (RFC 9110 section 9.3.2).
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        std::iter::once(&self.method).chain((self.method == Method::GET).then_some(&Method::HEAD))
    }

    /// Whether it answers a method.
    pub(super) fn answers(&self, method: &Method) -> bool {
        self.methods().any(|answered| answered == method)
    }

    /// The handler string of the function that serves it: its own name, or the family of rows that share one.
    pub fn function(&self) -> &'static str {
        let is_in = |family: &&&str| family.strip_suffix('*').is_some_and(|start| self.name.starts_with(start));
        FAMILIES.iter().find(is_in).copied().unwrap_or(self.name)
    }

    /// The row's accesses, each once.
    pub fn permissions(&self) -> BTreeSet<TablePermission> {
        self.access.iter().copied().flatten().copied().collect()
    }
}

/// When a request is given up. Work that waits for nothing has to ask: no time-out interrupts it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// Of a request that began then.
    pub(super) fn of(started: Instant) -> Self {
        Self(started + Duration::from_secs(REQUEST_SECONDS))
    }

    /// Whether the request is still worth working for.
    ///
    /// # Errors
    /// 503 when it is not.
    pub(super) fn check(self) -> Result<(), ScimError> {
        match Instant::now() < self.0 {
            true => Ok(()),
            false => Err(too_late()),
        }
    }
}

/// What a request is answered that takes too long.
pub(super) fn too_late() -> ScimError {
    ScimError::retry(ErrorCode::TimedOut, "the request took too long; send it again, as it may have been done or not")
}

/// A handler as the table holds it.
pub type Handler =
    for<'a> fn(RequestContext<'a>) -> Pin<Box<dyn Future<Output = Result<ScimResponse, ScimError>> + Send + 'a>>;

/// A request that a route was found for.
pub struct RequestContext<'a> {
    pub(super) app: &'a App,
    /// The whole table, for sub-requests.
    pub(super) routes: &'static [Route],
    pub(super) route: &'static Route,
    pub(super) target: RequestTarget,
    pub(super) request: &'a Request<Bytes>,
    pub(super) request_id: &'a str,
    pub(super) started: Instant,
    /// The authorized caller of the outer request, if this is a sub-request.
    pub(super) caller: Option<&'a Principal>,
    /// Whether it is an operation of a Bulk.
    pub(super) is_of_bulk: bool,
    /// What it leaves behind for its log entries.
    pub(super) trace: RequestTrace,
}

impl<'a> RequestContext<'a> {
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::of(self.started)
    }

    pub(super) fn new(
        app: &'a App,
        (route, target): (&'static Route, RequestTarget),
        request: &'a Request<Bytes>,
        request_id: &'a str,
        routes: &'static [Route],
    ) -> Self {
        let (started, trace) = (Instant::now(), RequestTrace::default());
        Self { app, routes, route, target, request, request_id, started, caller: None, is_of_bulk: false, trace }
    }

    /// Has the route's handler answer.
    pub(super) async fn answer(self) -> Result<ScimResponse, ScimError> {
        let rules = self.trace.rules.clone();
        rules.follow((self.route.handler)(self)).await
    }

    /// The request's id, unique.
    pub(super) fn request_id(&self) -> &str {
        self.request_id
    }

    /// When it began.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// What every request shares.
    pub fn app(&self) -> &'a App {
        self.app
    }

    /// The row of the route table.
    pub fn route(&self) -> &'static Route {
        self.route
    }

    /// The `{id}` of the path.
    pub fn id(&self) -> &str {
        self.path_param("{id}")
    }

    /// The time, for this request.
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// The tenant, as the URL says.
    pub(super) fn tenant_in_url(&self) -> &str {
        &self.target.tenant
    }

    /// The path below the tenant's base URL, decoded.
    pub(super) fn path(&self) -> String {
        self.target.below_base()
    }

    /// The value of a part of the route's path, such as `{tenant}`.
    pub(super) fn path_param(&self, name: &str) -> &str {
        self.target.value(self.route.path, name)
    }

    /// The headers.
    pub(super) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The body, unread.
    pub(super) fn raw_body(&self) -> &Bytes {
        self.request.body()
    }

    /// The query, unread; empty without one.
    pub(super) fn raw_query(&self) -> &str {
        self.request.uri().query().unwrap_or_default()
    }

    /// A parameter of the query; none where it is empty.
    pub(super) fn query_param(&self, wanted: &str) -> Option<String> {
        let mut query = form_urlencoded::parse(self.raw_query().as_bytes());
        query.find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.into_owned())
    }

    /// The author of what this request writes.
    pub fn author(&self, principal: &Principal) -> Author {
        Author {
            key: principal.key().clone(),
            request: self.request_id.to_owned(),
            at: self.now(),
            started: self.started,
            settings: principal.settings(),
            route: self.route.name,
            is_of_bulk: self.is_of_bulk,
            client: client_kind(self.request),
            rules: self.trace.rules.clone(),
            reservation: Reservation::default(),
        }
    }

    /// The tenant's base URL as the client knows it, such as `https://host/acme/scim/v2`.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.origin(), self.target.base)
    }

    /// The path of the page, such as `/acme/manage`, whatever the client has put into the tenant's place.
    pub(super) fn page_base(&self) -> String {
        let tenant = utf8_percent_encode(&self.target.tenant, NON_ALPHANUMERIC).to_string().replace("%2D", "-");
        format!("/{tenant}/manage")
    }

    /// Scheme and host as the client knows them.
    pub(super) fn origin(&self) -> String {
        let named = || {
            let host = self.request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
            format!("http://{host}")
        };
        let received = self.request.extensions().get::<Origin>().map(|origin| origin.0.clone());
        self.app.public_url.clone().or(received).unwrap_or_else(named)
    }

    /// The query parameters; those of a search are in its body.
    ///
    /// # Errors
    /// 400 naming the parameter and the rule.
    pub fn query(&self) -> Result<Query, ScimError> {
        if self.route.path.ends_with("/.search") {
            return Query::from_search(&self.body()?);
        }
        let query = self.request.uri().query().unwrap_or_default();
        Query::parse(form_urlencoded::parse(query.as_bytes()).into_owned())
    }

    /// What of a resource is returned.
    ///
    /// # Errors
    /// 400 naming the parameter or attribute, and the rule.
    pub fn projection(&self, schema: &ResourceSchema) -> Result<Projection, ScimError> {
        let projection = self.query()?.projection;
        projection.check(schema)?;
        Ok(projection)
    }

    /// The body, a JSON object. Its `Content-Type` is not looked at: Okta's test sends `application/json`.
    ///
    /// # Errors
    /// 400 `invalidSyntax`.
    pub fn body(&self) -> Result<Map<String, Value>, ScimError> {
        json::parse_object(self.request.body())
    }

    /// What an `Idempotency-Key` header says of the request.
    ///
    /// # Errors
    /// 400 for a key that is empty, too long or not visible ASCII.
    pub fn idempotency_key(&self, principal: &Principal) -> Result<Option<IdempotencyKey>, ScimError> {
        let Some(header) = self.request.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = header.to_str().ok().filter(|key| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()));
        let key = key.ok_or_else(|| {
            ScimError::invalid_value(format!(
                "the header Idempotency-Key must have 1 to {MAX_IDEMPOTENCY_KEY_BYTES} visible ASCII characters"
            ))
        })?;
        Ok(Some(IdempotencyKey::new(principal.key(), self.route.path, key, self.request.body(), self.now())))
    }

    /// The id of what the same request has created, if it was sent before.
    ///
    /// # Errors
    /// 422 where it had another body, 503.
    pub async fn find_replayed(
        &self,
        tenant: &Tenant,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<String>, ScimError> {
        let Some(key) = key else { return Ok(None) };
        match self.app.store.replay_of(tenant, key).await? {
            Some(replay) if !replay.is_same => Err(ScimError::other_request()),
            replay => Ok(replay.map(|replay| replay.id)),
        }
    }

    /// The `If-Match` header.
    pub fn if_match(&self) -> Option<Tags> {
        self.tags(IF_MATCH)
    }

    /// The `If-None-Match` header.
    pub fn if_none_match(&self) -> Option<Tags> {
        self.tags(IF_NONE_MATCH)
    }

    /// Checks the headers on the version that a write would replace.
    ///
    /// # Errors
    /// 412.
    pub fn check_preconditions(&self, version: u64) -> Result<(), ScimError> {
        etag::check_preconditions(self.if_match().as_ref(), self.if_none_match().as_ref(), version)
    }

    fn tags(&self, name: HeaderName) -> Option<Tags> {
        let values: Vec<_> = self.request.headers().get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
        (!values.is_empty()).then(|| Tags::parse(&values.join(",")))
    }
}
