//! Query parameters and the ListResponse (RFC 7644 section 3.4.2).

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::json::member;
use super::projection::Projection;
use super::schema::ResourceSchema;
use super::sort::Sort;
use super::{LIST_URN, SEARCH_URN, ScimError};
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
    pub requested_count: Option<usize>,
    /// `cursor` (RFC 9865); empty for the first page. Where there is one, `startIndex` says nothing.
    pub cursor: Option<String>,
    /// `sortBy` and `sortOrder`.
    pub sort: Option<Sort>,
}

impl Query {
    /// Reads decoded name-value pairs.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::list::Query;
    ///
    /// let pairs = [("startIndex", "11"), ("count", "10")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    /// let query = Query::parse(pairs).unwrap();
    /// assert_eq!(query.requested_count, Some(10));
    /// ```
    ///
    /// # Errors
    /// 400 naming the parameter and the rule.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ScimError> {
        let mut known = Known::default();
        for (name, value) in pairs {
            known.take(&name, value)?;
        }
        let [filter, attributes, excluded, start_index, count, sort_by, sort_order, cursor] = known.values;
        let start_index = integer("startIndex", start_index.as_deref())?;
        let count = match &cursor {
            Some(_) => count_with_cursor(count.as_deref())?,
            None => integer("count", count.as_deref())?,
        };
        let count = count.map(|count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
        let sort_by = sort_by.filter(|text| !text.is_empty());
        Ok(Self {
            filter: filter.filter(|text| !text.is_empty()),
            projection: Projection::parse(attributes.as_deref(), excluded.as_deref())?,
            is_indexed: start_index.is_some(),
            start_index: usize::try_from(start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX),
            count: count.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE),
            requested_count: count,
            // "No resource results are to be returned except for totalResults" (RFC 9865 section 2), as by index.
            cursor: cursor.filter(|_| count != Some(0)),
            sort: sort_by.map(|by| Sort::parse(&by, sort_order.as_deref())).transpose()?,
        })
    }

    /// Checks that the attributes that are returned and sorted by are of a resource type.
    ///
    /// # Errors
    /// 400 `invalidPath` naming the path and what to write.
    pub fn check(&self, schema: &ResourceSchema) -> Result<(), ScimError> {
        self.projection.check(schema)?;
        self.sort.as_ref().map_or(Ok(()), |sort| sort.check(schema))
    }

    /// Reads the body of a search (RFC 7644 section 3.4.3), which says the same in JSON.
    ///
    /// # Errors
    /// 400 naming the attribute and the rule.
    pub fn from_search(body: &Map<String, Value>) -> Result<Self, ScimError> {
        let schemas = member(body, "schemas").and_then(Value::as_array);
        let is_search = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(SEARCH_URN));
        // A search without `schemas`, or with none in it, is read, as such a PUT is.
        if schemas.is_some_and(|schemas| !schemas.is_empty() && !schemas.iter().any(is_search)) {
            return Err(ScimError::invalid_syntax(format!("schemas must have {SEARCH_URN}")));
        }
        // Null is no value (RFC 7643 section 2.5).
        let parameters = NAMES.iter().filter_map(|name| Some((name, member(body, name).filter(|v| !v.is_null())?)));
        let pairs = parameters.map(|(name, value)| Ok(((*name).to_owned(), parameter(name, value)?)));
        Self::parse(pairs.collect::<Result<Vec<_>, ScimError>>()?)
    }
}

const NAMES: [&str; 8] =
    ["filter", "attributes", "excludedAttributes", "startIndex", "count", "sortBy", "sortOrder", "cursor"];

/// A member of a search as it would stand in a URL.
fn parameter(name: &str, value: &Value) -> Result<String, ScimError> {
    let refuse = |what: &str| ScimError::invalid_value(format!("{name} must be {what}"));
    match name {
        "attributes" | "excludedAttributes" => {
            let names = match value {
                Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<Vec<_>>>(),
                Value::String(names) => Some(vec![names.as_str()]),
                _ => None,
            };
            Ok(names.ok_or_else(|| refuse("an array of attribute names"))?.join(","))
        }
        "startIndex" | "count" => match value {
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            _ => Err(refuse("an integer")),
        },
        _ => value.as_str().map(str::to_owned).ok_or_else(|| refuse("a string")),
    }
}

/// `count` has an error of its own where there is a cursor (RFC 9865 section 2.1).
fn count_with_cursor(text: Option<&str>) -> Result<Option<i64>, ScimError> {
    integer("count", text)
        .map_err(|_| ScimError::invalid_count(format!("count must be an integer from 0 to {MAX_PAGE}")))
}

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
                Err(ScimError::invalid_value(format!("the query parameter {known} occurs twice; send it once")))
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

/// The length of a resource, or of a part of it, in Lambda's answer, where the body is a JSON string: quotes and
/// backslashes double.
pub fn escaped_length(value: &impl Serialize) -> usize {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}

/// The envelope of a page that a cursor leads to, or leads on from (RFC 9865 section 2). `total` where it is known.
pub fn cursor_response(
    resources: Vec<Map<String, Value>>,
    total: Option<usize>,
    previous: Option<String>,
    next: Option<String>,
) -> Value {
    let mut envelope = json!({"schemas": [LIST_URN]});
    if let Value::Object(envelope) = &mut envelope {
        envelope.extend(total.map(|total| ("totalResults".to_owned(), json!(total))));
        envelope.insert("itemsPerPage".into(), json!(resources.len()));
        envelope.extend(previous.map(|previous| ("previousCursor".to_owned(), json!(previous))));
        envelope.extend(next.map(|next| ("nextCursor".to_owned(), json!(next))));
        envelope.insert("Resources".into(), array(resources));
    }
    envelope
}

/// As `json!` would, which copies what it takes.
fn array(resources: Vec<Map<String, Value>>) -> Value {
    resources.into_iter().map(Value::Object).collect()
}

/// The list's envelope. `itemsPerPage` is the number of resources that are really there.
pub fn response(resources: Vec<Map<String, Value>>, total: usize, start_index: usize) -> Value {
    Value::Object(Map::from_iter([
        ("schemas".to_owned(), json!([LIST_URN])),
        ("totalResults".to_owned(), json!(total)),
        ("startIndex".to_owned(), json!(start_index)),
        ("itemsPerPage".to_owned(), json!(resources.len())),
        ("Resources".to_owned(), array(resources)),
    ]))
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
    fn a_search_says_in_json_what_a_url_says() {
        let body = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let urn = SEARCH_URN;
        let search = format!(
            r#"{{"schemas":["{urn}"],"attributes":["userName","emails"],"Filter":"userName pr","cursor":null,"startIndex":3,"count":2,"sortBy":"userName"}}"#
        );
        let same = query("attributes=userName,emails&filter=userName pr&startIndex=3&count=2&sortBy=userName").unwrap();
        assert_eq!(Query::from_search(&body(&search)).unwrap(), same);
        for lenient in ["{}", r#"{"schemas":[]}"#, r#"{"schemas":null}"#] {
            assert!(Query::from_search(&body(lenient)).is_ok(), "{lenient}: as a PUT is read");
        }
        for bad in [
            r#"{"schemas":["urn:other"]}"#.to_owned(),
            format!(r#"{{"schemas":["{urn}"],"count":"two"}}"#),
            format!(r#"{{"schemas":["{urn}"],"filter":5}}"#),
            format!(r#"{{"schemas":["{urn}"],"attributes":{{}}}}"#),
        ] {
            assert_eq!(Query::from_search(&body(&bad)).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn a_cursor_has_rules_of_its_own() {
        assert_eq!(query("cursor=&count=2").unwrap().requested_count, Some(2));
        for nothing in ["cursor=x&count=0", "cursor=&count=-1"] {
            let read = query(nothing).unwrap();
            assert_eq!((read.count, read.cursor), (0, None), "{nothing}");
        }
        let error = query("cursor=&count=many").unwrap_err();
        assert_eq!(error.scim_type(), Some(crate::scim::ScimType::InvalidCount));
    }

    #[test]
    fn what_is_not_a_number_or_comes_twice_is_refused() {
        for bad in ["startIndex=x", "count=1.5", "count=1&count=2", "startIndex=99999999999999999999"] {
            assert_eq!(query(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
