//! What a client wrote, brought into the shape that is stored: names as the schema has them, values of the declared
//! types, nothing read-only, nothing unassigned. Rollcall stores an attribute that no schema declares without a change.

use serde_json::{Map, Value};

use super::ErrorCode;
use super::deviation::trace::{Rule, note};
use super::equality::keep_once;
use super::json::{member, type_name, undeclared};
use super::path::{AttributePath, is_name};
use super::schema::{Attribute, Located, ResourceSchema, Type, find};
use super::{ScimError, deviation};
use crate::limits::MAX_VALUES;

/// A client's part of a resource: everything but `schemas`, `id`, `meta` and read-only attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document(Map<String, Value>);

impl Document {
    /// Reads the body of a POST or PUT.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::Document;
    ///
    /// let schema = rollcall::scim::Schemas::standard().unwrap().user;
    /// let body = serde_json::json!({"USERNAME": "ada", "password": "secret"});
    /// let document = Document::from_request(body.as_object().unwrap().clone(), &schema).unwrap();
    /// assert_eq!(document.text("userName"), Some("ada"));
    /// ```
    ///
    /// # Errors
    /// 400 `invalidValue` naming the attribute and the rule; 400 `invalidSyntax` for an attribute given twice.
    pub fn from_request(body: Map<String, Value>, schema: &ResourceSchema) -> Result<Self, ScimError> {
        let mut document = Self::default();
        let named = named_schemas(&body);
        for (name, value) in body {
            // A URN that `schemas` names is an extension, whatever its form: Okta's end with `:user:custom`.
            if value.is_object() && named.contains(&name.to_ascii_lowercase()) && schema.below_core(&name).is_none() {
                let urn = schema.extension(&name).map_or(name, |extension| extension.id.clone());
                document.take_extension(&urn, None, value, schema)?;
            } else {
                document.take(name, value, schema)?;
            }
        }
        document.check_required(schema)?;
        Ok(document)
    }

    /// Reads what [`to_stored`](Self::to_stored) wrote.
    ///
    /// # Errors
    /// When the text is not a JSON object.
    pub fn from_stored(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// The text that is stored.
    pub fn to_stored(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// The attributes.
    pub fn attributes(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The attributes, for PATCH; what it leaves must be checked with [`check_required`](Self::check_required).
    pub(super) fn attributes_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// A top-level text value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Checks that every required attribute of the core schema has a value.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the attribute.
    pub fn check_required(&self, schema: &ResourceSchema) -> Result<(), ScimError> {
        let missing = schema.core.attributes.iter().find(|a| a.required && !self.0.contains_key(&a.name));
        match missing {
            Some(attribute) => Err(ScimError::new(
                ErrorCode::AttributeRequired,
                format!("{} is required and must not be empty (RFC 7643 section 4)", attribute.name),
            )),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: String, value: Value, schema: &ResourceSchema) -> Result<(), ScimError> {
        if deviation::is_discarded(&name) || value.is_null() {
            return Ok(());
        }
        match (schema.below_core(&name), value) {
            (Some(""), Value::Object(members)) => {
                members.into_iter().try_for_each(|(name, value)| self.take(name, value, schema))
            }
            (Some(rest), value) if !rest.is_empty() => self.take(rest.to_owned(), value, schema),
            (_, value) => self.take_unqualified(name, value, schema),
        }
    }

    fn take_unqualified(&mut self, name: String, value: Value, schema: &ResourceSchema) -> Result<(), ScimError> {
        if let Some((whole, sub)) = dotted(&name, schema) {
            let mut part = Self::default();
            part.take(whole.to_owned(), Value::Object(Map::from_iter([(sub.to_owned(), value)])), schema)?;
            return merge(&mut self.0, part.0);
        }
        if let Some(attribute) = schema.attribute(&name) {
            if deviation::is_read_only_echo(attribute) {
                return Ok(());
            }
            return match coerce(attribute, value, &attribute.name)? {
                Some(value) => insert_once(&mut self.0, &attribute.name, value),
                None => Ok(()),
            };
        }
        if let Some((urn, rest)) = self.split_urn(&name, &value, schema)? {
            return self.take_extension(&urn, rest.as_deref(), value, schema);
        }
        if let Some(extension) = deviation::extension_of_bare_name(schema, &name) {
            return self.take_extension(&extension.id, Some(&name), value, schema);
        }
        match undeclared(value, &name)? {
            Some(value) => insert_once(&mut self.0, &name, value),
            None => Ok(()),
        }
    }

    /// Reads a top-level URN: that of an extension (with its object), or of one of its attributes.
    fn split_urn(
        &self,
        name: &str,
        value: &Value,
        schema: &ResourceSchema,
    ) -> Result<Option<(String, Option<String>)>, ScimError> {
        if !name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
            return Ok(None);
        }
        if let Some(extension) = schema.extension(name) {
            return Ok(Some((extension.id.clone(), None)));
        }
        if let Ok(path) = AttributePath::parse(name) {
            schema.check_path(&path).map_err(ScimError::invalid_path)?;
            let Located { extension, attribute } = schema.locate(&path);
            if let Some(declared) = extension.as_deref().and_then(|urn| schema.extension(urn)) {
                return Ok(Some((declared.id.clone(), attribute.map(|attribute| attribute.name))));
            }
        }
        let Some((urn, attribute)) = name.rsplit_once(':') else { return Ok(None) };
        let is_attribute = member(&self.0, urn).is_some() || !(value.is_object() || schema.is_extension_urn(name));
        Ok(Some(match is_attribute {
            true => (urn.to_owned(), Some(attribute.to_owned())),
            false => (name.to_owned(), None),
        }))
    }

    /// Takes an extension object, or one attribute of it where `name` says which.
    fn take_extension(
        &mut self,
        urn: &str,
        name: Option<&str>,
        value: Value,
        schema: &ResourceSchema,
    ) -> Result<(), ScimError> {
        let members = match (name, value) {
            (Some(name), value) => Map::from_iter([(name.to_owned(), value)]),
            (None, Value::Object(members)) => members,
            (None, other) => {
                return Err(ScimError::invalid_value(format!(
                    "{urn} must be an object, not {} (RFC 7643 section 3.3)",
                    type_name(&other)
                )));
            }
        };
        let assigned = coerce_members(schema.extension_attributes(urn), members, urn, ':', str::to_owned)?;
        if assigned.is_empty() {
            return Ok(());
        }
        let held = self.0.entry(urn).or_insert_with(|| Value::Object(Map::new()));
        let Some(held) = held.as_object_mut() else { return Ok(()) };
        assigned.into_iter().try_for_each(|(name, value)| insert_once(held, &name, value))
    }
}

/// A key such as `name.givenName`, apart: as PATCH without a path reads it, it is a part of a complex attribute.
fn dotted<'n>(name: &'n str, schema: &ResourceSchema) -> Option<(&'n str, &'n str)> {
    let (whole, sub) = name.rsplit_once('.').filter(|(_, sub)| is_name(sub))?;
    let attribute = schema.locate(&AttributePath::parse(whole).ok()?).attribute?;
    let is_complex = |definition: &Attribute| definition.kind == Type::Complex && !definition.multi_valued;
    (attribute.sub.is_none() && attribute.definition.is_some_and(is_complex)).then_some((whole, sub))
}

/// Inserts what is missing, in nested objects too.
fn merge(held: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), ScimError> {
    for (name, value) in more {
        match (held.get_mut(&name), value) {
            (Some(Value::Object(held)), Value::Object(more)) => merge(held, more)?,
            (_, value) => insert_once(held, &name, value)?,
        }
    }
    Ok(())
}

fn named_schemas(body: &Map<String, Value>) -> Vec<String> {
    let schemas = member(body, "schemas").and_then(Value::as_array);
    schemas.into_iter().flatten().filter_map(Value::as_str).map(str::to_ascii_lowercase).collect()
}

/// Gives a value the type its attribute declares; `None` if it means "unassigned" (RFC 7643 section 2.5).
/// `at` is the attribute's path, for errors.
///
/// # Errors
/// 400 `invalidValue` naming the path and the rule.
pub fn coerce(attribute: &Attribute, value: Value, at: &str) -> Result<Option<Value>, ScimError> {
    if deviation::is_unassigned(&value) {
        return Ok(None);
    }
    if !attribute.multi_valued {
        return coerce_one(attribute, deviation::single_from_list(attribute, value), at);
    }
    let items = deviation::list_from_single(value);
    if items.len() > MAX_VALUES {
        return Err(ScimError::new(
            ErrorCode::TooManyValues,
            format!("{at} has more than {MAX_VALUES} values; send fewer"),
        ));
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        values.extend(coerce_one(attribute, item, at)?);
    }
    deviation::enforce_single_primary(&mut values, |_| true);
    keep_once(&mut values, Some(attribute), |_| false);
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// As [`coerce`], for one value of a multi-valued attribute.
///
/// # Errors
/// As [`coerce`].
pub fn coerce_one(attribute: &Attribute, value: Value, at: &str) -> Result<Option<Value>, ScimError> {
    if deviation::is_unassigned(&value) {
        return Ok(None);
    }
    let refuse = |expected: &str, value: &Value| {
        Err(ScimError::invalid_value(format!("{at} must be {expected}, not {}", type_name(value))))
    };
    match attribute.kind {
        Type::Complex => match deviation::complex_from_text(attribute, value) {
            Value::Object(members) => coerce_complex(attribute, members, at),
            other => refuse("an object", &other),
        },
        Type::Boolean => match &value {
            Value::Bool(_) => Ok(Some(value)),
            Value::String(text) => match deviation::boolean_from_text(text) {
                Some(boolean) => {
                    note(Rule::BooleanFromText);
                    Ok(Some(Value::Bool(boolean)))
                }
                None => refuse("a boolean, true or false", &value),
            },
            other => refuse("a boolean, true or false", other),
        },
        Type::Integer if value.is_i64() || value.is_u64() => Ok(Some(value)),
        Type::Integer => refuse("an integer", &value),
        Type::Decimal if value.is_number() => Ok(Some(value)),
        Type::Decimal => refuse("a number", &value),
        Type::DateTime if super::filter::check::is_instant(&value) => Ok(Some(value)),
        Type::DateTime => refuse("a dateTime such as 2026-01-31T12:00:00Z", &value),
        Type::String | Type::Reference | Type::Binary => match deviation::text_from_number(&value) {
            Some(text) => Ok(Some(Value::String(text))),
            None if value.is_string() => Ok(Some(value)),
            None => refuse("text", &value),
        },
    }
}

fn coerce_complex(attribute: &Attribute, members: Map<String, Value>, at: &str) -> Result<Option<Value>, ScimError> {
    let rename = |name: &str| deviation::sub_attribute_name(attribute, name).to_owned();
    let assigned = coerce_members(&attribute.sub_attributes, members, at, '.', rename)?;
    if assigned.is_empty() {
        return Ok(None);
    }
    let missing = attribute.sub_attributes.iter().find(|sub| sub.required && !assigned.contains_key(&sub.name));
    match missing {
        Some(sub) => Err(ScimError::new(
            ErrorCode::AttributeRequired,
            format!("{at}.{} is missing; send a value, as it is required", sub.name),
        )),
        None => Ok(Some(Value::Object(assigned))),
    }
}

fn coerce_members(
    declared: &[Attribute],
    members: Map<String, Value>,
    at: &str,
    separator: char,
    rename: impl Fn(&str) -> String,
) -> Result<Map<String, Value>, ScimError> {
    let mut assigned = Map::new();
    for (name, value) in members {
        let name = rename(&name);
        match find(declared, &name) {
            Some(attribute) if deviation::is_read_only_echo(attribute) => {}
            Some(attribute) => {
                if let Some(value) = coerce(attribute, value, &format!("{at}{separator}{}", attribute.name))? {
                    insert_once(&mut assigned, &attribute.name, value)?;
                }
            }
            None => {
                if let Some(value) = undeclared(value, &name)? {
                    insert_once(&mut assigned, &name, value)?;
                }
            }
        }
    }
    Ok(assigned)
}

fn insert_once(map: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), ScimError> {
    if name.is_empty() {
        return Err(ScimError::invalid_syntax("an attribute name must not be empty"));
    }
    if member(map, name).is_some() {
        let excerpt: String = name.chars().take(128).collect();
        return Err(ScimError::invalid_syntax(format!(
            "{excerpt} is given twice; attribute names do not differ by case (RFC 7643 section 2.1)"
        )));
    }
    map.insert(name.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{ENTERPRISE_URN, Schemas};

    fn read(body: Value) -> Result<Value, ScimError> {
        let schemas = Schemas::standard().unwrap();
        let Value::Object(body) = body else { panic!() };
        Document::from_request(body, &schemas.user).map(|d| Value::Object(d.0))
    }

    #[test]
    fn names_types_and_places_become_the_schemas() {
        let read = read(json!({
            "USERNAME": "bob", "Active": "True", "emails": {"Type": "work", "value": "b@x.org", "primary": "true"},
            "externalId": 7, "manager": "26", "department": null, "title": "", "addresses": null, "roles": [],
            "id": "x", "meta": {"a": 1}, "groups": [{"value": "g"}], "schemas": ["a"], "password": "secret",
            "x509Certificates": [null, {"value": ""}], "name": {"givenName": null},
            "urn:ietf:params:scim:schemas:core:2.0:User:nickName": "bobby",
            "urn:acme:2.0:User": {"a": null, "b": [1]}, "urn:acme:2.0:User:c": "d", "shoe": {"size": 9},
        }))
        .unwrap();
        assert_eq!(
            read,
            json!({
                "userName": "bob", "active": true, "emails": [{"type": "work", "value": "b@x.org", "primary": true}],
                "nickName": "bobby", "externalId": "7", ENTERPRISE_URN: {"manager": {"value": "26"}},
                "urn:acme:2.0:User": {"b": [1], "c": "d"}, "shoe": {"size": 9},
            })
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (body, part) in [
            (json!({}), "userName is required"),
            (json!({"userName": ""}), "userName is required"),
            (json!({"userName": null}), "userName is required"),
            (json!({"userName": {}}), "userName must be text, not an object"),
            (json!({"userName": true}), "userName must be text"),
            (json!({"userName": "a", "active": "yes"}), "active must be a boolean"),
            (json!({"userName": "a", "active": 1}), "active must be a boolean"),
            (json!({"userName": "a", "emails": true}), "emails must be an object, not a boolean"),
            (json!({"userName": "a", "emails": [[]]}), "emails must be an object, not an array"),
            (json!({"userName": "a", "emails": [{"value": {}}]}), "emails.value must be text"),
            (json!({"userName": "a", "name": "Bob"}), "name must be an object"),
            (json!({"userName": "a", "USERNAME": "b"}), "given twice"),
            (json!({"userName": "a", "department": "x", ENTERPRISE_URN: {"Department": "y"}}), "given twice"),
            (json!({"userName": "a", ENTERPRISE_URN: "x"}), "must be an object, not a string"),
            (json!({"userName": "a", "title": ["x"]}), "title must be text"),
            (json!({"userName": "a", "": 1}), "must not be empty"),
            (json!({"userName": "a", "urn:acme:": [1]}), "must not be empty"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert!(error.status() == 400 && error.detail.contains(part), "{body}: {error}");
        }
    }
}
