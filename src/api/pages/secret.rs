//! A new key or link. The answer to the form is the one place where it stands.

use askama::Template;
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::asset;
use super::catalogue::{Catalogue, fill};
use super::frame::{Frame, Labelled, PageTime, TENANTS, text};
use super::reply;
use super::session::PageSession;
use crate::scim::ScimError;

#[derive(Template)]
#[template(path = "secret.html")]
struct SecretPage {
    frame: Frame,
    title: &'static str,
    text: String,
    values: Vec<Labelled>,
    notes: Vec<String>,
    saved: &'static str,
    next: &'static str,
}

/// The answer to a new key.
///
/// # Errors
/// 500.
pub(super) fn render_key(session: &PageSession<'_>, key: &Value) -> Result<ScimResponse, ScimError> {
    let t = session.t;
    let mut values = vec![Labelled::copied(t.secret_field, text(key, "/secret"))];
    // What goes into the fields next to the secret, by the type.
    match text(key, "/type") {
        "client" => values.insert(0, Labelled::copied("Client ID", text(key, "/id"))),
        "basic" => values.insert(0, Labelled::copied(t.keys_automation, text(key, "/automation"))),
        _ => {}
    }
    let is_waiting = text(key, "/state") == "waiting";
    let page = SecretPage {
        frame: Frame::new(session, "keys", None),
        title: t.secret_title,
        text: fill(t.secret_text, &[("product", asset::speaker(session.context))]),
        values,
        notes: notes(t, key, is_waiting),
        saved: t.secret_saved,
        next: if is_waiting { "automation" } else { "connect" },
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// What to do with the key, and until when it works.
fn notes(t: &Catalogue, key: &Value, is_waiting: bool) -> Vec<String> {
    let place = matches!(text(key, "/type"), "bearer" | "jwt").then(|| t.secret_place.to_owned());
    let expires = PageTime::of(key.get("expires")).map(|time| fill(t.secret_expires, &[("expires", &time.text)]));
    let waiting = is_waiting.then(|| t.secret_waiting.to_owned());
    place.into_iter().chain(expires).chain(waiting).collect()
}

/// The answer to a new link.
///
/// # Errors
/// 500.
pub(super) fn render_link(session: &PageSession<'_>, link: &Value) -> Result<ScimResponse, ScimError> {
    let t = session.t;
    let expires = PageTime::of(link.get("expires")).map(|time| time.text).unwrap_or_default();
    let page = SecretPage {
        frame: Frame::new(session, TENANTS, None),
        title: t.link_title,
        text: fill(t.link_text, &[("expires", &expires)]),
        values: vec![Labelled::copied(t.entry_field, text(link, "/url"))],
        notes: Vec::new(),
        saved: t.link_saved,
        next: TENANTS,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}
