//! On a store whose other reads lag behind, every answer is right all the same: each read asks for consistency.

use serde_json::json;

use crate::support::stale::Stale;
use crate::support::{Harness, is_embedded, patch};

#[tokio::test(start_paused = true)]
async fn what_was_written_is_read_at_once_in_every_way() {
    if !is_embedded() {
        return;
    }
    let stale = Stale::new();
    let lagging = Harness::on(stale.copy().clone(), Vec::new()).await;
    let harness = Harness::with(vec![stale]).await;
    drop(lagging);
    let id = harness
        .create(json!({"userName": "bob", "externalId": "E", "emails": [{"value": "a@x"}, {"value": "b@x"}]}))
        .await;
    for filter in [
        "userName eq \"bob\"",
        "externalId eq \"E\"",
        "emails eq \"a@x\"",
        "emails eq \"b@x\"",
        "userName sw \"b\"",
        "title eq null",
    ] {
        assert_eq!(harness.find(filter).await.len(), 1, "{filter}");
    }
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 1);
    let path = format!("/Users/{id}");
    harness.send("PATCH", &path, patch(json!([{"op": "replace", "path": "userName", "value": "eve"}]))).await;
    assert_eq!(harness.send("GET", &path, None).await.body["userName"], "eve");
    assert!(harness.find("userName eq \"bob\"").await.is_empty());
    harness.send("DELETE", &path, None).await;
    assert_eq!(harness.send("GET", &path, None).await.status, 404);
    assert_eq!(harness.send("GET", "/Users", None).await.body["totalResults"], 0);
}
