//! Whether a resource satisfies a filter (RFC 7644 section 3.4.2.2).
//!
//! A comparison holds if any of the attribute's values satisfies it. On an attribute without a value every comparison
//! is false, except `ne`, which is true, and `eq null`; `not` turns the outcome round. Text is compared by the
//! attribute's `caseExact`, dates as instants.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::check::{as_boolean, as_instant, as_integer, as_number, leaf};
use super::{Filter, Operator};
use crate::scim::equality::comparable_text;
use crate::scim::json::member;
use crate::scim::path::AttributePath;
use crate::scim::schema::{Attribute, ResourceSchema, Type, find};
use crate::scim::work;

/// Whether a resource, as it would be returned whole, satisfies the filter.
///
/// # Examples
/// ```
/// use rollcall::scim::filter::{Filter, eval::matches};
///
/// let schema = rollcall::scim::Schemas::standard().unwrap().user;
/// let user = serde_json::json!({"userName": "BJensen", "active": true});
/// let filter = Filter::parse(r#"userName eq "bjensen""#).unwrap();
/// assert!(matches(&filter, user.as_object().unwrap(), &schema));
/// ```
pub fn matches(filter: &Filter, resource: &Map<String, Value>, schema: &ResourceSchema) -> bool {
    Evaluation::Resource { resource, schema }.matches(filter)
}

/// Whether one value of a multi-valued attribute satisfies a value filter.
pub fn selects(selector: &Filter, element: &Value, attributes: &[Attribute]) -> bool {
    Evaluation::Element { element, attributes }.matches(selector)
}

/// What the paths of a filter start from.
enum Evaluation<'a> {
    Resource { resource: &'a Map<String, Value>, schema: &'a ResourceSchema },
    Element { element: &'a Value, attributes: &'a [Attribute] },
}

/// What a `primary` that is not specified is: false where values are compared (RFC 7643 section 2.4).
#[derive(Clone, Copy, PartialEq)]
enum Unspecified {
    Absent,
    Assumed,
}

/// The values that a path leads to, and the declaration they follow.
struct ResolvedPath<'a> {
    values: Vec<&'a Value>,
    definition: Option<&'a Attribute>,
}

impl<'a> Evaluation<'a> {
    fn matches(&self, filter: &Filter) -> bool {
        match filter {
            Filter::And(parts) => parts.iter().all(|part| self.matches(part)),
            Filter::Or(parts) => parts.iter().any(|part| self.matches(part)),
            Filter::Not(inner) => !self.matches(inner),
            Filter::Present(path) | Filter::ValuePath(path) => self.is_present(path),
            // Null is what an attribute has that is not present (RFC 7643 section 2.5).
            Filter::Compare(path, Operator::Eq, Value::Null) => !self.is_present(path),
            Filter::Compare(path, Operator::Ne, Value::Null) => self.is_present(path),
            Filter::Compare(path, operator, operand) => self.leaves(path).satisfies(*operator, operand),
        }
    }

    fn is_present(&self, path: &AttributePath) -> bool {
        // The core schema as a whole.
        if let Evaluation::Resource { resource, schema } = self
            && schema.locate(path).is_core()
        {
            return !resource.is_empty();
        }
        !self.elements(path, Unspecified::Absent).values.is_empty()
    }

    /// The values at a path as a whole: complex ones as objects.
    fn elements(&self, path: &AttributePath, unspecified: Unspecified) -> ResolvedPath<'a> {
        let (container, name, definition, sub) = match *self {
            Evaluation::Resource { resource, schema } => {
                let located = schema.locate_in(path, resource);
                let container = match &located.extension {
                    Some(urn) => member(resource, urn),
                    None => None,
                };
                let Some(attribute) = located.attribute else {
                    let values = container.into_iter().filter(|v| is_assigned(v)).collect();
                    return ResolvedPath { values, definition: None };
                };
                let map = match located.extension {
                    Some(_) => container.and_then(Value::as_object),
                    None => Some(resource),
                };
                (map, attribute.name, attribute.definition, attribute.sub)
            }
            Evaluation::Element { element, attributes } => {
                let definition = find(attributes, &path.name);
                // A value that is not complex is its own `value` (RFC 7643 section 2.4).
                if !element.is_object() && path.name.eq_ignore_ascii_case("value") {
                    return ResolvedPath { values: vec![element], definition };
                }
                let sub = path.sub.as_ref().map(|sub| (sub.clone(), definition.and_then(|d| d.sub(sub))));
                (element.as_object(), path.name.clone(), definition, sub)
            }
        };
        let mut values = container.map_or_else(Vec::new, |map| values_of(map, &name, definition, unspecified));
        if let Some(selector) = &path.selector {
            let attributes: &[Attribute] = definition.map_or(&[], |d| &d.sub_attributes);
            values.retain(|element| selects(selector, element, attributes));
        }
        match sub {
            None => ResolvedPath { values, definition },
            Some((sub, sub_definition)) => ResolvedPath {
                values: values
                    .into_iter()
                    .filter_map(Value::as_object)
                    .flat_map(|map| values_of(map, &sub, sub_definition, unspecified))
                    .collect(),
                definition: sub_definition,
            },
        }
    }

    /// The values to compare: a complex value is compared by its `value` sub-attribute, as in `manager eq "26"`.
    fn leaves(&self, path: &AttributePath) -> ResolvedPath<'a> {
        let found = self.elements(path, Unspecified::Assumed);
        let definition = match *self {
            Evaluation::Resource { schema, .. } => schema.locate(path).attribute.and_then(|a| leaf(&a)),
            Evaluation::Element { .. } => found.definition,
        };
        let values = found
            .values
            .into_iter()
            .filter_map(|value| match value {
                Value::Object(map) => member(map, "value"),
                simple => Some(simple),
            })
            .collect();
        ResolvedPath { values, definition }
    }
}

impl ResolvedPath<'_> {
    fn satisfies(&self, operator: Operator, operand: &Value) -> bool {
        match operator {
            Operator::Ne if self.values.is_empty() => true,
            _ => self.values.iter().any(|value| compare(value, operator, operand, self.definition)),
        }
    }
}

fn values_of<'a>(
    map: &'a Map<String, Value>,
    name: &str,
    definition: Option<&Attribute>,
    unspecified: Unspecified,
) -> Vec<&'a Value> {
    let values = flatten(member(map, name));
    let is_primary = definition.is_some_and(|d| d.kind == Type::Boolean && d.name == "primary");
    if values.is_empty() && is_primary && unspecified == Unspecified::Assumed {
        return vec![&Value::Bool(false)];
    }
    values
}

fn flatten(value: Option<&Value>) -> Vec<&Value> {
    match value {
        Some(Value::Array(items)) => items.iter().filter(|v| is_assigned(v)).collect(),
        Some(value) if is_assigned(value) => vec![value],
        _ => Vec::new(),
    }
}

fn is_assigned(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

fn compare(value: &Value, operator: Operator, operand: &Value, definition: Option<&Attribute>) -> bool {
    work::count();
    let kind = definition.map(|d| d.kind);
    let is_text_operator = matches!(operator, Operator::Co | Operator::Sw | Operator::Ew);
    if let (Value::Bool(value), Some(operand)) = (value, as_boolean(operand)) {
        return ordered(operator, value.cmp(&operand));
    }
    if value.is_number()
        && let Some(order) = order_of_numbers(value, operand)
    {
        return ordered(operator, order);
    }
    if kind == Some(Type::DateTime)
        && !is_text_operator
        && let (Some(value), Some(operand)) = (as_instant(value), as_instant(operand))
    {
        return ordered(operator, value.cmp(&operand));
    }
    let (Some(value), Some(operand)) = (text(value), text(operand)) else {
        return operator == Operator::Ne;
    };
    let is_equality = matches!(operator, Operator::Eq | Operator::Ne);
    if is_equality && value.len().max(operand.len()) > 8 + 6 * value.len().min(operand.len()) {
        // Folding changes a length threefold at the most: not worth folding a long text for.
        return operator == Operator::Ne;
    }
    compare_text(&comparable_text(&value, definition), operator, &comparable_text(&operand, definition))
}

/// Whole numbers are compared as such: as doubles, 2 to the 53 and its successor would be one.
fn order_of_numbers(value: &Value, operand: &Value) -> Option<Ordering> {
    match (as_integer(value), as_integer(operand)) {
        (Some(value), Some(operand)) => Some(value.cmp(&operand)),
        _ => as_number(value)?.partial_cmp(&as_number(operand)?),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        _ => None,
    }
}

fn compare_text(value: &str, operator: Operator, operand: &str) -> bool {
    match operator {
        Operator::Co => value.contains(operand),
        Operator::Sw => value.starts_with(operand),
        Operator::Ew => value.ends_with(operand),
        _ => ordered(operator, value.cmp(operand)),
    }
}

fn ordered(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::Schemas;
    use crate::scim::filter::check::parse_for;

    fn holds(text: &str) -> bool {
        let schemas = Schemas::standard().unwrap();
        let Value::Object(resource) = json!({
            "id": "2819c223-7f76-453a-919d-413861904646", "userName": "bjensen@example.com", "externalId": "aBc",
            "title": "Tour Guide", "active": true, "name": {"familyName": "O'Malley"},
            "emails": [{"type": "work", "value": "Work@example.com", "primary": true}, {"type": "home", "value": "home@example.org"}],
            "roles": [{"value": "admin", "primary": true}],
            "badge": {"level": 3, "serial": 9007199254740993_u64, "codes": ["x", "y"]},
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales", "manager": {"value": "26"}},
            "urn:acme:2.0:User": {"Colour": "Red"},
            "meta": {"resourceType": "User", "lastModified": "2011-05-13T04:42:34Z"}
        }) else {
            panic!()
        };
        matches(&parse_for(text, &schemas.user).unwrap(), &resource, &schemas.user)
    }

    #[test]
    fn comparisons_follow_the_schema() {
        for text in [
            "userName eq \"BJENSEN@example.com\"",
            "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"bj\"",
            "externalId eq \"aBc\"",
            "not (externalId eq \"abc\")",
            "name.familyName co \"o'm\"",
            "active eq true and active eq \"True\"",
            "meta.lastModified gt \"2011-05-13T05:42:33+01:00\"",
            "meta.lastModified eq \"2011-05-13T04:42:34.000Z\"",
            "emails[type eq \"work\" and value co \"@EXAMPLE.com\"]",
            "emails[type eq \"work\"].value eq \"work@example.com\"",
            "emails[type eq \"work\"] eq \"work@example.com\"",
            "emails co \"example.org\"",
            "emails.type ne \"work\"",
            "emails[type eq \"home\" and primary eq false] and emails.primary eq false",
            "emails[type eq \"home\" and primary eq null and not (primary pr)]",
            "roles[primary eq \"True\"].value eq \"admin\"",
            "manager eq \"26\" and manager.value eq \"26\"",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"sales\"",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
            "urn:acme:2.0:User:colour eq \"red\"",
            "badge.level ge 3 and badge.level lt 3.5",
            "badge.codes eq \"y\"",
            "badge.serial gt 9007199254740992 and badge.serial eq \"9007199254740993\"",
            "badge.level ne \"nan\"",
            "title pr and not (nickName pr)",
            "nickName eq null and nickName ne \"x\"",
            "name ne null and emails[type eq \"work\"] ne null",
            "title gt \"a\" and title lt \"zz\"",
        ] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn what_does_not_hold_does_not() {
        for text in [
            "externalId eq \"abc\"",
            "emails[type eq \"home\" and value co \"example.com\"]",
            "emails[type eq \"home\"].value eq \"work@example.com\"",
            "nickName eq \"x\" or nickName gt \"a\"",
            "title ne \"tour guide\"",
            "urn:other:2.0:User:colour eq \"red\"",
            "active eq false",
            "roles.primary ne true or ims.primary eq false",
            "badge.serial eq 9007199254740992",
            "name eq null or urn:acme:2.0:User eq null",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn senseless_comparisons_are_refused_by_name() {
        let schemas = Schemas::standard().unwrap();
        for (text, rule) in [
            ("active gt true", "no order"),
            ("active eq \"maybe\"", "boolean"),
            ("name eq \"x\"", "sub-attributes"),
            ("meta.created gt \"yesterday\"", "dateTime"),
            ("userName co null", "null"),
            ("emails[primary gt true]", "no order"),
        ] {
            let error = parse_for(text, &schemas.user).unwrap_err();
            assert!(error.status() == 400 && error.detail.contains(rule), "{text}: {error}");
        }
    }
}
