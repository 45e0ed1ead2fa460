//! The wire, route by route: one body each, as a snapshot. `cargo insta review` shows what a change does to them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::support::Harness;

/// A body with a name for each id and each instant: they differ from run to run.
struct Normalizer(BTreeMap<String, String>);

impl Normalizer {
    fn body(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text).into(),
            Value::Array(values) => values.iter().map(|value| self.body(value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.body(value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let is_instant = text.parse::<jiff::Timestamp>().is_ok();
        if is_instant {
            return "<instant>".to_owned();
        }
        let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words.map(|word| self.word(word)).collect()
    }

    fn word(&mut self, word: &str) -> String {
        let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if uuid::Uuid::try_parse(id).is_err() {
            return word.to_owned();
        }
        let next = format!("<id {}>", self.0.len() + 1);
        word.replace(id, self.0.entry(id.to_owned()).or_insert(next))
    }
}

#[tokio::test]
async fn bodies_are_as_before() {
    let harness = Harness::new().await;
    let mut normalizer = Normalizer(BTreeMap::new());
    let mut snapshot = async |name: &str, method: &str, path: &str, body: Value| {
        let reply = harness.send(method, path, Some(body).filter(|body| !body.is_null())).await;
        let seen = json!({"status": reply.status, "body": normalizer.body(&reply.body)});
        insta::assert_json_snapshot!(name, seen);
        reply.body
    };
    let user = json!({"userName": "ada@example.com", "active": true, "name": {"givenName": "Ada"},
        "emails": [{"value": "ada@example.com", "type": "work", "primary": true}]});
    let user = snapshot("users.create", "POST", "/Users", user).await;
    let id = user["id"].as_str().unwrap().to_owned();
    let group = json!({"displayName": "Engines", "members": [{"value": id}]});
    let group = snapshot("groups.create", "POST", "/Groups", group).await;
    let group = group["id"].as_str().unwrap().to_owned();
    let (user, group_path) = (format!("/Users/{id}"), format!("/Groups/{group}"));
    let patch = |path: &str, value: Value| json!({"Operations": [{"op": "replace", "path": path, "value": value}]});
    let replaced = json!({"userName": "ada@example.com", "title": "Countess"});
    for (name, method, path, body) in [
        ("users.get", "GET", user.as_str(), Value::Null),
        ("users.replace", "PUT", &user, replaced),
        ("users.patch", "PATCH", &user, patch("active", json!(false))),
        ("users.list", "GET", "/Users?filter=userName%20eq%20%22ada@example.com%22", Value::Null),
        ("users.search", "POST", "/Users/.search", json!({"schemas": [rollcall::scim::SEARCH_URN], "count": 1})),
        ("users.conflict", "POST", "/Users", json!({"userName": "ADA@example.com"})),
        ("groups.get", "GET", &group_path, Value::Null),
        (
            "groups.patch",
            "PATCH",
            &format!("{group_path}?attributes=displayName"),
            patch("displayName", json!("Looms")),
        ),
        ("groups.replace", "PUT", &group_path, json!({"displayName": "Looms", "members": []})),
        ("groups.list", "GET", "/Groups?excludedAttributes=members", Value::Null),
        ("groupmembers.list", "GET", "/GroupMembers", Value::Null),
        ("all.list", "GET", "/?count=0", Value::Null),
        ("config.get", "GET", "/ServiceProviderConfig", Value::Null),
        ("resourcetypes.list", "GET", "/ResourceTypes", Value::Null),
        ("me.get", "GET", "/Me", Value::Null),
        (
            "bulk.post",
            "POST",
            "/Bulk",
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "bob"}}]}),
        ),
        ("groups.delete", "DELETE", &group_path, Value::Null),
        ("users.delete", "DELETE", &user, Value::Null),
        ("users.gone", "GET", &user, Value::Null),
    ] {
        snapshot(name, method, path, body).await;
    }
}
