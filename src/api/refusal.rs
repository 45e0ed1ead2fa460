//! Requests that were refused, written into the log of their tenant after the answer is known. The row changes no answer,
//! and no request fails because the row could not be written.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::client_kind::client_kind;
use super::context::Route;
use super::path::{Base, RequestTarget};
use super::response::{Refusal, ScimResponse};
use super::trace::RequestTrace;
use crate::app::App;
use crate::limits::{MAX_REFUSAL_TARGET_BYTES, REFUSAL_WRITE_MS};
use crate::scim::ErrorCode;
use crate::scim::filter::Filter;
use crate::store::model::refusal::RefusalRow;

/// The parts of a path that say to what a request was to be done.
const TARGETS: [&str; 4] = ["{tenant}", "{id}", "{key}", "{name}"];

/// Bytes of the hash of a value that somebody searched for.
const HASH_BYTES: usize = 8;

/// What an answer says of a refusal.
struct RefusalReason<'o> {
    status: u16,
    code: &'o str,
    scim_type: Option<&'static str>,
    detail: Cow<'o, str>,
}

/// Writes a request that was refused into the log of its tenant, if somebody has proved to be of one.
pub(super) async fn write(
    app: &App,
    (route, target): &(&'static Route, RequestTarget),
    request: &Request<Bytes>,
    (request_id, milliseconds): (&str, u64),
    (trace, outcome): (&RequestTrace, &Result<ScimResponse, Refusal>),
) {
    let (Some(caller), Some(reason)) = (trace.caller(), RefusalReason::of(outcome, request.method())) else { return };
    let at = app.clock.now();
    let Some(suppressed) = app.refusals.admit(&caller.tenant, at) else { return };
    let row = RefusalRow {
        at,
        request: request_id,
        key: &caller.key,
        key_state: caller.key_state,
        client: client_kind(request),
        method: request.method().as_str(),
        route: route.name,
        target: target_of(route, target, request),
        status: reason.status,
        code: reason.code,
        scim_type: reason.scim_type,
        detail: &reason.detail,
        milliseconds,
        rules: trace.rules.rules(),
        suppressed,
    };
    let limit = Duration::from_millis(REFUSAL_WRITE_MS);
    let failure = match tokio::time::timeout(limit, app.store.write_refusal(&caller.tenant, &row)).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    app.refusals.put_back(&caller.tenant, suppressed + 1);
    tracing::warn!(request_id, failure, "the refusal is not in the log");
}

impl<'o> RefusalReason<'o> {
    /// None for what was done, and for a lookup of what is not there: clients look before they create.
    fn of(outcome: &'o Result<ScimResponse, Refusal>, method: &Method) -> Option<Self> {
        match outcome {
            Err(Refusal { error, .. }) => {
                let is_lookup = matches!(*method, Method::GET | Method::HEAD) && error.code == ErrorCode::NotFound;
                let (status, code) = (error.status(), error.code.as_str());
                let scim_type = error.scim_type().map(|kind| kind.as_str());
                let detail = match error.code {
                    ErrorCode::InvalidFilter => Cow::Owned(without_quoted(&error.detail)),
                    _ => Cow::Borrowed(error.detail.as_str()),
                };
                (status >= 400 && !is_lookup).then_some(Self { status, code, scim_type, detail })
            }
            Ok(reply) => {
                let (status, body) = reply.outcome();
                // As the token endpoint answers (RFC 6749 section 5.2).
                let text = |name: &str| body.and_then(|body| body.get(name)?.as_str()).unwrap_or_default();
                let (code, detail) = (text("error"), text("error_description"));
                (status >= 400).then_some(Self { status, code, scim_type: None, detail: Cow::Borrowed(detail) })
            }
        }
    }
}

/// To what a request was to be done: the ids that its path names, or the attribute that it searches by. Of a value only a
/// hash is in the log, by which two refusals for the same value are seen to be so.
fn target_of(route: &Route, target: &RequestTarget, request: &Request<Bytes>) -> Option<String> {
    let named = TARGETS.iter().map(|part| target.value(route.path, part)).filter(|value| !value.is_empty());
    let named = named.collect::<Vec<_>>().join("/");
    let whole = if named.is_empty() && route.base == Base::Scim { searched(request)? } else { named };
    let fits = |bytes: &mut usize, c: char| {
        *bytes += c.len_utf8();
        (*bytes <= MAX_REFUSAL_TARGET_BYTES).then_some(c)
    };
    let whole: String = whole.chars().scan(0, fits).collect();
    (!whole.is_empty()).then_some(whole)
}

fn searched(request: &Request<Bytes>) -> Option<String> {
    let query = request.uri().query()?;
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    let (_, text) = parameters.find(|(name, _)| name == "filter")?;
    let Ok(Filter::Compare(path, operator, value)) = Filter::parse(&text) else { return None };
    let value = match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let digest = Sha256::digest(value);
    let hash = hex::encode(digest.get(..HASH_BYTES).unwrap_or_default());
    Some(format!("{path} {} sha256:{hash}", operator.as_str()))
}

/// A text without what stands in it between quotation marks: the values that somebody searched for.
fn without_quoted(text: &str) -> String {
    let (mut plain, mut is_quoted, mut is_escaped) = (String::new(), false, false);
    for c in text.chars() {
        let is_mark = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        if is_mark {
            plain.push_str(if is_quoted { "…\"" } else { "\"" });
            is_quoted = !is_quoted;
        } else if !is_quoted {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_left_out() {
        let plain = without_quoted(r#"title gt "a \"b\" c" and x eq "d": no, "open"#);
        assert_eq!(plain, r#"title gt "…" and x eq "…": no, ""#);
        assert_eq!(without_quoted("no value"), "no value");
    }
}
