//! The page "Manage user provisioning": an administrator connects an identity provider and reads what arrives. Every
//! screen is HTML that this binary renders, and every form works without a script. The page asks the admin API and SCIM
//! in the name of its session, see `session::PageSession`.

use askama::Template;
use http::StatusCode;

use super::{RequestContext, ScimResponse};
use crate::scim::{ErrorCode, ScimError};

mod activity;
mod asset;
mod automation;
mod catalogue;
mod checks;
mod connect;
mod entries;
mod entry_page;
mod finding;
mod forms;
mod frame;
mod keys;
mod lookup;
mod overview;
mod probes;
mod reply;
mod request;
mod restore;
mod secret;
mod session;
mod settings;
mod sign_in;
mod tenants;

use catalogue::{Catalogue, fill};
use entry_page::EntryPage;
use frame::Frame;
use session::PageSession;

/// The pages with forms whose fields somebody fills in.
const EDITED: [&str; 3] = ["keys", "automation", "settings"];

/// GET /{tenant}/manage: the form that a link's secret goes into. It reads nothing, so that it is the same for every
/// tenant and for none.
///
/// # Errors
/// None.
pub async fn entry(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let reply = reply::html(None, StatusCode::OK, &EntryPage::new(&context, None))?;
    Ok(finish(&context, reply))
}

/// GET /{tenant}/manage/assets/{name}
///
/// # Errors
/// 404.
pub async fn asset(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let name = context.path_param("{name}");
    let found = asset::find(&context.app().branding, name).ok_or_else(|| ScimError::not_found("file", name))?;
    Ok(reply::file(found.media_type, found.text.into_owned()))
}

/// POST /{tenant}/manage: signs in with the secret of a link, or out.
///
/// # Errors
/// None: it answers each with a page.
pub async fn session(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    match sign_in::answer(&context).await {
        Ok(reply) => Ok(finish(&context, reply)),
        Err(error) => failure(&context, None, &error),
    }
}

/// GET /{tenant}/manage/{page}
///
/// # Errors
/// None: it answers each with a page.
pub async fn view(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let session = match PageSession::open(&context).await {
        Ok(session) => session,
        Err(error) => return failure(&context, None, &error),
    };
    match screen(&session, context.path_param("{page}"), None).await {
        Ok(reply) => Ok(finish(&context, reply)),
        Err(error) => failure(&context, Some(&session), &error),
    }
}

/// GET /{tenant}/manage/operator/tenants: for operators.
///
/// # Errors
/// None: it answers each with a page.
pub async fn list_tenants(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let session = match PageSession::open(&context).await {
        Ok(session) => session,
        Err(error) => return failure(&context, None, &error),
    };
    match Box::pin(tenants::render(&session)).await {
        Ok(reply) => Ok(finish(&context, reply)),
        Err(error) => failure(&context, Some(&session), &error),
    }
}

/// POST /{tenant}/manage/{page}: a form of that page.
///
/// # Errors
/// None: it answers each with a page.
pub async fn change(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (session, form) = match PageSession::open_form(&context).await {
        Ok(opened) => opened,
        Err(error) => return failure(&context, None, &error),
    };
    let page = context.path_param("{page}");
    match Box::pin(forms::answer(&session, page, &form)).await {
        Ok(reply) => Ok(finish(&context, reply)),
        // What somebody can correct is corrected where it was typed, on a page that reads no more than its form may.
        Err(error) if matches!(error.status(), 400 | 409) && EDITED.contains(&page) => {
            match screen(&session, page, Some(&error)).await {
                Ok(reply) => Ok(finish(&context, reply)),
                Err(error) => failure(&context, Some(&session), &error),
            }
        }
        Err(error) => failure(&context, Some(&session), &error),
    }
}

/// POST /{tenant}/manage/restore/run: some of a restore that somebody has confirmed.
///
/// # Errors
/// None: it answers each with a page.
pub async fn run_restore(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (session, form) = match PageSession::open_form(&context).await {
        Ok(opened) => opened,
        Err(error) => return failure(&context, None, &error),
    };
    match restore::run(&session, &form).await {
        Ok(reply) => Ok(finish(&context, reply)),
        Err(error) => failure(&context, Some(&session), &error),
    }
}

/// POST /{tenant}/manage/doctor/run: the checks of the tenant.
///
/// # Errors
/// None: it answers each with a page.
pub async fn run_checks(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let session = match PageSession::open_form(&context).await {
        Ok((session, _)) => session,
        Err(error) => return failure(&context, None, &error),
    };
    match checks::run(&session).await {
        Ok(reply) => Ok(finish(&context, reply)),
        Err(error) => failure(&context, Some(&session), &error),
    }
}

/// A screen; above it what was wrong with its form.
async fn screen(session: &PageSession<'_>, page: &str, error: Option<&ScimError>) -> Result<ScimResponse, ScimError> {
    let text = error.map(|error| sentence(session.context, session.t, &error.detail));
    let frame = Frame::new(session, page, text);
    let reply = match page {
        "overview" => overview::render(session, frame).await,
        "connect" => connect::render(session, frame).await,
        "keys" => keys::render(session, frame).await,
        "automation" => automation::render(session, frame).await,
        "settings" => settings::render(session, frame).await,
        "activity" => activity::render(session, frame).await,
        "activity.csv" => activity::export(session).await,
        "people" => lookup::render(session, frame, lookup::LookupKind::People).await,
        "groups" => lookup::render(session, frame, lookup::LookupKind::Groups).await,
        "doctor" => checks::render(session, frame),
        restore::RESTORE => restore::plan(session, frame).await,
        _ => Err(ScimError::new(ErrorCode::NotFound, session.t.error_page)),
    }?;
    Ok(match error {
        Some(error) => reply.refused_as(error),
        None => reply,
    })
}

/// The page that says why something was not done: the form for a link to who is not signed in.
fn failure(
    context: &RequestContext<'_>,
    session: Option<&PageSession<'_>>,
    error: &ScimError,
) -> Result<ScimResponse, ScimError> {
    let t = request::language(context).catalogue();
    let Some(session) = session else {
        let message = match error.code {
            ErrorCode::Unauthorized => t.entry_session_over.to_owned(),
            ErrorCode::LinkRefused => t.entry_refused.to_owned(),
            _ => sentence(context, t, reason(t, error)),
        };
        let reply = reply::refusal(None, error, &EntryPage::new(context, Some(message)))?;
        return Ok(finish(context, reply));
    };
    let frame = Frame::new(session, context.path_param("{page}"), None);
    let text = sentence(context, t, reason(t, error));
    let request = fill(t.error_request, &[("request", context.request_id())]);
    let reply = reply::refusal(session.key(), error, &ErrorPage { frame, text, request })?;
    Ok(finish(context, reply))
}

/// What was wrong, and who says so.
fn sentence(context: &RequestContext<'_>, t: &Catalogue, detail: &str) -> String {
    fill(t.error_text, &[("product", asset::speaker(context)), ("detail", detail)])
}

/// The reason in the reader's language, where the page has it.
fn reason<'e>(t: &'static Catalogue, error: &'e ScimError) -> &'e str {
    match error.code {
        ErrorCode::ForeignForm => t.error_foreign,
        ErrorCode::ScopeMissing => t.error_role,
        _ => &error.detail,
    }
}

/// With the policy of this deployment, and the cookie of the language, if the address names one.
fn finish(context: &RequestContext<'_>, reply: ScimResponse) -> ScimResponse {
    let reply = reply::with_policy(reply, &context.app().branding);
    match request::chosen_language(context) {
        Some(language) => reply::with_cookie(reply, &request::set_language_cookie(context, language)),
        None => reply,
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    text: String,
    request: String,
}
