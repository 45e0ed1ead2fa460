//! Recorded exchanges of identity providers, replayed one after the other. An exchange is
//! `{name, source, send: [method, path, body], status, body, absent, save}`: `body` is what the answer must at least
//! hold, `absent` are JSON pointers, `save` keeps the answer's id under that name, and `{name}` stands for it later.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::support::Harness;

#[derive(Deserialize)]
struct Exchange {
    name: String,
    source: String,
    send: (String, String, Value),
    status: u16,
    #[serde(default)]
    body: Value,
    #[serde(default)]
    absent: Vec<String>,
    save: Option<String>,
}

/// Whether the answer holds everything expected: members of objects by name, lists whole and in order.
fn holds(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| got.get(name).is_some_and(|got| holds(got, value)))
        }
        (Value::Array(got), Value::Array(expected)) => {
            got.len() == expected.len() && got.iter().zip(expected).all(|(got, expected)| holds(got, expected))
        }
        _ => got == expected,
    }
}

async fn replay(file: &str) {
    let text = std::fs::read_to_string(format!("{}/tests/idp/{file}.json", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let exchanges: Vec<Value> = serde_json::from_str(&text).unwrap();
    let harness = Harness::new().await;
    let mut saved = BTreeMap::<String, String>::new();
    for exchange in exchanges {
        let mut text = exchange.to_string();
        for (name, id) in &saved {
            text = text.replace(&format!("{{{name}}}"), id);
        }
        let Exchange { name, source, send: (method, path, body), status, body: expected, absent, save } =
            serde_json::from_str(&text).unwrap();
        let body = (!body.is_null()).then_some(body);
        let reply = harness.send(&method, &path, body).await;
        assert_eq!(reply.status, status, "{file}, {name} ({source}): {}", reply.body);
        assert!(expected.is_null() || holds(&reply.body, &expected), "{file}, {name} ({source}): {}", reply.body);
        for pointer in absent {
            assert_eq!(reply.body.pointer(&pointer), None, "{file}, {name} ({source})");
        }
        if let Some(name) = save {
            saved.insert(name, reply.body["id"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn entra_with_its_default_dialect() {
    replay("entra_default").await;
}

#[tokio::test(start_paused = true)]
async fn entra_with_the_aad_opt_scim_062020_flag() {
    replay("entra_flag").await;
}

#[tokio::test(start_paused = true)]
async fn the_scim_validator_of_microsoft() {
    replay("entra_validator").await;
}

#[tokio::test(start_paused = true)]
async fn okta() {
    replay("okta").await;
}

#[tokio::test(start_paused = true)]
async fn onelogin_and_others() {
    replay("others").await;
}

#[tokio::test(start_paused = true)]
async fn entra_groups() {
    replay("entra_groups").await;
}

#[tokio::test(start_paused = true)]
async fn okta_groups() {
    replay("okta_groups").await;
}
