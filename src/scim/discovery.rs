//! ServiceProviderConfig, ResourceTypes and Schemas (RFC 7643 sections 5 to 7, RFC 7644 section 4).

use serde_json::{Map, Value, json};

use super::schema::{ResourceSchema, Schema, Schemas};
use crate::limits::{CURSOR_SECONDS, DEFAULT_PAGE, MAX_BODY_BYTES, MAX_BULK_OPERATIONS, MAX_PAGE};

const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What this endpoint can do, for clients that may authenticate by those schemes.
pub fn service_provider_config(authentication_schemes: &[Value], base_url: &str) -> Map<String, Value> {
    object(json!({
        "schemas": [CONFIG_URN],
        "patch": {"supported": true},
        "bulk": {"supported": true, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BODY_BYTES},
        "filter": {"supported": true, "maxResults": MAX_PAGE},
        "changePassword": {"supported": false},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_PAGE,
            "maxPageSize": MAX_PAGE,
            "cursorTimeout": CURSOR_SECONDS,
        },
        "authenticationSchemes": authentication_schemes,
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base_url}/ServiceProviderConfig")},
    }))
}

/// The resource types that are found by name alone.
pub fn unlisted_resource_types(schemas: &Schemas, base_url: &str) -> Vec<Map<String, Value>> {
    schemas.unlisted_types().map(|schema| resource_type(schema, base_url)).collect()
}

/// Their schemas.
pub fn unlisted_schemas(schemas: &Schemas, base_url: &str) -> Vec<Map<String, Value>> {
    schemas.unlisted_types().map(|schema| published(&schema.core, base_url)).collect()
}

/// Every resource type that is listed.
pub fn resource_types(schemas: &Schemas, base_url: &str) -> Vec<Map<String, Value>> {
    schemas.resource_types().map(|schema| resource_type(schema, base_url)).collect()
}

fn resource_type(schema: &ResourceSchema, base_url: &str) -> Map<String, Value> {
    let extensions = schema.published_extensions();
    let extensions: Vec<_> =
        extensions.map(|extension| json!({"schema": extension.id, "required": extension.is_required})).collect();
    object(json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": schema.name,
        "name": schema.name,
        "endpoint": schema.endpoint,
        "description": format!("{}s of the tenant", schema.name),
        "schema": schema.core.id,
        "schemaExtensions": extensions,
        "meta": {"resourceType": "ResourceType", "location": format!("{base_url}/ResourceTypes/{}", schema.name)},
    }))
}

/// Every schema that is listed.
pub fn schemas(schemas: &Schemas, base_url: &str) -> Vec<Map<String, Value>> {
    schemas.all().map(|schema| published(schema, base_url)).collect()
}

fn published(schema: &Schema, base_url: &str) -> Map<String, Value> {
    let mut document = Map::from_iter([("schemas".to_owned(), json!([SCHEMA_URN]))]);
    document.extend(object(schema.published().into_owned()));
    document.insert(
        "meta".into(),
        json!({"resourceType": "Schema", "location": format!("{base_url}/Schemas/{}", schema.id)}),
    );
    document
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
