//! The schemas of bodies: those of resources from the attributes that `/Schemas` publishes, and SCIM's messages.

use serde_json::{Map, Value, json};

use super::{non_scim, reference};
use crate::scim::schema::Schema;
use crate::scim::{ERROR_URN, LIST_URN, ResourceSchema, Schemas};

/// Which way a body goes: what must be in it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Response,
}

/// The schemas that paths, common responses or other schemas refer to.
pub(super) fn used(
    schemas: &Schemas,
    paths: &Map<String, Value>,
    responses: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut used = all(schemas)?;
    loop {
        let (count, text) = (used.len(), json!([paths, responses, used]).to_string());
        used.retain(|name, _| text.contains(&format!("\"#/components/schemas/{name}\"")));
        // What only an unused one referred to goes next.
        if used.len() == count {
            return Ok(used);
        }
    }
}

fn all(schemas: &Schemas) -> Result<Map<String, Value>, String> {
    let mut all = Map::new();
    for schema in [&schemas.user, &schemas.group, &schemas.group_member] {
        all.insert(schema.name.to_owned(), resource(schema, Way::Response));
        all.insert(format!("{}Request", schema.name), resource(schema, Way::Request));
        all.insert(format!("{}List", schema.name), list(schema.name));
    }
    all.extend(messages().into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    all.extend(non_scim::schemas()?);
    for name in ["ResourceType", "Schema", "Resource"] {
        all.insert(name.to_owned(), any_resource());
        all.insert(format!("{name}List"), list(name));
    }
    Ok(all)
}

/// A resource. In an answer only what is always returned must be there, since a client may leave the rest out.
fn resource(schema: &ResourceSchema, way: Way) -> Value {
    let mut properties = Map::from_iter([("schemas".to_owned(), urns(&schema.core.id))]);
    if way == Way::Response {
        properties.insert("id".into(), text("The id, given by the endpoint; it never changes"));
        properties.insert("meta".into(), meta());
    }
    if schema.name != "GroupMember" {
        properties.insert("externalId".into(), text("The client's own name of the resource"));
    }
    let core = schema.core.published();
    properties.extend(attributes(&core, "attributes", way));
    for extension in &schema.extensions {
        let attributes = attributes(&extension.published(), "attributes", way);
        if !attributes.is_empty() {
            properties.insert(extension.id.clone(), extended(extension, attributes));
        }
    }
    let required = match way {
        Way::Request => required(&core, "attributes"),
        Way::Response => vec!["schemas", "id"],
    };
    object(properties, &required)
}

fn extended(extension: &Schema, attributes: Map<String, Value>) -> Value {
    let mut schema = object(attributes, &[]);
    describe(&mut schema, &extension.published());
    schema
}

/// Attributes of a schema, or sub-attributes of an attribute. In a request there are none that only the endpoint writes:
/// they are taken, and ignored (RFC 7644 section 3.5.1).
fn attributes(of: &Value, list: &str, way: Way) -> Map<String, Value> {
    let is_there = |attribute: &&Value| {
        let hidden = if way == Way::Request { ("mutability", "readOnly") } else { ("returned", "never") };
        field(attribute, hidden.0) != hidden.1
    };
    let attributes = of.get(list).and_then(Value::as_array).into_iter().flatten();
    attributes
        .filter(is_there)
        .map(|attribute| (field(attribute, "name").to_owned(), attribute_schema(attribute, way)))
        .collect()
}

fn attribute_schema(attribute: &Value, way: Way) -> Value {
    let mut schema = value_schema(attribute, way);
    if attribute.get("multiValued") == Some(&Value::Bool(true)) {
        schema = json!({"type": "array", "items": schema});
    }
    describe(&mut schema, attribute);
    schema
}

/// RFC 7643 section 2.3.
fn value_schema(attribute: &Value, way: Way) -> Value {
    let mut schema = match field(attribute, "type") {
        "boolean" => json!({"type": "boolean"}),
        "integer" => json!({"type": "integer"}),
        "decimal" => json!({"type": "number"}),
        "complex" => {
            let required = if way == Way::Request { required(attribute, "subAttributes") } else { Vec::new() };
            object(attributes(attribute, "subAttributes", way), &required)
        }
        // What is required is not an empty text.
        _ if way == Way::Request && is_required(attribute) => json!({"type": "string", "minLength": 1}),
        // Times and addresses are not held to more than being text.
        _ => json!({"type": "string"}),
    };
    // Canonical values are suggestions (RFC 7643 section 7), so no `enum`.
    if let (Value::Object(schema), Some(values)) = (&mut schema, attribute.get("canonicalValues")) {
        schema.insert("examples".into(), values.clone());
    }
    schema
}

fn required<'a>(of: &'a Value, list: &str) -> Vec<&'a str> {
    let attributes = of.get(list).and_then(Value::as_array).into_iter().flatten();
    attributes.filter(|attribute| is_required(attribute)).map(|attribute| field(attribute, "name")).collect()
}

fn is_required(attribute: &Value) -> bool {
    attribute.get("required") == Some(&Value::Bool(true))
}

/// Discovery's documents, and resources of whatever type.
fn any_resource() -> Value {
    let properties =
        Map::from_iter([("schemas".into(), urns("")), ("id".into(), text("The id")), ("meta".into(), meta())]);
    object(properties, &["schemas", "id"])
}

/// `totalResults` is not always known to a page that a cursor leads to (RFC 9865 section 2).
fn list(of: &str) -> Value {
    let number = || json!({"type": "integer", "minimum": 0});
    let properties = Map::from_iter([
        ("schemas".into(), urns(LIST_URN)),
        ("totalResults".into(), number()),
        ("startIndex".into(), number()),
        ("itemsPerPage".into(), number()),
        ("nextCursor".into(), text("Where the next page begins (RFC 9865)")),
        ("previousCursor".into(), text("Where the page before is (RFC 9865)")),
        ("Resources".into(), json!({"type": "array", "items": reference(of)})),
    ]);
    object(properties, &["schemas", "itemsPerPage", "Resources"])
}

/// Bodies that are no resources (RFC 7644), and the one resource that has no id.
fn messages() -> [(&'static str, Value); 6] {
    [
        ("ServiceProviderConfig", service_provider_config()),
        ("Error", error()),
        ("PatchOp", patch_op()),
        ("SearchRequest", search_request()),
        ("BulkRequest", bulk_request()),
        ("BulkResponse", bulk_response()),
    ]
}

fn service_provider_config() -> Value {
    let option = json!({"type": "object", "required": ["supported"], "properties": {"supported": {"type": "boolean"}}});
    let options = ["patch", "bulk", "filter", "changePassword", "sort", "etag"];
    let mut properties = Map::from_iter([("schemas".to_owned(), urns(""))]);
    properties.extend(options.map(|name| (name.to_owned(), option.clone())));
    properties.insert("authenticationSchemes".into(), json!({"type": "array", "items": {"type": "object"}}));
    properties.insert("meta".into(), meta());
    object(
        properties,
        &["schemas", "patch", "bulk", "filter", "changePassword", "sort", "etag", "authenticationSchemes"],
    )
}

/// RFC 7644 section 3.12.
fn error() -> Value {
    let properties = Map::from_iter([
        ("schemas".into(), urns(ERROR_URN)),
        ("status".into(), json!({"type": "string", "pattern": "^[0-9]{3}$"})),
        ("scimType".into(), text("The kind of error, where the RFC has a word for it")),
        ("detail".into(), text("What is wrong and what to change")),
    ]);
    object(properties, &["schemas", "status", "detail"])
}

/// RFC 7644 section 3.5.2. No `enum` of each case: Entra ID writes `Add`, and generators make one name of `add` and `Add`.
fn patch_op() -> Value {
    let operation = json!({
        "type": "object",
        "required": ["op"],
        "properties": {
            "op": {
                "type": "string",
                "description": "`add`, `remove` or `replace`, in any case",
                "pattern": "^([Aa][Dd][Dd]|[Rr][Ee][Mm][Oo][Vv][Ee]|[Rr][Ee][Pp][Ll][Aa][Cc][Ee])$",
                "examples": ["add", "remove", "replace"],
            },
            "path": {"type": "string", "format": "scim-path"},
            "value": {},
        },
    });
    let properties = Map::from_iter([
        ("schemas".into(), urns("urn:ietf:params:scim:api:messages:2.0:PatchOp")),
        ("Operations".into(), json!({"type": "array", "items": operation})),
    ]);
    object(properties, &["Operations"])
}

/// RFC 7644 section 3.4.3.
fn search_request() -> Value {
    let names = || json!({"type": "array", "items": {"type": "string"}});
    let properties = Map::from_iter([
        ("schemas".into(), urns("urn:ietf:params:scim:api:messages:2.0:SearchRequest")),
        ("filter".into(), json!({"type": "string", "format": "scim-filter"})),
        ("attributes".into(), names()),
        ("excludedAttributes".into(), names()),
        ("startIndex".into(), json!({"type": "integer"})),
        ("count".into(), json!({"type": "integer"})),
        ("cursor".into(), json!({"type": "string"})),
        ("sortBy".into(), json!({"type": "string"})),
        ("sortOrder".into(), json!({"type": "string"})),
    ]);
    object(properties, &[])
}

/// RFC 7644 section 3.7.
fn bulk_request() -> Value {
    let operation = json!({
        "type": "object",
        "required": ["method", "path"],
        "properties": {
            "method": {"type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE"]},
            "path": {"type": "string"},
            "bulkId": {"type": "string"},
            "version": {"type": "string"},
            "data": {"type": "object"},
        },
    });
    let properties = Map::from_iter([
        ("schemas".into(), urns("urn:ietf:params:scim:api:messages:2.0:BulkRequest")),
        ("failOnErrors".into(), json!({"type": "integer"})),
        ("Operations".into(), json!({"type": "array", "items": operation})),
    ]);
    object(properties, &["Operations"])
}

/// RFC 7644 section 3.7.
fn bulk_response() -> Value {
    let operation = json!({
        "type": "object",
        "required": ["method", "status"],
        "properties": {
            "method": {"type": "string"},
            "bulkId": {"type": "string"},
            "version": {"type": "string"},
            "location": {"type": "string"},
            "status": {"type": "string"},
            "response": {"type": "object"},
        },
    });
    let properties = Map::from_iter([
        ("schemas".into(), urns("urn:ietf:params:scim:api:messages:2.0:BulkResponse")),
        ("Operations".into(), json!({"type": "array", "items": operation})),
    ]);
    object(properties, &["schemas", "Operations"])
}

/// `schemas` of a body (RFC 7643 section 3).
fn urns(example: &str) -> Value {
    let mut schema = json!({"type": "array", "items": {"type": "string"}});
    if let (Value::Object(schema), false) = (&mut schema, example.is_empty()) {
        schema.insert("examples".into(), json!([[example]]));
    }
    schema
}

/// RFC 7643 section 3.1.
fn meta() -> Value {
    let names = ["resourceType", "created", "lastModified", "location", "version"];
    object(names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect(), &[])
}

fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": true});
    if let (Value::Object(schema), false) = (&mut schema, required.is_empty()) {
        schema.insert("required".into(), json!(required));
    }
    schema
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn describe(schema: &mut Value, published: &Value) {
    if let Value::Object(schema) = schema {
        schema.insert("description".into(), field(published, "description").into());
    }
}

fn field<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}
