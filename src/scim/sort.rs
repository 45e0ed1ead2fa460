//! Sorting (RFC 7644 section 3.4.2.3).

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Value};

use super::ScimError;
use super::filter::check::{as_instant, leaf};
use super::fold::fold;
use super::json::member;
use super::path::AttributePath;
use super::schema::{ResourceSchema, Type};

/// `sortBy` and `sortOrder`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    path: AttributePath,
    /// Whether the greatest comes first.
    pub is_descending: bool,
}

/// A value that resources are sorted by. A resource without one comes last, or first when descending.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// Text, folded unless the attribute is `caseExact`.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// A dateTime.
    Instant(jiff::Timestamp),
}

impl Sort {
    /// Reads the two parameters.
    ///
    /// # Errors
    /// 400 `invalidPath` for another text than an attribute, `invalidValue` for an unknown order.
    pub fn parse(by: &str, order: Option<&str>) -> Result<Self, ScimError> {
        let path = AttributePath::parse(by).map_err(|e| ScimError::invalid_path(format!("sortBy {e}")))?;
        if path.selector.is_some() {
            return Err(ScimError::invalid_path("sortBy has a value filter; name the attribute alone"));
        }
        let is_descending = match order {
            None | Some("") => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => return Err(ScimError::invalid_value("sortOrder must be ascending or descending")),
        };
        Ok(Self { path, is_descending })
    }

    /// Checks that the path names an attribute of a resource type.
    ///
    /// # Errors
    /// 400 `invalidPath` naming the path and what to write.
    pub fn check(&self, schema: &ResourceSchema) -> Result<(), ScimError> {
        schema.check_path(&self.path).map_err(|why| ScimError::invalid_path(format!("sortBy: {why}")))
    }

    /// Whether the path names that attribute of the core schema or of all resources.
    pub fn is_by(&self, name: &str, schema: &ResourceSchema) -> bool {
        let located = schema.locate(&self.path);
        let is_named = |located: &super::schema::LocatedAttribute<'_>| {
            located.sub.is_none() && located.definition.is_some_and(|definition| definition.name == name)
        };
        located.extension.is_none() && located.attribute.as_ref().is_some_and(is_named)
    }

    /// What a resource is sorted by: of several values the primary one, or the first.
    pub fn key(&self, resource: &Map<String, Value>, schema: &ResourceSchema) -> Option<Key> {
        let located = schema.locate_in(&self.path, resource);
        let container = match &located.extension {
            Some(urn) => member(resource, urn)?.as_object()?,
            None => resource,
        };
        let attribute = located.attribute?;
        let value = one_of(member(container, &attribute.name)?)?;
        let sub = attribute.sub.as_ref().map_or("value", |(name, _)| name.as_str());
        let simple = match value {
            Value::Object(map) => one_of(member(map, sub)?)?,
            simple => simple,
        };
        let definition = leaf(&attribute);
        match simple {
            Value::Bool(boolean) => Some(Key::Boolean(*boolean)),
            Value::Number(number) => number.as_f64().map(Key::Number),
            Value::String(text) => {
                let instant = definition.filter(|d| d.kind == Type::DateTime).and_then(|_| as_instant(simple));
                let is_exact = definition.is_some_and(|d| d.case_exact);
                let folded = || if is_exact { text.clone() } else { fold(text) };
                Some(instant.map_or_else(|| Key::Text(folded()), Key::Instant))
            }
            _ => None,
        }
    }

    /// Which of two resources comes first.
    pub fn compare(&self, a: &Option<Key>, b: &Option<Key>) -> Ordering {
        let ascending = match (a, b) {
            (Some(a), Some(b)) => a.compare(b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        if self.is_descending { ascending.reverse() } else { ascending }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, if self.is_descending { "descending" } else { "ascending" })
    }
}

impl Key {
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            // Only what no schema declares can have values of several kinds.
            (a, b) => a.kind().cmp(&b.kind()),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
        }
    }
}

fn one_of(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(values) => {
            let is_primary = |value: &&Value| value.get("primary").and_then(Value::as_bool) == Some(true);
            values.iter().find(is_primary).or(values.first())
        }
        Value::Null => None,
        one => Some(one),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::Schemas;

    fn sorted(by: &str, order: &str) -> Vec<String> {
        let schemas = Schemas::standard().unwrap();
        let sort = Sort::parse(by, Some(order)).unwrap();
        let resources = [
            json!({"id": "1", "userName": "bob", "externalId": "b", "active": true, "meta": {"created": "2026-01-01T00:00:00Z"},
                "emails": [{"value": "z@x"}, {"value": "A@x", "primary": true}]}),
            json!({"id": "2", "userName": "Ann", "externalId": "B", "active": false, "meta": {"created": "2026-01-01T01:00:00+02:00"},
                "emails": [{"value": "b@x"}], "urn:x:1.0": {"level": 3}}),
            json!({"id": "3", "userName": "carl", "urn:x:1.0": {"level": 20}}),
        ];
        let mut keyed: Vec<_> = resources
            .iter()
            .map(|r| (sort.key(r.as_object().unwrap(), &schemas.user), r["id"].as_str().unwrap().to_owned()))
            .collect();
        keyed.sort_by(|(a, _), (b, _)| sort.compare(a, b));
        keyed.into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn values_are_in_the_order_of_their_type_and_none_comes_last() {
        assert_eq!(sorted("userName", "ascending"), ["2", "1", "3"]);
        assert_eq!(sorted("userName", "Descending"), ["3", "1", "2"]);
        assert_eq!(sorted("externalId", ""), ["2", "1", "3"], "caseExact");
        assert_eq!(sorted("externalId", "descending"), ["3", "1", "2"], "and first when descending");
        assert_eq!(sorted("emails", ""), ["1", "2", "3"], "by the primary one");
        assert_eq!(sorted("emails.value", ""), ["1", "2", "3"]);
        assert_eq!(sorted("meta.created", ""), ["2", "1", "3"], "an instant");
        assert_eq!(sorted("active", ""), ["2", "1", "3"]);
        assert_eq!(sorted("urn:x:1.0:level", ""), ["2", "3", "1"], "3 before 20");
    }

    #[test]
    fn what_cannot_be_sorted_by_is_refused() {
        for (by, order) in [("emails[type eq \"work\"]", None), ("a b", None), ("userName", Some("down"))] {
            assert_eq!(Sort::parse(by, order).unwrap_err().status(), 400, "{by}");
        }
        let user = Schemas::standard().unwrap().user;
        assert!(Sort::parse("USERNAME", None).unwrap().is_by("userName", &user));
        assert!(!Sort::parse("name.userName", None).unwrap().is_by("userName", &user));
    }
}
