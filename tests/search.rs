//! Searches: by cursor, sorted, by POST, of all types at once, and of what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join;
use jiff::Timestamp;
use rollcall::limits::{CURSOR_SECONDS, MAX_RESOURCES_READ};
use serde_json::{Value, json};

use crate::support::budget::Budget;
use crate::support::{Harness, ScimResponse, encode, is_embedded, patch};

const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

async fn with_users(count: usize) -> Harness {
    let harness = Harness::new().await;
    for i in 0..count {
        let title = if i % 2 == 0 { "even" } else { "odd" };
        harness
            .create(json!({"userName": format!("user{i:03}"), "title": title, "nickName": format!("n{}", i % 5)}))
            .await;
    }
    harness
}

fn texts(body: &Value, name: &str) -> Vec<String> {
    let resources = body["Resources"].as_array().unwrap().iter();
    resources.map(|resource| resource[name].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every page that cursors lead to, from the first.
async fn walk(harness: &Harness, path: &str, query: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let reply = harness.send("GET", &format!("{path}?cursor={cursor}&{query}"), None).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.body.get("startIndex").is_none(), "that is the other method of paging");
        let next = reply.body["nextCursor"].as_str().map(str::to_owned);
        pages.push(reply.body);
        match next {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

fn all(pages: &[Value], name: &str) -> Vec<String> {
    pages.iter().flat_map(|page| texts(page, name)).collect()
}

#[tokio::test(start_paused = true)]
async fn cursors_lead_to_every_resource_once() {
    let harness = with_users(23).await;
    for i in 0..7 {
        harness.send("POST", "/Groups", json!({"displayName": format!("g{i}")})).await;
    }
    for (path, query, count) in [
        ("/Users", "count=5", 23),
        ("/Users", "count=23", 23),
        ("/Users", "filter=userName+sw+%22user00%22&count=3", 10),
        ("/Users", "filter=title+eq+%22odd%22&count=4", 11),
        ("/Users", "filter=userName+eq+%22user001%22+or+userName+eq+%22user002%22&count=1", 2),
        ("/Users", "filter=meta.lastModified+gt+%222020-01-01T00:00:00Z%22&count=7", 23),
        ("/Users", "sortBy=userName&sortOrder=descending&count=5", 23),
        ("/Users", "sortBy=nickName&count=5", 23),
        ("/Groups", "count=2", 7),
        ("/Groups", "filter=displayName+co+%22g%22&count=3", 7),
        ("/Groups", "sortBy=displayName&count=3", 7),
        ("", "count=4", 30),
        ("", "filter=displayName+eq+%22g3%22+or+userName+eq+%22user007%22&count=1", 2),
    ] {
        let pages = walk(&harness, path, query).await;
        let ids = all(&pages, "id");
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (count, count), "{path} {query}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_way_back_is_the_way_there() {
    let harness = with_users(23).await;
    for i in 0..7 {
        harness.send("POST", "/Groups", json!({"displayName": format!("g{i}")})).await;
    }
    for (path, query) in [
        ("/Users", "count=5"),
        ("/Users", "filter=userName+sw+%22user00%22&count=3"),
        ("/Users", "filter=userName+sw+%22user000%22&count=3"),
        ("/Users", "filter=title+eq+%22odd%22&count=4"),
        ("/Users", "filter=userName+eq+%22user001%22+or+userName+eq+%22user002%22&count=1"),
        ("/Users", "sortBy=userName&sortOrder=descending&count=5"),
        ("/Users", "sortBy=userName&filter=userName+sw+%22user01%22&count=4"),
        ("/Users", "sortBy=nickName&count=5"),
        ("/Groups", "count=2"),
        ("", "count=4"),
        ("", "filter=displayName+eq+%22g3%22+or+userName+eq+%22user007%22&count=1"),
    ] {
        let there = walk(&harness, path, query).await;
        assert!(there[0].get("previousCursor").is_none(), "there is nothing before the first page");
        let mut back = Vec::new();
        let mut previous = there.last().unwrap()["previousCursor"].as_str().map(str::to_owned);
        while let Some(cursor) = previous {
            let page = harness.send("GET", &format!("{path}?cursor={cursor}&{query}"), None).await.body;
            assert!(page["nextCursor"].is_string(), "{page}");
            back.insert(0, texts(&page, "id"));
            previous = page["previousCursor"].as_str().map(str::to_owned);
        }
        back.push(texts(there.last().unwrap(), "id"));
        assert_eq!(back, there.iter().map(|page| texts(page, "id")).collect::<Vec<_>>(), "{path} {query}");
    }
    let changed = walk(&harness, "/Users", "filter=meta.lastModified+gt+%222020-01-01T00:00:00Z%22&count=7").await;
    assert!(changed.iter().all(|page| page.get("previousCursor").is_none()), "who has changed has gone on");
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_good_for_its_query_its_key_and_its_hour() {
    let mut harness = with_users(3).await;
    let next =
        harness.send("GET", "/Users?cursor=&count=1", None).await.body["nextCursor"].as_str().unwrap().to_owned();
    let get = |query: &str| format!("/Users?cursor={next}&{query}");
    let kind = |reply: &ScimResponse| (reply.status, reply.body["scimType"].as_str().unwrap_or_default().to_owned());
    let invalid = (400, "invalidCursor".to_owned());
    for same in ["", "count=1"] {
        assert_eq!(harness.send("GET", &get(same), None).await.body["Resources"].as_array().unwrap().len(), 1);
    }
    for other in ["filter=title+pr", "sortBy=userName"] {
        assert_eq!(kind(&harness.send("GET", &get(other), None).await), invalid, "{other}");
    }
    assert_eq!(kind(&harness.send("GET", &format!("/Groups?cursor={next}"), None).await), invalid);
    assert_eq!(kind(&harness.send("GET", "/Users?cursor=forged", None).await), invalid);
    let of_all = harness.send("GET", "/?cursor=&count=1", None).await.body["nextCursor"].clone();
    let search = json!({"schemas": [rollcall::scim::SEARCH_URN], "cursor": of_all});
    let page = harness.send("POST", "/.search", search.clone()).await;
    assert_eq!((page.status, page.body["itemsPerPage"].as_u64()), (200, Some(1)), "{page:?}");
    assert_eq!(kind(&harness.send("POST", "/Users/.search", search).await), invalid);
    let header = format!("Bearer {}", harness.globex);
    let uri = format!("/globex/scim/v2/Users?cursor={next}");
    assert_eq!(kind(&harness.raw("GET", &uri, Vec::new(), &[("authorization", &header)]).await), invalid);
    for query in ["cursor=&count=x".to_owned(), format!("cursor={next}&count=2")] {
        let refused = harness.send("GET", &format!("/Users?{query}"), None).await;
        assert_eq!(kind(&refused), (400, "invalidCount".to_owned()), "{query}");
    }
    for count in [0, -1] {
        let totals = harness.send("GET", &format!("/Users?cursor={next}&count={count}"), None).await.body;
        assert_eq!((&totals["totalResults"], &totals["Resources"]), (&json!(3), &json!([])));
    }
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(CURSOR_SECONDS + 1);
    let mut app = (*harness.app).clone();
    app.clock = rollcall::app::Clock::Fixed(Arc::new(move || later));
    harness.app = Arc::new(app);
    assert_eq!(kind(&harness.send("GET", &get("count=1"), None).await), (400, "expiredCursor".to_owned()));
}

/// How many users there are: `ROLLCALL_SCALE=100000` asks for more than CI does.
fn scale() -> usize {
    std::env::var("ROLLCALL_SCALE").map_or(400, |count| count.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn who_is_there_throughout_is_met_once_while_others_come_go_and_are_renamed() {
    let harness = Harness::new().await;
    let mut stay = BTreeMap::new();
    for i in 0..scale() {
        stay.insert(harness.user(&format!("stays{i}")).await, i);
    }
    let writers = (0..20).map(|writer| {
        let (harness, ids) = (&harness, stay.keys().cloned().collect::<Vec<_>>());
        async move {
            for i in 0..ids.len() / 20 {
                let comes = harness.user(&format!("comes{writer}-{i}")).await;
                let renamed = patch(json!([{"op": "replace", "path": "userName", "value": format!("z{writer}-{i}")}]));
                let path = format!("/Users/{}", ids[i * 20 + writer]);
                assert_eq!(harness.send("PATCH", &path, renamed).await.status, 200);
                assert_eq!(harness.send("DELETE", &format!("/Users/{comes}"), None).await.status, 204);
            }
        }
    });
    let walking = async {
        let mut walks = Vec::new();
        for _ in 0..3 {
            walks.push(all(&walk(&harness, "/Users", "count=50&attributes=userName").await, "id"));
        }
        walks
    };
    let (walks, _) = join(walking, futures_util::future::join_all(writers)).await;
    for ids in walks {
        let mut times = BTreeMap::<&String, usize>::new();
        for id in ids.iter().filter(|id| stay.contains_key(*id)) {
            *times.entry(id).or_default() += 1;
        }
        assert_eq!(times.len(), stay.len(), "nobody is missed");
        assert!(times.values().all(|times| *times == 1), "nobody is repeated");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_by_cursor_costs_the_same_from_the_first_to_the_last() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let harness = Harness::with(vec![budget.clone() as Arc<_>]).await;
    for i in 0..scale() {
        harness.user(&format!("u{i}")).await;
    }
    let mut spent = BTreeSet::new();
    let (mut cursor, mut left) = (String::new(), scale());
    while left > 50 {
        budget.take();
        let body = harness.send("GET", &format!("/Users?count=50&cursor={cursor}"), None).await.body;
        let page = budget.take();
        spent.insert(format!("{} round trips, {:?}, {:.0} read units", page.round_trips, page.calls, page.rcu));
        cursor = body["nextCursor"].as_str().unwrap().to_owned();
        left -= 50;
    }
    eprintln!("a page of 50 of {}: {spent:?}", scale());
    assert_eq!(spent.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_no_index_finds_makes_short_pages_and_never_a_wrong_list() {
    let harness = Harness::new().await;
    let count = MAX_RESOURCES_READ + 300;
    for i in 0..count {
        let title = if i == count - 1 { "last" } else { "other" };
        harness.create(json!({"userName": format!("u{i:05}"), "title": title})).await;
    }
    let pages = walk(&harness, "/Users", "filter=title+eq+%22last%22").await;
    assert_eq!(all(&pages, "userName"), [format!("u{:05}", count - 1)]);
    assert!(pages.len() > 1, "a page ends when enough was read");
    assert!(pages[0].get("totalResults").is_none(), "what is not counted is not told");
}

#[tokio::test(start_paused = true)]
async fn a_search_by_post_says_what_the_url_says() {
    let harness = with_users(5).await;
    harness.send("POST", "/Groups", json!({"displayName": "team"})).await;
    for (path, body, url) in [
        (
            "/Users",
            json!({"filter": "title eq \"odd\"", "attributes": ["userName"], "count": 1}),
            "/Users?filter=title+eq+%22odd%22&attributes=userName&count=1",
        ),
        ("/Groups", json!({"excludedAttributes": ["members"]}), "/Groups?excludedAttributes=members"),
        ("/GroupMembers", json!({"startIndex": 1}), "/GroupMembers?startIndex=1"),
        ("", json!({"sortBy": "meta.created", "sortOrder": "descending"}), "?sortBy=meta.created&sortOrder=descending"),
        ("", json!({"filter": "meta.resourceType eq \"Group\""}), "/?filter=meta.resourceType+eq+%22Group%22"),
    ] {
        let mut search = body;
        search["schemas"] = json!([SEARCH]);
        let posted = harness.send("POST", &format!("{path}/.search"), search).await;
        let got = harness.send("GET", url, None).await;
        assert_eq!((posted.status, got.status), (200, 200), "{path} {posted:?} {got:?}");
        assert_eq!(posted.body, got.body);
        assert!(posted.body["totalResults"].as_u64().is_some());
    }
    for (path, body) in [("/Users", json!({"schemas": ["urn:x"]})), ("", json!({"schemas": [SEARCH], "count": "x"}))] {
        assert_eq!(harness.send("POST", &format!("{path}/.search"), body).await.status, 400);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sorted_list_is_in_that_order_on_every_page() {
    let harness = with_users(12).await;
    for (query, name) in [
        ("sortBy=userName", "userName"),
        ("sortBy=userName&sortOrder=descending", "userName"),
        ("sortBy=nickName", "nickName"),
        ("sortBy=nickName&sortOrder=descending&filter=title+pr", "nickName"),
    ] {
        let mut by_index = Vec::new();
        for start in [1, 6, 11] {
            let body = harness.send("GET", &format!("/Users?{query}&startIndex={start}&count=5"), None).await.body;
            assert_eq!(body["totalResults"], 12);
            by_index.extend(texts(&body, name));
        }
        let mut expected = by_index.clone();
        expected.sort();
        if query.contains("descending") {
            expected.reverse();
        }
        assert_eq!(by_index, expected, "{query}");
        assert_eq!(all(&walk(&harness, "/Users", &format!("{query}&count=5")).await, name), expected, "{query}");
    }
    let both = harness.send("GET", "/?sortBy=userName&count=3", None).await.body;
    assert_eq!(texts(&both, "userName"), ["user000", "user001", "user002"]);
    for bad in ["sortBy=emails[type+eq+%22work%22]", "sortBy=userName&sortOrder=up"] {
        assert_eq!(harness.send("GET", &format!("/Users?{bad}"), None).await.status, 400, "{bad}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_since_is_read_and_nothing_else() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let mut harness = Harness::with(vec![budget.clone() as Arc<_>]).await;
    let at = |harness: &mut Harness, time: &str| {
        let now: Timestamp = time.parse().unwrap();
        let mut app = (*harness.app).clone();
        app.clock = rollcall::app::Clock::Fixed(Arc::new(move || now));
        harness.app = Arc::new(app);
    };
    at(&mut harness, "2026-03-01T10:00:00Z");
    let mut ids = Vec::new();
    for i in 0..200 {
        ids.push(harness.user(&format!("u{i}")).await);
    }
    at(&mut harness, "2026-03-05T11:30:00Z");
    let title = patch(json!([{"op": "add", "path": "title", "value": "t"}]));
    assert_eq!(harness.send("PATCH", &format!("/Users/{}", ids[7]), title).await.status, 200);
    at(&mut harness, "2026-03-05T11:59:00Z");
    harness.user("new").await;
    for (filter, expected) in [
        ("meta.lastModified ge \"2026-03-05T11:30:00Z\"", vec!["new", "u7"]),
        ("meta.lastModified gt \"2026-03-05T11:30:00Z\"", vec!["new"]),
        ("meta.lastModified gt \"2026-03-05T12:30:00+01:00\" and active eq null", vec!["new"]),
        ("meta.lastModified gt \"2026-03-05T12:00:00Z\"", vec![]),
    ] {
        budget.take();
        let mut found =
            texts(&harness.send("GET", &format!("/Users?filter={}", encode(filter)), None).await.body, "userName");
        found.sort();
        assert_eq!(found, expected, "{filter}");
        assert!(budget.take().rcu < 10.0, "the others are not read");
    }
}

#[tokio::test(start_paused = true)]
async fn users_are_found_by_the_groups_they_are_in() {
    let harness = with_users(3).await;
    let user = harness.find("userName eq \"user001\"").await[0]["id"].clone();
    let group = harness.send("POST", "/Groups", json!({"displayName": "g", "members": [{"value": user}]})).await;
    let id = group.body["id"].as_str().unwrap();
    for filter in [format!("groups.value eq \"{id}\""), format!("groups eq \"{id}\""), "groups pr".to_owned()] {
        let found = harness.find(&filter).await;
        assert_eq!((found.len(), &found[0]["id"]), (1, &user), "{filter}");
    }
    let by_name = harness.send("GET", "/Users?filter=groups.display+eq+%22g%22", None).await;
    by_name.assert_error(400, "invalidFilter");
}
