//! What the writes of users and groups have in common: creation that a retry does not repeat, and changes that are
//! computed anew when somebody else was faster.

use super::context::RequestContext;
use crate::auth::Tenant;
use crate::limits::MAX_WRITE_ATTEMPTS;
use crate::scim::{ErrorCode, ScimError};
use crate::store::ops::idempotency::IdempotencyKey;

/// Creates a resource, or reads the one that the same request has created before.
///
/// # Errors
/// Those of `read` and `create`; 422 for an `Idempotency-Key` of another request.
pub(super) async fn create_idempotently<R, F>(
    context: &RequestContext<'_>,
    (tenant, key): (&Tenant, Option<&IdempotencyKey>),
    read: impl Fn(String) -> F,
    create: impl Future<Output = Result<R, ScimError>>,
) -> Result<R, ScimError>
where
    F: Future<Output = Result<Option<R>, ScimError>>,
{
    if let Some(id) = context.find_replayed(tenant, key).await? {
        return read(id).await?.ok_or_else(ScimError::gone_since);
    }
    let error = match create.await {
        Ok(created) => return Ok(created),
        Err(error) => error,
    };
    // The same request may have been faster.
    match context.find_replayed(tenant, key).await? {
        Some(id) => read(id).await?.ok_or_else(ScimError::gone_since),
        None => Err(error),
    }
}

/// What an attempt to write came to.
pub(super) enum Attempt<R, T> {
    /// Nothing more to do.
    Done(T),
    /// Somebody else was faster; the resource is now so.
    Conflict(R),
}

/// Attempts a write with the resource as it is, until nobody else was faster.
///
/// # Errors
/// Those of `attempt`, and 503 after [`MAX_WRITE_ATTEMPTS`].
pub(super) async fn retry_on_conflict<R, T, F>(resource: R, attempt: impl Fn(R, usize) -> F) -> Result<T, ScimError>
where
    F: Future<Output = Result<Attempt<R, T>, ScimError>>,
{
    let mut current = resource;
    for number in 0..MAX_WRITE_ATTEMPTS {
        match attempt(current, number).await? {
            Attempt::Done(outcome) => return Ok(outcome),
            Attempt::Conflict(newer) => current = newer,
        }
        tracing::debug!(number, resource = std::any::type_name::<R>(), "another request was faster");
    }
    Err(conflict_exhausted())
}

/// Others were faster every time.
pub(super) fn conflict_exhausted() -> ScimError {
    ScimError::retry(ErrorCode::Conflict, "other requests keep changing this resource; send the request again")
}
