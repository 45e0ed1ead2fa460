//! The bus of EventBridge that events are put on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::{MAX_BUS_ATTEMPTS, MAX_BUS_BYTES, MAX_BUS_ENTRIES};
use crate::sigv4::{ServiceCall, ServiceError, SignedClient};

/// The first pause before an entry is put again; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// What EventBridge counts for an entry besides its texts.
const ENTRY_BYTES: usize = 64;

/// A bus.
#[derive(Debug, Clone)]
pub struct EventBus {
    client: SignedClient,
    /// Name or ARN.
    name: String,
}

impl EventBus {
    /// The bus of that name or ARN.
    #[must_use]
    pub fn new(client: SignedClient, name: String) -> Self {
        Self { client, name }
    }

    /// Puts events of a tenant on the bus, each by type and text, in order where nothing fails. What fails alone is put
    /// again alone.
    ///
    /// # Errors
    /// What EventBridge says of those that were not put in [`MAX_BUS_ATTEMPTS`]; others may be there.
    pub async fn put(&self, tenant: &str, events: &[(String, String)]) -> Result<(), String> {
        let entries = events.iter().map(|(kind, text)| self.entry(tenant, kind, text));
        for batch in batches(entries.collect()) {
            self.put_batch(batch).await?;
        }
        Ok(())
    }

    fn entry(&self, tenant: &str, kind: &str, text: &str) -> Value {
        let room = MAX_BUS_BYTES - ENTRY_BYTES - tenant.len() - kind.len() - self.name.len();
        json!({"Source": "rollcall", "DetailType": kind, "Detail": shorten(text, room), "Resources": [tenant],
            "EventBusName": self.name})
    }

    async fn put_batch(&self, batch: Vec<Value>) -> Result<(), String> {
        let (mut left, mut pause, mut why) = (batch, PAUSE, String::new());
        for _ in 0..MAX_BUS_ATTEMPTS {
            (left, why) = match self.call(&left).await {
                Ok(answer) => failed(left, &answer),
                Err(ServiceError::Unavailable(why)) => (left, why),
                Err(error) => return Err(error.to_string()),
            };
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(format!("{} entries were not put: {why}", left.len()))
    }

    async fn call(&self, entries: &[Value]) -> Result<Value, ServiceError> {
        let body = json!({"Entries": entries}).to_string();
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.PutEvents")];
        let (service, host, method, path) = ("events", "events", "POST", "/");
        let call = ServiceCall { service, host, method, path, headers: &headers, body: body.as_bytes() };
        let answer = self.client.send(call).await?;
        serde_json::from_slice(&answer).map_err(|e| ServiceError::Unavailable(e.to_string()))
    }
}

/// The entries that an answer says were not put, and why the first one was not. One without a line counts as not put.
fn failed(entries: Vec<Value>, answer: &Value) -> (Vec<Value>, String) {
    let lines = answer.get("Entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut why = String::new();
    let was_not_put = |(at, _): &(usize, Value)| {
        let is_put = lines.get(*at).is_some_and(|line| line.get("ErrorCode").is_none_or(Value::is_null));
        if !is_put && why.is_empty() {
            why = lines.get(*at).map_or_else(|| "the answer is too short".to_owned(), Value::to_string);
        }
        !is_put
    };
    let left = entries.into_iter().enumerate().filter(was_not_put).map(|(_, entry)| entry).collect();
    (left, why)
}

/// Entries by calls, each within both bounds.
fn batches(entries: Vec<Value>) -> Vec<Vec<Value>> {
    let mut batches: Vec<Vec<Value>> = Vec::new();
    let mut bytes = 0;
    for entry in entries {
        let size = size(&entry);
        match batches.last_mut().filter(|batch| batch.len() < MAX_BUS_ENTRIES && bytes + size <= MAX_BUS_BYTES) {
            Some(batch) => {
                bytes += size;
                batch.push(entry);
            }
            None => {
                bytes = size;
                batches.push(vec![entry]);
            }
        }
    }
    batches
}

/// As EventBridge counts: the bytes of the texts.
fn size(entry: &Value) -> usize {
    let texts = ["Source", "DetailType", "Detail", "EventBusName"];
    let texts = texts.into_iter().filter_map(|name| entry.get(name)?.as_str()).map(str::len);
    let resources = entry.pointer("/Resources/0").and_then(Value::as_str).map_or(0, str::len);
    texts.sum::<usize>() + resources + ENTRY_BYTES
}

/// An event that fits: without the old values, then without the new ones, as the feed itself shortens.
fn shorten(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let Ok(Value::Object(mut event)) = serde_json::from_str(text) else { return text.to_owned() };
    let mut left_out: Vec<Value> = match event.shift_remove("truncated") {
        Some(Value::Array(parts)) => parts,
        _ => Vec::new(),
    };
    for part in ["before", "data", "changed"] {
        if event.shift_remove(part).is_some() {
            left_out.push(part.into());
        }
        event.insert("truncated".to_owned(), left_out.clone().into());
        let text = Value::Object(event.clone()).to_string();
        if text.len() <= room {
            return text;
        }
    }
    Value::Object(event).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(detail: usize) -> Value {
        json!({"Source": "rollcall", "DetailType": "user.updated", "Detail": "x".repeat(detail), "Resources": ["acme"]})
    }

    #[test]
    fn a_call_has_at_most_ten_entries_and_keeps_the_bound_of_bytes() {
        let lengths = |details: Vec<usize>| -> Vec<usize> {
            batches(details.into_iter().map(entry).collect()).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(vec![100; 25]), [10, 10, 5]);
        assert_eq!(lengths(vec![100_000; 5]), [2, 2, 1]);
        assert_eq!(lengths(vec![MAX_BUS_BYTES - 100, 1_000]), [1, 1]);
        assert!(lengths(vec![]).is_empty());
    }

    #[test]
    fn what_the_answer_does_not_call_put_is_left() {
        let entries = vec![json!(1), json!(2), json!(3)];
        let answer = json!({"FailedEntryCount": 1, "Entries": [{"EventId": "a"}, {"ErrorCode": "Throttled"}]});
        let (left, why) = failed(entries, &answer);
        assert_eq!(left, [json!(2), json!(3)]);
        assert!(why.contains("Throttled"));
    }

    #[test]
    fn a_long_event_leaves_out_old_values_then_new_ones() {
        let event = |size: usize| json!({"id": "e", "before": "x".repeat(size), "data": "y".repeat(size)}).to_string();
        let short: Value = serde_json::from_str(&shorten(&event(600), 1_000)).unwrap();
        assert_eq!((&short["truncated"], short["data"].as_str().unwrap().len()), (&json!(["before"]), 600));
        let short: Value = serde_json::from_str(&shorten(&event(2_000), 1_000)).unwrap();
        assert_eq!(short, json!({"id": "e", "truncated": ["before", "data"]}));
        assert_eq!(shorten(&event(10), 1_000), event(10));
    }
}
