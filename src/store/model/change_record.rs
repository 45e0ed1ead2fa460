//! A change record of a table, as DynamoDB Streams and Lambda hand it over.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::store::dynamo::item::{Item, optional_text};
use crate::store::ops::counts::UserChange;

/// What has become of one item.
#[derive(Debug, Clone)]
pub struct ChangeRecord {
    keys: Item,
    pub(in crate::store) old: Option<Item>,
    pub(in crate::store) new: Option<Item>,
    /// The record's place in the stream, a number.
    pub(in crate::store) sequence: String,
    /// The label of the stream, another one each time that it is switched on; empty if nobody says.
    pub(in crate::store) stream: String,
    /// To the second.
    pub(in crate::store) at: Timestamp,
}

/// Which table a record is of, by the form of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedItem<'a> {
    /// A user of that tenant.
    User(&'a str),
    /// A group of that tenant.
    Group(&'a str),
    /// None that Rollcall follows.
    Other,
}

impl ChangeRecord {
    /// Which item has changed.
    pub fn item(&self) -> ChangedItem<'_> {
        let key = |name: &str| optional_text(&self.keys, name);
        match (key("tenant"), key("userName"), key("id")) {
            (Some(tenant), Some(_), _) => ChangedItem::User(tenant),
            (Some(tenant), _, Some(_)) => ChangedItem::Group(tenant),
            _ => ChangedItem::Other,
        }
    }

    /// The record's place in the stream, by which it is handed over again.
    pub fn sequence(&self) -> &str {
        &self.sequence
    }

    /// When the change was, to the second.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How long ago the change was, to the second, in milliseconds; none if nobody says.
    pub fn age(&self, now: Timestamp) -> Option<u64> {
        u64::try_from(now.duration_since(self.at).as_millis()).ok()
    }

    /// Who came or went, of a record of a user; none for who has only changed.
    pub fn user_change(&self) -> Option<UserChange> {
        let (image, came) = match (&self.old, &self.new) {
            (None, Some(new)) => (new, true),
            (Some(old), None) => (old, false),
            _ => return None,
        };
        let id = optional_text(image, "id")?.to_owned();
        Some(UserChange { id, came, sequence: self.sequence.clone(), stream: self.stream.clone(), at: self.at })
    }

    fn read(record: &Value) -> Option<Self> {
        let change = record.get("dynamodb")?;
        let image = |name: &str| match change.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(image) => item(image).map(Some),
        };
        let arn = record.get("eventSourceARN").and_then(Value::as_str).unwrap_or_default();
        let second = change.get("ApproximateCreationDateTime").and_then(Value::as_f64).unwrap_or(f64::MAX) as i64;
        Some(Self {
            keys: item(change.get("Keys")?)?,
            old: image("OldImage")?,
            new: image("NewImage")?,
            sequence: change.get("SequenceNumber")?.as_str()?.to_owned(),
            stream: arn.rsplit_once("/stream/").map_or("", |(_, label)| label).to_owned(),
            at: Timestamp::from_second(second).unwrap_or(Timestamp::MAX),
        })
    }
}

impl<'de> Deserialize<'de> for ChangeRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = Value::deserialize(deserializer)?;
        Self::read(&record).ok_or_else(|| D::Error::custom("a change record is not as DynamoDB writes them"))
    }
}

fn item(value: &Value) -> Option<Item> {
    value.as_object()?.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

/// A value in DynamoDB's JSON, such as `{"S": "text"}`.
fn attribute(value: &Value) -> Option<AttributeValue> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let bytes = |value: &Value| Some(Blob::new(STANDARD.decode(value.as_str()?).ok()?));
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => AttributeValue::S(text(value)?),
        "N" => AttributeValue::N(text(value)?),
        "B" => AttributeValue::B(bytes(value)?),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "SS" => AttributeValue::Ss(value.as_array()?.iter().map(text).collect::<Option<_>>()?),
        "NS" => AttributeValue::Ns(value.as_array()?.iter().map(text).collect::<Option<_>>()?),
        "BS" => AttributeValue::Bs(value.as_array()?.iter().map(bytes).collect::<Option<_>>()?),
        "L" => AttributeValue::L(value.as_array()?.iter().map(attribute).collect::<Option<_>>()?),
        "M" => AttributeValue::M(item(value)?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_read_with_every_kind_of_value_or_refused_whole() {
        let image = json!({"tenant": {"S": "acme"}, "n": {"N": "7"}, "b": {"B": "AAE="}, "t": {"BOOL": true},
            "z": {"NULL": true}, "ss": {"SS": ["x"]}, "ns": {"NS": ["1"]}, "bs": {"BS": ["AA=="]},
            "l": {"L": [{"S": "x"}]}, "m": {"M": {"k": {"N": "1"}}}});
        let mut record = json!({"eventSourceARN": "arn:aws:dynamodb:x:1:table/t/stream/2026", "dynamodb": {
            "Keys": {"tenant": {"S": "acme"}, "id": {"S": "1"}}, "NewImage": image, "SequenceNumber": "5",
            "ApproximateCreationDateTime": 12.5}});
        let read: ChangeRecord = serde_json::from_value(record.clone()).unwrap();
        assert_eq!((read.item(), read.stream.as_str()), (ChangedItem::Group("acme"), "2026"));
        assert_eq!((read.new.as_ref().unwrap().len(), read.old.is_none(), read.at.as_second()), (10, true, 12));
        record["dynamodb"]["NewImage"]["n"] = json!({"X": "7"});
        assert!(serde_json::from_value::<ChangeRecord>(record).is_err());
    }
}
