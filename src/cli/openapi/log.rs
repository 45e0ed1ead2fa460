//! The log in the description: its parameters, and its other forms.

use serde_json::{Map, Value, json};

use crate::limits::{DEFAULT_LOG_ENTRIES, MAX_LOG_ENTRIES};
use crate::store::ops::log::LogKind;

fn parameter(name: &str, schema: &Value, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}

/// What a request to the log may say.
pub(super) fn parameters() -> Value {
    let (text, time) = (json!({"type": "string"}), json!({"type": "string", "format": "date-time"}));
    let kinds = LogKind::ALL.map(LogKind::as_str);
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_LOG_ENTRIES, "default": DEFAULT_LOG_ENTRIES});
    json!([
        parameter("since", &time, "Not before that time"),
        parameter("until", &time, "Not after that time"),
        parameter("kind", &json!({"type": "string", "enum": kinds}), "Entries of that kind"),
        parameter("status", &text, "Requests refused with that status, such as `409` or `4xx`"),
        parameter("user", &text, "What concerns the user with that id"),
        parameter("group", &text, "What concerns the group with that id"),
        parameter("key", &text, "What the key with that id did"),
        parameter("request", &text, "The request with that id"),
        parameter("limit", &limit, "Most entries of the answer"),
        parameter("cursor", &text, "`nextCursor` of another answer; without it, the newest entry"),
    ])
}

/// What a request to the hash chain may say.
pub(super) fn chain_parameters() -> Value {
    let lane = json!({"type": "string", "enum": ["u", "g"], "default": "u"});
    json!([
        parameter("lane", &lane, "The lane: `u` for users, `g` for groups"),
        parameter("cursor", &json!({"type": "string"}), "`nextCursor` of another answer; without it, the oldest row"),
    ])
}

/// What else the log is answered as.
pub(super) fn other_forms() -> Map<String, Value> {
    let form = |name: &str| (name.to_owned(), json!({"schema": {"type": "string"}}));
    Map::from_iter(["application/x-ndjson", "text/csv"].map(form))
}

/// What a request to the history of a user or group may say.
pub(super) fn history_parameters() -> Value {
    let names = ["since", "until", "limit", "cursor"];
    let is_of_history = |parameter: &&Value| names.iter().any(|name| parameter["name"] == *name);
    parameters().as_array().into_iter().flatten().filter(is_of_history).cloned().collect()
}

/// What a request for the state at a time may say.
pub(super) fn state_parameters() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    json!([parameter("at", &time, "At that time; without it, now")])
}
