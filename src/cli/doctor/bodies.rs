//! What Entra ID and Okta send, in their own forms: from Microsoft's use-scim-to-provision-users-and-groups.md and
//! application-provisioning-config-problem-scim-compatibility.md, and Okta's reference/scim/scim-20.

use serde_json::{Value, json};

pub(super) const CORE_USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(super) const CORE_GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A second schema that Entra ID names in groups.
const ENTRA_GROUP: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";

/// A user as Entra ID creates it: it names the extension without sending it, and sends `meta` and no roles.
pub(super) fn entra_user(name: &str) -> Value {
    json!({
        "schemas": [CORE_USER, ENTERPRISE],
        "externalId": external_id(name),
        "userName": name,
        "active": true,
        "displayName": "Rollcall Doctor",
        "emails": [{"primary": true, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Rollcall Doctor", "familyName": "Doctor", "givenName": "Rollcall"},
        "roles": [],
    })
}

/// A user as Okta creates it: with a password, also where passwords are not synchronised.
pub(super) fn okta_user(name: &str) -> Value {
    json!({
        "schemas": [CORE_USER],
        "userName": name,
        "name": {"givenName": "Rollcall", "familyName": "Doctor"},
        "emails": [{"primary": true, "value": name, "type": "work"}],
        "displayName": "Rollcall Doctor",
        "locale": "en-US",
        "externalId": external_id(name),
        "groups": [],
        "password": format!("Aa1!{}", external_id(name)),
        "active": true,
    })
}

/// A group as Entra ID creates it: empty.
pub(super) fn entra_group(name: &str) -> Value {
    json!({
        "schemas": [CORE_GROUP, ENTRA_GROUP],
        "externalId": external_id(name),
        "displayName": name,
        "meta": {"resourceType": "Group"},
    })
}

/// A group as Okta creates it where it pushes its members along.
pub(super) fn okta_group(name: &str, members: &[String]) -> Value {
    let members: Vec<_> = members.iter().map(|id| json!({"value": id, "display": "Rollcall Doctor"})).collect();
    json!({"schemas": [CORE_GROUP], "displayName": name, "members": members})
}

/// Members as Entra ID names them, with a reference that is null.
pub(super) fn entra_members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({"$ref": null, "value": id})).collect()
}

pub(super) fn patch(operations: &[Value]) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

/// What the directory knows the resource by; not its name.
pub(super) fn external_id(name: &str) -> String {
    format!("x-{}", name.split('@').next().unwrap_or_default())
}
