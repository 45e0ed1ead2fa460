//! The one error that a client ever sees (RFC 7644 section 3.12).

use std::fmt;

use serde_json::{Value, json};

use super::ERROR_URN;

mod code;

pub use code::ErrorCode;

/// A refusal or failure in SCIM's terms: HTTP status, `scimType` and a `detail` that names the attribute and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimError {
    /// What went wrong, by its stable name; in the log, not in the body.
    pub code: ErrorCode,
    /// What is wrong and what to change, for the administrator who reads the provisioning log.
    pub detail: String,
    /// Seconds to wait before trying again, for 429 and 503.
    pub retry_after: Option<u32>,
    /// How to authenticate, for a 401 that says otherwise than most.
    pub challenges: Option<&'static str>,
    /// The time of the oldest event that is kept, for a 410 of the feed.
    pub oldest: Option<Box<Value>>,
}

/// Detail error keywords of RFC 7644 table 9 and RFC 9865 section 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the RFC's own")]
pub enum ScimType {
    InvalidFilter,
    TooMany,
    Uniqueness,
    Mutability,
    InvalidSyntax,
    InvalidPath,
    NoTarget,
    InvalidValue,
    InvalidCursor,
    ExpiredCursor,
    InvalidCount,
}

impl ScimType {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

impl ScimError {
    /// An error of that code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after: None, challenges: None, oldest: None }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// The detail keyword, where an RFC defines one.
    pub fn scim_type(&self) -> Option<ScimType> {
        self.code.scim_type()
    }

    /// 400 `invalidCursor`.
    pub fn invalid_cursor(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidCursor, detail)
    }

    /// 400 `expiredCursor`.
    pub fn expired_cursor(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::ExpiredCursor, detail)
    }

    /// 400 `invalidCount`.
    pub fn invalid_count(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidCount, detail)
    }

    /// 400: a value is missing or does not fit its attribute.
    pub fn invalid_value(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidValue, detail)
    }

    /// 400: the body is not what the operation takes.
    pub fn invalid_syntax(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidSyntax, detail)
    }

    /// 400: a filter does not parse, or compares what cannot be compared.
    pub fn invalid_filter(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidFilter, detail)
    }

    /// 400: a PATCH path does not parse or cannot be applied.
    pub fn invalid_path(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidPath, detail)
    }

    /// 400: a PATCH path selects nothing.
    pub fn no_target(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NoTarget, detail)
    }

    /// 400: a read-only attribute was written or a required one removed.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::ReadOnly, detail)
    }

    /// 400: answering would take more work than one request may do.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooMany, detail)
    }

    /// 409: a unique value is in use.
    pub fn uniqueness(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Taken, detail)
    }

    /// 401: one text for every cause, so that nothing can be learnt from it.
    pub fn unauthorized() -> Self {
        Self::new(
            ErrorCode::Unauthorized,
            "the credentials are missing, malformed, unknown, expired, revoked or not active yet, or belong to another \
             tenant; give the identity provider the secret token of this tenant, or its user and password",
        )
    }

    /// 404 for a resource.
    pub fn not_found(resource_type: &str, id: &str) -> Self {
        let id: String = id.chars().take(64).collect();
        Self::new(
            ErrorCode::NotFound,
            format!("{resource_type} {id} does not exist; search for it, as it may be deleted"),
        )
    }

    /// 422: an `Idempotency-Key` was used for something else (draft-ietf-httpapi-idempotency-key-header section 2.7).
    pub fn other_request() -> Self {
        Self::new(
            ErrorCode::IdempotencyKeyReused,
            "this Idempotency-Key was used for a request with another body; use a new one for each request",
        )
    }

    /// 422: what was created with an `Idempotency-Key` is gone.
    pub fn gone_since() -> Self {
        Self::new(
            ErrorCode::IdempotentResourceGone,
            "the resource that this Idempotency-Key created is deleted; use a new key to create it again",
        )
    }

    /// 412: `If-Match` names another version.
    pub fn version_mismatch() -> Self {
        Self::new(
            ErrorCode::VersionMismatch,
            "If-Match names a version that is not the current one; read the resource again",
        )
    }

    /// 412: `If-None-Match` names what is there.
    pub fn already_there() -> Self {
        Self::new(
            ErrorCode::VersionMismatch,
            "If-None-Match names the resource as it is; leave the header out to change it",
        )
    }

    /// 503: nothing was changed that is not also complete; the same request may be sent again.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::retry(ErrorCode::Unavailable, detail)
    }

    /// An error that another try may get past.
    pub fn retry(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { retry_after: Some(1), ..Self::new(code, detail) }
    }

    /// The body of RFC 7644 section 3.12; `status` is a string there.
    pub fn to_json(&self) -> Value {
        let mut body = json!({"schemas": [ERROR_URN], "status": self.status().to_string()});
        if let Some(map) = body.as_object_mut() {
            if let Some(scim_type) = self.scim_type() {
                map.insert("scimType".into(), scim_type.as_str().into());
            }
            map.insert("detail".into(), self.detail.as_str().into());
            map.extend(self.oldest.as_deref().map(|oldest| ("oldest".to_owned(), oldest.clone())));
        }
        body
    }
}

impl fmt::Display for ScimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status(), self.detail)
    }
}

impl std::error::Error for ScimError {}
