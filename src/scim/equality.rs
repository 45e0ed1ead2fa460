//! One definition of "the same value of an attribute": for filters, for what PATCH adds and removes, and for what stands
//! once in a list. Text is compared as `caseExact` says, dates as instants, numbers as numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};

use super::filter::check::as_instant;
use super::fold::fold;
use super::json::member;
use super::schema::{Attribute, Type};
use super::work;

/// From here on not every integer is a double: 2 to the 53.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// The text by which a value of an attribute is compared. What no schema declares has the default characteristics:
/// `caseExact` false (RFC 7643 section 2.2).
pub fn comparable_text<'t>(text: &'t str, definition: Option<&Attribute>) -> Cow<'t, str> {
    match definition {
        Some(definition) if definition.case_exact => Cow::Borrowed(text),
        _ => Cow::Owned(fold(text)),
    }
}

/// The form in which two values of an attribute are equal exactly if they are the same.
///
/// # Examples
/// ```
/// use rollcall::scim::equality::normal_form;
///
/// let schemas = rollcall::scim::Schemas::standard().unwrap();
/// let emails = schemas.user.attribute("emails");
/// let form = |email: &str| normal_form(&serde_json::json!({"value": email}), emails);
/// assert_eq!(form("Ada@Example.com"), form("ada@example.com"));
/// ```
pub fn normal_form(value: &Value, definition: Option<&Attribute>) -> Value {
    work::count();
    match value {
        Value::String(text) => {
            let is_date = definition.is_some_and(|d| d.kind == Type::DateTime);
            let instant = as_instant(value).filter(|_| is_date);
            instant.map_or_else(|| comparable_text(text, definition).into(), |instant| instant.to_string().into())
        }
        Value::Number(number) => Value::Number(whole(number).unwrap_or_else(|| number.clone())),
        Value::Array(items) => items.iter().map(|item| normal_form(item, definition)).collect(),
        Value::Object(members) => {
            let mut forms = BTreeMap::new();
            for (name, value) in members {
                forms.insert(name.to_ascii_lowercase(), normal_form(value, definition.and_then(|d| d.sub(name))));
            }
            Value::Object(forms.into_iter().collect())
        }
        other => other.clone(),
    }
}

/// `2.0` as `2`.
#[allow(clippy::cast_possible_truncation, reason = "only of what is exact")]
fn whole(number: &Number) -> Option<Number> {
    let float =
        number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < LARGEST_EXACT)?;
    Some(Number::from(float as i64))
}

/// What identifies a value in a list: its `value` with its `type` (RFC 7643 section 2.4), or all of it where
/// it has no `value`. A `primary` that is false is one that is not specified.
pub fn identity(value: &Value, definition: Option<&Attribute>) -> String {
    let Value::Object(members) = value else { return normal_form(value, definition).to_string() };
    let part = |name: &str| member(members, name).map(|value| normal_form(value, definition.and_then(|d| d.sub(name))));
    if let Some(value) = part("value") {
        return json!([value, part("type")]).to_string();
    }
    let mut form = normal_form(value, definition);
    if let Value::Object(form) = &mut form
        && form.get("primary") == Some(&Value::Bool(false))
    {
        form.shift_remove("primary");
    }
    form.to_string()
}

/// Leaves one of the values that are the same, at the place of the first, with what the others say besides. What is
/// `new` says it better. Nulls stay.
pub fn keep_once(values: &mut Vec<Value>, definition: Option<&Attribute>, is_new: impl Fn(usize) -> bool) {
    let mut places = BTreeMap::new();
    let mut kept: Vec<(Value, bool)> = Vec::with_capacity(values.len());
    for (index, value) in std::mem::take(values).into_iter().enumerate() {
        let place = match &value {
            Value::Null => kept.len(),
            value => *places.entry(identity(value, definition)).or_insert(kept.len()),
        };
        match kept.get_mut(place) {
            Some((held, is_held_new)) => {
                let wins = is_new(index) && !*is_held_new;
                *is_held_new |= wins;
                absorb(held, value, wins);
            }
            None => kept.push((value, is_new(index))),
        }
    }
    values.extend(kept.into_iter().map(|(value, _)| value));
}

/// Adds what another spelling of a value says besides.
fn absorb(held: &mut Value, other: Value, wins: bool) {
    let (Value::Object(held), Value::Object(other)) = (held, other) else { return };
    if wins {
        held.extend(other);
        return;
    }
    for (name, value) in other {
        if name == "primary" && value == Value::Bool(true) || member(held, &name).is_none() {
            held.insert(name, value);
        }
    }
}

/// Adds to a value what a client says of the same one. Its `value` and `type` stay as they are spelled: they are there
/// already (RFC 7644 section 3.5.2.1).
pub fn merge_same(held: &mut Map<String, Value>, new: Map<String, Value>) {
    let is_there = |held: &Map<String, Value>, name: &str| matches!(name, "value" | "type") && held.contains_key(name);
    for (name, value) in new {
        if !is_there(held, &name) {
            held.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Schemas;

    #[test]
    fn values_are_the_same_as_the_schema_says() {
        let schemas = Schemas::standard().unwrap();
        let attribute = |name: &str| schemas.user.attribute(name).unwrap();
        let is_same =
            |name: &str, a: Value, b: Value| identity(&a, Some(attribute(name))) == identity(&b, Some(attribute(name)));
        for (name, a, b) in [
            ("emails", json!({"value": "A@X"}), json!({"value": "a@x"})),
            (
                "emails",
                json!({"value": "A@X", "type": "Work"}),
                json!({"type": "work", "value": "a@x", "display": "d"}),
            ),
            ("addresses", json!({"locality": "BERLIN", "primary": false}), json!({"locality": "Berlin"})),
            ("title", json!("Stra\u{df}e"), json!("STRASSE")),
            ("title", json!(2.0), json!(2)),
        ] {
            assert!(is_same(name, a.clone(), b.clone()), "{name}: {a} and {b}");
        }
        for (name, a, b) in [
            ("emails", json!({"value": "a@x"}), json!({"value": "a@x", "type": "work"})),
            ("photos", json!({"value": "https://x/A"}), json!({"value": "https://x/a"})),
            ("x509Certificates", json!({"value": "QQ=="}), json!({"value": "qq=="})),
            ("addresses", json!({"locality": "Berlin", "primary": true}), json!({"locality": "Berlin"})),
            ("externalId", json!("A"), json!("a")),
            ("title", json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64)),
        ] {
            assert!(!is_same(name, a.clone(), b.clone()), "{name}: {a} and {b}");
        }
    }

    #[test]
    fn one_of_the_same_is_left_and_says_all() {
        let kept = |values: Value, new: &[usize]| {
            let Value::Array(mut values) = values else { panic!() };
            keep_once(&mut values, None, |index| new.contains(&index));
            Value::Array(values)
        };
        let two = json!([{"value": "a", "display": "1"}, {"value": "b"}, null, {"value": "A", "display": "2", "primary": true}]);
        assert_eq!(
            kept(two.clone(), &[]),
            json!([{"value": "a", "display": "1", "primary": true}, {"value": "b"}, null])
        );
        assert_eq!(kept(two, &[3]), json!([{"value": "A", "display": "2", "primary": true}, {"value": "b"}, null]));
        assert_eq!(kept(json!(["x", "X", 1, 1.0, true, "y"]), &[]), json!(["x", 1, true, "y"]));
    }
}
