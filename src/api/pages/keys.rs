//! The keys of the tenant: create, rotate, revoke.

use askama::Template;
use futures_util::future::try_join;
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::catalogue::{Catalogue, fill};
use super::connect::usual_type;
use super::frame::{Frame, PageTime, items, text};
use super::reply;
use super::session::PageSession;
use crate::scim::ScimError;
use crate::tenant::CredentialType;

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    frame: Frame,
    keys: Vec<KeyRow>,
    users: Vec<String>,
    kinds: Vec<&'static str>,
    /// Whether a type of key is in the name of somebody.
    needs_user: bool,
    type_hint: String,
}

/// A key in the table.
struct KeyRow {
    id: String,
    description: String,
    kind: String,
    automation: String,
    class: String,
    state: &'static str,
    used: Option<PageTime>,
    expires: Option<PageTime>,
    is_alive: bool,
    may_rotate: bool,
}

/// The screen.
///
/// # Errors
/// 503.
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    let (keys, users) = try_join(session.read("/keys"), session.read("/automation-users")).await?;
    let mut rows: Vec<_> = items(&keys, "keys").iter().map(|key| row(key, session.t)).collect();
    // What works comes first, the newest of it at the top.
    rows.reverse();
    rows.sort_by_key(|row| !row.is_alive);
    let users = items(&users, "automationUsers").iter().map(|user| text(user, "/name").to_owned()).collect();
    // A trust in an identity provider has more fields than a form for a first key should ask for.
    let offered = session.profile.credentials.iter().filter(|kind| **kind != CredentialType::Federation);
    let kinds = offered.map(|kind| kind.as_str()).collect::<Vec<_>>();
    let needs_user = kinds.iter().any(|kind| matches!(*kind, "jwt" | "basic"));
    let type_hint = fill(session.t.keys_type_hint, &[("type", usual_type(session).as_str())]);
    let page = KeysPage { frame, keys: rows, users, kinds, needs_user, type_hint };
    reply::html(session.key(), StatusCode::OK, &page)
}

fn row(key: &Value, t: &'static Catalogue) -> KeyRow {
    let owned = |pointer: &str| text(key, pointer).to_owned();
    let (class, kind) = (owned("/state"), owned("/type"));
    let is_alive = !matches!(class.as_str(), "expired" | "revoked");
    KeyRow {
        id: owned("/id"),
        description: owned("/description"),
        automation: owned("/automation"),
        state: state(&class, t),
        used: PageTime::of(key.get("used")),
        expires: PageTime::of(key.get("expires")),
        may_rotate: is_alive && kind != "federation",
        is_alive,
        kind,
        class,
    }
}

fn state(name: &str, t: &'static Catalogue) -> &'static str {
    match name {
        "live" => t.state_live,
        "expiring" => t.state_expiring,
        "waiting" => t.state_waiting,
        "pending" => t.state_pending,
        "expired" => t.state_expired,
        _ => t.state_revoked,
    }
}
