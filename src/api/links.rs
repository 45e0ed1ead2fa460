//! `/admin/v1/tenants/{tenant}/links`: links that sign an administrator in to the page of a tenant, once each.

use http::StatusCode;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{body, named, operator};
use super::{RequestContext, ScimResponse, dry_run};
use crate::admin::tenants;
use crate::auth::{KeyId, LinkRecord, PageAccess, PageRole, PageSecret, PageSecretKind};
use crate::limits::{DEFAULT_LINK_SECONDS, MAX_LINK_SECONDS, MAX_PERSON_BYTES, MIN_LINK_SECONDS};
use crate::scim::ScimError;
use crate::scim::resource::date_time;

/// POST /admin/v1/tenants/{tenant}/links: its answer alone has the link.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn create(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let request = if context.raw_body().is_empty() { LinkRequest::default() } else { body(&context)? };
    let (access, seconds) = request.check()?;
    // A session of the page gives no more than it has.
    let is_operator = access.is_operator && caller.page().is_none_or(|page| page.is_operator);
    let access = PageAccess { is_operator, ..access };
    let tenant = tenants::find(&context.app().store, &named(&context)?).await?;
    let no_random = |_| ScimError::unavailable("the system returned no random numbers; try again");
    let secret = PageSecret::mint(PageSecretKind::Link).map_err(no_random)?;
    let link = LinkRecord {
        tenant: tenant.name,
        id: secret.id().clone(),
        hash: secret.hash(),
        access,
        created: context.now(),
        expires: context.now() + SignedDuration::from_secs(seconds),
        used: None,
        revoked: None,
    };
    context.app().store.add_link(&link, operator(&context, &caller)).await?;
    let url = format!("{}/{}/manage#{}", context.origin(), link.tenant, secret.reveal());
    // The link of a dry run opens nothing.
    let body = render(&link, (!dry_run::is_on()).then_some(url.as_str()));
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::CREATED, body))
}

/// DELETE /admin/v1/tenants/{tenant}/links/{link}: ends a link that nobody has used.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn revoke(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let text = context.path_param("{link}");
    let id = KeyId::parse(text).ok_or_else(|| ScimError::not_found("link", text))?;
    let by = operator(&context, &caller);
    match context.app().store.revoke_link(&named(&context)?, &id, by).await? {
        true => Ok(ScimResponse::empty(caller, StatusCode::NO_CONTENT)),
        false => Err(ScimError::not_found("link", text)),
    }
}

/// What a link is to be.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinkRequest {
    role: Option<String>,
    operator: Option<bool>,
    /// How long it works.
    ttl_seconds: Option<i64>,
    /// For whom it is, for the log and the page.
    actor: Option<String>,
}

impl LinkRequest {
    fn check(self) -> Result<(PageAccess, i64), ScimError> {
        let is_operator = self.operator.unwrap_or_default();
        let role = match &self.role {
            Some(role) => role.parse().map_err(|why| ScimError::invalid_value(format!("role: {why}")))?,
            None if is_operator => PageRole::Operate,
            None => PageRole::Setup,
        };
        let seconds = self.ttl_seconds.unwrap_or(DEFAULT_LINK_SECONDS);
        if !(MIN_LINK_SECONDS..=MAX_LINK_SECONDS).contains(&seconds) {
            return Err(ScimError::invalid_value(format!(
                "ttlSeconds is out of range; send {MIN_LINK_SECONDS} to {MAX_LINK_SECONDS}"
            )));
        }
        let is_person =
            |text: &String| (1..=MAX_PERSON_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if self.actor.as_ref().is_some_and(|actor| !is_person(actor)) {
            return Err(ScimError::invalid_value(format!(
                "actor is empty or too long; send 1 to {MAX_PERSON_BYTES} bytes without control characters"
            )));
        }
        Ok((PageAccess { role, is_operator, person: self.actor }, seconds))
    }
}

fn render(link: &LinkRecord, url: Option<&str>) -> Value {
    let mut fields = json!({
        "id": link.id.as_str(),
        "tenant": link.tenant.as_str(),
        "role": link.access.role.as_str(),
        "operator": link.access.is_operator,
        "created": date_time(link.created),
        "expires": date_time(link.expires),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(url.map(|url| ("url".to_owned(), json!(url))));
        fields.extend(link.access.person.as_ref().map(|person| ("actor".to_owned(), json!(person))));
    }
    fields
}
