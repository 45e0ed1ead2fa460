//! Lists: order, pages, totals, and the bound on what one request reads.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Harness;

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
    assert_eq!((reply.status, &reply.body["scimType"]), (400, &json!("tooMany")));
    assert!(reply.body["detail"].as_str().unwrap().contains("userName"));
    assert_eq!(harness.find("userName eq \"u7\" and title eq null").await.len(), 1);
}
