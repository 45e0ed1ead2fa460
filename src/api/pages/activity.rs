//! The log of the tenant, with filters.

use askama::Template;
use form_urlencoded::Serializer;
use http::{Method, StatusCode};
use jiff::civil::Date;
use serde_json::Value;

use super::super::ScimResponse;
use super::entries::{LogLine, lines};
use super::frame::{Choice, Frame, choices};
use super::reply;
use super::request::Form;
use super::session::PageSession;
use crate::limits::PAGE_LOG_ENTRIES;
use crate::scim::ScimError;

/// The parameters of the log that the page passes on.
const FILTERS: [&str; 7] = ["kind", "since", "until", "request", "key", "user", "group"];

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    kinds: Vec<Choice>,
    fields: Vec<FilterField>,
    entries: Vec<LogLine>,
    older: Option<String>,
    query: String,
}

/// A text field of the filter.
struct FilterField {
    name: &'static str,
    label: &'static str,
    value: String,
    is_time: bool,
}

/// The screen.
///
/// # Errors
/// 503; for a filter that is wrong the page says so.
pub(super) async fn render(session: &PageSession<'_>, mut frame: Frame) -> Result<ScimResponse, ScimError> {
    let (t, form) = (session.t, Form::of_query(session.context));
    let query = query(&form);
    let log = match session.read(&log_path(&form)).await {
        Err(error) if error.status() == 400 => {
            frame.error = Some(error.detail);
            Value::Null
        }
        other => other?,
    };
    let field = |name, label, is_time| FilterField { name, label, value: form.text(name).to_owned(), is_time };
    let kinds = [
        ("", t.activity_all),
        ("change", t.activity_change),
        ("refusal", t.activity_refusal),
        ("admin", t.activity_admin),
    ];
    let next = log.get("nextCursor").and_then(Value::as_str);
    let page = ActivityPage {
        kinds: choices(&kinds, form.text("kind")),
        fields: vec![
            field("since", t.activity_since, true),
            field("until", t.activity_until, true),
            field("request", t.activity_request, false),
            field("key", t.activity_key, false),
        ],
        entries: lines(&log, session),
        older: next.map(|cursor| Serializer::new(query.clone()).append_pair("cursor", cursor).finish()),
        query,
        frame,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// The same entries as CSV.
///
/// # Errors
/// As the log's.
pub(super) async fn export(session: &PageSession<'_>) -> Result<ScimResponse, ScimError> {
    let path = session.admin_path(&log_path(&Form::of_query(session.context)));
    let reply = session.ask(Method::GET, &path, None, Some("text/csv")).await?;
    Ok(reply.download("activity.csv"))
}

/// The history of a user or a group.
///
/// # Errors
/// As the log's.
pub(super) async fn history(session: &PageSession<'_>, kind: &str, id: &str) -> Result<Vec<LogLine>, ScimError> {
    let limit = PAGE_LOG_ENTRIES.to_string();
    let query = Serializer::new(String::new()).append_pair(kind, id).append_pair("limit", &limit).finish();
    Ok(lines(&session.read(&format!("/log?{query}")).await?, session))
}

fn log_path(form: &Form) -> String {
    let mut query = Serializer::new(query(form));
    query.append_pair("limit", &PAGE_LOG_ENTRIES.to_string());
    query.extend_pairs(form.filled("cursor").map(|cursor| ("cursor", cursor)));
    format!("/log?{}", query.finish())
}

/// The filters that are filled in.
fn query(form: &Form) -> String {
    let pairs = FILTERS.iter().filter_map(|name| Some((*name, filter_value(name, form.filled(name)?))));
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// What the log is asked for. A date is the day: from its begin, or to its end.
fn filter_value(name: &str, value: &str) -> String {
    match (name, Date::strptime("%Y-%m-%d", value)) {
        ("since", Ok(day)) => format!("{day}T00:00:00Z"),
        ("until", Ok(day)) => format!("{day}T23:59:59.999Z"),
        _ => value.to_owned(),
    }
}
