//! What `/Schemas` and `/ResourceTypes` publish of a profile. Nothing here changes what is accepted, stored or returned.

use serde_json::{Map, Value, json};

use super::Required;
use crate::scim::ENTERPRISE_URN;
use crate::scim::filter::{Filter, Operator};
use crate::scim::path::AttributePath;
use crate::scim::schema::{ResourceSchema, Schema, Schemas};

/// What a profile names.
pub(super) struct Named {
    /// The profile.
    pub(super) profile: String,
    /// The attributes of users that are in use; none means all.
    pub(super) in_use: Vec<AttributePath>,
    /// Those that every user must have, beyond the core schema.
    pub(super) required: Vec<Required>,
    /// Whether there are groups.
    pub(super) offers_groups: bool,
    /// Whether `/Schemas` publishes `password`. Rollcall accepts and discards it in any case.
    pub(super) publishes_password: bool,
}

/// Publishes what a profile names.
pub(super) fn publish(schemas: &mut Schemas, named: &Named) {
    schemas.group.is_enabled = named.offers_groups;
    schemas.group_member.is_enabled = named.offers_groups;
    let all = schemas.user.clone();
    let is_required =
        |extension: Option<&str>, name: &str| named.required.iter().any(|r| names(&all, &r.path, extension, name));
    let is_in_use = |extension: Option<&str>, name: &str| {
        let is_named = || named.in_use.iter().any(|path| names(&all, path, extension, name));
        named.in_use.is_empty() || is_named() || is_required(extension, name)
    };
    let core = &mut schemas.user.core;
    // Read-only: who provides users does not name them, though they are there.
    keep(core, |name| match name {
        "groups" => named.offers_groups,
        "userName" => true,
        _ => is_in_use(None, name),
    });
    require(core, |name| is_required(None, name));
    if named.publishes_password {
        attributes(core.published_mut()).into_iter().for_each(|list| list.push(password()));
    }
    for extension in &mut schemas.user.extensions {
        let id = extension.id.clone();
        // A profile's own schemas are all its own.
        if id == ENTERPRISE_URN {
            extension.is_hidden = !keep(extension, |name| is_in_use(Some(&id), name));
        }
        extension.is_required = require(extension, |name| is_required(Some(&id), name));
    }
    for required in &named.required {
        describe(&mut schemas.user, &all, required, &named.profile);
    }
    for Required { path, .. } in &named.required {
        if let (None, Some(sub)) = (&path.selector, &path.sub) {
            say_of_part(&mut schemas.user, (&all, path), sub, ("required", json!(true)));
        }
    }
    for path in &named.in_use {
        if let Some((label, _)) = selected(path) {
            let values = json!(selected_by(&named.in_use, path, label));
            say_of_part(&mut schemas.user, (&all, path), label, ("canonicalValues", values));
        }
    }
}

/// The values by which paths select among those of one attribute: of e-mail addresses, the types in use.
fn selected_by<'n>(in_use: &'n [AttributePath], path: &AttributePath, label: &str) -> Vec<&'n str> {
    let same = in_use.iter().filter(|other| other.urn == path.urn && other.name == path.name);
    let mut values = Vec::new();
    for (other, value) in same.filter_map(selected) {
        if other == label && !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// The part that a path selects by, and its value: of `emails[type eq "work"].value`, `type` and `work`.
fn selected(path: &AttributePath) -> Option<(&str, &str)> {
    match path.selector.as_deref()? {
        Filter::Compare(label, Operator::Eq, Value::String(value)) => Some((&label.name, value)),
        _ => None,
    }
}

/// As RFC 7643 section 8.7.1 has it, but that nobody keeps it.
fn password() -> Value {
    json!({
        "name": "password", "type": "string", "multiValued": false, "required": false, "caseExact": true,
        "description": "Accepted, and thrown away at once: users do not sign in here.",
        "mutability": "writeOnly", "returned": "never", "uniqueness": "none",
    })
}

/// Says in the description of an attribute what is required of it: `required` alone cannot say of which of its values, nor
/// of which users.
fn describe(schema: &mut ResourceSchema, user: &ResourceSchema, required: &Required, profile: &str) {
    let Required { path, unless } = required;
    let unless = unless.as_ref().map(|filter| format!(" except those with {filter}")).unwrap_or_default();
    let Some(attribute) = published(schema, user, path) else { return };
    let held = attribute.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{held} The profile {profile} requires {path} of every user{unless}.");
    attribute.insert("description".into(), description.trim_start().into());
}

/// The attribute that a path names, where it is published.
fn published<'s>(
    schema: &'s mut ResourceSchema,
    user: &ResourceSchema,
    path: &AttributePath,
) -> Option<&'s mut Map<String, Value>> {
    let located = user.locate(path);
    let schema = match located.extension {
        None => Some(&mut schema.core),
        Some(urn) => schema.extensions.iter_mut().find(|schema| schema.id == urn),
    }?;
    find(attributes(schema.published_mut())?, &located.attribute?.name)
}

/// Sets a characteristic of a part of the attribute that a path names, where it is published.
fn say_of_part(
    schema: &mut ResourceSchema,
    (user, path): (&ResourceSchema, &AttributePath),
    part: &str,
    (name, value): (&str, Value),
) {
    let parts = published(schema, user, path).and_then(|attribute| attribute.get_mut("subAttributes")?.as_array_mut());
    if let Some(part) = parts.and_then(|parts| find(parts, part)) {
        part.insert(name.to_owned(), value);
    }
}

/// Whether a path names that attribute, a part of it, or the extension that has it.
fn names(user: &ResourceSchema, path: &AttributePath, extension: Option<&str>, name: &str) -> bool {
    let located = user.locate(path);
    located.extension.as_deref() == extension && located.attribute.is_none_or(|attribute| attribute.name == name)
}

/// Keeps the published attributes. Returns whether any is left.
fn keep(schema: &mut Schema, is_published: impl Fn(&str) -> bool) -> bool {
    let Some(attributes) = attributes(schema.published_mut()) else { return false };
    attributes.retain(|attribute| attribute.get("name").and_then(Value::as_str).is_some_and(&is_published));
    !attributes.is_empty()
}

/// Marks the attributes that are required; whether there are any.
fn require(schema: &mut Schema, is_required: impl Fn(&str) -> bool) -> bool {
    let mut any = false;
    for attribute in attributes(schema.published_mut()).into_iter().flatten().filter_map(Value::as_object_mut) {
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
