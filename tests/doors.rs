//! Every spelling of an attribute by every door: POST, PUT, PATCH with and without a path, Bulk, filters, `attributes`,
//! `excludedAttributes` and `sortBy` name the same attribute, or all refuse.

use serde_json::{Map, Value, json};

mod generated;

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
    let spellings = [
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:department",
        "urn:ietf:params:scim:schemas:core:2.0:displayName",
        "urn:ietf:params:scim:schemas:core:2.0.members",
        "urn:ietf:params:scim:schemas:displayName",
        "urn:ietf:params:scim:schemas:core:2.0.User:displayName",
        "urn:ietf:params:scim:schemas:core:2.0:",
        "urn:acme::crm:badge",
        "User.displayName",
        "User:displayName",
        "Group.displayName",
        "enterprise:2.0:User:department",
        "name..givenName",
        ".displayName",
        "shoe size",
        "department.x",
        "userName[value eq \"ada\"]",
        GROUP,
    ];
    let of_enterprise =
        ["/department", "%3Adepartment", ".", ":", " :department", "::department", ":department.x", ":manager:value"];
    let of_user = ["/displayName", ":name:givenName", &format!(":{ENTERPRISE}:department"), ":displayName.x"];
    let all = spellings.map(str::to_owned).into_iter();
    let all = all.chain([":displayName", ".displayName", "/members"].map(|end| format!("{GROUP}{end}")));
    let all = all.chain(of_enterprise.map(|end| format!("{ENTERPRISE}{end}")));
    for spelling in &all.chain(of_user.map(|end| format!("{USER}{end}"))).collect::<Vec<_>>() {
        let value = if spelling == GROUP || spelling.ends_with(':') { json!({"displayName": "x"}) } else { json!("x") };
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
    let nested = |key: &str| json!({ENTERPRISE: {key: "x"}});
    let keys = [format!("{ENTERPRISE}:department"), "urn:x:y".to_owned(), "department.x".to_owned(), "a b".to_owned()];
    for body in keys.iter().map(|key| nested(key)).chain([json!({"name": {"given name": "x"}})]) {
        let mut whole = user(&[]);
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        harness.send("POST", "/Users", whole.clone()).await.assert_error(400, "invalidPath");
        harness.send("PUT", &path, whole).await.assert_error(400, "invalidPath");
        let operation = patch(json!({"op": "add", "value": body}));
        harness.send("PATCH", &path, operation).await.assert_error(400, "invalidPath");
    }
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 1);
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
    for (open, close) in [
        ("'", "'"),
        ("`", "`"),
        ("\u{201C}", "\u{201D}"),
        ("\u{2018}", "\u{2019}"),
        ("\u{2032}", "\u{2032}"),
        ("\u{2033}", "\u{2033}"),
        ("\u{2BC}", "\u{2BC}"),
        ("\u{275D}", "\u{275E}"),
        ("&quot;", "&quot;"),
        ("\\\"", "\\\""),
        ("%27", "%27"),
    ] {
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

#[tokio::test]
async fn one_meaning_of_keys_that_name_a_part() {
    let harness = Harness::new().await;
    for (key, value, pointer) in [
        ("emails[type eq \"work\"].value".to_owned(), json!("a@x.y"), "/emails/0/value".to_owned()),
        (format!("{USER}:emails[type eq \"work\"].value"), json!("a@x.y"), "/emails/0/value".to_owned()),
        (ENTERPRISE.to_owned(), json!({"manager.value": "A"}), format!("/{ENTERPRISE}/manager")),
        (format!(" {ENTERPRISE}:department"), json!("A"), format!("/{ENTERPRISE}/department")),
        ("shoe.size".to_owned(), json!(9), "/shoe/size".to_owned()),
        ("urn:acme:crm:1.0.badge".to_owned(), json!("A"), "/urn:acme:crm:1.0/badge".to_owned()),
    ] {
        let expected = if value.is_object() { json!({"value": "A"}) } else { value.clone() };
        for (door, resource) in written(&harness, &key, &value).await {
            assert_eq!(resource.pointer(&pointer), Some(&expected), "{door} {key}: {resource}");
            assert!(key == ENTERPRISE || resource.get(&key).is_none(), "{door} {key}: {resource}");
        }
    }
    // Of a list and a part of it, the part comes last, wherever it stands.
    let both = user(&[
        ("emails[type eq \"work\"].value", &json!("b@x.y")),
        ("emails", &json!([{"type": "work", "value": "a@x.y"}, {"type": "home", "value": "c@x.y"}])),
    ]);
    let emails = harness.send("POST", "/Users", both).await.body["emails"].clone();
    assert_eq!(emails, json!([{"type": "work", "value": "b@x.y"}, {"type": "home", "value": "c@x.y"}]));
}

#[tokio::test]
async fn what_a_version_cut_short_names_is_advised_under_its_urn() {
    let harness = Harness::new().await;
    let path = "urn:ietf:params:scim:schemas:core:2.0.members";
    let group = json!({"displayName": "g", path: [{"value": "x"}]});
    let reply = harness.send("POST", "/Groups", group).await;
    reply.assert_error(400, "invalidPath");
    assert!(reply.body["detail"].as_str().unwrap().contains(&format!("write {GROUP}:members")), "{}", reply.body);
}

#[tokio::test]
async fn ids_are_found_in_each_spelling_and_an_empty_list_of_schemas_searches() {
    let harness = Harness::new().await;
    let member = harness.user("ada").await;
    let group = json!({"displayName": "g", format!("{GROUP}.members"): [{"value": member}]});
    let group = harness.send("POST", "/Groups", group).await.body["id"].as_str().unwrap().to_owned();
    for (endpoint, path, id) in [
        ("/Users", "groups.value", &group),
        ("/Users", "groups", &group),
        ("/Groups", "members.value", &member),
        ("/GroupMembers", "group.value", &group),
        ("/GroupMembers", "member.value", &member),
    ] {
        for spelling in [id.clone(), id.to_uppercase(), id.replace('-', "")] {
            let filter = format!("{path} eq \"{spelling}\"");
            let reply = harness.send("GET", &format!("{endpoint}?filter={}", encode(&filter)), None).await;
            assert_eq!(
                reply.body["Resources"].as_array().map(Vec::len),
                Some(1),
                "{endpoint} {filter}: {}",
                reply.body
            );
        }
    }
    let found = harness.send("POST", "/Users/.search", json!({"schemas": [], "filter": "userName eq \"ada\""})).await;
    assert_eq!((found.status, &found.body["totalResults"]), (200, &json!(1)));
}

#[tokio::test]
async fn json_that_is_wrong_in_one_operation_fails_it_alone() {
    let harness = Harness::new().await;
    let deep = format!("{{\"userName\":\"b\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let many: Vec<_> = (0..1_001).map(|number| format!("\"a{number}\":1")).collect();
    let many = format!("{{{}}}", many.join(","));
    let bad = [
        "{\"userName\":\"b\",\"userName\":\"c\"}",
        "{\"userName\":\"b\",\"x\":1e999}",
        "{\"userName\":\"\\ud800\"}",
        &deep,
        &many,
    ];
    let operation = |id: usize, data: &str| {
        format!("{{\"method\":\"POST\",\"path\":\"/Users\",\"bulkId\":\"{id}\",\"data\":{data}}}")
    };
    let good = operation(9, "{\"userName\":\"good\"}");
    let all: Vec<_> = bad.iter().enumerate().map(|(id, data)| operation(id, data)).chain([good]).collect();
    let bulk = |operations: String| {
        format!("{{\"schemas\":[\"urn:ietf:params:scim:api:messages:2.0:BulkRequest\"],\"Operations\":[{operations}]}}")
    };
    let authorization = format!("Bearer {}", harness.acme);
    let send = async |body: String| {
        harness.raw("POST", "/acme/scim/v2/Bulk", body.into(), &[("authorization", authorization.as_str())]).await
    };
    let reply = send(bulk(all.join(","))).await;
    let outcomes = reply.body["Operations"].as_array().unwrap();
    let statuses: Vec<_> = outcomes.iter().map(|outcome| outcome["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["400", "400", "400", "400", "400", "201"], "{}", reply.body);
    for (id, outcome) in outcomes.iter().enumerate().take(bad.len()) {
        assert_eq!((&outcome["bulkId"], &outcome["method"]), (&json!(id.to_string()), &json!("POST")), "{outcome}");
        assert_eq!(outcome["response"]["scimType"], "invalidSyntax", "{outcome}");
    }
    send(bulk("{\"method\":}".to_owned())).await.assert_error(400, "invalidSyntax");
}
