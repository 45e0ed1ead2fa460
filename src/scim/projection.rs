//! `attributes` and `excludedAttributes` (RFC 7644 section 3.9).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::ScimError;
use super::json::member_name;
use super::path::AttributePath;
use super::schema::{Attribute, ResourceSchema, Returned};
use super::work;
use crate::limits::MAX_PROJECTION_PATHS;

/// Which attributes a client asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Projection {
    include: Vec<AttributePath>,
    exclude: Vec<AttributePath>,
}

impl Projection {
    /// Reads the two comma-separated lists. A value filter in them stands for its attribute.
    ///
    /// # Examples
    /// ```
    /// use rollcall::scim::projection::Projection;
    ///
    /// let schema = rollcall::scim::Schemas::standard().unwrap().user;
    /// let user = serde_json::json!({"id": "1", "userName": "ada", "title": "Countess"});
    /// let projection = Projection::parse(Some("userName"), None).unwrap();
    /// let answer = projection.apply(user.as_object().unwrap().clone(), &schema);
    /// assert_eq!(answer.keys().collect::<Vec<_>>(), ["id", "userName"]);
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

    /// Checks that every path names something of a resource type.
    ///
    /// # Errors
    /// 400 `invalidPath` naming the path and what to write.
    pub fn check(&self, schema: &ResourceSchema) -> Result<(), ScimError> {
        let mut all = self.include.iter().chain(&self.exclude);
        all.try_for_each(|path| schema.check_path(path).map_err(ScimError::invalid_path))
    }

    /// Keeps what was asked for, and what is always returned; what is `returned: request` only if `attributes` names it,
    /// and what is `returned: never` in no case (RFC 7643 section 7). No attribute is left empty.
    pub fn apply(&self, resource: Map<String, Value>, schema: &ResourceSchema) -> Map<String, Value> {
        let mut resource = resource;
        let is_always = |name: &str| schema.attribute(name).is_some_and(|a| a.returned == Returned::Always);
        let wanted = Names::of(&self.include, schema, &resource);
        if !self.include.is_empty() {
            resource = wanted.kept(resource, &is_always);
        }
        if !self.exclude.is_empty() {
            Names::of(&self.exclude, schema, &resource).drop_from(&mut resource, &is_always);
        }
        drop_hidden(&mut resource, schema, &wanted);
        resource
    }
}

/// Drops what a schema says is never returned (RFC 7643 section 7), as if all else were asked for by name.
pub fn drop_never_returned(resource: &mut Map<String, Value>, schema: &ResourceSchema) {
    drop_hidden(resource, schema, &Names { is_whole: true, ..Names::default() });
}

/// Drops what a schema says is never returned, or only by request (RFC 7643 section 7).
fn drop_hidden(resource: &mut Map<String, Value>, schema: &ResourceSchema, wanted: &Names) {
    drop_hidden_of(resource, &schema.core.attributes, Some(wanted));
    for extension in schema.extensions.iter().filter(|extension| extension.attributes.iter().any(may_hide)) {
        let Some(name) = member_name(resource, &extension.id) else { continue };
        if let Some(Value::Object(members)) = resource.get_mut(&name) {
            let below = wanted.below(&extension.id).or_else(|| wanted.is_whole.then_some(wanted));
            drop_hidden_of(members, &extension.attributes, below);
            if members.is_empty() {
                resource.shift_remove(&name);
            }
        }
    }
}

fn may_hide(attribute: &Attribute) -> bool {
    matches!(attribute.returned, Returned::Never | Returned::Request) || attribute.sub_attributes.iter().any(may_hide)
}

/// Drops attributes of an object; `wanted` is what was asked for of it by name.
fn drop_hidden_of(map: &mut Map<String, Value>, attributes: &[Attribute], wanted: Option<&Names>) {
    for attribute in attributes.iter().filter(|attribute| may_hide(attribute)) {
        let Some(name) = member_name(map, &attribute.name) else { continue };
        // Who names the whole names its parts.
        let wanted = wanted.and_then(|all| all.below(&attribute.name).or_else(|| all.is_whole.then_some(all)));
        let is_hidden = match attribute.returned {
            Returned::Never => true,
            Returned::Request => wanted.is_none(),
            Returned::Always | Returned::Default => false,
        };
        let is_left = !is_hidden && map.get_mut(&name).is_some_and(|value| has_remainder(value, attribute, wanted));
        if !is_left {
            map.shift_remove(&name);
        }
    }
}

/// Drops from a complex value what is hidden of it; whether anything is left.
fn has_remainder(value: &mut Value, attribute: &Attribute, wanted: Option<&Names>) -> bool {
    match value {
        Value::Array(items) => {
            items.retain_mut(|item| has_remainder(item, attribute, wanted));
            !items.is_empty()
        }
        Value::Object(members) => {
            drop_hidden_of(members, &attribute.sub_attributes, wanted);
            !members.is_empty()
        }
        _ => true,
    }
}

/// Paths as a tree of names in lower case: each resource is projected once, however many paths there are.
#[derive(Debug, Default)]
struct Names {
    /// Everything below is meant.
    is_whole: bool,
    inner: BTreeMap<String, Names>,
}

impl Names {
    fn of(paths: &[AttributePath], schema: &ResourceSchema, resource: &Map<String, Value>) -> Self {
        let mut names = Self::default();
        for path in paths {
            let located = schema.locate(path);
            // A URN that no schema declares may be that of an extension, whatever its form, or of its attribute.
            if let Some(urn) = path.urn.as_ref().filter(|urn| path.is_plain() && schema.extension(urn).is_none()) {
                names.add([format!("{urn}:{}", path.name)]);
                names.add([urn.clone(), path.name.clone()]);
            }
            let attribute = located.attribute.map(|a| [Some(a.name), a.sub.map(|(sub, _)| sub)]);
            match (located.extension, attribute) {
                // The core schema as a whole: all but extensions. What an extension holds is below its URN.
                (None, None) => {
                    let core = schema.core.attributes.iter().map(|a| &a.name);
                    let held = resource.keys().filter(|name| !name.contains(':'));
                    core.chain(held).for_each(|name| names.add([name.clone()]));
                }
                (extension, attribute) => {
                    names.add([extension].into_iter().chain(attribute.into_iter().flatten()).flatten());
                }
            }
        }
        names
    }

    fn add(&mut self, path: impl IntoIterator<Item = String>) {
        let mut node = self;
        for name in path {
            node = node.inner.entry(name.to_ascii_lowercase()).or_default();
        }
        node.is_whole = true;
    }

    /// What is named of an attribute.
    fn below(&self, name: &str) -> Option<&Self> {
        self.inner.get(&name.to_ascii_lowercase())
    }

    fn kept(&self, map: Map<String, Value>, is_always: &impl Fn(&str) -> bool) -> Map<String, Value> {
        work::add(map.len());
        let keep = |(name, value): (String, Value)| match self.inner.get(&name.to_ascii_lowercase()) {
            _ if is_always(&name) => Some((name, value)),
            Some(inner) if inner.is_whole => Some((name, value)),
            Some(inner) => Some((name, inner.part(value)?)),
            None => None,
        };
        map.into_iter().filter_map(keep).collect()
    }

    /// What is kept of a value; none for nothing.
    fn part(&self, value: Value) -> Option<Value> {
        match value {
            Value::Array(items) => {
                let parts: Vec<_> = items.into_iter().filter_map(|item| self.part(item)).collect();
                (!parts.is_empty()).then_some(Value::Array(parts))
            }
            Value::Object(map) => {
                let kept = self.kept(map, &|_| false);
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            _ => None,
        }
    }

    fn drop_from(&self, map: &mut Map<String, Value>, is_always: &impl Fn(&str) -> bool) {
        map.retain(|name, value| match self.inner.get(&name.to_ascii_lowercase()) {
            Some(inner) if !is_always(name) => !inner.is_whole && inner.leaves(value),
            _ => true,
        });
    }

    /// Drops what is named from a value; whether anything is left.
    fn leaves(&self, value: &mut Value) -> bool {
        match value {
            Value::Array(items) => {
                items.retain_mut(|item| self.leaves(item));
                !items.is_empty()
            }
            Value::Object(map) => {
                self.drop_from(map, &|_| false);
                !map.is_empty()
            }
            _ => true,
        }
    }
}

fn paths(parameter: &str, list: &str) -> Result<Vec<AttributePath>, ScimError> {
    let mut paths: Vec<AttributePath> = Vec::new();
    let texts = || list.split(',').map(str::trim).filter(|text| !text.is_empty());
    if texts().nth(MAX_PROJECTION_PATHS).is_some() {
        return Err(ScimError::invalid_value(format!(
            "{parameter} names more than {MAX_PROJECTION_PATHS} attributes; name fewer, or leave it out to get all"
        )));
    }
    for text in texts().collect::<BTreeSet<_>>() {
        let path = AttributePath::parse(text);
        paths.push(path.map_err(|e| ScimError::invalid_path(format!("{parameter} \"{text}\" {e}")))?);
    }
    Ok(paths)
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
    fn what_is_returned_by_request_is_returned_only_where_it_is_named() {
        let mut user = Schemas::standard().unwrap().user;
        for attribute in &mut user.core.attributes {
            match attribute.name.as_str() {
                "title" => attribute.returned = Returned::Request,
                "name" => attribute.sub_attributes.iter_mut().for_each(|sub| {
                    if sub.name == "familyName" {
                        sub.returned = Returned::Request;
                    }
                }),
                _ => {}
            }
        }
        let project = |attributes: &str, excluded: &str| {
            let bob = json!({"id": "1", "title": "t", "name": {"givenName": "B", "familyName": "O"}});
            let projection = Projection::parse(Some(attributes), Some(excluded)).unwrap();
            Value::Object(projection.apply(bob.as_object().unwrap().clone(), &user))
        };
        let without = json!({"id": "1", "name": {"givenName": "B"}});
        assert_eq!(project("", ""), without);
        assert_eq!(project("", "meta"), without);
        assert_eq!(project("name", ""), json!({"id": "1", "name": {"givenName": "B", "familyName": "O"}}));
        assert_eq!(project("name.givenName", ""), without);
        assert_eq!(project("TITLE,name.familyName", ""), json!({"id": "1", "title": "t", "name": {"familyName": "O"}}));
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        assert_eq!(Projection::parse(Some("a b"), None).unwrap_err().status(), 400);
    }
}
