//! Discovery (RFC 7644 section 4). The documents describe the tenant's profile; only its own key may read them.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{RequestContext, ScimResponse};
use crate::scim::{ErrorCode, Schemas, ScimError, discovery, list};
use crate::tenant::credential_type::authentication_schemes;

/// GET /ServiceProviderConfig
///
/// # Errors
/// 401, 403, 503.
pub async fn service_provider_config(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    refuse_filter(&context)?;
    let schemes = authentication_schemes(&principal.profile().credentials);
    let config = discovery::service_provider_config(&schemes, &context.base_url());
    let protection = principal.settings().protection.mode;
    Ok(ScimResponse::json(principal, StatusCode::OK, config).protection(protection))
}

/// GET /ResourceTypes
///
/// # Errors
/// 401, 403, 503.
pub async fn resource_types(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    all(&context, discovery::resource_types).await
}

/// GET /ResourceTypes/{id}
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn resource_type(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    one(&context, "ResourceType", [discovery::resource_types, discovery::unlisted_resource_types]).await
}

/// GET /Schemas
///
/// # Errors
/// 401, 403, 503.
pub async fn schemas(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    all(&context, discovery::schemas).await
}

/// GET /Schemas/{id}
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn schema(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    one(&context, "Schema", [discovery::schemas, discovery::unlisted_schemas]).await
}

/// Documents for a tenant's schemas and base URL.
type Documents = fn(&Schemas, &str) -> Vec<Map<String, Value>>;

/// The whole list on one page, whatever the query says.
async fn all(context: &RequestContext<'_>, documents: Documents) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    refuse_filter(context)?;
    let documents = documents(&principal.profile().schemas, &context.base_url());
    let total = documents.len();
    Ok(ScimResponse::json(principal, StatusCode::OK, list::response(documents, total, 1)))
}

async fn one(context: &RequestContext<'_>, kind: &str, documents: [Documents; 2]) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let (schemas, base_url) = (&principal.profile().schemas, context.base_url());
    let is_it = |document: &Map<String, Value>| document.get("id").and_then(Value::as_str) == Some(context.id());
    match documents.into_iter().flat_map(|documents| documents(schemas, &base_url)).find(is_it) {
        Some(document) => Ok(ScimResponse::json(principal, StatusCode::OK, document)),
        None => Err(ScimError::not_found(kind, context.id())),
    }
}

/// "If a 'filter' is provided, the service provider SHOULD respond with HTTP status code 403" (RFC 7644 section 4).
fn refuse_filter(context: &RequestContext<'_>) -> Result<(), ScimError> {
    match context.query()?.filter {
        Some(_) => Err(ScimError::new(
            ErrorCode::FilterNotAllowed,
            "filter is not allowed for discovery documents; leave it out (RFC 7644 section 4)",
        )),
        None => Ok(()),
    }
}
