//! The feed in the description: its parameters, and each type of event.

use serde_json::{Map, Value, json};

use super::reference;
use crate::limits::{DEFAULT_EVENTS, MAX_EVENT_WAIT_SECONDS, MAX_EVENTS};
use crate::store::model::change::EventType;

/// What a request to the feed may say.
pub(super) fn parameters() -> Value {
    let parameter = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "description": description, "schema": schema});
    json!([
        parameter(
            "cursor",
            json!({"type": "string"}),
            "`nextCursor` of another answer; `now` for what comes from now on; without it, the oldest event",
        ),
        parameter(
            "since",
            json!({"type": "string", "format": "date-time"}),
            "Instead of a cursor: the events since then"
        ),
        parameter(
            "types",
            json!({"type": "string"}),
            "Types, separated by commas; a `*` at the end of one matches any rest, as in `user.*`",
        ),
        parameter(
            "limit",
            json!({"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": DEFAULT_EVENTS}),
            "Most events of the answer",
        ),
        parameter(
            "wait",
            json!({"type": "integer", "minimum": 0, "maximum": MAX_EVENT_WAIT_SECONDS, "default": 0}),
            "How many seconds to wait for an event, if there is none",
        ),
    ])
}

/// Writes the types into the schema of an event.
pub(super) fn complete(schemas: &mut Map<String, Value>) {
    let names: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    if let Some(kind) = schemas.get_mut("Event").and_then(|event| event.pointer_mut("/properties/type")) {
        *kind = json!({"type": "string", "enum": names, "description": "See `webhooks`"});
    }
}

/// Each type, as OpenAPI describes webhooks. Rollcall sends none: a client reads them.
pub(super) fn webhooks() -> Map<String, Value> {
    let schema = |kind: &EventType| {
        let fixed = json!({"properties": {"type": {"const": kind.as_str()}}});
        json!({"allOf": [reference("Event"), fixed]})
    };
    let hook = |kind: &EventType| {
        json!({"post": {
            "operationId": format!("event.{}", kind.as_str()),
            "tags": ["Events"],
            "summary": kind.meaning(),
            "description": "An event of the feed. Rollcall does not send it: read it at `/{tenant}/events`.",
            "requestBody": {"content": {"application/json": {"schema": schema(kind)}}},
            "responses": {"204": {"description": "Nothing"}},
        }})
    };
    EventType::ALL.iter().map(|kind| (kind.as_str().to_owned(), hook(kind))).collect()
}
