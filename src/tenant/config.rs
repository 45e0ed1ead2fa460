//! What a tenant is like: its profile and its settings. A copy is on each of its keys, so that the check of a key
//! returns both without another read.

use std::fmt;
use std::str::FromStr;

use crate::tenant::{ProfileRef, Protection, TenantRate};

/// What a tenant is like, as the tenant's own record says, or a copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantConfig {
    /// Its profile.
    pub profile: ProfileRef,
    /// Its settings.
    pub settings: Settings,
    /// Grows with every change, so that a copy that is behind differs from one that is not. 0 for a tenant that was created
    /// before there were profiles.
    pub version: u64,
}

/// What the application is to do with users, as the tenant's administrator chose: the two settings of Jostle's document,
/// "automatically invite and/or disable/suspend users". Rollcall does neither: each event has the setting. And how
/// Rollcall protects the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Whether a new user is invited at once.
    pub invite_automatically: bool,
    /// What becomes of a user whose `active` is false.
    pub on_deactivation: OnDeactivation,
    /// How the tenant is protected against mass deprovisioning.
    pub protection: Protection,
    /// How many requests a second it may send.
    pub rate: TenantRate,
}

/// What becomes of a user who is deactivated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDeactivation {
    /// The account is disabled.
    #[default]
    Disable,
    /// The account is suspended.
    Suspend,
}

impl OnDeactivation {
    /// The name in records and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Suspend => "suspend",
        }
    }
}

impl fmt::Display for OnDeactivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnDeactivation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Disable, Self::Suspend]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| format!("{text} is unknown; use disable or suspend"))
    }
}
