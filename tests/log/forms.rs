//! The log as JSON lines and as CSV.

use bytes::Bytes;
use http::Request;
use rollcall::api::{self, Selection};

use super::*;

async fn text(harness: &Harness, admin: &str, accept: &str, query: &str) -> (String, Option<String>, String) {
    let request = Request::builder().uri(format!("/admin/v1/tenants/acme/log?{query}")).header("host", "x");
    let request = request.header("authorization", format!("Bearer {admin}")).header("accept", accept);
    let response = api::handle(&harness.app, &Selection::all(), request.body(Bytes::new()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (header("content-type").unwrap(), header("link"), body)
}

#[tokio::test(start_paused = true)]
async fn accept_chooses_the_form_and_link_names_the_next_page() {
    if !is_embedded() {
        return;
    }
    let harness = Harness::new().await;
    harness.create(json!({"userName": "a,\"b\"", "nickName": "two\nlines"})).await;
    assert_eq!(harness.send("POST", "/Groups", json!({"displayName": "=cmd()"})).await.status, 201);
    with_history(&harness).await;
    let admin = harness.operator().await;
    let all = entries(&harness, &admin, "acme", "").await;
    let (media_type, link, lines) = text(&harness, &admin, "text/html, application/x-ndjson;q=0.9", "").await;
    assert_eq!((media_type.as_str(), link), ("application/x-ndjson", None));
    let read: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, all);
    let (media_type, link, first) = text(&harness, &admin, "text/csv", "limit=2&kind=change").await;
    assert_eq!(media_type, "text/csv; charset=utf-8");
    let link = link.unwrap();
    let next = link.split_once('?').unwrap().1.split_once('>').unwrap().0;
    assert!(link.starts_with('<') && link.ends_with(">; rel=\"next\"") && next.contains("kind=change"), "{link}");
    let (_, _, second) = text(&harness, &admin, "text/csv", next).await;
    assert_ne!(first, second);
    let (_, _, whole) = text(&harness, &admin, "text/csv", "kind=change").await;
    assert!(whole.contains(",\"a,\"\"b\"\"\",") && whole.contains("two\\nlines"), "{whole}");
    assert!(whole.contains(",\"'=cmd()\",") && !whole.contains(",=cmd()") && whole.starts_with("timestamp,kind,type,"));
}
