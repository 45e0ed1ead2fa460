//! HTTP to SCIM and back: from a request to its row of the route table, and from an outcome to a response.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, LOCATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::app::App;
use crate::auth::{KeyId, Principal};
use crate::limits::{MAX_BODY_BYTES, MAX_TENANT_BYTES, REQUEST_SECONDS};
use crate::observe::RequestRecord;
use crate::scim::ScimError;
use crate::store::meter::Meter;

pub mod admin;
pub mod bulk;
pub mod context;
mod cursor;
pub mod discovery;
mod error;
pub mod gateway;
pub mod group_members;
pub mod groups;
pub mod me;
pub mod oauth;
mod path;
pub mod route;
pub mod search;
pub mod users;

pub use context::RequestContext;
pub use route::{ROUTES, Route, Selection};

use path::Target;

/// The media type of every body (RFC 7644 section 8.1).
const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// That of what is not SCIM.
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The scheme and host that a request came to, put into its extensions by the binary that received it.
#[derive(Debug, Clone)]
pub struct Origin(pub String);

/// A handler's answer. One with a tenant's data can only be made for a verified caller.
#[derive(Debug)]
pub struct ScimResponse {
    /// Whose key it is, for the log.
    key: Option<KeyId>,
    status: StatusCode,
    media_type: HeaderValue,
    location: Option<String>,
    etag: Option<String>,
    challenge: Option<&'static str>,
    body: Option<Value>,
}

impl ScimResponse {
    /// An answer with a body.
    pub fn json(principal: Principal, status: StatusCode, body: impl Into<Value>) -> Self {
        Self { media_type: SCIM_JSON, ..Self::plain(Some(principal.key().clone()), status, body.into()) }
    }

    /// An answer that is no SCIM: of the token endpoint, of a public document, or of the admin API.
    fn plain(key: Option<KeyId>, status: StatusCode, body: Value) -> Self {
        let (media_type, location, etag, challenge) = (JSON, None, None, None);
        Self { key, status, media_type, location, etag, challenge, body: Some(body) }
    }

    /// An answer without one.
    pub fn empty(principal: Principal, status: StatusCode) -> Self {
        Self { body: None, ..Self::json(principal, status, Value::Null) }
    }

    /// With a `Location` header.
    #[must_use]
    pub fn location(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// With a `WWW-Authenticate` header.
    fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// With an `ETag` header.
    #[must_use]
    pub fn etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }
}

/// Answers a request with one of the selected routes. Never fails: whatever goes wrong is a SCIM error body.
pub async fn handle(app: &App, selection: &Selection, request: Request<Bytes>) -> Response<Bytes> {
    let started = std::time::Instant::now();
    let request_id = uuid_text();
    let found = find(selection, &request);
    let route = found.as_ref().map_or("none", |(route, _)| route.name);
    // As the URL says: for a request that was refused, it is the tenant that the caller meant.
    let tenant =
        found.as_ref().map_or(String::new(), |(_, target)| target.tenant.chars().take(MAX_TENANT_BYTES).collect());
    let answering = async {
        match found {
            Ok((route, target)) => answer(app, route, target, &request, &request_id).await,
            Err(refusal) => Err(refusal),
        }
    };
    let in_time = async {
        let limit = Duration::from_secs(REQUEST_SECONDS);
        tokio::time::timeout(limit, answering).await.unwrap_or_else(|_| Err(too_late().into()))
    };
    let (outcome, spent) = Meter::measure(in_time).await;
    let (key, status) = match &outcome {
        Ok(reply) => (reply.key.as_ref().map_or("", KeyId::as_str), reply.status.as_u16()),
        Err(refusal) => ("", refusal.error.status),
    };
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let request_id = &request_id;
    app.observer.record(&RequestRecord { request_id, route, tenant: &tenant, key, status, milliseconds, spent });
    response(outcome)
}

/// Answers a request to the admin API of somebody who holds the tables themselves and needs no key.
#[cfg(feature = "local")]
pub async fn handle_as_operator(app: &App, request: Request<Bytes>) -> Response<Bytes> {
    let request_id = uuid_text();
    let operator = Principal::local_operator();
    let outcome = match (operator, find(&Selection::all(), &request)) {
        (Ok(operator), Ok(found)) => {
            let outer = RequestContext::new(app, found.0, found.1.clone(), &request, &request_id);
            let context = outer.sub_request(found, &request, &request_id, &operator);
            (context.route().handler)(context).await.map_err(Refusal::from)
        }
        (Err(error), _) => Err(error.into()),
        (_, Err(refusal)) => Err(refusal),
    };
    response(outcome)
}

fn too_late() -> ScimError {
    ScimError::unavailable("the request took too long; what it asked for may have been done, and it can be sent again")
}

/// A refusal; with it the methods that would be allowed, for 405, and where to go instead, for 308.
#[derive(Debug)]
struct Refusal {
    error: ScimError,
    allow: Option<String>,
    location: Option<String>,
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self { error, allow: None, location: None }
    }
}

async fn answer(
    app: &App,
    route: &'static Route,
    target: Target,
    request: &Request<Bytes>,
    request_id: &str,
) -> Result<ScimResponse, Refusal> {
    if request.body().len() > MAX_BODY_BYTES {
        return Err(ScimError::status(413, format!("the request body is longer than {MAX_BODY_BYTES} bytes")).into());
    }
    Ok((route.handler)(RequestContext::new(app, route, target, request, request_id)).await?)
}

fn find(selection: &Selection, request: &Request<Bytes>) -> Result<(&'static Route, Target), Refusal> {
    let not_found = || {
        ScimError::status(
            404,
            "there is no such endpoint; the Tenant URL has the form https://host/{tenant}/scim/v2, followed by \
             /Users, /Groups, /GroupMembers, /Bulk, /ServiceProviderConfig, /ResourceTypes or /Schemas",
        )
    };
    let target = Target::parse(request.uri().path()).ok_or_else(not_found)?;
    // `/Users/.search` is no user's id.
    let is_fixed = ROUTES.iter().any(|route| !route.path.contains('{') && target.matches(route));
    let matching = || ROUTES.iter().filter(|r| target.matches(r) && !(is_fixed && r.path.contains('{')));
    if let Some(route) = matching().find(|route| route.method == *request.method()) {
        return match selection.includes(route) {
            true => Ok((route, target)),
            // API Gateway takes `/Users/` for another path than `/Users`, and it ends here.
            false if request.uri().path().ends_with('/') => Err(without_trailing_slash(request)),
            false => Err(not_found().into()),
        };
    }
    let allowed: Vec<&str> = matching().map(|route| route.method.as_str()).collect();
    if allowed.is_empty() {
        return Err(not_found().into());
    }
    let allow = allowed.join(", ");
    let shown: &str = match *request.method() {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => request.method().as_str(),
        _ => "this method",
    };
    let error = ScimError::status(405, format!("{shown} is not allowed here; allowed are {allow}"));
    Err(Refusal { allow: Some(allow), ..error.into() })
}

fn without_trailing_slash(request: &Request<Bytes>) -> Refusal {
    let uri = request.uri();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{query}", uri.path().trim_end_matches('/'));
    let error = ScimError::status(308, "the address has no trailing slash");
    Refusal { location: Some(location), ..error.into() }
}

fn response(outcome: Result<ScimResponse, Refusal>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    let (status, media_type, body) = match outcome {
        Ok(reply) => {
            set(LOCATION, reply.location);
            set(ETAG, reply.etag);
            set(WWW_AUTHENTICATE, reply.challenge.map(str::to_owned));
            // RFC 6749 section 5.1, and for whatever else a key is shown in.
            set(CACHE_CONTROL, (reply.media_type == JSON).then(|| "no-store".to_owned()));
            set(PRAGMA, (reply.media_type == JSON).then(|| "no-cache".to_owned()));
            (reply.status, reply.media_type, reply.body)
        }
        Err(Refusal { error, allow, location }) => {
            set(ALLOW, allow);
            set(LOCATION, location);
            set(RETRY_AFTER, error.retry_after.map(|seconds| seconds.to_string()));
            set(WWW_AUTHENTICATE, (error.status == 401).then(|| "Bearer realm=\"scim\"".to_owned()));
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, SCIM_JSON, Some(error.to_json()))
        }
    };
    *response.status_mut() = status;
    if let Some(body) = body {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        *response.body_mut() = Bytes::from(body.to_string());
    }
    response
}

/// 32 characters, unique.
fn uuid_text() -> String {
    let bytes = getrandom::u64().and_then(|a| getrandom::u64().map(|b| u128::from(a) << 64 | u128::from(b)));
    format!("{:032x}", bytes.unwrap_or_default())
}
