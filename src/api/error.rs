//! What a failure of the store is to a client. The cause goes to the log.

use crate::limits::MAX_SCANNED_PAGES;
use crate::scim::filter::plan::Indexed;
use crate::scim::user::INDEXED;
use crate::scim::{ErrorCode, ScimError};
use crate::store::StoreError;
use crate::store::model::hold::Hold;

impl From<StoreError> for ScimError {
    fn from(error: StoreError) -> Self {
        if !matches!(error, StoreError::TooMany(_)) {
            tracing::error!(%error, "store");
        }
        match error {
            StoreError::Throttled(_) => {
                Self::retry(ErrorCode::Throttled, "too many requests at once; send the request again after Retry-After")
            }
            StoreError::Contended(_) => Self::retry(
                ErrorCode::Conflict,
                "other requests keep changing the same resource; send the request again",
            ),
            StoreError::Unavailable(_) => Self::unavailable(
                "the store did not answer; try again, or read the resource to see whether the change was made",
            ),
            StoreError::Full(_) => {
                Self::new(ErrorCode::StoreFull, "this tenant's store is full; ask the operator of the application")
            }
            StoreError::Newer(_) => Self::retry(
                ErrorCode::NewerFormat,
                "a newer release has written this resource; send the request again after Retry-After",
            ),
            StoreError::Exists => Self::uniqueness("the id is taken; send the request again"),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::new(
                ErrorCode::Misconfigured,
                "the endpoint is not set up correctly; its operator finds the cause in the log",
            ),
            StoreError::TooMany(_) => too_much_reading(INDEXED),
        }
    }
}

/// What a request is answered that the tenant's protection holds. Never 401, 403 or 404: identity providers stop at once
/// at the first two, and take the third for the end of a user.
pub(super) fn held(hold: &Hold) -> ScimError {
    let Hold { tenant, window, minutes, seconds_left } = hold;
    let (what, how) = match &window.group {
        None => ("users lost access".to_owned(), String::new()),
        Some(group) => (format!("members left group {group}"), format!(" --group {group}")),
    };
    let detail = format!(
        "Rollcall holds this request: {} {what} within {minutes} minutes, and the bound is {}; an operator of the \
         application approves with `rollcall hold approve {tenant}{how}`, or send it again after Retry-After",
        window.count, window.bound
    );
    ScimError { retry_after: Some(*seconds_left), ..ScimError::new(ErrorCode::Held, detail) }
}

/// What a failure of the store is to who searches resources with these indexes.
pub(super) fn of_search(error: StoreError, indexed: &[Indexed]) -> ScimError {
    match error {
        StoreError::TooMany(_) => too_much_reading(indexed),
        other => other.into(),
    }
}

fn too_much_reading(indexed: &[Indexed]) -> ScimError {
    let indexed: Vec<_> = indexed.iter().map(|index| index.attribute).collect();
    ScimError::too_many(format!(
        "the answer would take reading more than {MAX_SCANNED_PAGES} MB; filter by an eq term on one of {}, or read page \
         by page with a cursor",
        indexed.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::group;

    #[test]
    fn a_search_that_reads_too_much_learns_which_attributes_have_an_index() {
        let detail = |indexed| of_search(StoreError::TooMany(1), indexed).detail;
        assert!(detail(group::INDEXED).contains("id, displayName, externalId, members.value"));
        assert!(detail(INDEXED).contains("userName"));
    }
}
