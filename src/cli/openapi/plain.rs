//! The operations that are no SCIM: access tokens, and what operators do.

use serde_json::{Map, Value, json};

use super::{reference, responses};
use crate::api::Base;
use crate::api::Route;

/// What a body or an answer is made of: a name in `components`, and its schema.
pub(super) type Named = (&'static str, Value);

/// One operation.
struct Plain {
    route: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// Media type and schema of the body.
    body: Option<(&'static str, &'static str)>,
    /// Status and schema of success; none for an answer without a body.
    success: (u16, Option<&'static str>),
    /// Further statuses.
    refusals: &'static [u16],
}

const JSON: &str = "application/json";

const PLAIN: &[Plain] = &[
    Plain {
        route: "oauth.token",
        tag: "OAuth",
        summary: "Get an access token by client credentials (RFC 6749 section 4.4) or a client assertion (RFC 7523)",
        body: Some(("application/x-www-form-urlencoded", "TokenRequest")),
        success: (200, Some("Token")),
        refusals: &[400, 401],
    },
    Plain {
        route: "oauth.metadata",
        tag: "OAuth",
        summary: "Where access tokens are had (RFC 8414)",
        body: None,
        success: (200, Some("AuthorizationServer")),
        refusals: &[],
    },
    Plain {
        route: "admin.tenants.list",
        tag: "Admin",
        summary: "List the tenants",
        body: None,
        success: (200, Some("Tenants")),
        refusals: &[],
    },
    Plain {
        route: "admin.tenants.create",
        tag: "Admin",
        summary: "Make a tenant",
        body: Some((JSON, "TenantRequest")),
        success: (201, Some("Tenant")),
        refusals: &[400, 409],
    },
    Plain {
        route: "admin.tenants.get",
        tag: "Admin",
        summary: "Show a tenant: its profile and settings",
        body: None,
        success: (200, Some("Tenant")),
        refusals: &[404],
    },
    Plain {
        route: "admin.tenants.patch",
        tag: "Admin",
        summary: "Change a tenant's profile or settings; what is not named stays (RFC 7396)",
        body: Some((JSON, "TenantRequest")),
        success: (200, Some("Tenant")),
        refusals: &[400, 404],
    },
    Plain {
        route: "admin.keys.list",
        tag: "Admin",
        summary: "List the keys of a tenant, never their secrets",
        body: None,
        success: (200, Some("Keys")),
        refusals: &[404],
    },
    Plain {
        route: "admin.keys.create",
        tag: "Admin",
        summary: "Make a key; its secret is in this answer alone",
        body: Some((JSON, "KeyRequest")),
        success: (201, Some("Key")),
        refusals: &[400, 404, 409],
    },
    Plain {
        route: "admin.keys.rotate",
        tag: "Admin",
        summary: "Make a key like another, which works on for a while",
        body: Some((JSON, "RotateRequest")),
        success: (201, Some("Key")),
        refusals: &[400, 404, 409],
    },
    Plain {
        route: "admin.keys.revoke",
        tag: "Admin",
        summary: "Revoke a key, and the access tokens that were given for it",
        body: None,
        success: (204, None),
        refusals: &[404],
    },
    Plain {
        route: "admin.automation.list",
        tag: "Admin",
        summary: "List the automation users of a tenant",
        body: None,
        success: (200, Some("AutomationUsers")),
        refusals: &[404],
    },
    Plain {
        route: "admin.automation.put",
        tag: "Admin",
        summary: "Make an automation user, or activate it, and with it its keys",
        body: Some((JSON, "AutomationRequest")),
        success: (200, Some("AutomationUser")),
        refusals: &[400, 404],
    },
];

fn plain(route: &Route) -> Option<&'static Plain> {
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
    match route.base {
        Base::Admin => operation
            .insert("description".to_owned(), json!("The key is one of the operators', with the scope `admin`.")),
        _ => operation.insert("security".to_owned(), json!([])),
    };
    if let Some((media_type, schema)) = plain.body {
        let body = json!({"required": true, "content": {media_type: {"schema": reference(schema)}}});
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), answers(route, plain).into());
    operation.into()
}

fn answers(route: &Route, plain: &Plain) -> Map<String, Value> {
    let (success, schema) = plain.success;
    let answer = |status: u16| match status {
        _ if status == success => {
            let mut answer = responses::described(status);
            answer.extend(schema.map(|schema| ("content".to_owned(), json!({JSON: {"schema": reference(schema)}}))));
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

/// The schemas of their bodies.
pub(super) fn schemas() -> Vec<Named> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let list = |name: &str, of: &str| {
        let items = json!({"type": "array", "items": reference(of)});
        json!({"type": "object", "required": [name], "properties": {name: items}})
    };
    let settings = json!({"type": "object", "properties": {
        "inviteAutomatically": {"type": "boolean"},
        "onDeactivation": {"type": "string", "enum": ["disable", "suspend"]},
    }});
    vec![
        ("Tenants", list("tenants", "Tenant")),
        ("Keys", list("keys", "Key")),
        ("AutomationUsers", list("automationUsers", "AutomationUser")),
        (
            "TenantRequest",
            json!({"type": "object", "additionalProperties": false, "properties": {
                "name": text("Lower-case letters, digits and hyphens; needed for a new one"),
                "profile": {
                    "description": "The name of a profile that ships, or a profile of one's own",
                    "type": ["string", "object"],
                },
                "settings": settings,
            }}),
        ),
        (
            "Tenant",
            json!({"type": "object", "required": ["name", "created", "profile", "path", "settings"], "properties": {
                "name": text("The name"),
                "created": text("When it was made"),
                "profile": text("Its profile"),
                "path": text("The path of its base URL"),
                "credentials": {"type": "array", "items": {"type": "string"}},
                "required": {"type": "array", "items": {"type": "string"}},
                "settings": settings,
            }}),
        ),
        (
            "KeyRequest",
            json!({"type": "object", "required": ["description"], "additionalProperties": false, "properties": {
                "description": text("What the key is for"),
                "automation": text("The automation user in whose name it acts"),
                "form": {"type": "string", "enum": ["bearer", "jwt", "basic", "client", "federation"]},
                "scopes": {"type": "array", "items": {"type": "string", "enum": ["read", "write", "admin"]}},
                "notBefore": text("When it begins to work (RFC 3339)"),
                "expires": text("When it stops working (RFC 3339)"),
                "issuer": text("For the form federation: `iss` of the JWTs that are taken"),
                "audience": text("One of their `aud`"),
                "subject": text("Their `sub`, if only one workload is trusted"),
                "jwksUri": text("Where the issuer publishes its keys"),
                "algorithm": {"type": "string", "enum": ["RS256", "PS256", "ES256", "EdDSA"]},
            }}),
        ),
        (
            "Key",
            json!({"type": "object", "required": ["id", "tenant", "form", "state", "description", "scopes", "created"],
                "additionalProperties": true,
                "properties": {
                    "id": text("The id"),
                    "state": text("live, expiring, waiting, pending, expired or revoked"),
                    "used": text("When it was last used, within a quarter of an hour"),
                    "secret": text("What its holder shows; in the answer that makes it, and never again"),
                    "warning": text("What an operator should do"),
                },
            }),
        ),
        (
            "RotateRequest",
            json!({"type": "object", "additionalProperties": false, "properties": {
                "overlapSeconds": {"type": "integer", "description": "How long the old key works on"},
                "expires": text("When the new key stops working (RFC 3339)"),
            }}),
        ),
        (
            "AutomationRequest",
            json!({"type": "object", "required": ["active"], "additionalProperties": false,
                "properties": {"active": {"type": "boolean", "description": "What is activated stays so"}}}),
        ),
        (
            "AutomationUser",
            json!({"type": "object", "required": ["name", "created", "active"], "properties": {
                "name": text("The name"),
                "created": text("When it was made"),
                "active": {"type": "boolean"},
                "activated": text("When it was activated"),
            }}),
        ),
        (
            "TokenRequest",
            json!({
                "type": "object",
                "required": ["grant_type"],
                "properties": {
                    "grant_type": {"type": "string", "enum": ["client_credentials"]},
                    "client_id": text("The id of a key of the form client; or both in the Authorization header (Basic)"),
                    "client_secret": text("Its secret"),
                    "client_assertion_type": text("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    "client_assertion": text("A JWT of the identity provider, instead of a secret"),
                    "scope": text("read, write; without it all that the client may have"),
                },
            }),
        ),
        (
            "Token",
            json!({
                "type": "object",
                "required": ["access_token", "token_type", "expires_in", "scope"],
                "properties": {
                    "access_token": text("A bearer token"),
                    "token_type": {"type": "string", "enum": ["Bearer"]},
                    "expires_in": {"type": "integer", "description": "Seconds"},
                    "scope": text("What it may do"),
                },
            }),
        ),
        (
            "TokenError",
            json!({
                "type": "object",
                "required": ["error", "error_description"],
                "properties": {"error": text("RFC 6749 section 5.2"), "error_description": text("What is wrong")},
            }),
        ),
        (
            "AuthorizationServer",
            json!({
                "type": "object",
                "required": ["issuer", "token_endpoint"],
                "properties": {"issuer": text("The tenant"), "token_endpoint": text("Where tokens are had")},
                "additionalProperties": true,
            }),
        ),
    ]
}
