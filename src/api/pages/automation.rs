//! The automation users of the tenant.

use askama::Template;
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::frame::{Frame, PageTime, items, text};
use super::reply;
use super::session::PageSession;
use crate::scim::ScimError;

#[derive(Template)]
#[template(path = "automation.html")]
struct AutomationPage {
    frame: Frame,
    users: Vec<AutomationRow>,
}

/// A user in the table.
struct AutomationRow {
    name: String,
    is_active: bool,
    created: PageTime,
}

/// The screen.
///
/// # Errors
/// 503.
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    let users = session.read("/automation-users").await?;
    let row = |user: &Value| {
        let is_active = user.get("active").and_then(Value::as_bool).unwrap_or_default();
        Some(AutomationRow {
            name: text(user, "/name").to_owned(),
            is_active,
            created: PageTime::of(user.get("created"))?,
        })
    };
    let users = items(&users, "automationUsers").iter().filter_map(row).collect();
    reply::html(session.key(), StatusCode::OK, &AutomationPage { frame, users })
}
