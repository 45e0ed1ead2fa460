//! The operations that are not SCIM: access tokens, and what operators do.

use serde_json::{Map, Value, json};

use super::{events, log, parameters, reference, responses, tenant_data};
use crate::api::{Base, Route};

/// One operation.
struct NonScimOperation {
    route: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// Media type and schema of the body.
    body: Option<(&'static str, &'static str)>,
    /// The description.
    description: &'static str,
    /// Status and schema of success; none for an answer without a body.
    success: (u16, Option<&'static str>),
    /// Further statuses.
    refusals: &'static [u16],
}

const JSON: &str = "application/json";

const PLAIN: &[NonScimOperation] = &[
    NonScimOperation {
        route: "oauth.token",
        description: "The client authenticates in the body, or by HTTP Basic with its id and secret.",
        tag: "OAuth",
        summary: "Get an access token by client credentials (RFC 6749 section 4.4) or a client assertion (RFC 7523)",
        body: Some(("application/x-www-form-urlencoded", "TokenRequest")),
        success: (200, Some("Token")),
        refusals: &[400, 401],
    },
    NonScimOperation {
        route: "oauth.metadata",
        description: "The answer is the same for every tenant name, so it does not reveal which tenants exist.",
        tag: "OAuth",
        summary: "Where a client gets access tokens (RFC 8414)",
        body: None,
        success: (200, Some("AuthorizationServer")),
        refusals: &[404],
    },
    NonScimOperation {
        route: "admin.tenants.list",
        description: "The tenants are sorted by name.",
        tag: "Admin",
        summary: "List the tenants",
        body: None,
        success: (200, Some("Tenants")),
        refusals: &[],
    },
    NonScimOperation {
        route: "admin.tenants.create",
        description: "A tenant without `profile` has the profile `default`.",
        tag: "Admin",
        summary: "Create a tenant",
        body: Some((JSON, "TenantRequest")),
        success: (201, Some("Tenant")),
        refusals: &[400, 409],
    },
    NonScimOperation {
        route: "admin.tenants.get",
        description: "The answer also lists the types of credential of the profile, and what it requires.",
        tag: "Admin",
        summary: "Show a tenant: its profile and settings",
        body: None,
        success: (200, Some("Tenant")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.tenants.patch",
        description: "The change applies to every key of the tenant.",
        tag: "Admin",
        summary: "Change a tenant's profile or settings; what the body does not name stays (RFC 7396)",
        body: Some((JSON, "TenantRequest")),
        success: (200, Some("Tenant")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.keys.list",
        description: "Keys that are expired or revoked are in the list.",
        tag: "Admin",
        summary: "List the keys of a tenant, never their secrets",
        body: None,
        success: (200, Some("Keys")),
        refusals: &[404],
    },
    NonScimOperation {
        route: "admin.keys.create",
        description: "Rollcall cannot return the secret again.",
        tag: "Admin",
        summary: "Create a key; only this answer has its secret",
        body: Some((JSON, "KeyRequest")),
        success: (201, Some("Key")),
        refusals: &[400, 404, 409],
    },
    NonScimOperation {
        route: "admin.keys.rotate",
        description: "Without a body, the old key works for one more day.",
        tag: "Admin",
        summary: "Create a key like another one; the old key keeps working for the overlap",
        body: Some((JSON, "RotateRequest")),
        success: (201, Some("Key")),
        refusals: &[400, 404, 409],
    },
    NonScimOperation {
        route: "admin.keys.revoke",
        description: "Rollcall refuses the next request with the key.",
        tag: "Admin",
        summary: "Revoke a key and its access tokens",
        body: None,
        success: (204, None),
        refusals: &[404],
    },
    NonScimOperation {
        route: "admin.automation.list",
        description: "The users are sorted by name.",
        tag: "Admin",
        summary: "List the automation users of a tenant",
        body: None,
        success: (200, Some("AutomationUsers")),
        refusals: &[404],
    },
    NonScimOperation {
        route: "admin.automation.put",
        description: "A key whose automation user was never activated does not work.",
        tag: "Admin",
        summary: "Create an automation user, or activate it and its keys",
        body: Some((JSON, "AutomationRequest")),
        success: (200, Some("AutomationUser")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.hold.get",
        description: "A window begins with the first user or member who loses access, and ends by itself.",
        tag: "Admin",
        summary: "Show what the protection of a tenant has counted in the windows that are open",
        body: None,
        success: (200, Some("Hold")),
        refusals: &[404],
    },
    NonScimOperation {
        route: "admin.hold.decide",
        description: "A decision lasts until its window ends.",
        tag: "Admin",
        summary: "Approve or reject what is held, or let a number more through",
        body: Some((JSON, "HoldRequest")),
        success: (200, Some("Hold")),
        refusals: &[400, 404, 409],
    },
    NonScimOperation {
        route: "admin.restore",
        description: "One request restores a part. Send `nextCursor` as `cursor` to continue. Rollcall skips what it has restored already.",
        tag: "Log",
        summary: "Undo what a key did, what the protection counted, or what happened to some users; or plan it",
        body: Some((JSON, "RestoreRequest")),
        success: (200, Some("RestoreReport")),
        refusals: &[400, 404, 409],
    },
    NonScimOperation {
        route: "admin.users.list",
        description: "The parameters and the answer are those of `GET /Users`.",
        tag: "Admin",
        summary: "List or find the users of a tenant",
        body: None,
        success: (200, Some("UserList")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.users.get",
        description: "The state is that of now, with the events since then undone.",
        tag: "Log",
        summary: "Show a user as it was at a time, with the groups that it was in",
        body: None,
        success: (200, Some("StateAtTime")),
        refusals: &[400, 404, 410],
    },
    NonScimOperation {
        route: "admin.users.history",
        description: "The header `Link` names the next page.",
        tag: "Log",
        summary: "Read what happened to a user, newest first",
        body: None,
        success: (200, Some("LogPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.groups.list",
        description: "The parameters and the answer are those of `GET /Groups`.",
        tag: "Admin",
        summary: "List or find the groups of a tenant",
        body: None,
        success: (200, Some("GroupList")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.groups.members",
        description: "The answer is that of `GET /GroupMembers`. Send `nextCursor` as `cursor` for the next page.",
        tag: "Admin",
        summary: "List the members of a group of any size",
        body: None,
        success: (200, Some("GroupMemberList")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.groups.get",
        description: "The state is that of now, with the events since then undone.",
        tag: "Log",
        summary: "Show a group as it was at a time, with its members",
        body: None,
        success: (200, Some("StateAtTime")),
        refusals: &[400, 404, 410],
    },
    NonScimOperation {
        route: "admin.groups.history",
        description: "The header `Link` names the next page.",
        tag: "Log",
        summary: "Read what happened to a group and its members, newest first",
        body: None,
        success: (200, Some("LogPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.links.create",
        description: "The link works once. Its secret stands after the sign `#`, which browsers send to no server.",
        tag: "Admin",
        summary: "Create a link that signs an administrator in to the page of a tenant",
        body: Some((JSON, "LinkRequest")),
        success: (201, Some("Link")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.links.revoke",
        description: "A session that the link has begun continues until its own end.",
        tag: "Admin",
        summary: "Revoke a link that nobody has used",
        body: None,
        success: (204, None),
        refusals: &[404],
    },
    NonScimOperation {
        route: "events.list",
        description: "Each page has a cursor, also the last one: later events follow it.",
        tag: "Events",
        summary: "Read what has happened to the tenant's users and groups, in order",
        body: None,
        success: (200, Some("EventPage")),
        refusals: &[400, 410],
    },
    NonScimOperation {
        route: "admin.events.list",
        description: "Each page has a cursor, also the last one: later events follow it.",
        tag: "Events",
        summary: "Read what has happened to a tenant's users and groups, in order",
        body: None,
        success: (200, Some("EventPage")),
        refusals: &[400, 404, 410],
    },
    NonScimOperation {
        route: "admin.log.list",
        description: "The header `Link` names the next page. With `Accept`, the answer is JSON lines or CSV.",
        tag: "Log",
        summary: "Read what happened at a tenant, what was refused and what operators did, newest first",
        body: None,
        success: (200, Some("LogPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.log.chain",
        description: "Each row names the hash of the row before it.",
        tag: "Log",
        summary: "Read the hash chain of a lane of the log, oldest row first",
        body: None,
        success: (200, Some("ChainPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.count.post",
        description: "The answer has the difference between the stored number and the users.",
        tag: "Admin",
        summary: "Count the users of a tenant, and correct the stored number",
        body: None,
        success: (200, Some("CountReport")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.verify.get",
        description: "Repeat the request with `nextCursor` until an answer has none.",
        tag: "Admin",
        summary: "Examine the next part of the data of a tenant",
        body: None,
        success: (200, Some("VerifyPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.verify.repair",
        description: "Repeat the request with `nextCursor` until an answer has none.",
        tag: "Admin",
        summary: "Examine the next part of the data of a tenant, and mend it",
        body: None,
        success: (200, Some("VerifyPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.tenants.delete",
        description: "Rollcall refuses the keys at once. After the waiting time, the worker deletes the data.",
        tag: "Admin",
        summary: "Delete a tenant after a time",
        body: None,
        success: (200, Some("Tenant")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.tenants.reopen",
        description: "The keys work again. After the waiting time, the answer is 404.",
        tag: "Admin",
        summary: "Cancel the deletion of a tenant",
        body: None,
        success: (200, Some("Tenant")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.tenants.upgrade",
        description: "Send the request once every function runs the same release.",
        tag: "Admin",
        summary: "Write the data of a tenant in the newest format",
        body: None,
        success: (200, Some("TenantFormat")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.export.get",
        description: "Repeat the request with `nextCursor` until an answer has none.",
        tag: "Admin",
        summary: "Export the next part of the data of a tenant",
        body: None,
        success: (200, Some("ExportPage")),
        refusals: &[400, 404],
    },
    NonScimOperation {
        route: "admin.import.post",
        description: "Rollcall leaves records that exist already, so you may repeat a request.",
        tag: "Admin",
        summary: "Import records of an export",
        body: Some((JSON, "ImportRequest")),
        success: (200, Some("ImportReport")),
        refusals: &[400, 404],
    },
];

fn plain(route: &Route) -> Option<&'static NonScimOperation> {
    PLAIN.iter().find(|plain| plain.route == route.name)
}

/// Every status that such a route may answer besides those of all.
pub(super) fn statuses(route: &Route) -> Vec<u16> {
    plain(route)
        .map_or_else(Vec::new, |plain| std::iter::once(plain.success.0).chain(plain.refusals.iter().copied()).collect())
}

/// The address below the host.
pub(super) fn path(route: &Route) -> String {
    let base = route.base.patterns().first().copied().unwrap_or_default();
    format!("{base}{}", route.path.trim_end_matches('/'))
}

/// What all operations of a path share: where it is, and the parts of it.
pub(super) fn of_path(path: &str) -> Value {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}});
    json!({
        "servers": [{
            "url": "https://{host}",
            "description": "The endpoint",
            "variables": {"host": {"default": "scim.example.com"}},
        }],
        "parameters": parts.map(parameter).collect::<Vec<_>>(),
    })
}

/// The operation of a row.
pub(super) fn operation(route: &Route) -> Value {
    let Some(plain) = plain(route) else { return Value::Null };
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), json!(route.name)),
        ("tags".to_owned(), json!([plain.tag])),
        ("summary".to_owned(), json!(plain.summary)),
    ]);
    let (description, security) = match route.base {
        Base::Admin => (
            format!("{} The key is one of the operators', with the scope `admin`.", plain.description),
            admin_security(),
        ),
        Base::Events => (format!("{} The key needs the scope `events`.", plain.description), admin_security()),
        _ => (plain.description.to_owned(), json!([])),
    };
    operation.insert("description".to_owned(), json!(description));
    operation.insert("security".to_owned(), security);
    let parameters = match route.name {
        "admin.log.list" => log::parameters(),
        "admin.log.chain" => log::chain_parameters(),
        "admin.users.history" | "admin.groups.history" => log::history_parameters(),
        "admin.users.get" | "admin.groups.get" => log::state_parameters(),
        "admin.verify.get" | "admin.verify.repair" | "admin.export.get" => tenant_data::cursor_parameter(),
        "admin.users.list" => parameters::of_operators("/Users"),
        "admin.groups.list" => parameters::of_operators("/Groups"),
        "admin.groups.members" => parameters::of_operators("/GroupMembers"),
        "admin.tenants.delete" => tenant_data::after_parameter(),
        "admin.tenants.get" => tenant_data::load_parameter(),
        _ if plain.tag == "Events" => events::parameters(),
        _ => Value::Null,
    };
    if !parameters.is_null() {
        operation.insert("parameters".to_owned(), parameters);
    }
    if let Some((media_type, schema)) = plain.body {
        let is_required = !matches!(route.name, "admin.keys.rotate" | "admin.links.create");
        let body = json!({"required": is_required, "content": {media_type: {"schema": reference(schema)}}});
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), answers(route, plain).into());
    operation.into()
}

/// What opens the admin API. Access tokens never have its scope.
fn admin_security() -> Value {
    json!([{"bearer": []}, {"basic": []}])
}

fn answers(route: &Route, plain: &NonScimOperation) -> Map<String, Value> {
    let (success, schema) = plain.success;
    let answer = |status: u16| match status {
        _ if status == success => {
            let mut answer = responses::described(status);
            answer.extend(schema.map(|schema| ("content".to_owned(), content(route, schema))));
            answer.into()
        }
        400 | 401 if route.base == Base::OAuth => {
            let mut answer = responses::described(status);
            answer.insert("content".to_owned(), json!({JSON: {"schema": reference("TokenError")}}));
            answer.into()
        }
        _ => json!({"$ref": format!("#/components/responses/{status}")}),
    };
    responses::statuses(route).into_iter().map(|status| (status.to_string(), answer(status))).collect()
}

/// The body of success, in each form in which it is answered.
fn content(route: &Route, schema: &str) -> Value {
    let mut content = json!({JSON: {"schema": reference(schema)}});
    if let (true, Some(content)) = (route.name == "admin.log.list", content.as_object_mut()) {
        content.extend(log::other_forms());
    }
    content
}

/// The schemas of their bodies, by name.
///
/// # Errors
/// When the file is no JSON object; the test that compares `openapi.json` reads it.
pub(super) fn schemas() -> Result<Map<String, Value>, String> {
    let mut schemas = serde_json::from_str(include_str!("non_scim.json")).map_err(|e| e.to_string())?;
    events::complete(&mut schemas);
    Ok(schemas)
}
