//! Answers of the page, with the headers that every one of them has.

use askama::Template;
use http::StatusCode;
use http::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use serde_json::{Value, json};

use super::super::ScimResponse;
use crate::app::branding::Branding;
use crate::auth::KeyId;
use crate::scim::{ErrorCode, ScimError};

/// Nothing but our own files, and forms that come back to us; what may load images and frame the page follows.
macro_rules! policy {
    () => {
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    };
}

/// Without branding, nobody may frame the page.
const STRICTEST: HeaderValue = HeaderValue::from_static(concat!(policy!(), "img-src 'self'; frame-ancestors 'none'"));

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const HTML: &str = "text/html; charset=utf-8";

/// A page.
///
/// # Errors
/// 500 if a template fails, which none does.
pub(super) fn html(key: Option<KeyId>, status: StatusCode, page: &impl Template) -> Result<ScimResponse, ScimError> {
    let text = page.render().map_err(|error| {
        tracing::error!(%error, "a page was not rendered; report it with the request id");
        ScimError::new(ErrorCode::Misconfigured, "the page was not rendered; report it to the operator")
    })?;
    Ok(secured(ScimResponse::plain(key, status, Value::Null).text(HTML, text)))
}

/// A page that refuses; the log has the code and the detail.
pub(super) fn refusal(key: Option<KeyId>, error: &ScimError, page: &impl Template) -> Result<ScimResponse, ScimError> {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reply =
        html(key, status, page)?.reason(json!({"error": error.code.as_str(), "error_description": error.detail}));
    // RFC 9110 section 15.5.2: a 401 names a way to sign in, and here it is a link.
    let challenge = (status == StatusCode::UNAUTHORIZED).then(|| (WWW_AUTHENTICATE, HeaderValue::from_static("Link")));
    Ok(challenge.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
}

/// The way to another page after a form (303: by GET).
pub(super) fn see_other(key: Option<KeyId>, address: &str) -> ScimResponse {
    let reply = secured(ScimResponse::plain(key, StatusCode::SEE_OTHER, Value::Null).text(HTML, String::new()));
    match HeaderValue::try_from(address) {
        Ok(address) => reply.header(LOCATION, address),
        Err(_) => reply,
    }
}

/// A file that browsers keep: its name changes with what is in it.
pub(super) fn file(media_type: &'static str, text: String) -> ScimResponse {
    let reply = ScimResponse::plain(None, StatusCode::OK, Value::Null).text(media_type, text);
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    reply.header(http::header::CACHE_CONTROL, kept).header(RESOURCE_POLICY, HeaderValue::from_static("same-origin"))
}

/// With a cookie.
pub(super) fn with_cookie(reply: ScimResponse, cookie: &str) -> ScimResponse {
    match HeaderValue::try_from(cookie) {
        Ok(cookie) => reply.header(SET_COOKIE, cookie),
        Err(_) => reply,
    }
}

/// With what the deployment allows beyond the strictest policy: where its logo comes from, and who may frame the page.
pub(super) fn with_policy(reply: ScimResponse, branding: &Branding) -> ScimResponse {
    if branding.logo().is_none() && branding.frames().is_empty() {
        return reply;
    }
    let images = branding.logo().map(|logo| format!(" {}", logo.source)).unwrap_or_default();
    let frames = if branding.frames().is_empty() { "'none'".to_owned() } else { branding.frames().join(" ") };
    let policy = concat!(policy!(), "img-src 'self'");
    match HeaderValue::try_from(format!("{policy}{images}; frame-ancestors {frames}")) {
        Ok(policy) => reply.header(CONTENT_SECURITY_POLICY, policy),
        Err(_) => reply,
    }
}

fn secured(reply: ScimResponse) -> ScimResponse {
    let same_origin = HeaderValue::from_static("same-origin");
    reply
        .header(CONTENT_SECURITY_POLICY, STRICTEST)
        // With `no-referrer` browsers send forms with `Origin: null`, and the check of the origin would know nothing.
        .header(REFERRER_POLICY, same_origin.clone())
        .header(OPENER_POLICY, same_origin.clone())
        .header(RESOURCE_POLICY, same_origin)
        .header(VARY, HeaderValue::from_static("Accept-Language, Cookie"))
}
