//! Every spelling of an attribute by every door: POST, PUT, PATCH with and without a path, Bulk, filters, `attributes`,
//! `excludedAttributes` and `sortBy` name the same attribute, or all refuse.

use serde_json::{Map, Value, json};

use crate::support::{Harness, encode};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// What an attribute is, however it is spelled: where its value is in a resource, and a value.
struct Named {
    spellings: Vec<String>,
    pointer: String,
    value: Value,
}

fn of_schema(urn: &str, name: &str, pointer: &str, value: Value) -> Named {
    let in_other_case = |text: &str| format!("{}{}", &text[..4], text[4..].to_uppercase());
    let spellings = vec![
        format!("{urn}:{name}"),
        format!("{urn}.{name}"),
        in_other_case(&format!("{urn}:{name}")),
        in_other_case(&format!("{urn}.{name}")),
        name.to_owned(),
        name.to_uppercase(),
    ];
    Named { spellings, pointer: pointer.to_owned(), value }
}

fn attributes() -> Vec<Named> {
    vec![
        of_schema(USER, "displayName", "/displayName", json!("Ada")),
        of_schema(USER, "name.givenName", "/name/givenName", json!("Ada")),
        of_schema(ENTERPRISE, "employeeNumber", &format!("/{ENTERPRISE}/employeeNumber"), json!("7")),
        of_schema(ENTERPRISE, "manager.value", &format!("/{ENTERPRISE}/manager/value"), json!("26")),
    ]
}

fn user(more: &[(&str, &Value)]) -> Value {
    let mut body = Map::from_iter([("userName".to_owned(), json!("ada"))]);
    body.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())));
    body.into()
}

fn patch(operation: Value) -> Value {
    json!({"Operations": [operation]})
}

/// The resource after a write by each door.
async fn written(harness: &Harness, spelling: &str, value: &Value) -> Vec<(&'static str, Value)> {
    let mut seen = Vec::new();
    let whole = user(&[(spelling, value)]);
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [{"method": "POST", "path": "/Users", "bulkId": "a", "data": whole}]});
    for door in ["POST", "Bulk", "PUT", "PATCH path", "PATCH key"] {
        let id = match door {
            "POST" => harness.send("POST", "/Users", whole.clone()).await.body["id"].clone(),
            "Bulk" => {
                let reply = harness.send("POST", "/Bulk", bulk.clone()).await;
                let location = reply.body["Operations"][0]["location"].as_str().unwrap_or_default().to_owned();
                json!(location.rsplit('/').next().unwrap())
            }
            _ => {
                let id = harness.create(user(&[])).await;
                let path = format!("/Users/{id}");
                match door {
                    "PUT" => harness.send("PUT", &path, whole.clone()).await,
                    "PATCH path" => {
                        let operation = json!({"op": "add", "path": spelling, "value": value});
                        harness.send("PATCH", &path, patch(operation)).await
                    }
                    _ => {
                        let operation = json!({"op": "add", "value": {spelling: value}});
                        harness.send("PATCH", &path, patch(operation)).await
                    }
                };
                json!(id)
            }
        };
        let id = id.as_str().unwrap_or("none").to_owned();
        seen.push((door, harness.send("GET", &format!("/Users/{id}"), None).await.body));
        harness.send("DELETE", &format!("/Users/{id}"), None).await;
    }
    seen
}

#[tokio::test]
async fn every_spelling_names_the_same_attribute_by_every_door() {
    let harness = Harness::new().await;
    let mut checked = 0;
    for Named { spellings, pointer, value } in attributes() {
        for spelling in spellings {
            for (door, resource) in written(&harness, &spelling, &value).await {
                assert_eq!(resource.pointer(&pointer), Some(&value), "{door} {spelling}: {resource}");
                checked += 1;
            }
            let id = harness.create(user(&[(&spelling, &value)])).await;
            let list = async |query: String| harness.send("GET", &format!("/Users?{query}"), None).await.body;
            let filter = encode(&format!("{spelling} eq {value}"));
            assert_eq!(list(format!("filter={filter}")).await["totalResults"], 1, "filter {spelling}");
            let output = list(format!("attributes={}", encode(&spelling))).await;
            assert_eq!(output["Resources"][0].pointer(&pointer), Some(&value), "attributes {spelling}: {output}");
            assert!(output["Resources"][0].get("userName").is_none());
            let rest = list(format!("excludedAttributes={}", encode(&spelling))).await;
            assert_eq!(rest["Resources"][0].pointer(&pointer), None, "excludedAttributes {spelling}: {rest}");
            assert_eq!(list(format!("sortBy={}", encode(&spelling))).await["totalResults"], 1, "sortBy {spelling}");
            let removal = patch(json!({"op": "remove", "path": spelling}));
            assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), removal).await.status, 200);
            let after = harness.send("GET", &format!("/Users/{id}"), None).await.body;
            assert_eq!(after.pointer(&pointer), None, "remove {spelling}: {after}");
            harness.send("DELETE", &format!("/Users/{id}"), None).await;
            checked += 5;
        }
    }
    assert_eq!(checked, 4 * 6 * 10);
}

#[tokio::test]
async fn what_nearly_names_an_attribute_is_refused_by_every_door() {
    let harness = Harness::new().await;
    let id = harness.create(user(&[])).await;
    let path = format!("/Users/{id}");
    let version = harness.send("GET", &path, None).await.body["meta"]["version"].clone();
    for spelling in [
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department",
        "urn:ietf:params:scim:schemas:core:2.0:displayName",
        &format!("{GROUP}:displayName"),
        &format!("{GROUP}.displayName"),
        GROUP,
    ] {
        let value = if spelling == GROUP { json!({"displayName": "x"}) } else { json!("x") };
        let others = user(&[(spelling, &value)]);
        for (method, at, body) in [
            ("POST", "/Users", others.clone()),
            ("PUT", path.as_str(), others),
            ("PATCH", &path, patch(json!({"op": "add", "path": spelling, "value": value}))),
            ("PATCH", &path, patch(json!({"op": "remove", "path": spelling}))),
            ("PATCH", &path, patch(json!({"op": "replace", "value": {spelling: value}}))),
        ] {
            harness.send(method, at, body).await.assert_error(400, "invalidPath");
        }
        for parameter in ["attributes", "excludedAttributes", "sortBy"] {
            let url = format!("/Users?{parameter}={}", encode(spelling));
            harness.send("GET", &url, None).await.assert_error(400, "invalidPath");
        }
        let url = format!("/Users?filter={}", encode(&format!("{spelling} pr")));
        harness.send("GET", &url, None).await.assert_error(400, "invalidFilter");
    }
    let dotted = patch(json!({"op": "add", "path": "User.displayName", "value": "x"}));
    harness.send("PATCH", &path, dotted).await.assert_error(400, "invalidPath");
    assert_eq!(harness.send("GET", &path, None).await.body["meta"]["version"], version, "nothing was stored aside");
}

#[tokio::test]
async fn a_member_is_added_by_a_urn_with_a_dot() {
    let harness = Harness::new().await;
    let member = harness.user("ada").await;
    let group = harness.send("POST", "/Groups", json!({"displayName": "g"})).await.body["id"].clone();
    let path = format!("/Groups/{}", group.as_str().unwrap());
    let named = format!("{GROUP}.members");
    let add = patch(json!({"op": "add", "path": named, "value": [{"value": member}]}));
    assert_eq!(harness.send("PATCH", &path, add).await.status, 204);
    let read = harness.send("GET", &path, None).await.body;
    assert_eq!(read["members"][0]["value"], json!(member), "{read}");
    let remove = patch(json!({"op": "remove", "path": format!("{named}[value eq \"{member}\"]")}));
    assert_eq!(harness.send("PATCH", &path, remove).await.status, 204);
    assert_eq!(harness.send("GET", &path, None).await.body["members"].as_array().map_or(0, Vec::len), 0);
}

#[tokio::test]
async fn an_undeclared_extension_is_one_under_its_whole_urn_by_every_door() {
    let harness = Harness::new().await;
    for urn in ["urn:okta:custom:user:1.0", "urn:okta:app_x:1.0:user:custom", "urn:acme:scim:user:1.0", "urn:acme:crm"]
    {
        let value = json!({"badge": "7", "desk": {"floor": 2}});
        for (door, resource) in written(&harness, urn, &value).await {
            assert_eq!(resource[urn], value, "{door} {urn}: {resource}");
        }
        let id = harness.create(user(&[(urn, &value)])).await;
        let list = async |query: String| harness.send("GET", &format!("/Users?{query}"), None).await.body;
        assert_eq!(list(format!("filter={}", encode(&format!("{urn} pr")))).await["totalResults"], 1, "{urn} pr");
        let badge = encode(&format!("{urn}:badge eq \"7\""));
        assert_eq!(list(format!("filter={badge}")).await["totalResults"], 1, "{urn}:badge");
        let output = list(format!("attributes={}", encode(urn))).await;
        assert_eq!(output["Resources"][0][urn], value, "attributes {urn}");
        let rest = list(format!("excludedAttributes={}", encode(urn))).await;
        assert_eq!(rest["Resources"][0].get(urn), None, "excludedAttributes {urn}");
        let path = format!("/Users/{id}");
        let reply = harness.send("PATCH", &path, patch(json!({"op": "remove", "path": urn}))).await;
        assert_eq!((reply.status, reply.body.get(urn)), (200, None), "remove {urn}");
        harness.send("DELETE", &path, None).await;
    }
}

#[tokio::test]
async fn quotes_of_other_kinds_are_refused_and_change_nothing() {
    let harness = Harness::new().await;
    let id = harness.create(user(&[("emails", &json!([{"value": "a@x.y", "type": "work"}]))])).await;
    for (open, close) in [("'", "'"), ("`", "`"), ("\u{201C}", "\u{201D}"), ("\u{2018}", "\u{2019}")] {
        let path = format!("emails[type eq {open}work{close}].value");
        for op in ["add", "remove"] {
            let operation = patch(json!({"op": op, "path": path, "value": "b@x.y"}));
            harness.send("PATCH", &format!("/Users/{id}"), operation).await.assert_error(400, "invalidPath");
        }
        let filter = encode(&format!("userName eq {open}ada{close}"));
        let reply = harness.send("GET", &format!("/Users?filter={filter}"), None).await;
        reply.assert_error(400, "invalidFilter");
        assert!(reply.body["detail"].as_str().unwrap().contains("double quotes"));
    }
}

#[tokio::test]
async fn the_worst_list_of_attributes_is_refused_before_any_work() {
    let harness = Harness::new().await;
    for count in [101, 30_000] {
        let named = vec!["phoneNumbers.value"; count];
        let search = json!({"schemas": [rollcall::scim::SEARCH_URN], "attributes": named, "count": 200});
        harness.send("POST", "/Users/.search", search).await.assert_error(400, "invalidValue");
    }
    let named = vec!["phoneNumbers.value"; 100].join(",");
    assert_eq!(harness.send("GET", &format!("/Users?attributes={named}"), None).await.status, 200);
}

#[tokio::test]
async fn a_projection_leaves_nothing_empty() {
    let harness = Harness::new().await;
    let emails = json!([{"value": "a@x.y"}, {"value": "b@x.y", "type": "work"}]);
    let id = harness.create(user(&[("emails", &emails), ("name", &json!({"givenName": "A"}))])).await;
    let get = async |query: &str| harness.send("GET", &format!("/Users/{id}?{query}"), None).await.body;
    assert_eq!(get("excludedAttributes=name.givenName").await.get("name"), None);
    assert_eq!(get("excludedAttributes=emails.value").await["emails"], json!([{"type": "work"}]));
    assert_eq!(get("attributes=emails.type").await["emails"], json!([{"type": "work"}]));
    assert_eq!(get("attributes=emails.display,name.middleName").await.as_object().unwrap().len(), 2);
}
