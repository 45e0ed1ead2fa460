//! What a client wrote, brought into the shape that is stored: names as the schema has them, values of the declared
//! types, nothing read-only, nothing unassigned. Rollcall stores an attribute that no schema declares without a change.

use serde_json::{Map, Value};

use super::ErrorCode;
use super::deviation::trace::{Rule, note};
use super::equality::keep_once;
use super::json::{member, member_name, type_name, undeclared};
use super::path::{AttributePath, check_name};
use super::schema::{Attribute, Located, LocatedAttribute, ResourceSchema, Type};
use super::{ScimError, deviation, patch};
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
    /// 400 `invalidValue` naming the attribute and the rule; 400 `invalidPath` for a key that names no attribute; 400
    /// `invalidSyntax` for an attribute given twice.
    pub fn from_request(body: Map<String, Value>, schema: &ResourceSchema) -> Result<Self, ScimError> {
        let mut document = Self::default();
        let place = MembersPlace { extension: None, schemas: named_schemas(&body), schema };
        document.take_all(body, &place)?;
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

    /// Takes the members of an object: of the resource, or of an extension. What names a part of an attribute comes
    /// after what names the whole of one.
    fn take_all(&mut self, members: Map<String, Value>, place: &MembersPlace<'_>) -> Result<(), ScimError> {
        let read = |(key, value): (String, Value)| {
            let path = match place.extension {
                Some(urn) => AttributePath::of_member(urn, &key)?,
                None => AttributePath::of_key(&key)?,
            };
            place.schema.check_path(&path).map_err(ScimError::invalid_path)?;
            Ok((path, value))
        };
        let all = members.into_iter().map(read).collect::<Result<Vec<_>, ScimError>>()?;
        let (wholes, parts): (Vec<_>, Vec<_>) = all.into_iter().partition(|(path, _)| path.is_plain());
        wholes.into_iter().chain(parts).try_for_each(|(path, value)| self.take(&path, value, place))
    }

    fn take(&mut self, path: &AttributePath, value: Value, place: &MembersPlace<'_>) -> Result<(), ScimError> {
        if value.is_null() {
            return Ok(());
        }
        let located = match place.extension {
            Some(urn) => place.schema.locate_member(urn, path),
            None => match place.schema.given_extension(path, &value, &self.0, &place.schemas) {
                Some(urn) => Located { extension: Some(urn), attribute: None },
                None => place.schema.locate_in(path, &self.0),
            },
        };
        if located.is_discarded() {
            return Ok(());
        }
        match (located.extension, located.attribute, value) {
            (extension, Some(attribute), value) => {
                self.take_attribute(path, extension.as_deref(), &attribute, value, place.schema)
            }
            (None, None, Value::Object(members)) => self.take_all(members, place),
            (Some(urn), None, Value::Object(members)) => {
                let (extension, schemas) = (Some(urn.as_str()), Vec::new());
                self.take_all(members, &MembersPlace { extension, schemas, schema: place.schema })
            }
            (Some(urn), None, other) => Err(ScimError::invalid_value(format!(
                "{urn} must be an object, not {} (RFC 7643 section 3.3)",
                type_name(&other)
            ))),
            (None, None, other) => Err(ScimError::invalid_value(format!(
                "{path} must be an object of attributes, not {}",
                type_name(&other)
            ))),
        }
    }

    fn take_attribute(
        &mut self,
        path: &AttributePath,
        extension: Option<&str>,
        attribute: &LocatedAttribute<'_>,
        value: Value,
        schema: &ResourceSchema,
    ) -> Result<(), ScimError> {
        let LocatedAttribute { name, definition, sub } = attribute;
        if definition.is_some_and(deviation::is_read_only_echo) {
            return Ok(());
        }
        let is_list = || definition.map_or_else(|| self.holds_list(extension, name), |d| d.multi_valued);
        if path.selector.is_some() || sub.is_some() && is_list() {
            return patch::add(&mut self.0, path, &value, schema);
        }
        let at = extension.map_or_else(|| name.clone(), |urn| format!("{urn}:{name}"));
        let assigned = match (definition, sub) {
            (Some(definition), None) => coerce(definition, value, &at)?,
            (None, None) => undeclared(value, &at)?,
            (Some(definition), Some((sub, _))) => {
                let part = coerce_members(definition, Map::from_iter([(sub.clone(), value)]), &at)?;
                (!part.is_empty()).then_some(Value::Object(part))
            }
            (None, Some((sub, _))) => {
                undeclared(value, &at)?.map(|value| Value::Object(Map::from_iter([(sub.clone(), value)])))
            }
        };
        let Some(value) = assigned else { return Ok(()) };
        let Some(holder) = self.holder(extension) else {
            let urn = extension.unwrap_or_default();
            return Err(ScimError::invalid_syntax(format!("{urn} is an attribute, too; send one of the two")));
        };
        let held = member_name(holder, name).filter(|_| sub.is_some());
        match (held.and_then(|held| holder.get_mut(&held)), value) {
            (Some(Value::Object(held)), Value::Object(part)) => merge(held, part),
            (_, value) => insert_once(holder, name, value),
        }
    }

    /// The object of an extension, which comes with its first attribute, or the resource itself.
    fn holder(&mut self, extension: Option<&str>) -> Option<&mut Map<String, Value>> {
        let Some(urn) = extension else { return Some(&mut self.0) };
        let name = member_name(&self.0, urn).unwrap_or_else(|| urn.to_owned());
        self.0.entry(name).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
    }

    fn holds_list(&self, extension: Option<&str>, name: &str) -> bool {
        let holder = extension.map_or(Some(&self.0), |urn| member(&self.0, urn)?.as_object());
        holder.and_then(|holder| member(holder, name)).is_some_and(Value::is_array)
    }
}

/// Where the members of an object belong.
struct MembersPlace<'a> {
    /// The extension; `None` for the resource itself.
    extension: Option<&'a str>,
    /// What the request names in `schemas`, in lower case: an extension, whatever form its URN has.
    schemas: Vec<String>,
    schema: &'a ResourceSchema,
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
    let assigned = coerce_members(attribute, members, at)?;
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
    attribute: &Attribute,
    members: Map<String, Value>,
    at: &str,
) -> Result<Map<String, Value>, ScimError> {
    let mut assigned = Map::new();
    for (name, value) in members {
        let name = deviation::sub_attribute_name(attribute, &name);
        match attribute.sub(name) {
            Some(sub) if deviation::is_read_only_echo(sub) => {}
            Some(sub) => {
                if let Some(value) = coerce(sub, value, &format!("{at}.{}", sub.name))? {
                    insert_once(&mut assigned, &sub.name, value)?;
                }
            }
            None => {
                check_name(name, at)?;
                if let Some(value) = undeclared(value, name)? {
                    insert_once(&mut assigned, name, value)?;
                }
            }
        }
    }
    Ok(assigned)
}

fn insert_once(map: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), ScimError> {
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
            (json!({"userName": "a", "": 1}), "is empty"),
            (json!({"userName": "a", "urn:acme:": [1]}), "not an attribute name"),
            (json!({"userName": "a", "shoe size": 1}), "unexpected text"),
            (json!({"userName": "a", "name": {"given name": "x"}}), "name has the key"),
        ] {
            let error = read(body.clone()).unwrap_err();
            assert!(error.status() == 400 && error.detail.contains(part), "{body}: {error}");
        }
    }
}
