//! Query parameters and the ListResponse (RFC 7644 section 3.4.2).

use serde_json::{Map, Value, json};

use super::projection::Projection;
use super::{LIST_URN, ScimError};
use crate::limits::{DEFAULT_PAGE, MAX_PAGE};

/// The query parameters that SCIM defines. Unknown ones are ignored: Entra's own flag `aadOptscim062020` may come
/// (entra-docs, application-provisioning-config-problem-scim-compatibility).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// `filter`, not yet parsed.
    pub filter: Option<String>,
    /// `attributes` and `excludedAttributes`.
    pub projection: Projection,
    /// `startIndex`, at least 1; a lower value counts as 1.
    pub start_index: usize,
    /// Whether `startIndex` was given.
    pub is_indexed: bool,
    /// `count`, at most [`MAX_PAGE`]; a negative value counts as 0.
    pub count: usize,
    /// `count` as it was asked for.
    pub asked_count: Option<usize>,
    /// `cursor` (RFC 9865); empty for the first page.
    pub cursor: Option<String>,
    /// `sortBy`.
    pub sort_by: Option<String>,
}

impl Query {
    /// Reads decoded name-value pairs.
    ///
    /// # Errors
    /// 400 naming the parameter and the rule.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ScimError> {
        let mut known = Known::default();
        for (name, value) in pairs {
            known.take(&name, value)?;
        }
        let [filter, attributes, excluded, start_index, count, sort_by, cursor] = known.values;
        let start_index = integer("startIndex", start_index.as_deref())?;
        let count =
            integer("count", count.as_deref())?.map(|count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
        Ok(Self {
            filter: filter.filter(|text| !text.is_empty()),
            projection: Projection::parse(attributes.as_deref(), excluded.as_deref())?,
            is_indexed: start_index.is_some(),
            start_index: usize::try_from(start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX),
            count: count.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE),
            asked_count: count,
            cursor,
            sort_by: sort_by.filter(|text| !text.is_empty()),
        })
    }
}

const NAMES: [&str; 7] = ["filter", "attributes", "excludedAttributes", "startIndex", "count", "sortBy", "cursor"];

#[derive(Default)]
struct Known {
    values: [Option<String>; NAMES.len()],
}

impl Known {
    fn take(&mut self, name: &str, value: String) -> Result<(), ScimError> {
        let slot = NAMES.iter().zip(&mut self.values).find(|(known, _)| known.eq_ignore_ascii_case(name));
        match slot {
            None => Ok(()),
            Some((_, slot @ None)) => {
                *slot = Some(value);
                Ok(())
            }
            Some((known, Some(_))) => {
                Err(ScimError::invalid_value(format!("the query parameter {known} is given twice")))
            }
        }
    }
}

fn integer(name: &str, text: Option<&str>) -> Result<Option<i64>, ScimError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| ScimError::invalid_value(format!("the query parameter {name} must be an integer"))),
    }
}

/// What a resource takes in Lambda's answer, where the body is text within JSON: quotes and backslashes double.
pub fn escaped_length(resource: &Map<String, Value>) -> usize {
    let text = Value::Object(resource.clone()).to_string();
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// The envelope of a page that a cursor leads to, or leads on from (RFC 9865 section 2). `total` where it is known.
pub fn cursor_response(resources: Vec<Map<String, Value>>, total: Option<usize>, next: Option<String>) -> Value {
    let mut envelope = json!({"schemas": [LIST_URN]});
    if let Value::Object(envelope) = &mut envelope {
        envelope.extend(total.map(|total| ("totalResults".to_owned(), json!(total))));
        envelope.insert("itemsPerPage".into(), json!(resources.len()));
        envelope.extend(next.map(|next| ("nextCursor".to_owned(), json!(next))));
        envelope.insert("Resources".into(), json!(resources));
    }
    envelope
}

/// The list's envelope. `itemsPerPage` is the number of resources that are really there.
pub fn response(resources: Vec<Map<String, Value>>, total: usize, start_index: usize) -> Value {
    json!({
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Query, ScimError> {
        Query::parse(text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())))
    }

    #[test]
    fn bounds_are_those_of_the_rfc() {
        let read = query("startIndex=0&count=-5&aadOptscim062020=x").unwrap();
        assert_eq!((read.start_index, read.count), (1, 0));
        let read = query("startIndex=7&count=100000").unwrap();
        assert_eq!((read.start_index, read.count), (7, MAX_PAGE));
        assert_eq!(query("").unwrap().count, DEFAULT_PAGE);
    }

    #[test]
    fn what_is_not_a_number_or_comes_twice_is_refused() {
        for bad in ["startIndex=x", "count=1.5", "count=1&count=2", "startIndex=99999999999999999999"] {
            assert_eq!(query(bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
