//! Two releases next to each other: items of the next format are read and keep what this release does not know; those of
//! a later one are neither corrupt nor absent.

use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::{Harness, is_embedded, patch};

mod routes;

struct Items {
    harness: Harness,
    user: String,
    group: String,
}

impl Items {
    async fn new() -> Self {
        let harness = Harness::new().await;
        let user = harness.create(json!({"userName": "bob", "emails": [{"value": "a@x"}, {"value": "b@x"}]})).await;
        let group = harness.send("POST", "/Groups", json!({"displayName": "team"})).await;
        let group = group.body["id"].as_str().unwrap().to_owned();
        Self { harness, user, group }
    }

    fn call(&self, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.harness.engine.call(operation, body.to_string().as_bytes());
        assert_eq!(status, 200, "{operation} {body}");
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    /// Writes a format and an attribute that nobody knows into an item.
    fn set_format(&self, table: &str, key: &Value, format: u32) {
        let body = json!({"TableName": table, "Key": key, "UpdateExpression": "SET f = :f, novel = :n",
            "ExpressionAttributeValues": {":f": {"N": format.to_string()}, ":n": {"S": "kept"}}});
        self.call("UpdateItem", &body);
    }

    fn format(&self, table: &str, key: &Value) -> (Value, Value) {
        let item =
            self.call("GetItem", &json!({"TableName": table, "Key": key, "ConsistentRead": true}))["Item"].clone();
        (item["f"]["N"].clone(), item["novel"]["S"].clone())
    }

    fn user_key(name: &str) -> Value {
        json!({"tenant": {"S": "acme"}, "userName": {"S": name}})
    }

    fn group_key(&self) -> Value {
        json!({"tenant": {"S": "acme"}, "id": {"S": self.group}})
    }

    fn record_key() -> Value {
        json!({"tenant": {"S": "acme"}, "keyId": {"S": "."}})
    }
}

#[tokio::test(start_paused = true)]
async fn each_item_has_a_format() {
    if !is_embedded() {
        return;
    }
    let items = Items::new().await;
    assert_eq!(items.format("test-users", &Items::user_key("bob")).0, json!("1"));
    assert_eq!(items.format("test-groups", &items.group_key()).0, json!("1"));
}

#[tokio::test(start_paused = true)]
async fn what_the_next_release_has_written_is_read_and_kept() {
    if !is_embedded() {
        return;
    }
    let items = Items::new().await;
    let harness = &items.harness;
    items.set_format("test-users", &Items::user_key("bob"), 2);
    items.set_format("test-groups", &items.group_key(), 2);
    items.set_format("test-keys", &Items::record_key(), 2);
    let admin = harness.operator().await;
    let user = format!("/Users/{}", items.user);
    let group = format!("/Groups/{}", items.group);
    let member = json!([{"value": items.user}]);
    let mut name = "bob";
    for (method, path, body, next) in [
        ("GET", &user, Value::Null, "bob"),
        ("PATCH", &user, patch(json!([{"op": "add", "path": "title", "value": "t"}])), "bob"),
        ("PUT", &user, json!({"userName": "bob", "emails": [{"value": "c@x"}]}), "bob"),
        ("PUT", &user, json!({"userName": "eve"}), "eve"),
        ("PATCH", &user, patch(json!([{"op": "replace", "path": "userName", "value": "ann"}])), "ann"),
        ("PATCH", &group, patch(json!([{"op": "add", "path": "members", "value": member}])), "ann"),
        ("PATCH", &group, patch(json!([{"op": "replace", "path": "displayName", "value": "crew"}])), "ann"),
        ("PUT", &group, json!({"displayName": "band", "members": member}), "ann"),
        ("GET", &group, Value::Null, "ann"),
        ("PUT", &user, json!({"userName": "ann2"}), "ann2"),
        ("PATCH", &group, patch(json!([{"op": "remove", "path": "members"}])), "ann2"),
    ] {
        let body = (!body.is_null()).then_some(body);
        let reply = harness.send(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
        name = next;
        let kept = (json!("2"), json!("kept"));
        assert_eq!(items.format("test-users", &Items::user_key(name)), kept, "{method} {path}");
        assert_eq!(items.format("test-groups", &items.group_key()), kept, "{method} {path}");
    }
    let change = json!({"settings": {"inviteAutomatically": true}});
    assert_eq!(ask(harness, &admin, "PATCH", "/tenants/acme", change).await.status, 200);
    assert_eq!(ask(harness, &admin, "DELETE", "/tenants/acme", Value::Null).await.status, 200);
    assert_eq!(ask(harness, &admin, "POST", "/tenants/acme/reopen", Value::Null).await.status, 200);
    assert_eq!(items.format("test-keys", &Items::record_key()), (json!("2"), json!("kept")));
    assert_eq!(harness.send("DELETE", &user, None).await.status, 204, "{name}");
}

#[tokio::test(start_paused = true)]
async fn what_a_later_release_has_written_is_neither_corrupt_nor_absent() {
    if !is_embedded() {
        return;
    }
    let items = Items::new().await;
    let harness = &items.harness;
    items.set_format("test-users", &Items::user_key("bob"), 3);
    items.set_format("test-groups", &items.group_key(), 3);
    let (user, group) = (format!("/Users/{}", items.user), format!("/Groups/{}", items.group));
    let rename = json!({"userName": "eve", "displayName": "eve"});
    for (method, path, body) in [
        ("GET", user.as_str(), None),
        ("PUT", &user, Some(rename.clone())),
        ("PATCH", &user, Some(patch(json!([{"op": "add", "path": "title", "value": "t"}])))),
        ("DELETE", &user, None),
        ("GET", "/Users", None),
        ("GET", "/Users?filter=userName+eq+%22bob%22", None),
        ("GET", &group, None),
        ("PUT", &group, Some(rename)),
        ("DELETE", &group, None),
        ("GET", "/Groups", None),
    ] {
        let reply = harness.send(method, path, body).await;
        assert_eq!(reply.status, 503, "{method} {path}: {reply:?}");
        assert!(reply.headers.contains_key("retry-after"), "{method} {path}");
    }
    let admin = harness.operator().await;
    assert_eq!(ask(harness, &admin, "GET", "/tenants/acme/verify", Value::Null).await.status, 503, "not examined");
    items.set_format("test-keys", &Items::record_key(), 3);
    assert_eq!(ask(harness, &admin, "GET", "/tenants/acme", Value::Null).await.status, 503);
}
