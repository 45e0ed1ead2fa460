//! `/Me` (RFC 7644 section 3.11): the automation user in whose name the key acts.

use super::{RequestContext, ScimResponse};
use crate::scim::filter::plan::IndexPlan;
use crate::scim::fold::fold;
use crate::scim::{ErrorCode, ScimError};

/// GET, PUT, PATCH and DELETE of /Me: as of `/Users/{id}`.
///
/// # Errors
/// 404 for a key without an automation user, and where that is no user of the tenant; those of `/Users/{id}`. No 501: an
/// alarm counts each 5xx of the API, and this one is the client's.
pub async fn myself(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let name = principal.automation().ok_or_else(|| {
        ScimError::new(
            ErrorCode::NoAutomationUser,
            "this key has no automation user; create one with `rollcall key create --automation NAME`",
        )
    })?;
    let by_name = IndexPlan::Equals("userName", fold(name));
    let found = context.app().store.find_users(principal.tenant(), &by_name, |_| true).await?;
    let user = found.first().ok_or_else(|| ScimError::not_found("User", name))?;
    let of_user = context.reroute(&format!("/Users/{}", user.id), &principal);
    let of_user = of_user.ok_or_else(|| ScimError::not_found("User", name))?;
    (of_user.route().handler)(of_user).await
}
