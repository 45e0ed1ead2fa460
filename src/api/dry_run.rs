//! The header `Rollcall-Dry-Run`: a write that is checked and answered as usual, and not written.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};

use super::context::Route;
use super::path::Base;
use crate::scim::ScimError;
pub(super) use crate::store::dynamo::dry_run::{is_on, run};

const DRY_RUN: HeaderName = HeaderName::from_static("rollcall-dry-run");

/// Rows of the admin API that cannot be tried by the header: their work goes from request to request. A restore has a plan,
/// and an examination without repair writes nothing.
pub const NOT_TRIED: [&str; 7] = [
    "admin.restore",
    "admin.tenants.delete",
    "admin.tenants.reopen",
    "admin.tenants.upgrade",
    "admin.import.post",
    "admin.count.post",
    "admin.verify.repair",
];

/// Whether a request asks for a dry run.
///
/// # Errors
/// 400 for another value than `true` and `false`, and for a write that cannot be tried: whoever sends the header must not
/// find that something was written.
pub(super) fn is_asked(route: &Route, request: &Request<Bytes>) -> Result<bool, ScimError> {
    let values: Vec<&[u8]> = request.headers().get_all(&DRY_RUN).iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() || *request.method() == Method::GET || *request.method() == Method::HEAD {
        return Ok(false);
    }
    let are_all = |text: &str| values.iter().all(|value| value.trim_ascii().eq_ignore_ascii_case(text.as_bytes()));
    let can_be_tried = matches!(route.base, Base::Scim | Base::Admin) && !NOT_TRIED.contains(&route.name);
    match (are_all("true"), are_all("false"), can_be_tried) {
        (true, _, true) => Ok(true),
        (_, true, _) => Ok(false),
        (true, ..) => Err(ScimError::invalid_value("the header Rollcall-Dry-Run is not for this route; leave it out")),
        _ => Err(ScimError::invalid_value("the header Rollcall-Dry-Run is neither true nor false; send true")),
    }
}

/// Marks the answer of a dry run.
pub(super) fn marked(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(DRY_RUN, HeaderValue::from_static("true"));
    response
}
