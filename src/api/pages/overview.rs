//! Whether anything arrives, what is refused, what is held, and which keys end soon.

use askama::Template;
use form_urlencoded::Serializer;
use futures_util::future::{try_join, try_join3};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::ScimResponse;
use super::catalogue::{Catalogue, fill};
use super::entries::{LogLine, lines};
use super::frame::{Frame, PageTime, items, text};
use super::reply;
use super::session::PageSession;
use crate::auth::PageRole;
use crate::limits::{MAX_COUNTED_REFUSALS, SILENT_TENANT_DAYS};
use crate::scim::ScimError;
use crate::scim::resource::date_time;

/// Entries of the log at the end of the page.
const RECENT: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    windows: Vec<HeldWindow>,
    light: Light,
    warnings: Vec<String>,
    last: Option<LastRequest>,
    users: String,
    groups: String,
    refused: String,
    has_refused: bool,
    keys: usize,
    entries: Vec<LogLine>,
}

/// A window of the protection over its bound.
struct HeldWindow {
    title: &'static str,
    text: String,
    until: String,
    decision: Option<String>,
    group: Option<String>,
    may_decide: bool,
    /// What names the window, for who may restore what it has counted.
    restore: Option<String>,
}

/// Whether anything arrives.
struct Light {
    class: &'static str,
    text: &'static str,
    is_first: bool,
}

/// When a key was used, and by which kind of client.
struct LastRequest {
    at: String,
    text: String,
    client: String,
}

/// The screen.
///
/// # Errors
/// 503.
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    let now = session.context.now();
    let since = date_time(now - SignedDuration::from_hours(24));
    let refusals = format!("/log?kind=refusal&since={since}&limit={MAX_COUNTED_REFUSALS}");
    let recent = format!("/log?limit={RECENT}");
    let logs = try_join(session.read(&refusals), session.read(&recent));
    let (keys, hold, (refused, log)) = try_join3(session.read("/keys"), session.read("/hold"), logs).await?;
    let (users, groups) = try_join(total(session, "/Users"), total(session, "/Groups")).await?;
    let t = session.t;
    let all = items(&keys, "keys");
    let last = last_request(all, items(&log, "entries").iter().chain(items(&refused, "entries")));
    let is_alive = |key: &&Value| matches!(text(key, "/state"), "live" | "expiring");
    let expiring = all.iter().filter(|key| text(key, "/state") == "expiring");
    let client = items(&log, "entries").iter().map(|entry| text(entry, "/actor/client"));
    let client =
        client.filter(|client| !matches!(*client, "" | "page" | "command-line")).find(|client| *client != "other");
    let count = items(&refused, "entries").iter().filter(|entry| is_of_client(entry)).count();
    let page = OverviewPage {
        windows: windows(session, &hold),
        light: light(t, last, now),
        warnings: expiring
            .map(|key| fill(t.overview_expiring, &[("description", text(key, "/description"))]))
            .collect(),
        last: last.map(|at| {
            let PageTime { at, text } = PageTime::at(at);
            LastRequest { at, text, client: client.unwrap_or(t.overview_last_note).to_owned() }
        }),
        users,
        groups,
        refused: if refused.get("nextCursor").is_some() { format!("{count}+") } else { count.to_string() },
        has_refused: count > 0,
        keys: all.iter().filter(is_alive).count(),
        entries: lines(&log, session),
        frame,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// When the last request of a client came. A key's last use is exact to 15 minutes; what it changed, or what was refused,
/// may be later.
pub(super) fn last_request<'l>(keys: &[Value], entries: impl Iterator<Item = &'l Value>) -> Option<Timestamp> {
    let of_client = entries.filter(|entry| {
        is_of_client(entry)
            && text(entry, "/kind") != "admin"
            && !matches!(text(entry, "/actor/client"), "" | "page" | "command-line")
    });
    let entries = of_client.map(|entry| text(entry, "/timestamp"));
    let times = keys.iter().map(|key| text(key, "/used")).chain(entries);
    times.filter_map(|time| time.parse::<Timestamp>().ok()).max()
}

/// Whether a refused request is one of a client: who mistypes an address of the page is no failure of provisioning.
pub(super) fn is_of_client(entry: &Value) -> bool {
    !text(entry, "/route").starts_with("pages.")
}

/// How many there are of a resource; a dash where the tenant's profile offers none.
pub(super) async fn total(session: &PageSession<'_>, path: &str) -> Result<String, ScimError> {
    match session.read_scim(&format!("{path}?count=0")).await {
        Ok(list) => Ok(list.get("totalResults").map_or_else(|| "0".to_owned(), Value::to_string)),
        Err(error) if error.status() == 404 => Ok("–".to_owned()),
        Err(error) => Err(error),
    }
}

fn light(t: &Catalogue, last: Option<Timestamp>, now: Timestamp) -> Light {
    let is_silent =
        |at: Timestamp| now.duration_since(at) > SignedDuration::from_hours(24 * i64::from(SILENT_TENANT_DAYS));
    match last {
        None => Light { class: "quiet", text: t.overview_nothing, is_first: true },
        Some(at) if is_silent(at) => Light { class: "quiet", text: t.overview_silent, is_first: false },
        Some(_) => Light { class: "good", text: t.overview_arriving, is_first: false },
    }
}

/// What was decided, in the reader's language.
fn decided(name: &str, t: &Catalogue) -> &'static str {
    match name {
        "approved" => t.held_approved,
        "rejected" => t.held_rejected,
        _ => t.held_some,
    }
}

fn restore_query(window: &str) -> String {
    Serializer::new(String::new()).append_pair("hold", window).finish()
}

/// The windows that are over their bound.
fn windows(session: &PageSession<'_>, hold: &Value) -> Vec<HeldWindow> {
    let t = session.t;
    let is_held = text(hold, "/protect") == "hold";
    let number = |window: &Value, name: &str| window.get(name).and_then(Value::as_u64).unwrap_or_default();
    let over = items(hold, "windows").iter().filter(|window| number(window, "count") >= number(window, "bound"));
    let one = |window: &Value| {
        let time = |name: &str| PageTime::of(window.get(name)).map(|time| time.text).unwrap_or_default();
        let group = Some(text(window, "/group")).filter(|group| !group.is_empty()).map(str::to_owned);
        let form = if group.is_some() { t.held_group } else { t.held_users };
        let (count, bound) = (number(window, "count").to_string(), number(window, "bound").to_string());
        let name = group.as_deref().unwrap_or_default();
        let opened = time("opened");
        let values = [("count", count.as_str()), ("bound", &bound), ("opened", &opened), ("group", name)];
        let decision = Some(text(window, "/decision")).filter(|decision| !decision.is_empty());
        HeldWindow {
            title: if is_held { t.held_title } else { t.held_warn_title },
            text: fill(form, &values),
            until: fill(t.held_until, &[("until", &time("until"))]),
            decision: decision.map(|name| fill(t.held_decision, &[("decision", decided(name, t))])),
            group,
            may_decide: is_held && session.may(PageRole::Operate),
            restore: session.may(PageRole::Operate).then(|| restore_query(text(window, "/id"))),
        }
    };
    over.map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_request_is_of_a_key_or_of_a_client_in_the_log() {
        let key = |used: &str| json!({"used": used});
        let entry = |kind: &str, client: &str, route: &str, at: &str| json!({"kind": kind, "actor": {"client": client}, "route": route, "timestamp": at});
        let keys = [key("2027-01-31T12:00:00Z"), key("2027-01-31T11:00:00Z"), json!({})];
        let later = "2027-01-31T12:14:00Z";
        let last = |entries: &[Value]| last_request(&keys, entries.iter()).unwrap().to_string();
        for counted in [entry("change", "entra", "", later), entry("refusal", "other", "users.create", later)] {
            assert_eq!(last(&[counted]), later);
        }
        for other in [
            entry("admin", "other", "", later),
            entry("change", "page", "", later),
            entry("change", "command-line", "", later),
            entry("refusal", "other", "pages.open", later),
            entry("change", "", "", later),
        ] {
            assert_eq!(last(std::slice::from_ref(&other)), "2027-01-31T12:00:00Z", "{other}");
        }
        assert_eq!(last_request(&[], [].iter()), None);
    }
}
