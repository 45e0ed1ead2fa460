//! From a path to the object that holds its attribute: the resource itself or one of its extensions.

use serde_json::{Map, Value};

use super::Kind;
use super::place::AttributeSlot;
use crate::scim::json::{member_name, type_name};
use crate::scim::path::AttributePath;
use crate::scim::schema::{Located, LocatedAttribute, Mutability, ResourceSchema};
use crate::scim::{ScimError, deviation};

/// A document that is being patched.
pub(super) struct PatchTarget<'a> {
    pub(super) attributes: &'a mut Map<String, Value>,
    pub(super) schema: &'a ResourceSchema,
}

impl PatchTarget<'_> {
    /// Writes every member of an object: attributes, dotted and URN paths, whole extensions. Entra with
    /// `aadOptscim062020` sends `name.givenName` and `urn:…:User:employeeNumber` as keys
    /// (entra-docs, application-provisioning-config-problem-scim-compatibility).
    pub(super) fn write_each(&mut self, attributes: &Map<String, Value>, kind: Kind) -> Result<(), ScimError> {
        for (key, value) in attributes {
            if self.schema.attribute(key).is_some_and(deviation::is_read_only_echo) {
                continue;
            }
            self.write(&AttributePath::of_key(key)?, value, kind)?;
        }
        Ok(())
    }

    /// Adds or replaces what a path names.
    pub(super) fn write(&mut self, path: &AttributePath, value: &Value, kind: Kind) -> Result<(), ScimError> {
        self.check(path)?;
        if let Some(urn) = self.whole_extension(path, value) {
            return self.write_extension(&urn, value, kind);
        }
        self.write_attribute(path, value, kind)
    }

    /// The extension that a path names as a whole, where its form does not say so.
    fn whole_extension(&self, path: &AttributePath, value: &Value) -> Option<String> {
        let held = self.schema.held_extension(path, self.attributes);
        held.or_else(|| self.schema.given_extension(path, value, self.attributes, &[]))
    }

    fn check(&self, path: &AttributePath) -> Result<(), ScimError> {
        if self.schema.held_extension(path, self.attributes).is_some() {
            return Ok(());
        }
        self.schema.check_path(path).map_err(ScimError::invalid_path)
    }

    fn write_attribute(&mut self, path: &AttributePath, value: &Value, kind: Kind) -> Result<(), ScimError> {
        let located = self.schema.locate_in(path, self.attributes);
        self.write_located(path, located, value, kind)
    }

    fn write_located(
        &mut self,
        path: &AttributePath,
        located: Located<'_>,
        value: &Value,
        kind: Kind,
    ) -> Result<(), ScimError> {
        if located.is_discarded() {
            return Ok(());
        }
        match (located.extension, located.attribute, value) {
            (extension, Some(attribute), value) => {
                refuse_read_only(path, &attribute)?;
                self.edit_below(extension.as_deref(), |map| {
                    AttributeSlot::new(map, &attribute, path).write(value, kind)
                })
            }
            (Some(urn), None, value) => self.write_extension(&urn, value, kind),
            (None, None, Value::Object(attributes)) => self.write_each(attributes, kind),
            (None, None, other) => Err(ScimError::invalid_value(format!(
                "{path} must be an object of attributes, not {}",
                type_name(other)
            ))),
        }
    }

    fn write_extension(&mut self, urn: &str, value: &Value, kind: Kind) -> Result<(), ScimError> {
        if deviation::is_unassigned(value) {
            if let Some(name) = member_name(self.attributes, urn) {
                self.attributes.shift_remove(&name);
            }
            return Ok(());
        }
        let Value::Object(members) = value else {
            return Err(ScimError::invalid_value(format!(
                "{urn} must be an object, not {} (RFC 7643 section 3.3)",
                type_name(value)
            )));
        };
        for (name, value) in members {
            let path = AttributePath::of_member(urn, name)?;
            let located = self.schema.locate_member(urn, &path);
            self.write_located(&path, located, value, kind)?;
        }
        Ok(())
    }

    /// Removes what a path names, or of it only what `listed` says.
    pub(super) fn remove(&mut self, path: &AttributePath, listed: Option<&Value>) -> Result<(), ScimError> {
        self.check(path)?;
        if let Some(urn) = self.schema.held_extension(path, self.attributes) {
            return self.write_extension(&urn, &Value::Null, Kind::Replace);
        }
        let located = self.schema.locate_in(path, self.attributes);
        let Some(attribute) = located.attribute else {
            return match located.extension {
                Some(urn) => self.write_extension(&urn, &Value::Null, Kind::Replace),
                None => Err(ScimError::mutability(format!("{path} cannot be removed as a whole; name an attribute"))),
            };
        };
        refuse_read_only(path, &attribute)?;
        if path.selector.is_none() && path.sub.is_none() && attribute.definition.is_some_and(|d| d.required) {
            return Err(ScimError::mutability(format!(
                "{path} is required and cannot be removed; replace it (RFC 7644 section 3.5.2.2)"
            )));
        }
        self.edit_below(located.extension.as_deref(), |map| AttributeSlot::new(map, &attribute, path).remove(listed))
    }

    /// Works in the object that holds an attribute; an extension object comes and goes with its first and last one.
    fn edit_below(
        &mut self,
        extension: Option<&str>,
        work: impl FnOnce(&mut Map<String, Value>) -> Result<(), ScimError>,
    ) -> Result<(), ScimError> {
        let Some(urn) = extension else { return work(self.attributes) };
        let name = member_name(self.attributes, urn).unwrap_or_else(|| urn.to_owned());
        let held = self.attributes.entry(name.as_str()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(map) = held else {
            return Err(ScimError::invalid_path(format!(
                "{urn} is not an extension of this resource; name one that is an object"
            )));
        };
        let outcome = work(map);
        if map.is_empty() {
            self.attributes.shift_remove(&name);
        }
        outcome
    }
}

fn refuse_read_only(path: &AttributePath, attribute: &LocatedAttribute<'_>) -> Result<(), ScimError> {
    let sub = attribute.sub.as_ref().and_then(|(_, definition)| *definition);
    let is_read_only = [attribute.definition, sub].into_iter().flatten().any(|d| d.mutability == Mutability::ReadOnly);
    if is_read_only {
        return Err(ScimError::mutability(format!(
            "{path} is read-only; remove it from the mapping (RFC 7643 section 7)"
        )));
    }
    Ok(())
}
