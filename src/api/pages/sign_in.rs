//! Signing in with a link, and out. A GET never comes here, so that who looks at a link does not use it up.

use jiff::SignedDuration;

use super::super::{RequestContext, ScimResponse};
use super::entry_page::EntryPage;
use super::reply;
use super::request::{Form, check_same_origin, set_session_cookie};
use super::session::PageSession;
use crate::auth::{LinkRecord, PageRole, PageSecret, PageSecretKind, SessionRecord};
use crate::limits::SESSION_SECONDS;
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::admin_action::AdminAuthor;
use crate::tenant::TenantName;

/// Carries out the form.
///
/// # Errors
/// 401 for a link that does not work, 403 for a form of another site, 413, 503.
pub(super) async fn answer(context: &RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    check_same_origin(context)?;
    let form = Form::read(context)?;
    match form.text("action") {
        "end" => end(context).await,
        _ => begin(context, &form).await,
    }
}

async fn begin(context: &RequestContext<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    // Somebody may have pasted the whole link.
    let text = form.text("token").rsplit('#').next().unwrap_or_default();
    let tenant: TenantName = context.tenant_in_url().parse().map_err(|_| refused())?;
    let secret = PageSecret::parse(PageSecretKind::Link, text).ok_or_else(refused)?;
    let link = context.app().store.page_link(&tenant, &secret).await?.ok_or_else(refused)?;
    if !link.works(context.now()) {
        return Err(refused_known(context, &link, state(&link)));
    }
    let no_random = |_| ScimError::unavailable("the system returned no random numbers; try again");
    let cookie = PageSecret::mint(PageSecretKind::Session).map_err(no_random)?;
    let record = SessionRecord {
        tenant,
        id: cookie.id().clone(),
        hash: cookie.hash(),
        access: link.access.clone(),
        seen: context.now(),
        expires: context.now() + SignedDuration::from_secs(SESSION_SECONDS),
        ended: None,
    };
    let (key, request) = (Some(record.id.clone()), Some(context.request_id().to_owned()));
    let by = AdminAuthor { key, request, at: context.now(), page: Some(record.access.clone()) };
    if !context.app().store.begin_session(&link, &record, by).await? {
        // Somebody else was faster.
        return Err(refused_known(context, &link, "used"));
    }
    let first = if link.access.role == PageRole::Setup { "connect" } else { "overview" };
    let reply = reply::see_other(Some(record.id), &format!("{}/{first}", context.page_base()));
    Ok(reply::with_cookie(reply, &set_session_cookie(context, Some(&cookie.reveal()))))
}

async fn end(context: &RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (session, _) = PageSession::open_form(context).await?;
    session.end().await?;
    let page = EntryPage::new(context, Some(session.t.entry_signed_out.to_owned()));
    let reply = reply::html(session.key(), http::StatusCode::OK, &page)?;
    Ok(reply::with_cookie(reply, &set_session_cookie(context, None)))
}

/// One answer, whatever is wrong with a link.
fn refused() -> ScimError {
    ScimError::new(ErrorCode::LinkRefused, "the link was used, has expired or was revoked; ask for a new link")
}

/// The log of the tenant says that somebody tried.
fn refused_known(context: &RequestContext<'_>, link: &LinkRecord, state: &'static str) -> ScimError {
    context.note_page_user(&link.tenant, &link.id, state);
    refused()
}

/// Why a link does not work.
fn state(link: &LinkRecord) -> &'static str {
    match link {
        LinkRecord { revoked: Some(_), .. } => "revoked",
        LinkRecord { used: Some(_), .. } => "used",
        _ => "expired",
    }
}
