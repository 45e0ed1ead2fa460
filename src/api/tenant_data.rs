//! What operators do with the data of a tenant as a whole: count it, examine it, take it elsewhere and end it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{body, named, operator, render_tenant};
use super::{RequestContext, ScimResponse};
use crate::admin::{render, tenants};
use crate::app::App;
use crate::limits::{MAX_IMPORTED_RECORDS, MAX_TENANT_CLOSING_DAYS, TENANT_CLOSING_SECONDS};
use crate::scim::ScimError;
use crate::scim::resource::date_time;
use crate::store::model::format::FORMAT;
use crate::store::model::tenant::TenantRecord;
use crate::store::ops::transfer::{ExportPosition, ImportError, TransferRecord};
use crate::store::ops::verify::VerifyPosition;
use crate::tenant::OPERATOR_TENANT;

/// The format of the lines of an export.
const EXPORT_FORMAT: u32 = 1;

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

/// GET /admin/v1/tenants/{tenant}/export: the next records of a tenant, the first of which is the tenant itself.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn export(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let (mut records, position) = match cursor(&context) {
        None => (vec![tenant_line(context.app(), &tenant).await?], ExportPosition::Users(None)),
        Some(cursor) => {
            let text = URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
            let position = serde_json::from_slice(&text).map_err(|_| {
                ScimError::invalid_cursor("cursor is not a nextCursor of an export; leave it out to begin")
            })?;
            (Vec::new(), position)
        }
    };
    let page = store.export_page(&tenant.name, &position).await?;
    records.extend(page.records);
    let mut body = json!({"records": records});
    if let (Some(fields), Some(next)) = (body.as_object_mut(), page.next) {
        let next = serde_json::to_vec(&next).unwrap_or_default();
        fields.insert("nextCursor".to_owned(), URL_SAFE_NO_PAD.encode(next).into());
    }
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// POST /admin/v1/tenants/{tenant}/import: takes records of an export. What is there already is left.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn import(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let ImportRequest { records } = body(&context)?;
    if records.len() > MAX_IMPORTED_RECORDS {
        let why = format!("records has more than {MAX_IMPORTED_RECORDS} records; send fewer in each request");
        return Err(ScimError::invalid_value(why));
    }
    let (mut readable, mut numbers, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (number, record) in records.into_iter().enumerate() {
        match serde_json::from_value::<TransferRecord>(record) {
            Ok(record) => {
                readable.push(record);
                numbers.push(number);
            }
            Err(why) => errors.push(ImportError { record: number, detail: why.to_string() }),
        }
    }
    let report = store.import(&tenant.name, &context.author(&caller), readable).await?;
    let place = |error: ImportError| ImportError { record: numbers.get(error.record).copied().unwrap_or(0), ..error };
    errors.extend(report.errors.into_iter().map(place));
    errors.sort_by_key(|error| error.record);
    let errors: Vec<_> = errors.iter().map(|error| json!({"record": error.record, "detail": error.detail})).collect();
    let body = json!({"created": report.created, "unchanged": report.unchanged, "errors": errors});
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// DELETE /admin/v1/tenants/{tenant}: has the keys of a tenant refused from now on, and its data deleted after a time.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn close(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let name = named(&context)?;
    if name.as_str() == OPERATOR_TENANT {
        return Err(ScimError::invalid_value("tenant is that of the operators; delete the stacks to end everything"));
    }
    let after = after(&context)?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &name).await?;
    store.close_tenant(&tenant, Some(context.now() + after), operator(&context, &caller)).await?;
    let tenant = tenants::find(store, &name).await?;
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, render_tenant(&context, &tenant, None).await?))
}

/// POST /admin/v1/tenants/{tenant}/reopen: takes the deletion back, as long as the waiting time lasts.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn reopen(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    if tenant.config.closes.is_some() {
        store.close_tenant(&tenant, None, operator(&context, &caller)).await?;
    }
    let tenant = tenants::find(store, &tenant.name).await?;
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, render_tenant(&context, &tenant, None).await?))
}

/// POST /admin/v1/tenants/{tenant}/upgrade: has the tenant's items written in the newest format of this release.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn upgrade(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let is_raised = store.upgrade_tenant(&tenant).await?;
    let body = json!({"format": FORMAT, "raised": is_raised});
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// Records of an export, of whichever page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportRequest {
    records: Vec<Value>,
}

/// How long a deleted tenant waits for its end.
fn after(context: &RequestContext<'_>) -> Result<SignedDuration, ScimError> {
    let seconds = match context.query_param("afterSeconds") {
        None => Some(TENANT_CLOSING_SECONDS),
        Some(text) => text.parse().ok().filter(|seconds| (0..=MAX_TENANT_CLOSING_DAYS * 86_400).contains(seconds)),
    };
    let why = || {
        let most = MAX_TENANT_CLOSING_DAYS * 86_400;
        ScimError::invalid_value(format!(
            "afterSeconds is out of range; send 0 to {most} ({MAX_TENANT_CLOSING_DAYS} days)"
        ))
    };
    seconds.map(SignedDuration::from_secs).ok_or_else(why)
}

/// The tenant as the first record of its export. No keys: another tenant has its own.
async fn tenant_line(app: &App, tenant: &TenantRecord) -> Result<Value, ScimError> {
    let profile = match tenant.config.profile.digest() {
        None => json!(tenant.config.profile.to_string()),
        Some(digest) => {
            let text = app.store.profile(&tenant.name, digest).await?.unwrap_or_default();
            serde_json::from_str(&text).unwrap_or_default()
        }
    };
    let settings = render::settings(tenant);
    Ok(json!({"type": "tenant", "format": EXPORT_FORMAT, "name": tenant.name.as_str(),
        "created": date_time(tenant.created), "profile": profile, "settings": settings}))
}

/// The `cursor` of the query; none where it is empty.
fn cursor(context: &RequestContext<'_>) -> Option<String> {
    context.query_param("cursor")
}
