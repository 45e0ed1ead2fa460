//! Every row of the route table on items of the next format, with an attribute that this release does not know: the
//! request is answered, and what is left of the items still has both.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rollcall::api::{Base, NOT_TRIED, ROUTES, Route};
use rollcall::auth::Scope;
use rollcall::store::dynamo::tables::{DEFINITIONS, Table, TableDefinition};
use serde_json::{Value, json};

use crate::dry_run::{requests, requests_of_admin, resources};
use crate::support::feed::Pump;
use crate::support::{Harness, encode, is_embedded, key, patch};

/// What the items hold: by table and what names them across a rename.
type Items = BTreeMap<String, Value>;

fn call(harness: &Harness, operation: &str, body: &Value) -> Value {
    let (status, answer) = harness.engine.call(operation, body.to_string().as_bytes());
    assert_eq!(status, 200, "{operation} {body}: {}", String::from_utf8_lossy(&answer));
    serde_json::from_slice(&answer).unwrap_or_default()
}

fn name_of(harness: &Harness, definition: &TableDefinition) -> String {
    harness.app.store.names().of(definition.table).to_owned()
}

fn items_of(harness: &Harness, definition: &TableDefinition) -> Vec<Value> {
    let (mut items, mut start) = (Vec::new(), Value::Null);
    loop {
        let mut scan = json!({"TableName": name_of(harness, definition), "ConsistentRead": true});
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        let page = call(harness, "Scan", &scan);
        items.extend(page["Items"].as_array().unwrap().iter().cloned());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return items;
        }
    }
}

fn stored(harness: &Harness) -> Items {
    let mut all = Items::new();
    for definition in DEFINITIONS {
        for item in items_of(harness, definition) {
            let sort = if definition.table == Table::Users { "id" } else { definition.sort };
            let id = format!("{:?} {} {}", definition.table, item[definition.partition], item[sort]);
            all.insert(id, item);
        }
    }
    all
}

/// Has every item of the tables a format, and an attribute that nobody knows.
fn set_formats(harness: &Harness, format: u32, tables: &[Table]) {
    for definition in DEFINITIONS.iter().filter(|definition| tables.contains(&definition.table)) {
        for item in items_of(harness, definition) {
            let key = json!({definition.partition: item[definition.partition], definition.sort: item[definition.sort]});
            let body = json!({"TableName": name_of(harness, definition), "Key": key,
                "UpdateExpression": "SET f = :f, novel = :n",
                "ExpressionAttributeValues": {":f": {"N": format.to_string()}, ":n": {"S": "there"}}});
            call(harness, "UpdateItem", &body);
        }
    }
}

/// What a request may be about.
struct Subject {
    users: Vec<String>,
    group: String,
    key: String,
    admin: String,
    client: Value,
}

async fn subject(harness: &Harness, route: &Route) -> Subject {
    let admin = harness.operator().await;
    let (users, group) = resources(harness, route.name, "bot").await;
    let tenant = "acme".parse().unwrap();
    let bot = key(&harness.app.store, &tenant, |record| {
        (record.automation, record.used, record.scopes) = (Some("bot".into()), None, Scope::ALL.to_vec());
    })
    .await;
    let client = json!({"description": "client", "type": "client"});
    let client = crate::admin::ask(harness, &admin, "POST", "/tenants/acme/keys", client).await.body;
    let again = [("idempotency-key", "1")];
    assert_eq!(harness.send_with("POST", "/Users", json!({"userName": "again"}), &again).await.status, 201);
    if route.name == "groupmembers.create" {
        let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{}\"]", users[1])}]));
        assert_eq!(harness.send("PATCH", &format!("/Groups/{group}"), remove).await.status, 204);
    }
    if route.name == "admin.restore" {
        assert_eq!(harness.send("DELETE", &format!("/Users/{}", users[0]), None).await.status, 204);
        harness.settle().await;
    }
    if route.name == "admin.tenants.reopen" {
        assert_eq!(crate::admin::ask(harness, &admin, "DELETE", "/tenants/acme", Value::Null).await.status, 200);
    }
    Pump::new(harness).run(harness).await;
    Subject { users, group, key: bot, admin, client }
}

/// The requests to a route: where to, and with which body.
fn requests_of(route: &Route, subject: &Subject) -> Vec<(String, Vec<u8>)> {
    let Subject { users, group, client, .. } = subject;
    let base = route.base.patterns()[0].replace("{tenant}", "acme");
    let bytes = |body: &Value| if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let at = |path: String, body: &Value| (format!("{base}{path}"), bytes(body));
    let key = client["id"].as_str().unwrap();
    if route.base == Base::Scim && route.scope == Scope::Write {
        let all = requests(route.name, users, group).into_iter();
        return all.map(|(path, body)| at(path, &body.unwrap_or(Value::Null))).collect();
    }
    if route.base == Base::Admin && route.method != http::Method::GET && !NOT_TRIED.contains(&route.name) {
        return requests_of_admin(route.name, key).into_iter().map(|(path, body)| at(path, &body)).collect();
    }
    let id = match route.path {
        path if path.starts_with("/Users") || path.contains("/users/") => users[0].clone(),
        path if path.starts_with("/GroupMembers") => format!("{group}.{}", users[1]),
        path if path.starts_with("/ResourceTypes") => "User".to_owned(),
        path if path.starts_with("/Schemas") => "urn:ietf:params:scim:schemas:core:2.0:User".to_owned(),
        _ => group.clone(),
    };
    let path = route.path.replace("{tenant}", "acme").replace("{id}", &id);
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 10});
    let body = match route.name {
        name if name.ends_with(".search") => search,
        "admin.restore" => json!({"users": [users[0]]}),
        "admin.import.post" => json!({"records": []}),
        "admin.tenants.delete" => json!({}),
        _ => Value::Null,
    };
    let filter = |path: &str, filter: String| at(format!("{path}?filter={}", encode(&filter)), &body);
    match route.name {
        "oauth.token" => {
            let secret = client["secret"].as_str().unwrap();
            let form = format!("grant_type=client_credentials&client_id={key}&client_secret={secret}");
            vec![(format!("{base}{path}"), form.into_bytes())]
        }
        "users.list" => {
            let filters = ["userName eq \"bot\"", "externalId eq \"E\"", "emails eq \"a@x\"", "title pr"];
            let all = filters.map(|text| filter(&path, text.to_owned()));
            all.into_iter().chain([at(path.clone(), &body), at(format!("{path}?cursor"), &body)]).collect()
        }
        "groups.list" => vec![at(path.clone(), &body), filter(&path, format!("members.value eq \"{}\"", users[0]))],
        "groupmembers.list" => vec![at(path.clone(), &body), filter(&path, format!("group.value eq \"{group}\""))],
        _ => vec![at(path, &body)],
    }
}

/// What has lost its format or its attribute.
fn lost(before: &Items, after: &Items) -> Vec<String> {
    let both = before.iter().filter_map(|(id, old)| Some((id, old, after.get(id)?)));
    let lost = both.filter(|(_, _, item)| item["f"]["N"] != "2" || item["novel"]["S"] != "there");
    lost.map(|(id, old, item)| format!("{id} was {old}, and is {item}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_route_takes_items_of_the_next_format_and_keeps_what_it_does_not_know() {
    if !is_embedded() {
        return;
    }
    let mut wrong = Vec::new();
    for route in ROUTES.iter().filter(|route| route.base != Base::Pages) {
        let harness = Harness::new().await;
        let subject = subject(&harness, route).await;
        let secret = if route.base == Base::Admin { &subject.admin } else { &subject.key };
        let header = format!("Bearer {secret}");
        let all = requests_of(route, &subject);
        let mut is_answered = false;
        for (uri, body) in all {
            set_formats(&harness, 2, &Table::ALL);
            let before = stored(&harness);
            let kind = match route.base {
                Base::OAuth => ("content-type", "application/x-www-form-urlencoded"),
                _ => ("content-type", "application/json"),
            };
            let mut headers = vec![kind, ("authorization", header.as_str())];
            headers.truncate(if route.base == Base::OAuth { 1 } else { 2 });
            // A restore leaves out what is younger than a minute.
            let later = harness.at(Timestamp::now() + SignedDuration::from_secs(60));
            let harness = if route.name == "admin.restore" { &later } else { &harness };
            let reply = harness.raw(route.method.as_str(), &uri, body, &headers).await;
            is_answered |= reply.status < 400;
            if reply.status >= 500 {
                wrong.push(format!("{} {uri}: {reply:?}", route.name));
            }
            Pump::new(harness).run(harness).await;
            wrong.extend(lost(&before, &stored(harness)).iter().map(|lost| format!("{} {uri}: {lost}", route.name)));
        }
        // Nothing waits for an operator, and there is no link of that id.
        let is_refused = ["admin.hold.decide", "admin.links.revoke"].contains(&route.name);
        if !is_answered && !is_refused {
            wrong.push(format!("{} is not answered", route.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_page_takes_items_of_the_next_format_and_keeps_what_it_does_not_know() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let page = ROUTES.iter().find(|route| route.base == Base::Pages).unwrap();
    subject(&harness, page).await;
    set_formats(&harness, 2, &Table::ALL);
    let before = stored(&harness);
    Box::pin(crate::pages::drive(&harness)).await;
    let lost = lost(&before, &stored(&harness));
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_item_that_is_put_has_a_format() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let route = ROUTES.iter().find(|route| route.name == "users.create").unwrap();
    let subject = subject(&harness, route).await;
    let (uri, form) = requests_of(ROUTES.iter().find(|route| route.name == "oauth.token").unwrap(), &subject).remove(0);
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(harness.raw("POST", &uri, form, &kind).await.status, 200);
    let two = json!([{"value": "a@x"}, {"value": "b@x"}]);
    harness.create(json!({"userName": "two", "emails": two})).await;
    Pump::new(&harness).run(&harness).await;
    let stored = stored(&harness);
    let without: Vec<_> = stored.iter().filter(|(_, item)| item["f"]["N"] != "1").map(|(id, _)| id).collect();
    // What counts is created by an update.
    assert!(without.iter().all(|id| id.contains(".count#")), "{without:?}");
    assert!(stored.len() > 25, "{}", stored.len());
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_later_release_are_neither_corrupt_nor_absent() {
    if !is_embedded() {
        return;
    }
    for name in [
        "groups.get",
        "groups.list",
        "groups.patch",
        "groupmembers.get",
        "groupmembers.list",
        "events.list",
        "admin.log.list",
        "oauth.token",
    ] {
        let route = ROUTES.iter().find(|route| route.name == name).unwrap();
        let harness = Harness::new().await;
        let subject = subject(&harness, route).await;
        let secret = if route.base == Base::Admin { &subject.admin } else { &subject.key };
        let header = format!("Bearer {secret}");
        let headers = match route.base {
            Base::OAuth => vec![("content-type", "application/x-www-form-urlencoded")],
            _ => vec![("authorization", header.as_str())],
        };
        let tables = if name == "oauth.token" { [Table::Keys, Table::Tokens] } else { [Table::Links, Table::Changes] };
        set_formats(&harness, 3, &tables);
        let (mut uri, body) = requests_of(route, &subject).remove(0);
        if name == "events.list" {
            uri.push_str("?since=2026-01-01T00:00:00Z");
        }
        let reply = harness.raw(route.method.as_str(), &uri, body, &headers).await;
        assert_eq!(reply.status, 503, "{name}: {reply:?}");
        assert!(reply.headers.contains_key("retry-after"), "{name}");
    }
}
