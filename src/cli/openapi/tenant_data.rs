//! The data of a tenant as a whole, in the description.

use serde_json::{Value, json};

use crate::limits::{MAX_TENANT_CLOSING_DAYS, TENANT_CLOSING_SECONDS};

/// Where to go on.
pub(super) fn cursor_parameter() -> Value {
    json!([{"name": "cursor", "in": "query", "description": "`nextCursor` of another answer; without it, the beginning",
        "schema": {"type": "string"}}])
}

/// Whether an answer says what a tenant has and does.
pub(super) fn load_parameter() -> Value {
    json!([{"name": "load", "in": "query", "description": "Whether the answer has `load`",
        "schema": {"type": "boolean", "default": false}}])
}

/// How long a deleted tenant waits for its end.
pub(super) fn after_parameter() -> Value {
    json!([{"name": "afterSeconds", "in": "query", "description": "How long the data waits, in seconds",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_TENANT_CLOSING_DAYS * 86_400,
            "default": TENANT_CLOSING_SECONDS}}])
}
