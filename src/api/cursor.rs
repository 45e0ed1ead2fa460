//! Cursors (RFC 9865): a place in a list, sealed for the key that asked and bound to the query. No state is kept, and a
//! cursor is dead once its key is revoked.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RequestContext;
use crate::auth::Principal;
use crate::limits::{CURSOR_SECONDS, MAX_PAGE};
use crate::scim::ScimError;

#[derive(Serialize, Deserialize)]
struct Sealed<P> {
    /// The query, hashed.
    q: String,
    /// Until when, in seconds.
    e: i64,
    /// How many resources a page has at most.
    c: usize,
    /// Where the page begins.
    p: P,
}

/// A cursor to a place in the list that the call asks for, by pages of so many.
///
/// # Errors
/// 503 when the system has no random numbers.
pub(super) fn to<P: Serialize>(
    context: &RequestContext<'_>,
    principal: &Principal,
    place: P,
    count: usize,
) -> Result<String, ScimError> {
    let until = context.now() + SignedDuration::from_secs(CURSOR_SECONDS);
    let sealed = Sealed { q: query(context)?, e: until.as_second(), c: count, p: place };
    let text = serde_json::to_string(&sealed).ok();
    text.and_then(|text| principal.seal().seal(&text))
        .ok_or_else(|| ScimError::unavailable("the system returned no random numbers; try again"))
}

/// The place that a cursor leads to, and how many resources a page has; none for the first page.
///
/// # Errors
/// 400 `invalidCursor`, `expiredCursor`, or `invalidCount` for another `count` than that of the first page (RFC 9865
/// section 2.1).
pub(super) fn place<P: for<'a> Deserialize<'a>>(
    context: &RequestContext<'_>,
    principal: &Principal,
    cursor: &str,
) -> Result<Option<(P, usize)>, ScimError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let opened = principal.seal().open(cursor).and_then(|text| serde_json::from_str::<Sealed<P>>(&text).ok());
    let Some(sealed) = opened.filter(|sealed| query(context).is_ok_and(|query| query == sealed.q)) else {
        return Err(ScimError::invalid_cursor(
            "this is not a cursor that was given to this key for this query; begin anew with an empty cursor",
        ));
    };
    if Timestamp::from_second(sealed.e).is_ok_and(|until| until < context.now()) {
        return Err(ScimError::expired_cursor(format!(
            "a cursor may be used for {CURSOR_SECONDS} seconds; begin anew with an empty one"
        )));
    }
    if context.query()?.requested_count.is_some_and(|count| count.min(MAX_PAGE.max(sealed.c)) != sealed.c) {
        return Err(ScimError::invalid_count(format!(
            "count is {} on every page that this cursor belongs to; leave it out, or begin anew with an empty cursor",
            sealed.c
        )));
    }
    Ok(Some((sealed.p, sealed.c)))
}

/// What must be the same on every page: where is asked, and for what.
fn query(context: &RequestContext<'_>) -> Result<String, ScimError> {
    let query = context.query()?;
    let sort = query.sort.map(|sort| sort.to_string());
    let path = context.path();
    let endpoint = path.strip_suffix("/.search").unwrap_or(&path).trim_end_matches('/');
    let text = serde_json::json!([endpoint, query.filter, sort]).to_string();
    Ok(hex::encode(Sha256::digest(text.as_bytes())))
}
