//! Query parameters and headers, where they have a meaning.

use http::Method;
use serde_json::{Map, Value, json};

use super::operation_target::{OperationTarget, TargetForm};
use crate::api::Route;
use crate::limits::{DEFAULT_PAGE, MAX_FILTER_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_MEMBERSHIPS_PAGE, MAX_PAGE};

/// What all operations of a path share: its `{id}`.
pub(super) fn of_path(path: &str) -> Value {
    let id = json!({
        "name": "id",
        "in": "path",
        "required": true,
        "description": "The id of the resource",
        "schema": {"type": "string", "minLength": 1},
    });
    match path.contains("{id}") {
        true => json!({"parameters": [id]}),
        false => Value::Object(Map::new()),
    }
}

/// Those of one operation.
pub(super) fn of(route: &Route, place: &OperationTarget) -> Vec<Value> {
    let mut parameters = Vec::new();
    if place.is_discovery || matches!(place.form, TargetForm::Search | TargetForm::Bulk) {
        return parameters;
    }
    if place.form == TargetForm::Many && route.method == Method::GET {
        parameters.extend(of_list(place));
    }
    if route.method != Method::DELETE {
        parameters.extend(projection());
    }
    if place.form == TargetForm::Many && place.is_versioned && route.method == Method::POST {
        let description = format!(
            "A request with a value that was sent before gets the first answer again; at most {MAX_IDEMPOTENCY_KEY_BYTES} bytes"
        );
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "description": description, "schema": {"type": "string", "minLength": 1}}));
    }
    if place.form == TargetForm::One && place.is_versioned {
        parameters.push(condition(&route.method));
    }
    parameters
}

/// Those of an operator's list, which are those of the tenant's own; of the members of a group, the group is in the path.
pub(super) fn of_operators(path: &'static str) -> Value {
    let place = OperationTarget::of(path);
    let mut parameters = of_list(&place);
    parameters.retain(|parameter| place.kind != "GroupMember" || parameter["name"] != "filter");
    parameters.extend(projection());
    parameters.into()
}

/// RFC 7644 section 3.4.2, and RFC 9865 where it is offered.
fn of_list(place: &OperationTarget) -> Vec<Value> {
    let filter = json!({
        "name": "filter",
        "in": "query",
        "description": format!("RFC 7644 section 3.4.2.2; at most {MAX_FILTER_BYTES} bytes"),
        "schema": {"type": "string", "format": "scim-filter"},
        "examples": examples(place),
    });
    let most = if place.kind == "GroupMember" { MAX_MEMBERSHIPS_PAGE } else { MAX_PAGE };
    let count = format!("The most resources of a page: {DEFAULT_PAGE} if it is not given, {most} if it is more");
    let mut parameters = vec![
        filter,
        query("startIndex", "integer", "The place of the first resource, from 1; less counts as 1"),
        query("count", "integer", &count),
        query("cursor", "string", "`nextCursor` or `previousCursor` of another page (RFC 9865); empty for the first"),
    ];
    if place.kind != "GroupMember" {
        parameters.push(query("sortBy", "string", "The attribute to sort by (RFC 7644 section 3.4.2.3)"));
        parameters.push(query("sortOrder", "string", "`ascending`, or `descending`"));
    }
    parameters
}

/// Filters that an index answers.
fn examples(place: &OperationTarget) -> Value {
    let filters: &[(&str, &str)] = match place.kind {
        "User" => &[
            ("byUserName", r#"userName eq "bjensen@example.com""#),
            ("byExternalId", r#"externalId eq "701984""#),
            ("byEmail", r#"emails[type eq "work"].value eq "bjensen@example.com""#),
            ("byStart", r#"userName sw "b" and active eq true"#),
        ],
        "Group" => &[
            ("byDisplayName", r#"displayName eq "Tour Guides""#),
            ("byMember", r#"members.value eq "2819c223-7f76-453a-919d-413861904646""#),
        ],
        "GroupMember" => &[
            ("byGroup", r#"group.value eq "e9e30dba-f08f-4109-8486-d5c6a331660a""#),
            ("byMember", r#"member.value eq "2819c223-7f76-453a-919d-413861904646""#),
        ],
        _ => &[("byTime", r#"meta.lastModified gt "2011-05-13T04:42:34Z""#)],
    };
    filters.iter().map(|(name, filter)| ((*name).to_owned(), json!({"value": filter}))).collect::<Map<_, _>>().into()
}

/// RFC 7644 section 3.9.
fn projection() -> [Value; 2] {
    let parameter = |name: &str, description: &str| {
        json!({
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": "string", "format": "scim-attributes"},
        })
    };
    [
        parameter(
            "attributes",
            "The attributes to return, separated by commas; Rollcall always returns `id` and `schemas`",
        ),
        parameter("excludedAttributes", "The attributes to leave out, separated by commas"),
    ]
}

/// RFC 7644 section 3.14.
fn condition(method: &Method) -> Value {
    let (name, description) = match *method {
        Method::GET => ("If-None-Match", "Versions that the client knows: 304 if the resource is still at one of them"),
        _ => ("If-Match", "Versions that may be changed: 412 if the resource is at none of them"),
    };
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string", "examples": ["W/\"1\""]}})
}

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind}})
}
