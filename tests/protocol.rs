//! Rules of HTTP and of SCIM's messages that hold whatever the resource is: tables of requests with the right answers.

use std::collections::BTreeSet;

use rollcall::api::{Base, ROUTES};
use rollcall::auth::Scope;
use rollcall::tenant::Profile;
use serde_json::{Value, json};

use crate::bulk::{bulk, detail, names, statuses, user};
use crate::support::{Harness, encode, key, patch, tenant_with_profile};

const BASE: &str = "/acme/scim/v2";

#[tokio::test(start_paused = true)]
async fn head_is_get_without_the_body_wherever_get_is() {
    let harness = Harness::new().await;
    let (bob, admin) = (harness.user("bob").await, harness.operator().await);
    let authorization = format!("Bearer {}", harness.acme);
    let operator = format!("Bearer {admin}");
    let reader = key(&harness.app.store, &"acme".parse().unwrap(), |record| record.scopes = vec![Scope::Events]).await;
    let reader = format!("Bearer {reader}");
    let reader = [("authorization", reader.as_str())];
    let tag = [("authorization", authorization.as_str()), ("if-none-match", "W/\"1\"")];
    let nobody = [];
    let mut cases: Vec<(String, &[(&str, &str)])> = vec![
        (format!("{BASE}/Users/{bob}"), &tag),
        (format!("{BASE}/Users/{bob}"), &nobody),
        (format!("{BASE}/nothing"), &tag),
        (format!("{BASE}/Users/{}", bob.replace('0', "1").replace('a', "b")), &tag),
    ];
    let (tenant, operators) = ([("authorization", authorization.as_str())], [("authorization", operator.as_str())]);
    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.base != Base::Pages) {
        for base in route.base.patterns() {
            let path = format!("{base}{}", route.path.trim_end_matches('/'));
            let path = path.replace("{tenant}", "acme").replace("{id}", &bob);
            let headers = match route.base {
                Base::Admin => &operators,
                Base::Events => &reader,
                _ => &tenant,
            };
            cases.push((path, headers));
        }
    }
    // The history of a user is that of the feed.
    crate::support::feed::all_events(&harness).await;
    let mut seen = BTreeSet::new();
    for (path, headers) in cases {
        let get = harness.raw("GET", &path, Vec::new(), headers).await;
        let head = harness.raw("HEAD", &path, Vec::new(), headers).await;
        assert_eq!((head.status, &head.body), (get.status, &Value::Null), "{path}");
        let length =
            head.headers.get("content-length").map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
        // Of a refused request the body names its own method; the others say byte by byte the same.
        let expected = if get.body.is_null() { None } else { Some(get.body.to_string().len()) };
        assert_eq!(length, expected, "{path}");
        for (name, value) in get.headers.iter().filter(|(name, _)| *name != "x-request-id") {
            assert_eq!(head.headers.get(name), Some(value), "{path}: {name}");
        }
        seen.insert(get.status);
    }
    assert_eq!(seen, BTreeSet::from([200, 304, 401, 404]));
    let refused = harness.send("PUT", "/Users", json!({})).await;
    assert_eq!((refused.status, &refused.headers["allow"]), (405, &"POST, GET, HEAD".parse().unwrap()));
    let refused = harness.send("HEAD", "/Users/.search", None).await;
    assert_eq!((refused.status, &refused.headers["allow"]), (405, &"POST".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_write_heeds_if_none_match() {
    let harness = Harness::new().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    let put = json!({"userName": "bob", "title": "x"});
    let change = patch(json!([{"op": "replace", "path": "title", "value": "x"}]));
    for (method, body) in [("PUT", put.clone()), ("PATCH", change), ("DELETE", Value::Null)] {
        let body = || Some(body.clone()).filter(|body| !body.is_null());
        for tag in ["*", "W/\"1\"", "W/\"7\", W/\"1\""] {
            let reply = harness.send_with(method, &path, body(), &[("if-none-match", tag)]).await;
            assert_eq!(reply.status, 412, "{method} {tag}: {reply:?}");
            assert!(reply.body["detail"].as_str().unwrap().contains("If-None-Match"));
        }
        // If-Match comes first, and what is not there has no version at all.
        let both = [("if-match", "W/\"2\""), ("if-none-match", "*")];
        let reply = harness.send_with(method, &path, body(), &both).await;
        assert!(reply.body["detail"].as_str().unwrap().contains("If-Match names"), "{reply:?}");
        let nobody = "/Users/2819c223-7f76-453a-919d-413861904646";
        assert_eq!(harness.send_with(method, nobody, body(), &[("if-none-match", "*")]).await.status, 404);
    }
    let user = harness.send("GET", &path, None).await.body;
    assert_eq!((user.get("title"), &user["meta"]["version"]), (None, &json!("W/\"1\"")));
    assert_eq!(harness.send_with("PUT", &path, put, &[("if-none-match", "W/\"2\"")]).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn if_none_match_is_heeded_by_writes_of_a_group() {
    let harness = Harness::new().await;
    let member = harness.user("bob").await;
    let creation = harness.send("POST", "/Groups", json!({"displayName": "team"})).await.body;
    let path = format!("/Groups/{}", creation["id"].as_str().unwrap());
    let put = json!({"displayName": "team", "externalId": "x"});
    let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": member}]}]));
    for (method, body) in [("PUT", Some(put.clone())), ("PATCH", Some(add.clone())), ("DELETE", None)] {
        for tag in ["*", "W/\"1\""] {
            let reply = harness.send_with(method, &path, body.clone(), &[("if-none-match", tag)]).await;
            assert_eq!(reply.status, 412, "{method} {tag}: {reply:?}");
        }
    }
    assert_eq!(harness.send("GET", &path, None).await.body, creation);
    let other = [("if-none-match", "W/\"9\"")];
    assert_eq!(harness.send_with("PUT", &path, put, &other).await.status, 200);
    assert_eq!(harness.send_with("PATCH", &path, add, &other).await.status, 204);
    assert_eq!(harness.send_with("DELETE", &path, None, &other).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_members_were_read_has_members_also_if_there_are_none() {
    let harness = Harness::new().await;
    let creation = harness.send("POST", "/Groups", json!({"displayName": "team"})).await.body;
    assert_eq!(creation["members"], json!([]));
    let path = format!("/Groups/{}", creation["id"].as_str().unwrap());
    for (query, members) in [
        ("", Some(json!([]))),
        ("?attributes=members", Some(json!([]))),
        ("?attributes=displayName", None),
        ("?excludedAttributes=members", None),
    ] {
        let group = harness.send("GET", &format!("{path}{query}"), None).await.body;
        assert_eq!(group.get("members"), members.as_ref(), "{query}");
        let list = harness.send("GET", &format!("/Groups{query}"), None).await.body;
        assert_eq!(list["Resources"][0].get("members"), members.as_ref(), "{query}");
    }
    let found = harness.send("GET", "/Groups?filter=members%20pr", None).await.body;
    assert_eq!(found["totalResults"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_utf_8_without_an_encoding_and_may_have_a_byte_order_mark() {
    let harness = Harness::new().await;
    let authorization = format!("Bearer {}", harness.acme);
    let body = |name: &str| json!({"userName": name}).to_string().into_bytes();
    let marked = |name: &str| [b"\xef\xbb\xbf".as_slice(), &body(name)].concat();
    let utf_16: Vec<u8> = "\u{feff}{\"userName\":\"c\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin_1 = b"{\"userName\":\"Jos\xe9\"}".to_vec();
    type Case<'c> = (Vec<u8>, Option<&'c str>, u16, &'c str);
    let cases: Vec<Case<'_>> = vec![
        (body("a"), None, 201, ""),
        (marked("b"), None, 201, ""),
        (marked("c"), Some("identity"), 201, ""),
        (body("d"), Some(""), 201, ""),
        ([b"\xef\xbb\xbf".as_slice(), &marked("e")].concat(), None, 400, "not acceptable JSON"),
        (utf_16, None, 400, "not UTF-8"),
        (latin_1, None, 400, "not UTF-8: byte 16"),
        (body("f"), Some("gzip"), 415, "Content-Encoding"),
        (body("f"), Some("identity, br"), 415, "Content-Encoding"),
        (b"\x1f\x8b\x08\x00".to_vec(), Some("GZIP"), 415, "Content-Encoding"),
        (Vec::new(), Some("gzip"), 400, "not acceptable JSON"),
    ];
    for (body, encoding, status, said) in cases {
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(encoding.map(|encoding| ("content-encoding", encoding)));
        let reply = harness.raw("POST", &format!("{BASE}/Users"), body.clone(), &headers).await;
        let output = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(reply.status, status, "{output} {encoding:?}: {reply:?}");
        assert!(said.is_empty() || reply.body["detail"].as_str().unwrap().contains(said), "{output}: {reply:?}");
        let accepted = reply.headers.get("accept-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(accepted, (status == 415).then_some("identity"));
    }
    let get = [("authorization", authorization.as_str()), ("content-encoding", "gzip")];
    assert_eq!(harness.raw("GET", &format!("{BASE}/Users"), Vec::new(), &get).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_broken_operation_of_a_bulk_fails_alone() {
    let harness = Harness::new().await;
    let with = |name: &str, value: Value| {
        let mut operation = user("broken");
        operation[name] = value;
        operation
    };
    let mut broken = vec![json!(null), json!([]), json!("x"), json!({})];
    for (name, value) in [
        ("method", json!("GET")),
        ("method", json!(["POST"])),
        ("bulkId", json!({})),
        ("bulkId", json!("")),
        ("path", json!("/Users/1")),
        ("path", json!("http://evil.example/Users")),
        ("path", json!("/../../globex/scim/v2/Users")),
        ("path", json!("//Users")),
        ("path", json!("/Users?attributes=id")),
        ("path", json!("/Users#")),
        ("path", json!("/%55sers")),
        ("data", json!([])),
        ("data", json!("x")),
        ("data", json!({"emails": 5})),
        ("version", json!("a\r\nb: c")),
    ] {
        broken.push(with(name, value));
    }
    for (number, operation) in broken.into_iter().enumerate() {
        let (first, last) = (format!("first{number}"), format!("last{number}"));
        let reply = harness.send("POST", "/Bulk", bulk(json!([user(&first), operation, user(&last)]))).await;
        assert_eq!(reply.status, 200, "{operation}: {reply:?}");
        let results = reply.body["Operations"].as_array().unwrap();
        assert_eq!(statuses(results), [201, 400, 201], "{operation}: {results:?}");
        assert!(!detail(&results[1]).is_empty());
    }
    assert_eq!(names(&harness).await.len(), 38);
}

#[tokio::test(start_paused = true)]
async fn what_a_broken_operation_would_have_created_is_not_there_for_others() {
    let harness = Harness::new().await;
    let group = json!({"method": "POST", "path": "/Groups", "bulkId": "g",
        "data": {"displayName": "g", "members": [{"value": "bulkId:a"}]}});
    let broken = json!({"method": "POST", "path": "/Users", "bulkId": "a"});
    let results = harness.send("POST", "/Bulk", bulk(json!([group, broken, user("b")]))).await.body;
    let results = results["Operations"].as_array().unwrap();
    assert_eq!(statuses(results), [409, 400, 201]);
    // Of two with one bulkId the first is meant.
    let operations = json!([user("c"), user("c"), group, {"method": "PUT", "path": "/Users/1", "bulkId": "z"}]);
    let operations: Value = serde_json::from_str(&operations.to_string().replace("bulkId:a", "bulkId:c")).unwrap();
    let results = harness.send("POST", "/Bulk", bulk(operations)).await.body;
    let results = results["Operations"].as_array().unwrap();
    assert_eq!(statuses(results), [201, 400, 201, 400]);
    assert_eq!((&results[1]["bulkId"], &results[3]["method"]), (&json!("c"), &json!("PUT")));
    assert!(results[3]["location"].as_str().unwrap().ends_with("/Users/1"), "only a failed POST has none");
}

#[tokio::test(start_paused = true)]
async fn a_broken_operation_counts_as_an_error() {
    let harness = Harness::new().await;
    let mut body = bulk(json!([user("a"), {"method": "GET"}, user("b")]));
    body["failOnErrors"] = json!(1);
    let reply = harness.send("POST", "/Bulk", body).await;
    let results = reply.body["Operations"].as_array().unwrap();
    assert_eq!((statuses(results), names(&harness).await), (vec![201, 400], vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn an_id_is_found_in_each_spelling_that_its_address_takes() {
    let harness = Harness::new().await;
    let (bob, _) = (harness.user("bob").await, harness.user("ann").await);
    let group = harness.send("POST", "/Groups", json!({"displayName": "g"})).await.body["id"].clone();
    let group = group.as_str().unwrap();
    for (endpoint, id) in [("/Users", bob.as_str()), ("/Groups", group)] {
        let spellings =
            [id.to_owned(), id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")];
        for spelling in spellings {
            let at = harness.send("GET", &format!("{endpoint}/{}", encode(&spelling)), None).await;
            assert_eq!(at.status, 200, "{spelling}");
            for (filter, found) in [
                (format!("id eq \"{spelling}\""), true),
                (format!("ID eq \"{spelling}\" and meta.created pr"), true),
                (format!("not (id ne \"{spelling}\")"), true),
                (format!("id ne \"{spelling}\""), false),
                (format!("id sw \"{}\"", &id[..8]), true),
            ] {
                let list = harness.send("GET", &format!("{endpoint}?filter={}", encode(&filter)), None).await.body;
                let ids = list["Resources"].as_array().unwrap().iter();
                assert_eq!(ids.clone().any(|resource| resource["id"] == id), found, "{filter}: {list}");
            }
        }
    }
    assert!(harness.find("id eq \"nobody\"").await.is_empty());
}

/// Of a list the `value`, `type` and `primary` of each value.
fn output(list: &Value) -> Vec<(&str, Option<&str>, bool)> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| (item["value"].as_str().unwrap(), item["type"].as_str(), item["primary"] == true)).collect()
}

#[tokio::test(start_paused = true)]
async fn no_change_leaves_one_value_twice() {
    let harness = Harness::new().await;
    let work = |value: &str| json!({"value": value, "type": "work"});
    let home = |value: &str| json!({"value": value, "type": "home"});
    let add = |value: Value| json!([{"op": "add", "path": "emails", "value": value}]);
    let replace = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    type Held<'h> = Vec<(&'h str, Option<&'h str>, bool)>;
    let cases: Vec<(Value, Value, Held<'_>)> = vec![
        (json!([work("a@x.y")]), add(json!([work("A@X.Y")])), vec![("a@x.y", Some("work"), false)]),
        (
            json!([work("a@x.y")]),
            add(json!([{"value": "A@X.Y", "type": "WORK", "primary": true}])),
            vec![("a@x.y", Some("work"), true)],
        ),
        (
            json!([work("a@x.y")]),
            add(json!([home("A@X.Y")])),
            vec![("a@x.y", Some("work"), false), ("A@X.Y", Some("home"), false)],
        ),
        (
            json!([work("a@x.y")]),
            add(json!([{"value": "a@x.y"}])),
            vec![("a@x.y", Some("work"), false), ("a@x.y", None, false)],
        ),
        (
            json!([home("h@x.y")]),
            add(json!([work("n@x.y"), work("N@x.y")])),
            vec![("h@x.y", Some("home"), false), ("n@x.y", Some("work"), false)],
        ),
        (
            json!([work("a@x.y"), work("b@x.y")]),
            replace("emails[type eq \"work\"]", work("c@x.y")),
            vec![("c@x.y", Some("work"), false)],
        ),
        (
            json!([work("a@x.y"), work("b@x.y")]),
            replace("emails[type eq \"work\"].value", json!("c@x.y")),
            vec![("c@x.y", Some("work"), false)],
        ),
        (
            json!([work("a@x.y"), home("a@x.y")]),
            replace("emails.type", json!("other")),
            vec![("a@x.y", Some("other"), false)],
        ),
        (
            json!([work("a@x.y"), home("h@x.y")]),
            replace("emails[type eq \"home\"]", work("A@x.y")),
            vec![("A@x.y", Some("work"), false)],
        ),
        (
            json!([work("a@x.y"), {"value": "a@x.y"}]),
            json!([{"op": "remove", "path": "emails.type"}]),
            vec![("a@x.y", None, false)],
        ),
        (
            json!([work("a@x.y")]),
            replace("emails", json!([home("1@x.y"), work("b@x.y"), home("1@X.Y")])),
            vec![("1@x.y", Some("home"), false), ("b@x.y", Some("work"), false)],
        ),
        (
            json!([work("A@x.y"), home("b@x.y")]),
            json!([{"op": "remove", "path": "emails", "value": [{"value": "a@X.Y"}]}]),
            vec![("b@x.y", Some("home"), false)],
        ),
        (
            json!([work("A@x.y"), home("b@x.y")]),
            json!([{"op": "remove", "path": "emails[value eq \"a@X.Y\"]"}]),
            vec![("b@x.y", Some("home"), false)],
        ),
    ];
    for (number, (held, operations, expected)) in cases.into_iter().enumerate() {
        let id = harness.create(json!({"userName": format!("u{number}"), "emails": held})).await;
        let path = format!("/Users/{id}");
        let changed = harness.send("PATCH", &path, patch(operations.clone())).await;
        assert_eq!(changed.status, 200, "{operations}: {changed:?}");
        assert_eq!(output(&changed.body["emails"]), expected, "{operations}");
        assert_eq!(changed.body, harness.send("GET", &path, None).await.body);
    }
    let twice =
        json!([work("a@x.y"), home("b@x.y"), {"value": "A@x.y", "type": "Work", "primary": true, "display": "d"}]);
    let id = harness.create(json!({"userName": "posted", "emails": twice, "loose": [1, 1]})).await;
    let path = format!("/Users/{id}");
    let put = json!({"userName": "put", "emails": twice, "loose": [1, 1]});
    for reply in [harness.send("GET", &path, None).await, harness.send("PUT", &path, put).await] {
        assert_eq!(output(&reply.body["emails"]), [("a@x.y", Some("work"), true), ("b@x.y", Some("home"), false)]);
        assert_eq!(reply.body["emails"][0]["display"], "d", "nothing is lost");
        assert_eq!(reply.body["loose"], json!([1, 1]), "what no schema declares is as it came");
    }
    // caseExact: two photos.
    let photos = json!([{"value": "https://x/A"}, {"value": "https://x/a"}, {"value": "https://x/A"}]);
    let photos = harness.send("PUT", &path, json!({"userName": "put", "photos": photos})).await.body["photos"].clone();
    assert_eq!(photos.as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn names_that_only_turkish_takes_for_one_are_two() {
    let harness = Harness::new().await;
    let (dotless, dotted) = (harness.user("ıbrahim@x.tr").await, harness.user("ibrahim@x.tr").await);
    assert_ne!(dotless, dotted);
    let taken = harness.send("POST", "/Users", json!({"userName": "IBRAHIM@X.TR"})).await;
    taken.assert_error(409, "uniqueness");
    assert_eq!(harness.find("userName eq \"ıBRAHIM@x.tr\"").await[0]["id"], dotless.as_str());
}

#[tokio::test(start_paused = true)]
async fn what_is_never_returned_is_kept_and_not_returned_and_a_profile_may_show_the_password() {
    const APP: &str = "urn:example:params:scim:app:2.0:User";
    let harness = Harness::new().await;
    let text = json!({
        "name": "secretive", "credentials": ["bearer"], "password": true, "attributes": ["userName", "emails"],
        "required": [{"path": "emails[type eq \"work\"].value", "unless": "userType eq \"Robot\""}],
        "schemas": [{"id": APP, "name": "App", "attributes": [
            {"name": "pin", "type": "string", "returned": "never", "mutability": "writeOnly"},
            {"name": "doors", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value", "type": "string"}, {"name": "code", "type": "string", "returned": "never"}]},
            {"name": "level", "type": "integer", "required": true},
        ]}],
    })
    .to_string();
    let tenant = tenant_with_profile(&harness, "hidden", &text).await;
    let authorization = format!("Bearer {}", key(&harness.app.store, &tenant, |_| {}).await);
    let send = async |method: &str, path: &str, body: Value| {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let uri = format!("/hidden/scim/v2{path}");
        harness.raw(method, &uri, body, &[("authorization", authorization.as_str())]).await
    };
    let emails = json!([{"value": "a@x", "type": "work"}]);
    let whole = json!({"userName": "a", "emails": emails, "password": "S3cret",
        APP: {"pin": "c0de12", "doors": [{"value": "north", "code": "c0de77"}, {"code": "c0de88"}], "level": 1}});
    let created = send("POST", "/Users", whole.clone()).await;
    let path = format!("/Users/{}", created.body["id"].as_str().unwrap());
    let change = patch(json!([{"op": "replace", "path": format!("{APP}:pin"), "value": "c0de43"}]));
    let all = [
        created,
        send("GET", &path, Value::Null).await,
        send("GET", &format!("{path}?attributes={APP}"), Value::Null).await,
        send("GET", &format!("{path}?attributes={APP}:pin,{APP}:doors.code"), Value::Null).await,
        send("GET", "/Users", Value::Null).await,
        send("PATCH", &path, change).await,
        send("PUT", &path, whole).await,
        send("POST", "/Users/.search", json!({"attributes": [format!("{APP}:pin"), "userName"]})).await,
    ];
    for reply in &all {
        assert!((200..300).contains(&reply.status), "{reply:?}");
        let text = reply.body.to_string();
        assert!(
            !["c0de12", "c0de43", "c0de77", "c0de88", "S3cret", "\"pin\"", "\"code\""]
                .iter()
                .any(|part| text.contains(part)),
            "{text}"
        );
    }
    assert_eq!(all[1].body[APP], json!({"doors": [{"value": "north"}], "level": 1}));
    // It is there all the same, and a client that may read users may find them by it.
    let filter = encode(&format!("{APP}:pin eq \"c0de12\""));
    assert_eq!(send("GET", &format!("/Users?filter={filter}"), Value::Null).await.body["totalResults"], 1);
    let schemas = send("GET", "/Schemas", Value::Null).await.body;
    let attribute = |schema: usize, name: &str| {
        let all = schemas["Resources"][schema]["attributes"].as_array().unwrap();
        all.iter().find(|attribute| attribute["name"] == name).unwrap().clone()
    };
    let password = attribute(0, "password");
    assert_eq!((&password["mutability"], &password["returned"]), (&json!("writeOnly"), &json!("never")));
    let description = attribute(0, "emails")["description"].as_str().unwrap().to_owned();
    let said = "The profile secretive requires emails[type eq \"work\"].value of every user except those with userType eq \"Robot\".";
    assert!(description.ends_with(said), "{description}");
    let extension = schemas["Resources"].as_array().unwrap().iter().position(|schema| schema["id"] == APP).unwrap();
    assert!(
        attribute(extension, "level")["description"].as_str().unwrap().starts_with("The profile secretive requires")
    );
    let refused = Profile::parse_own(&text.replace("\"password\":true", "\"password\":1")).unwrap_err();
    assert_eq!(refused.place, "password");
}
