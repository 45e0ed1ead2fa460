//! Two tenants never see each other. Walks the route table, so that a new route is tested by being there.

use rollcall::api::{Base, ROUTES};
use rollcall::store::dynamo::tables::Table;
use serde_json::{Value, json};

use crate::support::{Harness, Item, patch};

/// What the other tenant's data is recognised by.
const SECRET: &str = "globex-only";

async fn with_a_secret() -> (Harness, String, String) {
    let harness = Harness::new().await;
    let own =
        harness.create(json!({"userName": "shared@example.com", "externalId": "shared", "displayName": "ours"})).await;
    let body = json!({"userName": "shared@example.com", "externalId": "shared", "displayName": SECRET,
        "emails": [{"value": "a@globex"}, {"value": "b@globex"}]});
    let header = format!("Bearer {}", harness.globex);
    let reply = harness
        .raw("POST", "/globex/scim/v2/Users", body.to_string().into_bytes(), &[("authorization", &header)])
        .await;
    assert_eq!(reply.status, 201, "the same userName in two tenants is two users");
    (harness, own, reply.body["id"].as_str().unwrap().to_owned())
}

/// Bodies that a route of that path might take.
fn bodies(path: &str, id: &str) -> Vec<Value> {
    let mut bodies = vec![
        Value::Null,
        json!({"userName": "new", "displayName": "taken over", "id": id}),
        patch(json!([{"op": "replace", "path": "displayName", "value": "taken over"}])),
        patch(json!([{"op": "replace", "value": {"userName": "renamed"}}])),
    ];
    if path.starts_with("/GroupMembers") {
        bodies.push(json!({"group": {"value": id}, "member": {"value": id}}));
    }
    if path == "/Bulk" {
        let methods = ["PUT", "PATCH", "DELETE"].iter().flat_map(|method| ["Users", "Groups"].map(|to| (method, to)));
        let operation = |(method, to): (&&str, &str), data: &Value| json!({"method": method, "path": format!("/{to}/{id}"), "data": data});
        let operations: Vec<_> =
            methods.flat_map(|on| bodies[1..].iter().map(move |data| operation(on, data))).collect();
        bodies.push(crate::bulk::bulk(json!(operations)));
    }
    if path.starts_with("/Groups") {
        bodies.push(json!({"displayName": "new", "members": [{"value": id}]}));
        bodies.push(patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}])));
    }
    bodies
}

async fn globex_items(harness: &Harness) -> Vec<Item> {
    let mut items = Vec::new();
    for table in Table::ALL {
        items.extend(harness.dump(table).await);
    }
    let is_theirs = |item: &Item| {
        ["tenant", "pk"].iter().any(|key| item.get(*key).is_some_and(|key| key.as_s().unwrap().starts_with("globex")))
    };
    items.retain(is_theirs);
    assert!(items.len() > 3);
    items
}

#[tokio::test(start_paused = true)]
async fn no_route_shows_or_changes_another_tenants_data() {
    let (harness, _, theirs) = with_a_secret().await;
    let before = globex_items(&harness).await;
    let filters = [
        "",
        "?filter=userName+eq+%22shared@example.com%22",
        "?filter=externalId+eq+%22shared%22",
        "?filter=emails+eq+%22b@globex%22",
        "?filter=displayName+co+%22globex%22",
        "?filter=userName+sw+%22s%22",
    ];
    for route in ROUTES {
        if route.base != Base::Scim {
            continue;
        }
        for body in bodies(route.path, &theirs) {
            let path = route.path.replace("{id}", &theirs);
            let uris = match route.path.contains("{id}") || body != Value::Null {
                true => vec![path],
                false => filters
                    .iter()
                    .map(|filter| format!("{path}{filter}"))
                    .chain([format!("{path}?filter=id+eq+%22{theirs}%22")])
                    .collect(),
            };
            for uri in uris {
                let body = (body != Value::Null).then(|| body.clone());
                let reply = harness.send(route.method.as_str(), &uri, body).await;
                let output = reply.body.to_string();
                assert!(!output.contains(SECRET), "{} {uri}: {output}", route.name);
                let names_id = route.path.contains("{id}");
                assert!(!names_id || reply.status == 404 || reply.status == 400, "{} {uri}: {reply:?}", route.name);
            }
        }
    }
    assert_eq!(globex_items(&harness).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_refused_at_another_tenants_address_on_every_route() {
    let (harness, own, theirs) = with_a_secret().await;
    let before = globex_items(&harness).await;
    let header = format!("Bearer {}", harness.acme);
    for route in ROUTES {
        for id in [&own, &theirs] {
            let base = route.base.patterns()[0].replace("{tenant}", "globex");
            let path = route.path.replace("{id}", id).replace("{tenant}", "globex").replace("{key}", "00000000000000");
            let uri = format!("{base}{}", path.replace("{name}", "robot"));
            if matches!(route.base, Base::OAuth | Base::WellKnown | Base::Pages) {
                // Some take other credentials, others answer everybody alike; of the page, see `pages`.
                continue;
            }
            for body in bodies(route.path, id) {
                let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
                let reply = harness.raw(route.method.as_str(), &uri, bytes, &[("authorization", &header)]).await;
                assert_eq!(reply.status, 401, "{} {uri}", route.name);
            }
        }
    }
    assert_eq!(globex_items(&harness).await, before);
}
