//! Attribute values in and out.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::StoreError;

/// A DynamoDB item.
pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// An instant as milliseconds.
pub(super) fn at(instant: Timestamp) -> AttributeValue {
    n(instant.as_millisecond())
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    optional_text(item, name).ok_or_else(|| missing_attribute(name))
}

pub(super) fn optional_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    optional_number(item, name).ok_or_else(|| missing_attribute(name))
}

pub(super) fn optional_number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn instant(item: &Item, name: &str) -> Result<Timestamp, StoreError> {
    optional_instant(item, name).ok_or_else(|| missing_attribute(name))
}

pub(super) fn optional_instant(item: &Item, name: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(optional_number(item, name)?).ok()
}

pub(super) fn missing_attribute(name: &str) -> StoreError {
    StoreError::Corrupt(format!("no usable attribute {name}"))
}
