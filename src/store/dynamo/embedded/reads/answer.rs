//! An answer of DynamoDB, written as text around the items that are stored as text.

/// DynamoDB's unit of a read.
const UNIT_BYTES: usize = 4_096;

/// An answer that grows.
pub(super) struct AnswerJson {
    text: String,
    has_capacity: bool,
}

impl AnswerJson {
    /// Of a call that asks so for its capacity; none if it asks for the share of each index.
    pub(super) fn new(return_consumed_capacity: Option<&str>) -> Option<Self> {
        let has_capacity = match return_consumed_capacity {
            None | Some("NONE") => false,
            Some("TOTAL") => true,
            Some(_) => return None,
        };
        Some(Self { text: "{".to_owned(), has_capacity })
    }

    /// A member whose value is JSON.
    pub(super) fn member(&mut self, name: &str, json: &str) {
        self.open(name, json);
    }

    /// A member that begins so.
    pub(super) fn open(&mut self, name: &str, start: &str) {
        self.comma();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        self.text.push_str(start);
    }

    /// An element of an array, which is JSON.
    pub(super) fn element(&mut self, json: &str) {
        self.comma();
        self.text.push_str(json);
    }

    /// The end of what [`open`](Self::open) began.
    pub(super) fn close(&mut self, end: &str) {
        self.text.push_str(end);
    }

    /// What one table's call consumed, if it asks.
    pub(super) fn capacity(&mut self, table: &str, units: f64) {
        if self.has_capacity {
            self.member("ConsumedCapacity", &consumed(table, units));
        }
    }

    /// The same, as one of several tables.
    pub(super) fn capacities(&mut self, table: &str, units: f64) {
        if self.has_capacity {
            self.member("ConsumedCapacity", &format!("[{}]", consumed(table, units)));
        }
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.text.push('}');
        self.text.into_bytes()
    }

    fn comma(&mut self) {
        if !self.text.ends_with(['{', '[']) {
            self.text.push(',');
        }
    }
}

fn consumed(table: &str, units: f64) -> String {
    format!("{{\"TableName\":\"{table}\",\"CapacityUnits\":{units:?}}}")
}

/// The read units of so many bytes: a unit at least, and half of it for a read that may be old.
#[expect(clippy::cast_precision_loss, reason = "a few megabytes at most")]
pub(super) fn units(bytes: usize, is_consistent: bool) -> f64 {
    let units = bytes.div_ceil(UNIT_BYTES).max(1) as f64;
    if is_consistent { units } else { units / 2.0 }
}
