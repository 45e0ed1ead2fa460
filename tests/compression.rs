//! Large answers in gzip, for a client that accepts it.

use rollcall::limits::MIN_COMPRESSED_BYTES;
use serde_json::json;

use crate::support::{Harness, patch};

const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip, deflate, br")];

async fn with_users() -> Harness {
    let harness = Harness::new().await;
    for number in 0..20 {
        let user = json!({"userName": format!("user{number}@example.com"), "title": "x".repeat(100)});
        harness.create(user).await;
    }
    harness
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_compressed_for_whom_accepts_it_and_is_the_same() {
    let harness = with_users().await;
    let plain = harness.send("GET", "/Users", None).await;
    let packed = harness.send_with("GET", "/Users", None, GZIP).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(!plain.headers.contains_key("content-encoding"));
    assert_eq!(plain.body, packed.body);
    for reply in [&plain, &packed] {
        assert_eq!(reply.headers["vary"], "accept-encoding", "a cache keeps the two apart");
    }
    let refused = harness.send_with("GET", "/Users", None, &[("accept-encoding", "gzip;q=0")]).await;
    assert!(!refused.headers.contains_key("content-encoding"));
}

#[tokio::test(start_paused = true)]
async fn a_small_answer_is_the_same_for_every_client() {
    let harness = with_users().await;
    let id = harness.find("userName eq \"user1@example.com\"").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/Users/{id}");
    let small = harness.send_with("GET", &path, None, GZIP).await;
    assert!(!small.headers.contains_key("content-encoding") && !small.headers.contains_key("vary"));
    // One byte decides: the title fills the answer up to the bound, and then to one byte less.
    let rest = MIN_COMPRESSED_BYTES - small.body.to_string().len() + 100;
    for (length, is_packed) in [(rest, true), (rest - 1, false)] {
        let title = json!([{"op": "replace", "path": "title", "value": "y".repeat(length)}]);
        harness.send("PATCH", &path, patch(title)).await;
        let reply = harness.send_with("GET", &path, None, GZIP).await;
        let bytes = reply.body.to_string().len();
        assert_eq!(reply.headers.contains_key("content-encoding"), is_packed, "{bytes} bytes");
        assert_eq!(bytes, if is_packed { MIN_COMPRESSED_BYTES } else { MIN_COMPRESSED_BYTES - 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn head_has_the_length_that_get_has() {
    let harness = with_users().await;
    let plain = harness.send("HEAD", "/Users", None).await;
    let packed = harness.send_with("HEAD", "/Users", None, GZIP).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    let length = |reply: &crate::support::ScimResponse| -> usize {
        reply.headers["content-length"].to_str().unwrap().parse().unwrap()
    };
    assert!(length(&packed) * 4 < length(&plain), "{} of {}", length(&packed), length(&plain));
}
