//! What kind of client sent a request: for the feed and the log, so that who reads them knows whose habit a change is. A
//! guess from what the clients are seen to send; nothing is decided by it.

use bytes::Bytes;
use http::Request;
use http::header::USER_AGENT;
use serde_json::{Map, Value};

/// Entra ID without the flag `aadOptscim062020`.
const ENTRA: &str = "entra";

/// Entra ID with the flag `aadOptscim062020`.
const ENTRA_FLAG: &str = "entra-flag";

/// The kind of a client, by its headers, its query and the form of its body: `entra`, `entra-flag`, `okta` or `other`.
pub(super) fn client_kind(request: &Request<Bytes>) -> &'static str {
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    if agent.to_ascii_lowercase().contains("okta") {
        return "okta";
    }
    if request.uri().query().is_some_and(|query| query.contains("aadOptscim062020")) {
        return ENTRA_FLAG;
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(request.body()) else { return "other" };
    let operations = body.get("Operations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if is_entra_without_flag(operations) {
        return ENTRA;
    }
    if operations.iter().any(is_entra_with_flag) {
        return ENTRA_FLAG;
    }
    if body.get("meta").and_then(|meta| meta.get("resourceType")).is_some() { ENTRA } else { "other" }
}

/// Its operations begin with a capital, see [`crate::scim::deviation::operation_name`].
fn is_entra_without_flag(operations: &[Value]) -> bool {
    let is_capital = |operation: &Value| {
        let name = operation.get("op").and_then(Value::as_str);
        name.is_some_and(|name| ["Add", "Replace", "Remove"].contains(&name))
    };
    !operations.is_empty() && operations.iter().all(is_capital)
}

/// It replaces several attributes by one operation without a path, whose keys are paths themselves (entra-docs,
/// application-provisioning-config-problem-scim-compatibility).
fn is_entra_with_flag(operation: &Value) -> bool {
    let is_path = |key: &String| key.starts_with("urn:") || key.contains('.');
    let value = operation.get("value").and_then(Value::as_object);
    let holds_paths = |value: &Map<String, Value>| value.iter().any(|(key, value)| is_path(key) && !value.is_object());
    operation.get("path").is_none() && value.is_some_and(holds_paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_reported_by_header_query_and_form() {
        let kind = |agent: &str, query: &str, body: &str| {
            let request = Request::builder().uri(format!("/acme/scim/v2/Users{query}")).header(USER_AGENT, agent);
            client_kind(&request.body(Bytes::from(body.to_owned())).unwrap())
        };
        assert_eq!(kind("Okta SCIM Client 1.0.0", "", ""), "okta");
        assert_eq!(kind("x", "", r#"{"Operations": [{"op": "Replace"}]}"#), "entra");
        assert_eq!(kind("x", "", r#"{"userName": "a", "meta": {"resourceType": "User"}}"#), "entra");
        assert_eq!(kind("x", "?aadOptscim062020", r#"{"Operations": [{"op": "replace"}]}"#), "entra-flag");
        let flagged = r#"{"Operations": [{"op": "replace", "value": {"title": "x", "name.givenName": "a"}}]}"#;
        assert_eq!(kind("x", "", flagged), "entra-flag");
        let of_okta = r#"{"Operations": [{"op": "replace", "value": {"active": false}}]}"#;
        assert_eq!(kind("x", "", of_okta), "other");
        assert_eq!(kind("x", "", r#"{"Operations": [{"op": "replace"}]}"#), "other");
        assert_eq!(kind("x", "", "junk"), "other");
    }
}
