//! `/admin/v1/tenants/{tenant}/hold`: what the protection of a tenant has counted, and what operators decide of it.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{body, named, operator};
use super::{RequestContext, ScimResponse, dry_run};
use crate::admin::tenants;
use crate::auth::Principal;
use crate::scim::resource::date_time;
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::hold::{HoldDecision, HoldWindow};
use crate::store::model::tenant::TenantRecord;

/// GET /admin/v1/tenants/{tenant}/hold
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn show(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let tenant = tenants::find(&context.app().store, &named(&context)?).await?;
    answer(&context, &caller, &tenant).await
}

/// POST /admin/v1/tenants/{tenant}/hold: decides of every window that is open, or of the one of a group.
///
/// # Errors
/// 400, 401, 403, 404, 409 where no window is open, 503.
pub async fn decide(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let request: HoldRequest = body(&context)?;
    let decision = request.decision()?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let is_meant = |window: &HoldWindow| match (&request.group, decision) {
        (Some(group), _) => window.group.as_ref() == Some(group),
        // A number is of one window: without a group, of the users.
        (None, HoldDecision::Once(_)) => window.group.is_none(),
        (None, _) => true,
    };
    let mut windows = store.hold_windows(&tenant.name, context.now()).await?;
    windows.retain(is_meant);
    let by = operator(&context, &caller);
    if windows.is_empty() || !store.decide_hold(&tenant.name, &windows, decision, by).await? {
        return Err(ScimError::new(
            ErrorCode::NoHoldWindow,
            "no window of protection is open here; nothing was taken away lately, so nothing is held",
        ));
    }
    if dry_run::is_on() {
        let mut all = store.hold_windows(&tenant.name, context.now()).await?;
        all.iter_mut().filter(|window| is_meant(window)).for_each(|window| window.decide(decision, context.now()));
        return Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body_of(&tenant, &all)));
    }
    answer(&context, &caller, &tenant).await
}

/// What an operator decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldRequest {
    action: String,
    /// How many more, for `once`.
    count: Option<u32>,
    /// The id of a group, for its window alone.
    group: Option<String>,
}

impl HoldRequest {
    fn decision(&self) -> Result<HoldDecision, ScimError> {
        match (self.action.as_str(), self.count) {
            ("approve", None) => Ok(HoldDecision::Approve),
            ("reject", None) => Ok(HoldDecision::Reject),
            ("once", Some(count)) if count > 0 => Ok(HoldDecision::Once(count)),
            ("once", _) => Err(ScimError::invalid_value("count is missing or 0; send how many more may go through")),
            ("approve" | "reject", Some(_)) => {
                Err(ScimError::invalid_value("count is for the action once; leave it out"))
            }
            _ => Err(ScimError::invalid_value("action is unknown; use approve, reject or once")),
        }
    }
}

async fn answer(
    context: &RequestContext<'_>,
    caller: &Principal,
    tenant: &TenantRecord,
) -> Result<ScimResponse, ScimError> {
    let windows = context.app().store.hold_windows(&tenant.name, context.now()).await?;
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body_of(tenant, &windows)))
}

fn body_of(tenant: &TenantRecord, windows: &[HoldWindow]) -> Value {
    let protection = tenant.config.settings.protection;
    json!({
        "tenant": tenant.name.as_str(),
        "protect": protection.mode.as_str(),
        "protectUsers": protection.users.to_string(),
        "protectWindow": protection.window.to_string(),
        "windows": windows.iter().map(render).collect::<Vec<_>>(),
    })
}

/// A window; of an approved one, nothing says how much is left.
fn render(window: &HoldWindow) -> Value {
    let is_lifted = window.decision.as_deref() == Some("approved");
    let mut fields = json!({
        "kind": if window.group.is_some() { "group" } else { "users" },
        "count": window.count,
        "bound": window.bound,
        "opened": date_time(window.opened),
        "until": date_time(window.until),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(window.group.as_ref().map(|group| ("group".to_owned(), json!(group))));
        fields.extend((!is_lifted).then(|| ("left".to_owned(), json!(window.left.max(0)))));
        fields.extend(window.decision.as_ref().map(|decision| ("decision".to_owned(), json!(decision))));
    }
    fields
}
