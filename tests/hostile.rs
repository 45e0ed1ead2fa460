//! Hostile input: always a 4xx with a SCIM error, and nothing changed.

use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::bulk::bulk;
use crate::support::{Harness, encode, patch};

struct Attempt {
    method: &'static str,
    path: String,
    body: Vec<u8>,
}

fn attempt(method: &'static str, path: impl Into<String>, body: impl Into<Vec<u8>>) -> Attempt {
    Attempt { method, path: path.into(), body: body.into() }
}

fn bodies_that_are_no_resource() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{\"userName\":}",
        "{'userName':'x'}",
        "userName=x",
        "<x/>",
        "{\"userName\":\"a\",\"userName\":\"b\"}",
        "{\"userName\":\"a\",\"USERNAME\":\"b\"}",
        "{\"userName\":\"a\"} trailing",
        "{\"userName\":\"\\ud800\"}",
        "{\"userName\":\"a\",\"x\":1e999}",
        "{\"userName\":\"a\",\"\":1}",
        "\u{feff}{}",
        "{\"userName\":null}",
        "{\"userName\":\"\"}",
        "{\"userName\":\"  \"}",
        "{\"userName\":\"a\\u0000b\"}",
        "{\"userName\":\"a\\nb\"}",
        "{\"userName\":{}}",
        "{\"userName\":[\"a\"]}",
        "{\"userName\":true}",
        "{\"userName\":[]}",
        "{}",
        "{\"userName\":\"a\",\"active\":\"maybe\"}",
        "{\"userName\":\"a\",\"active\":0}",
        "{\"userName\":\"a\",\"active\":{}}",
        "{\"userName\":\"a\",\"emails\":true}",
        "{\"userName\":\"a\",\"emails\":[[{}]]}",
        "{\"userName\":\"a\",\"emails\":[{\"value\":{}}]}",
        "{\"userName\":\"a\",\"emails\":[{\"value\":\"x\",\"primary\":\"x\"}]}",
        "{\"userName\":\"a\",\"emails\":[{\"value\":\"x\",\"VALUE\":\"y\"}]}",
        "{\"userName\":\"a\",\"name\":\"x\"}",
        "{\"userName\":\"a\",\"name\":[1,2]}",
        "{\"userName\":\"a\",\"name\":{\"givenName\":{}}}",
        "{\"userName\":\"a\",\"title\":{}}",
        "{\"userName\":\"a\",\"title\":[\"x\",\"y\"]}",
        "{\"userName\":\"a\",\"externalId\":{}}",
        "{\"userName\":\"a\",\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":\"x\"}",
        "{\"userName\":\"a\",\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"manager\":true}}",
        "{\"userName\":\"a\",\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\":{\"department\":{}}}",
        "{\"userName\":\"a\",\"manager\":[{\"value\":\"1\"},{\"value\":\"2\"}]}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bodies.push(b"{\"userName\":\"\xff\xfe\"}".to_vec());
    bodies.push(b"\xff\xff\xff\xff".to_vec());
    bodies.push(vec![0; 64]);
    bodies.push(format!("{{\"userName\":\"a\",\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000)).into_bytes());
    bodies.push(format!("{{\"userName\":\"a\",\"x\":{}1{}}}", "{\"y\":".repeat(60), "}".repeat(60)).into_bytes());
    bodies.push(json!({"userName": "x".repeat(1025)}).to_string().into_bytes());
    bodies.push(json!({"userName": "a", "externalId": "x".repeat(2000)}).to_string().into_bytes());
    bodies.push(json!({"userName": "a", "emails": [{"value": "x".repeat(2000)}]}).to_string().into_bytes());
    bodies.push(
        json!({"userName": "a", "emails": (0..46).map(|i| json!({"value": i.to_string()})).collect::<Vec<_>>()})
            .to_string()
            .into_bytes(),
    );
    bodies.push(
        json!({"userName": "a", "roles": (0..1001).map(|i| json!({"value": i.to_string()})).collect::<Vec<_>>()})
            .to_string()
            .into_bytes(),
    );
    bodies.push(
        format!("{{\"userName\":\"a\",{}}}", (0..2000).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(","))
            .into_bytes(),
    );
    bodies.push(json!({"userName": "a", "list": vec![1; 100_000]}).to_string().into_bytes());
    bodies.push(json!({"userName": "a", "urn:acme:2.0:User": {"blob": "x".repeat(300_000)}}).to_string().into_bytes());
    bodies.push(json!({"userName": "a", "title": "x".repeat(2_000_000)}).to_string().into_bytes());
    bodies
}

fn patches_that_cannot_be_applied() -> Vec<Value> {
    let one = |operation: Value| patch(json!([operation]));
    let mut bodies: Vec<Value> = [
        json!(null),
        json!(1),
        json!("x"),
        json!([]),
        json!({}),
        json!({"op": 1}),
        json!({"op": null}),
        json!({"op": ["add"]}),
        json!({"op": "copy", "path": "title", "value": "x"}),
        json!({"op": "", "path": "title", "value": "x"}),
        json!({"op": "add", "path": 1, "value": "x"}),
        json!({"op": "add", "path": {}, "value": "x"}),
        json!({"op": "add", "path": ["title"], "value": "x"}),
        json!({"op": "add"}),
        json!({"op": "add", "path": "title"}),
        json!({"op": "replace", "value": null}),
        json!({"op": "replace", "value": []}),
        json!({"op": "remove"}),
        json!({"op": "remove", "path": ""}),
        json!({"op": "remove", "path": "userName"}),
        json!({"op": "remove", "path": "id"}),
        json!({"op": "remove", "path": "meta"}),
        json!({"op": "remove", "path": "schemas"}),
        json!({"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:User"}),
        json!({"op": "replace", "path": "meta.created", "value": "2000-01-01T00:00:00Z"}),
        json!({"op": "replace", "path": "schemas", "value": []}),
        json!({"op": "replace", "path": "groups.value", "value": "x"}),
        json!({"op": "add", "path": "groups[value eq \"x\"]", "value": {}}),
        json!({"op": "replace", "path": "userName", "value": null}),
        json!({"op": "replace", "path": "userName", "value": {}}),
        json!({"op": "replace", "value": {"userName": []}}),
        json!({"op": "replace", "path": "userName.x", "value": "y"}),
        json!({"op": "replace", "path": "userName[value eq \"x\"]", "value": "y"}),
        json!({"op": "replace", "path": "active", "value": {}}),
        json!({"op": "replace", "path": "emails", "value": true}),
        json!({"op": "add", "path": "emails[type eq \"work\"]", "value": true}),
        json!({"op": "replace", "path": "emails[type eq \"work\"].value", "value": {}}),
        json!({"op": "replace", "path": "name", "value": "x"}),
        json!({"op": "add", "path": "ims[type pr].value", "value": "x"}),
        json!({"op": "add", "path": "ims[not (type eq \"x\")].value", "value": "x"}),
        json!({"op": "replace", "value": {"a b": 1}}),
        json!({"op": "replace", "value": {"a.b.c": 1}}),
        json!({"op": "replace", "value": {"": 1}}),
        json!({"op": "replace", "value": {"../x": 1}}),
        json!({"op": "replace", "value": {"urn:acme:2.0:User": {"a b": 1}}}),
        json!({"op": "replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "value": "x"}),
        json!({"op": "replace", "path": "urn:", "value": "x"}),
        json!({"op": "replace", "path": "http://x", "value": "x"}),
        json!({"op": "replace", "path": "a/b", "value": "x"}),
        json!({"op": "replace", "path": "emails[0].value", "value": "x"}),
        json!({"op": "replace", "path": "$", "value": "x"}),
        json!({"op": "replace", "path": "..", "value": "x"}),
    ]
    .into_iter()
    .map(one)
    .collect();
    for path in [
        "emails[",
        "emails]",
        "emails[]",
        "emails[type]",
        "emails[type eq]",
        "emails[type eq \"x]",
        "emails[type eq \"x\"",
        "a.b.c",
        ".a",
        "a.",
        "a..b",
        "1a",
        "a b",
        "é",
        "a\u{0}",
    ] {
        bodies.push(one(json!({"op": "replace", "path": path, "value": "x"})));
    }
    let terms = vec!["type eq \"x\""; 40].join(" or ");
    bodies.push(one(json!({"op": "remove", "path": format!("emails[{terms}]")})));
    bodies.push(one(json!({"op": "add", "path": "x", "value": vec![1; 100_000]})));
    let deep = format!("emails[{}type eq \"x\"{}]", "(".repeat(100), ")".repeat(100));
    bodies.push(one(json!({"op": "remove", "path": deep})));
    bodies.push(one(json!({"op": "add", "path": "roles", "value": (0..1001).map(|i| json!({"value": i.to_string()})).collect::<Vec<_>>()})));
    bodies.push(patch(json!(vec![json!({"op": "replace", "path": "title", "value": "x"}); 10_000])));
    for operations in [json!(null), json!({}), json!("x"), json!(1)] {
        bodies.push(patch(operations));
    }
    bodies.push(json!({}));
    bodies.push(json!({"op": "replace", "path": "title", "value": "x"}));
    bodies
}

fn bulks_that_are_none() -> Vec<Value> {
    let new = json!({"method": "POST", "path": "/Users", "bulkId": "a", "data": {"userName": "new"}});
    let mut bodies = vec![json!([]), json!({}), json!({"Operations": [new]}), bulk(json!(null)), bulk(json!({}))];
    bodies.extend([bulk(json!("x")), bulk(json!(1))]);
    for count in [json!(-1), json!(0), json!("1"), json!(1e300), json!([])] {
        let mut body = bulk(json!([new]));
        body["failOnErrors"] = count;
        bodies.push(body);
    }
    bodies
}

fn queries_that_make_no_sense() -> Vec<String> {
    let mut queries: Vec<String> = [
        "(",
        ")",
        "()",
        "eq",
        "userName",
        "userName eq",
        "eq \"x\"",
        "userName eq \"x",
        "userName eq x\"y z",
        "userName xx \"a\"",
        "userName eq \"a\" and",
        "userName eq \"a\" or or title pr",
        "not userName pr",
        "not (userName pr",
        "userName pr)",
        "[type pr]",
        "emails[type pr",
        "emails[emails[type pr]]",
        "emails[]",
        "a.b.c pr",
        "userName eq \"\\x\"",
        "userName eq \"\u{1}\"",
        "name eq \"x\"",
        "active gt true",
        "active co \"t\"",
        "active eq \"x\"",
        "meta.created gt \"never\"",
        "userName gt null",
        "x509Certificates.value gt \"x\"",
        "1 eq 1",
        "' or 1=1 --",
        "userName eq \"a\"; drop table",
        "userName eq \"a\" && title pr",
        "\u{0}",
        "😀 pr",
    ]
    .iter()
    .map(|filter| format!("/Users?filter={}", encode(filter)))
    .collect();
    let deep = |n: usize| format!("{}userName pr{}", "(".repeat(n), ")".repeat(n));
    queries.push(format!("/Users?filter={}", encode(&deep(1000))));
    queries
        .push(format!("/Users?filter={}", encode(&format!("{}userName pr{}", "not (".repeat(500), ")".repeat(500)))));
    queries.push(format!("/Users?filter={}", encode(&format!("userName eq \"{}\"", "x".repeat(5000)))));
    queries.push("/Users?filter=%ff%fe".to_owned());
    for query in [
        "startIndex=x",
        "count=x",
        "count=1.5",
        "count=9999999999999999999999",
        "startIndex=1&startIndex=2",
        "filter=a+pr&FILTER=b+pr",
        "attributes=a+b",
        "attributes=..",
        "excludedAttributes=a[",
        "attributes=a.b.c",
        "count=1e3",
        "startIndex=0x1",
    ] {
        queries.push(format!("/Users?{query}"));
    }
    queries
}

#[tokio::test(start_paused = true)]
async fn two_hundred_hostile_requests_are_refused_and_change_nothing() {
    let harness = Harness::new().await;
    let id = harness
        .create(json!({"userName": "bob", "displayName": "B", "emails": [{"value": "a@x", "type": "home"}]}))
        .await;
    let before = harness.dump(Table::Users).await;
    let user = format!("/Users/{id}");
    let mut attempts = Vec::new();
    for body in bodies_that_are_no_resource() {
        attempts.push(attempt("POST", "/Users", body.clone()));
        attempts.push(attempt("PUT", &user, body));
    }
    attempts.extend(patches_that_cannot_be_applied().into_iter().map(|body| attempt("PATCH", &user, body.to_string())));
    attempts.extend(bulks_that_are_none().into_iter().map(|body| attempt("POST", "/Bulk", body.to_string())));
    attempts.extend(queries_that_make_no_sense().into_iter().map(|query| attempt("GET", query, "")));
    for path in [
        "/Users/..",
        "/Users/../../etc/passwd",
        "/Users/%2e%2e%2fKeys",
        "/Users/%00",
        "/Users/%ff",
        "/Users//",
        "//Users",
        "/Users/%20",
        "/Users/'%20or%201=1",
        "/users",
        "/USERS",
        "/Users%2f",
        "/Schemas/../Users",
        "/Users/{id}",
        "/Users/2819c223-7f76-453a-919d-413861904646/x",
        "/Groups/x/y",
        "/%C0%AF",
    ] {
        attempts.push(attempt("GET", path, ""));
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        attempts.push(attempt(
            method,
            "/Users/2819c223-7f76-453a-919d-413861904646",
            "{\"userName\":\"x\",\"Operations\":[]}",
        ));
        attempts.push(attempt(method, "/Users", "{}"));
    }
    for method in ["TRACE", "OPTIONS", "CONNECTED", "PROPFIND"] {
        attempts.push(attempt(method, &user, ""));
    }
    assert!(attempts.len() >= 200, "only {}", attempts.len());
    for Attempt { method, path, body } in attempts {
        let authorization = format!("Bearer {}", harness.acme);
        let uri = format!("/acme/scim/v2{path}");
        let reply = harness.raw(method, &uri, body.clone(), &[("authorization", &authorization)]).await;
        let output = String::from_utf8_lossy(&body).chars().take(120).collect::<String>();
        assert!((400..500).contains(&reply.status), "{method} {path} {output}: {reply:?}");
        assert_eq!(harness.dump(Table::Users).await, before, "{method} {path} {output}");
    }
}

#[tokio::test(start_paused = true)]
async fn tricks_with_headers_are_refused_or_without_effect() {
    let harness = Harness::new().await;
    let id = harness.user("bob").await;
    let uri = format!("/acme/scim/v2/Users/{id}");
    let long = format!("Bearer {}", "x".repeat(100_000));
    let spaced = format!("Bearer  {}  x", harness.acme);
    let doubled = format!("Bearer {0},Bearer {0}", harness.acme);
    for authorization in [
        long.as_str(),
        &spaced,
        &doubled,
        "Bearer",
        "Bearer ",
        "bearer null",
        "Bearer scim_acme__",
        "Digest x",
        "\u{e9}",
    ] {
        assert_eq!(
            harness.raw("GET", &uri, Vec::new(), &[("authorization", authorization)]).await.status,
            401,
            "{authorization:.40}"
        );
    }
    for header in [
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/globex/scim/v2/Users"),
        ("x-forwarded-host", "evil.example"),
        ("x-tenant", "globex"),
        ("content-type", "text/html"),
        ("accept", "image/png"),
        ("content-length", "7"),
        ("expect", "100-continue"),
    ] {
        let reply = harness.send_with("GET", &format!("/Users/{id}"), None, &[header]).await;
        assert_eq!(reply.status, 200, "{header:?}");
        assert_eq!(reply.body["id"], id.as_str());
        assert!(!reply.body.to_string().contains("evil"), "{header:?}");
    }
    for tag in ["", "x", "\"", "W/", ",,,", "W/\"1\"x"] {
        let reply = harness.send_with("DELETE", &format!("/Users/{id}"), None, &[("if-match", tag)]).await;
        assert_eq!(reply.status, 412, "{tag}");
    }
}
