//! One attribute of one object under PATCH.

use serde_json::{Map, Value};

use super::Kind;
use super::values::Values;
use crate::limits::MAX_VALUES;
use crate::scim::document::{coerce, coerce_one};
use crate::scim::json::{assigned, member, member_name, undeclared};
use crate::scim::path::{AttributePath, check_name};
use crate::scim::schema::{Attribute, LocatedAttribute, Type};
use crate::scim::{ErrorCode, ScimError, deviation};

/// The object that holds an attribute, and what the path says of it.
pub(super) struct AttributeSlot<'a> {
    map: &'a mut Map<String, Value>,
    /// The name it is or will be held under.
    name: String,
    definition: Option<&'a Attribute>,
    path: &'a AttributePath,
    sub: Option<&'a str>,
}

impl<'a> AttributeSlot<'a> {
    pub(super) fn new(
        map: &'a mut Map<String, Value>,
        attribute: &'a LocatedAttribute<'a>,
        path: &'a AttributePath,
    ) -> Self {
        Self {
            name: member_name(map, &attribute.name).unwrap_or_else(|| attribute.name.clone()),
            map,
            definition: attribute.definition,
            path,
            sub: attribute.sub.as_ref().map(|(sub, _)| sub.as_str()),
        }
    }

    /// Adds or replaces (RFC 7644 sections 3.5.2.1 and 3.5.2.3).
    pub(super) fn write(&mut self, value: &Value, kind: Kind) -> Result<(), ScimError> {
        match (&self.path.selector, self.sub) {
            (Some(selector), sub) => self.edit_values(|values| values.write_selected(selector, sub, value, kind)),
            (None, Some(sub)) if self.is_list() => self.edit_values(|values| values.write_sub_of_each(sub, value)),
            (None, Some(sub)) => self.write_sub(sub, value.clone()),
            (None, None) if self.accepts_list(kind) => self.write_list(value, kind),
            (None, None) => self.write_single(value),
        }
    }

    /// Removes (RFC 7644 section 3.5.2.2); of a list only what is listed, if anything is. Removing what is not there
    /// succeeds.
    pub(super) fn remove(&mut self, listed: Option<&Value>) -> Result<(), ScimError> {
        let listed =
            listed.filter(|value| !deviation::is_unassigned(value)).map(|value| self.listed(value)).transpose()?;
        match (&self.path.selector, self.sub, listed) {
            _ if !self.map.contains_key(&self.name) => Ok(()),
            (Some(selector), sub, _) => self.edit_values(|values| values.remove_selected(selector, sub)),
            (None, Some(sub), _) if self.is_list() => {
                self.edit_values(|values| values.write_sub_of_each(sub, &Value::Null))
            }
            (None, Some(sub), _) => self.write_sub(sub, Value::Null),
            (None, None, Some(listed)) if self.is_list() => self.edit_values(|values| {
                values.remove_listed(&listed);
                Ok(())
            }),
            (None, None, _) => {
                self.map.shift_remove(&self.name);
                Ok(())
            }
        }
    }

    /// The values of a `remove`, in the form in which they are stored.
    fn listed(&self, value: &Value) -> Result<Vec<Value>, ScimError> {
        // Salesforce repeats the attribute's name in the value (RIPAGlobal/scimitar).
        let value = match value {
            Value::Object(map) if map.len() == 1 => member(map, &self.name).unwrap_or(value),
            other => other,
        };
        let items = deviation::list_from_single(value.clone());
        if items.len() > MAX_VALUES {
            return Err(ScimError::new(
                ErrorCode::TooManyValues,
                format!("{} has more than {MAX_VALUES} values; send fewer", self.at()),
            ));
        }
        let stored = |item| match self.definition {
            Some(definition) => coerce_one(definition, item, &self.at()),
            None => Ok(assigned(item)),
        };
        Ok(items.into_iter().map(stored).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn is_list(&self) -> bool {
        match self.definition {
            Some(definition) => definition.multi_valued,
            None => self.map.get(&self.name).is_some_and(Value::is_array),
        }
    }

    /// What no schema declares is a list by what it holds, and a replacement may be of another kind.
    fn accepts_list(&self, kind: Kind) -> bool {
        match self.definition {
            Some(definition) => definition.multi_valued,
            None => kind == Kind::Add && self.is_list(),
        }
    }

    fn write_list(&mut self, value: &Value, kind: Kind) -> Result<(), ScimError> {
        let new = match self.definition {
            Some(definition) => coerce(definition, value.clone(), &self.at())?,
            None => undeclared(value.clone(), &self.at())?.and_then(assigned),
        };
        match (new, kind) {
            (Some(new), Kind::Add) => {
                let new = deviation::list_from_single(new);
                self.edit_values(|values| values.add(new))
            }
            (Some(new), _) => self.put(Some(new)),
            (None, Kind::Add) => Ok(()),
            (None, _) => self.put(None),
        }
    }

    /// Writes an attribute that is not a list; the members of a complex one are merged, those given as empty cleared.
    fn write_single(&mut self, value: &Value) -> Result<(), ScimError> {
        let Some(definition) = self.definition else {
            return match value {
                Value::Object(new) => self.merge(None, new),
                _ => {
                    let value = undeclared(value.clone(), &self.at())?.and_then(assigned);
                    self.put(value)
                }
            };
        };
        let value = deviation::single_from_list(definition, value.clone());
        let value =
            if definition.kind == Type::Complex { deviation::complex_from_text(definition, value) } else { value };
        match &value {
            Value::Object(new) if definition.kind == Type::Complex => self.merge(Some(definition), new),
            _ => {
                let value = coerce(definition, value, &self.at())?;
                self.put(value)
            }
        }
    }

    /// Merges the members of an object into the value held, if that is one, or into a new one.
    fn merge(&mut self, definition: Option<&Attribute>, new: &Map<String, Value>) -> Result<(), ScimError> {
        let at = self.at();
        let mut merged = match self.map.get(&self.name) {
            Some(Value::Object(held)) => held.clone(),
            _ => Map::new(),
        };
        // `value` first: what the request itself says of the new reference then stays.
        let (values, others): (Vec<_>, Vec<_>) = new.iter().partition(|(name, _)| name.eq_ignore_ascii_case("value"));
        for (name, value) in values.into_iter().chain(others) {
            write_sub_attribute(&mut merged, definition, name, value.clone(), &at)?;
        }
        self.put((!merged.is_empty()).then_some(Value::Object(merged)))
    }

    fn write_sub(&mut self, sub: &str, value: Value) -> Result<(), ScimError> {
        let at = self.at();
        if self.definition.is_some_and(|d| d.kind != Type::Complex) {
            return Err(ScimError::invalid_path(format!(
                "path {} names nothing; write {at} alone, as it has no sub-attributes",
                self.path
            )));
        }
        let held = self.map.entry(self.name.as_str()).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(held) = held else {
            return Err(ScimError::invalid_path(format!(
                "path {} names nothing; replace {at}, which is no object, as a whole",
                self.path
            )));
        };
        let written = write_sub_attribute(held, self.definition, sub, value, &at);
        self.drop_if_empty();
        written
    }

    /// Works on the list, which comes and goes with its first and last value.
    fn edit_values(&mut self, work: impl FnOnce(&mut Values<'_>) -> Result<(), ScimError>) -> Result<(), ScimError> {
        let at = self.at();
        if self.definition.is_some_and(|d| !d.multi_valued) {
            return Err(ScimError::invalid_path(format!(
                "path {} names nothing; leave out the brackets, as {at} is not multi-valued",
                self.path
            )));
        }
        let held = self.map.entry(self.name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(items) = held else {
            return Err(ScimError::invalid_path(format!(
                "path {} names nothing; leave out the brackets, as {at} is not multi-valued",
                self.path
            )));
        };
        let outcome = work(&mut Values { items, definition: self.definition, at: &at });
        items.retain(|element| !element.is_null());
        self.drop_if_empty();
        outcome
    }

    fn put(&mut self, value: Option<Value>) -> Result<(), ScimError> {
        match value {
            Some(value) => self.map.insert(self.name.clone(), value),
            None => self.map.shift_remove(&self.name),
        };
        Ok(())
    }

    fn drop_if_empty(&mut self) {
        let is_empty = match self.map.get(&self.name) {
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(members)) => members.is_empty(),
            _ => false,
        };
        if is_empty {
            self.map.shift_remove(&self.name);
        }
    }

    /// The attribute's path without selector and sub-attribute, for errors.
    fn at(&self) -> String {
        match &self.path.urn {
            Some(urn) => format!("{urn}:{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Sets or clears a sub-attribute of a complex value. When the `value` of a reference changes, what was said of the
/// old one (`$ref`, `display`, `displayName`) goes with it.
pub(super) fn write_sub_attribute(
    held: &mut Map<String, Value>,
    definition: Option<&Attribute>,
    sub: &str,
    value: Value,
    at: &str,
) -> Result<(), ScimError> {
    let sub = definition.map_or(sub, |d| deviation::sub_attribute_name(d, sub));
    let declared = definition.and_then(|d| d.sub(sub));
    if definition.is_some() && declared.is_none() {
        check_name(sub, at)?;
    }
    let name = declared.map_or_else(|| member_name(held, sub).unwrap_or_else(|| sub.to_owned()), |d| d.name.clone());
    let value = match declared {
        Some(declared) if deviation::is_read_only_echo(declared) => return Ok(()),
        Some(declared) => coerce(declared, value, &format!("{at}.{name}"))?,
        None => undeclared(value, at)?.and_then(assigned),
    };
    let is_reference = definition.is_some_and(|d| d.sub("$ref").is_some());
    if is_reference && name == "value" && held.get("value") != value.as_ref() {
        for stale in ["$ref", "display", "displayName"] {
            held.shift_remove(stale);
        }
    }
    match value {
        Some(value) => held.insert(name, value),
        None => held.shift_remove(&name),
    };
    Ok(())
}
