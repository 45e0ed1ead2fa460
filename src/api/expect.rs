//! `Expect: 100-continue` (RFC 9110 section 10.1.1): a client asks whether a request is wanted before it sends the body.

use bytes::Bytes;
use http::{Method, Request};

use super::context::RequestContext;
use super::path::Base;
use super::route::{ROUTES, Selection};
use super::{check_content_encoding, find, uuid_text};
use crate::app::App;

/// Whether a request is refused whatever its body says: for its address, its encoding or its credentials. `request` has a
/// body that stands for the real one. Nothing is counted or recorded: [`handle`](super::handle) does that with its answer.
pub async fn is_refused_by_head(app: &App, selection: &Selection, request: &Request<Bytes>) -> bool {
    let Ok(found) = find(selection, request) else { return true };
    let has_credentials = matches!(found.0.base, Base::Scim | Base::Admin | Base::Events);
    let takes_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    check_content_encoding(request).is_err()
        || (has_credentials
            && takes_body
            && RequestContext::new(app, found, request, &uuid_text(), ROUTES).is_caller_refused().await)
}
