//! What each route costs, exactly: round trips on the critical path and capacity (a 1.5 KB user, an 0.3 KB key).
//! The embedded engine bills as DynamoDB documents, but for pages read through an index: AWS rounds every fetched item
//! up to 4 KB, the engine their sum; so pages are not pinned here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use rollcall::auth::ApiKey;
use rollcall::limits::PROTECTED_MEMBERS;
use rollcall::tenant::{Protection, ProtectionMode, Settings};
use serde_json::{Value, json};

use crate::support::budget::{Budget, StoreUsage};
use crate::support::{Harness, encode, is_embedded, patch};

struct Counted {
    harness: Harness,
    budget: Arc<Budget>,
}

impl Counted {
    /// Without protection: what it costs is pinned by itself.
    async fn new() -> Self {
        let counted = Self::protected().await;
        let (store, acme) = (&counted.harness.app.store, "acme".parse().unwrap());
        let tenant = store.tenant(&acme).await.unwrap().unwrap();
        let protection = Protection { mode: ProtectionMode::Off, ..Protection::default() };
        let settings = Settings { protection, ..tenant.config.settings };
        store.set_tenant(&tenant, tenant.config.profile.clone(), settings, Timestamp::now()).await.unwrap();
        counted
    }

    /// With the settings of a new tenant.
    async fn protected() -> Self {
        let budget = Budget::new();
        Self { harness: Harness::with(vec![budget.clone()]).await, budget }
    }

    async fn spend(&self, method: &str, path: &str, body: impl Into<Option<Value>>, status: u16) -> StoreUsage {
        self.budget.take();
        let reply = self.harness.send(method, path, body).await;
        assert_eq!(reply.status, status, "{reply:?}");
        self.budget.take()
    }
}

/// A user whose item is about 1.5 KB.
fn user(name: &str) -> Value {
    json!({"userName": name, "externalId": format!("ext-{name}"), "title": "x".repeat(1000),
        "emails": [{"type": "work", "primary": true, "value": format!("{name}@example.com")}]})
}

fn find(filter: &str) -> String {
    format!("/Users?filter={}", encode(filter))
}

fn spent(round_trips: usize, calls: &[&str], rcu: f64, wcu: f64) -> StoreUsage {
    StoreUsage { round_trips, calls: calls.iter().map(|call| (*call).to_owned()).collect(), rcu, wcu }
}

#[tokio::test(start_paused = true)]
async fn protection_costs_one_write_of_what_takes_access_away_and_nothing_else() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::protected().await;
    let off = || patch(json!([{"op": "replace", "path": "active", "value": false}]));
    let mut paths = Vec::new();
    for name in ["a", "b", "c"] {
        paths.push(format!("/Users/{}", counted.harness.create(json!({"userName": name})).await));
    }
    let first = counted.spend("PATCH", &paths[0], off(), 200).await;
    assert_eq!(
        (first.round_trips, &first.calls[2..]),
        (4, &["UpdateItem", "PutItem", "UpdateItem"].map(String::from)[..])
    );
    let next = counted.spend("PATCH", &paths[1], off(), 200).await;
    assert_eq!(next, spent(3, &["GetItem", "Query", "UpdateItem", "UpdateItem"], 3.0, 2.0));
    let again = counted.spend("PATCH", &paths[1], off(), 200).await;
    assert_eq!(again, spent(1, &["GetItem", "Query"], 3.0, 0.0));
    let title = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    let other = counted.spend("PATCH", &paths[2], title, 200).await;
    assert_eq!(other, spent(2, &["GetItem", "Query", "UpdateItem"], 3.0, 1.0));
}

#[tokio::test(start_paused = true)]
async fn every_read_is_one_round_trip() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let id = counted.harness.create(user("bob")).await;
    let get = counted.spend("GET", &format!("/Users/{id}"), None, 200).await;
    assert_eq!(get, spent(1, &["GetItem", "Query"], 3.0, 0.0));
    let by_name = counted.spend("GET", &find("userName eq \"BOB\""), None, 200).await;
    assert_eq!(by_name, spent(1, &["GetItem", "GetItem"], 2.0, 0.0));
    let by_external_id = counted.spend("GET", &find("externalId eq \"ext-bob\""), None, 200).await;
    assert_eq!(by_external_id, spent(1, &["GetItem", "Query"], 3.0, 0.0));
    let by_id = counted.spend("GET", &find(&format!("id eq \"{id}\" and manager eq \"x\"")), None, 200).await;
    assert_eq!(by_id, spent(1, &["GetItem", "Query"], 3.0, 0.0));
    let by_email =
        counted.spend("GET", &find("emails[type eq \"work\"].value eq \"Bob@example.com\""), None, 200).await;
    assert_eq!(by_email, spent(1, &["GetItem", "Query", "Query"], 4.0, 0.0));
    let nobody = counted.spend("GET", &find("userName eq \"nobody\""), None, 200).await;
    assert_eq!(nobody, spent(1, &["GetItem", "GetItem"], 2.0, 0.0));
    let list = counted.spend("GET", "/Users?startIndex=1&count=100", None, 200).await;
    assert_eq!(
        (list.round_trips, list.calls.len()),
        (2, 4),
        "the key check beside the counts, then the page beside the total"
    );
    for constant in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        assert_eq!(counted.spend("GET", constant, None, 200).await, spent(1, &["GetItem"], 1.0, 0.0), "{constant}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_write_is_two_round_trips_and_one_call_unless_it_spans_items() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let create = counted.spend("POST", "/Users", user("bob"), 201).await;
    assert_eq!(create, spent(2, &["GetItem", "PutItem"], 1.0, 6.0));
    let id = counted.harness.create(user("eve")).await;
    let path = format!("/Users/{id}");
    let change = patch(json!([{"op": "replace", "path": "active", "value": false}]));
    let patched = counted.spend("PATCH", &path, change.clone(), 200).await;
    assert_eq!(patched, spent(2, &["GetItem", "Query", "UpdateItem"], 3.0, 2.0));
    let unchanged = counted.spend("PATCH", &path, change, 200).await;
    assert_eq!(unchanged, spent(1, &["GetItem", "Query"], 3.0, 0.0));
    let mut other = user("eve");
    other["nickName"] = json!("e");
    let put = counted.spend("PUT", &path, other.clone(), 200).await;
    assert_eq!(put, spent(2, &["GetItem", "Query", "UpdateItem"], 3.0, 2.0));
    other["userName"] = json!("eva");
    let renamed = counted.spend("PUT", &path, other, 200).await;
    assert_eq!(renamed, spent(2, &["GetItem", "Query", "TransactWriteItems"], 3.0, 16.0));
    let deleted = counted.spend("DELETE", &path, None, 204).await;
    // Twice the item, for a transaction, its index entries, and the row that says who deleted it. The last call asks for
    // large changes under way, which may be to add the user.
    assert_eq!(deleted, spent(3, &["GetItem", "Query", "TransactWriteItems", "Query"], 4.0, 10.0));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_costs_at_most_the_key_check_one_read_and_its_row_in_the_log() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    counted.budget.take();
    let refused =
        counted.harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &[("authorization", "Bearer junk")]).await;
    assert_eq!((refused.status, counted.budget.take()), (401, StoreUsage::default()));
    // A key that is in order but unknown starts no scan and no list.
    let forged = ApiKey::mint(&"acme".parse().unwrap()).unwrap().reveal();
    let header = format!("Bearer {forged}");
    for path in
        ["/Users", "/Users?startIndex=9999", "/Users?filter=title+co+%22x%22", "/Users?filter=userName+sw+%22x%22"]
    {
        let uri = format!("/acme/scim/v2{path}");
        let refused = counted.harness.raw("GET", &uri, Vec::new(), &[("authorization", &header)]).await;
        let calls = counted.budget.take().calls;
        assert!(refused.status == 401 && calls.len() <= 2 && calls.iter().all(|call| call == "GetItem"), "{path}");
    }
    // Another one: a read that is dropped with its request never ends for the one that counts.
    let counted = Counted::new().await;
    let duplicate = user("bob");
    counted.harness.create(duplicate.clone()).await;
    let refused = counted.spend("POST", "/Users", duplicate, 409).await;
    assert_eq!((refused.round_trips, refused.calls), (3, ["GetItem", "PutItem", "PutItem"].map(str::to_owned).into()));
    // An id that cannot be one is not looked up; one that could be is asked for twice, as a rename may hide it.
    assert_eq!(counted.spend("GET", "/Users/nobody", None, 404).await.calls, ["GetItem"]);
    let absent = counted.spend("GET", "/Users/2819c223-7f76-453a-919d-413861904646", None, 404).await;
    assert_eq!((absent.round_trips, absent.calls.len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn a_further_email_address_makes_a_write_a_transaction_and_no_more_round_trips() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let mut body = user("bob");
    body["emails"].as_array_mut().unwrap().push(json!({"type": "home", "value": "bob@home.org"}));
    let create = counted.spend("POST", "/Users", body, 201).await;
    assert_eq!((create.round_trips, create.calls), (2, vec!["GetItem".to_owned(), "TransactWriteItems".to_owned()]));
    let found = counted.spend("GET", &find("emails.value eq \"BOB@home.org\""), None, 200).await;
    assert_eq!(found.round_trips, 2, "the row names the user, who is then read");
}

/// The figures above hold among many users as among few. `ROLLCALL_SCALE=100000` asks for more than CI does.
#[tokio::test(start_paused = true)]
async fn what_a_request_costs_does_not_depend_on_how_many_users_there_are() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let many = std::env::var("ROLLCALL_SCALE").map_or(1_000, |count| count.parse().unwrap());
    let mut costs = Vec::new();
    for (from, to) in [(0, 10), (10, many)] {
        for i in from..to {
            counted.harness.create(user(&format!("user{i}"))).await;
        }
        let name = format!("of{to}");
        let create = counted.spend("POST", "/Users", user(&name), 201).await;
        let id = counted.harness.find(&format!("userName eq \"{name}\"")).await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/Users/{id}");
        let change = patch(json!([{"op": "replace", "path": "active", "value": false}]));
        costs.push([
            create,
            counted.spend("GET", &path, None, 200).await,
            counted.spend("GET", &find(&format!("userName eq \"{name}\"")), None, 200).await,
            counted.spend("GET", &find(&format!("externalId eq \"ext-{name}\"")), None, 200).await,
            counted.spend("GET", &find(&format!("emails eq \"{name}@example.com\"")), None, 200).await,
            counted.spend("PATCH", &path, change, 200).await,
            counted.spend("DELETE", &path, None, 204).await,
        ]);
    }
    assert_eq!(costs[0], costs[1]);
}

/// Adding and removing a member, renaming, and reading without members, in a group of few and of many.
#[tokio::test(start_paused = true)]
async fn what_a_group_costs_does_not_depend_on_how_many_members_it_has() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let many: usize = std::env::var("ROLLCALL_SCALE").map_or(500, |count| count.parse().unwrap());
    let reply = counted.harness.send("POST", "/Groups", json!({"displayName": "team"})).await;
    let path = format!("/Groups/{}", reply.body["id"].as_str().unwrap());
    let mut costs = Vec::new();
    for (from, to) in [(0, 10), (10, many / 5), (many / 5, many)] {
        let mut batch = Vec::new();
        for i in from..to {
            batch.push(json!({"value": counted.harness.create(user(&format!("m{i}"))).await}));
            if batch.len() == 2_000 || i + 1 == to {
                let add = patch(json!([{"op": "add", "path": "members", "value": std::mem::take(&mut batch)}]));
                assert_eq!(counted.harness.send("PATCH", &path, add).await.status, 204);
            }
        }
        let id = counted.harness.create(user(&format!("of{to}"))).await;
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}]));
        let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]));
        let rename = patch(json!([{"op": "replace", "path": "displayName", "value": format!("team {to:06}")}]));
        costs.push([
            counted.spend("PATCH", &path, add.clone(), 204).await,
            counted.spend("PATCH", &path, add, 204).await,
            counted.spend("PATCH", &path, remove, 204).await,
            counted.spend("PATCH", &path, rename, 204).await,
            counted.spend("GET", &format!("{path}?excludedAttributes=members"), None, 200).await,
            counted.spend("GET", &format!("/Users/{id}"), None, 200).await,
        ]);
    }
    let [add, again, remove, rename, read, _] = &costs[0];
    eprintln!("add {add:?}\nremove {remove:?}\nrename {rename:?}");
    let changed = ["GetItem", "GetItem", "Query", "GetItem", "TransactWriteItems"];
    assert_eq!((add, remove), (&spent(2, &changed, 5.0, 8.0), &spent(2, &changed, 5.0, 8.0)));
    assert_eq!(again.wcu, 0.0, "who is a member already is not written");
    assert_eq!(*read, spent(1, &["GetItem", "GetItem"], 2.0, 0.0));
    // A rename's first and last name differ in length, and so by a hair in nothing that is billed.
    assert_eq!((&costs[0], &costs[0]), (&costs[1], &costs[2]));
}

/// A group with so many members, written past the API: users with their sides of the membership, and the rows.
async fn group_of(counted: &Counted, count: usize) -> (String, Vec<String>) {
    let reply = counted.harness.send("POST", "/Groups", json!({"displayName": "large"})).await;
    let group = reply.body["id"].as_str().unwrap().to_owned();
    let side = BASE64.encode(uuid::Uuid::parse_str(&group).unwrap().as_bytes());
    let id = |i: usize| uuid::Uuid::from_u128((i as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let ids: Vec<String> = (0..count).map(|i| id(i).to_string()).collect();
    let user = |(i, id): (usize, &String)| {
        let doc = json!({"userName": format!("u{i}")}).to_string();
        json!({"PutRequest": {"Item": {"tenant": {"S": "acme"}, "userName": {"S": format!("u{i}")}, "id": {"S": id},
            "doc": {"S": doc}, "ver": {"N": "1"}, "created": {"N": "0"}, "modified": {"N": "0"}, "by": {"S": "test"},
            "hour": {"S": "1970-01-01T00"}, "groupIds": {"BS": [side]}, "gver": {"N": "1"}}}})
    };
    let row = |id: &String| {
        json!({"PutRequest": {"Item": {"pk": {"S": format!("acme#member#{group}")}, "sk": {"S": id}, "t": {"S": "User"},
            "created": {"N": "0"}}}})
    };
    let users: Vec<_> = ids.iter().enumerate().map(user).collect();
    let rows: Vec<_> = ids.iter().map(row).collect();
    for (table, all) in [("test-users", users), ("test-links", rows)] {
        for some in all.chunks(25) {
            let body = json!({"RequestItems": {table: some}}).to_string();
            assert_eq!(counted.harness.engine.call("BatchWriteItem", body.as_bytes()).0, 200);
        }
    }
    (format!("/Groups/{group}"), ids)
}

fn members_of_bench() -> usize {
    std::env::var("ROLLCALL_MEMBERS").map_or(10_000, |count| count.parse().unwrap())
}

/// `ROLLCALL_MEMBERS=1000000` asks for more than CI does.
#[tokio::test(start_paused = true)]
async fn one_member_more_or_less_costs_the_same_in_a_group_of_any_size() {
    if !is_embedded() {
        return;
    }
    let changed = ["GetItem", "GetItem", "Query", "GetItem", "TransactWriteItems"];
    for count in [10, members_of_bench()] {
        let counted = Counted::new().await;
        let (path, _) = group_of(&counted, count).await;
        let id = counted.harness.create(user("one")).await;
        let add = patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}]));
        let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]));
        let costs = [counted.spend("PATCH", &path, add, 204).await, counted.spend("PATCH", &path, remove, 204).await];
        assert_eq!(costs, [spent(2, &changed, 5.0, 8.0), spent(2, &changed, 5.0, 8.0)], "{count}");
    }
}

/// Of a window the first removal, each further one, and the one that passes the floor, for which the group is counted.
#[tokio::test(start_paused = true)]
async fn the_protection_costs_the_same_in_a_group_of_any_size() {
    if !is_embedded() {
        return;
    }
    let floor = usize::try_from(PROTECTED_MEMBERS).unwrap();
    let mut costs = Vec::new();
    for count in [1_000, members_of_bench()] {
        let counted = Counted::protected().await;
        let (path, ids) = group_of(&counted, count).await;
        let mut removals = Vec::new();
        for id in &ids[..=floor] {
            let remove = patch(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]));
            removals.push(counted.spend("PATCH", &path, remove, 204).await);
        }
        costs.push([0, 1, floor].map(|number| removals[number].clone()));
    }
    let [first, further, passing] = costs[0].each_ref().map(|spent| (spent.round_trips, spent.rcu, spent.wcu));
    assert_eq!((first, further, passing), ((4, 5.0, 7.0), (3, 5.0, 7.0), (6, 18.0, 8.0)));
    assert_eq!(costs[0], costs[1]);
}

/// Round trips until the answer, of a PUT of a large group: nothing changes, one member, all but one.
#[tokio::test(start_paused = true)]
async fn a_put_of_a_large_group_takes_few_round_trips_where_little_changes() {
    if !is_embedded() {
        return;
    }
    let counted = Counted::new().await;
    let (path, ids) = group_of(&counted, 10_000).await;
    let put = |ids: &[String]| {
        let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
        json!({"displayName": "large", "members": members})
    };
    let spend =
        async |ids: &[String]| counted.spend("PUT", &format!("{path}?excludedAttributes=members"), put(ids), 200).await;
    let (nothing, one, all) = (spend(&ids).await, spend(&ids[1..]).await, spend(&ids[..1]).await);
    assert_eq!((nothing.round_trips, nothing.wcu, one.round_trips), (4, 0.0, 5));
    // It is committed after a few, and then carried out before the answer: 48 members at a time.
    assert!(all.round_trips <= 430, "{}", all.round_trips);
}
