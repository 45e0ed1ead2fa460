//! `/admin/v1/tenants/{tenant}/users`, `/groups` and `/groups/{id}/members`: what a tenant has, for operators. SCIM's own
//! handlers answer, so filters, sorting, paging and schemas are those that the tenant's clients meet.

use form_urlencoded::Serializer;
use http::Method;

use super::admin::named;
use super::path::RequestTarget;
use super::{RequestContext, ScimResponse};
use crate::admin::tenants;
use crate::auth::Denial;
use crate::scim::ScimError;
use crate::store::model::id::GroupId;

/// GET /admin/v1/tenants/{tenant}/users
///
/// # Errors
/// Those of `GET /Users`, and 404 for an unknown tenant.
pub async fn users(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let query = context.raw_query().to_owned();
    read(&context, "/Users", &query).await
}

/// GET /admin/v1/tenants/{tenant}/groups
///
/// # Errors
/// Those of `GET /Groups`, and 404 for an unknown tenant.
pub async fn groups(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let query = context.raw_query().to_owned();
    read(&context, "/Groups", &query).await
}

/// GET /admin/v1/tenants/{tenant}/groups/{id}/members: the memberships of a group of any size, in pages.
///
/// # Errors
/// Those of `GET /GroupMembers`, and 404 for an unknown tenant or group.
pub async fn members(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let id = GroupId::parse(context.id());
    let filter = id.as_ref().map(|id| format!("group.value eq \"{}\"", id.as_str())).unwrap_or_default();
    let pairs = form_urlencoded::parse(context.raw_query().as_bytes());
    let pairs = pairs.filter(|(name, _)| !name.eq_ignore_ascii_case("filter"));
    let query = Serializer::new(String::new()).extend_pairs(pairs).append_pair("filter", &filter).finish();
    let answer = read(&context, "/GroupMembers", &query);
    match id {
        Some(id) => {
            let answer = answer.await?;
            let is_there = context.app().store.is_group(&named(&context)?, &id).await?;
            is_there.then_some(answer).ok_or_else(|| ScimError::not_found("Group", context.id()))
        }
        None => {
            context.authenticate().await?;
            Err(ScimError::not_found("Group", context.id()))
        }
    }
}

/// Has the tenant's own route answer, with the operator as a reader.
async fn read(context: &RequestContext<'_>, path: &str, query: &str) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let (store, profiles) = (&context.app().store, &context.app().profiles);
    let tenant = tenants::find(store, &named(context)?).await?;
    let profile = profiles.of(store, &tenant.name, &tenant.config.profile).await?;
    let path = format!("{}{path}", profile.base_path(tenant.name.as_str()));
    let reader = caller.reader_of(&tenant.name, tenant.config.settings, profile);
    let reader = reader.ok_or_else(|| context.denial_response(Denial::Scope.into()))?;
    let nothing = || ScimError::not_found("tenant", context.path_param("{tenant}"));
    let target = RequestTarget::parse(&path).ok_or_else(nothing)?;
    let is_meant = |route: &&crate::api::Route| route.method == Method::GET && route.accepts(&target);
    let route = context.routes().iter().find(is_meant).ok_or_else(nothing)?;
    let request = context.request_at("GET", &format!("{path}?{query}")).map_err(|_| nothing())?;
    // In the heap: it is a whole request within a request.
    let answer = Box::pin(context.sub_request((route, target), &request, context.request_id(), &reader).answer());
    Ok(answer.await?.with_json_type())
}
