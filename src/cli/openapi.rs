//! The OpenAPI description of the endpoint, `openapi.json`: generated from the route table and the published schemas.

use serde_json::{Map, Value, json};

use crate::api::{Base, ROUTES, Route};
use crate::scim::Schemas;

mod components;
mod events;
mod log;
mod non_scim;
mod operation_target;
mod parameters;
mod responses;
mod tenant_data;

use operation_target::{OperationTarget, TargetForm};

pub use responses::statuses;

/// The media type of SCIM (RFC 7644 section 8.1).
const SCIM_JSON: &str = "application/scim+json";

/// The description as text, as the file holds it.
///
/// # Errors
/// When a shipped schema is not what the engine reads; a test reads them all.
pub fn description() -> Result<String, String> {
    let schemas = Schemas::standard().map_err(|e| e.to_string())?;
    let paths = paths();
    let components = components::used(&schemas, &paths, &responses::errors())?;
    let description = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rollcall",
            "summary": "SCIM 2.0 (RFC 7643, RFC 7644) for each tenant",
            "description": INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
            "contact": {"name": "The operator of the endpoint", "url": "https://scim.example.com"},
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "servers": [{
            "url": "https://{host}/{tenant}/scim/v2",
            "description": "The Tenant URL",
            "variables": {
                "host": {"default": "scim.example.com", "description": "Where the endpoint is deployed"},
                "tenant": {"default": "demo", "description": "The tenant that the key is of"},
            },
        }],
        "security": security(&[]),
        "paths": paths,
        "webhooks": events::webhooks(),
        "components": {
            "securitySchemes": security_schemes(),
            "responses": responses::errors(),
            "schemas": components,
        },
    });
    serde_json::to_string_pretty(&description).map(|text| text + "\n").map_err(|e| e.to_string())
}

const INTRODUCTION: &str = "Names of attributes and of query parameters match in any case. A body may have either media \
    type. Rollcall stores and returns unchanged what no schema declares. Besides what each operation lists, an unknown \
    address answers 404, and an unknown method 405 with `Allow`. HEAD works wherever GET does, with the same answer \
    without a body.";

/// The groups of operations.
const TAGS: [(&str, &str); 13] = [
    ("Users", "The users of the tenant"),
    ("Groups", "Its groups, with their members"),
    ("GroupMembers", "Memberships as resources (draft-zollner-scim-group-members)"),
    ("Me", "The user in whose name the key acts"),
    ("All", "Users and groups at once"),
    ("Bulk", "Several operations in one request"),
    ("ServiceProviderConfig", "What the endpoint offers"),
    ("ResourceTypes", "The types of resources"),
    ("Schemas", "The attributes of each type"),
    ("OAuth", "Access tokens for clients"),
    ("Events", "What has happened to users and groups, in order"),
    ("Log", "What happened at a tenant, what was refused and what operators did"),
    ("Admin", "Tenants, keys and automation users, for operators"),
];

/// The ways to authenticate. A tenant's profile says which ones it allows.
fn security_schemes() -> Value {
    let scopes = json!({"read": "Read and search", "write": "Create, change and delete"});
    json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key of the tenant, or an access token (RFC 6750)"},
        "basic": {"type": "http", "scheme": "basic", "description": "An automation user and its key (RFC 7617)"},
        "oauth": {
            "type": "oauth2",
            "description": "An OAuth client. The token endpoint is /{tenant}/oauth/token on the same host",
            "flows": {"clientCredentials": {"tokenUrl": "https://scim.example.com/demo/oauth/token", "scopes": scopes}},
        },
    })
}

/// Any of the ways, by OAuth with these scopes.
fn security(scopes: &[&str]) -> Value {
    json!([{"bearer": []}, {"basic": []}, {"oauth": scopes}])
}

/// The rows of the table by path, in the table's order.
fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    // The page is for people.
    for route in ROUTES.iter().filter(|route| route.base != Base::Pages) {
        let is_scim = route.base == Base::Scim;
        let path = path(route);
        let shared = if is_scim { parameters::of_path(&path) } else { non_scim::of_path(&path) };
        if let Value::Object(item) = paths.entry(path).or_insert(shared) {
            let operation = if is_scim { operation(route) } else { non_scim::operation(route) };
            item.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    paths
}

/// Where a route is: below the Tenant URL, or if it is no SCIM, below the host.
pub fn path(route: &Route) -> String {
    if route.base == Base::Scim { route.path.to_owned() } else { non_scim::path(route) }
}

fn operation(route: &Route) -> Value {
    let place = OperationTarget::of(route.path);
    let mut operation = json!({
        "operationId": route.name,
        "tags": [place.tag],
        "summary": summary(route, &place),
        "description": format!("The key needs the scope `{}`.", route.scope.as_str()),
        "security": security(&[route.scope.as_str()]),
    });
    if let Value::Object(operation) = &mut operation {
        let parameters = parameters::of(route, &place);
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
        operation.extend(body(route, &place).map(|body| ("requestBody".to_owned(), body)));
        operation.insert("responses".into(), responses::of(route, &place).into());
    }
    operation
}

fn summary(route: &Route, place: &OperationTarget) -> String {
    let kind = place.kind;
    match (place.form, route.method.as_str()) {
        (TargetForm::Bulk, _) => "Carry out several operations (RFC 7644 section 3.7)".to_owned(),
        (TargetForm::Search, _) => format!("Find each {kind} that a filter holds for (RFC 7644 section 3.4.3)"),
        (TargetForm::Many, "POST") => format!("Create a {kind} (RFC 7644 section 3.3)"),
        (TargetForm::Many, _) if place.is_discovery => format!("Read each {kind} (RFC 7644 section 4)"),
        (TargetForm::Many, _) => format!("List or filter each {kind} (RFC 7644 section 3.4.2)"),
        (TargetForm::One, "PUT") => format!("Replace a {kind} (RFC 7644 section 3.5.1)"),
        (TargetForm::One, "PATCH") => format!("Change a {kind} (RFC 7644 section 3.5.2)"),
        (TargetForm::One, "DELETE") => format!("Delete a {kind} (RFC 7644 section 3.6)"),
        (TargetForm::One, _) if place.is_discovery => format!("Read a {kind} (RFC 7644 section 4)"),
        (TargetForm::One, _) => format!("Read a {kind} (RFC 7644 section 3.4.1)"),
    }
}

fn body(route: &Route, place: &OperationTarget) -> Option<Value> {
    let schema = match (place.form, route.method.as_str()) {
        (TargetForm::Bulk, "POST") => "BulkRequest".to_owned(),
        (TargetForm::Search, "POST") => "SearchRequest".to_owned(),
        (TargetForm::One, "PATCH") => "PatchOp".to_owned(),
        (_, "POST" | "PUT") => format!("{}Request", place.kind),
        _ => return None,
    };
    let content = json!({"schema": reference(&schema)});
    // Okta's test sends the general type; the endpoint looks at neither.
    Some(json!({"required": true, "content": {SCIM_JSON: content, "application/json": content}}))
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
