//! The data of a tenant as a whole, in the description.

use serde_json::{Value, json};

/// Where to go on.
pub(super) fn cursor_parameter() -> Value {
    json!([{"name": "cursor", "in": "query", "description": "`nextCursor` of another answer; without it, the beginning",
        "schema": {"type": "string"}}])
}
