//! What operators do with the data of a tenant as a whole: count it and examine it.

use http::StatusCode;
use serde_json::json;

use super::admin::named;
use super::{RequestContext, ScimResponse};
use crate::admin::tenants;
use crate::scim::ScimError;
use crate::store::ops::verify::VerifyPosition;

/// POST /admin/v1/tenants/{tenant}/count: compares the stored number of users with the users, and corrects it.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn count(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let report = store.check_counts(&tenant.name, true).await?;
    let body = json!({"users": report.users, "drift": report.drift, "corrected": report.is_corrected});
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// GET /admin/v1/tenants/{tenant}/verify: examines the next part of a tenant's data.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn verify(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    examine(context, false).await
}

/// POST /admin/v1/tenants/{tenant}/verify: the same, and mends what it finds.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn repair(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    examine(context, true).await
}

async fn examine(context: RequestContext<'_>, is_repair: bool) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let position = match cursor(&context) {
        None => VerifyPosition::start(),
        Some(cursor) => VerifyPosition::parse(&cursor)
            .ok_or_else(|| ScimError::invalid_cursor("cursor is not a nextCursor of verify; leave it out to begin"))?,
    };
    let page = store.verify_page(&tenant.name, &position, is_repair).await?;
    let mut body = json!({"damages": page.damages, "examined": page.examined});
    if let (Some(fields), Some(next)) = (body.as_object_mut(), page.next) {
        fields.insert("nextCursor".to_owned(), next.to_text().into());
    }
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// The `cursor` of the query; none where it is empty.
fn cursor(context: &RequestContext<'_>) -> Option<String> {
    let mut query = form_urlencoded::parse(context.raw_query().as_bytes());
    query.find(|(name, value)| name == "cursor" && !value.is_empty()).map(|(_, value)| value.into_owned())
}
