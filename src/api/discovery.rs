//! Discovery (RFC 7644 section 4). The documents show the tenant's profile; only its own key may read them.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Call, Reply};
use crate::scim::{Schemas, ScimError, discovery, list};

/// GET /ServiceProviderConfig
///
/// # Errors
/// 401, 403, 503.
pub async fn service_provider_config(call: Call<'_>) -> Result<Reply, ScimError> {
    let principal = call.authenticate().await?;
    refuse_filter(&call)?;
    let config = discovery::service_provider_config(principal.profile(), &call.base_url());
    Ok(Reply::json(principal, StatusCode::OK, config))
}

/// GET /ResourceTypes
///
/// # Errors
/// 401, 403, 503.
pub async fn resource_types(call: Call<'_>) -> Result<Reply, ScimError> {
    all(&call, discovery::resource_types).await
}

/// GET /ResourceTypes/{id}
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn resource_type(call: Call<'_>) -> Result<Reply, ScimError> {
    one(&call, "ResourceType", [discovery::resource_types, discovery::unlisted_resource_types]).await
}

/// GET /Schemas
///
/// # Errors
/// 401, 403, 503.
pub async fn schemas(call: Call<'_>) -> Result<Reply, ScimError> {
    all(&call, discovery::schemas).await
}

/// GET /Schemas/{id}
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn schema(call: Call<'_>) -> Result<Reply, ScimError> {
    one(&call, "Schema", [discovery::schemas, discovery::unlisted_schemas]).await
}

/// Documents made from a tenant's schemas and its base URL.
type Documents = fn(&Schemas, &str) -> Vec<Map<String, Value>>;

/// The whole list on one page, whatever the query says.
async fn all(call: &Call<'_>, documents: Documents) -> Result<Reply, ScimError> {
    let principal = call.authenticate().await?;
    refuse_filter(call)?;
    let documents = documents(&principal.profile().schemas, &call.base_url());
    let total = documents.len();
    Ok(Reply::json(principal, StatusCode::OK, list::response(documents, total, 1)))
}

async fn one(call: &Call<'_>, kind: &str, documents: [Documents; 2]) -> Result<Reply, ScimError> {
    let principal = call.authenticate().await?;
    let (schemas, base_url) = (&principal.profile().schemas, call.base_url());
    let is_it = |document: &Map<String, Value>| document.get("id").and_then(Value::as_str) == Some(call.id());
    match documents.into_iter().flat_map(|documents| documents(schemas, &base_url)).find(is_it) {
        Some(document) => Ok(Reply::json(principal, StatusCode::OK, document)),
        None => Err(ScimError::not_found(kind, call.id())),
    }
}

/// "If a 'filter' is provided, the service provider SHOULD respond with HTTP status code 403" (RFC 7644 section 4).
fn refuse_filter(call: &Call<'_>) -> Result<(), ScimError> {
    match call.query()?.filter {
        Some(_) => Err(ScimError::status(403, "discovery documents cannot be filtered (RFC 7644 section 4)")),
        None => Ok(()),
    }
}
