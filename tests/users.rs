//! What a client sees of `/Users` beyond the recorded exchanges.

use serde_json::{Value, json};

use crate::support::{ENTERPRISE, HOST, Harness, patch};

#[tokio::test(start_paused = true)]
async fn a_created_user_is_returned_with_its_address_and_version() {
    let harness = Harness::new().await;
    let reply = harness.send("POST", "/Users", json!({"userName": "Bob"})).await;
    let id = reply.body["id"].as_str().unwrap();
    let location = format!("https://{HOST}/acme/scim/v2/Users/{id}").replace("https", "http");
    assert_eq!(reply.status, 201);
    assert_eq!(
        (reply.headers["location"].to_str().unwrap(), &reply.body["meta"]["location"]),
        (location.as_str(), &json!(location))
    );
    assert_eq!(
        (reply.headers["etag"].to_str().unwrap(), &reply.body["meta"]["version"]),
        ("W/\"1\"", &json!("W/\"1\""))
    );
    let short = harness
        .raw(
            "GET",
            &format!("/acme/scim/Users/{id}/"),
            Vec::new(),
            &[("authorization", &format!("bearer {}", harness.acme))],
        )
        .await;
    assert_eq!((short.status, &short.body["meta"]["location"]), (200, &json!(location.replace("/v2", ""))));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_in_every_spelling_until_its_user_goes() {
    let harness = Harness::new().await;
    let id = harness.user("Straße@x").await;
    for spelling in ["Straße@x", "STRASSE@X", "strasse@x"] {
        let reply = harness.send("POST", "/Users", json!({"userName": spelling})).await;
        reply.assert_error(409, "uniqueness");
    }
    let other = harness.user("other").await;
    let onto = patch(json!([{"op": "replace", "path": "userName", "value": "STRASSE@x"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{other}"), onto).await.status, 409);
    // Another spelling of one's own name is no rename.
    let own = patch(json!([{"op": "replace", "path": "userName", "value": "STRASSE@x"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), own).await.body["userName"], "STRASSE@x");
    assert_eq!(harness.send("DELETE", &format!("/Users/{id}"), None).await.status, 204);
    assert_ne!(harness.user("strasse@x").await, id);
}

#[tokio::test(start_paused = true)]
async fn a_renamed_user_keeps_id_creation_and_every_way_to_be_found() {
    let harness = Harness::new().await;
    let emails = json!([{"value": "a@x", "primary": true}, {"value": "b@x"}, {"value": "c@x"}]);
    let id = harness.create(json!({"userName": "old", "externalId": "E1", "emails": emails})).await;
    let before = harness.send("GET", &format!("/Users/{id}"), None).await.body;
    let rename =
        patch(json!([{"op": "replace", "value": {"userName": "new", "emails": [{"value": "c@x"}, {"value": "d@x"}]}}]));
    let after = harness.send("PATCH", &format!("/Users/{id}"), rename).await.body;
    assert_eq!((&after["id"], &after["meta"]["created"]), (&before["id"], &before["meta"]["created"]));
    for (filter, found) in [
        ("userName eq \"new\"", 1),
        ("userName eq \"old\"", 0),
        ("externalId eq \"E1\"", 1),
        ("emails.value eq \"C@x\"", 1),
        ("emails.value eq \"d@x\"", 1),
        ("emails.value eq \"a@x\"", 0),
        ("emails.value eq \"b@x\"", 0),
        ("userName eq \"new\" or emails eq \"d@x\" or externalId eq \"E1\"", 1),
    ] {
        assert_eq!(harness.find(filter).await.len(), found, "{filter}");
    }
    assert_eq!(harness.send("DELETE", &format!("/Users/{id}"), None).await.status, 204);
    assert!(harness.dump(rollcall::store::dynamo::tables::Table::Users).await.is_empty());
    assert!(harness.dump(rollcall::store::dynamo::tables::Table::Links).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn versions_guard_reads_and_writes() {
    let harness = Harness::new().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    let change = |name: &str| patch(json!([{"op": "replace", "path": "displayName", "value": name}]));
    let stale = [("if-match", "W/\"7\"")];
    for (method, body) in
        [("PATCH", Some(change("x"))), ("PUT", Some(json!({"userName": "bob", "title": "x"}))), ("DELETE", None)]
    {
        assert_eq!(harness.send_with(method, &path, body, &stale).await.status, 412, "{method}");
    }
    let changed = harness.send_with("PATCH", &path, change("B"), &[("if-match", "W/\"1\"")]).await;
    assert_eq!((changed.status, &changed.body["meta"]["version"]), (200, &json!("W/\"2\"")));
    let unchanged = harness.send("PATCH", &path, change("B")).await;
    assert_eq!(unchanged.body["meta"], changed.body["meta"], "what changes nothing is no new version");
    assert_eq!(harness.send_with("GET", &path, None, &[("if-none-match", "W/\"2\"")]).await.status, 304);
    assert_eq!(harness.send_with("GET", &path, None, &[("if-none-match", "W/\"1\"")]).await.status, 200);
    assert_eq!(harness.send_with("DELETE", &path, None, &[("if-match", "*")]).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn a_failed_operation_undoes_the_whole_patch_and_names_itself() {
    let harness = Harness::new().await;
    let path = format!("/Users/{}", harness.create(json!({"userName": "bob", "displayName": "B"})).await);
    for (operation, scim_type, detail) in [
        (json!({"op": "replace", "path": "emails[", "value": "x"}), "invalidPath", "position"),
        (json!({"op": "replace", "path": "active", "value": "perhaps"}), "invalidValue", "active must be a boolean"),
        (json!({"op": "replace", "path": "id", "value": "x"}), "mutability", "id is read-only"),
        (json!({"op": "add", "path": "groups", "value": [{"value": "x"}]}), "mutability", "groups is read-only"),
        (json!({"op": "remove", "path": "userName"}), "mutability", "userName is required"),
        (json!({"op": "replace", "path": "userName", "value": ""}), "invalidValue", "userName is required"),
        (json!({"op": "remove"}), "noTarget", "path is missing"),
        (json!({"op": "move", "path": "title"}), "invalidSyntax", "op must be add, replace or remove"),
        (json!({"op": "replace", "path": "title"}), "invalidValue", "value is missing"),
        (json!({"op": "replace", "value": "x"}), "invalidValue", "where there is no path"),
        (json!({"op": "replace", "path": "emails[type ne \"x\"].value", "value": "x"}), "noTarget", "selects no value"),
        (json!({"op": "replace", "path": "title[value eq \"x\"]", "value": "x"}), "invalidPath", "not multi-valued"),
        (json!({"op": "replace", "path": "title.x", "value": "x"}), "invalidPath", "no sub-attributes"),
    ] {
        let body = patch(json!([{"op": "replace", "path": "displayName", "value": "half"}, operation]));
        let reply = harness.send("PATCH", &path, body).await;
        let said = reply.body["detail"].as_str().unwrap();
        assert_eq!((reply.status, reply.body["scimType"].as_str()), (400, Some(scim_type)), "{said}");
        assert!(said.contains(detail), "{said}");
        assert_eq!(harness.send("GET", &path, None).await.body["displayName"], "B");
    }
}

#[tokio::test(start_paused = true)]
async fn patch_follows_the_rfc_on_every_kind_of_attribute() {
    let harness = Harness::new().await;
    let path = format!("/Users/{}", harness.user("bob").await);
    let apply = async |operations: Value| {
        let reply = harness.send("PATCH", &path, patch(operations)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    };
    let body = apply(json!([{"op": "add", "path": "name", "value": {"givenName": "B", "familyName": "O"}}])).await;
    assert_eq!(body["name"], json!({"givenName": "B", "familyName": "O"}));
    let body = apply(json!([{"op": "replace", "path": "name", "value": {"familyName": "X", "givenName": ""}}])).await;
    assert_eq!(body["name"], json!({"familyName": "X"}), "a complex value is merged, what is empty is cleared");
    let body = apply(json!([{"op": "add", "path": "emails", "value": {"value": "a", "type": "work"}},
        {"op": "add", "path": "emails", "value": [{"value": "a", "type": "work", "primary": true}, {"value": "b"}]}]))
    .await;
    assert_eq!(body["emails"], json!([{"value": "a", "type": "work", "primary": true}, {"value": "b"}]));
    let body =
        apply(json!([{"op": "replace", "path": "emails[value eq \"b\"]", "value": {"value": "c", "primary": true}}]))
            .await;
    assert_eq!(
        body["emails"],
        json!([{"value": "a", "type": "work", "primary": false}, {"value": "c", "primary": true}])
    );
    let body = apply(json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": {"value": "d"}}])).await;
    assert_eq!(body["emails"][0], json!({"value": "d", "type": "work"}), "replaced, and still what the path finds");
    let body = apply(json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": {"display": "D"}}])).await;
    assert_eq!(body["emails"][0], json!({"value": "d", "type": "work", "display": "D"}));
    let body = apply(json!([{"op": "remove", "path": "emails[type eq \"work\"].display"}, {"op": "remove", "path": "emails", "value": [{"value": "c"}]}])).await;
    assert_eq!(body["emails"], json!([{"value": "d", "type": "work"}]));
    let body = apply(
        json!([{"op": "replace", "path": "emails.value", "value": "e"}, {"op": "remove", "path": "name.familyName"}]),
    )
    .await;
    assert_eq!((&body["emails"][0]["value"], body.get("name")), (&json!("e"), None));
    let body = apply(json!([{"op": "remove", "path": "emails"}, {"op": "remove", "path": "emails"}, {"op": "remove", "path": "title"}])).await;
    assert_eq!(body.get("emails"), None);
}

#[tokio::test(start_paused = true)]
async fn extensions_come_and_go_declared_or_not() {
    let harness = Harness::new().await;
    let custom = "urn:ietf:params:scim:schemas:extension:jostle:2.0:User";
    let acme = "urn:acme:crm";
    let path =
        format!("/Users/{}", harness.create(json!({"userName": "bob", acme: {"Level": {"n": [1, {"x": 2.5}]}}})).await);
    let apply = async |operations: Value| harness.send("PATCH", &path, patch(operations)).await.body;
    let body = apply(json!([{"op": "add", "path": format!("{custom}:label"), "value": "L"},
        {"op": "replace", "value": {format!("{custom}:list"): ["a"], ENTERPRISE: {"department": "D"}, acme: {"more": true}}}])).await;
    assert_eq!(
        (&body[custom], &body[ENTERPRISE]),
        (&json!({"label": "L", "list": ["a"]}), &json!({"department": "D"}))
    );
    assert_eq!(body[acme], json!({"Level": {"n": [1, {"x": 2.5}]}, "more": true}));
    let schemas: Vec<_> = body["schemas"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(schemas, ["urn:ietf:params:scim:schemas:core:2.0:User", acme, custom, ENTERPRISE]);
    let body = apply(json!([{"op": "add", "path": format!("{custom}:list"), "value": ["a", "b"]}, {"op": "remove", "path": ENTERPRISE},
        {"op": "replace", "path": format!("{custom}:label"), "value": ""}])).await;
    assert_eq!((&body[custom], body.get(ENTERPRISE)), (&json!({"list": ["a", "b"]}), None));
    let body = apply(json!([{"op": "remove", "path": format!("{custom}:list[value eq \"a\"]")}])).await;
    assert_eq!(body[custom], json!({"list": ["b"]}));
    let body = apply(json!([{"op": "remove", "path": custom}])).await;
    assert_eq!((body.get(custom), body["schemas"].as_array().unwrap().len()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn a_new_manager_takes_nothing_over_from_the_old_one() {
    let harness = Harness::new().await;
    let path = format!(
        "/Users/{}",
        harness
            .create(json!({"userName": "bob", "manager": [{"value": "1", "$ref": "../Users/1", "displayName": "One"}]}))
            .await
    );
    let manager = async |value: Value| {
        let body = patch(json!([{"op": "replace", "path": "manager", "value": value}]));
        harness.send("PATCH", &path, body).await.body.get(ENTERPRISE).map(|e| e["manager"].clone())
    };
    assert_eq!(
        manager(json!({"value": "1", "displayName": "Uno"})).await,
        Some(json!({"value": "1", "$ref": "../Users/1", "displayName": "Uno"}))
    );
    assert_eq!(
        manager(json!({"displayName": "Two", "value": "2"})).await,
        Some(json!({"value": "2", "displayName": "Two"}))
    );
    assert_eq!(manager(json!("3")).await, Some(json!({"value": "3"})));
    assert_eq!(manager(json!({"value": ""})).await, None);
}

#[tokio::test(start_paused = true)]
async fn other_paths_and_methods_are_answered_in_scims_form() {
    let harness = Harness::new().await;
    for (method, path, status) in [
        ("GET", "/Nothing", 404),
        ("GET", "/Users/a/b", 404),
        ("DELETE", "/Users", 405),
        ("POST", "/Users/2819c223-7f76-453a-919d-413861904646", 405),
        ("PUT", "/Schemas", 405),
        ("GET", "/Bulk", 405),
        ("GET", "/Me", 404),
        ("POST", "/Me", 405),
        ("GET", "/Users/.search", 405),
        ("GET", "/Schemas?filter=id%20pr", 403),
        ("GET", "/Schemas/urn:none", 404),
    ] {
        let reply = harness.send(method, path, None).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.headers.contains_key("allow"), status == 405);
    }
    for path in ["/", "/acme", "/acme/scim2/v2/Users"] {
        assert_eq!(harness.raw("GET", path, Vec::new(), &[]).await.status, 404, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_is_kept_nowhere_however_it_is_named() {
    let harness = Harness::new().await;
    let qualified = "urn:ietf:params:scim:schemas:core:2.0:User:password";
    let body = json!({"userName": "bob", "password": "S3cret", "PassWord2": "kept", qualified: "S3cret"});
    let path = format!("/Users/{}", harness.create(body).await);
    for operation in [
        json!({"op": "add", "path": "password", "value": "S3cret"}),
        json!({"op": "replace", "path": qualified, "value": "S3cret"}),
        json!({"op": "replace", "value": {"Password": "S3cret", qualified: "S3cret"}}),
    ] {
        assert_eq!(harness.send("PATCH", &path, patch(json!([operation]))).await.status, 200);
    }
    assert_eq!(harness.send("PUT", &path, json!({"userName": "bob", "password": "S3cret"})).await.status, 200);
    let stored = format!("{:?}", harness.dump(rollcall::store::dynamo::tables::Table::Users).await);
    assert!(!stored.contains("S3cret"), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_values_to_remove_is_understood_as_it_would_be_stored() {
    let harness = Harness::new().await;
    let roles = json!([{"value": "Admin", "primary": true}, {"value": "25"}, {"value": "Keep", "type": "t"}]);
    let path = format!("/Users/{}", harness.create(json!({"userName": "bob", "roles": roles})).await);
    for (value, left) in [
        (json!([{"value": "nobody"}]), 3),
        (json!([{"value": "Keep", "type": "other"}]), 3),
        (json!([{"primary": "True", "value": "ADMIN", "display": "x", "$ref": null}]), 2),
        (json!([{"value": 25}]), 1),
        (json!({"roles": [{"value": "keep"}]}), 0),
    ] {
        let remove = patch(json!([{"op": "Remove", "path": "roles", "value": value}]));
        let body = harness.send("PATCH", &path, remove).await.body;
        assert_eq!(body["roles"].as_array().map_or(0, Vec::len), left, "{value}");
    }
    // A bare value is one to remove, not a word for all of them.
    harness.send("PATCH", &path, patch(json!([{"op": "add", "path": "roles", "value": ["a", "b"]}]))).await;
    let body = harness.send("PATCH", &path, patch(json!([{"op": "remove", "path": "roles", "value": "a"}]))).await.body;
    assert_eq!(body["roles"], json!([{"value": "b"}]));
}

#[tokio::test(start_paused = true)]
async fn an_extension_named_in_schemas_is_one_whatever_its_urn_looks_like() {
    let harness = Harness::new().await;
    let urn = "urn:okta:acme_1:1.0:user:custom";
    let body =
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", urn], "userName": "bob", urn: {"badge": "7"}});
    let path = format!("/Users/{}", harness.create(body).await);
    for operation in [
        json!({"op": "replace", "value": {urn: {"level": 2}}}),
        json!({"op": "add", "path": format!("{urn}:more"), "value": "m"}),
    ] {
        harness.send("PATCH", &path, patch(json!([operation]))).await;
    }
    let user = harness.send("GET", &path, None).await.body;
    assert_eq!(user[urn], json!({"badge": "7", "level": 2, "more": "m"}));
    assert_eq!(user["schemas"][1], urn);
    let removed = harness.send("PATCH", &path, patch(json!([{"op": "remove", "path": urn}]))).await.body;
    assert_eq!(removed.get(urn), None);
}

#[tokio::test(start_paused = true)]
async fn adding_nothing_to_a_value_leaves_it_alone() {
    let harness = Harness::new().await;
    let path = format!(
        "/Users/{}",
        harness.create(json!({"userName": "bob", "addresses": [{"type": "work", "country": "US"}]})).await
    );
    for value in [json!({}), json!({"formatted": null}), json!({"formatted": ""})] {
        let add = patch(json!([{"op": "Add", "path": "addresses[type eq \"work\"]", "value": value}]));
        let body = harness.send("PATCH", &path, add).await.body;
        assert_eq!(body["addresses"], json!([{"type": "work", "country": "US"}]));
    }
    let replace = patch(json!([{"op": "Replace", "path": "addresses[type eq \"work\"]", "value": {"country": ""}}]));
    assert_eq!(harness.send("PATCH", &path, replace).await.body.get("addresses"), None);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_sent_again_with_its_idempotency_key_makes_one_resource() {
    let harness = Harness::new().await;
    for (path, name) in [("/Users", "userName"), ("/Groups", "displayName")] {
        let key = [("idempotency-key", "8e03978e-40d5-43e8-bc93-6894a57f9324")];
        let body = json!({name: "bob", "externalId": "b"});
        let posts = (0..8).map(|_| harness.send_with("POST", path, body.clone(), &key));
        let replies = futures_util::future::join_all(posts).await;
        let id = replies[0].body["id"].as_str().unwrap().to_owned();
        for reply in &replies {
            assert_eq!((reply.status, &reply.body["id"]), (201, &json!(id)), "{reply:?}");
            assert_eq!(reply.headers["location"], replies[0].headers["location"]);
        }
        let rename = patch(json!([{"op": "replace", "path": name, "value": "rob"}]));
        assert!(harness.send("PATCH", &format!("{path}/{id}"), rename).await.status < 300);
        let after = harness.send_with("POST", path, body.clone(), &key).await;
        assert_eq!((after.status, &after.body[name]), (201, &json!("rob")), "as it is now");
        assert_eq!(harness.send("GET", path, None).await.body["totalResults"], 1);
        let other = [("idempotency-key", "another")];
        assert_eq!(harness.send_with("POST", path, json!({name: "eve"}), &other).await.status, 201);
        assert_eq!(harness.send_with("POST", path, json!({name: "ann"}), &other).await.status, 422);
        assert_eq!(
            harness.send_with("POST", path, json!({name: "eve"}), &[("idempotency-key", "third")]).await.status,
            409
        );
        let fourth = [("idempotency-key", "fourth")];
        let posts = ["x1", "x2"].map(|name_of| harness.send_with("POST", path, json!({name: name_of}), &fourth));
        let mut statuses: Vec<_> =
            futures_util::future::join_all(posts).await.iter().map(|reply| reply.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 422], "two bodies at once make one resource");
        assert_eq!(harness.send("DELETE", &format!("{path}/{id}"), None).await.status, 204);
        assert_eq!(harness.send_with("POST", path, body.clone(), &key).await.status, 422, "it is gone");
        for bad in ["", "x".repeat(256).as_str()] {
            assert_eq!(harness.send_with("POST", path, body.clone(), &[("idempotency-key", bad)]).await.status, 400);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn me_is_the_automation_user_of_the_key() {
    let harness = Harness::new().await;
    let bot = harness.user("Bot").await;
    let acme = "acme".parse().unwrap();
    let key = async |name: &'static str| {
        crate::support::key(&harness.app.store, &acme, |record| record.automation = Some(name.into())).await
    };
    let header = format!("Bearer {}", key("bot").await);
    let me = async |method: &str, body: Option<Value>, header: &str| {
        let body = body.map(|body| body.to_string()).unwrap_or_default().into_bytes();
        harness.raw(method, "/acme/scim/v2/Me?excludedAttributes=groups", body, &[("authorization", header)]).await
    };
    let got = me("GET", None, &header).await;
    assert_eq!((got.status, &got.body["id"]), (200, &json!(bot)));
    assert!(got.body["meta"]["location"].as_str().unwrap().ends_with(&format!("/Users/{bot}")));
    let title = patch(json!([{"op": "add", "path": "title", "value": "robot"}]));
    assert_eq!(me("PATCH", Some(title), &header).await.body["title"], "robot");
    assert_eq!(me("PUT", Some(json!({"userName": "bot"})), &header).await.body.get("title"), None);
    let stranger = format!("Bearer {}", key("nobody").await);
    assert_eq!(me("GET", None, &stranger).await.status, 404);
    assert_eq!(me("DELETE", None, &header).await.status, 204);
    assert_eq!(harness.send("GET", &format!("/Users/{bot}"), None).await.status, 404);
    assert_eq!(harness.send("GET", "/Me", None).await.status, 404, "this key acts in no user's name");
}
