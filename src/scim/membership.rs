//! What a request says of a group's members. It is taken out of the request and never becomes part of the document:
//! members are stored one by one, and a change of some does not read the others.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::ErrorCode;
use super::deviation::trace::{Rule, note};
use super::filter::{Filter, Operator};
use super::group::is_members;
use super::json::{member_name, type_name};
use super::patch::{Kind, PatchOperation};
use super::path::AttributePath;
use super::{ResourceSchema, ScimError, deviation};
use crate::limits::MAX_MEMBER_CHANGES;

/// The ids of members: UUIDs in their canonical form, or whatever else the client sent.
pub type Ids = BTreeSet<String>;

/// A push of one user replaces one member by another at the most.
const FEW: usize = 2;

/// A change of membership, whatever the members are now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipChange {
    /// Who is a member afterwards.
    pub add: Ids,
    /// Who is not, for a change of some.
    pub remove: Ids,
    /// Whether nobody but `add` is a member afterwards.
    pub is_whole: bool,
}

impl MembershipChange {
    /// Whether it changes nothing, whoever is a member.
    pub fn is_empty(&self) -> bool {
        !self.is_whole && self.add.is_empty() && self.remove.is_empty()
    }

    /// The members it names, if they are so few that looking them up costs hardly more than checking the caller's key.
    pub fn few(&self) -> Ids {
        let is_few = !self.is_whole && self.add.len() + self.remove.len() <= FEW;
        if is_few { self.add.union(&self.remove).cloned().collect() } else { Ids::new() }
    }

    fn add(&mut self, ids: Ids) {
        self.remove.retain(|id| !ids.contains(id));
        self.add.extend(ids);
    }

    fn remove(&mut self, ids: Ids) {
        self.add.retain(|id| !ids.contains(id));
        if !self.is_whole {
            self.remove.extend(ids);
        }
    }

    fn replace(&mut self, ids: Ids) {
        *self = Self { add: ids, remove: Ids::new(), is_whole: true };
    }
}

/// Takes `members` out of the body of a POST or PUT, however it is spelled.
///
/// # Errors
/// 400 `invalidValue` naming the rule; 400 `invalidSyntax` for members given twice; 413 for too many.
pub fn take(body: &mut Map<String, Value>, schema: &ResourceSchema) -> Result<MembershipChange, ScimError> {
    let mut values = Vec::new();
    take_values(body, schema, &mut values)?;
    if values.len() > 1 {
        return Err(ScimError::invalid_syntax("members is given twice; send one list"));
    }
    Ok(MembershipChange { add: ids(values.pop().unwrap_or(Value::Null))?, remove: Ids::new(), is_whole: true })
}

/// Takes what names members out of an object of attributes, also below the URN of the core schema.
fn take_values(
    attributes: &mut Map<String, Value>,
    schema: &ResourceSchema,
    values: &mut Vec<Value>,
) -> Result<(), ScimError> {
    let mut names = Vec::new();
    for (name, value) in attributes.iter_mut() {
        let Ok(path) = AttributePath::parse(name) else { continue };
        let located = schema.locate(&path);
        match (is_members(&path, schema), value) {
            (true, _) if !path.is_plain() => return Err(unchangeable(&path)),
            (true, _) => names.push(name.clone()),
            (false, Value::Object(below)) if located.is_core() => take_values(below, schema, values)?,
            (false, _) => {}
        }
    }
    values.extend(names.iter().filter_map(|name| attributes.shift_remove(name)));
    Ok(())
}

/// Splits a PATCH into what it does to members, and the other operations.
///
/// # Errors
/// 400 naming the operation and the rule; 413 for too many members.
pub fn split(
    operations: Vec<PatchOperation>,
    schema: &ResourceSchema,
) -> Result<(MembershipChange, Vec<PatchOperation>), ScimError> {
    let mut change = MembershipChange::default();
    let mut others = Vec::new();
    for (index, operation) in operations.into_iter().enumerate() {
        let other = apply(&mut change, operation, schema)
            .map_err(|error| ScimError { detail: format!("Operations[{index}]: {}", error.detail), ..error })?;
        others.extend(other);
        if change.add.len() + change.remove.len() > MAX_MEMBER_CHANGES {
            return Err(too_many());
        }
    }
    Ok((change, others))
}

/// Does what an operation says of members; what it says of other attributes is left.
fn apply(
    change: &mut MembershipChange,
    operation: PatchOperation,
    schema: &ResourceSchema,
) -> Result<Option<PatchOperation>, ScimError> {
    let PatchOperation { kind, path, value } = operation;
    let Some(path) = path else {
        let Some(Value::Object(mut attributes)) = value else { return Ok(Some(PatchOperation { kind, path, value })) };
        let mut values = Vec::new();
        take_values(&mut attributes, schema, &mut values)?;
        values.into_iter().try_for_each(|value| write(change, kind, value))?;
        let value = Some(Value::Object(attributes));
        return Ok(Some(PatchOperation { kind, path: None, value }));
    };
    if !is_members(&path, schema) {
        return Ok(Some(PatchOperation { kind, path: Some(path), value }));
    }
    match (kind, &path.selector, &path.sub) {
        (Kind::Remove, Some(selector), None) => change.remove(selected(selector)?),
        (Kind::Remove, None, None) => match value.filter(|value| !deviation::is_unassigned(value)) {
            Some(value) => {
                note(Rule::Listed);
                change.remove(ids(unwrapped(value))?);
            }
            None => change.replace(Ids::new()),
        },
        (_, None, None) => write(change, kind, value.unwrap_or(Value::Null))?,
        _ => return Err(unchangeable(&path)),
    }
    Ok(None)
}

fn unchangeable(path: &AttributePath) -> ScimError {
    ScimError::mutability(format!(
        "{path} would change a member; add and remove members instead (RFC 7643 section 4.2)"
    ))
}

fn write(change: &mut MembershipChange, kind: Kind, value: Value) -> Result<(), ScimError> {
    match kind {
        Kind::Add => change.add(ids(value)?),
        Kind::Replace => change.replace(ids(value)?),
        Kind::Remove => change.remove(ids(value)?),
    }
    Ok(())
}

/// The members that `members[value eq "…"]` selects, also several joined by `or`.
fn selected(selector: &Filter) -> Result<Ids, ScimError> {
    match selector {
        Filter::Compare(path, Operator::Eq, Value::String(id)) if path.name.eq_ignore_ascii_case("value") => {
            Ok(Ids::from([canonical(id)]))
        }
        Filter::Or(parts) => parts.iter().map(selected).try_fold(Ids::new(), |mut all, some| {
            all.extend(some?);
            Ok(all)
        }),
        _ => Err(ScimError::invalid_filter(
            "members has another selector than an id; write members[value eq \"…\"], or several such terms joined by or",
        )),
    }
}

/// Salesforce puts the attribute's name into the value of a remove (RIPAGlobal/scimitar).
fn unwrapped(value: Value) -> Value {
    match value {
        Value::Object(mut map) if map.len() == 1 => match member_name(&map, "members") {
            Some(name) => map.shift_remove(&name).unwrap_or(Value::Null),
            None => Value::Object(map),
        },
        other => other,
    }
}

/// The ids in a list of members: objects with `value`, or bare ids (Microsoft's Postman collection). Everything else
/// in an object is read-only here: Okta sends `display`, Entra `"$ref": null`.
fn ids(value: Value) -> Result<Ids, ScimError> {
    if deviation::is_unassigned(&value) {
        return Ok(Ids::new());
    }
    let items = deviation::list_from_single(value);
    if items.len() > MAX_MEMBER_CHANGES {
        return Err(too_many());
    }
    items
        .into_iter()
        .filter(|item| !deviation::is_unassigned(item))
        .map(|item| {
            let id = match &item {
                Value::String(id) => Some(id.as_str()),
                Value::Object(map) => super::json::member(map, "value").and_then(Value::as_str),
                _ => None,
            };
            match id {
                Some(id) if !id.is_empty() => Ok(canonical(id)),
                _ => Err(ScimError::invalid_value(format!(
                    "members must be objects with the id of a user or group in value, not {}",
                    type_name(&item)
                ))),
            }
        })
        .collect()
}

/// One spelling of an id: that of RFC 9562 for a UUID; anything else is nobody's id, and stays as it is.
pub fn canonical(id: &str) -> String {
    uuid::Uuid::try_parse(id).map_or_else(|_| id.to_owned(), |uuid| uuid.to_string())
}

fn too_many() -> ScimError {
    ScimError::new(
        ErrorCode::TooManyMembers,
        format!("members has more than {MAX_MEMBER_CHANGES} ids; send the others in further requests"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{Schemas, patch};

    fn read(operations: Value) -> Result<(MembershipChange, usize), ScimError> {
        let schemas = Schemas::standard().unwrap();
        let Value::Object(body) = json!({"Operations": operations}) else { panic!() };
        split(patch::parse(&body)?, &schemas.group).map(|(change, others)| (change, others.len()))
    }

    fn change(add: &[&str], remove: &[&str], is_whole: bool) -> MembershipChange {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        MembershipChange { add: ids(add), remove: ids(remove), is_whole }
    }

    #[test]
    fn every_clients_way_to_change_members_is_read() {
        for (operations, expected) in [
            (
                json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": "a"}]}]),
                change(&["a"], &[], false),
            ),
            (json!([{"op": "add", "value": {"Members": ["a", {"value": "b"}]}}]), change(&["a", "b"], &[], false)),
            (json!([{"op": "Remove", "path": "members", "value": [{"value": "a"}]}]), change(&[], &["a"], false)),
            (
                json!([{"op": "remove", "path": "members", "value": {"members": [{"value": "a"}]}}]),
                change(&[], &["a"], false),
            ),
            (
                json!([{"op": "remove", "path": "members[value eq \"a\" or value eq \"b\"]"}]),
                change(&[], &["a", "b"], false),
            ),
            (json!([{"op": "remove", "path": "members"}]), change(&[], &[], true)),
            (json!([{"op": "replace", "path": "members", "value": []}]), change(&[], &[], true)),
            (json!([{"op": "replace", "value": {"members": [{"value": "a"}]}}]), change(&["a"], &[], true)),
            (
                json!([{"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": [{"value": "a"}]}]),
                change(&["a"], &[], true),
            ),
            (
                json!([{"op": "add", "path": "members", "value": [{"value": "a"}]}, {"op": "remove", "path": "members[value eq \"a\"]"}]),
                change(&[], &["a"], false),
            ),
        ] {
            assert_eq!(read(operations.clone()).unwrap().0, expected, "{operations}");
        }
    }

    #[test]
    fn other_attributes_are_left_to_the_document() {
        let (change, others) =
            read(json!([{"op": "replace", "value": {"id": "x", "displayName": "n", "members": []}}])).unwrap();
        assert!(change.is_whole && others == 1);
        for (operation, status) in [
            (json!({"op": "add", "path": "members", "value": [{"display": "x"}]}), 400),
            (json!({"op": "add", "path": "members", "value": [5]}), 400),
            (json!({"op": "remove", "path": "members[type eq \"User\"]"}), 400),
            (json!({"op": "replace", "path": "members[value eq \"a\"].display", "value": "x"}), 400),
        ] {
            assert_eq!(read(json!([operation])).unwrap_err().status(), status, "{operation}");
        }
    }

    #[test]
    fn members_are_taken_from_a_body_however_they_are_spelled() {
        let group = Schemas::standard().unwrap().group;
        let taken = |body: Value| {
            let Value::Object(mut body) = body else { panic!() };
            take(&mut body, &group).map(|change| (change.add, body.values().all(|value| value == &json!({}))))
        };
        let list = json!([{"value": "a"}]);
        let urn = crate::scim::GROUP_URN;
        for name in ["members", "MEMBERS", " members", &format!("{urn}:members"), &format!("{urn}.members")] {
            assert_eq!(taken(json!({name: list})).unwrap(), (Ids::from(["a".to_owned()]), true), "{name}");
            let below = json!({urn: {name.rsplit([':', '.']).next().unwrap(): list}});
            assert_eq!(taken(below).unwrap(), (Ids::from(["a".to_owned()]), true), "{name}");
        }
        assert_eq!(taken(json!({"members": [], format!("{urn}:members"): list})).unwrap_err().status(), 400);
        for part in ["members.value", "members[value eq \"a\"]", "members[value eq \"a\"].display"] {
            assert_eq!(taken(json!({part: "a"})).unwrap_err().status(), 400, "{part}");
        }
    }
}
