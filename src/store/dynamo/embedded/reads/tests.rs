use serde_json::{Value, json};

use crate::store::dynamo::client::from_connector;
use crate::store::dynamo::embedded::Engine;
use crate::store::dynamo::tables::{Table, TableNames, create_missing};

/// Users of 30 KB, so that a page does not hold them all.
const USERS: usize = 60;

async fn filled(engine: Engine) -> (Engine, String) {
    let names = TableNames::prefixed("test");
    create_missing(&from_connector(engine.http_client()), &names).await.unwrap();
    let table = names.of(Table::Users).to_owned();
    for i in 0..USERS {
        let item = json!({"tenant": {"S": "acme"}, "userName": {"S": format!("u\"{i:02}é")}, "id": {"S": format!("id{i:02}")},
            "externalId": {"S": format!("e{}", i / 7)}, "n": {"N": "7"}, "doc": {"S": "x".repeat(500 * i)}});
        let put = json!({"TableName": table, "Item": item});
        assert_eq!(engine.call("PutItem", put.to_string().as_bytes()).0, 200);
    }
    (engine, table)
}

/// What both say, and that they say the same.
fn both(engine: &Engine, operation: &str, request: &Value) -> Value {
    let body = request.to_string();
    let read = engine.0.reads.answer(operation, body.as_bytes());
    let mut read: Value = serde_json::from_slice(&read.expect("a read of this kind is known")).unwrap();
    let (status, asked) = engine.ask(operation, body.as_bytes());
    let mut asked: Value = serde_json::from_slice(&asked).unwrap();
    assert_eq!(status, 200, "{asked}");
    for answer in [&mut read, &mut asked] {
        // The engine counts the entry that begins the next page.
        answer.as_object_mut().unwrap().shift_remove("ScannedCount");
        if let Some(items) = answer.pointer_mut("/Responses/test-users").and_then(Value::as_array_mut) {
            items.sort_by_key(|item| item["userName"].to_string());
        }
    }
    assert_eq!(read, asked, "{request}");
    read
}

/// Compares page after page of a query; how many there are.
fn pages_of(engine: &Engine, mut query: Value) -> usize {
    let mut pages = 0;
    while pages == 0 || !query["ExclusiveStartKey"].is_null() {
        let page = both(engine, "Query", &query);
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        pages += 1;
    }
    pages
}

fn queries(table: &str) -> Vec<Value> {
    let all = json!({"TableName": table, "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL",
        "KeyConditionExpression": "#p = :p", "ExpressionAttributeNames": {"#p": "tenant"},
        "ExpressionAttributeValues": {":p": {"S": "acme"}}});
    let mut queries = vec![all.clone()];
    for (condition, values) in [
        ("#s = :a", json!({":a": {"S": "WORD07"}})),
        ("#s > :a", json!({":a": {"S": "WORD07"}})),
        ("#s >= :a", json!({":a": {"S": "WORD07"}})),
        ("#s < :a", json!({":a": {"S": "WORD07"}})),
        ("#s <= :a", json!({":a": {"S": "WORD07"}})),
        ("begins_with(#s, :a)", json!({":a": {"S": "WORD1"}})),
        ("#s BETWEEN :a AND :b", json!({":a": {"S": "WORD1"}, ":b": {"S": "WORD4"}})),
    ] {
        for (index, sort, word) in
            [(None, "userName", "u\""), (Some("byId"), "id", "id"), (Some("byExternalId"), "externalId", "e")]
        {
            let mut query = all.clone();
            query["KeyConditionExpression"] = format!("#p = :p AND {condition}").into();
            query["ExpressionAttributeNames"]["#s"] = sort.into();
            for (name, value) in values.as_object().unwrap() {
                query["ExpressionAttributeValues"][name] =
                    json!({"S": value["S"].as_str().unwrap().replace("WORD", word)});
            }
            if let Some(index) = index {
                query["IndexName"] = index.into();
            }
            queries.push(query);
        }
    }
    for index in ["byId", "byExternalId"] {
        let mut query = all.clone();
        query["IndexName"] = index.into();
        queries.push(query);
    }
    queries
}

/// A query in every way that it can be asked.
fn ways(query: &Value) -> Vec<Value> {
    let mut ways = Vec::new();
    for select in [None, Some("COUNT"), Some("ALL_ATTRIBUTES"), Some("ALL_PROJECTED_ATTRIBUTES")] {
        if select == Some("ALL_PROJECTED_ATTRIBUTES") && query.get("IndexName").is_none() {
            continue;
        }
        for limit in [None, Some(1), Some(7), Some(1_000)] {
            for is_forward in [None, Some(false)] {
                let mut way = query.clone();
                let mut set = |name: &str, value: Option<Value>| {
                    value.into_iter().for_each(|value| way[name] = value);
                };
                set("Select", select.map(Value::from));
                set("Limit", limit.map(Value::from));
                set("ScanIndexForward", is_forward.map(Value::from));
                ways.push(way);
            }
        }
    }
    ways
}

#[tokio::test]
async fn reads_answer_what_the_engine_answers() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for engine in [Engine::in_memory(), Engine::in_file(file.path().to_str().unwrap())] {
        let (engine, table) = filled(engine.unwrap()).await;
        let pages: usize = queries(&table).iter().flat_map(ways).map(|query| pages_of(&engine, query)).sum();
        assert!(pages > 1_000, "{pages}");
        let key = |i: usize| json!({"tenant": {"S": "acme"}, "userName": {"S": format!("u\"{i:02}é")}});
        for i in [0, 59, 60] {
            for is_consistent in [true, false] {
                let get = json!({"TableName": table, "Key": key(i), "ConsistentRead": is_consistent,
                    "ReturnConsumedCapacity": "TOTAL"});
                both(&engine, "GetItem", &get);
            }
        }
        let keys: Vec<_> = (30..80).map(key).collect();
        let batch = json!({"RequestItems": {&table: {"Keys": keys, "ConsistentRead": true}}, "ReturnConsumedCapacity": "TOTAL"});
        assert_eq!(both(&engine, "BatchGetItem", &batch)["Responses"]["test-users"].as_array().unwrap().len(), 30);
    }
}

#[tokio::test]
async fn what_reads_do_not_know_the_engine_answers() {
    let (engine, table) = filled(Engine::in_memory().unwrap()).await;
    let query = &queries(&table)[1];
    let with = |name: &str, value: Value| {
        let mut query = query.clone();
        query[name] = value;
        query
    };
    for (operation, request) in [
        ("Query", with("ProjectionExpression", json!("#s"))),
        ("Query", with("FilterExpression", json!("n = :a"))),
        ("Query", with("ReturnConsumedCapacity", json!("INDEXES"))),
        ("Query", with("IndexName", json!("byNothing"))),
        ("Query", with("KeyConditionExpression", json!("#s = :a AND #p = :p"))),
        ("Query", with("ExpressionAttributeNames", json!({"#p": "tenant", "#s": "id"}))),
        ("Query", with("ExpressionAttributeNames", json!({"#p": "tenant", "#s": "userName", "#t": "id"}))),
        ("Query", with("ExpressionAttributeValues", json!({":p": {"S": "acme"}, ":a": {"N": "7"}}))),
        ("Query", with("Limit", json!(0))),
        ("Query", with("TableName", json!("nothing"))),
        ("GetItem", json!({"TableName": table, "Key": {"tenant": {"S": "acme"}}})),
        ("GetItem", json!({"TableName": table, "Key": {"tenant": {"S": "acme"}, "userName": {"S": ""}}})),
        (
            "BatchGetItem",
            json!({"RequestItems": {&table: {"Keys": [
            {"tenant": {"S": "a"}, "userName": {"S": "a"}}, {"tenant": {"S": "a"}, "userName": {"S": "a"}}]}}}),
        ),
        ("Scan", json!({"TableName": table})),
    ] {
        assert_eq!(engine.0.reads.answer(operation, request.to_string().as_bytes()), None, "{request}");
    }
}

#[tokio::test]
async fn a_table_that_changes_is_read_as_it_is_then() {
    let (engine, table) = filled(Engine::in_memory().unwrap()).await;
    let query = queries(&table).remove(0);
    assert!(both(&engine, "Query", &query)["Count"].as_u64().unwrap() > 30);
    assert_eq!(engine.call("DeleteTable", json!({"TableName": table}).to_string().as_bytes()).0, 200);
    assert_eq!(engine.call("Query", query.to_string().as_bytes()).0, 400);
}
