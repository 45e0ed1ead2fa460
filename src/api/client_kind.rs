//! What kind of client sent a request: for the feed, so that who reads it knows whose habit a change is. A guess from
//! what the clients are seen to send; nothing is decided by it.

use http::HeaderMap;
use http::header::USER_AGENT;
use serde_json::Value;

/// The kind of a client, by its headers and the form of its body.
pub(super) fn client_kind(headers: &HeaderMap, body: &[u8]) -> &'static str {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    if agent.contains("okta") {
        return "okta";
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_capital = |operation: &Value| {
        let name = operation.get("op").and_then(Value::as_str);
        name.is_some_and(|name| ["Add", "Replace", "Remove"].contains(&name))
    };
    let operations = body.get("Operations").and_then(Value::as_array);
    if operations.is_some_and(|operations| !operations.is_empty() && operations.iter().all(is_capital)) {
        // Without the flag aadOptscim062020, see `scim::deviation::operation_name`.
        return "entra";
    }
    if body.pointer("/meta/resourceType").is_some() {
        return "entra";
    }
    "other"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_reported_by_header_and_form() {
        let kind = |agent: &'static str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(USER_AGENT, agent.parse().unwrap());
            client_kind(&headers, body.as_bytes())
        };
        assert_eq!(kind("Okta SCIM Client 1.0.0", ""), "okta");
        assert_eq!(kind("x", r#"{"Operations": [{"op": "Replace"}]}"#), "entra");
        assert_eq!(kind("x", r#"{"userName": "a", "meta": {"resourceType": "User"}}"#), "entra");
        assert_eq!(kind("x", r#"{"Operations": [{"op": "replace"}]}"#), "other");
        assert_eq!(kind("x", "junk"), "other");
    }
}
