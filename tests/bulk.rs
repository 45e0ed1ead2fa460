//! `/Bulk`: operations of one request, against the same ones sent one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rollcall::limits::MAX_BULK_OPERATIONS;
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::crash::{Crash, LostAnswers};
use crate::support::wire::Layer;
use crate::support::{ENTERPRISE, HOST, Harness, ScimResponse, is_embedded, patch};

pub fn bulk(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations})
}

pub fn post(path: &str, bulk_id: &str, data: Value) -> Value {
    json!({"method": "POST", "path": path, "bulkId": bulk_id, "data": data})
}

pub fn user(bulk_id: &str) -> Value {
    post("/Users", bulk_id, json!({"userName": bulk_id}))
}

pub fn group(bulk_id: &str, members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|id| json!({"value": format!("bulkId:{id}")})).collect();
    post("/Groups", bulk_id, json!({"displayName": bulk_id, "members": members}))
}

pub async fn send(harness: &Harness, operations: Value) -> Vec<Value> {
    results(harness.send("POST", "/Bulk", bulk(operations)).await)
}

fn results(reply: ScimResponse) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    reply.body["Operations"].as_array().unwrap().clone()
}

pub fn statuses(results: &[Value]) -> Vec<u16> {
    results.iter().map(|result| result["status"].as_str().unwrap().parse().unwrap()).collect()
}

pub fn detail(result: &Value) -> &str {
    result["response"]["detail"].as_str().unwrap()
}

/// The id at the end of a result's location.
fn id(result: &Value) -> &str {
    result["location"].as_str().unwrap().rsplit('/').next().unwrap()
}

pub async fn names(harness: &Harness) -> Vec<String> {
    let mut names: Vec<_> =
        everything(harness, "/Users").await.iter().map(|u| u["userName"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn everything(harness: &Harness, endpoint: &str) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let path = format!("{endpoint}?count=200&startIndex={}", all.len() + 1);
        let page = harness.send("GET", &path, None).await;
        assert_eq!(page.status, 200, "{page:?}");
        all.extend(page.body["Resources"].as_array().unwrap().iter().cloned());
        if all.len() as u64 >= page.body["totalResults"].as_u64().unwrap() {
            return all;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_and_a_group_of_it_are_created_as_in_the_rfcs_example() {
    let harness = Harness::new().await;
    let alice = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "Alice"});
    let guides = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Tour Guides",
        "members": [{"type": "User", "value": "bulkId:qwerty"}]});
    let results = send(&harness, json!([post("/Users", "qwerty", alice), post("/Groups", "ytrewq", guides)])).await;
    for (result, (bulk_id, endpoint)) in results.iter().zip([("qwerty", "Users"), ("ytrewq", "Groups")]) {
        let location = format!("http://{HOST}/acme/scim/v2/{endpoint}/{}", id(result));
        let expected = json!({"method": "POST", "bulkId": bulk_id, "location": location, "version": "W/\"1\"",
            "status": "201"});
        assert_eq!(*result, expected);
    }
    let group = harness.send("GET", &format!("/Groups/{}", id(&results[1])), None).await.body;
    assert_eq!(group["members"][0]["value"], id(&results[0]));
    assert_eq!(group["members"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_method_is_done_and_reported_as_in_the_rfcs_example() {
    let harness = Harness::new().await;
    let bob = harness.user("bob").await;
    let dave = harness.create(json!({"userName": "david", "nickName": "dave"})).await;
    let gone = harness.user("gone").await;
    let operations = json!([
        post("/Users", "qwerty", json!({"userName": "Alice"})),
        {"method": "PUT", "path": format!("/Users/{bob}"), "version": "W/\"1\"", "data": {"userName": "Bob"}},
        {"method": "PATCH", "path": format!("/Users/{dave}"), "version": "W/\"1\"",
            "data": [{"op": "remove", "path": "nickName"}, {"op": "add", "path": "userName", "value": "Dave"}]},
        {"method": "DELETE", "path": format!("/Users/{gone}"), "version": "W/\"1\""},
    ]);
    let results = send(&harness, operations).await;
    assert_eq!(statuses(&results), [201, 200, 200, 204]);
    let at = |id: &str| format!("http://{HOST}/acme/scim/v2/Users/{id}");
    for (result, id) in results[1..].iter().zip([&bob, &dave, &gone]) {
        assert_eq!(result["location"], at(id));
        assert!(result.get("response").is_none() && result.get("bulkId").is_none(), "{result}");
    }
    assert_eq!((&results[1]["version"], &results[2]["version"]), (&json!("W/\"2\""), &json!("W/\"2\"")));
    assert_eq!(names(&harness).await, ["Alice", "Bob", "Dave"]);
    let dave = harness.send("GET", &format!("/Users/{dave}"), None).await.body;
    assert!(dave.get("nickName").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_with_its_error_and_leaves_the_others_alone() {
    let harness = Harness::new().await;
    let bob = harness.user("bob").await;
    let nobody = "2819c223-7f76-453a-919d-413861904646";
    let operations = json!([
        post("/Users", "nameless", json!({"title": "x"})),
        post("/Users", "taken", json!({"userName": "BOB"})),
        {"method": "PUT", "path": format!("/Users/{bob}"), "version": "W/\"7\"", "data": {"userName": "x"}},
        {"method": "DELETE", "path": format!("/Users/{nobody}"), "bulkId": "echoed"},
        {"method": "PATCH", "path": format!("/Users/{bob}"), "data": patch(json!([{"op": "jump"}]))},
        user("fine"),
        {"method": "PUT", "path": "/GroupMembers/a.b", "data": {}},
        {"method": "PUT", "path": "/Schemas/x", "data": {}},
        post("/Bulk", "within", bulk(json!([user("hidden")]))),
        post("/Me", "me", json!({"userName": "me"})),
        {"method": "DELETE", "path": "/ServiceProviderConfig/x"},
    ]);
    let results = send(&harness, operations).await;
    assert_eq!(statuses(&results), [400, 409, 412, 404, 400, 201, 405, 404, 404, 404, 404]);
    for result in results.iter().filter(|result| result["status"] != "201") {
        assert_eq!(result["response"]["status"], result["status"]);
        assert_eq!(result["response"]["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(result.get("location").is_some(), result["method"] != "POST", "{result}");
    }
    assert_eq!(results[3]["bulkId"], "echoed");
    assert_eq!(results[1]["response"]["scimType"], "uniqueness");
    assert_eq!(names(&harness).await, ["bob", "fine"]);
}

#[tokio::test(start_paused = true)]
async fn references_are_followed_in_data_and_paths_whatever_the_order() {
    let harness = Harness::new().await;
    let title = |title: &str| patch(json!([{"op": "add", "path": "title", "value": title}]));
    let operations = json!([
        {"method": "DELETE", "path": "/Users/bulkId:last"},
        {"method": "PATCH", "path": "/Groups/bulkId:outer",
            "data": patch(json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:eve"}]}]))},
        post("/GroupMembers", "m", json!({"group": {"value": "bulkId:inner"}, "member": {"value": "bulkId:eve"}})),
        group("outer", &["inner", "bob"]),
        {"method": "PATCH", "path": "/Users/bulkId:bob", "data": title("first")},
        group("inner", &["bob"]),
        {"method": "PATCH", "path": "/Users/bulkId:bob", "data": title("second")},
        post("/Users", "eve", json!({"userName": "eve", ENTERPRISE: {"manager": {"value": "bulkId:bob"}}})),
        user("bob"),
        user("last"),
    ]);
    let results = send(&harness, operations).await;
    assert_eq!(statuses(&results), [204, 204, 201, 201, 200, 201, 200, 201, 201, 201], "{results:?}");
    let bob = harness.send("GET", &format!("/Users/{}", id(&results[8])), None).await.body;
    assert_eq!(bob["title"], "second");
    let members = async |group: &Value| {
        let group = harness.send("GET", &format!("/Groups/{}", id(group)), None).await.body;
        group["members"].as_array().unwrap().len()
    };
    assert_eq!((members(&results[3]).await, members(&results[5]).await), (3, 2));
    let eve = harness.send("GET", &format!("/Users/{}", id(&results[7])), None).await.body;
    assert_eq!(eve[ENTERPRISE]["manager"]["value"], id(&results[8]));
    assert_eq!(results[0]["location"], format!("http://{HOST}/acme/scim/v2/Users/{}", id(&results[9])));
    assert_eq!(names(&harness).await, ["bob", "eve"]);
}

#[tokio::test(start_paused = true)]
async fn circular_and_unknown_references_are_refused_and_named() {
    let harness = Harness::new().await;
    let operations =
        json!([group("a", &["b"]), group("b", &["a"]), group("c", &["a"]), group("d", &["nobody"]), group("e", &[])]);
    let results = send(&harness, operations).await;
    assert_eq!(statuses(&results), [409, 409, 409, 400, 201]);
    assert!(detail(&results[0]).contains("bulkId:b") && detail(&results[0]).contains("circular"));
    assert!(detail(&results[2]).contains("bulkId:a") && detail(&results[2]).contains("not run"));
    assert!(detail(&results[3]).contains("bulkId:nobody"));
    assert_eq!(everything(&harness, "/Groups").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_refers_to_a_failure_fails_with_it_and_is_not_run() {
    let harness = Harness::new().await;
    harness.user("taken").await;
    let operations = json!([
        group("team", &["taken"]),
        user("taken"),
        group("above", &["team"]),
        {"method": "DELETE", "path": "/Users/bulkId:taken"},
        user("other"),
    ]);
    let results = send(&harness, operations).await;
    assert_eq!(statuses(&results), [409, 409, 409, 409, 201]);
    assert!(detail(&results[0]).contains("bulkId:taken") && detail(&results[2]).contains("bulkId:team"));
    assert!(results[3].get("location").is_none(), "nobody knows it");
    assert_eq!(everything(&harness, "/Groups").await.len(), 0);
    assert_eq!(names(&harness).await, ["other", "taken"]);
}

#[tokio::test(start_paused = true)]
async fn after_as_many_errors_as_are_accepted_nothing_further_is_begun() {
    let harness = Harness::new().await;
    let bad = |i: usize| post("/Users", &format!("bad{i}"), json!({}));
    for limit in [1, 2, 3, 9] {
        let mut operations = Vec::new();
        for i in 0..5 {
            operations.extend([user(&format!("{limit}-{i}")), bad(i)]);
        }
        let mut body = bulk(json!(operations));
        body["failOnErrors"] = json!(limit);
        let results = results(harness.send("POST", "/Bulk", body).await);
        let failed = results.iter().filter(|result| result["status"] == "400").count();
        assert_eq!(failed, limit.min(5), "{results:?}");
        if limit == 1 {
            assert_eq!(statuses(&results), [201, 400], "one by one");
        }
        let creation = results.len() - failed;
        let found = harness.find(&format!("userName sw \"{limit}-\"")).await.len();
        assert_eq!(found, creation, "what was run is told, and nothing else was run");
        assert!(limit < 9 || results.len() == 10);
    }
}

#[tokio::test(start_paused = true)]
async fn names_move_from_one_to_another_as_if_operations_were_sent_one_by_one() {
    let harness = Harness::new().await;
    let mut ids = Vec::new();
    for i in 0..20 {
        ids.push(harness.user(&format!("n{i:02}")).await);
    }
    let mut operations = vec![json!({"method": "DELETE", "path": format!("/Users/{}", ids[0])})];
    // Each takes the name that the one before it has just left.
    for (i, id) in ids.iter().enumerate().skip(1) {
        let data = json!({"userName": format!("n{:02}", i - 1), "title": i.to_string()});
        operations.push(json!({"method": "PUT", "path": format!("/Users/{id}"), "data": data}));
    }
    operations.push(user("n19"));
    let results = send(&harness, json!(operations)).await;
    assert!(statuses(&results).iter().all(|status| *status < 300), "{results:?}");
    for (i, id) in ids.iter().enumerate().skip(1) {
        let user = harness.send("GET", &format!("/Users/{id}"), None).await.body;
        assert_eq!((&user["userName"], &user["title"]), (&json!(format!("n{:02}", i - 1)), &json!(i.to_string())));
    }
}

#[tokio::test(start_paused = true)]
async fn operations_on_one_name_are_done_in_the_order_given() {
    let harness = Harness::new().await;
    let delete = |bulk_id: &str| json!({"method": "DELETE", "path": format!("/Users/bulkId:{bulk_id}")});
    for round in 0..10 {
        let (old, new) = (format!("old-{round}"), format!("new-{round}"));
        let create = |bulk_id: &str, name: &str| post("/Users", bulk_id, json!({"userName": name}));
        let data = patch(json!([{"op": "replace", "path": "userName", "value": new}]));
        let rename = json!({"method": "PATCH", "path": "/Users/bulkId:a", "data": data});
        let operations = json!([
            create("a", &old),
            create("b", &old.to_uppercase()),
            rename,
            create("c", &new),
            create("d", &old),
            create("e", &old),
            delete("d"),
            create("f", &old),
        ]);
        let results = send(&harness, operations).await;
        assert_eq!(statuses(&results), [201, 409, 200, 409, 201, 409, 204, 201], "{results:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn operations_on_one_resource_are_done_in_the_order_given() {
    let harness = Harness::new().await;
    let id = harness.user("bob").await;
    let spellings = [id.clone(), id.to_uppercase(), id.replace('-', "")];
    let mut operations = Vec::new();
    for i in 0..30 {
        let data = patch(json!([{"op": "replace", "path": "title", "value": i.to_string()}]));
        // Each names the version that the one before it has written.
        let version = format!("W/\"{}\"", i + 1);
        let path = format!("/Users/{}", spellings[i % 3]);
        operations.push(json!({"method": "PATCH", "path": path, "version": version, "data": data}));
    }
    let results = send(&harness, json!(operations)).await;
    assert!(statuses(&results).iter().all(|status| *status == 200), "{results:?}");
    assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.body["title"], "29");
}

/// A thousand operations of every kind on what was there and what is new. `id:x` is to be the id of what is there.
fn mixed() -> Vec<Value> {
    let set = |path: &str, value: Value| patch(json!([{"op": "add", "path": path, "value": value}]));
    let member = |id: String| json!([{"value": id}]);
    let old = |i: usize| format!("id:e{:03}", i % 100);
    let team = |i: usize| format!("id:h{:03}", i % 10);
    let new = |i: usize| format!("bulkId:u{i:03}");
    let operation = |i: usize| match i % 10 {
        0 => post(
            "/Users",
            &format!("u{i:03}"),
            json!({"userName": format!("u{i:03}"),
            "emails": [{"value": format!("{i}@x"), "primary": true}, {"value": format!("{}@y", i % 7)}]}),
        ),
        1 => post(
            "/Users",
            &format!("u{i:03}"),
            json!({"userName": format!("u{i:03}"),
            ENTERPRISE: {"manager": {"value": new(i - 1)}}}),
        ),
        2 => group(&format!("g{i:03}"), &[&format!("u{:03}", i - 1), &format!("u{:03}", i - 2)]),
        3 => {
            json!({"method": "PATCH", "path": format!("/Users/{}", new(i - 3)), "data": set("displayName", json!(i.to_string()))})
        }
        4 => {
            json!({"method": "PATCH", "path": format!("/Groups/bulkId:g{:03}", i - 2), "data": set("members", member(old(i / 10)))})
        }
        5 => json!({"method": "PUT", "path": format!("/Users/{}", old(i / 2)),
            "data": {"userName": format!("e{:03}", i / 2 % 100), "title": i.to_string()}}),
        6 => {
            json!({"method": "PATCH", "path": format!("/Groups/{}", team(i / 10)), "data": set("members", member(new(i - 5)))})
        }
        7 => post(
            "/GroupMembers",
            &format!("m{i:03}"),
            json!({"group": {"value": format!("bulkId:g{:03}", i - 5)}, "member": {"value": old(i / 7)}}),
        ),
        8 if i.is_multiple_of(3) => json!({"method": "DELETE", "path": format!("/Users/{}", new(i - 8))}),
        8 => {
            json!({"method": "PATCH", "path": format!("/Users/{}", old(i * 7)), "data": set("active", json!(i.is_multiple_of(4)))})
        }
        _ if i % 4 == 1 => {
            json!({"method": "DELETE", "path": format!("/GroupMembers/{}.{}", team(i / 10), old(i / 10))})
        }
        _ => post("/Users", &format!("d{i:03}"), json!({"userName": format!("E{:03}", i % 100)})),
    };
    (0..MAX_BULK_OPERATIONS).map(operation).collect()
}

/// What the operations are about: 100 users, 10 groups of them. Their ids, as `id:x`.
async fn populated(layers: Vec<Arc<dyn Layer>>) -> (Harness, BTreeMap<String, String>) {
    let harness = Harness::with(layers).await;
    let mut ids = BTreeMap::new();
    for i in 0..100 {
        ids.insert(format!("id:e{i:03}"), harness.user(&format!("e{i:03}")).await);
    }
    for i in 0..10 {
        let members: Vec<_> =
            (0..100).step_by(10).map(|user| json!({"value": ids[&format!("id:e{:03}", user + i)]})).collect();
        let reply =
            harness.send("POST", "/Groups", json!({"displayName": format!("h{i:03}"), "members": members})).await;
        ids.insert(format!("id:h{i:03}"), reply.body["id"].as_str().unwrap().to_owned());
    }
    (harness, ids)
}

/// The operation with ids in the place of names, which are as long as each other.
fn with_ids(value: &Value, ids: &BTreeMap<String, String>) -> Value {
    let mut text = value.to_string();
    for name in ["id:e", "id:h", "bulkId:u", "bulkId:g"] {
        let places: Vec<_> = text.match_indices(name).map(|(at, _)| text[at..at + name.len() + 3].to_owned()).collect();
        for place in places {
            text = ids.get(&place).map_or(text.clone(), |id| text.replace(&place, id));
        }
    }
    serde_json::from_str(&text).unwrap()
}

/// Every user and group, with names for ids, and without times and random values.
async fn state(harness: &Harness) -> Vec<Value> {
    let (users, groups) = (everything(harness, "/Users").await, everything(harness, "/Groups").await);
    let named = |all: &[Value], name: &str| -> BTreeMap<String, String> {
        all.iter().map(|r| (r["id"].as_str().unwrap().to_owned(), r[name].as_str().unwrap().to_owned())).collect()
    };
    let mut ids = named(&users, "userName");
    ids.extend(named(&groups, "displayName"));
    let name = |value: &Value| ids.get(value.as_str().unwrap_or_default()).cloned().unwrap_or("gone".to_owned());
    let mut all = Vec::new();
    for mut resource in users.into_iter().chain(groups) {
        for list in ["members", "groups"] {
            let Some(values) = resource[list].as_array() else { continue };
            let mut names: Vec<_> = values.iter().map(|value| name(&value["value"])).collect();
            names.sort();
            resource[list] = json!(names);
        }
        if let Some(manager) = resource.pointer_mut(&format!("/{ENTERPRISE}/manager")) {
            *manager = json!(name(&manager["value"]));
        }
        resource.as_object_mut().unwrap().retain(|name, _| !["id", "meta"].contains(&name.as_str()));
        all.push(resource);
    }
    all.sort_by_key(|resource| resource.to_string());
    all
}

#[tokio::test(start_paused = true)]
async fn a_thousand_operations_do_what_they_do_one_by_one() {
    let (single, mut ids) = populated(Vec::new()).await;
    let mut one_by_one = Vec::new();
    for operation in mixed() {
        let request = with_ids(&operation, &ids);
        let data = request.get("data").cloned();
        let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
        // As a Bulk does: what refers to what was not created is not sent.
        let status = match !request["data"].to_string().contains("bulkId:") && !path.contains("bulkId:") {
            true => {
                let reply = single.send(method, path, data).await;
                if reply.status == 201 {
                    let name = format!("bulkId:{}", operation["bulkId"].as_str().unwrap());
                    ids.insert(name, reply.body["id"].as_str().unwrap().to_owned());
                }
                reply.status
            }
            false => 409,
        };
        one_by_one.push(status);
    }
    let budget = Budget::new();
    let (harness, ids) = populated(vec![budget.clone()]).await;
    let operations: Vec<_> = mixed().iter().map(|operation| with_ids(operation, &ids)).collect();
    budget.take();
    let started = tokio::time::Instant::now();
    let results = send(&harness, json!(operations)).await;
    let spent = budget.take();
    eprintln!(
        "1,000 operations: {} calls in {:?} of the wire's time, {} read and {} write units",
        spent.calls.len(),
        started.elapsed(),
        spent.rcu,
        spent.wcu
    );
    assert_eq!(statuses(&results), one_by_one);
    assert!(one_by_one.iter().filter(|status| **status < 300).count() > 800);
    assert_eq!(state(&harness).await, state(&single).await);
}

/// An operation, and whether it was done.
struct Checked {
    operation: Value,
    is_done: fn(&Value) -> bool,
}

/// The names of users, with titles, and of groups, with members.
async fn seen(harness: &Harness) -> Value {
    let mut seen = json!({});
    for resource in state(harness).await {
        let name =
            resource.get("userName").or_else(|| resource.get("displayName")).unwrap().as_str().unwrap().to_owned();
        seen[name] = resource;
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_crash_leaves_each_operation_done_or_not_and_the_answer_says_so() {
    if !is_embedded() {
        return;
    }
    let mut crashes = 0;
    for crash in (1..).step_by(3).flat_map(|at| [Crash::before(at), Crash::after(at)]) {
        let harness = Harness::new().await;
        let (bob, eve) = (harness.user("bob").await, harness.user("eve").await);
        let old = harness.send("POST", "/Groups", json!({"displayName": "old"})).await.body["id"].clone();
        let old = old.as_str().unwrap();
        let title = patch(json!([{"op": "add", "path": "title", "value": "new"}]));
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": bob}, {"value": "bulkId:a"}]}]));
        let checked = |operation, is_done| Checked { operation, is_done };
        let operations = [
            checked(user("a"), |seen| seen.get("a").is_some()),
            // Renamed by the PUT.
            checked(user("b"), |seen| seen.get("b").or(seen.get("c")).is_some()),
            checked(group("team", &["a", "b"]), |seen| {
                seen["team"]["members"].as_array().is_some_and(|members| members.len() == 2)
            }),
            checked(json!({"method": "PATCH", "path": format!("/Users/{bob}"), "data": title}), |seen| {
                seen["bob"]["title"] == "new"
            }),
            checked(json!({"method": "PUT", "path": "/Users/bulkId:b", "data": {"userName": "c"}}), |seen| {
                seen.get("c").is_some() && seen.get("b").is_none()
            }),
            checked(json!({"method": "PATCH", "path": format!("/Groups/{old}"), "data": add}), |seen| {
                seen["old"]["members"] == json!(["a", "bob"])
            }),
            checked(json!({"method": "DELETE", "path": format!("/Users/{eve}")}), |seen| seen.get("eve").is_none()),
            checked(user("z"), |seen| seen.get("z").is_some()),
        ];
        let body = bulk(operations.iter().map(|checked| checked.operation.clone()).collect());
        let dying = harness.again(vec![crash.clone() as Arc<dyn Layer>]).await;
        let reply = dying.send("POST", "/Bulk", body).await;
        let seen = seen(&harness).await;
        if reply.status == 503 {
            assert!(operations.iter().all(|checked| !(checked.is_done)(&seen)), "the key was not checked");
            continue;
        }
        let results = results(reply);
        assert_eq!(results.len(), operations.len());
        for (checked, result) in operations.iter().zip(&results) {
            let is_done = (checked.is_done)(&seen);
            match result["status"].as_str().unwrap() {
                "503" => {}
                status if status.starts_with('2') => assert!(is_done, "{crash:?} {result}: {seen}"),
                _ => panic!("{crash:?}: neither done nor to be sent again: {result}"),
            }
        }
        for group in ["team", "old"] {
            let count = seen[group]["members"].as_array().map_or(0, Vec::len);
            assert!([0, 2].contains(&count), "{crash:?}: half done: {seen}");
        }
        if !crash.happened() {
            assert!(statuses(&results).iter().all(|status| *status < 300));
            break;
        }
        crashes += 1;
        assert!(statuses(&results).contains(&503), "{crash:?}");
    }
    assert!(crashes > 8, "{crashes}");
}

#[tokio::test(start_paused = true)]
async fn writes_whose_answers_were_lost_are_recognised_as_the_operations_own() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let lossy = harness.again(vec![LostAnswers::every(3) as Arc<dyn Layer>]).await;
    let title = patch(json!([{"op": "add", "path": "title", "value": "new"}]));
    let mut operations = Vec::new();
    for i in 0..20 {
        let (name, path) = (format!("u{i}"), format!("/Users/bulkId:u{i}"));
        let emails = json!([{"value": format!("{i}@x")}, {"value": format!("{i}@y")}]);
        operations.push(post("/Users", &name, json!({"userName": name, "emails": emails})));
        operations.push(group(&format!("g{i}"), &[&name]));
        operations.push(json!({"method": "PATCH", "path": path, "data": title}));
        operations.push(json!({"method": "PUT", "path": path, "data": {"userName": format!("renamed{i}")}}));
        operations.push(json!({"method": "DELETE", "path": format!("/Groups/bulkId:g{i}")}));
    }
    let statuses = statuses(&send(&lossy, json!(operations)).await);
    // Where every try of a write is lost, it is said to be unknown; never 404, 409 or 412.
    assert!(statuses.iter().all(|status| *status < 300 || *status == 503), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status < 300).count() > 50, "{statuses:?}");
}
