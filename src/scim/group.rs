//! What is particular to groups: the values they are found by.

use super::ErrorCode;
use super::filter::Filter;
use super::filter::Operator;
use super::filter::plan::{Finds, Indexed};
use super::fold::fold;
use super::user::key;
use super::{Document, ResourceSchema, ScimError};
use crate::scim::path::AttributePath;

/// What groups can be looked up by, cheapest first.
pub const INDEXED: &[Indexed] = &[
    Indexed { attribute: "id", finds: Finds::Equals },
    Indexed { attribute: "displayName", finds: Finds::Equals },
    Indexed { attribute: "externalId", finds: Finds::Equals },
    Indexed { attribute: "members.value", finds: Finds::Equals },
];

/// The values by which a group is found, folded where case does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupKeys {
    /// `displayName`, folded.
    pub name: String,
    /// `externalId`, as sent.
    pub external_id: Option<String>,
}

impl GroupKeys {
    /// Reads the keys of a document.
    ///
    /// # Errors
    /// 400 `invalidValue` naming the attribute and the limit.
    pub fn of(document: &Document) -> Result<Self, ScimError> {
        let name = document.text("displayName").unwrap_or_default();
        if name.trim().is_empty() {
            return Err(ScimError::new(
                ErrorCode::AttributeRequired,
                "displayName is required and must have a visible character",
            ));
        }
        Ok(Self {
            name: key("displayName", fold(name))?,
            external_id: document.text("externalId").map(|id| key("externalId", id.to_owned())).transpose()?,
        })
    }
}

/// What a filter needs to know of a group's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembersAsked {
    /// Nothing.
    None,
    /// Only whether these are members: `members eq "…"`, in any of its forms.
    Only(Vec<String>),
    /// All of them.
    All,
}

/// Finds out what a filter needs to know of members.
pub fn requested_members(filter: &Filter, schema: &ResourceSchema) -> MembersAsked {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().map(|part| requested_members(part, schema)).fold(MembersAsked::None, both)
        }
        Filter::Not(inner) => requested_members(inner, schema),
        Filter::Present(path) if is_members(path, schema) => MembersAsked::All,
        Filter::Compare(path, op, value) if is_members(path, schema) => {
            let is_value = path.selector.is_none() && path.sub.as_ref().is_none_or(|s| s.eq_ignore_ascii_case("value"));
            match (op, value.as_str()) {
                (Operator::Eq, Some(id)) if is_value => MembersAsked::Only(vec![id.to_owned()]),
                _ => MembersAsked::All,
            }
        }
        Filter::ValuePath(path) if is_members(path, schema) => match path.selector.as_deref() {
            Some(Filter::Compare(inner, Operator::Eq, value)) if inner.name.eq_ignore_ascii_case("value") => {
                value.as_str().map_or(MembersAsked::All, |id| MembersAsked::Only(vec![id.to_owned()]))
            }
            _ => MembersAsked::All,
        },
        Filter::Present(_) | Filter::Compare(..) | Filter::ValuePath(_) => MembersAsked::None,
    }
}

fn both(a: MembersAsked, b: MembersAsked) -> MembersAsked {
    match (a, b) {
        (MembersAsked::None, other) | (other, MembersAsked::None) => other,
        (MembersAsked::Only(mut ids), MembersAsked::Only(more)) => {
            ids.extend(more);
            MembersAsked::Only(ids)
        }
        _ => MembersAsked::All,
    }
}

/// Whether a path leads to the members of a group.
pub fn is_members(path: &AttributePath, schema: &ResourceSchema) -> bool {
    let located = schema.locate(path);
    located.extension.is_none() && located.attribute.is_some_and(|attribute| attribute.name == "members")
}
