//! What a failure of the store is to a client. The cause goes to the log.

use crate::limits::MAX_SCANNED_PAGES;
use crate::scim::user::INDEXED;
use crate::scim::{ErrorCode, ScimError};
use crate::store::StoreError;

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
            StoreError::Exists => Self::uniqueness("the id is taken; send the request again"),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::new(
                ErrorCode::Misconfigured,
                "the endpoint is not set up correctly; its operator finds the cause in the log",
            ),
            StoreError::TooMany(_) => {
                let indexed: Vec<_> = INDEXED.iter().map(|index| index.attribute).collect();
                Self::too_many(format!(
                    "this filter would read more than {MAX_SCANNED_PAGES} MB; add an eq term on one of {}",
                    indexed.join(", ")
                ))
            }
        }
    }
}
