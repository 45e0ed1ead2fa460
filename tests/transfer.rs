//! Export and import: equal by content in another tenant and another engine; what comes twice changes nothing.

use rollcall::app::Clock;
use rollcall::worker;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::{ENTERPRISE, Harness};

/// Every record of a tenant's export.
async fn export(harness: &Harness, admin: &str, tenant: &str) -> Vec<Value> {
    let (mut records, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(harness, admin, "GET", &format!("/tenants/{tenant}/export?cursor={cursor}"), Value::Null).await;
        assert_eq!(page.status, 200, "{page:?}");
        records.extend(page.body["records"].as_array().unwrap().iter().cloned());
        match page.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return records,
        }
    }
}

async fn import(harness: &Harness, admin: &str, tenant: &str, records: &[Value]) -> Value {
    let mut sum = json!({"created": 0, "unchanged": 0, "errors": []});
    for some in records.chunks(100) {
        let body = json!({"records": some});
        let reply = ask(harness, admin, "POST", &format!("/tenants/{tenant}/import"), body).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        for name in ["created", "unchanged"] {
            sum[name] = json!(sum[name].as_u64().unwrap() + reply.body[name].as_u64().unwrap());
        }
        sum["errors"].as_array_mut().unwrap().extend(reply.body["errors"].as_array().unwrap().iter().cloned());
    }
    sum
}

async fn verify(harness: &Harness, admin: &str, tenant: &str) -> Vec<Value> {
    worker::recount(&harness.app.store, &Clock::System).await.unwrap();
    let (mut damages, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/tenants/{tenant}/verify?cursor={cursor}");
        let page = ask(harness, admin, "GET", &path, Value::Null).await;
        damages.extend(page.body["damages"].as_array().unwrap().iter().cloned());
        match page.body["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return damages,
        }
    }
}

/// Users with further addresses, groups in groups, a large group, and who is in several.
async fn populated() -> (Harness, String) {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let mut users = Vec::new();
    for number in 0..120 {
        let emails = json!([{"value": format!("a{number}@x")}, {"value": format!("b{number}@x")}]);
        let user = json!({"userName": format!("User{number}"), "externalId": format!("E{number}"), "emails": emails,
            ENTERPRISE: {"department": "D"}});
        users.push(json!({"value": harness.create(user).await}));
    }
    let rename = json!({"userName": "renamed", "active": false});
    let path = format!("/Users/{}", users[0]["value"].as_str().unwrap());
    assert_eq!(harness.send("PUT", &path, rename).await.status, 200);
    let inner = harness.send("POST", "/Groups", json!({"displayName": "Inner", "externalId": "I"})).await.body;
    let mut members = users.clone();
    members.push(json!({"value": inner["id"]}));
    for (name, members) in [("Large", &members[..]), ("Small", &members[..3]), ("Empty", &[])] {
        let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    harness.settle().await;
    (harness, admin)
}

/// Exports a tenant, and imports it elsewhere.
pub async fn export_and_import() {
    let (harness, admin) = populated().await;
    let records = export(&harness, &admin, "acme").await;
    import(&harness, &admin, "globex", &records[1..]).await;
}

#[tokio::test(start_paused = true)]
async fn an_import_is_equal_by_content_in_another_tenant_and_another_engine() {
    let (harness, admin) = populated().await;
    let records = export(&harness, &admin, "acme").await;
    let count = |kind: &str| records.iter().filter(|record| record["type"] == kind).count();
    assert_eq!((count("tenant"), count("user"), count("group"), count("member")), (1, 120, 4, 124));
    let other = Harness::new().await;
    let other_admin = other.operator().await;
    for (to, admin, tenant) in [(&harness, &admin, "globex"), (&other, &other_admin, "acme")] {
        // Memberships need both sides, so the tenant's line is left out and the rest is sent in order.
        let taken = import(to, admin, tenant, &records[1..]).await;
        assert_eq!(taken, json!({"created": records.len() - 1, "unchanged": 0, "errors": []}));
        assert_eq!(export(to, admin, tenant).await[1..], records[1..], "{tenant}");
        assert_eq!(verify(to, admin, tenant).await, Vec::<Value>::new(), "{tenant}");
        let again = import(to, admin, tenant, &records[1..]).await;
        assert_eq!(again, json!({"created": 0, "unchanged": records.len() - 1, "errors": []}));
        assert_eq!(export(to, admin, tenant).await[1..], records[1..], "{tenant}");
    }
    // Clients see the same, with the same tags.
    for record in &records[1..] {
        let path = match record["type"].as_str().unwrap() {
            "user" => format!("/Users/{}", record["id"].as_str().unwrap()),
            "group" => format!("/Groups/{}", record["id"].as_str().unwrap()),
            _ => continue,
        };
        let here = harness.send("GET", &path, None).await;
        let there = other.send("GET", &path, None).await;
        assert_eq!((there.status, &there.body), (200, &here.body), "{path}");
        assert_eq!(there.headers.get("etag"), here.headers.get("etag"), "{path}");
    }
    let found = other.find("emails.value eq \"b7@x\"").await;
    assert_eq!(found[0]["userName"], "User7");
}

#[tokio::test(start_paused = true)]
async fn an_import_undoes_no_change_and_names_what_it_refuses() {
    let (harness, admin) = populated().await;
    let records = export(&harness, &admin, "acme").await;
    let user = records.iter().find(|record| record["document"]["userName"] == "User5").unwrap();
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    assert_eq!(harness.send("PUT", &path, json!({"userName": "User5", "title": "new"})).await.status, 200);
    let id = "2819c223-7f76-453a-919d-413861904646";
    let mut taken = user.clone();
    taken["id"] = json!(id);
    let mut bad = user.clone();
    bad["id"] = json!("5");
    let group = records.iter().find(|record| record["document"]["displayName"] == "Small").unwrap();
    let mut shared = group.clone();
    shared["id"] = json!(id);
    let of_nobody = json!({"type": "member", "group": id, "member": id, "created": "2027-01-31T12:00:00Z"});
    let mut nobody = of_nobody.clone();
    nobody["group"] = group["id"].clone();
    let sent = [user.clone(), taken, bad, shared, of_nobody, nobody, json!({"type": "key"}), json!(7)];
    let report = import(&harness, &admin, "acme", &sent).await;
    let refused: Vec<_> = report["errors"].as_array().unwrap().iter().map(|error| error["record"].clone()).collect();
    assert_eq!((&report["created"], refused), (&json!(0), (0..8).map(Value::from).collect()), "{report}");
    for (number, part) in ["changed", "userName", "UUID", "displayName", "group", "member"].iter().enumerate() {
        assert!(report["errors"][number]["detail"].as_str().unwrap().contains(part), "{part}: {report}");
    }
    assert_eq!(harness.send("GET", &path, None).await.body["title"], "new");
    assert_eq!(verify(&harness, &admin, "acme").await, Vec::<Value>::new());
    let many: Vec<Value> = (0..1_001).map(|_| json!({})).collect();
    let reply = ask(&harness, &admin, "POST", "/tenants/acme/import", json!({"records": many})).await;
    assert_eq!(reply.status, 400);
    assert_eq!(ask(&harness, &admin, "GET", "/tenants/acme/export?cursor=x", Value::Null).await.status, 400);
}
