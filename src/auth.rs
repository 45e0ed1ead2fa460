//! Who is calling: the only place that makes a [`Tenant`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::MAX_TENANT_BYTES;
use crate::scim::Profile;

pub mod config;
pub mod credential;
pub mod issuer;
pub mod jwt;
pub mod key;
pub mod record;
pub mod seal;

pub use crate::scim::profile::CredentialType;
pub use config::{OnDeactivation, Settings, TenantConfig};
pub use credential::PresentedCredential;
pub use issuer::Issuers;
pub use key::{ApiKey, KeyId};
pub use record::{Credential, FederatedIssuer, KeyRecord};
pub use seal::SealKey;

/// The operators' own tenant: its keys of scope `admin` open the admin API.
pub const OPERATOR_TENANT: &str = "admin";

/// The name of a tenant: `[a-z0-9-]`, as it stands in URLs and keys. Okta refuses a base URL with an underscore.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(String);

/// Why a text is not a tenant name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tenant name has 1 to {MAX_TENANT_BYTES} lower-case letters, digits and hyphens, and starts and ends with a letter or digit"
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

/// A tenant whose data may be read and written. Made by this module alone, from a key (or from an item that is there
/// already): a store method that takes one cannot be called for a tenant that somebody merely named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(TenantName);

impl Tenant {
    /// The tenant that a stored item belongs to, for finishing what one of its own requests has begun.
    pub(crate) fn of_item(name: TenantName) -> Self {
        Self(name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name, as what it is.
    pub fn name(&self) -> &TenantName {
        &self.0
    }
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Read users, groups and discovery documents.
    Read,
    /// Create, change and delete users and groups.
    Write,
    /// Manage tenants and keys.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name in a key record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("{text} is not a scope; the scopes are read, write and admin"))
    }
}

/// Why a request was not let in. Goes to the log; the client is told the same for all but `Scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Denial {
    Missing,
    Malformed,
    OtherTenant,
    /// A credential of another form than the record's.
    WrongCredentialType,
    Unknown,
    WrongSecret,
    /// The issuer's keys could not be had.
    IssuerUnavailable,
    Revoked,
    Expired,
    NotYetValid,
    /// Its automation user was never activated.
    AutomationUserInactive,
    /// An assertion that was shown before.
    Replayed,
    Scope,
}

/// A caller whose key was verified.
#[derive(Debug, Clone)]
pub struct Principal {
    tenant: Tenant,
    key: KeyId,
    scopes: Vec<Scope>,
    automation: Option<String>,
    seal: SealKey,
    profile: Arc<Profile>,
    settings: Settings,
}

impl Principal {
    /// Whoever holds the tables themselves: the operator at the command line, with the credentials that open them.
    ///
    /// # Errors
    /// When a profile that ships is not in order; a test reads them all.
    #[cfg(feature = "local")]
    pub(crate) fn local_operator() -> Result<Self, crate::scim::ScimError> {
        let broken = |why: String| crate::scim::ScimError::status(500, why);
        let name: TenantName = OPERATOR_TENANT.parse().map_err(|e: BadTenantName| broken(e.to_string()))?;
        let text = Profile::shipped("default").unwrap_or_default();
        let profile = Profile::parse(text).map_err(|bad| broken(bad.to_string()))?;
        let id = KeyId::of_digest(b"command line");
        let seal = SealKey::of(&[0; 32]);
        let (scopes, settings) = (vec![Scope::Admin], Settings::default());
        let profile = Arc::new(profile);
        Ok(Self { tenant: Tenant(name), key: id, scopes, automation: None, seal, profile, settings })
    }

    fn of(tenant: Tenant, record: KeyRecord, profile: Arc<Profile>) -> Self {
        let seal = record.credential.seal();
        let KeyRecord { id, credential, scopes, automation, config, .. } = record;
        let key = if let Credential::Token { client, .. } = credential { client } else { id };
        Self { tenant, key, scopes, automation, seal, profile, settings: config.settings }
    }

    /// The tenant whose data the caller may touch.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key, for the audit trail. For an access token it is that of the client that it was given to.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// Whether the key has a scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// The `userName` of the automation user in whose name the key acts.
    pub fn automation(&self) -> Option<&str> {
        self.automation.as_deref()
    }

    /// What is sealed for this key alone.
    pub fn seal(&self) -> &SealKey {
        &self.seal
    }

    /// The tenant's profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The tenant's settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_name_fits_a_url_and_okta() {
        for good in ["acme", "a", "acme-2", "0"] {
            assert!(good.parse::<TenantName>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "a_b", "-a", "a-", "a/b", "a#b", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
        }
    }
}
