//! Requests that use every declared access of the SCIM routes.

use serde_json::json;

use crate::support::crash::Crash;
use crate::support::{Harness, encode, patch};

/// Groups through all that they may need: members by transaction and by job, names, parents, deletion with many.
pub(super) async fn drive_groups(harness: &Harness) {
    let mut users = Vec::new();
    for i in 0..70 {
        users.push(json!({"value": harness.user(&format!("m{i}")).await}));
    }
    let group = async |body: serde_json::Value| {
        let reply = harness.send("POST", "/Groups", body).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["id"].as_str().unwrap().to_owned()
    };
    let inner = group(json!({"displayName": "inner", "externalId": "I"})).await;
    let small = group(json!({"displayName": "small", "members": [users[0], {"value": inner}]})).await;
    let large = group(json!({"displayName": "large", "members": users})).await;
    let path = format!("/Groups/{small}");
    let first = users[0]["value"].as_str().unwrap();
    for filter in [
        "displayName eq \"small\"",
        "externalId eq \"I\"",
        "displayName co \"a\"",
        "members pr",
        &format!("members.value eq \"{first}\""),
        &format!("id eq \"{small}\" and members eq \"{first}\""),
    ] {
        assert_eq!(harness.send("GET", &format!("/Groups?filter={}", encode(filter)), None).await.status, 200);
    }
    let child = group(json!({"displayName": "child", "members": [users[2]]})).await;
    let parent = group(json!({"displayName": "parent", "members": [{"value": child}]})).await;
    let renamed = json!({"displayName": "renamed", "members": [users[1]]});
    let many = patch(json!([{"op": "replace", "path": "members", "value": users}]));
    let one = patch(json!([{"op": "add", "path": "members", "value": [users[0]]}]));
    // Of whom one is a member already.
    let two = patch(json!([{"op": "add", "path": "members", "value": [users[0], users[1]]}]));
    let rename =
        patch(json!([{"op": "replace", "path": "displayName", "value": "small"}, {"op": "remove", "path": "members"}]));
    for (method, path, body) in [
        ("GET", path.as_str(), None),
        ("GET", "/Groups", None),
        ("PUT", &path, Some(renamed)),
        ("PUT", &path, Some(json!({"displayName": "renamed"}))),
        ("PATCH", &path, Some(rename)),
        ("PATCH", &path, Some(many)),
        ("PUT", &path, Some(json!({"displayName": "small"}))),
        ("PATCH", &path, Some(one)),
        ("PATCH", &path, Some(two)),
        ("GET", &format!("/Users/{first}"), None),
        ("PUT", &format!("/Users/{first}"), Some(json!({"userName": "m0", "title": "t"}))),
        ("PATCH", &format!("/Users/{first}"), Some(patch(json!([{"op": "add", "path": "title", "value": "u"}])))),
        ("GET", "/Users", None),
        ("DELETE", &format!("/Users/{first}"), None),
        ("DELETE", &format!("/Groups/{large}"), None),
        ("DELETE", &format!("/Groups/{inner}"), None),
        ("DELETE", &format!("/Groups/{child}"), None),
        ("DELETE", &format!("/Groups/{parent}"), None),
    ] {
        let reply = harness.send(method, path, body).await;
        assert!(reply.status < 300, "{method} {path}: {reply:?}");
    }
    // Members of a group that is gone, and whose rows are left to the worker.
    let child = group(json!({"displayName": "child"})).await;
    let second = harness.user("of-gone").await;
    let others = [json!({"value": child}), json!({"value": second})];
    let of_gone: Vec<_> = users[3..40].iter().cloned().chain(others).collect();
    let gone = group(json!({"displayName": "gone", "members": of_gone})).await;
    for path in [format!("/Groups/{gone}"), format!("/Groups/{child}"), format!("/Users/{second}")] {
        assert_eq!(harness.send("DELETE", &path, None).await.status, 204);
    }
    // A user in more groups than its deletion takes with it at once.
    let busy = harness.user("busy").await;
    let mut of_busy = Vec::new();
    for i in 0..50 {
        of_busy.push(group(json!({"displayName": format!("of-busy-{i}"), "members": [{"value": busy}]})).await);
    }
    assert_eq!(harness.send("DELETE", &format!("/Users/{busy}"), None).await.status, 204);
    // Its rows are met before the worker has taken them.
    let nobody = "2819c223-7f76-453a-919d-413861904646";
    let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{nobody}\"]")}]));
    for (method, path, body, status) in [
        ("PUT", &of_busy[0], Some(json!({"displayName": "of-busy"})), 200),
        ("PATCH", &of_busy[1], Some(remove), 204),
        ("DELETE", &of_busy[2], None, 204),
    ] {
        assert_eq!(harness.send(method, &format!("/Groups/{path}"), body).await.status, status);
    }
    drive_memberships(harness, &of_busy[3..5], &users[30..]).await;
    drive_searches(harness, users[30]["value"].as_str().unwrap()).await;
    // A change that is left to the worker, and adds.
    let dying = harness.again(vec![Crash::after(8)]).await;
    let many = patch(json!([{"op": "add", "path": "members", "value": users[1..]}]));
    assert_eq!(dying.send("PATCH", &format!("/Groups/{}", of_busy[6]), many).await.status, 204);
    harness.settle().await;
}

/// Every list in each way that it may be found, by GET and by POST.
pub(super) async fn drive_searches(harness: &Harness, user: &str) {
    let of_group = format!("members.value eq \"{user}\"");
    let by_id = format!("id eq \"{user}\" and members.value eq \"{user}\"");
    for (path, filters) in [
        (
            "/Users",
            vec![
                "userName eq \"m1\"",
                "externalId eq \"x\"",
                "emails.value eq \"x\"",
                "title pr",
                "meta.lastModified gt \"2026-01-01T00:00:00Z\"",
            ],
        ),
        ("/Groups", vec!["displayName eq \"outer\"", "externalId eq \"x\"", "members pr", &of_group, &by_id]),
        ("/GroupMembers", vec![&format!("member.value eq \"{user}\"") as &str, "member.type eq \"User\""]),
        (
            "",
            vec![
                "userName eq \"m1\"",
                "externalId eq \"x\"",
                "emails.value eq \"x\"",
                "meta.lastModified gt \"2026-01-01T00:00:00Z\"",
                "members pr",
                &of_group,
                &by_id,
                "title pr",
            ],
        ),
    ] {
        for filter in filters.into_iter().map(Some).chain([None]) {
            let text = filter.map_or(String::new(), |filter| format!("&filter={}", encode(filter)));
            for cursor in ["startIndex=1", "cursor="] {
                assert_eq!(
                    harness.send("GET", &format!("{path}?{cursor}{text}"), None).await.status,
                    200,
                    "{path} {text}"
                );
            }
            for mut body in [json!({"startIndex": 1}), json!({"cursor": ""})] {
                body["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]);
                if let Some(filter) = filter {
                    body["filter"] = json!(filter);
                }
                assert_eq!(harness.send("POST", &format!("{path}/.search"), body).await.status, 200, "{path} {text}");
            }
        }
    }
}

fn decode(text: &str) -> String {
    form_urlencoded::parse(format!("f={text}").as_bytes()).next().unwrap().1.into_owned()
}

/// The automation user through all that may be done to it.
pub(super) async fn drive_me(harness: &Harness) {
    let acme = "acme".parse().unwrap();
    let bot = |record: &mut rollcall::auth::KeyRecord| record.automation = Some("bot".into());
    let header = format!("Bearer {}", crate::support::key(&harness.app.store, &acme, bot).await);
    let id = harness.create(json!({"userName": "bot", "emails": [{"value": "a@x"}, {"value": "b@x"}]})).await;
    let member = json!({"displayName": "of-bot", "members": [{"value": id}]});
    assert_eq!(harness.send("POST", "/Groups", member).await.status, 201);
    let change = |value| patch(json!([{"op": "replace", "path": "emails", "value": value}]));
    let rename = patch(json!([{"op": "replace", "path": "userName", "value": "robot"}]));
    let back = patch(json!([{"op": "replace", "path": "userName", "value": "bot"}]));
    let two = json!({"userName": "bot", "emails": [{"value": "c@x"}, {"value": "d@x"}]});
    for (method, body) in [
        ("GET", None),
        ("PATCH", Some(change(json!([{"value": "a@x"}, {"value": "c@x"}])))),
        ("PUT", Some(two)),
        ("PATCH", Some(rename)),
    ] {
        let body = body.map(|body: serde_json::Value| body.to_string()).unwrap_or_default().into_bytes();
        let reply = harness.raw(method, "/acme/scim/v2/Me", body, &[("authorization", &header)]).await;
        assert!(reply.status < 300, "{method}: {reply:?}");
    }
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), back).await.status, 200);
    let rename = json!({"userName": "robot"}).to_string().into_bytes();
    let headers = [("authorization", header.as_str())];
    assert_eq!(harness.raw("PUT", "/acme/scim/v2/Me", rename, &headers).await.status, 200);
    let back = patch(json!([{"op": "replace", "path": "userName", "value": "bot"},
        {"op": "add", "path": "emails", "value": [{"value": "a@x"}, {"value": "b@x"}]}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), back).await.status, 200);
    // In so many groups that the worker takes it out of them.
    for i in 0..50 {
        let group = json!({"displayName": format!("of-bot-{i}"), "members": [{"value": id}]});
        assert_eq!(harness.send("POST", "/Groups", group).await.status, 201);
    }
    assert_eq!(harness.raw("DELETE", "/acme/scim/v2/Me", Vec::new(), &headers).await.status, 204);
    harness.create(json!({"userName": "bot"})).await;
    let found = harness.find("userName eq \"bot\"").await[0]["id"].clone();
    let group = json!({"displayName": "of-new-bot", "members": [{"value": found}]});
    assert_eq!(harness.send("POST", "/Groups", group).await.status, 201);
    let mut members = vec![json!({"value": found})];
    for i in 0..30 {
        members.push(json!({"value": harness.user(&format!("beside-bot-{i}")).await}));
    }
    let gone = json!({"displayName": "gone-with-bot", "members": members});
    let gone = harness.send("POST", "/Groups", gone).await.body["id"].clone();
    assert_eq!(harness.send("DELETE", &format!("/Groups/{}", gone.as_str().unwrap()), None).await.status, 204);
    assert_eq!(harness.raw("DELETE", "/acme/scim/v2/Me", Vec::new(), &headers).await.status, 204);
}

/// Every kind of operation in one request.
pub(super) async fn drive_bulk(harness: &Harness) {
    let post = |path: &str, id: &str, data: serde_json::Value| json!({"method": "POST", "path": path, "bulkId": id, "data": data});
    let on = |method: &str, path: &str, data: serde_json::Value| json!({"method": method, "path": path, "data": data});
    let title = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    let named = |i: usize| format!("of-bulk-{i}");
    let mut operations: Vec<_> = (0..70).map(|i| post("/Users", &named(i), json!({"userName": named(i)}))).collect();
    let members: Vec<_> = (0..70).map(|i| json!({"value": format!("bulkId:{}", named(i))})).collect();
    let first = "/Users/bulkId:of-bulk-0";
    operations.extend([
        post("/Groups", "g", json!({"displayName": "of-bulk", "members": members})),
        on("PATCH", first, title),
        on("PUT", first, json!({"userName": "renamed-by-bulk"})),
        on("PUT", "/Groups/bulkId:g", json!({"displayName": "renamed-by-bulk"})),
        on("PATCH", "/Groups/bulkId:g", patch(json!([{"op": "add", "path": "members", "value": &members[1..2]}]))),
        on("PATCH", "/Groups/bulkId:g", patch(json!([{"op": "add", "path": "members", "value": &members[1..3]}]))),
        on("DELETE", "/Groups/bulkId:g", json!(null)),
        on("DELETE", first, json!(null)),
    ]);
    let reply = harness.send("POST", "/Bulk", crate::bulk::bulk(json!(operations))).await;
    let results = reply.body["Operations"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"].as_str().unwrap().starts_with('2')), "{results:?}");
}

/// Memberships one by one, each kind of list, and in groups whose last change died half-way.
pub(super) async fn drive_memberships(harness: &Harness, groups: &[String], users: &[serde_json::Value]) {
    for (group, is_creation) in groups.iter().zip([true, false]) {
        let mut members = Vec::new();
        for i in 0..60 {
            members.push(json!({"value": harness.user(&format!("{group}-{i}")).await}));
        }
        let path = format!("/Groups/{group}");
        let (old, new) = members.split_at(30);
        let add = patch(json!([{"op": "replace", "path": "members", "value": old}]));
        assert_eq!(harness.send("PATCH", &path, add).await.status, 204);
        let first = format!("{group}.{}", old[0]["value"].as_str().unwrap());
        let dying = harness.again(vec![Crash::after(70)]).await;
        let replace = patch(json!([{"op": "replace", "path": "members", "value": new}]));
        assert_eq!(dying.send("PATCH", &path, replace).await.status, 204, "committed, though not all is done");
        let one = format!("{group}.{}", new[0]["value"].as_str().unwrap());
        match is_creation {
            true => {
                let body = json!({"group": {"value": group}, "member": users[0]});
                assert_eq!(harness.send("POST", "/GroupMembers", body).await.status, 201);
            }
            false => {
                assert_eq!(harness.send("DELETE", &format!("/GroupMembers/{one}"), None).await.status, 204);
            }
        }
        assert_eq!(harness.send("GET", &format!("/GroupMembers/{first}"), None).await.status, 404);
    }
    let (group, user) = (&groups[0], users[0]["value"].as_str().unwrap());
    for query in [
        String::new(),
        format!("?filter={}", encode(&format!("group.value eq \"{group}\""))),
        format!("?filter={}", encode(&format!("member.value eq \"{user}\""))),
        format!("?filter={}", encode(&format!("group.value eq \"{group}\" and member.value eq \"{user}\""))),
    ] {
        assert_eq!(harness.send("GET", &format!("/GroupMembers{query}"), None).await.status, 200, "{query}");
        let filter = query.strip_prefix("?filter=").map(decode);
        let mut search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]});
        search.as_object_mut().unwrap().extend(filter.map(|filter| ("filter".to_owned(), json!(filter))));
        assert_eq!(harness.send("POST", "/GroupMembers/.search", search).await.status, 200, "{query}");
    }
}
