//! What each route may answer.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::operation_target::{OperationTarget, TargetForm};
use super::{SCIM_JSON, non_scim, reference};
use crate::api::{Base, ROUTES, Route};

/// What any route may answer, whatever it does.
const OF_ALL: &[u16] = &[308, 401, 403, 413, 415, 429, 500, 503];

/// Every status that a route may answer, in order. The tests hold every answer against it.
pub fn statuses(route: &Route) -> Vec<u16> {
    let mut statuses = OF_ALL.to_vec();
    match route.base {
        Base::Pages => statuses.extend([200, 303, 400, 404, 409]),
        Base::Scim => statuses.extend(own(route, &OperationTarget::of(route.path))),
        _ => statuses.extend(non_scim::statuses(route)),
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// What is a route's own, by its method and place.
fn own(route: &Route, place: &OperationTarget) -> Vec<u16> {
    let versioned = |status| place.is_versioned.then_some(status);
    // A tenant's profile may offer no groups.
    let unoffered = matches!(place.kind, "Group" | "GroupMember").then_some(404);
    match (place.form, route.method.as_str()) {
        (TargetForm::Bulk, _) => vec![200, 400, 409, 507],
        (TargetForm::Search, _) => [200, 400].into_iter().chain(unoffered).collect(),
        (TargetForm::Many, "POST") if place.is_versioned => {
            [201, 400, 409, 422, 507].into_iter().chain(unoffered).collect()
        }
        (TargetForm::Many, "POST") => [201, 400, 409, 507].into_iter().chain(unoffered).collect(),
        (TargetForm::Many, _) => [200, 400].into_iter().chain(unoffered).collect(),
        (TargetForm::One, "DELETE") => {
            [Some(204), Some(404), versioned(412), Some(507)].into_iter().flatten().collect()
        }
        // Entra wants no list of members back.
        (TargetForm::One, "PATCH") if place.kind == "Group" => vec![200, 204, 400, 404, 409, 412, 507],
        (TargetForm::One, "PUT" | "PATCH") => vec![200, 400, 404, 409, 412, 507],
        (TargetForm::One, _) if place.kind == "ServiceProviderConfig" => vec![200, 400],
        (TargetForm::One, _) if place.is_discovery => vec![200, 404],
        (TargetForm::One, _) => [Some(200), versioned(304), Some(400), Some(404)].into_iter().flatten().collect(),
    }
}

/// The answers of an operation by status.
pub(super) fn of(route: &Route, place: &OperationTarget) -> Map<String, Value> {
    let response = |status| match is_error(status) {
        true => json!({"$ref": format!("#/components/responses/{status}")}),
        false => success(status, route, place),
    };
    statuses(route).into_iter().map(|status| (status.to_string(), response(status))).collect()
}

/// The answers that are the same for all operations, by status.
pub(super) fn errors() -> Map<String, Value> {
    let all: BTreeSet<u16> = ROUTES
        .iter()
        .filter(|route| route.base != Base::Pages)
        .flat_map(statuses)
        .filter(|status| is_error(*status))
        .collect();
    all.into_iter().map(|status| (status.to_string(), error(status))).collect()
}

fn is_error(status: u16) -> bool {
    status > 304
}

fn error(status: u16) -> Value {
    let mut response = described(status);
    let (name, description) = match status {
        308 => ("Location", "The address"),
        401 => ("WWW-Authenticate", "A challenge for each scheme that is accepted"),
        415 => ("Accept-Encoding", "`identity`"),
        429 | 503 => ("Retry-After", "Seconds to wait"),
        _ => ("", ""),
    };
    if !name.is_empty() {
        response.insert("headers".into(), json!({name: header(description)}));
    }
    response.insert("content".into(), content("Error"));
    response.into()
}

fn success(status: u16, route: &Route, place: &OperationTarget) -> Value {
    let mut response = described(status);
    let is_list = place.form != TargetForm::One && status == 200;
    let mut headers = Map::new();
    if place.is_versioned && !is_list && status != 204 {
        headers.insert("ETag".into(), header("The version"));
    }
    if status == 201 {
        headers.insert("Location".into(), header("The address"));
        response.insert("links".into(), links(route).into());
    }
    if !headers.is_empty() {
        response.insert("headers".into(), headers.into());
    }
    if !matches!(status, 204 | 304) {
        response.insert("content".into(), content(&body(place, is_list)));
    }
    response.into()
}

fn body(place: &OperationTarget, is_list: bool) -> String {
    match place.form {
        TargetForm::Bulk => "BulkResponse".to_owned(),
        _ if is_list => format!("{}List", place.kind),
        _ => place.kind.to_owned(),
    }
}

pub(super) fn described(status: u16) -> Map<String, Value> {
    Map::from_iter([("description".to_owned(), json!(meaning(status)))])
}

fn content(schema: &str) -> Value {
    json!({SCIM_JSON: {"schema": reference(schema)}})
}

fn header(description: &str) -> Value {
    json!({"description": description, "required": true, "schema": {"type": "string"}})
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "Done",
        201 => "Created",
        204 => "Done; the answer has no body",
        304 => "The client knows the current version",
        308 => "The same address without the slash at its end (behind API Gateway)",
        400 => "The request is wrong; `detail` names the place and the reason, `scimType` the kind",
        401 => "The key is missing or not one of this tenant",
        403 => "The key lacks the scope, or the request filters a discovery document",
        404 => "There is no such resource",
        409 => "A unique value belongs to another resource",
        412 => "The resource is at another version",
        413 => "The body, or the resource that it would leave, is larger than Rollcall accepts",
        415 => "The body has a `Content-Encoding`",
        429 => "Too many requests at once; try again",
        500 => "The endpoint is not set up correctly",
        422 => "The `Idempotency-Key` was used for a request with another body",
        503 => "Not now; try again",
        507 => "The tenant's store is full",
        _ => "As RFC 9110 says",
    }
}

/// From what was created to the operations on it.
fn links(route: &Route) -> Map<String, Value> {
    let by_id = format!("{}/{{id}}", route.path);
    ROUTES
        .iter()
        .filter(|other| other.base == Base::Scim && other.path == by_id)
        .map(|other| {
            let link = json!({"operationId": other.name, "parameters": {"id": "$response.body#/id"}});
            (other.name.to_owned(), link)
        })
        .collect()
}
