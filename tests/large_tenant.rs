//! A tenant that nears the 10 GB of an item collection: every kind of write asks for the size, and is counted.

use aws_sdk_dynamodb::types::{AttributeValue, Delete, DeleteRequest, TransactWriteItem, WriteRequest};
use rollcall::store::dynamo::client::from_lambda_environment;
use rollcall::store::dynamo::meter::Meter;
use serde_json::{Value, json};

use crate::support::canned::{Asked, Canned};

/// What DynamoDB answers to a write that asks for the size.
fn answer(_: usize, asked: &Asked) -> (u16, String) {
    let metrics = json!({"ItemCollectionKey": {"tenant": {"S": "acme"}}, "SizeEstimateRangeGB": [8.0, 9.0]});
    let is_of_many =
        asked.header("x-amz-target").ends_with("Items") || asked.header("x-amz-target").ends_with("BatchWriteItem");
    let metrics = if is_of_many { json!({"users": [metrics]}) } else { metrics };
    (200, json!({"ItemCollectionMetrics": metrics, "UnprocessedItems": {}}).to_string())
}

#[tokio::test]
async fn every_kind_of_write_asks_for_the_size_of_the_collection() {
    let canned = Canned::start(answer);
    let url = canned.url();
    let variable = |name: &str| {
        Some(match name {
            "AWS_REGION" => "eu-west-1".to_owned(),
            "AWS_ENDPOINT_URL_DYNAMODB" => url.clone(),
            "ROLLCALL_CA_FILE" | "AWS_SESSION_TOKEN" => return None,
            _ => "x".to_owned(),
        })
    };
    let client = &from_lambda_environment(variable).unwrap();
    let key = || AttributeValue::S("acme".into());
    let put = async || drop(client.put_item().table_name("users").item("tenant", key()).send().await.unwrap());
    let update = async || drop(client.update_item().table_name("users").key("tenant", key()).send().await.unwrap());
    let delete = async || drop(client.delete_item().table_name("users").key("tenant", key()).send().await.unwrap());
    let one = Delete::builder().table_name("users").key("tenant", key()).build().unwrap();
    let transact = async || {
        let item = TransactWriteItem::builder().delete(one.clone()).build();
        client.transact_write_items().transact_items(item).send().await.unwrap();
    };
    let batch = async || {
        let one = DeleteRequest::builder().key("tenant", key()).build().unwrap();
        let requests = vec![WriteRequest::builder().delete_request(one).build()];
        client.batch_write_item().request_items("users", requests).send().await.unwrap();
    };
    for (name, spent) in [
        ("PutItem", Meter::measure(put()).await.1),
        ("UpdateItem", Meter::measure(update()).await.1),
        ("DeleteItem", Meter::measure(delete()).await.1),
        ("TransactWriteItems", Meter::measure(transact()).await.1),
        ("BatchWriteItem", Meter::measure(batch()).await.1),
    ] {
        assert_eq!(spent.collection_gigabytes, Some(9.0), "{name}");
    }
    let asked = canned.asked();
    assert_eq!(asked.len(), 5);
    for request in asked {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["ReturnItemCollectionMetrics"], "SIZE", "{request:?}");
    }
}
