//! `attributes` and `excludedAttributes` (RFC 7644 section 3.9).

use serde_json::{Map, Value};

use super::json::{member, member_name};
use super::path::AttributePath;
use super::schema::{Located, ResourceSchema, Returned};
use super::{ScimError, json};

/// Which attributes a client asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Projection {
    include: Vec<AttributePath>,
    exclude: Vec<AttributePath>,
}

impl Projection {
    /// Reads the two comma-separated lists. A value filter within them is taken for its attribute.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::projection::Projection;
    ///
    /// let schema = rollcall::scim::Schemas::standard().unwrap().user;
    /// let user = serde_json::json!({"id": "1", "userName": "ada", "title": "Countess"});
    /// let projection = Projection::parse(Some("userName"), None).unwrap();
    /// let shown = projection.apply(user.as_object().unwrap().clone(), &schema);
    /// assert_eq!(shown.keys().collect::<Vec<_>>(), ["id", "userName"]);
    /// ```
    ///
    /// # Errors
    /// 400 `invalidPath` naming the parameter and the text.
    pub fn parse(attributes: Option<&str>, excluded: Option<&str>) -> Result<Self, ScimError> {
        Ok(Self {
            include: paths("attributes", attributes.unwrap_or_default())?,
            exclude: paths("excludedAttributes", excluded.unwrap_or_default())?,
        })
    }

    /// Whether the client asked for anything in particular.
    pub fn is_given(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty()
    }

    /// Whether a core attribute may be in the answer, so that it need not be read if not.
    pub fn wants(&self, name: &str, schema: &ResourceSchema) -> bool {
        let is_named = |path: &AttributePath, wholly: bool| {
            let located = schema.locate(path);
            match (located.extension, located.attribute) {
                (None, Some(attribute)) => attribute.name == name && (attribute.sub.is_none() || !wholly),
                (None, None) => true,
                (Some(_), _) => false,
            }
        };
        let is_included = self.include.is_empty() || self.include.iter().any(|path| is_named(path, false));
        is_included && !self.exclude.iter().any(|path| is_named(path, true))
    }

    /// Whether an extension, or something in it, is asked for by name.
    pub fn names_extension(&self, urn: &str, schema: &ResourceSchema) -> bool {
        let is_it = |path| schema.locate(path).extension.is_some_and(|extension| extension.eq_ignore_ascii_case(urn));
        self.include.iter().any(is_it)
    }

    /// Keeps what was asked for, and what is always returned.
    pub fn apply(&self, mut resource: Map<String, Value>, schema: &ResourceSchema) -> Map<String, Value> {
        if !self.include.is_empty() {
            resource = self.included(&resource, schema);
        }
        for path in &self.exclude {
            exclude(&mut resource, &schema.locate(path), schema);
        }
        resource
    }

    fn included(&self, resource: &Map<String, Value>, schema: &ResourceSchema) -> Map<String, Value> {
        let wanted: Vec<_> = self.include.iter().map(|path| schema.locate(path)).collect();
        let mut kept = Map::new();
        for (name, value) in resource {
            let whole = is_always(schema, name) || wanted.iter().any(|located| is_whole(located, name, schema));
            if whole {
                kept.insert(name.clone(), value.clone());
                continue;
            }
            let parts = wanted.iter().filter_map(|located| part(located, name, value));
            if let Some(value) = parts.reduce(unite) {
                kept.insert(name.clone(), value);
            }
        }
        kept
    }
}

fn paths(parameter: &str, list: &str) -> Result<Vec<AttributePath>, ScimError> {
    list.split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            AttributePath::parse(text).map_err(|e| ScimError::invalid_path(format!("{parameter} \"{text}\": {e}")))
        })
        .collect()
}

fn is_always(schema: &ResourceSchema, name: &str) -> bool {
    schema.attribute(name).is_some_and(|attribute| attribute.returned == Returned::Always)
}

/// Whether a path asks for a top-level member as a whole.
fn is_whole(located: &Located<'_>, name: &str, schema: &ResourceSchema) -> bool {
    match (&located.extension, &located.attribute) {
        (None, Some(attribute)) => attribute.sub.is_none() && attribute.name.eq_ignore_ascii_case(name),
        (Some(urn), None) => urn.eq_ignore_ascii_case(name),
        (None, None) => schema.attribute(name).is_some(),
        (Some(_), Some(_)) => false,
    }
}

/// The part of a top-level member that a path asks for.
fn part(located: &Located<'_>, name: &str, value: &Value) -> Option<Value> {
    let attribute = located.attribute.as_ref()?;
    let sub = attribute.sub.as_ref().map(|(sub, _)| sub.as_str());
    match &located.extension {
        None if attribute.name.eq_ignore_ascii_case(name) => only(value, sub?),
        Some(urn) if urn.eq_ignore_ascii_case(name) => {
            let held = value.as_object()?;
            let inner = member(held, &attribute.name)?;
            let inner = match sub {
                Some(sub) => only(inner, sub)?,
                None => inner.clone(),
            };
            Some(Value::Object(Map::from_iter([(json::member_name(held, &attribute.name)?, inner)])))
        }
        _ => None,
    }
}

fn only(value: &Value, sub: &str) -> Option<Value> {
    match value {
        Value::Array(items) => {
            let parts: Vec<_> = items.iter().filter_map(|item| only(item, sub)).collect();
            (!parts.is_empty()).then_some(Value::Array(parts))
        }
        Value::Object(map) => {
            let name = member_name(map, sub)?;
            Some(Value::Object(Map::from_iter([(name.clone(), map.get(&name)?.clone())])))
        }
        _ => None,
    }
}

fn unite(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Object(mut a), Value::Object(b)) => {
            for (name, value) in b {
                let united = match a.remove(&name) {
                    Some(held) => unite(held, value),
                    None => value,
                };
                a.insert(name, united);
            }
            Value::Object(a)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            Value::Array(a.into_iter().zip(b).map(|(a, b)| unite(a, b)).collect())
        }
        (a, _) => a,
    }
}

fn exclude(resource: &mut Map<String, Value>, located: &Located<'_>, schema: &ResourceSchema) {
    let (holder, attribute) = match (&located.extension, &located.attribute) {
        (Some(urn), None) => {
            if let Some(name) = member_name(resource, urn) {
                resource.shift_remove(&name);
            }
            return;
        }
        (None, None) => {
            resource.retain(|name, _| is_always(schema, name) || schema.attribute(name).is_none());
            return;
        }
        (Some(urn), Some(attribute)) => {
            let Some(holder) = member_name(resource, urn).and_then(|name| resource.get_mut(&name)?.as_object_mut())
            else {
                return;
            };
            (holder, attribute)
        }
        (None, Some(attribute)) if is_always(schema, &attribute.name) => return,
        (None, Some(attribute)) => (resource, attribute),
    };
    let Some(name) = member_name(holder, &attribute.name) else { return };
    match &attribute.sub {
        None => {
            holder.shift_remove(&name);
        }
        Some((sub, _)) => {
            if let Some(value) = holder.get_mut(&name) {
                without(value, sub);
            }
        }
    }
}

fn without(value: &mut Value, sub: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, sub)),
        Value::Object(map) => {
            if let Some(name) = member_name(map, sub) {
                map.shift_remove(&name);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{ENTERPRISE_URN, Schemas};

    fn project(attributes: &str, excluded: &str) -> Value {
        let Value::Object(resource) = json!({
            "schemas": ["s"], "id": "1", "userName": "bob", "name": {"givenName": "B", "familyName": "O"},
            "emails": [{"value": "a", "type": "work"}, {"value": "b"}],
            ENTERPRISE_URN: {"department": "d", "manager": {"value": "m", "displayName": "n"}},
            "shoe": 9, "meta": {"version": "v", "created": "c"},
        }) else {
            panic!()
        };
        let projection = Projection::parse(Some(attributes), Some(excluded)).unwrap();
        Value::Object(projection.apply(resource, &Schemas::standard().unwrap().user))
    }

    #[test]
    fn attributes_keep_what_is_named_and_what_is_always_returned() {
        assert_eq!(project("USERNAME", ""), json!({"schemas": ["s"], "id": "1", "userName": "bob"}));
        assert_eq!(
            project(
                "name.givenName,name.familyname, emails.type,shoe,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
                ""
            ),
            json!({"schemas": ["s"], "id": "1", "name": {"givenName": "B", "familyName": "O"},
                "emails": [{"type": "work"}], ENTERPRISE_URN: {"manager": {"value": "m"}}, "shoe": 9})
        );
        assert_eq!(project(ENTERPRISE_URN, "")[ENTERPRISE_URN]["department"], json!("d"));
        assert_eq!(
            project("emails[type eq \"work\"]", "")["emails"],
            json!([{"value": "a", "type": "work"}, {"value": "b"}])
        );
    }

    #[test]
    fn excluded_attributes_drop_the_key_but_not_what_is_always_returned() {
        let kept = project("", "id,schemas,emails,name.givenName,department,meta");
        assert_eq!(
            kept,
            json!({"schemas": ["s"], "id": "1", "userName": "bob", "name": {"familyName": "O"},
                ENTERPRISE_URN: {"manager": {"value": "m", "displayName": "n"}}, "shoe": 9})
        );
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        assert_eq!(Projection::parse(Some("a b"), None).unwrap_err().status(), 400);
    }
}
