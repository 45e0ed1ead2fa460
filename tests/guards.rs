//! Each named guard of `src/store`: what a client receives when its condition fails. Each test is named after its guard
//! and checks which item's condition failed, so that the guard and no other condition is what it tests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use rollcall::admin::keys::NewCredentialType;
use rollcall::limits::{MAX_TOKENS_PER_WINDOW, TOKEN_SECONDS};
use serde_json::{Value, json};

use crate::admin::ask;
use crate::credentials::{add, new_key, trust, with_issuer};
use crate::support::feed::all_events;
use crate::support::issuer::{claims, token as of_issuer};
use crate::support::pause::Pause;
use crate::support::wire::{Answer, DynamoCall, Layer, Lost};
use crate::support::{Harness, ScimResponse, is_embedded, patch};
use crate::token_endpoint::{token_by_assertion, token_by_secret};
use crate::tokens::issue;

/// The items whose conditions failed, as `table key`.
#[derive(Debug, Default)]
struct FailedConditions(Mutex<Vec<String>>);

impl FailedConditions {
    /// The items since the last time.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Layer for FailedConditions {
    fn after(&self, call: &DynamoCall, (status, body): &Answer) -> Result<(), Lost> {
        if *status != 400 {
            return Ok(());
        }
        let has_failed = |index: usize| match body["CancellationReasons"].as_array() {
            Some(reasons) => reasons[index]["Code"] == "ConditionalCheckFailed",
            None => body["__type"].as_str().is_some_and(|kind| kind.ends_with("ConditionalCheckFailedException")),
        };
        let items = call.written_items().into_iter().enumerate().filter(|(index, _)| has_failed(*index));
        let names = items.map(|(_, (table, key))| format!("{} {key}", table.rsplit('-').next().unwrap()));
        self.0.lock().unwrap().extend(names);
        Ok(())
    }
}

/// Two processes on the same data. The first one's call waits until the test lets it go on.
struct Race {
    slow: Harness,
    other: Harness,
    pause: Arc<Pause>,
    failed: Arc<FailedConditions>,
}

impl Race {
    async fn at_call(operation: &'static str, number: usize) -> Self {
        let other = Harness::new().await;
        let (pause, failed) = (Pause::at_call(operation, number), Arc::<FailedConditions>::default());
        let slow = other.again(vec![pause.clone() as Arc<_>, failed.clone() as Arc<_>]).await;
        Self { slow, other, pause, failed }
    }

    /// The answer to a request during whose call the other process does something.
    async fn run<F: Future<Output = ()>>(&self, (method, path, body): (&str, &str, Value), during: F) -> ScimResponse {
        let body = Some(body).filter(|body| !body.is_null());
        let request = self.slow.send(method, path, body);
        let other = async {
            self.pause.reached().await;
            during.await;
            self.pause.go_on();
        };
        futures_util::future::join(request, other).await.0
    }
}

async fn group(harness: &Harness, name: &str, members: &[String]) -> String {
    let members: Vec<_> = members.iter().map(|id| json!({"value": id})).collect();
    let reply = harness.send("POST", "/Groups", json!({"displayName": name, "members": members})).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["id"].as_str().unwrap().to_owned()
}

/// More than one transaction of a change of members takes.
async fn users(harness: &Harness) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(harness.user(&format!("u{number}")).await);
    }
    ids
}

fn add_member(id: &str) -> Value {
    patch(json!([{"op": "add", "path": "members", "value": [{"value": id}]}]))
}

fn set_title(title: &str) -> Value {
    patch(json!([{"op": "replace", "path": "title", "value": title}]))
}

async fn succeeds(harness: &Harness, method: &str, path: &str, body: impl Into<Option<Value>>) {
    let reply = harness.send(method, path, body).await;
    assert!(reply.status < 300, "{method} {path}: {reply:?}");
}

/// Between the look at the rows of a deletion and the commit of a restore, another deletion may begin.
#[tokio::test(start_paused = true)]
async fn swept_guard_leaves_a_restore_for_later() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let admin = race.other.operator().await;
    let ada = race.other.user("ada").await;
    succeeds(&race.other, "DELETE", &format!("/Users/{ada}"), None).await;
    race.other.settle().await;
    all_events(&race.other).await;
    let later = race.slow.at(Timestamp::now() + SignedDuration::from_secs(60));
    let restore = ask(&later, &admin, "POST", "/tenants/acme/restore", json!({"users": [ada]}));
    let other = async {
        race.pause.reached().await;
        let row = json!({"pk": {"S": "acme#tombstone"}, "sk": {"S": ada}});
        let put = json!({"TableName": "test-links", "Item": row}).to_string();
        assert_eq!(race.other.engine.call("PutItem", put.as_bytes()).0, 200);
        race.pause.go_on();
    };
    let (reply, ()) = futures_util::future::join(restore, other).await;
    assert_eq!(reply.body["conflicts"][0]["reason"], "try-later", "{reply:?}");
    assert_eq!(race.failed.take(), [format!("links acme#tombstone/{ada}")]);
}

/// A variant of `Guard` without a test would be an error that nobody has seen.
#[test]
fn every_guard_has_a_test_of_its_name() {
    let source = include_str!("../src/store/dynamo/write.rs");
    let variants = source.split("enum Guard {").nth(1).unwrap().split('}').next().unwrap();
    let names = variants.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let snake = |name: &str| {
        let parts = name.trim_end_matches(',').chars().map(|c| match c.is_ascii_uppercase() {
            true => format!("_{}", c.to_ascii_lowercase()),
            false => c.to_string(),
        });
        parts.collect::<String>().trim_start_matches('_').to_owned()
    };
    let names: Vec<_> = names.map(snake).collect();
    assert!(names.len() > 9, "{names:?}");
    for name in names {
        assert!(include_str!("guards.rs").contains(&format!("async fn {name}_guard_")), "no test of the guard {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn name_guard_answers_409_uniqueness() {
    if !is_embedded() {
        return;
    }
    let (seed, failed) = (Harness::new().await, Arc::<FailedConditions>::default());
    let harness = seed.again(vec![failed.clone() as Arc<_>]).await;
    let ada = harness.user("ada").await;
    harness.user("bob").await;
    // The further address makes the first a transaction. The rename is one of two items.
    let second_bob = json!({"userName": "Bob", "emails": [{"value": "a@b.c"}, {"value": "d@e.f"}]});
    harness.send("POST", "/Users", second_bob).await.assert_error(409, "uniqueness");
    assert_eq!(failed.take(), ["users acme/bob"]);
    let renamed = json!({"userName": "bob"});
    harness.send("PUT", &format!("/Users/{ada}"), renamed).await.assert_error(409, "uniqueness");
    assert_eq!(failed.take(), ["users acme/bob"]);
    let team = group(&harness, "team", &[]).await;
    group(&harness, "crew", &[]).await;
    harness.send("POST", "/Groups", json!({"displayName": "Crew"})).await.assert_error(409, "uniqueness");
    assert_eq!(failed.take().len(), 1);
    let renamed = json!({"displayName": "crew", "members": [{"value": ada}]});
    harness.send("PUT", &format!("/Groups/{team}"), renamed).await.assert_error(409, "uniqueness");
    let rows = failed.take();
    assert!(rows.len() == 1 && rows[0].starts_with("links acme#name#"), "{rows:?}");
}

/// Without `If-Match` Rollcall computes the change again; with it the answer is 412.
#[tokio::test(start_paused = true)]
async fn version_guard_retries_or_answers_412() {
    if !is_embedded() {
        return;
    }
    for is_guarded_by_client in [false, true] {
        let race = Race::at_call("UpdateItem", 1).await;
        // The use of the key is an UpdateItem too: it is recorded before.
        let ada = race.other.user("ada").await;
        let path = format!("/Users/{ada}");
        let read = race.other.send("GET", &path, None).await;
        let etag = read.headers["etag"].to_str().unwrap().to_owned();
        let headers = [("if-match", etag.as_str())];
        let headers: &[_] = if is_guarded_by_client { &headers } else { &[] };
        let request = race.slow.send_with("PATCH", &path, set_title("late"), headers);
        let other = async {
            race.pause.reached().await;
            let first = patch(json!([{"op": "replace", "path": "nickName", "value": "first"}]));
            succeeds(&race.other, "PATCH", &path, first).await;
            race.pause.go_on();
        };
        let (reply, ()) = futures_util::future::join(request, other).await;
        assert_eq!(race.failed.take(), ["users acme/ada"]);
        assert_eq!(reply.status, if is_guarded_by_client { 412 } else { 200 }, "{reply:?}");
        let after = race.other.send("GET", &path, None).await.body;
        assert_eq!(after["nickName"], "first", "no update is lost");
        assert_eq!(after["title"].is_null(), is_guarded_by_client);
    }
}

/// Of a rename, the version's condition stands before the name's: each has its own answer.
#[tokio::test(start_paused = true)]
async fn version_guard_of_a_rename_is_no_taken_name() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let path = format!("/Users/{}", race.other.user("ada").await);
    let during = succeeds(&race.other, "PATCH", &path, set_title("first"));
    let reply = race.run(("PUT", &path, json!({"userName": "eve"})), during).await;
    assert_eq!((reply.status, &reply.body["userName"]), (200, &json!("eve")), "{reply:?}");
    assert_eq!(race.failed.take(), ["users acme/ada"]);
}

#[tokio::test(start_paused = true)]
async fn version_guard_of_a_group_retries() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let id = group(&race.other, "team", &[]).await;
    let path = format!("/Groups/{id}");
    let during = succeeds(&race.other, "PATCH", &path, patch(json!([{"op": "replace", "value": {"externalId": "x"}}])));
    let reply = race.run(("PUT", &path, json!({"displayName": "crew"})), during).await;
    assert_eq!((reply.status, &reply.body["displayName"]), (200, &json!("crew")), "{reply:?}");
    assert_eq!(race.failed.take(), [format!("groups acme/{id}")]);
}

/// A member that another change moves is read again. One that is deleted is an error of the request.
#[tokio::test(start_paused = true)]
async fn member_guard_reads_the_member_again() {
    if !is_embedded() {
        return;
    }
    for is_deleted in [false, true] {
        let race = Race::at_call("TransactWriteItems", 1).await;
        let ada = race.other.user("ada").await;
        let (team, crew) = (group(&race.other, "team", &[]).await, group(&race.other, "crew", &[]).await);
        let during = async {
            match is_deleted {
                true => succeeds(&race.other, "DELETE", &format!("/Users/{ada}"), None).await,
                false => succeeds(&race.other, "PATCH", &format!("/Groups/{crew}"), add_member(&ada)).await,
            }
        };
        let reply = race.run(("PATCH", &format!("/Groups/{team}"), add_member(&ada)), during).await;
        assert_eq!(race.failed.take(), ["users acme/ada"]);
        match is_deleted {
            true => reply.assert_error(400, "invalidValue"),
            false => {
                assert_eq!(reply.status, 204, "{reply:?}");
                let groups = race.other.send("GET", &format!("/Users/{ada}"), None).await.body["groups"].clone();
                let ids = groups.as_array().unwrap().iter().map(|group| group["value"].as_str().unwrap().to_owned());
                assert_eq!(ids.collect::<BTreeSet<_>>(), BTreeSet::from([team, crew]));
            }
        }
    }
}

/// A worker that takes a batch over carries it out. The request that loses it stops, and answers what is committed.
#[tokio::test(start_paused = true)]
async fn batch_guard_stops_the_carrier_that_lost_its_batch() {
    if !is_embedded() {
        return;
    }
    // The first transaction enqueues the job; the second moves members.
    let race = Race::at_call("TransactWriteItems", 2).await;
    let ids = users(&race.other).await;
    let team = group(&race.other, "team", &[]).await;
    let path = format!("/Groups/{team}");
    let members: Vec<_> = ids.iter().map(|id| json!({"value": id})).collect();
    let during = async {
        assert!(race.other.settle().await > 0);
    };
    let reply = race.run(("PUT", &path, json!({"displayName": "team", "members": members})), during).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let failed = race.failed.take();
    assert!(failed.contains(&format!("groups acme/{team}")), "{failed:?}");
    let after = race.other.send("GET", &path, None).await.body;
    assert_eq!(after["members"].as_array().unwrap().len(), 60);
}

/// A user is deleted while one of its groups is: the deletion goes on without that group. The group is so large that its
/// deletion leaves its members to the worker, so the user's own item does not change.
#[tokio::test(start_paused = true)]
async fn parent_guard_deletes_without_the_group_that_is_gone() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let ids = users(&race.other).await;
    let team = group(&race.other, "team", &ids).await;
    let path = format!("/Users/{}", ids[0]);
    let group_path = format!("/Groups/{team}");
    let during = succeeds(&race.other, "DELETE", &group_path, None);
    let reply = race.run(("DELETE", &path, Value::Null), during).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    // The first deletion of a window finds no window to count in.
    let window = "links acme#hold/users".to_owned();
    assert_eq!(race.failed.take(), [window, format!("groups acme/{team}")]);
    assert_eq!(race.other.send("GET", &path, None).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn key_id_guard_answers_409_uniqueness() {
    if !is_embedded() {
        return;
    }
    let (seed, failed) = (Harness::new().await, Arc::<FailedConditions>::default());
    let harness = seed.again(vec![failed.clone() as Arc<_>]).await;
    let admin = harness.operator().await;
    let body = json!({"description": "x", "type": "federation", "issuer": "https://idp.example.com", "audience": "a",
        "subject": "s", "jwksUri": "https://idp.example.com/keys"});
    let first = ask(&harness, &admin, "POST", "/tenants/acme/keys", body.clone()).await;
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.body["id"].as_str().unwrap();
    let second = ask(&harness, &admin, "POST", "/tenants/acme/keys", body.clone()).await;
    second.assert_error(409, "uniqueness");
    assert_eq!(failed.take(), [format!("keys acme/{id}")]);
    let path = format!("/tenants/acme/keys/{id}");
    assert_eq!(ask(&harness, &admin, "DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(ask(&harness, &admin, "POST", "/tenants/acme/keys", body).await.status, 201, "the old one is revoked");
}

#[tokio::test(start_paused = true)]
async fn tenant_version_guard_answers_503_for_another_try() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let admin = race.other.operator().await;
    let create = ask(&race.slow, &admin, "POST", "/tenants/acme/keys", json!({"description": "x"}));
    let other = async {
        race.pause.reached().await;
        let changed = ask(&race.other, &admin, "PATCH", "/tenants/acme", json!({"profile": "jostle"})).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        race.pause.go_on();
    };
    let (reply, ()) = futures_util::future::join(create, other).await;
    assert_eq!((reply.status, &reply.headers["retry-after"]), (503, &"1".parse().unwrap()), "{reply:?}");
    let failed = race.failed.take();
    assert!(failed.len() == 1 && failed[0].starts_with("keys acme/"), "{failed:?}");
    let again = ask(&race.slow, &admin, "POST", "/tenants/acme/keys", json!({"description": "x"})).await;
    assert_eq!(again.status, 201, "{again:?}");
}

/// The endpoint with an issuer, whose failed conditions are seen.
async fn watched() -> (Harness, Arc<FailedConditions>) {
    let (harness, _) = with_issuer(None).await;
    let failed = Arc::<FailedConditions>::default();
    let store = harness.again(vec![failed.clone() as Arc<_>]).await.app.store.clone();
    let app = rollcall::app::App { store, ..(*harness.app).clone() };
    (Harness { app: Arc::new(app), ..harness }, failed)
}

#[tokio::test(start_paused = true)]
async fn token_count_guard_answers_429_with_the_end_of_the_window() {
    if !is_embedded() {
        return;
    }
    let (harness, failed) = watched().await;
    let client = add(&harness, new_key("acme", NewCredentialType::Client)).await;
    let hour = Timestamp::now().as_second() / TOKEN_SECONDS + 1;
    let then = Timestamp::from_second(hour * TOKEN_SECONDS).unwrap() + SignedDuration::from_secs(1);
    issue(&harness, &client.record, MAX_TOKENS_PER_WINDOW, then).await;
    assert!(failed.take().is_empty());
    let reply = token_by_secret(&harness.at(then), &client).await;
    assert_eq!((reply.status, &reply.headers["retry-after"]), (429, &"3600".parse().unwrap()), "{reply:?}");
    assert_eq!(failed.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn assertion_guard_answers_401_invalid_client() {
    if !is_embedded() {
        return;
    }
    let (harness, failed) = watched().await;
    add(&harness, new_key("acme", NewCredentialType::Federation(trust()))).await;
    let assertion = of_issuer("first", &claims());
    assert_eq!(token_by_assertion(&harness, &assertion).await.status, 200);
    assert!(failed.take().is_empty());
    let reply = token_by_assertion(&harness, &assertion).await;
    assert_eq!((reply.status, &reply.body["error"]), (401, &json!("invalid_client")), "{reply:?}");
    let rows = failed.take();
    assert!(rows.len() == 1 && rows[0].contains(".assertion#"), "{rows:?}");
}

/// Conditions without a name of their own, such as the row of an idempotency key: the second POST finds what the first
/// has created, and is no taken `userName`.
#[tokio::test(start_paused = true)]
async fn other_guard_of_an_idempotency_key_returns_the_first_resource() {
    if !is_embedded() {
        return;
    }
    let race = Race::at_call("TransactWriteItems", 1).await;
    let (headers, body) = ([("idempotency-key", "one")], json!({"userName": "ada"}));
    let request = race.slow.send_with("POST", "/Users", body.clone(), &headers);
    let other = async {
        race.pause.reached().await;
        let first = race.other.send_with("POST", "/Users", body.clone(), &headers).await;
        race.pause.go_on();
        first
    };
    let (second, first) = futures_util::future::join(request, other).await;
    assert_eq!((first.status, second.status), (201, 201), "{second:?}");
    assert_eq!(first.body["id"], second.body["id"]);
    assert!(race.failed.take().iter().any(|item| item.starts_with("links acme#idempotency#")));
}
