//! What the forms of the page do: each is one request to the admin API.

use http::Method;
use serde_json::{Value, json};

use super::super::ScimResponse;
use super::frame::TENANTS;
use super::request::Form;
use super::session::PageSession;
use super::{reply, secret};
use crate::auth::PageRole;
use crate::scim::{ErrorCode, ScimError};
use crate::tenant::OPERATOR_TENANT;

/// Carries out a form.
///
/// # Errors
/// 403 for a role that may not do it, 404 for a form that no page has, or what the admin API answers.
pub(super) async fn answer(session: &PageSession<'_>, page: &str, form: &Form) -> Result<ScimResponse, ScimError> {
    match (page, form.text("action")) {
        ("keys", "create") => create_key(session, form).await,
        ("keys", "rotate") => rotate_key(session, form).await,
        ("keys", "revoke") => {
            session.need(PageRole::Setup)?;
            let path = format!("/keys/{}", segment(form.text("key")));
            session.change(Method::DELETE, &path, &Value::Null).await?;
            Ok(done(session, "keys", "revoked"))
        }
        ("automation", "create") => put_user(session, form, form.filled("active").is_some(), "added").await,
        ("automation", "activate") => put_user(session, form, true, "activated").await,
        ("settings", "save") => save(session, form).await,
        ("hold", action @ ("approve" | "reject" | "once")) => decide(session, form, action).await,
        ("links", "create") => create_link(session, form).await,
        ("tenants", "create") => create_tenant(session, form).await,
        _ => Err(ScimError::new(ErrorCode::NotFound, session.t.error_page)),
    }
}

async fn create_key(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Setup)?;
    let mut new = json!({"description": form.text("description"), "type": form.filled("type").unwrap_or("bearer")});
    if let (Some(fields), Some(user)) = (new.as_object_mut(), form.filled("automation")) {
        fields.insert("automation".to_owned(), json!(user));
    }
    let key = session.change(Method::POST, "/keys", &new).await?;
    secret::render_key(session, &key)
}

async fn rotate_key(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Setup)?;
    let path = format!("/keys/{}/rotate", segment(form.text("key")));
    let key = session.change(Method::POST, &path, &Value::Null).await?;
    secret::render_key(session, &key)
}

async fn put_user(
    session: &PageSession<'_>,
    form: &Form,
    is_active: bool,
    message: &str,
) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Setup)?;
    let path = format!("/automation-users/{}", segment(form.text("name")));
    session.change(Method::PUT, &path, &json!({"active": is_active})).await?;
    Ok(done(session, "automation", message))
}

async fn save(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    let settings = json!({
        "inviteAutomatically": form.filled("invite").is_some(),
        "onDeactivation": form.text("deactivation"),
        "protect": form.text("protect"),
        "protectUsers": form.text("users"),
        "protectWindow": form.text("window"),
    });
    session.change(Method::PATCH, "", &json!({"settings": settings})).await?;
    Ok(done(session, "settings", "saved"))
}

async fn decide(session: &PageSession<'_>, form: &Form, action: &str) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    let mut decision = json!({"action": action});
    if let Some(fields) = decision.as_object_mut() {
        let count = form.text("count").parse::<u32>().unwrap_or_default();
        fields.extend((action == "once").then(|| ("count".to_owned(), json!(count))));
        fields.extend(form.filled("group").map(|group| ("group".to_owned(), json!(group))));
    }
    session.change(Method::POST, "/hold", &decision).await?;
    Ok(done(session, "overview", "decided"))
}

async fn create_tenant(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    let tenant = json!({"name": form.text("name"), "profile": form.text("profile")});
    session.ask(Method::POST, &format!("/{OPERATOR_TENANT}/v1/tenants"), Some(&tenant), None).await?;
    Ok(done(session, TENANTS, "created"))
}

async fn create_link(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    let mut link = json!({"role": form.text("role")});
    if let (Some(fields), Some(person)) = (link.as_object_mut(), form.filled("person")) {
        fields.insert("actor".to_owned(), json!(person));
    }
    let uri = format!("/{OPERATOR_TENANT}/v1/tenants/{}/links", segment(form.text("tenant")));
    let reply = session.ask(Method::POST, &uri, Some(&link), None).await?;
    let (_, link) = reply.outcome();
    secret::render_link(session, link.unwrap_or(&Value::Null))
}

/// After a form, the browser reads a page anew: to load it again repeats nothing.
fn done(session: &PageSession<'_>, page: &str, message: &str) -> ScimResponse {
    reply::see_other(session.key(), &format!("{}/{page}?done={message}", session.context.page_base()))
}

/// A part of a path.
fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
