//! The feed: what has happened to a tenant's users and groups, page by page.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{RequestContext, ScimResponse};
use crate::admin::tenants;
use crate::auth::KeyId;
use crate::limits::{DEFAULT_EVENTS, MAX_EVENT_TYPES, MAX_EVENT_WAIT_SECONDS, MAX_EVENTS, MAX_SCANNED_PAGES};
use crate::scim::resource::date_time;
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::change::EventType;
use crate::store::ops::changes::{FeedHeads, FeedPage, FeedPosition, FeedStart};
use crate::tenant::TenantName;

/// How often a request that waits looks whether there is something new: one read unit each.
const INTERVAL: Duration = Duration::from_millis(500);

/// GET /{tenant}/events
///
/// # Errors
/// 400, 401, 403, 410 for a cursor whose events may be gone, 503.
pub async fn list(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let store = &context.app().store;
    let (caller, heads) =
        context.authenticate_with_read(|tenant| async move { Ok(store.feed_heads(tenant.name()).await?) }).await?;
    answer(&context, caller.key(), caller.tenant().name(), heads).await
}

/// GET /admin/v1/tenants/{tenant}/events
///
/// # Errors
/// 400, 401, 403, 404, 410 for a cursor whose events may be gone, 503.
pub async fn list_of_tenant(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let text = context.path_param("{tenant}");
    let name: TenantName = text.parse().map_err(|_| ScimError::not_found("tenant", text))?;
    let tenant = tenants::find(store, &name).await?;
    let heads = store.feed_heads(&tenant.name).await?;
    answer(&context, caller.key(), &tenant.name, heads).await
}

/// What a request to the feed asks for.
struct FeedQuery {
    start: FeedStart,
    types: Vec<EventType>,
    limit: usize,
    wait: Duration,
}

async fn answer(
    context: &RequestContext<'_>,
    key: &KeyId,
    tenant: &TenantName,
    heads: FeedHeads,
) -> Result<ScimResponse, ScimError> {
    let store = &context.app().store;
    let query = FeedQuery::read(context, tenant)?;
    let position = store.feed_position(tenant, query.start.clone(), &heads, context.now()).await?;
    if store.is_expired(&position, context.now()) {
        let oldest = store.oldest_event(tenant, context.now()).await?.map(date_time);
        return Err(cursor_gone(oldest));
    }
    let page = page(context, tenant, &query, (position, heads)).await?;
    let body = json!({"events": page.events, "nextCursor": page.next.to_text(), "caughtUp": page.is_caught_up});
    Ok(ScimResponse::plain(Some(key.clone()), StatusCode::OK, body))
}

/// The first page with an event, or the last one; where there is none, waits for as long as was asked.
async fn page(
    context: &RequestContext<'_>,
    tenant: &TenantName,
    query: &FeedQuery,
    (position, heads): (FeedPosition, FeedHeads),
) -> Result<FeedPage, ScimError> {
    let store = &context.app().store;
    let deadline = Instant::now() + query.wait;
    let (mut position, mut heads) = (position, heads);
    let mut read = 0;
    loop {
        let asked = (query.types.as_slice(), query.limit);
        let page = store.feed_page(tenant, &position, &heads, asked, context.now()).await?;
        read += usize::from(!page.is_caught_up);
        let is_late = Instant::now() + INTERVAL > deadline;
        if !page.events.is_empty() || read >= MAX_SCANNED_PAGES || (page.is_caught_up && is_late) {
            return Ok(page);
        }
        if page.is_caught_up {
            tokio::time::sleep(INTERVAL).await;
            heads = store.feed_heads(tenant).await?;
        }
        position = page.next;
    }
}

impl FeedQuery {
    fn read(context: &RequestContext<'_>, tenant: &TenantName) -> Result<Self, ScimError> {
        let mut query =
            Self { start: FeedStart::Oldest, types: Vec::new(), limit: DEFAULT_EVENTS, wait: Duration::ZERO };
        let mut has_cursor = false;
        for (name, value) in form_urlencoded::parse(context.raw_query().as_bytes()) {
            match name.as_ref() {
                "cursor" if value.is_empty() => {}
                "cursor" => {
                    has_cursor = true;
                    query.start = start(&value, tenant)?;
                }
                "since" if !has_cursor => query.start = FeedStart::Since(instant(&value)?),
                "types" => query.types = types(&value)?,
                "limit" => query.limit = number(&name, &value, 1, MAX_EVENTS)?,
                "wait" => {
                    let longest = usize::try_from(MAX_EVENT_WAIT_SECONDS).unwrap_or(usize::MAX);
                    query.wait = Duration::from_secs(number(&name, &value, 0, longest)? as u64);
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

fn start(cursor: &str, tenant: &TenantName) -> Result<FeedStart, ScimError> {
    if cursor == "now" {
        return Ok(FeedStart::Now);
    }
    let why = || ScimError::invalid_cursor("cursor is not a nextCursor of this tenant's feed; leave it out to begin");
    FeedPosition::parse(cursor, tenant).map(FeedStart::After).ok_or_else(why)
}

fn instant(value: &str) -> Result<Timestamp, ScimError> {
    let why = || ScimError::invalid_value("since is not a time; send one such as 2027-01-31T12:00:00Z");
    value.parse().map_err(|_| why())
}

/// A list with commas between; a star at the end stands for anything.
fn types(value: &str) -> Result<Vec<EventType>, ScimError> {
    let words: Vec<&str> = value.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words.len() > MAX_EVENT_TYPES {
        return Err(ScimError::invalid_value(format!("types has more than {MAX_EVENT_TYPES} words; send fewer")));
    }
    let mut types = Vec::new();
    for word in words {
        let takes = |kind: &&EventType| match word.strip_suffix('*') {
            Some(start) => kind.as_str().starts_with(start),
            None => kind.as_str() == word,
        };
        let before = types.len();
        types.extend(EventType::ALL.iter().filter(takes));
        if types.len() == before {
            let word: String = word.chars().take(64).collect();
            return Err(ScimError::invalid_value(format!(
                "types has {word}, which no event is of; use a type such as user.created or user.*"
            )));
        }
    }
    Ok(types)
}

fn number(name: &str, value: &str, least: usize, most: usize) -> Result<usize, ScimError> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| ScimError::invalid_value(format!("{name} must be a number from {least} to {most}")))
}

fn cursor_gone(oldest: Option<String>) -> ScimError {
    let is_of =
        oldest.as_ref().map_or_else(|| "none is left".to_owned(), |oldest| format!("the oldest is of {oldest}"));
    let detail = format!("events after cursor may be gone, and {is_of}; read the whole state, then begin anew");
    ScimError {
        oldest: oldest.map(|oldest| Box::new(Value::from(oldest))),
        ..ScimError::new(ErrorCode::CursorGone, detail)
    }
}
