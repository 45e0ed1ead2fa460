//! Lists: order, pages, totals, and the bound on what one request reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use rollcall::app::Clock;
use rollcall::limits::{COUNT_INTERVAL_SECONDS, COUNT_LAG_SECONDS, MAX_COUNTED_USERS};
use rollcall::worker;
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::feed::Pump;
use crate::support::{Harness, access, is_embedded};

async fn with_users(count: usize) -> Harness {
    let harness = Harness::new().await;
    for i in 0..count {
        harness
            .create(json!({"userName": format!("user{i:03}"), "title": if i % 2 == 0 { "even" } else { "odd" }}))
            .await;
    }
    harness
}

fn ids(body: &Value) -> Vec<String> {
    body["Resources"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_cover_every_user_once_in_a_stable_order() {
    let harness = with_users(23).await;
    for filter in ["", "&filter=userName+sw+%22user%22", "&filter=title+pr"] {
        let mut seen = Vec::new();
        while seen.len() < 23 {
            let start = seen.len() + 1;
            let body = harness.send("GET", &format!("/Users?startIndex={start}&count=5{filter}"), None).await.body;
            assert_eq!((&body["totalResults"], &body["startIndex"]), (&json!(23), &json!(start)));
            let page = ids(&body);
            assert_eq!(
                (body["itemsPerPage"].as_u64().unwrap() as usize, page.len()),
                (page.len(), 5.min(23 - seen.len()))
            );
            seen.extend(page);
        }
        assert!(seen.is_sorted(), "in the order of the ids");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 23);
    }
}

#[tokio::test(start_paused = true)]
async fn the_edges_of_a_list_are_those_of_the_rfc() {
    let harness = with_users(3).await;
    for (query, total, start, number) in [
        ("", 3, 1, 3),
        ("?count=0", 3, 1, 0),
        ("?startIndex=4", 3, 4, 0),
        ("?startIndex=100&count=1", 3, 100, 0),
        ("?startIndex=-3&count=2", 3, 1, 2),
        ("?filter=title+eq+%22odd%22&count=1", 1, 1, 1),
        ("?filter=userName+eq+%22user001%22&startIndex=2", 1, 2, 0),
        ("?filter=userName+eq+%22nobody%22", 0, 1, 0),
    ] {
        let body = harness.send("GET", &format!("/Users{query}"), None).await.body;
        let got = (&body["totalResults"], &body["startIndex"], &body["itemsPerPage"]);
        assert_eq!(got, (&json!(total), &json!(start), &json!(number)), "{query}");
        assert_eq!(ids(&body).len(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn large_users_make_short_pages_that_say_so() {
    let harness = Harness::new().await;
    for i in 0..24 {
        harness.create(json!({"userName": format!("u{i}"), "urn:acme:2.0:User": {"blob": "x".repeat(200_000)}})).await;
    }
    let first = harness.send("GET", "/Users", None).await.body;
    let number = first["itemsPerPage"].as_u64().unwrap();
    assert!((10..24).contains(&number) && first["totalResults"] == 24, "{number}");
    let rest = harness.send("GET", &format!("/Users?startIndex={}", number + 1), None).await.body;
    assert_eq!(rest["itemsPerPage"].as_u64().unwrap() + number, 24);
}

#[tokio::test(start_paused = true)]
async fn a_filter_without_an_index_reads_so_much_and_no_more() {
    let harness = Harness::new().await;
    for i in 0..90 {
        harness.create(json!({"userName": format!("u{i}"), "urn:acme:2.0:User": {"blob": "x".repeat(250_000)}})).await;
    }
    let reply = harness.send("GET", "/Users?filter=title+eq+%22x%22", None).await;
    reply.assert_error(400, "tooMany");
    assert!(reply.body["detail"].as_str().unwrap().contains("userName"));
    assert_eq!(harness.find("userName eq \"u7\" and title eq null").await.len(), 1);
}

/// A tenant larger than what is counted one by one: `ROLLCALL_SCALE=100000` asks for more than CI does.
async fn large(budget: &Arc<Budget>) -> (Harness, usize) {
    let count = std::env::var("ROLLCALL_SCALE").map_or(MAX_COUNTED_USERS + 1_000, |count| count.parse().unwrap());
    (filled(budget, count).await, count)
}

/// A tenant of so many users, which nobody has counted.
async fn filled(budget: &Arc<Budget>, count: usize) -> Harness {
    let harness = Harness::with(vec![budget.clone() as Arc<_>]).await;
    let user = |i: usize| {
        let id = uuid::Uuid::from_u128((i as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_string();
        let doc = json!({"userName": format!("u{i}"), "title": "x".repeat(1_300)}).to_string();
        json!({"PutRequest": {"Item": {"tenant": {"S": "acme"}, "userName": {"S": format!("u{i}")}, "id": {"S": id},
            "doc": {"S": doc}, "ver": {"N": "1"}, "created": {"N": "0"}, "modified": {"N": "0"}, "by": {"S": "test"},
            "hour": {"S": "1970-01-01T00"}}}})
    };
    let all: Vec<_> = (0..count).map(user).collect();
    for some in all.chunks(25) {
        let (status, body) =
            harness.engine.call("BatchWriteItem", json!({"RequestItems": {"test-users": some}}).to_string().as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }
    harness
}

/// `ROLLCALL_SCALE` asks for one more size.
#[tokio::test(start_paused = true)]
async fn a_page_by_index_costs_about_what_a_page_by_cursor_does() {
    if !is_embedded() {
        return;
    }
    let scale = std::env::var("ROLLCALL_SCALE").ok().map(|count| count.parse().unwrap());
    for count in [200, 300, 1_000].into_iter().chain(scale) {
        let budget = Budget::new();
        let harness = filled(&budget, count).await;
        recount(&harness).await;
        budget.take();
        for start in (1..=count).step_by(100) {
            let page = harness.send("GET", &format!("/Users?startIndex={start}&count=100"), None).await.body;
            assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(count), &json!(100)));
        }
        let by_index = budget.take();
        let mut cursor = Some(String::new());
        while let Some(at) = cursor {
            let page = harness.send("GET", &format!("/Users?count=100&cursor={at}"), None).await.body;
            cursor = page["nextCursor"].as_str().map(str::to_owned);
        }
        let by_cursor = budget.take();
        let ratio = by_index.rcu / by_cursor.rcu;
        let (pages, index, cursor) = (count / 100, by_index.rcu, by_cursor.rcu);
        eprintln!("{count} users, {pages} pages of 100: {index} read units by index, {cursor} by cursor, {ratio:.2}");
        assert!(ratio <= 1.3, "{count} users: {ratio}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_total_has_what_the_same_process_has_written() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let count = MAX_COUNTED_USERS + 100;
    let harness = filled(&budget, count).await;
    // As the stream has it: whoever comes in the second of a count may be counted twice, or not at all.
    Pump::new(&harness).run(&harness).await;
    let total =
        async |harness: &Harness| harness.send("GET", "/Users?count=0", None).await.body["totalResults"].clone();
    let id = harness.user("late").await;
    // Nobody has counted: the process knows of its own write, another one does not.
    assert_eq!(total(&harness).await, count + 1);
    assert_eq!(total(&harness.again(Vec::new()).await).await, count);
    assert_eq!(harness.send("DELETE", &format!("/Users/{id}"), None).await.status, 204);
    assert_eq!(total(&harness).await, count);
    harness.user("later").await;
    Pump::new(&harness).run(&harness).await;
    tokio::time::sleep(Duration::from_secs(COUNT_LAG_SECONDS + 1)).await;
    budget.take();
    assert_eq!(total(&harness).await, count + 1);
    assert!(budget.take().rcu < 5.0, "the count is read");
}

#[tokio::test(start_paused = true)]
async fn counts_are_compared_daily_and_written_only_where_they_differ() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let harness = filled(&budget, 300).await;
    recount(&harness).await;
    let key = json!({"pk": {"S": "acme#counter"}, "sk": {"S": "users"}});
    let counted = || {
        let get = json!({"TableName": "test-links", "Key": key, "ConsistentRead": true});
        let (_, got) = harness.engine.call("GetItem", get.to_string().as_bytes());
        serde_json::from_slice::<Value>(&got).unwrap()["Item"]["n"].clone()
    };
    let right = counted();
    let harm = || {
        let wrong = base64::engine::general_purpose::STANDARD.encode([0_u8; 1024]);
        let update = json!({"TableName": "test-links", "Key": key, "UpdateExpression": "SET n = :n",
            "ExpressionAttributeValues": {":n": {"B": wrong}}});
        assert_eq!(harness.engine.call("UpdateItem", update.to_string().as_bytes()).0, 200);
    };
    let daily = tokio::spawn(worker::check_counts_daily(harness.app.store.clone()));
    let day = Duration::from_secs(COUNT_INTERVAL_SECONDS);
    tokio::time::sleep(Duration::from_secs(60)).await;
    budget.take();
    for _ in 0..2 {
        tokio::time::sleep(day).await;
        assert_eq!(budget.take().wcu, 0.0, "nothing differs, and nothing is written");
        harm();
        tokio::time::sleep(day).await;
        assert_eq!(counted(), right);
        assert!(budget.take().wcu > 0.0);
    }
    daily.abort();
}

async fn recount(harness: &Harness) {
    worker::recount(&harness.app.store, &Clock::System).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn in_a_large_tenant_a_page_by_index_costs_the_same_from_the_first_to_the_last() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let (harness, count) = large(&budget).await;
    recount(&harness).await;
    let (mut seen, mut round_trips, mut units) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for start in (1..=count).step_by(200) {
        budget.take();
        let body = harness.send("GET", &format!("/Users?startIndex={start}&count=200"), None).await.body;
        let spent = budget.take();
        assert_eq!(body["totalResults"], count);
        round_trips.insert(spent.round_trips);
        units.push(spent.rcu);
        seen.extend(ids(&body));
    }
    assert_eq!(seen.len(), count, "everybody once");
    let last = units.pop().unwrap();
    let (least, most) = (units.iter().copied().fold(last, f64::min), units.iter().copied().fold(0.0, f64::max));
    eprintln!("a page of 200 of {count}: {least} to {most} read units, {round_trips:?} round trips");
    assert!(most - units[0] <= 1.0 + (count / 256 / 20) as f64, "{least} to {most}");
    assert!(*round_trips.last().unwrap() <= 3);
    let beyond = harness.send("GET", &format!("/Users?startIndex={}", count + 1), None).await.body;
    assert_eq!((&beyond["totalResults"], &beyond["itemsPerPage"]), (&json!(count), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn the_worker_counts_who_comes_and_goes_once() {
    let harness = with_users(3).await;
    recount(&harness).await;
    let record = |number: usize, id: &str, came: bool| {
        let image = json!({"id": {"S": id}, "userName": {"S": "x"}});
        let mut change = json!({"Keys": {"tenant": {"S": "acme"}, "userName": {"S": "x"}}, "SequenceNumber": number.to_string(),
            "ApproximateCreationDateTime": 4_000_000_000_u64});
        change[if came { "NewImage" } else { "OldImage" }] = image;
        json!({"eventName": if came { "INSERT" } else { "REMOVE" }, "dynamodb": change})
    };
    let records = [
        record(10, "3a-1", true),
        record(11, "3a-2", true),
        // A rename: gone from one place, and come to another.
        record(12, "3a-1", false),
        record(13, "3a-1", true),
        record(14, "3a-2", false),
    ];
    for batch in [&records[..3], &records[..4], &records[2..]] {
        let event = serde_json::from_value(json!({"Records": batch})).unwrap();
        let role = Some((worker::HANDLER, worker::ACCESS));
        let answer = access::ROLE.scope(role, worker::handle(&harness.app.store, &Clock::System, event)).await;
        assert_eq!(serde_json::to_value(&answer).unwrap(), json!({"batchItemFailures": []}));
    }
    let get = json!({"TableName": "test-links", "Key": {"pk": {"S": "acme#counter"}, "sk": {"S": "users"}}});
    let (_, got) = harness.engine.call("GetItem", get.to_string().as_bytes());
    let got: Value = serde_json::from_slice(&got).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(got["Item"]["n"]["B"].as_str().unwrap()).unwrap();
    let total: u32 = bytes.chunks(4).map(|chunk| u32::from_be_bytes(chunk.try_into().unwrap())).sum();
    assert_eq!(total, 4, "three, and one who came");
}
