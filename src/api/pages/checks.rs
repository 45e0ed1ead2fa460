//! The checks of the screen Doctor: what a request of the page can honestly find out about its own tenant. It has no key and
//! stands within the endpoint, so that it says nothing about the network, TLS and credentials; `rollcall doctor` does.

use askama::Template;
use futures_util::future::{try_join, try_join4};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::ScimResponse;
use super::catalogue::{Catalogue, fill};
use super::finding::{FindingState, PageFinding};
use super::frame::{Frame, PageTime, items, text};
use super::overview::{is_of_client, last_request};
use super::session::PageSession;
use super::{probes, reply};
use crate::limits::{
    ENTRA_REQUESTS_PER_SECOND, MAX_COUNTED_REFUSALS, PAGE_LOG_ENTRIES, SILENT_TENANT_DAYS, WORKER_SILENT_SECONDS,
};
use crate::scim::ScimError;
use crate::scim::resource::date_time;
use crate::store::dynamo::tables::Table;
use crate::tenant::ProtectionMode;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    frame: Frame,
    findings: Vec<PageFinding>,
    summary: Option<String>,
    command: String,
}

/// The screen, before the checks are run.
///
/// # Errors
/// 500.
pub(super) fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    reply(session, frame, Vec::new())
}

/// The screen with what the checks found.
///
/// # Errors
/// 503.
pub(super) async fn run(session: &PageSession<'_>) -> Result<ScimResponse, ScimError> {
    let frame = Frame::new(session, "doctor", None);
    let since = date_time(session.context.now() - SignedDuration::from_hours(24));
    let refusals = format!("/log?kind=refusal&since={since}&limit={MAX_COUNTED_REFUSALS}");
    let changes = format!("/log?kind=change&limit={PAGE_LOG_ENTRIES}");
    let logs = try_join(session.read(&refusals), session.read(&changes));
    let (tenant, keys, hold, (refused, changed)) =
        try_join4(session.read(""), session.read("/keys"), session.read("/hold"), logs).await?;
    let mut findings = vec![address(session)];
    findings.extend(closing(session, &tenant));
    findings.extend(of_keys(session.t, items(&keys, "keys")));
    findings.extend([requests(session, items(&keys, "keys"), [&refused, &changed]), refusals_of(session.t, &refused)]);
    findings.extend([protection(session, &hold), rate(session), feed(session, &changed).await?]);
    findings.extend(Box::pin(probes::run(session, &changed)).await?);
    reply(session, frame, findings)
}

fn reply(session: &PageSession<'_>, frame: Frame, findings: Vec<PageFinding>) -> Result<ScimResponse, ScimError> {
    let count = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count().to_string();
    let values = [
        ("good", count(FindingState::Good)),
        ("fault", count(FindingState::Fault)),
        ("advice", count(FindingState::Advice)),
        ("skipped", count(FindingState::Skipped)),
    ];
    let summary = (!findings.is_empty()).then(|| fill(session.t.check_summary, &values));
    let command = format!("rollcall doctor {}", session.tenant_url());
    reply::html(session.key(), StatusCode::OK, &DoctorPage { frame, findings, summary, command })
}

fn address(session: &PageSession<'_>) -> PageFinding {
    let (t, origin) = (session.t, session.context.origin());
    let text = fill(t.check_address_text, &[("address", &origin)]);
    match origin.starts_with("https://") {
        true => PageFinding::good(t.check_address, text),
        false => PageFinding::advice(t.check_address, text, t.check_address_remedy),
    }
}

/// Nothing, unless the tenant is to be deleted.
fn closing(session: &PageSession<'_>, tenant: &Value) -> Option<PageFinding> {
    let time = PageTime::of(tenant.get("closes"))?;
    let text = fill(session.t.check_closing_text, &[("time", &time.text)]);
    Some(PageFinding::fault(session.t.check_closing, text, session.t.check_closing_remedy))
}

fn of_keys(t: &'static Catalogue, keys: &[Value]) -> Vec<PageFinding> {
    let in_state = |state: &str| keys.iter().filter(move |key| text(key, "/state") == state).collect::<Vec<_>>();
    let described = |text_of: &str, key: &Value| fill(text_of, &[("description", text(key, "/description"))]);
    let (live, expiring) = (in_state("live").len(), in_state("expiring"));
    let mut findings = vec![match live + expiring.len() {
        0 => PageFinding::fault(t.keys, t.check_keys_none, t.check_keys_remedy).at("keys"),
        count => PageFinding::good(t.keys, fill(t.check_keys_text, &[("count", &count.to_string())])),
    }];
    let soon = expiring
        .iter()
        .map(|key| PageFinding::advice(t.keys, described(t.overview_expiring, key), t.keys_rotate_text).at("keys"));
    findings.extend(soon);
    let waiting = in_state("waiting");
    let waiting = waiting.iter().map(|key| {
        PageFinding::advice(t.keys, described(t.check_keys_waiting, key), t.check_keys_activate).at("automation")
    });
    findings.extend(waiting);
    findings
}

fn requests(session: &PageSession<'_>, keys: &[Value], logs: [&Value; 2]) -> PageFinding {
    let t = session.t;
    let last = last_request(keys, logs.into_iter().flat_map(|log| items(log, "entries")));
    let silence = SignedDuration::from_hours(24 * i64::from(SILENT_TENANT_DAYS));
    match last {
        None => PageFinding::advice(t.check_requests, t.overview_nothing, t.check_requests_remedy).at("connect"),
        Some(at) if session.context.now().duration_since(at) > silence => {
            PageFinding::advice(t.check_requests, t.check_requests_silent, t.check_requests_start)
        }
        Some(at) => {
            PageFinding::good(t.check_requests, fill(t.check_requests_text, &[("time", &PageTime::at(at).text)]))
        }
    }
}

fn refusals_of(t: &'static Catalogue, log: &Value) -> PageFinding {
    let entries: Vec<_> = items(log, "entries").iter().filter(|entry| is_of_client(entry)).collect();
    let Some(newest) = entries.first() else { return PageFinding::good(t.check_refusals, t.check_refusals_none) };
    let more = if log.get("nextCursor").is_some() { "+" } else { "" };
    let count = format!("{}{more}", entries.len());
    let found = fill(t.check_refusals_text, &[("count", &count)]);
    let reason = [text(newest, "/detail"), text(newest, "/remedy")].into_iter().filter(|text| !text.is_empty());
    let reason = Some(reason.collect::<Vec<_>>().join(" – ")).filter(|reason| !reason.is_empty());
    PageFinding { reason, ..PageFinding::advice(t.check_refusals, found, t.check_refusals_remedy).at("activity") }
}

fn protection(session: &PageSession<'_>, hold: &Value) -> PageFinding {
    let (t, protection) = (session.t, session.config.settings.protection);
    let number = |window: &Value, name: &str| window.get(name).and_then(Value::as_u64).unwrap_or_default();
    let exceeds = |window: &Value| number(window, "count") >= number(window, "bound");
    match protection.mode {
        ProtectionMode::Off => {
            PageFinding::advice(t.check_protection, t.check_protection_off, t.check_protection_remedy).at("settings")
        }
        _ if items(hold, "windows").iter().any(exceeds) => {
            PageFinding::advice(t.check_protection, t.check_protection_over, t.check_protection_decide).at("overview")
        }
        mode => {
            let mode = if mode == ProtectionMode::Hold { t.settings_hold } else { t.settings_warn };
            let bound = protection.users.to_string();
            PageFinding::good(
                t.check_protection,
                fill(t.check_protection_text, &[("bound", bound.as_str()), ("mode", mode)]),
            )
        }
    }
}

fn rate(session: &PageSession<'_>) -> PageFinding {
    let t = session.t;
    let Some(limit) = session.context.app().rates.limit(session.config.settings) else {
        return PageFinding::good(t.check_rate, t.check_rate_off);
    };
    let (rate, needed) = (limit.per_second().to_string(), ENTRA_REQUESTS_PER_SECOND.to_string());
    let text = fill(t.check_rate_text, &[("rate", &rate), ("needed", &needed)]);
    match limit.per_second() >= ENTRA_REQUESTS_PER_SECOND {
        true => PageFinding::good(t.check_rate, text),
        false => PageFinding::advice(t.check_rate, text, t.check_rate_remedy),
    }
}

/// Whether the worker writes what happens: at the latest once a day there is something to write.
async fn feed(session: &PageSession<'_>, changes: &Value) -> Result<PageFinding, ScimError> {
    let (t, store) = (session.t, &session.context.app().store);
    let (users, groups) = try_join(store.worker_presence(Table::Users), store.worker_presence(Table::Groups)).await?;
    let newest = items(changes, "entries").iter().find_map(|entry| text(entry, "/timestamp").parse().ok());
    let is_late =
        |at: Timestamp| session.context.now().duration_since(at) > SignedDuration::from_secs(WORKER_SILENT_SECONDS);
    Ok(match (users.into_iter().chain(groups).min(), newest) {
        // `rollcall serve` on its own store follows without a note.
        (None, None) => PageFinding::skipped(t.check_feed, t.check_feed_empty),
        (Some(seen), _) if is_late(seen) => {
            let text = fill(t.check_feed_late, &[("time", &PageTime::at(seen).text)]);
            PageFinding::fault(t.check_feed, text, t.check_feed_remedy)
        }
        (_, Some(newest)) => {
            PageFinding::good(t.check_feed, fill(t.check_feed_text, &[("time", &PageTime::at(newest).text)]))
        }
        (Some(_), None) => PageFinding::good(t.check_feed, t.check_feed_runs),
    })
}
