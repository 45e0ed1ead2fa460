//! PATCH written down once more, from RFC 7644 section 3.5.2 and the deviations that the pages list, and from nothing in
//! `src/`. Documents are plain JSON.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::support::ENTERPRISE;

/// The multi-valued attributes that operations name.
pub const LISTS: [&str; 4] = ["emails", "phoneNumbers", "addresses", "roles"];

type Object = Map<String, Value>;

/// What an operation names.
#[derive(Debug, Clone)]
pub enum Target {
    /// No path: the value has the attributes.
    Whole,
    Attribute(&'static str),
    SubAttribute(&'static str, &'static str),
    /// Values of a list, or a sub-attribute of them.
    Selected(&'static str, Selector, Option<&'static str>),
    Extension,
    ExtensionAttribute(&'static str),
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub kind: &'static str,
    pub target: Target,
    pub value: Option<Value>,
}

/// A comparison within a value of a list.
#[derive(Debug, Clone)]
pub struct Term {
    pub operator: &'static str,
    pub sub: String,
    pub operand: Value,
}

/// All of the terms, or any.
#[derive(Debug, Clone)]
pub struct Selector {
    pub is_all: bool,
    pub terms: Vec<Term>,
}

/// Why an operation is refused: its `scimType`.
pub type Refusal = &'static str;

impl Operation {
    /// The path as a client writes it.
    pub fn path(&self) -> Option<String> {
        match &self.target {
            Target::Whole => None,
            Target::Attribute(name) => Some((*name).to_owned()),
            Target::SubAttribute(name, sub) => Some(format!("{name}.{sub}")),
            Target::Selected(name, selector, sub) => {
                Some(format!("{name}[{selector}]{}", sub.map(|sub| format!(".{sub}")).unwrap_or_default()))
            }
            Target::Extension => Some(ENTERPRISE.to_owned()),
            Target::ExtensionAttribute(name) => Some(format!("{ENTERPRISE}:{name}")),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<_> = self.terms.iter().map(|t| format!("{} {} {}", t.sub, t.operator, t.operand)).collect();
        f.write_str(&terms.join(if self.is_all { " and " } else { " or " }))
    }
}

impl Selector {
    pub fn holds(&self, element: &Value) -> bool {
        match self.is_all {
            true => self.terms.iter().all(|term| term.holds(element)),
            false => self.terms.iter().any(|term| term.holds(element)),
        }
    }

    /// The value that `eq` terms describe; any other term leaves it open.
    fn described(&self) -> Option<Object> {
        let is_plain = self.terms.iter().all(|term| term.operator == "eq") && (self.is_all || self.terms.len() == 1);
        let members = self.terms.iter().map(|term| (term.sub.clone(), term.operand.clone()));
        is_plain.then(|| members.collect())
    }
}

impl Term {
    /// A `primary` that is not there is false (RFC 7643 section 2.4). Of what is not there, `ne` holds.
    fn holds(&self, element: &Value) -> bool {
        let held = match element.get(&self.sub) {
            None if self.sub == "primary" => Value::Bool(false),
            None => return self.operator == "ne",
            Some(held) => folded(held),
        };
        let operand = folded(&self.operand);
        let (held, operand) = match (&held, &operand) {
            (Value::String(held), Value::String(operand)) => (held, operand),
            (held, operand) => return (held == operand) == (self.operator == "eq"),
        };
        match self.operator {
            "eq" => held == operand,
            "ne" => held != operand,
            "co" => held.contains(operand.as_str()),
            "sw" => held.starts_with(operand.as_str()),
            other => panic!("no such operator: {other}"),
        }
    }
}

/// What the endpoint keeps of a document that is posted.
pub fn posted(document: &Value) -> Object {
    let mut document = document.as_object().unwrap().clone();
    for list in LISTS {
        if let Some(Value::Array(elements)) = document.get_mut(list) {
            settle(elements, |_| true);
            keep_once(elements, &[]);
        }
    }
    document
}

/// Applies one operation.
pub fn apply(document: &mut Object, operation: &Operation) -> Result<(), Refusal> {
    let (kind, value) = (operation.kind, operation.value.clone().unwrap_or_default());
    match &operation.target {
        Target::Whole => {
            for (name, value) in value.as_object().unwrap() {
                match name == ENTERPRISE {
                    true => put_each(extension(document), kind, value)?,
                    false => put(document, kind, name, value)?,
                }
            }
        }
        Target::Attribute("userName") if kind == "remove" => return Err("mutability"),
        Target::Attribute(name) if kind == "remove" => remove(document, name, &value),
        Target::Attribute(name) => put(document, kind, name, &value)?,
        Target::SubAttribute(name, sub) => {
            let inner = document.entry(*name).or_insert(json!({})).as_object_mut().unwrap();
            match kind {
                "remove" => drop(inner.shift_remove(*sub)),
                _ => drop(inner.insert((*sub).to_owned(), value)),
            }
        }
        Target::Extension if kind == "remove" => drop(document.shift_remove(ENTERPRISE)),
        Target::Extension => put_each(extension(document), kind, &value)?,
        Target::ExtensionAttribute(name) if kind == "remove" => drop(extension(document).shift_remove(*name)),
        Target::ExtensionAttribute(name) => put(extension(document), kind, name, &value)?,
        Target::Selected(list, selector, sub) => {
            let elements = document.entry(*list).or_insert(json!([])).as_array_mut().unwrap();
            select(elements, kind, (selector, *sub), &value)?;
        }
    }
    document.retain(|_, value| !is_unassigned(value));
    Ok(())
}

fn extension(document: &mut Object) -> &mut Object {
    document.entry(ENTERPRISE).or_insert(json!({})).as_object_mut().unwrap()
}

fn put_each(into: &mut Object, kind: &str, members: &Value) -> Result<(), Refusal> {
    members.as_object().unwrap().iter().try_for_each(|(name, value)| put(into, kind, name, value))
}

/// Lists grow by `add`, complex attributes are merged, anything else is replaced; what is empty clears.
fn put(into: &mut Object, kind: &str, name: &str, value: &Value) -> Result<(), Refusal> {
    if LISTS.contains(&name) {
        let held = into.get(name).filter(|_| kind == "add").and_then(Value::as_array).cloned();
        let (mut elements, mut new) = (held.unwrap_or_default(), value.as_array().unwrap().clone());
        settle(&mut new, |_| true);
        keep_once(&mut new, &[]);
        add(&mut elements, &new);
        into.insert(name.to_owned(), elements.into());
    } else if let Value::Object(members) = value {
        let inner = into.entry(name).or_insert(json!({})).as_object_mut().unwrap();
        inner.extend(members.clone());
    } else if !is_unassigned(value) {
        into.insert(name.to_owned(), value.clone());
    } else if name == "userName" {
        return Err("invalidValue");
    } else {
        into.shift_remove(name);
    }
    Ok(())
}

/// Of what is there already, only what the client says besides `value` and `type` is new.
fn add(elements: &mut Vec<Value>, new: &[Value]) {
    let mut touched = Vec::new();
    for value in new {
        let place = elements.iter().position(|held| identity(held) == identity(value));
        touched.push(place.unwrap_or(elements.len()));
        match place {
            None => elements.push(value.clone()),
            Some(place) => {
                let held = elements[place].as_object_mut().unwrap();
                for (name, value) in value.as_object().unwrap() {
                    if !(matches!(name.as_str(), "value" | "type") && held.contains_key(name)) {
                        held.insert(name.clone(), value.clone());
                    }
                }
            }
        }
    }
    settle(elements, |index| touched.contains(&index));
    keep_once(elements, &touched);
}

/// A list may say which values are meant; by their `value`, and their `type` where it has one.
fn remove(document: &mut Object, name: &str, value: &Value) {
    let (Value::Array(listed), Some(Value::Array(elements))) = (value, document.get_mut(name)) else {
        document.shift_remove(name);
        return;
    };
    let is_meant = |element: &Value, wanted: &Value| {
        let is_same = |part: &str| wanted.get(part).is_none_or(|w| element.get(part).map(folded) == Some(folded(w)));
        is_same("value") && is_same("type")
    };
    elements.retain(|element| !listed.iter().any(|wanted| is_meant(element, wanted)));
}

fn select(
    elements: &mut Vec<Value>,
    kind: &str,
    (selector, sub): (&Selector, Option<&str>),
    value: &Value,
) -> Result<(), Refusal> {
    let mut selected: Vec<_> = (0..elements.len()).filter(|&index| selector.holds(&elements[index])).collect();
    if kind == "remove" {
        for &index in &selected {
            match sub {
                Some(sub) => drop(elements[index].as_object_mut().unwrap().shift_remove(sub)),
                None => elements[index] = json!({}),
            }
            // Nothing but labels is no value.
            if elements[index].as_object().unwrap().keys().all(|name| name == "type" || name == "primary") {
                elements[index] = Value::Null;
            }
        }
        keep_once(elements, &selected);
        elements.retain(|element| !element.is_null());
        return Ok(());
    }
    let is_new = selected.is_empty();
    if is_new {
        elements.push(selector.described().ok_or("noTarget")?.into());
        selected.push(elements.len() - 1);
    }
    for &index in &selected {
        let element = elements[index].as_object_mut().unwrap();
        match (sub, kind) {
            (Some(sub), _) => drop(element.insert(sub.to_owned(), value.clone())),
            (None, "add") => element.extend(value.as_object().unwrap().clone()),
            (None, _) => {
                *element = selector.described().unwrap_or_default();
                element.extend(value.as_object().unwrap().clone());
            }
        }
    }
    // A value that contradicts the filter cannot have been meant by it.
    if is_new && !selector.holds(&elements[selected[0]]) {
        return Err("noTarget");
    }
    settle(elements, |index| selected.contains(&index));
    keep_once(elements, &selected);
    Ok(())
}

/// One primary value: the first that the operation wrote, else the first (RFC 7644 section 3.5.2).
fn settle(elements: &mut [Value], is_touched: impl Fn(usize) -> bool) {
    let is_primary = |element: &Value| element["primary"] == true;
    let primary: Vec<_> = (0..elements.len()).filter(|&index| is_primary(&elements[index])).collect();
    let winner = primary.iter().copied().find(|&index| is_touched(index)).or(primary.first().copied());
    for index in primary {
        elements[index]["primary"] = json!(Some(index) == winner);
    }
}

/// No value twice (RFC 7643 section 2.4): the first stays, with what the others say besides; what is new prevails.
fn keep_once(elements: &mut Vec<Value>, touched: &[usize]) {
    let mut kept: Vec<(Value, bool)> = Vec::new();
    for (index, element) in std::mem::take(elements).into_iter().enumerate() {
        let is_new = touched.contains(&index);
        let same = kept.iter_mut().find(|(held, _)| !element.is_null() && identity(held) == identity(&element));
        let Some((held, is_held_new)) = same else {
            kept.push((element, is_new));
            continue;
        };
        let prevails = is_new && !*is_held_new;
        *is_held_new |= prevails;
        for (name, value) in element.as_object().unwrap() {
            if prevails || held.get(name).is_none() || (name == "primary" && *value == json!(true)) {
                held[name] = value.clone();
            }
        }
    }
    elements.extend(kept.into_iter().map(|(element, _)| element));
}

/// A value is its `value` and its `type`; one without is all that it says.
fn identity(element: &Value) -> Value {
    match element.get("value") {
        Some(value) => json!([folded(value), element.get("type").map(folded)]),
        None => normal(&folded(element)),
    }
}

fn folded(value: &Value) -> Value {
    match value {
        Value::String(text) => json!(text.to_lowercase()),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), folded(value))).collect(),
        other => other.clone(),
    }
}

fn is_unassigned(value: &Value) -> bool {
    matches!(value, Value::Null) || *value == json!("") || *value == json!({}) || *value == json!([])
}

/// What documents are compared by: nothing that is unassigned, no `primary` that is false, and names in order.
pub fn normal(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(normal).collect(),
        Value::Object(members) => {
            let is_said = |name: &str, value: &Value| !(is_unassigned(value) || name == "primary" && *value == false);
            let said = members.iter().filter(|(name, value)| is_said(name, value));
            let mut said: Vec<_> = said.map(|(name, value)| (name.clone(), normal(value))).collect();
            said.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(said.into_iter().collect())
        }
        other => other.clone(),
    }
}
