//! `verify`: each kind of damage is named, mended, and gone at the second look; what is under way is no damage.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rollcall::app::Clock;
use rollcall::worker;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::crash::Crash;
use crate::support::wire::Layer;
use crate::support::{Harness, is_embedded, patch};

/// A tenant with every kind of row.
struct Tenant {
    harness: Harness,
    admin: String,
    bob: String,
    ann: String,
    team: String,
    child: String,
}

const GONE: &str = "2819c223-7f76-453a-919d-413861904646";

impl Tenant {
    async fn new() -> Self {
        let harness = Harness::new().await;
        let admin = harness.operator().await;
        let emails = json!([{"value": "b@x"}, {"value": "b2@x"}, {"value": "b#3@x"}]);
        let bob = harness.create(json!({"userName": "Bob", "externalId": "B", "emails": emails})).await;
        let ann = harness.user("ann").await;
        let child = group(&harness, json!({"displayName": "Child", "externalId": "C"})).await;
        let members = json!([{"value": bob}, {"value": child}]);
        let team = group(&harness, json!({"displayName": "Team #1", "members": members})).await;
        worker::recount(&harness.app.store, &Clock::System).await.unwrap();
        Self { harness, admin, bob, ann, team, child }
    }

    fn call(&self, operation: &str, body: &Value) {
        let (status, answer) = self.harness.engine.call(operation, body.to_string().as_bytes());
        assert_eq!(status, 200, "{operation} {body}: {}", String::from_utf8_lossy(&answer));
    }

    fn put_row(&self, pk: &str, sk: &str, more: Value) {
        let mut item = json!({"pk": {"S": pk}, "sk": {"S": sk}});
        item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("PutItem", &json!({"TableName": "test-links", "Item": item}));
    }

    fn delete_row(&self, pk: &str, sk: &str) {
        self.call("DeleteItem", &json!({"TableName": "test-links", "Key": {"pk": {"S": pk}, "sk": {"S": sk}}}));
    }

    /// Updates a user or a group by hand.
    fn update(&self, table: &str, sort: (&str, &str), expression: &str, values: Value) {
        let key = json!({"tenant": {"S": "acme"}, sort.0: {"S": sort.1}});
        let mut body = json!({"TableName": format!("test-{table}"), "Key": key, "UpdateExpression": expression});
        if expression.contains('#') {
            body["ExpressionAttributeNames"] =
                json!({"#n": expression.split(' ').nth(1).unwrap().trim_start_matches('#')});
            body["UpdateExpression"] = json!("SET #n = :v");
        }
        if !values.is_null() {
            body["ExpressionAttributeValues"] = values;
        }
        self.call("UpdateItem", &body);
    }

    fn update_bob(&self, expression: &str, values: Value) {
        self.update("users", ("userName", "bob"), expression, values);
    }

    fn update_team(&self, expression: &str, values: Value) {
        self.update("groups", ("id", &self.team), expression, values);
    }

    fn item(&self, table: &str, key: &Value) -> Value {
        let body = json!({"TableName": format!("test-{table}"), "Key": key, "ConsistentRead": true});
        let (status, answer) = self.harness.engine.call("GetItem", body.to_string().as_bytes());
        assert_eq!(status, 200);
        serde_json::from_slice::<Value>(&answer).unwrap()["Item"].clone()
    }

    fn member_row(&self, group: &str) -> String {
        format!("acme#member#{group}")
    }

    /// A change of many members that the team names, without its ids and its job.
    fn name_batch(&self, is_whole: bool) {
        let batch = json!({"M": {"req": {"S": "r1"}, "at": {"N": "1767225600000"}, "whole": {"BOOL": is_whole},
            "mby": {"M": {}}}});
        self.update_team("SET memberBatch = :batch", json!({":batch": batch}));
    }

    fn put_batch_row(&self) {
        self.put_row(&format!("acme#batch#{}#r1", self.team), &self.ann, json!({"add": {"BS": [bytes(&self.ann)]}}));
    }

    /// The checks that fail, and whether each was mended.
    async fn verify(&self, method: &str) -> Vec<(String, bool)> {
        let mut damages = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/tenants/acme/verify?cursor={cursor}");
            let page = ask(&self.harness, &self.admin, method, &path, Value::Null).await;
            assert_eq!(page.status, 200, "{page:?}");
            for damage in page.body["damages"].as_array().unwrap() {
                let check = damage["check"].as_str().unwrap().to_owned();
                damages.push((check, damage["isMended"].as_bool().unwrap()));
            }
            match page.body["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return damages,
            }
        }
    }
}

async fn group(harness: &Harness, body: Value) -> String {
    let reply = harness.send("POST", "/Groups", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

fn bytes(id: &str) -> String {
    STANDARD.encode(uuid::Uuid::try_parse(id).unwrap().as_bytes())
}

type Break = fn(&Tenant);

/// Each kind of damage: its name, and how it comes about.
fn damages() -> Vec<(&'static str, Break)> {
    vec![
        ("user.key", |t| {
            let mut item = t.item("users", &json!({"tenant": {"S": "acme"}, "userName": {"S": "bob"}}));
            let key = json!({"tenant": {"S": "acme"}, "userName": {"S": "bob"}});
            t.call("DeleteItem", &json!({"TableName": "test-users", "Key": key}));
            item["userName"] = json!({"S": "robert"});
            t.call("PutItem", &json!({"TableName": "test-users", "Item": item}));
        }),
        ("user.external-id", |t| t.update_bob("SET externalId = :v", json!({":v": {"S": "other"}}))),
        ("user.external-id", |t| t.update_bob("REMOVE externalId", Value::Null)),
        ("user.email", |t| t.update_bob("SET email = :v", json!({":v": {"S": "other@x"}}))),
        ("user.hour", |t| t.update_bob("SET #hour = :v", json!({":v": {"S": "2001-01-01T00"}}))),
        ("user.email-row", |t| t.delete_row("acme#email#b#3@x", &t.bob)),
        ("user.twice", |t| {
            let mut item = t.item("users", &json!({"tenant": {"S": "acme"}, "userName": {"S": "bob"}}));
            // As a rename that a restore has torn: the old item is there, too.
            item["userName"] = json!({"S": "rob"});
            item["doc"] = json!({"S": "{\"userName\":\"rob\"}"});
            item["modified"] = json!({"N": "1"});
            for name in ["email", "externalId"] {
                item.as_object_mut().unwrap().remove(name);
            }
            item["hour"] = json!({"S": "1970-01-01T00"});
            t.call("PutItem", &json!({"TableName": "test-users", "Item": item}));
            t.update_bob("SET ver = :v", json!({":v": {"N": "9"}}));
        }),
        ("group.name", |t| t.update_team("SET #name = :v", json!({":v": {"S": "other"}}))),
        ("group.external-id", |t| t.update_team("SET externalId = :v", json!({":v": {"S": "T"}}))),
        ("group.name-row", |t| t.delete_row("acme#name#team #1", ".")),
        ("group.name-row", |t| t.put_row("acme#name#team #1", ".", json!({"g": {"S": GONE}}))),
        ("batch.job", |t| {
            t.name_batch(false);
            t.put_batch_row();
        }),
        ("batch.empty", |t| {
            t.name_batch(false);
            let job = json!({"work": {"S": "batch"}, "req": {"S": "r1"}, "at": {"N": "1767225600000"}});
            // The lane of the tenant's batches.
            t.put_row("job#02", &format!("acme#{}.r1", t.team), job);
        }),
        ("batch.unreadable", |t| t.update_team("SET memberBatch = :v", json!({":v": {"S": "?"}}))),
        ("membership.row", |t| t.delete_row(&t.member_row(&t.team), &t.bob)),
        ("membership.row", |t| t.delete_row(&t.member_row(&t.team), &t.child)),
        ("membership.group", |t| {
            t.update_bob("ADD groupIds :v", json!({":v": {"BS": [bytes(GONE)]}}));
        }),
        ("member-row.group", |t| {
            t.put_row(&t.member_row(GONE), &t.ann, json!({"t": {"S": "User"}, "created": {"N": "1"}}));
        }),
        ("member-row.member", |t| {
            t.put_row(&t.member_row(&t.team), GONE, json!({"t": {"S": "User"}, "created": {"N": "1"}}));
        }),
        ("member-row.membership", |t| {
            t.put_row(&t.member_row(&t.team), &t.ann, json!({"t": {"S": "User"}, "created": {"N": "1"}}));
        }),
        ("member-row.membership", |t| t.update_bob("REMOVE groupIds", Value::Null)),
        ("member-row.type", |t| {
            t.put_row(&t.member_row(&t.team), &t.bob, json!({"t": {"S": "Group"}, "created": {"N": "1"}}));
        }),
        ("member-row.created", |t| t.put_row(&t.member_row(&t.team), &t.bob, json!({"t": {"S": "User"}}))),
        ("name-row", |t| t.put_row("acme#name#nobody", ".", json!({"g": {"S": GONE}}))),
        ("name-row", |t| t.put_row("acme#name#a#b", ".", json!({"g": {"S": t.team}}))),
        ("email-row", |t| t.put_row("acme#email#x#y@x", GONE, json!({}))),
        ("email-row", |t| t.put_row("acme#email#former@x", &t.bob, json!({}))),
        ("batch-row", |t| t.put_batch_row()),
        ("job.unreadable", |t| t.put_row("job#03", "acme#x", json!({"work": {"S": "of nobody"}}))),
        ("job.lane", |t| {
            let job = json!({"work": {"S": "tombstone"}, "req": {"S": "r"}, "at": {"N": "1767225600000"}});
            t.put_row("job#0b", "acme#a", job);
        }),
        ("tombstone.job", |t| t.put_row("acme#tombstone", GONE, json!({}))),
        ("tombstone.living", |t| t.put_row("acme#tombstone", &t.bob, json!({}))),
        ("tombstone.living", |t| t.put_row("acme#tombstone", &t.team, json!({}))),
        ("count", |t| t.delete_row("acme#counter", "users")),
        ("count", |t| {
            let row = t.item("links", &json!({"pk": {"S": "acme#counter"}, "sk": {"S": "users"}}));
            let mut counts = STANDARD.decode(row["n"]["B"].as_str().unwrap()).unwrap();
            counts[3] += 1;
            t.put_row(
                "acme#counter",
                "users",
                json!({"n": {"B": STANDARD.encode(&counts)}, "seq": row["seq"],
                "counted": row["counted"]}),
            );
        }),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_damage_is_named_mended_and_gone() {
    each_damage().await;
}

/// Examines and mends each kind of damage.
pub async fn each_damage() {
    if !is_embedded() {
        return;
    }
    let mut kinds = std::collections::BTreeSet::new();
    for (number, (check, damage)) in damages().into_iter().enumerate() {
        let tenant = Tenant::new().await;
        assert_eq!(tenant.verify("GET").await, [], "before");
        damage(&tenant);
        let found = tenant.verify("GET").await;
        assert_eq!(found[0], (check.to_owned(), false), "{number}: a look changes nothing");
        // Who is there twice is counted twice, and a name row of a group that is gone is wrong from both sides.
        let follows = [("user.twice", "count"), ("group.name-row", "name-row")];
        let is_other = |(other, _): &&(String, bool)| !follows.contains(&(check, other.as_str()));
        assert_eq!(found[1..].iter().filter(is_other).collect::<Vec<_>>(), Vec::<&(String, bool)>::new(), "{number}");
        assert_eq!(tenant.verify("POST").await, [(check.to_owned(), true)], "{number}: {check} is mended");
        assert_eq!(tenant.verify("GET").await, [], "{number}: {check} after the repair");
        kinds.insert(check);
    }
    assert!(kinds.len() >= 20, "{}", kinds.len());
}

#[tokio::test(start_paused = true)]
async fn all_damage_at_once_is_mended() {
    if !is_embedded() {
        return;
    }
    let tenant = Tenant::new().await;
    let not_together = ["user.key", "user.twice", "batch.empty", "batch.unreadable", "member-row.membership"];
    let mut kinds = std::collections::BTreeSet::new();
    for (check, damage) in damages().into_iter().filter(|(check, _)| !not_together.contains(check)) {
        if kinds.insert(check) {
            damage(&tenant);
        }
    }
    let found = tenant.verify("POST").await;
    // Some are of one pair, and the first look mends both.
    assert!(found.len() + 4 >= kinds.len() && found.iter().all(|(_, is_mended)| *is_mended), "{found:?}");
    tenant.harness.settle().await;
    worker::recount(&tenant.harness.app.store, &Clock::System).await.unwrap();
    assert_eq!(tenant.verify("POST").await, []);
    let team = tenant.harness.send("GET", &format!("/Groups/{}", tenant.team), None).await;
    assert_eq!(team.body["displayName"], "Team #1");
}

#[tokio::test(start_paused = true)]
async fn what_nothing_mends_is_named_and_left() {
    if !is_embedded() {
        return;
    }
    let tenant = Tenant::new().await;
    tenant.update_bob("SET doc = :v", json!({":v": {"S": "{"}}));
    tenant.update("groups", ("id", &tenant.child), "SET doc = :v", json!({":v": {"S": "?"}}));
    let found = tenant.verify("POST").await;
    let expected = [("user.unreadable".to_owned(), false), ("group.unreadable".to_owned(), false)];
    assert_eq!(found, expected);
    let tenant = Tenant::new().await;
    let mut double = tenant.item("groups", &json!({"tenant": {"S": "acme"}, "id": {"S": tenant.team}}));
    double["id"] = json!({"S": GONE});
    tenant.call("PutItem", &json!({"TableName": "test-groups", "Item": double}));
    assert_eq!(tenant.verify("POST").await, [("group.name-shared".to_owned(), false)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_leaves_to_the_worker_is_no_damage() {
    crashes().await;
}

/// Examines what requests that died have left.
pub async fn crashes() {
    if !is_embedded() {
        return;
    }
    let tenant = Tenant::new().await;
    let harness = &tenant.harness;
    let mut members = Vec::new();
    for number in 0..70 {
        members.push(json!({"value": harness.user(&format!("m{number}")).await}));
    }
    worker::recount(&harness.app.store, &Clock::System).await.unwrap();
    let add = patch(json!([{"op": "add", "path": "members", "value": members}]));
    for at in 3..14 {
        let dying = harness.again(vec![Crash::after(at) as Arc<dyn Layer>]).await;
        dying.send("PATCH", &format!("/Groups/{}", tenant.team), add.clone()).await;
        assert_eq!(tenant.verify("GET").await, [], "a batch, {at}");
        assert_eq!(tenant.verify("POST").await, [], "a batch, {at}");
    }
    harness.settle().await;
    // All of them are members now, so that a page looks many up at once.
    assert_eq!(harness.send("PATCH", &format!("/Groups/{}", tenant.team), add).await.status, 204);
    assert_eq!(tenant.verify("GET").await, []);
    assert_eq!(tenant.verify("POST").await, []);
    let remove = patch(json!([{"op": "replace", "path": "members", "value": [{"value": tenant.bob}]}]));
    harness.send("PATCH", &format!("/Groups/{}", tenant.team), remove).await;
    assert_eq!(tenant.verify("GET").await, []);
    assert_eq!(harness.send("DELETE", &format!("/Groups/{}", tenant.team), None).await.status, 204);
    assert_eq!(tenant.verify("GET").await, [], "a deleted group");
    harness.settle().await;
    assert_eq!(tenant.verify("GET").await, []);
}

#[tokio::test(start_paused = true)]
async fn the_name_of_a_group_that_is_gone_is_claimed_by_the_next() {
    if !is_embedded() {
        return;
    }
    let tenant = Tenant::new().await;
    tenant.put_row("acme#name#left", ".", json!({"g": {"S": GONE}}));
    let left = group(&tenant.harness, json!({"displayName": "Left"})).await;
    tenant.put_row("acme#name#renamed", ".", json!({"g": {"S": GONE}}));
    let rename = patch(json!([{"op": "replace", "path": "displayName", "value": "Renamed"}]));
    assert_eq!(tenant.harness.send("PATCH", &format!("/Groups/{left}"), rename).await.status, 204);
    assert_eq!(tenant.verify("GET").await, []);
    let again = tenant.harness.send("POST", "/Groups", json!({"displayName": "renamed"})).await;
    again.assert_error(409, "uniqueness");
}

#[tokio::test(start_paused = true)]
async fn a_count_is_compared_before_it_is_corrected() {
    if !is_embedded() {
        return;
    }
    let tenant = Tenant::new().await;
    let count = async || ask(&tenant.harness, &tenant.admin, "POST", "/tenants/acme/count", Value::Null).await.body;
    assert_eq!(count().await, json!({"users": 2, "drift": 0, "corrected": false}));
    tenant.harness.user("of no stream").await;
    assert_eq!(count().await, json!({"users": 3, "drift": 1, "corrected": true}));
    assert_eq!(count().await, json!({"users": 3, "drift": 0, "corrected": false}));
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_something_else_is_refused() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    for cursor in ["x", "eyJVc2Vyc", "bnVsbA"] {
        let reply = ask(&harness, &admin, "GET", &format!("/tenants/acme/verify?cursor={cursor}"), Value::Null).await;
        assert_eq!(reply.status, 400, "{reply:?}");
    }
    assert_eq!(ask(&harness, &admin, "GET", "/tenants/nobody/verify", Value::Null).await.status, 404);
}
