//! The worker that reads streams itself: one of several, through new shards, and with gaps for what is gone.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rollcall::app::Clock;
use rollcall::limits::FOLLOWER_LEASE_SECONDS;
use rollcall::store::dynamo::streams::Streams;
use rollcall::store::dynamo::tables::Table;
use rollcall::store::ops::changes::follower::{FollowerPlace, ShardPlace};
use rollcall::worker::follow::Follower;
use serde_json::{Value, json};

use super::{group, types};
use crate::serve::{ROLLCALL, request};
use crate::support::feed::Reader;
use crate::support::{Harness, is_embedded};

fn streams(harness: &Harness) -> Streams {
    Streams::Embedded(harness.engine.clone())
}

fn one_of_several(harness: &Harness, owner: &str, clock: &Clock) -> Follower {
    Follower::one_of_several(harness.app.store.clone(), streams(harness), clock.clone(), owner.to_owned())
}

#[tokio::test(start_paused = true)]
async fn of_two_followers_one_follows_and_the_other_goes_on_where_it_stopped() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (start, shared) = (Timestamp::now(), seconds.clone());
    let now = move || start + SignedDuration::from_secs(shared.load(Ordering::Relaxed));
    let clock = Clock::Fixed(Arc::new(now));
    let (mut one, mut two) = (one_of_several(&harness, "one", &clock), one_of_several(&harness, "two", &clock));
    harness.user("a").await;
    assert_eq!((one.catch_up().await.unwrap(), two.catch_up().await.unwrap()), (1, 0));
    harness.user("b").await;
    assert_eq!((two.catch_up().await.unwrap(), one.catch_up().await.unwrap()), (0, 1));
    // Given up, it is the other's at once.
    harness.user("c").await;
    harness.app.store.release_follower("one").await.unwrap();
    assert_eq!(two.catch_up().await.unwrap(), 1);
    // Who died has it until its time is over.
    drop(two);
    harness.user("d").await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(one.catch_up().await.unwrap(), 0);
    seconds.store(FOLLOWER_LEASE_SECONDS + 1, Ordering::Relaxed);
    assert_eq!(one.catch_up().await.unwrap(), 1);
    let events = Reader::new(&harness).await.read(&harness, 10).await;
    let names: Vec<_> = events.iter().map(|event| event["resource"]["userName"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_stream_has_forgotten_is_a_gap_in_every_feed() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let mut follower = Follower::alone(harness.app.store.clone(), streams(&harness), Clock::System);
    harness.user("a").await;
    group(&harness, "team").await;
    assert_eq!(follower.catch_up().await.unwrap(), 2);
    let mut reader = Reader::new(&harness).await;
    assert_eq!(types(&reader.read(&harness, 10).await), ["user.created", "group.created"]);
    // It was away, and the record after its place is gone. A shard that is not listed any more was not read to its end.
    for (shard, after) in [(None, "000000000000000000001"), (Some("gone"), "1")] {
        let table = harness.app.store.names().of(Table::Users);
        let place = harness.app.store.follower_place(table).await.unwrap().unwrap();
        let shard = shard.map_or_else(|| place.shards.keys().next().unwrap().clone(), str::to_owned);
        let mut shards = place.shards.clone();
        shards.insert(shard, ShardPlace { after: Some(after.to_owned()), is_done: false });
        harness.app.store.put_follower_place(table, &FollowerPlace { shards, ..place }).await.unwrap();
        let mut follower = Follower::alone(harness.app.store.clone(), streams(&harness), Clock::System);
        harness.user(&format!("b{after}")).await;
        follower.catch_up().await.unwrap();
        // The gap comes before what follows it, and nothing that was read comes again.
        assert_eq!(types(&reader.read(&harness, 10).await), ["feed.gap", "user.created"]);
        assert_eq!(follower.catch_up().await.unwrap(), 0);
        assert!(reader.read(&harness, 10).await.is_empty());
    }
    // A tenant without events has the gap, too.
    let globex = "globex".parse().unwrap();
    let heads = harness.app.store.feed_heads(&globex).await.unwrap();
    assert!(format!("{heads:?}").contains("count: 2"), "{heads:?}");
}

#[tokio::test(start_paused = true)]
async fn the_local_engine_deletes_what_has_expired() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let mut follower = Follower::alone(harness.app.store.clone(), streams(&harness), Clock::System);
    harness.user("a").await;
    follower.catch_up().await.unwrap();
    assert_eq!(harness.engine.delete_expired().unwrap(), 0);
    // As if it had been written 31 days ago.
    let table = harness.app.store.names().of(Table::Changes);
    let client = harness.app.store.client();
    let rows = client.scan().table_name(table).send().await.unwrap().items.unwrap();
    let mut row = rows.into_iter().find(|row| row.contains_key("event")).unwrap();
    let yesterday = (Timestamp::now() - SignedDuration::from_hours(24)).as_second();
    row.insert("ttl".to_owned(), aws_sdk_dynamodb::types::AttributeValue::N(yesterday.to_string()));
    client.put_item().table_name(table).set_item(Some(row)).send().await.unwrap();
    assert_eq!(harness.engine.delete_expired().unwrap(), 1);
    assert!(Reader::new(&harness).await.read(&harness, 10).await.is_empty());
}

/// Processes on one engine, ended when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process, and answers with the rest of the line that begins so.
fn start(folder: &Path, args: &[&str], line: &str) -> (Process, String) {
    use std::io::{BufRead, BufReader};
    let mut command = Command::new(ROLLCALL);
    for (name, value) in [("AWS_REGION", "local"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")] {
        command.env(name, value);
    }
    let mut child = command.current_dir(folder).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = lines.find_map(|text| text.unwrap().strip_prefix(line).map(str::to_owned)).unwrap();
    // Kept open: the process may say more.
    std::thread::spawn(move || lines.for_each(drop));
    (Process(child), found)
}

#[test]
fn two_servers_on_one_engine_write_one_feed_also_when_one_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (_engine, engine) =
        start(folder.path(), &["engine", "--listen", "127.0.0.1:0", "--data", "e"], "DynamoDB endpoint: ");
    let run = |args: &[&str]| {
        let mut command = Command::new(ROLLCALL);
        command.env("AWS_REGION", "local").env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x");
        let output = command.args(args).args(["--endpoint-url", &engine]).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    run(&["tables"]);
    run(&["tenant", "create", "acme"]);
    let key = run(&["key", "create", "acme", "--description", "x"]);
    let reader = run(&["key", "create", "acme", "--description", "x", "--scope", "events"]);
    let serve = || {
        let args = ["serve", "--listen", "127.0.0.1:0", "--endpoint-url", &engine];
        start(folder.path(), &args, "Tenant URL: ")
    };
    let (mut processes, urls): (Vec<_>, Vec<_>) = [serve(), serve()].into_iter().unzip();
    let names = |url: &str| -> Vec<String> {
        let feed = url.strip_suffix("/scim/v2").unwrap();
        let answer = request(feed, &reader, "GET", "/events?limit=1000", &Value::Null).unwrap().1;
        let events = answer["events"].as_array().unwrap().clone();
        events.iter().map(|event| event["resource"]["userName"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected = Vec::new();
    let mut create = |count: usize, url: &dyn Fn(usize) -> String| {
        for _ in 0..count {
            let name = format!("u{}", expected.len());
            let created = request(&url(expected.len()), &key, "POST", "/Users", &json!({"userName": name}));
            assert_eq!(created.unwrap().0, 201);
            expected.push(name);
        }
        expected.clone()
    };
    let wait = |url: &str, expected: &[String]| {
        let started = Instant::now();
        while names(url).len() < expected.len() && started.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(names(url), expected);
    };
    let names_so_far = create(10, &|number| urls[number % 2].clone());
    urls.iter().for_each(|url| wait(url, &names_so_far));
    // One of the two is killed, whichever follows: what comes is in the feed all the same.
    drop(processes.remove(0));
    let names_so_far = create(10, &|_| urls[1].clone());
    wait(&urls[1], &names_so_far);
}
