//! SCIM resources as tables.

use serde_json::Value;

use crate::cli::output::{cell, table};

/// A row for each resource, with these attributes.
pub(super) fn of_list(resources: &[Value], attributes: &[String]) -> String {
    let columns: Vec<_> = attributes.iter().map(String::as_str).collect();
    let rows = resources.iter().map(|resource| columns.iter().map(|name| field(resource, name)).collect());
    table(Some(&columns), rows)
}

/// A line for each attribute of a resource, and for each of several values.
pub(super) fn of_resource(resource: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in resource.as_object().into_iter().flatten().filter(|(name, _)| *name != "schemas") {
        add(name, value, &mut lines);
    }
    table(None, lines.into_iter())
}

fn add(name: &str, value: &Value, lines: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            // The attributes of an extension stand for themselves.
            let prefix = if name.contains(':') { String::new() } else { format!("{name}.") };
            for (sub, value) in fields {
                add(&format!("{prefix}{sub}"), value, lines);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (at, value) in values.iter().enumerate() {
                let name = if at == 0 { name } else { "" };
                lines.push(vec![name.to_owned(), element(value)]);
            }
        }
        value => lines.push(vec![name.to_owned(), cell(Some(value))]),
    }
}

/// One of several values, with what it is for.
fn element(value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let is_primary = value.get("primary") == Some(&Value::Bool(true));
    let more: Vec<_> = text("type").into_iter().chain(is_primary.then_some("primary")).collect();
    let main = match (text("display"), text("value"), text("formatted")) {
        (Some(display), Some(value), _) => format!("{display} {value}"),
        (Some(one), None, _) | (None, Some(one), _) | (None, None, Some(one)) => one.to_owned(),
        (None, None, None) => return value.to_string(),
    };
    if more.is_empty() { main } else { format!("{main} ({})", more.join(", ")) }
}

/// The value of an attribute, such as `name.familyName`; of several the primary one, or the first.
fn field(resource: &Value, path: &str) -> String {
    match found(resource, path) {
        Some(Value::Array(values)) if values.iter().any(Value::is_object) => {
            let primary = values.iter().find(|value| value.get("primary") == Some(&Value::Bool(true)));
            let value = primary.or(values.first());
            cell(value.and_then(|value| value.get("value").or_else(|| value.get("display")).or(Some(value))))
        }
        value => cell(value),
    }
}

/// An attribute by its path, in any case of letters; of an extension, the URN stands before the last colon.
fn found<'v>(resource: &'v Value, path: &str) -> Option<&'v Value> {
    let member = |value: &'v Value, name: &str| {
        value.as_object()?.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let (inner, path) = match path.rsplit_once(':') {
        Some((urn, path)) => (member(resource, urn).unwrap_or(resource), path),
        None => (resource, path),
    };
    path.split('.').try_fold(inner, |value, name| match value {
        Value::Array(values) => values.first().and_then(|first| member(first, name)),
        value => member(value, name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn anna() -> Value {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "1",
            "userName": "anna",
            "name": {"familyName": "Ek"},
            "emails": [{"value": "old@x", "type": "home"}, {"value": "anna@x", "type": "work", "primary": true}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
        })
    }

    #[test]
    fn an_attribute_is_found_by_its_path() {
        for (path, value) in [
            ("USERNAME", "anna"),
            ("name.familyName", "Ek"),
            ("emails", "anna@x"),
            ("emails.type", "home"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "Sales"),
            ("title", "-"),
        ] {
            assert_eq!(field(&anna(), path), value, "{path}");
        }
    }

    #[test]
    fn a_resource_is_a_line_for_each_attribute_and_value() {
        assert_eq!(
            of_resource(&anna()),
            "id               1\nuserName         anna\nname.familyName  Ek\nemails           old@x (home)\n                 anna@x (work, primary)\ndepartment       Sales"
        );
    }
}
