//! From a handler's outcome to an HTTP response.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName,
    HeaderValue, LINK, LOCATION, PRAGMA, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::auth::{KeyId, Principal};
use crate::scim::ScimError;
use crate::tenant::credential_type::challenges;
use crate::tenant::{CredentialType, ProtectionMode};

/// The media type of every body (RFC 7644 section 8.1).
pub(super) const SCIM_JSON: HeaderValue = HeaderValue::from_static("application/scim+json");

/// That of what is not SCIM.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The id that the log line of the request has.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How an endpoint is protected against mass deprovisioning: no schema of SCIM has a place for it.
const ROLLCALL_PROTECTION: HeaderName = HeaderName::from_static("rollcall-protection");

/// A handler's answer. One with a tenant's data needs a verified caller.
#[derive(Debug)]
pub struct ScimResponse {
    /// Whose key it is, for the log.
    pub(super) key: Option<KeyId>,
    pub(super) status: StatusCode,
    media_type: HeaderValue,
    pub(super) location: Option<String>,
    pub(super) etag: Option<String>,
    challenge: Option<&'static str>,
    body: Option<Value>,
    /// Instead of the body: text of that media type.
    text: Option<(HeaderValue, String)>,
    /// The address of the next page.
    next: Option<String>,
    /// How the tenant is protected against mass deprovisioning.
    protection: Option<ProtectionMode>,
    /// Further headers, in place of the usual ones of their names.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ScimResponse {
    /// The status and the body.
    pub(super) fn outcome(&self) -> (u16, Option<&Value>) {
        (self.status.as_u16(), self.body.as_ref())
    }

    /// An answer with a body.
    pub fn json(principal: Principal, status: StatusCode, body: impl Into<Value>) -> Self {
        Self { media_type: SCIM_JSON, ..Self::plain(Some(principal.key().clone()), status, body.into()) }
    }

    /// An answer that is no SCIM: of the token endpoint, of a public document, or of the admin API.
    pub(super) fn plain(key: Option<KeyId>, status: StatusCode, body: Value) -> Self {
        let (media_type, location, etag, challenge) = (JSON, None, None, None);
        let (text, next, protection) = (None, None, None);
        Self {
            key,
            status,
            media_type,
            location,
            etag,
            challenge,
            body: Some(body),
            text,
            next,
            protection,
            headers: Vec::new(),
        }
    }

    /// The same answer as JSON of the admin API, which no cache keeps.
    pub(super) fn with_json_type(self) -> Self {
        Self { media_type: JSON, ..self }
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
    pub(super) fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// With text of that media type instead of a body.
    pub(super) fn text(self, media_type: &'static str, text: String) -> Self {
        Self { text: Some((HeaderValue::from_static(media_type), text)), ..self }
    }

    /// With a header in place of the usual one of its name; a further one if it is a cookie.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With the code and the detail of a refusal next to a text, for the log.
    pub(super) fn reason(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same, refused for that error: for a page with what was wrong.
    pub(super) fn refused_as(self, error: &ScimError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(self.status);
        let body = json!({"error": error.code.as_str(), "error_description": error.detail});
        Self { status, ..self }.reason(body)
    }

    /// To be saved as a file of that name.
    pub(super) fn download(self, name: &str) -> Self {
        match HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
            Ok(value) => self.header(CONTENT_DISPOSITION, value),
            Err(_) => self,
        }
    }

    /// With a `Link` header to the next page (RFC 8288), if there is one.
    pub(super) fn next(self, next: Option<String>) -> Self {
        Self { next, ..self }
    }

    /// With a header that names the protection against mass deprovisioning, for `rollcall doctor`.
    pub(super) fn protection(self, mode: ProtectionMode) -> Self {
        Self { protection: Some(mode), ..self }
    }

    /// With an `ETag` header.
    #[must_use]
    pub fn etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }
}

/// A refusal; with it the methods that would be allowed, for 405, where to go instead, for 308, and for 415 whether the
/// body is taken without an encoding.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) error: ScimError,
    pub(super) allow: Option<String>,
    pub(super) location: Option<String>,
    pub(super) accepts_identity: bool,
}

impl From<ScimError> for Refusal {
    fn from(error: ScimError) -> Self {
        Self { error, allow: None, location: None, accepts_identity: false }
    }
}

/// The same answer without its body, for HEAD: its length is said all the same (RFC 9110 section 9.3.2).
pub(super) fn without_body(mut response: Response<Bytes>) -> Response<Bytes> {
    let body = std::mem::take(response.body_mut());
    if !body.is_empty() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    response
}

/// The answer. That of a refusal has its [`ErrorCode`](crate::scim::ErrorCode) as an extension.
pub(super) fn response(outcome: Result<ScimResponse, Refusal>, request_id: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    if let Err(refusal) = &outcome {
        response.extensions_mut().insert(refusal.error.code);
    }
    let mut set = |name, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    };
    set(X_REQUEST_ID, Some(request_id.to_owned()));
    set(X_CONTENT_TYPE_OPTIONS, Some("nosniff".to_owned()));
    // A client may keep what it read, if it asks with the `ETag` before it uses it; nobody else may.
    set(CACHE_CONTROL, Some("private, no-cache".to_owned()));
    let mut further = Vec::new();
    let (status, media_type, body) = match outcome {
        Ok(reply) => {
            set(LOCATION, reply.location);
            set(ETAG, reply.etag);
            set(WWW_AUTHENTICATE, reply.challenge.map(str::to_owned));
            set(ROLLCALL_PROTECTION, reply.protection.map(|mode| mode.to_string()));
            set(LINK, reply.next.map(|next| format!("<{next}>; rel=\"next\"")));
            // RFC 6749 section 5.1, and any other answer with a secret.
            let has_secret = reply.media_type == JSON;
            set(CACHE_CONTROL, has_secret.then(|| "no-store".to_owned()));
            set(PRAGMA, has_secret.then(|| "no-cache".to_owned()));
            further = reply.headers;
            let (media_type, body) = match reply.text {
                Some((media_type, text)) => (media_type, Some(text)),
                None => (reply.media_type, reply.body.map(|body| body.to_string())),
            };
            (reply.status, media_type, body)
        }
        Err(Refusal { error, allow, location, accepts_identity }) => {
            set(ALLOW, allow);
            set(ACCEPT_ENCODING, accepts_identity.then(|| "identity".to_owned()));
            set(LOCATION, location);
            set(RETRY_AFTER, error.retry_after.map(|seconds| seconds.to_string()));
            let usual = (error.status() == 401).then(|| challenges(&CredentialType::ALL));
            set(WWW_AUTHENTICATE, error.challenges.or(usual).map(str::to_owned));
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, SCIM_JSON, Some(error.to_json().to_string()))
        }
    };
    *response.status_mut() = status;
    for (name, value) in further {
        match name == SET_COOKIE {
            true => drop(response.headers_mut().append(name, value)),
            false => drop(response.headers_mut().insert(name, value)),
        }
    }
    if let Some(body) = body {
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        *response.body_mut() = Bytes::from(body);
    }
    response
}
