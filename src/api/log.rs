//! The log of a tenant: what has happened, what was refused and what operators did, newest first; and the hash chain of
//! what has happened.

use http::StatusCode;
use http::header::ACCEPT;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{RequestContext, ScimResponse};
use crate::admin::log::{csv_header, csv_line};
use crate::admin::tenants;
use crate::limits::{DEFAULT_LOG_ENTRIES, MAX_LOG_ENTRIES};
use crate::scim::{ErrorCode, ScimError};
use crate::store::ops::log::{LogFilter, LogKind, LogPage, LogPosition, LogStatus};
use crate::tenant::TenantName;

/// GET /admin/v1/tenants/{tenant}/log
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn list(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = named(&context).await?;
    let query = LogQuery::read(&context, &tenant)?;
    let page = store.log_page(&tenant, &query.filter, &query.position, query.limit, context.app().clock.now()).await?;
    let next = page.next.as_ref().map(|next| next_address(&context, &next.to_text()));
    let empty = ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, Value::Null);
    Ok(match LogForm::of(&context) {
        LogForm::Json => ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body(page)),
        LogForm::JsonLines => empty.text("application/x-ndjson", page.entries.iter().map(json_line).collect()),
        LogForm::Csv => {
            let lines = page.entries.iter().map(csv_line);
            empty.text("text/csv; charset=utf-8", std::iter::once(csv_header()).chain(lines).collect())
        }
    }
    .next(next))
}

/// GET /admin/v1/tenants/{tenant}/log/chain
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn chain(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = named(&context).await?;
    let (mut lane, mut after) = ("u".to_owned(), String::new());
    for (name, value) in form_urlencoded::parse(context.raw_query().as_bytes()) {
        match name.as_ref() {
            "lane" => lane = value.into_owned(),
            "cursor" => after = value.into_owned(),
            _ => {}
        }
    }
    if !after.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'#') {
        return Err(ScimError::invalid_cursor("cursor is not a nextCursor of this lane; leave it out to begin"));
    }
    let heads = store.feed_heads(&tenant).await?;
    let page = store.chain_page(&tenant, &lane, &after, &heads).await?;
    let page =
        page.ok_or_else(|| ScimError::invalid_value("lane must be u (users) or g (groups); send one of them"))?;
    let next = page.rows.last().filter(|_| page.has_more).map(|row| row.sk.clone());
    let mut body = json!({"rows": page.rows});
    if let Some(fields) = body.as_object_mut() {
        fields.extend(page.head.map(|head| ("head".to_owned(), json!(head))));
        fields.extend(next.map(|next| ("nextCursor".to_owned(), json!(next))));
    }
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

pub(super) async fn named(context: &RequestContext<'_>) -> Result<TenantName, ScimError> {
    let named = context.path_param("{tenant}");
    let name: TenantName = named.parse().map_err(|_| ScimError::not_found("tenant", named))?;
    Ok(tenants::find(&context.app().store, &name).await?.name)
}

/// In which form the log is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogForm {
    Json,
    JsonLines,
    Csv,
}

impl LogForm {
    /// By the first media type of `Accept` that is one of them.
    fn of(context: &RequestContext<'_>) -> Self {
        let accepted = context.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|part| part.split(';').next());
        let form = |name: &str| match name.trim().to_ascii_lowercase().as_str() {
            "application/x-ndjson" => Some(Self::JsonLines),
            "text/csv" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            _ => None,
        };
        types.find_map(form).unwrap_or(Self::Json)
    }
}

/// What a request to the log asks for.
struct LogQuery {
    filter: LogFilter,
    position: LogPosition,
    limit: usize,
}

impl LogQuery {
    fn read(context: &RequestContext<'_>, tenant: &TenantName) -> Result<Self, ScimError> {
        let (filter, newest) = (LogFilter::default(), LogPosition::newest(tenant));
        let mut query = Self { filter, position: newest, limit: DEFAULT_LOG_ENTRIES };
        for (name, value) in form_urlencoded::parse(context.raw_query().as_bytes()).filter(|(_, v)| !v.is_empty()) {
            let text = || Some(value.clone().into_owned());
            match name.as_ref() {
                "since" => query.filter.since = Some(instant("since", &value)?),
                "until" => query.filter.until = Some(instant("until", &value)?),
                "kind" => query.filter.kind = Some(kind(&value)?),
                "status" => query.filter.status = Some(status(&value)?),
                "user" => query.filter.user = text(),
                "group" => query.filter.group = text(),
                "key" => query.filter.key = text(),
                "request" => query.filter.request = text(),
                "limit" => query.limit = limit(&value)?,
                "cursor" => query.position = position(&value, tenant)?,
                _ => {}
            }
        }
        Ok(query)
    }
}

pub(super) fn instant(name: &str, value: &str) -> Result<Timestamp, ScimError> {
    let why = || ScimError::invalid_value(format!("{name} must be a time; send one such as 2027-01-31T12:00:00Z"));
    value.parse().map_err(|_| why())
}

fn kind(value: &str) -> Result<LogKind, ScimError> {
    let kind = LogKind::ALL.into_iter().find(|kind| kind.as_str() == value);
    kind.ok_or_else(|| ScimError::invalid_value("kind must be change, refusal or admin; send one of them"))
}

fn status(value: &str) -> Result<LogStatus, ScimError> {
    let class = value.strip_suffix("xx").and_then(|class| class.parse().ok()).filter(|class| (4..=5).contains(class));
    let exactly = value.parse().ok().filter(|status| (400..=599).contains(status));
    let status = class.map(LogStatus::Class).or(exactly.map(LogStatus::Exactly));
    status.ok_or_else(|| ScimError::invalid_value("status must be from 400 to 599, 4xx or 5xx; send one of them"))
}

pub(super) fn limit(value: &str) -> Result<usize, ScimError> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LOG_ENTRIES).contains(limit));
    limit.ok_or_else(|| {
        ScimError::invalid_value(format!("limit must be from 1 to {MAX_LOG_ENTRIES}; send such a number"))
    })
}

pub(super) fn position(value: &str, tenant: &TenantName) -> Result<LogPosition, ScimError> {
    let why = || ScimError::invalid_cursor("cursor is not a nextCursor of this tenant's log; leave it out to begin");
    LogPosition::parse(value, tenant).ok_or_else(why)
}

pub(super) fn body(page: LogPage) -> Value {
    let entries: Vec<Value> = page.entries.into_iter().map(with_remedy).collect();
    let mut body = json!({"entries": entries});
    if let (Some(fields), Some(next)) = (body.as_object_mut(), page.next) {
        fields.insert("nextCursor".to_owned(), next.to_text().into());
    }
    body
}

fn json_line(entry: &Value) -> String {
    format!("{}\n", with_remedy(entry.clone()))
}

/// An entry with what to do about its error.
fn with_remedy(mut entry: Value) -> Value {
    let code = entry.get("code").and_then(Value::as_str);
    let code = code.and_then(|code| ErrorCode::ALL.iter().find(|known| known.as_str() == code));
    if let (Some(code), Some(fields)) = (code, entry.as_object_mut()) {
        fields.insert("remedy".to_owned(), code.remedy().into());
    }
    entry
}

/// The address of this request with another cursor.
pub(super) fn next_address(context: &RequestContext<'_>, cursor: &str) -> String {
    let query = form_urlencoded::parse(context.raw_query().as_bytes()).filter(|(name, _)| name != "cursor");
    let query =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(query).append_pair("cursor", cursor).finish();
    format!("{}{}?{query}", context.base_url(), context.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_number_or_a_class() {
        assert_eq!(status("409").ok(), Some(LogStatus::Exactly(409)));
        assert_eq!(status("5xx").ok(), Some(LogStatus::Class(5)));
        for bad in ["200", "3xx", "xx", "4x", ""] {
            assert!(status(bad).is_err(), "{bad}");
        }
    }
}
