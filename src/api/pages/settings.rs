//! The settings of the tenant.

use askama::Template;
use http::StatusCode;

use super::super::ScimResponse;
use super::frame::{Choice, Frame, choices};
use super::reply;
use super::session::PageSession;
use crate::scim::ScimError;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    invite: bool,
    deactivation: Vec<Choice>,
    protect: Vec<Choice>,
    users: String,
    window: String,
}

/// The screen.
///
/// # Errors
/// 500.
#[allow(clippy::unused_async, reason = "as the other screens, which read")]
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    // The session has read the tenant's record with its own.
    let (t, settings) = (session.t, session.config.settings);
    let deactivation = [("disable", t.settings_disable), ("suspend", t.settings_suspend)];
    let protect = [("off", t.settings_off), ("warn", t.settings_warn), ("hold", t.settings_hold)];
    let page = SettingsPage {
        frame,
        invite: settings.invite_automatically,
        deactivation: choices(&deactivation, settings.on_deactivation.as_str()),
        protect: choices(&protect, settings.protection.mode.as_str()),
        users: settings.protection.users.to_string(),
        window: settings.protection.window.to_string(),
    };
    reply::html(session.key(), StatusCode::OK, &page)
}
