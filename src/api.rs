//! HTTP to SCIM and back: from a request to its row of the route table, and from an outcome to a response.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{Method, Request, Response};

use crate::app::App;
use crate::app::metrics::RequestRecord;
use crate::auth::KeyId;

#[cfg(feature = "local")]
use crate::auth::Principal;
use crate::limits::{MAX_BODY_BYTES, MAX_TENANT_BYTES, REQUEST_SECONDS};
use crate::scim::{ErrorCode, ScimError};
use crate::store::dynamo::meter::Meter;

pub mod admin;
mod authorize;
pub mod bulk;
mod client_kind;
mod compression;
pub mod context;
mod cursor;
pub mod discovery;
mod dry_run;
mod error;
pub mod events;
#[cfg(feature = "local")]
mod expect;
pub mod gateway;
pub mod group_members;
pub mod groups;
pub mod history;
pub mod hold;
pub mod links;
pub mod log;
pub mod me;
pub mod oauth;
pub mod pages;
mod path;
mod rate;
mod refusal;
mod response;
pub mod restore;
pub mod route;
pub mod search;
mod sub_request;
pub mod tenant_data;
pub mod tenant_load;
pub mod tenant_resources;
mod trace;
pub mod users;
mod write;

pub use context::{Origin, RequestContext, Route};
pub use dry_run::NOT_TRIED;
#[cfg(feature = "local")]
pub use expect::is_refused_by_head;
pub use path::Base;
pub use response::ScimResponse;
pub use route::{ROUTES, Selection};

use context::too_late;
use path::RequestTarget;
use response::{Refusal, response, without_body};
use trace::RequestTrace;

/// Answers a request with one of the selected routes. Never fails: whatever goes wrong is a SCIM error body.
pub async fn handle(app: &App, selection: &Selection, request: Request<Bytes>) -> Response<Bytes> {
    let started = std::time::Instant::now();
    let request_id = uuid_text();
    let found = match app.edge.as_ref().is_none_or(|edge| edge.accepts(request.headers())) {
        true => find(selection, &request),
        false => Err(not_through_the_edge().into()),
    };
    let route = found.as_ref().map_or("none", |(route, _)| route.name);
    // As the URL says: for a request that was refused, it is the tenant that the caller meant.
    let tenant =
        found.as_ref().map_or(String::new(), |(_, target)| target.tenant.chars().take(MAX_TENANT_BYTES).collect());
    let trace = RequestTrace::default();
    let answering = async {
        match found.clone() {
            Ok(found) => match dry_run::is_asked(found.0, &request) {
                Ok(_) => answer(app, found, &request, &request_id, trace.clone()).await,
                Err(error) => Err(error.into()),
            },
            Err(refusal) => Err(refusal),
        }
    };
    let in_time = async {
        let limit = Duration::from_secs(REQUEST_SECONDS);
        let outcome = tokio::time::timeout(limit, answering).await.unwrap_or_else(|_| Err(too_late().into()));
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Ok(found) = &found {
            let written = refusal::write(app, found, &request, (&request_id, milliseconds), (&trace, &outcome));
            // In the heap, if it comes to it: few requests are refused.
            Box::pin(written).await;
        }
        outcome
    };
    let is_dry = found.as_ref().is_ok_and(|(route, _)| dry_run::is_asked(route, &request).unwrap_or_default());
    let (outcome, spent) = match is_dry {
        true => Meter::measure(Box::pin(dry_run::run(in_time))).await,
        false => Meter::measure(in_time).await,
    };
    let (key, status, error) = match &outcome {
        Ok(reply) => (reply.key.as_ref().map_or("", KeyId::as_str), reply.status.as_u16(), ""),
        Err(refusal) => ("", refusal.error.status(), refusal.error.code.as_str()),
    };
    app.observer.record(&RequestRecord {
        request_id: &request_id,
        route,
        tenant: &tenant,
        is_authorized: trace.caller().is_some_and(|caller| caller.key_state == "ok"),
        key,
        status,
        error,
        elapsed: started.elapsed(),
        spent,
        invocation: request.extensions().get(),
    });
    let response = rate::marked(response(outcome, &request_id), trace.rate());
    let response = compression::compressed(request.headers(), response);
    match *request.method() {
        Method::HEAD => without_body(response),
        _ if is_dry => dry_run::marked(response),
        _ => response,
    }
}

/// Answers a request to the admin API of somebody who holds the tables themselves and needs no key.
#[cfg(feature = "local")]
pub async fn handle_as_operator(app: &App, request: Request<Bytes>) -> Response<Bytes> {
    let request_id = uuid_text();
    let found = find(&Selection::all(), &request);
    let is_dry = found.as_ref().is_ok_and(|(route, _)| dry_run::is_asked(route, &request).unwrap_or_default());
    let answering = async {
        let (operator, found) = (Principal::local_operator()?, found?);
        let outer = RequestContext::new(app, found.clone(), &request, &request_id, ROUTES);
        let context = outer.sub_request(found, &request, &request_id, &operator);
        context.answer().await.map_err(Refusal::from)
    };
    match is_dry {
        true => dry_run::marked(response(dry_run::run(answering).await, &request_id)),
        false => response(answering.await, &request_id),
    }
}

/// The answer to what was refused before it came to a route.
#[cfg(feature = "local")]
pub fn refusal(error: ScimError) -> Response<Bytes> {
    response(Err(error.into()), &uuid_text())
}

/// Whoever has found the API's own host learns nothing there.
fn not_through_the_edge() -> ScimError {
    ScimError::new(ErrorCode::NoEndpoint, "there is no such endpoint; use the Tenant URL that you were given")
}

async fn answer(
    app: &App,
    found: (&'static Route, RequestTarget),
    request: &Request<Bytes>,
    request_id: &str,
    trace: RequestTrace,
) -> Result<ScimResponse, Refusal> {
    if request.body().len() > MAX_BODY_BYTES {
        return Err(ScimError::new(
            ErrorCode::BodyTooLarge,
            format!("the request body is longer than {MAX_BODY_BYTES} bytes; send less in one request"),
        )
        .into());
    }
    check_content_encoding(request)?;
    let context = RequestContext::new(app, found, request, request_id, ROUTES);
    Ok(RequestContext { trace, ..context }.answer().await?)
}

/// Refuses a body that would have to be decoded first (RFC 9110 section 15.5.16).
fn check_content_encoding(request: &Request<Bytes>) -> Result<(), Refusal> {
    let encodings = request.headers().get_all(CONTENT_ENCODING).iter();
    let mut encodings = encodings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_identity = |encoding: &[u8]| {
        let encoding = encoding.trim_ascii();
        encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity")
    };
    if request.body().is_empty() || encodings.all(is_identity) {
        return Ok(());
    }
    let detail = "the request body is encoded as Content-Encoding says; send it without an encoding";
    Err(Refusal { accepts_identity: true, ..ScimError::new(ErrorCode::ContentEncoding, detail).into() })
}

fn find(selection: &Selection, request: &Request<Bytes>) -> Result<(&'static Route, RequestTarget), Refusal> {
    let not_found = || {
        ScimError::new(
            ErrorCode::NoEndpoint,
            "the endpoint does not exist; compare the Tenant URL, which has the form https://host/{tenant}/scim/v2, followed by \
             /Users, /Groups, /GroupMembers, /Bulk, /ServiceProviderConfig, /ResourceTypes or /Schemas",
        )
    };
    let target = RequestTarget::parse(request.uri().path()).ok_or_else(not_found)?;
    // `/Users/.search` is no user's id.
    let is_fixed = ROUTES.iter().any(|route| !route.path.contains('{') && route.accepts(&target));
    let matching = || ROUTES.iter().filter(|r| r.accepts(&target) && !(is_fixed && r.path.contains('{')));
    if let Some(route) = matching().find(|route| route.answers(request.method())) {
        return match selection.includes(route) {
            true => Ok((route, target)),
            // API Gateway takes `/Users/` for another path than `/Users`, and it ends here.
            false if request.uri().path().ends_with('/') => Err(without_trailing_slash(request)),
            false => Err(not_found().into()),
        };
    }
    let allowed: Vec<&str> = matching().flat_map(Route::methods).map(Method::as_str).collect();
    if allowed.is_empty() {
        return Err(not_found().into());
    }
    let allow = allowed.join(", ");
    let method: &str = match *request.method() {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE => request.method().as_str(),
        _ => "this method",
    };
    let error = ScimError::new(ErrorCode::MethodNotAllowed, format!("{method} is not allowed here; use {allow}"));
    Err(Refusal { allow: Some(allow), ..error.into() })
}

fn without_trailing_slash(request: &Request<Bytes>) -> Refusal {
    let uri = request.uri();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = format!("{}{query}", uri.path().trim_end_matches('/'));
    let error = ScimError::new(ErrorCode::TrailingSlash, "the address ends with a slash; leave it out");
    Refusal { location: Some(location), ..error.into() }
}

/// 32 characters, unique.
fn uuid_text() -> String {
    let bytes = getrandom::u64().and_then(|a| getrandom::u64().map(|b| u128::from(a) << 64 | u128::from(b)));
    format!("{:032x}", bytes.unwrap_or_default())
}
