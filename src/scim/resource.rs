//! A resource as it is returned: the document with `schemas`, `id` and `meta` (RFC 7643 section 3.1).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Document, ResourceSchema, etag};

/// What the server adds to a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The permanent id.
    pub id: String,
    /// When the resource was created.
    pub created: Timestamp,
    /// When its document last changed.
    pub last_modified: Timestamp,
    /// The version; grows with every change of the document.
    pub version: u64,
}

impl Meta {
    /// The address of the resource below a tenant's base URL.
    pub fn location(&self, schema: &ResourceSchema, base_url: &str) -> String {
        format!("{base_url}{}/{}", schema.endpoint, self.id)
    }
}

/// The whole resource.
pub fn render(document: &Document, meta: &Meta, schema: &ResourceSchema, base_url: &str) -> Map<String, Value> {
    let extensions = document.attributes().iter().filter(|(name, value)| is_extension(name, value));
    let schemas: Vec<&str> =
        std::iter::once(schema.core.id.as_str()).chain(extensions.map(|(name, _)| name.as_str())).collect();
    let mut resource = Map::new();
    resource.insert("schemas".into(), json!(schemas));
    resource.insert("id".into(), json!(meta.id));
    resource.extend(document.attributes().clone());
    resource.insert(
        "meta".into(),
        json!({
            "resourceType": schema.name,
            "created": date_time(meta.created),
            "lastModified": date_time(meta.last_modified),
            "location": meta.location(schema, base_url),
            "version": etag::weak(meta.version),
        }),
    );
    resource
}

/// Adds an attribute that is not in the document, before `meta`.
pub fn insert(resource: &mut Map<String, Value>, name: &str, value: Value) {
    let meta = resource.shift_remove("meta");
    resource.insert(name.to_owned(), value);
    resource.extend(meta.map(|meta| ("meta".to_owned(), meta)));
}

/// Adds an extension that is not in the document.
pub fn extend(resource: &mut Map<String, Value>, urn: &str, value: Value) {
    if let Some(Value::Array(schemas)) = resource.get_mut("schemas") {
        schemas.push(urn.into());
    }
    insert(resource, urn, value);
}

/// An xsd:dateTime in UTC with milliseconds (RFC 7643 section 2.3.5).
pub fn date_time(instant: Timestamp) -> String {
    format!("{instant:.3}")
}

fn is_extension(name: &str, value: &Value) -> bool {
    value.is_object() && name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::Schemas;

    #[test]
    fn a_resource_names_the_schemas_it_uses() {
        let schemas = Schemas::standard().unwrap();
        let document = Document::from_stored(r#"{"userName":"bob","urn:acme:2.0:User":{"a":1}}"#).unwrap();
        let created = Timestamp::from_millisecond(1_300_000_000_000).unwrap();
        let meta = Meta { id: "1".into(), created, last_modified: created, version: 3 };
        let resource = render(&document, &meta, &schemas.user, "https://x/demo/scim/v2");
        insta::assert_json_snapshot!(resource, @r#"
        {
          "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:acme:2.0:User"
          ],
          "id": "1",
          "userName": "bob",
          "urn:acme:2.0:User": {
            "a": 1
          },
          "meta": {
            "resourceType": "User",
            "created": "2011-03-13T07:06:40.000Z",
            "lastModified": "2011-03-13T07:06:40.000Z",
            "location": "https://x/demo/scim/v2/Users/1",
            "version": "W/\"3\""
          }
        }
        "#);
    }
}
