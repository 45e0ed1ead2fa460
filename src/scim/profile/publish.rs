//! What `/Schemas` and `/ResourceTypes` show of a profile. Nothing here changes what is accepted, stored or returned.

use serde_json::{Map, Value, json};

use crate::scim::ENTERPRISE_URN;
use crate::scim::filter::{Filter, Operator};
use crate::scim::path::AttributePath;
use crate::scim::schema::{ResourceSchema, Schema, Schemas};

/// What a profile names.
pub(super) struct Named {
    /// The attributes of users that are in use; none means all.
    pub(super) in_use: Vec<AttributePath>,
    /// Those that every user must have, beyond the core schema.
    pub(super) required: Vec<AttributePath>,
    /// Whether there are groups.
    pub(super) offers_groups: bool,
}

/// Shows in the published documents what a profile names.
pub(super) fn publish(schemas: &mut Schemas, named: &Named) {
    schemas.group.is_offered = named.offers_groups;
    schemas.group_member.is_offered = named.offers_groups;
    let all = schemas.user.clone();
    let is_in_use = |extension: Option<&str>, name: &str| {
        named.in_use.is_empty() || named.in_use.iter().any(|path| names(&all, path, extension, name))
    };
    let is_required =
        |extension: Option<&str>, name: &str| named.required.iter().any(|path| names(&all, path, extension, name));
    let core = &mut schemas.user.core;
    // Read-only: who provides users does not name them, though they are there.
    keep(core, |name| match name {
        "groups" => named.offers_groups,
        "userName" => true,
        _ => is_in_use(None, name),
    });
    require(core, |name| is_required(None, name));
    for extension in &mut schemas.user.extensions {
        let id = extension.id.clone();
        // A profile's own schemas are all its own.
        if id == ENTERPRISE_URN {
            extension.is_hidden = !keep(extension, |name| is_in_use(Some(&id), name));
        }
        extension.is_required = require(extension, |name| is_required(Some(&id), name));
    }
    for path in &named.required {
        if let (None, Some(sub), Some(parts)) = (&path.selector, &path.sub, parts_of(&mut schemas.user, &all, path)) {
            find(parts, sub).into_iter().for_each(|part| drop(part.insert("required".into(), json!(true))));
        }
    }
    for path in &named.in_use {
        if let (Some((label, _)), Some(parts)) = (selected(path), parts_of(&mut schemas.user, &all, path)) {
            let same = named.in_use.iter().filter(|other| other.urn == path.urn && other.name == path.name);
            let selected = same.filter_map(selected).filter(|(other, _)| *other == label);
            let mut values: Vec<&str> = selected.map(|(_, value)| value).collect();
            values.dedup();
            find(parts, label).into_iter().for_each(|part| drop(part.insert("canonicalValues".into(), json!(values))));
        }
    }
}

/// The part that a path selects by, and its value: of `emails[type eq "work"].value`, `type` and `work`.
fn selected(path: &AttributePath) -> Option<(&str, &str)> {
    match path.selector.as_deref()? {
        Filter::Compare(label, Operator::Eq, Value::String(value)) => Some((&label.name, value)),
        _ => None,
    }
}

/// The published parts of the attribute that a path names.
fn parts_of<'s>(
    shown: &'s mut ResourceSchema,
    user: &ResourceSchema,
    path: &AttributePath,
) -> Option<&'s mut Vec<Value>> {
    let located = user.locate(path);
    let schema = match located.extension {
        None => Some(&mut shown.core),
        Some(urn) => shown.extensions.iter_mut().find(|schema| schema.id == urn),
    };
    let attribute = find(attributes(&mut schema?.published)?, &located.attribute?.name)?;
    attribute.get_mut("subAttributes")?.as_array_mut()
}

/// Whether a path names that attribute, a part of it, or the extension that has it.
fn names(user: &ResourceSchema, path: &AttributePath, extension: Option<&str>, name: &str) -> bool {
    let located = user.locate(path);
    located.extension.as_deref() == extension && located.attribute.is_none_or(|attribute| attribute.name == name)
}

/// Leaves the attributes that are shown; whether there are any.
fn keep(schema: &mut Schema, is_shown: impl Fn(&str) -> bool) -> bool {
    let Some(attributes) = attributes(&mut schema.published) else { return false };
    attributes.retain(|attribute| attribute.get("name").and_then(Value::as_str).is_some_and(&is_shown));
    !attributes.is_empty()
}

/// Marks the attributes that are required; whether there are any.
fn require(schema: &mut Schema, is_required: impl Fn(&str) -> bool) -> bool {
    let mut any = false;
    for attribute in attributes(&mut schema.published).into_iter().flatten().filter_map(Value::as_object_mut) {
        if attribute.get("name").and_then(Value::as_str).is_some_and(&is_required) {
            attribute.insert("required".into(), json!(true));
            any = true;
        }
    }
    any
}

fn attributes(published: &mut Value) -> Option<&mut Vec<Value>> {
    published.get_mut("attributes")?.as_array_mut()
}

fn find<'a>(attributes: &'a mut [Value], name: &str) -> Option<&'a mut Map<String, Value>> {
    let mut all = attributes.iter_mut().filter_map(Value::as_object_mut);
    all.find(|attribute| attribute.get("name").and_then(Value::as_str).is_some_and(|n| n.eq_ignore_ascii_case(name)))
}
