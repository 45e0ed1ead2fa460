//! What operators do to tenants, keys and automation users: the same by the command line and by the admin API.

use crate::store::StoreError;

pub mod keys;
pub mod log;
pub mod render;
pub mod tenants;
mod trust;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// What was asked for is wrong: the field and the rule.
    #[error("{0}")]
    Invalid(String),
    /// What it is to be done to is not there.
    #[error("{0}")]
    NotFound(String),
    /// It is there already.
    #[error("{0}")]
    Conflict(String),
    /// The store did not do it.
    #[error("{0}")]
    Store(#[from] StoreError),
}
