//! What commands ask of the `rollcall serve` that has their store open, instead of opening it in a second process.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{explain, operator};
use crate::api;
use crate::app::App;
use crate::tenant::OPERATOR_TENANT;

/// The header with the secret that the server has written into its folder.
pub(super) const SECRET: &str = "x-rollcall-operator";

/// Where a filter is explained.
pub(super) const EXPLAIN: &str = "/explain";

/// A secret that nobody guesses.
///
/// # Errors
/// When the system has no random numbers.
pub(super) fn new_secret() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system returned no random numbers; try again: {e}"))?;
    Ok(hex::encode(bytes))
}

/// Whether a request has the secret.
pub(super) fn is_operator(request: &Request<Bytes>, secret: Option<&str>) -> bool {
    match (request.headers().get(SECRET), secret) {
        (Some(header), Some(secret)) => header.as_bytes().ct_eq(secret.as_bytes()).into(),
        _ => false,
    }
}

/// Answers a request that has the secret.
pub(super) async fn answer(app: &App, request: Request<Bytes>) -> Response<Bytes> {
    if request.uri().path() == EXPLAIN {
        return explained(app, request.body()).await;
    }
    // With its first key there must be a place for it, as where a command opens the store itself.
    let is_dry = request.headers().contains_key(operator::DRY_RUN);
    if !is_dry
        && request.uri().path().starts_with(&format!("/{OPERATOR_TENANT}/v1/tenants/{OPERATOR_TENANT}/"))
        && let Err(why) = operator::create_operators(&app.store).await
    {
        return reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"detail": why}));
    }
    api::handle_as_operator(app, request).await
}

async fn explained(app: &App, body: &Bytes) -> Response<Bytes> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
    let groups = asked.get("groups").and_then(Value::as_bool).unwrap_or_default();
    let outcome = match text("tenant").parse() {
        Ok(tenant) => explain::explained(&app.store, tenant, text("filter"), groups).await,
        Err(e) => Err(format!("{e}")),
    };
    match outcome {
        Ok(text) => reply(StatusCode::OK, &json!({"text": text})),
        Err(why) => reply(StatusCode::BAD_REQUEST, &json!({"detail": why})),
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
