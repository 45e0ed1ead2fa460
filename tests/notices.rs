//! What somebody should look at: an event in the feed, a message on the topic, and a mail to each address of the tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rollcall::app::Clock;
use rollcall::app::mail::Mailer;
use rollcall::app::topic::Topic;
use rollcall::limits::{MAX_NOTICE_RETRY_SECONDS, MAX_NOTIFY_ADDRESSES, NOTICE_CLAIM_SECONDS, NOTICE_HOURS};
use rollcall::store::dynamo::tables::Table;
use rollcall::worker::{self, Channels};
use serde_json::{Value, json};

use crate::admin::ask;
use crate::support::canned::{Asked, Canned};
use crate::support::crash::Crash;
use crate::support::feed::Reader;
use crate::support::wire::Layer;
use crate::support::{Harness, access, is_embedded, key, patch};

/// The path of a mail that SES is asked to send.
const SES: &str = "POST /v2/email/outbound-emails HTTP/1.1";

fn channels(canned: &Canned) -> Channels {
    let topic = Some(Topic::new(canned.client(), "arn:aws:sns:x:1:notices".to_owned()));
    let mailer = Some(Mailer::new(canned.client(), "rollcall@example.com".to_owned()));
    Channels { topic, mailer, ..Channels::default() }
}

fn at(now: Timestamp) -> Clock {
    Clock::Fixed(Arc::new(move || now))
}

/// As a schedule hands it over, at that time.
async fn run(harness: &Harness, now: Timestamp, channels: &Channels, event: Value) {
    let event = serde_json::from_value(event).unwrap();
    let role = Some((worker::HANDLER, worker::ACCESS));
    let clock = at(now);
    let answer = access::ROLE.scope(role, worker::handle_with(&harness.app.store, &clock, channels, event)).await;
    assert_eq!(answer.error(), None);
}

async fn set(harness: &Harness, admin: &str, tenant: &str, settings: Value) -> crate::support::ScimResponse {
    ask(harness, admin, "PATCH", &format!("/tenants/{tenant}"), json!({"settings": settings})).await
}

fn mails(canned: &Canned) -> Vec<(String, Value)> {
    let mail = |asked: &Asked| {
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        (body["Destination"]["ToAddresses"][0].as_str().unwrap().to_owned(), body)
    };
    canned.asked().iter().filter(|asked| asked.line == SES).map(mail).collect()
}

/// How often each address was written to.
fn counts(canned: &Canned) -> BTreeMap<String, usize> {
    mails(canned).into_iter().fold(BTreeMap::new(), |mut counts, (address, _)| {
        *counts.entry(address).or_default() += 1;
        counts
    })
}

async fn outbox(harness: &Harness) -> usize {
    let rows = harness.dump(Table::Links).await;
    rows.iter().filter(|row| row["pk"].as_s().unwrap() == "notice").count()
}

/// A key of acme that ends soon.
async fn expiring(harness: &Harness, days: i64) -> Timestamp {
    let now = Timestamp::now();
    let end = now + SignedDuration::from_hours(24 * days);
    key(&harness.app.store, &"acme".parse().unwrap(), |record| {
        (record.description, record.expires, record.used) = ("Entra".to_owned(), Some(end), Some(now));
    })
    .await;
    now
}

#[tokio::test]
async fn each_address_gets_a_notice_once_and_one_that_ses_refuses_gets_it_later_and_stops_nobody() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    // SES refuses one address at first, and does not answer another one.
    let refused = std::sync::Mutex::new(BTreeMap::<String, usize>::new());
    let canned = Canned::start(move |_, asked| {
        let address = ["b@x.yz", "c@x.yz"].into_iter().find(|address| asked.body.contains(address));
        let Some(address) = address else { return (200, "{}".to_owned()) };
        let mut refused = refused.lock().unwrap();
        let count = refused.entry(address.to_owned()).or_default();
        *count += 1;
        match (address, *count) {
            ("b@x.yz", 1 | 2) => (400, r#"{"message":"Email address is not verified: b@x.yz"}"#.to_owned()),
            ("c@x.yz", 1) => (503, "later".to_owned()),
            _ => (200, "{}".to_owned()),
        }
    });
    let notify = json!({"notify": ["a@x.yz", "b@x.yz", "c@x.yz", "d@x.yz"]});
    assert_eq!(set(&harness, &admin, "acme", notify).await.status, 200);
    let channels = channels(&canned);
    let start = expiring(&harness, 20).await;
    run(&harness, start, &channels, json!({"daily": true})).await;
    assert_eq!(counts(&canned), ["a", "b", "c", "d"].map(|name| (format!("{name}@x.yz"), 1)).into());
    // Again at once: what was refused waits, and nobody gets it twice.
    run(&harness, start, &channels, json!({"daily": true})).await;
    run(&harness, start, &channels, json!({})).await;
    assert_eq!(mails(&canned).len(), 4);
    for minutes in [2, 5, 30, 200] {
        run(&harness, start + SignedDuration::from_mins(minutes), &channels, json!({})).await;
    }
    let expected = [("a", 1), ("b", 3), ("c", 2), ("d", 1)].map(|(name, count)| (format!("{name}@x.yz"), count));
    assert_eq!(counts(&canned), expected.into());
    assert_eq!(outbox(&harness).await, 0);
    let topic = canned.asked().into_iter().filter(|asked| asked.body.starts_with("Action=Publish")).count();
    assert_eq!(topic, 1);
    let (_, mail) = &mails(&canned)[0];
    assert_eq!(mail["FromEmailAddress"], "rollcall@example.com");
    assert_eq!(mail["Content"]["Simple"]["Subject"]["Data"], "Rollcall: key.expiring of acme");
    let text = mail["Content"]["Simple"]["Body"]["Text"]["Data"].as_str().unwrap();
    assert!(text.contains("(Entra) of the tenant acme expires at") && text.contains("--notify"), "{text}");
    let asked = canned.asked().into_iter().find(|asked| asked.line == SES).unwrap();
    assert!(asked.header("authorization").contains("/ses/aws4_request"));
}

#[tokio::test]
async fn what_is_refused_for_days_is_given_up_and_nobody_else_waits() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let canned = Canned::start(|_, asked| match asked.body.contains("bad@x.yz") {
        true => (400, "no".to_owned()),
        false => (200, "{}".to_owned()),
    });
    let channels = channels(&canned);
    set(&harness, &admin, "acme", json!({"notify": ["bad@x.yz"]})).await;
    set(&harness, &admin, "globex", json!({"notify": ["good@x.yz"], "silentAfter": "30d"})).await;
    let start = expiring(&harness, 20).await;
    for hours in 0..NOTICE_HOURS + 3 {
        run(&harness, start + SignedDuration::from_hours(hours), &channels, json!({})).await;
        if hours == 0 {
            run(&harness, start, &channels, json!({"daily": true})).await;
        }
    }
    let of_bad = counts(&canned)["bad@x.yz"];
    assert!((50..=usize::try_from(NOTICE_HOURS).unwrap() + 2).contains(&of_bad), "{of_bad}");
    assert_eq!(outbox(&harness).await, 0);
    const { assert!(MAX_NOTICE_RETRY_SECONDS <= 3_600) };
    // Thirty days later the other tenant is silent.
    run(&harness, start + SignedDuration::from_hours(31 * 24), &channels, json!({"daily": true})).await;
    assert_eq!(counts(&canned)["good@x.yz"], 1);
}

/// What stands between a mail and its mark is one call: a run that dies there sends that one mail again, and no other.
#[tokio::test]
async fn a_worker_that_dies_at_any_call_leaves_nobody_out() {
    if !is_embedded() {
        return;
    }
    let mut points = 0;
    for crash in (1..).flat_map(|at| [Crash::before(at), Crash::after(at)]) {
        let harness = Harness::new().await;
        let admin = harness.operator().await;
        set(&harness, &admin, "acme", json!({"notify": ["a@x.yz", "b@x.yz"]})).await;
        let canned = Canned::start(|_, _| (200, "{}".to_owned()));
        let channels = channels(&canned);
        let start = expiring(&harness, 20).await;
        let dying = harness.again(vec![crash.clone() as Arc<dyn Layer>]).await;
        run(&dying, start, &channels, json!({"daily": true})).await;
        if !crash.happened() {
            break;
        }
        points += 1;
        let next = start + SignedDuration::from_secs(NOTICE_CLAIM_SECONDS + 1);
        run(&harness, next, &channels, json!({"daily": true})).await;
        let counts = counts(&canned);
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["a@x.yz", "b@x.yz"], "{crash:?}");
        assert!(counts.values().sum::<usize>() <= 3, "{crash:?}: {counts:?}");
        let events = Reader::new(&harness).await.read(&harness, 10).await;
        assert_eq!(events.len(), 1, "{crash:?}");
        assert_eq!(outbox(&harness).await, 0, "{crash:?}");
    }
    assert!(points >= 16, "{points} points");
}

#[tokio::test(start_paused = true)]
async fn settings_of_notices_are_checked_returned_and_in_the_log() {
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    let many: Vec<_> = (0..=MAX_NOTIFY_ADDRESSES).map(|number| format!("a{number}@x.yz")).collect();
    for (settings, part) in [
        (json!({"notify": ["no address"]}), "settings.notify \"no address\" is not a mail address"),
        (json!({"notify": many}), "settings.notify has more than 10 addresses"),
        (json!({"silentAfter": "0d"}), "settings.silentAfter \"0d\" is not 1d to 90d"),
        (json!({"failingAbove": "x"}), "settings.failingAbove \"x\" is not 0 to 10000"),
    ] {
        let reply = set(&harness, &admin, "acme", settings).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body["detail"].as_str().unwrap().contains(part), "{reply:?}");
    }
    let settings = json!({"notify": ["a@x.yz", "a@x.yz"], "silentAfter": "7d", "failingAbove": "off"});
    let reply = set(&harness, &admin, "acme", settings.clone()).await;
    let found = &reply.body["settings"];
    assert_eq!(
        [&found["notify"], &found["silentAfter"], &found["failingAbove"]],
        [&json!(["a@x.yz"]), &json!("7d"), &json!("off")]
    );
    // What is not named stays, and other settings stay with these.
    let reply = set(&harness, &admin, "acme", json!({"onDeactivation": "suspend"})).await;
    assert_eq!((&reply.body["settings"]["silentAfter"], reply.status), (&json!("7d"), 200));
    let log = ask(&harness, &admin, "GET", "/tenants/acme/log?kind=admin", Value::Null).await;
    let changes = log.body["entries"].as_array().unwrap();
    let change = changes.iter().find(|entry| entry["before"]["failingAbove"] == "20").unwrap();
    assert_eq!((&change["after"]["notify"], &change["after"]["failingAbove"]), (&json!(["a@x.yz"]), &json!("off")));
    let body = json!({"name": "initech", "settings": settings});
    let created = ask(&harness, &admin, "POST", "/tenants", body).await;
    assert_eq!((created.status, &created.body["settings"]["notify"]), (201, &json!(["a@x.yz"])));
    assert_eq!(set(&harness, &admin, "acme", json!({"notify": []})).await.body["settings"]["notify"], json!([]));
}

#[tokio::test]
async fn a_tenant_is_failing_above_its_bound_once_a_day_and_what_is_held_is_no_failure() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    set(&harness, &admin, "acme", json!({"failingAbove": "3", "protect": "hold", "protectUsers": "0%/0"})).await;
    let id = harness.user("bob").await;
    let start = Timestamp::now();
    let refuse = async |count: usize| {
        for _ in 0..count {
            assert_eq!(harness.send("POST", "/Users", json!({"userName": "bob"})).await.status, 409);
        }
    };
    let channels = Channels::default();
    let mut reader = Reader::new(&harness).await;
    let mut look = async |minutes: i64| {
        run(&harness, start + SignedDuration::from_mins(minutes), &channels, json!({"hourly": true})).await;
        let events = reader.read(&harness, 10).await;
        events.into_iter().filter(|event| event["type"] == "tenant.failing").collect::<Vec<_>>()
    };
    refuse(3).await;
    let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
    for _ in 0..5 {
        assert_eq!(harness.send("PATCH", &format!("/Users/{id}"), off.clone()).await.status, 429);
        // A lookup of nobody is no refusal.
        assert_eq!(harness.send("GET", "/Users/nobody", None).await.status, 404);
    }
    assert!(look(1).await.is_empty(), "three are within the bound");
    refuse(1).await;
    let events = look(1).await;
    let [event] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&event["count"], &event["bound"], &event["codes"]), (&json!(4), &json!(3), &json!({"taken": 4})));
    assert_eq!(event["resource"], json!({"type": "Tenant", "id": "acme"}));
    // Once a day, and of an hour that is past nothing is left.
    assert!(look(1).await.is_empty());
    assert!(look(25 * 60).await.is_empty());
    set(&harness, &admin, "globex", json!({"failingAbove": "off"})).await;
}

#[tokio::test]
async fn silence_has_a_bound_of_the_tenants_own() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    let admin = harness.operator().await;
    set(&harness, &admin, "acme", json!({"silentAfter": "10d"})).await;
    set(&harness, &admin, "globex", json!({"silentAfter": "off"})).await;
    let start = Timestamp::now();
    for tenant in ["acme", "globex"] {
        key(&harness.app.store, &tenant.parse().unwrap(), |record| record.used = Some(start)).await;
    }
    let mut reader = Reader::new(&harness).await;
    let mut silent = Vec::new();
    for days in [4, 9, 11, 12, 40] {
        let now = start + SignedDuration::from_hours(24 * days + 1);
        run(&harness, now, &Channels::default(), json!({"daily": true})).await;
        silent.extend(reader.read(&harness, 10).await.iter().map(|event| (days, event["type"].clone())));
    }
    assert_eq!(silent, [(11, json!("tenant.silent"))]);
    let globex = harness.app.store.feed_heads(&"globex".parse().unwrap()).await.unwrap();
    assert!(!format!("{globex:?}").contains("count"), "{globex:?}");
}

/// A tenant that holds after two users, and what its feed says of it.
struct Held {
    harness: Harness,
    admin: String,
    ids: Vec<String>,
    reader: Reader,
    start: Timestamp,
    channels: Channels,
}

impl Held {
    async fn new(canned: &Canned) -> Self {
        let harness = Harness::new().await;
        let admin = harness.operator().await;
        let settings = json!({"protect": "hold", "protectUsers": "0%/2", "notify": ["ops@x.yz"]});
        assert_eq!(set(&harness, &admin, "acme", settings).await.status, 200);
        let mut ids = Vec::new();
        for number in 0..8 {
            ids.push(harness.user(&format!("u{number}")).await);
        }
        let reader = Reader::new(&harness).await;
        Self { harness, admin, ids, reader, start: Timestamp::now(), channels: channels(canned) }
    }

    async fn deactivate(&self, number: usize) -> u16 {
        let off = patch(json!([{"op": "replace", "path": "active", "value": false}]));
        self.harness.send("PATCH", &format!("/Users/{}", self.ids[number]), off).await.status
    }

    async fn decide(&self, body: Value) -> u16 {
        ask(&self.harness, &self.admin, "POST", "/tenants/acme/hold", body).await.status
    }

    /// What is new in the feed of holds once the worker has run, so many minutes after the start.
    async fn events(&mut self, minutes: i64) -> Vec<(String, Value)> {
        run(&self.harness, self.start + SignedDuration::from_mins(minutes), &self.channels, json!({})).await;
        let events = self.reader.read(&self.harness, 10).await;
        let of = |event: Value| (event["type"].as_str().unwrap().to_owned(), event);
        events.into_iter().map(of).filter(|(kind, _)| kind.starts_with("tenant.")).collect()
    }

    async fn decisions(&mut self, minutes: i64) -> Vec<(String, Option<String>)> {
        let decision = |event: &Value| event["decision"].as_str().map(str::to_owned);
        self.events(minutes).await.into_iter().map(|(kind, event)| (kind, decision(&event))).collect()
    }
}

fn said(kind: &str, decision: &str) -> (String, Option<String>) {
    (format!("tenant.{kind}"), Some(decision.to_owned()).filter(|decision| !decision.is_empty()))
}

#[tokio::test]
async fn a_hold_is_reported_once_and_so_are_its_approval_and_its_rejection_and_its_end() {
    if !is_embedded() {
        return;
    }
    let canned = Canned::start(|_, _| (200, "{}".to_owned()));
    let mut held = Held::new(&canned).await;
    assert_eq!([held.deactivate(0).await, held.deactivate(1).await], [200, 200]);
    assert!(held.events(1).await.is_empty(), "nothing is held yet");
    let replies = futures_util::future::join_all((2..6).map(|number| held.deactivate(number))).await;
    assert_eq!(replies, [429; 4]);
    let events = held.events(1).await;
    let [(kind, event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((kind.as_str(), &event["count"], &event["bound"]), ("tenant.held", &json!(2), &json!(2)));
    assert_eq!(event["resource"], json!({"type": "Tenant", "id": "acme"}));
    assert!(event["since"].as_str() < event["until"].as_str(), "{event}");
    assert!(held.events(2).await.is_empty(), "once a window");
    assert_eq!(held.decide(json!({"action": "reject"})).await, 200);
    assert_eq!(held.decisions(3).await, [said("held", "rejected")]);
    assert_eq!(held.deactivate(2).await, 429);
    assert_eq!(held.decide(json!({"action": "once", "count": 1})).await, 200);
    assert_eq!(held.decisions(4).await, [said("released", "once")]);
    assert_eq!([held.deactivate(2).await, held.deactivate(3).await], [200, 429]);
    assert_eq!(held.decisions(5).await, [said("held", "")]);
    // Before the worker has looked.
    assert_eq!(held.decide(json!({"action": "approve"})).await, 200);
    assert_eq!(held.decisions(6).await, [said("released", "approved")]);
    assert_eq!(held.decide(json!({"action": "reject"})).await, 200, "another decision is possible");
    assert_eq!(held.deactivate(3).await, 429);
    assert_eq!(held.decisions(7).await, [said("held", "")]);
    // The approval lengthened the window to two hours.
    assert_eq!(held.decisions(130).await, [said("released", "ended")]);
    assert!(held.events(200).await.is_empty());
    assert_eq!(outbox(&held.harness).await, 0);
    // Each is on the topic and a mail, once.
    let subjects: Vec<_> =
        mails(&canned).into_iter().map(|(_, mail)| mail["Content"]["Simple"]["Subject"]["Data"].clone()).collect();
    let kinds = ["held", "held", "released", "held", "released", "held", "released"];
    assert_eq!(subjects, kinds.map(|kind| json!(format!("Rollcall: tenant.{kind} of acme"))));
    assert_eq!(canned.asked().len(), 2 * kinds.len());
    // And in the log of the tenant.
    let log = ask(&held.harness, &held.admin, "GET", "/tenants/acme/log?kind=change", Value::Null).await;
    let types: Vec<_> = log.body["entries"].as_array().unwrap().iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(types.iter().filter(|kind| kind.as_str().unwrap().starts_with("tenant.")).count(), kinds.len());
}

#[tokio::test]
async fn a_group_that_holds_is_named() {
    if !is_embedded() {
        return;
    }
    let canned = Canned::start(|_, _| (200, "{}".to_owned()));
    let mut held = Held::new(&canned).await;
    let mut members = Vec::new();
    for number in 0..60 {
        members.push(json!({"value": held.harness.user(&format!("m{number}")).await}));
    }
    let group = held.harness.send("POST", "/Groups", json!({"displayName": "g", "members": members})).await;
    let id = group.body["id"].as_str().unwrap().to_owned();
    let empty = json!({"displayName": "g", "members": []});
    assert_eq!(held.harness.send("PUT", &format!("/Groups/{id}"), empty.clone()).await.status, 429);
    let events = held.events(1).await;
    let [(kind, event)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((kind.as_str(), &event["group"]), ("tenant.held", &json!({"id": id})));
    assert_eq!(held.decide(json!({"action": "approve", "group": id})).await, 200);
    assert_eq!(held.decisions(2).await, [said("released", "approved")]);
    assert_eq!(held.harness.send("PUT", &format!("/Groups/{id}"), empty).await.status, 200);
}

#[tokio::test]
async fn what_is_tried_without_writing_is_no_hold() {
    if !is_embedded() {
        return;
    }
    let canned = Canned::start(|_, _| (200, "{}".to_owned()));
    let mut held = Held::new(&canned).await;
    assert_eq!([held.deactivate(0).await, held.deactivate(1).await], [200, 200]);
    let dry = [("rollcall-dry-run", "true")];
    let reply = held.harness.send_with("DELETE", &format!("/Users/{}", held.ids[5]), None, &dry).await;
    assert_eq!(reply.status, 429);
    assert!(held.events(1).await.is_empty());
}

/// The mark of a window's first refusal and its watch are one transaction; and whatever the worker leaves, the next run
/// writes, once.
#[tokio::test]
async fn a_hold_is_reported_once_although_the_worker_dies_at_any_call() {
    if !is_embedded() {
        return;
    }
    let mut points = 0;
    for crash in (1..).flat_map(|at| [Crash::before(at), Crash::after(at)]) {
        let canned = Canned::start(|_, _| (200, "{}".to_owned()));
        let mut held = Held::new(&canned).await;
        assert_eq!([held.deactivate(0).await, held.deactivate(1).await, held.deactivate(2).await], [200, 200, 429]);
        assert_eq!(held.decide(json!({"action": "approve"})).await, 200);
        let dying = held.harness.again(vec![crash.clone() as Arc<dyn Layer>]).await;
        run(&dying, held.start, &held.channels, json!({})).await;
        if !crash.happened() {
            break;
        }
        points += 1;
        let mut decisions = held.decisions(5).await;
        decisions.extend(held.decisions(10).await);
        assert_eq!(decisions, [said("held", ""), said("released", "approved")], "{crash:?}");
        assert_eq!(outbox(&held.harness).await, 0, "{crash:?}");
        let kinds: BTreeSet<_> =
            mails(&canned).iter().map(|(_, mail)| mail["Content"]["Simple"]["Subject"]["Data"].to_string()).collect();
        assert_eq!(kinds.len(), 2, "{crash:?}");
        assert!(mails(&canned).len() <= 3, "{crash:?}");
    }
    assert!(points >= 20, "{points} points");
}
