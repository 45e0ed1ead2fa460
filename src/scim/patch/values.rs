//! The values of one multi-valued attribute under PATCH: adding without doubling, selecting, one primary.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Kind;
use super::place::write_sub_attribute;
use crate::limits::MAX_VALUES;
use crate::scim::deviation::trace::{Rule, note};
use crate::scim::document::coerce_one;
use crate::scim::equality::{self, identity, merge_same, normal_form};
use crate::scim::filter::{Filter, eval};
use crate::scim::json::assigned;
use crate::scim::schema::Attribute;
use crate::scim::{ErrorCode, ScimError, deviation};

/// A list of values, and what declares them.
pub(super) struct Values<'a> {
    pub(super) items: &'a mut Vec<Value>,
    pub(super) definition: Option<&'a Attribute>,
    /// The attribute's path, for errors.
    pub(super) at: &'a str,
}

impl Values<'_> {
    /// Adds values; of one that is there already, or has the same `value` and `type`, what is new is merged
    /// (RFC 7644 section 3.5.2.1, RFC 7643 section 2.4).
    pub(super) fn add(&mut self, new: Vec<Value>) -> Result<(), ScimError> {
        let mut touched = Vec::new();
        if new.len() > MAX_VALUES {
            return Err(ScimError::new(
                ErrorCode::TooManyValues,
                format!("{} has more than {MAX_VALUES} values; send fewer", self.at),
            ));
        }
        let mut places = BTreeMap::new();
        for (index, held) in self.items.iter().enumerate() {
            places.entry(identity(held, self.definition)).or_insert(index);
        }
        for value in new {
            let identity = identity(&value, self.definition);
            match (places.get(&identity).copied(), value) {
                (Some(index), value) => {
                    if let (Some(Value::Object(held)), Value::Object(value)) = (self.items.get_mut(index), value) {
                        merge_same(held, value);
                    }
                    touched.push(index);
                }
                (None, value) => {
                    let index = self.push(value)?;
                    places.insert(identity, index);
                    touched.push(index);
                }
            }
        }
        deviation::enforce_single_primary(self.items, |index| touched.contains(&index));
        self.keep_once(&touched);
        Ok(())
    }

    /// Writes to the values that a filter selects, or makes one.
    pub(super) fn write_selected(
        &mut self,
        selector: &Filter,
        sub: Option<&str>,
        value: &Value,
        kind: Kind,
    ) -> Result<(), ScimError> {
        let clears = deviation::is_unassigned(value) || (sub.is_none() && self.coerced(value.clone())?.is_null());
        let mut selected = self.selected(selector);
        let creates = selected.is_empty() && !clears;
        if creates {
            selected.push(self.create(selector)?);
        }
        for &index in &selected {
            match sub {
                Some(sub) => self.write_sub(index, sub, value)?,
                None => self.write_element(index, selector, value, kind)?,
            }
        }
        // What the value itself says otherwise cannot have been meant by the path.
        if creates && self.selected(selector).is_empty() {
            return Err(self.no_target(selector, "nor would the new one; send a value that it selects"));
        }
        deviation::enforce_single_primary(self.items, |index| selected.contains(&index));
        if clears || sub.is_none() {
            self.drop_shells(&selected);
        }
        self.keep_once(&selected);
        Ok(())
    }

    /// Writes a sub-attribute of every value; of a new one if there is none.
    pub(super) fn write_sub_of_each(&mut self, sub: &str, value: &Value) -> Result<(), ScimError> {
        let clears = deviation::is_unassigned(value);
        if self.items.is_empty() && !clears {
            self.push(Value::Object(Map::new()))?;
        }
        let all: Vec<_> = (0..self.items.len()).collect();
        for &index in &all {
            self.write_sub(index, sub, value)?;
        }
        deviation::enforce_single_primary(self.items, |_| true);
        if clears {
            self.drop_shells(&all);
        }
        self.keep_once(&all);
        Ok(())
    }

    /// Removes the values that a client listed.
    pub(super) fn remove_listed(&mut self, listed: &[Value]) {
        note(Rule::Listed);
        let listed = deviation::listed_values(listed.iter().map(|wanted| normal_form(wanted, self.definition)));
        self.items.retain(|element| !listed.contains(&normal_form(element, self.definition)));
    }

    /// Removes the values that a filter selects, or a sub-attribute of them.
    pub(super) fn remove_selected(&mut self, selector: &Filter, sub: Option<&str>) -> Result<(), ScimError> {
        let selected = self.selected(selector);
        for &index in &selected {
            match sub {
                Some(sub) => self.write_sub(index, sub, &Value::Null)?,
                None => {
                    if let Some(element) = self.items.get_mut(index) {
                        *element = Value::Null;
                    }
                }
            }
        }
        self.drop_shells(&selected);
        self.keep_once(&selected);
        Ok(())
    }

    fn selected(&self, selector: &Filter) -> Vec<usize> {
        let attributes: &[Attribute] = self.definition.map_or(&[], |d| &d.sub_attributes);
        let matching =
            self.items.iter().enumerate().filter(|(_, element)| eval::selects(selector, element, attributes));
        matching.map(|(index, _)| index).collect()
    }

    fn create(&mut self, selector: &Filter) -> Result<usize, ScimError> {
        let Some(element) = deviation::element_from_selector(selector) else {
            return Err(self.no_target(selector, "and does not state which one to create; use eq terms joined by and"));
        };
        note(Rule::ElementFromSelector);
        let element = self.coerced(Value::Object(element))?;
        self.push(element)
    }

    fn write_element(&mut self, index: usize, selector: &Filter, value: &Value, kind: Kind) -> Result<(), ScimError> {
        let mut value = match self.definition {
            Some(definition) => deviation::complex_from_text(definition, value.clone()),
            None => value.clone(),
        };
        if let (Kind::Replace, Value::Object(replacement)) = (kind, &mut value) {
            deviation::preserve_selector_values(selector, replacement);
        }
        let value = self.coerced(value)?;
        match (self.items.get_mut(index), value) {
            (_, Value::Null) if kind == Kind::Add => {}
            (Some(Value::Object(held)), Value::Object(value)) if kind == Kind::Add => held.extend(value),
            (Some(held), value) => *held = value,
            (None, _) => {}
        }
        Ok(())
    }

    fn write_sub(&mut self, index: usize, sub: &str, value: &Value) -> Result<(), ScimError> {
        match self.items.get_mut(index) {
            Some(Value::Object(element)) => write_sub_attribute(element, self.definition, sub, value.clone(), self.at),
            _ => Err(ScimError::invalid_path(format!(
                "{} has no sub-attribute {sub} in that value; replace the value as a whole",
                self.at
            ))),
        }
    }

    /// The value as its declaration wants it; null if it says nothing.
    fn coerced(&self, value: Value) -> Result<Value, ScimError> {
        match self.definition {
            Some(definition) => Ok(coerce_one(definition, value, self.at)?.unwrap_or(Value::Null)),
            None => Ok(assigned(value).unwrap_or(Value::Null)),
        }
    }

    fn no_target(&self, selector: &Filter, why: &str) -> ScimError {
        ScimError::no_target(format!("{}[{selector}] selects no value, {why} (RFC 7644 section 3.5.2.3)", self.at))
    }

    fn push(&mut self, value: Value) -> Result<usize, ScimError> {
        if self.items.len() >= MAX_VALUES {
            return Err(ScimError::new(
                ErrorCode::TooManyValues,
                format!("{} has more than {MAX_VALUES} values; send fewer", self.at),
            ));
        }
        self.items.push(value);
        Ok(self.items.len() - 1)
    }

    /// Makes null of those of the values at the indices that say nothing any more: the caller drops nulls.
    fn drop_shells(&mut self, among: &[usize]) {
        for index in among {
            if let Some(element) = self.items.get_mut(*index).filter(|element| deviation::has_only_labels(element)) {
                *element = Value::Null;
            }
        }
    }

    /// Leaves no value twice, whatever the operation was (RFC 7643 section 2.4). It does not change an
    /// attribute that no schema declares.
    fn keep_once(&mut self, touched: &[usize]) {
        if self.definition.is_some() {
            equality::keep_once(self.items, self.definition, |index| touched.contains(&index));
        }
    }
}
