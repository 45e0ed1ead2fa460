//! What the worker sends out besides the feed: the bus, and what is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::{SignedDuration, Timestamp};
use rollcall::app::Clock;
use rollcall::app::bus::EventBus;
use rollcall::app::topic::Topic;
use rollcall::sigv4::{AMAZON_ROOTS, ServiceCall, SignedClient};
use rollcall::worker::presence::Presence;
use rollcall::worker::{self, Channels, StreamResponse};
use serde_json::{Value, json};

use super::{group, types};
use crate::support::canned::Canned;
use crate::support::crash::Crash;
use crate::support::feed::{Pump, Reader};
use crate::support::{Harness, access, is_embedded, key};

async fn hand_over(harness: &Harness, clock: &Clock, channels: &Channels, event: Value) -> StreamResponse {
    let event = serde_json::from_value(event).unwrap();
    let role = Some((worker::HANDLER, worker::ACCESS));
    access::ROLE.scope(role, worker::handle_with(&harness.app.store, clock, channels, event)).await
}

/// Hands over what the streams have.
async fn pump(harness: &Harness, pump: &Pump, channels: &Channels) -> Vec<StreamResponse> {
    let mut answers = Vec::new();
    for records in pump.peek(harness, 1_000) {
        answers.push(hand_over(harness, &Clock::System, channels, json!({"Records": records})).await);
    }
    answers
}

/// As the scheduler hands it over.
async fn daily(harness: &Harness, channels: &Channels) -> StreamResponse {
    let event = json!({"daily": true});
    hand_over(harness, &Clock::System, channels, event).await
}

fn is_fine(answer: &StreamResponse) -> bool {
    serde_json::to_value(answer).unwrap() == json!({"batchItemFailures": []})
}

fn on_bus(canned: &Canned) -> Channels {
    Channels { bus: Some(EventBus::new(canned.client(), "product".to_owned())), ..Channels::default() }
}

fn all_put(request: &str) -> String {
    let count = serde_json::from_str::<Value>(request).unwrap()["Entries"].as_array().unwrap().len();
    json!({"FailedEntryCount": 0, "Entries": vec![json!({"EventId": "x"}); count]}).to_string()
}

fn entries(canned: &Canned) -> Vec<Vec<Value>> {
    let entries = |body: &str| serde_json::from_str::<Value>(body).unwrap()["Entries"].as_array().unwrap().clone();
    canned.asked().iter().map(|asked| entries(&asked.body)).collect()
}

#[tokio::test]
async fn events_are_on_the_bus_as_in_the_feed_and_what_fails_alone_comes_again_alone() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    // The third entry fails once, the second call altogether.
    let canned = Canned::start(|number, asked| match number {
        0 => {
            let mut answer: Value = serde_json::from_str(&all_put(&asked.body)).unwrap();
            answer["FailedEntryCount"] = json!(1);
            answer["Entries"][2] = json!({"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"});
            (200, answer.to_string())
        }
        1 => (503, "later".to_owned()),
        _ => (200, all_put(&asked.body)),
    });
    let channels = on_bus(&canned);
    let from_start = Pump::new(&harness);
    for number in 0..12 {
        harness.user(&format!("u{number}")).await;
    }
    group(&harness, "team").await;
    assert!(pump(&harness, &from_start, &channels).await.iter().all(|it| is_fine(it) && it.bus_failures() == 0));
    let events = Reader::new(&harness).await.read(&harness, 100).await;
    let put = entries(&canned);
    assert_eq!(put.iter().map(Vec::len).collect::<Vec<_>>(), [10, 1, 1, 2, 1]);
    assert_eq!(put[1], [put[0][2].clone()]);
    let details: Vec<Value> = [&put[0][..], &put[3], &put[4]].concat().iter().map(detail).collect();
    assert_eq!(details, events);
    for entry in put.iter().flatten() {
        let expected = json!({"Source": "rollcall", "DetailType": detail(entry)["type"], "Detail": entry["Detail"],
            "Resources": ["acme"], "EventBusName": "product"});
        assert_eq!(*entry, expected);
    }
    let asked = &canned.asked()[0];
    assert_eq!((asked.line.as_str(), asked.header("x-amz-target")), ("POST / HTTP/1.1", "AWSEvents.PutEvents"));
    let signature = asked.header("authorization");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && signature.contains("/eu-west-1/events/aws4"));
    // The same records again are on the bus already.
    pump(&harness, &from_start, &channels).await;
    assert_eq!(entries(&canned).len(), put.len());
}

fn detail(entry: &Value) -> Value {
    serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_bus_that_refuses_holds_nothing_up_and_gets_them_later() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let mut before = Pump::new(&harness);
    harness.user("before").await;
    before.run(&harness).await;
    let canned = Canned::start(|number, asked| match number {
        0 => (400, r#"{"__type":"ResourceNotFoundException"}"#.to_owned()),
        _ => (200, all_put(&asked.body)),
    });
    let channels = on_bus(&canned);
    harness.user("refused").await;
    let answers = pump(&harness, &before, &channels).await;
    assert!(answers.iter().all(is_fine));
    assert_eq!(answers.iter().map(StreamResponse::bus_failures).sum::<u64>(), 1);
    let events = Reader::new(&harness).await.read(&harness, 10).await;
    assert_eq!(events.len(), 2, "the feed has it");
    let daily = daily(&harness, &channels).await;
    assert_eq!(daily.bus_failures(), 0);
    // What came before the bus was named is not put on it.
    let put: Vec<_> = entries(&canned)[1..].concat().iter().map(detail).collect();
    assert_eq!(put, [events[1].clone()]);
}

#[tokio::test]
async fn a_worker_that_dies_at_any_call_puts_each_event_on_the_bus_at_least_once() {
    if !is_embedded() {
        return;
    }
    let mut points = 0;
    // The SDK tries again in real time, so that each point takes a second.
    for crash in (1..).step_by(2).flat_map(|at| [Crash::before(at), Crash::after(at + 1)]) {
        let harness = Harness::new().await;
        let mut from_start = Pump::new(&harness);
        harness.user("earlier").await;
        let canned = Canned::start(|_, asked| (200, all_put(&asked.body)));
        let channels = on_bus(&canned);
        pump(&harness, &from_start, &channels).await;
        from_start.run(&harness).await;
        for number in 0..3 {
            harness.user(&format!("u{number}")).await;
        }
        let dying = harness.again(vec![crash.clone()]).await;
        pump(&dying, &from_start, &channels).await;
        if !crash.happened() {
            break;
        }
        points += 1;
        pump(&harness, &from_start, &channels).await;
        let events = Reader::new(&harness).await.read(&harness, 10).await;
        let put: BTreeSet<_> = entries(&canned).concat().iter().map(|entry| detail(entry)["id"].to_string()).collect();
        assert_eq!(put, events.iter().map(|event| event["id"].to_string()).collect(), "{crash:?}");
    }
    assert!(points >= 8, "{points} points");
}

#[tokio::test]
async fn a_batch_that_was_given_up_is_a_gap_for_its_tenants_once() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let from_start = Pump::new(&harness);
    harness.user("lost").await;
    let records = from_start.peek(&harness, 10).remove(0);
    let payload = json!({"Records": records}).to_string();
    let object = json!({"requestContext": {"condition": "RetryAttemptsExhausted"}, "payload": payload}).to_string();
    let canned = Canned::start(move |_, asked| match asked.line.contains("readable") {
        true => (200, object.clone()),
        false => (403, "AccessDenied".to_owned()),
    });
    let channels = Channels { client: Some(canned.client()), ..Channels::default() };
    let give_up = async |name: &str| {
        let detail = json!({"bucket": {"name": "lost-bucket"}, "object": {"key": format!("aws/lambda/{name} 1")}});
        let event = json!({"source": "aws.s3", "detail-type": "Object Created", "detail": detail});
        let answer = hand_over(&harness, &Clock::System, &channels, event).await;
        assert_eq!(answer.error(), None);
    };
    let mut reader = Reader::new(&harness).await;
    for _ in 0..2 {
        give_up("readable").await;
    }
    assert_eq!(types(&reader.read(&harness, 10).await), ["feed.gap"]);
    let rows =
        async |tenant: &str| format!("{:?}", harness.app.store.feed_heads(&tenant.parse().unwrap()).await.unwrap());
    assert!(!rows("globex").await.contains("count"), "another tenant has no gap");
    let asked = &canned.asked()[0];
    assert_eq!(asked.line, "GET /lost-bucket/aws/lambda/readable%201 HTTP/1.1");
    assert!(asked.header("authorization").contains("/s3/aws4_request"));
    assert!(!asked.header("x-amz-content-sha256").is_empty());
    // Whose it was is not known: all feeds have a gap, of both tables.
    give_up("secret").await;
    assert_eq!(types(&reader.read(&harness, 10).await), ["feed.gap", "feed.gap"]);
    assert_eq!(rows("globex").await.matches("count: 1").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_was_away_for_a_day_writes_a_gap_into_every_feed() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let channels = || Channels { presence: Some(Presence::default()), ..Channels::default() };
    let at = |hours: f64| {
        let now = Timestamp::now() + SignedDuration::from_secs((hours * 3_600.0) as i64);
        Clock::Fixed(Arc::new(move || now))
    };
    let mut from_start = Pump::new(&harness);
    harness.user("a").await;
    let mut reader = Reader::new(&harness).await;
    let mut work = async |hours: f64| {
        for records in from_start.peek(&harness, 10) {
            if !records.is_empty() {
                let answer = hand_over(&harness, &at(hours), &channels(), json!({"Records": records})).await;
                assert!(is_fine(&answer));
            }
        }
        from_start.run(&harness).await;
        let events = reader.read(&harness, 10).await;
        types(&events).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(work(0.0).await, ["user.created"]);
    // A record of now that is handed over a day later: the worker was away.
    harness.user("b").await;
    assert_eq!(work(25.0).await, ["feed.gap", "user.created"]);
    // The daily run leaves a record where nobody changes anything; its record alone is no event.
    assert!(is_fine(&daily(&harness, &channels()).await));
    assert!(work(25.5).await.is_empty());
    assert!(is_fine(&daily(&harness, &channels()).await));
    assert_eq!(work(60.0).await, ["feed.gap", "feed.gap"], "of users and of groups");
}

/// An emulated AWS with buses and queues, if there is one (`make e2e-bus`).
fn emulated() -> Option<SignedClient> {
    let url = std::env::var("ROLLCALL_TEST_AWS").ok()?;
    let credentials = SharedCredentialsProvider::new(Credentials::from_keys("test", "test", None));
    Some(SignedClient::new("us-east-1".to_owned(), credentials, Some(url), AMAZON_ROOTS.to_vec()).unwrap())
}

async fn ask(client: &SignedClient, service: &str, target: &str, body: Value) -> Value {
    let version = if service == "sqs" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
    let headers = [("content-type", version), ("x-amz-target", target)];
    let body = body.to_string();
    let (host, method, path) = (service, "POST", "/");
    let call = ServiceCall { service, host, method, path, headers: &headers, body: body.as_bytes() };
    let answer = client.send(call).await.unwrap();
    if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() }
}

#[tokio::test]
async fn a_rule_of_an_emulated_bus_brings_the_events_of_a_tenant_to_a_queue() {
    let Some(client) = emulated().filter(|_| is_embedded()) else { return };
    let name = format!("product-{:x}", crate::support::random());
    ask(&client, "events", "AWSEvents.CreateEventBus", json!({"Name": name})).await;
    let queue = ask(&client, "sqs", "AmazonSQS.CreateQueue", json!({"QueueName": name})).await;
    let url = queue["QueueUrl"].clone();
    let names = json!({"QueueUrl": url, "AttributeNames": ["QueueArn"]});
    let arn = ask(&client, "sqs", "AmazonSQS.GetQueueAttributes", names).await["Attributes"]["QueueArn"].clone();
    let pattern =
        json!({"source": ["rollcall"], "detail-type": ["user.created", "user.deactivated"], "resources": ["acme"]});
    let rule = json!({"Name": name, "EventBusName": name, "EventPattern": pattern.to_string()});
    ask(&client, "events", "AWSEvents.PutRule", rule).await;
    let targets = json!({"Rule": name, "EventBusName": name, "Targets": [{"Id": "queue", "Arn": arn}]});
    ask(&client, "events", "AWSEvents.PutTargets", targets).await;

    let harness = Harness::new().await;
    let channels = Channels { bus: Some(EventBus::new(client.clone(), name)), ..Channels::default() };
    let from_start = Pump::new(&harness);
    for number in 0..25 {
        harness.user(&format!("u{number}")).await;
    }
    group(&harness, "not-asked-for").await;
    assert!(pump(&harness, &from_start, &channels).await.iter().all(|it| is_fine(it) && it.bus_failures() == 0));
    let events = Reader::new(&harness).await.read(&harness, 100).await;
    let mut came = BTreeSet::new();
    for _ in 0..50 {
        let request = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        let answer = ask(&client, "sqs", "AmazonSQS.ReceiveMessage", request).await;
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            assert_eq!((&envelope["source"], &envelope["resources"]), (&json!("rollcall"), &json!(["acme"])));
            assert_eq!(envelope["detail-type"], envelope["detail"]["type"]);
            came.insert(envelope["detail"].to_string());
            let done = json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]});
            ask(&client, "sqs", "AmazonSQS.DeleteMessage", done).await;
        }
        if came.len() == 25 {
            break;
        }
    }
    let expected: BTreeSet<_> =
        events.iter().filter(|event| event["type"] == "user.created").map(Value::to_string).collect();
    assert_eq!(came.len(), 25);
    assert_eq!(came, expected);
}

#[tokio::test]
async fn a_key_that_expires_and_a_silent_tenant_are_one_notice_each() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let canned = Canned::start(|number, _| (if number == 1 { 403 } else { 200 }, "<PublishResponse/>".to_owned()));
    let topic = Some(Topic::new(canned.client(), "arn:aws:sns:x:1:notices".to_owned()));
    let channels = Channels { topic, ..Channels::default() };
    let acme = "acme".parse().unwrap();
    let day = |days: i64| SignedDuration::from_hours(24 * days);
    let start = Timestamp::now();
    let expires = start + day(40);
    key(&harness.app.store, &acme, |record| {
        (record.description, record.expires, record.used) = ("Entra".to_owned(), Some(expires), Some(start + day(39)));
    })
    .await;
    // Revoked, rotated, and without an end: none of these is a notice.
    key(&harness.app.store, &acme, |record| (record.expires, record.revoked) = (Some(expires), Some(start))).await;
    key(&harness.app.store, &acme, |record| (record.expires, record.retires) = (Some(expires), Some(expires))).await;
    let mut reader = Reader::new(&harness).await;
    let mut notices = Vec::new();
    for days in [1, 10, 11, 20, 34, 35, 39, 39] {
        let clock = Clock::Fixed(Arc::new(move || start + day(days)));
        assert!(is_fine(&hand_over(&harness, &clock, &channels, json!({"daily": true})).await));
        let events = reader.read(&harness, 10).await;
        notices.extend(events.into_iter().map(|event| (days, event["type"].as_str().unwrap().to_owned(), event)));
    }
    let kinds: Vec<_> = notices.iter().map(|(days, kind, _)| (*days, kind.as_str())).collect();
    assert_eq!(kinds, [(10, "key.expiring"), (34, "key.expiring"), (39, "key.expiring")]);
    let event = &notices[0].2;
    assert_eq!((&event["resource"]["type"], &event["resource"]["description"]), (&json!("Key"), &json!("Entra")));
    assert!(event["expires"].as_str().unwrap().ends_with('Z') && event["tenant"] == "acme");
    // All keys of globex were used at the start: one notice, for the silence of one time. The topic refused it once, and
    // the next run sent it again.
    let of_globex: Vec<_> = canned.asked().into_iter().filter(|asked| asked.body.contains("globex")).collect();
    assert_eq!(of_globex.len(), 2);
    assert!(of_globex[0].body.contains("tenant.silent") && of_globex[0].body.starts_with("Action=Publish"));
    assert_eq!(canned.asked().len(), 5);
}
