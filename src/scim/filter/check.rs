//! Which comparisons make sense (RFC 7644 section 3.4.2.2), decided before anything is read.

use serde_json::Value;

use super::{Filter, Operator};
use crate::scim::membership::canonical;
use crate::scim::path::AttributePath;
use crate::scim::schema::{Attribute, LocatedAttribute, ResourceSchema, Type, find};
use crate::scim::{ScimError, deviation};

/// Parses a filter and checks its comparisons against a resource type. An id in it is spelled as ids are stored,
/// however the filter spells it: the address of a resource takes each spelling, too.
///
/// # Errors
/// 400 `invalidFilter` with the position of a syntax error, or naming the attribute and the rule.
pub fn parse_for(text: &str, schema: &ResourceSchema) -> Result<Filter, ScimError> {
    let filter = Filter::parse(text).map_err(|e| ScimError::invalid_filter(format!("filter {e}")))?;
    check(&filter, schema)?;
    Ok(with_canonical_ids(filter, &|path| holds_id(path, schema)))
}

/// Whether the values at a path are ids of resources of this server.
fn holds_id(path: &AttributePath, schema: &ResourceSchema) -> bool {
    let located = schema.locate(path);
    let Some(LocatedAttribute { definition: Some(definition), sub, .. }) = located.attribute else { return false };
    let is_value = sub.is_none_or(|(sub, _)| sub == "value");
    let is_id = |name: &str| matches!(name, "id" | "groups" | "members" | "group" | "member");
    located.extension.is_none() && is_value && is_id(&definition.name)
}

fn with_canonical_ids(filter: Filter, holds_id: &dyn Fn(&AttributePath) -> bool) -> Filter {
    let all = |parts: Vec<Filter>| parts.into_iter().map(|part| with_canonical_ids(part, holds_id)).collect();
    let selecting = |path: AttributePath| {
        let is_of_ids = holds_id(&AttributePath { selector: None, sub: None, ..path.clone() });
        let holds_id = |inner: &AttributePath| is_of_ids && inner.name.eq_ignore_ascii_case("value");
        let selector = path.selector.map(|selector| Box::new(with_canonical_ids(*selector, &holds_id)));
        AttributePath { selector, ..path }
    };
    match filter {
        Filter::And(parts) => Filter::And(all(parts)),
        Filter::Or(parts) => Filter::Or(all(parts)),
        Filter::Not(inner) => Filter::Not(Box::new(with_canonical_ids(*inner, holds_id))),
        Filter::Compare(path, operator @ (Operator::Eq | Operator::Ne), Value::String(text)) => {
            let text = if holds_id(&path) { canonical(&text) } else { text };
            Filter::Compare(selecting(path), operator, Value::String(text))
        }
        Filter::Compare(path, operator, value) => Filter::Compare(selecting(path), operator, value),
        Filter::Present(path) => Filter::Present(selecting(path)),
        Filter::ValuePath(path) => Filter::ValuePath(selecting(path)),
    }
}

/// Checks every comparison against the types of a resource's attributes.
///
/// # Errors
/// 400 `invalidFilter` naming the attribute and the rule.
pub fn check(filter: &Filter, schema: &ResourceSchema) -> Result<(), ScimError> {
    check_paths(filter, schema)?;
    walk(filter, &|path| {
        let located = schema.locate(path).attribute;
        located.and_then(|a| leaf(&a))
    })?;
    each_selector(filter, &mut |path, selector| {
        let inside: &[Attribute] = schema
            .locate(path)
            .attribute
            .and_then(|a| a.definition)
            .map_or(&[], |definition| &definition.sub_attributes);
        walk(selector, &|path| find(inside, &path.name))
    })
}

/// Checks that every path names something of a resource type, and not of another one.
///
/// # Errors
/// 400 `invalidFilter` naming the path and what to write.
pub fn check_paths(filter: &Filter, schema: &ResourceSchema) -> Result<(), ScimError> {
    each_path(filter, &mut |path| {
        schema.check_path(path).map_err(|why| ScimError::invalid_filter(format!("filter: {why}")))
    })
}

/// The attribute whose values are compared: for a complex one its `value`.
pub(in crate::scim) fn leaf<'s>(located: &LocatedAttribute<'s>) -> Option<&'s Attribute> {
    match &located.sub {
        Some((_, sub)) => *sub,
        None => {
            let definition = located.definition?;
            match definition.kind {
                Type::Complex => Some(definition.sub("value").unwrap_or(definition)),
                _ => Some(definition),
            }
        }
    }
}

fn walk<'s>(filter: &Filter, definition: &impl Fn(&AttributePath) -> Option<&'s Attribute>) -> Result<(), ScimError> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| walk(part, definition)),
        Filter::Not(inner) => walk(inner, definition),
        Filter::Present(_) | Filter::ValuePath(_) => Ok(()),
        Filter::Compare(path, operator, value) => comparable(definition(path), *operator, value).map_err(|rule| {
            ScimError::invalid_filter(format!("filter has {path} {} {value}, but {rule}", operator.as_str()))
        }),
    }
}

fn each_selector(
    filter: &Filter,
    visit: &mut impl FnMut(&AttributePath, &Filter) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    each_path(filter, &mut |path| match &path.selector {
        Some(selector) => visit(path, selector),
        None => Ok(()),
    })
}

/// Visits the paths of a filter, not those in value filters.
fn each_path(
    filter: &Filter,
    visit: &mut impl FnMut(&AttributePath) -> Result<(), ScimError>,
) -> Result<(), ScimError> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| each_path(part, visit)),
        Filter::Not(inner) => each_path(inner, visit),
        Filter::Present(path) | Filter::ValuePath(path) | Filter::Compare(path, ..) => visit(path),
    }
}

fn comparable(definition: Option<&Attribute>, operator: Operator, value: &Value) -> Result<(), &'static str> {
    use Operator::{Co, Eq, Ew, Ge, Gt, Le, Lt, Ne, Sw};
    if value.is_null() {
        return match operator {
            Eq | Ne => Ok(()),
            _ => Err("null has no order and no text; use eq or ne"),
        };
    }
    let Some(definition) = definition else { return Ok(()) };
    match (definition.kind, operator) {
        (Type::Complex, _) => Err("the attribute is complex; compare one of its sub-attributes"),
        (Type::Boolean | Type::Binary, Gt | Ge | Lt | Le) => {
            Err("booleans and binaries have no order; use eq or ne (RFC 7644 section 3.4.2.2)")
        }
        (Type::Boolean | Type::Integer | Type::Decimal, Co | Sw | Ew) => {
            Err("co, sw and ew compare text; use another operator")
        }
        (Type::Boolean, _) if as_boolean(value).is_none() => {
            Err("the attribute is a boolean; compare it with true or false")
        }
        (Type::Integer | Type::Decimal, _) if as_number(value).is_none() => {
            Err("the attribute is a number; compare it with one")
        }
        (Type::DateTime, Eq | Ne | Gt | Ge | Lt | Le) if as_instant(value).is_none() => {
            Err("the attribute is a dateTime; compare it with one such as 2026-01-31T12:00:00Z")
        }
        _ => Ok(()),
    }
}

pub(super) fn as_boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(*b),
        Value::String(text) => deviation::boolean_from_text(text),
        _ => None,
    }
}

pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

pub(super) fn as_integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i128(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An xsd:dateTime as an instant; without a zone it is taken as UTC (RFC 7643 section 2.3.5 requires none).
pub(in crate::scim) fn as_instant(value: &Value) -> Option<jiff::Timestamp> {
    let text = value.as_str()?;
    text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        Some(local.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// Whether a value is an xsd:dateTime.
pub fn is_instant(value: &Value) -> bool {
    as_instant(value).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Schemas;

    #[test]
    fn ids_are_spelled_as_they_are_stored_wherever_a_filter_has_them() {
        let schemas = Schemas::standard().unwrap();
        let (upper, stored) = ("2819C223-7F76-453A-919D-413861904646", "2819c223-7f76-453a-919d-413861904646");
        for (schema, text) in [
            (&schemas.user, "id eq \"ID\""),
            (&schemas.user, "groups.value eq \"ID\" or groups ne \"ID\""),
            (&schemas.user, "not (groups[type eq \"direct\" and value eq \"ID\"])"),
            (&schemas.user, "groups[value eq \"ID\"].type eq \"direct\""),
            (&schemas.group, "members.value eq \"ID\" or members eq \"ID\""),
            (&schemas.group_member, "group.value eq \"ID\" and member[value eq \"ID\"]"),
        ] {
            let parsed = parse_for(&text.replace("ID", upper), schema).unwrap();
            assert_eq!(parsed.to_string(), text.replace("ID", stored), "{text}");
            let simple = parse_for(&text.replace("ID", &upper.replace('-', "")), schema).unwrap();
            assert_eq!(simple, parsed, "{text}");
        }
        for text in ["userName eq \"ID\"", "externalId eq \"ID\"", "manager.value eq \"ID\"", "shoe.id eq \"ID\""] {
            let text = text.replace("ID", upper);
            assert_eq!(parse_for(&text, &schemas.user).unwrap().to_string(), text);
        }
    }
}
