//! The name of a tenant.

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_TENANT_BYTES;

/// The operators' own tenant: its keys of scope `admin` open the admin API.
pub const OPERATOR_TENANT: &str = "admin";

/// The name of a tenant: `[a-z0-9-]`, as it stands in URLs and keys. Okta refuses a base URL with an underscore.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(String);

/// Why a text is not a tenant name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant name must have 1 to {MAX_TENANT_BYTES} lower-case letters, digits and hyphens, and start and end with a letter or digit"
)]
pub struct BadTenantName;

impl FromStr for TenantName {
    type Err = BadTenantName;

    fn from_str(text: &str) -> Result<Self, BadTenantName> {
        let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_good = (1..=MAX_TENANT_BYTES).contains(&text.len())
            && text.chars().all(is_inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_good { Ok(Self(text.to_owned())) } else { Err(BadTenantName) }
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TenantName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
