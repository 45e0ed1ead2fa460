//! What a failure of the store is to a client. The cause goes to the log.

use crate::limits::MAX_SCANNED_PAGES;
use crate::scim::ScimError;
use crate::scim::user::INDEXED;
use crate::store::StoreError;

impl From<StoreError> for ScimError {
    fn from(error: StoreError) -> Self {
        if !matches!(error, StoreError::TooMany(_)) {
            tracing::error!(%error, "store");
        }
        match error {
            StoreError::Throttled(_) => {
                Self { retry_after: Some(1), ..Self::status(429, "too many requests at once; try again") }
            }
            StoreError::Contended(_) => Self::unavailable("others are changing the same resource; try again"),
            StoreError::Unavailable(_) => Self::unavailable(
                "the store did not answer; try again, or read the resource to see whether the change was made",
            ),
            StoreError::Full(_) => {
                Self::status(507, "this tenant's store is full; tell the operator of the application")
            }
            StoreError::Exists => Self::uniqueness("it is there already"),
            StoreError::Refused(_) | StoreError::Corrupt(_) => {
                Self::status(500, "the endpoint is not set up correctly; its operator finds the cause in the log")
            }
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
