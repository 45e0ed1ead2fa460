//! Attribute values in and out.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use crate::store::StoreError;

/// A DynamoDB item.
pub(in crate::store) type Item = HashMap<String, AttributeValue>;

pub(in crate::store) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(in crate::store) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(in crate::store) fn b(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// An instant as milliseconds.
pub(in crate::store) fn at(instant: Timestamp) -> AttributeValue {
    n(instant.as_millisecond())
}

pub(in crate::store) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    optional_text(item, name).ok_or_else(|| missing_attribute(name))
}

pub(in crate::store) fn optional_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(in crate::store) fn number<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    optional_number(item, name).ok_or_else(|| missing_attribute(name))
}

pub(in crate::store) fn optional_number<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(in crate::store) fn instant(item: &Item, name: &str) -> Result<Timestamp, StoreError> {
    optional_instant(item, name).ok_or_else(|| missing_attribute(name))
}

pub(in crate::store) fn optional_instant(item: &Item, name: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(optional_number(item, name)?).ok()
}

pub(in crate::store) fn missing_attribute(name: &str) -> StoreError {
    StoreError::Corrupt(format!("no usable attribute {name}"))
}
