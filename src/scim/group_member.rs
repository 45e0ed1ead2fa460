//! What is particular to memberships (draft-zollner-scim-group-members-01).

use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::filter::plan::{Finds, IndexPlan, Indexed, plan};
use super::json::{member, type_name};
use super::{ResourceSchema, ScimError};

/// The extension of Group that says where its memberships are.
pub const GROUP_MEMBER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:GroupMember";
/// The extension of a group that says where its members are.
pub const METADATA_URN: &str = "urn:ietf:params:scim:schemas:extension:groupMembers:2.0:Group";

/// The ids of group and member in the body of a POST.
///
/// # Errors
/// 400 `invalidValue` naming the attribute and the rule.
pub fn parse(body: &Map<String, Value>) -> Result<(String, String), ScimError> {
    Ok((reference(body, "group")?, reference(body, "member")?))
}

fn reference(body: &Map<String, Value>, name: &str) -> Result<String, ScimError> {
    let wrong = |what: &str| ScimError::invalid_value(format!("{name}.value must be an id, not {what}"));
    let Value::Object(reference) = member(body, name).ok_or_else(|| wrong("missing"))? else {
        return Err(ScimError::invalid_value(format!("{name} must be an object with an id in value")));
    };
    match member(reference, "value") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        Some(other) => Err(wrong(type_name(other))),
        None => Err(wrong("missing")),
    }
}

/// The one group and the one member that every membership must have to satisfy a filter, where it says so.
pub fn asked(filter: &Filter, schema: &ResourceSchema) -> (Option<String>, Option<String>) {
    let only = |attribute| match plan(filter, schema, &[Indexed { attribute, finds: Finds::Equals }]) {
        IndexPlan::Equals(_, id) => Some(id),
        // Nothing has an empty id.
        IndexPlan::Nothing => Some(String::new()),
        _ => None,
    };
    (only("group.value"), only("member.value"))
}

/// The extension in a group: `external` where its members do not fit an answer, `hybrid` otherwise.
pub fn metadata(base_url: &str, group: &str, is_external: bool) -> Value {
    json!({"membersMetadata": {
        "policy": if is_external { "external" } else { "hybrid" },
        "ref": format!("{base_url}/GroupMembers?filter=group.value%20eq%20%22{group}%22"),
        "allowedMemberTypes": ["User", "Group"],
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Schemas;

    #[test]
    fn a_filter_names_the_group_and_the_member_it_is_about() {
        let schemas = Schemas::standard().unwrap();
        let asked = |text: &str| asked(&Filter::parse(text).unwrap(), &schemas.group_member);
        let some = |id: &str| Some(id.to_owned());
        assert_eq!(asked("group.value eq \"g\""), (some("g"), None));
        assert_eq!(asked("member eq \"m\" and member.type eq \"User\""), (None, some("m")));
        assert_eq!(asked("member[value eq \"m\"] and group eq \"g\""), (some("g"), some("m")));
        assert_eq!(asked("group.value eq \"g\" or member.value eq \"m\""), (None, None));
        assert_eq!(asked("member.type eq \"User\""), (None, None));
    }

    #[test]
    fn a_body_names_a_group_and_a_member() {
        let parsed = |body: Value| parse(body.as_object().unwrap());
        let good = parsed(json!({"Group": {"VALUE": "g"}, "member": {"value": "m", "type": "User"}}));
        assert_eq!(good, Ok(("g".to_owned(), "m".to_owned())));
        for (bad, named) in [
            (json!({"group": {"value": "g"}}), "member.value"),
            (json!({"group": "g", "member": {"value": "m"}}), "group"),
            (json!({"group": {"value": 1}, "member": {"value": "m"}}), "group.value"),
            (json!({"group": {"value": "g"}, "member": {"value": ""}}), "member.value"),
        ] {
            assert!(parsed(bad).unwrap_err().detail.contains(named), "{named}");
        }
    }
}
