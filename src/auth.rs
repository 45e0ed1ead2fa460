//! Who is calling: the only place that makes a [`Tenant`].

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::{Either, select};
use jiff::Timestamp;
use subtle::ConstantTimeEq;

use crate::limits::{MAX_AUTHORIZATION_BYTES, MAX_TENANT_BYTES};
use crate::scim::{Profile, ProfileRef};

pub mod key;
pub mod seal;
pub mod shape;

pub use crate::scim::profile::CredentialForm;
pub use key::{ApiKey, KeyId};
pub use seal::SealKey;
pub use shape::{OnDeactivation, Settings, TenantShape};

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
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| format!("{text} is not a scope; the scopes are read, write and admin"))
    }
}

/// What is stored of a key: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The tenant whose data the key opens.
    pub tenant: TenantName,
    /// Which key.
    pub id: KeyId,
    /// SHA-256 of the secret. A slow hash would add nothing: the secret has 256 random bits.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// What its owner calls it.
    pub description: String,
    /// The automation user in whose name it acts.
    pub automation: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// What its tenant is like: a copy, renewed when the tenant changes.
    pub shape: TenantShape,
}

impl KeyRecord {
    /// Whether the key works at that time.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// Why a request was not let in. Goes to the log; the client is told the same for all but `Scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Denial {
    Missing,
    Malformed,
    OtherTenant,
    Unknown,
    WrongSecret,
    Revoked,
    Expired,
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
    fn of(tenant: Tenant, record: KeyRecord, profile: Arc<Profile>) -> Self {
        let seal = SealKey::of(&record.hash);
        let KeyRecord { id: key, scopes, automation, shape, .. } = record;
        Self { tenant, key, scopes, automation, seal, profile, settings: shape.settings }
    }

    /// The tenant whose data the caller may touch.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key, for the audit trail.
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

/// What a request says of itself, before anything is checked against the store.
#[derive(Debug)]
pub struct Claim {
    tenant: Tenant,
    key: ApiKey,
}

impl Claim {
    /// Reads an `Authorization` header for the tenant named in the URL.
    ///
    /// # Errors
    /// Why the header cannot be a key of that tenant.
    pub fn read(authorization: Option<&[u8]>, tenant_in_url: &str) -> Result<Self, Denial> {
        let header = authorization.ok_or(Denial::Missing)?;
        if header.len() > MAX_AUTHORIZATION_BYTES {
            return Err(Denial::Malformed);
        }
        let header = std::str::from_utf8(header).map_err(|_| Denial::Malformed)?;
        let (scheme, token) = header.split_once(' ').ok_or(Denial::Malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denial::Malformed);
        }
        let key = ApiKey::parse(token.trim()).ok_or(Denial::Malformed)?;
        if key.tenant().as_str() != tenant_in_url {
            return Err(Denial::OtherTenant);
        }
        Ok(Self { tenant: Tenant(key.tenant().clone()), key })
    }

    /// The tenant named by the key, not verified.
    pub fn tenant_name(&self) -> &TenantName {
        self.key.tenant()
    }

    /// The key's id.
    pub fn key_id(&self) -> &KeyId {
        self.key.id()
    }

    /// Looks the key up and, in the same wave, makes a read for the tenant it names. What was read is handed out
    /// only if the key is good, and dropped otherwise. The tenant's profile is asked for after that.
    ///
    /// # Errors
    /// The lookup's own error or that of the profile, or why the caller is not let in.
    pub async fn verify_beside<T, E, F, P>(
        self,
        lookup: impl Future<Output = Result<Option<KeyRecord>, E>>,
        read: impl FnOnce(Tenant) -> F,
        profile: impl FnOnce(ProfileRef) -> P,
        scope: Scope,
        now: Timestamp,
    ) -> Result<Result<(Principal, T), Denial>, E>
    where
        F: Future<Output = T>,
        P: Future<Output = Result<Arc<Profile>, E>>,
    {
        let read = std::pin::pin!(read(self.tenant.clone()));
        // Whichever comes first: a read for a caller who is not let in ends there.
        let (record, read) = match select(std::pin::pin!(lookup), read).await {
            Either::Left((record, read)) => (record, Either::Left(read)),
            Either::Right((read, lookup)) => (lookup.await, Either::Right(read)),
        };
        let record = match self.verify(record?, scope, now) {
            Ok(record) => record,
            Err(denial) => return Ok(Err(denial)),
        };
        let profile = profile(record.shape.profile.clone()).await?;
        let read = match read {
            Either::Left(under_way) => under_way.await,
            Either::Right(done) => done,
        };
        Ok(Ok((Principal::of(self.tenant, record, profile), read)))
    }

    fn verify(&self, record: Option<KeyRecord>, scope: Scope, now: Timestamp) -> Result<KeyRecord, Denial> {
        // An unknown key is compared too, so that it takes as long as a wrong one.
        let hash = record.as_ref().map_or([0; 32], |record| record.hash);
        let is_same = bool::from(hash.ct_eq(&self.key.hash()));
        let record = record.ok_or(Denial::Unknown)?;
        if !is_same {
            return Err(Denial::WrongSecret);
        }
        if record.revoked.is_some() {
            return Err(Denial::Revoked);
        }
        if !record.is_live(now) {
            return Err(Denial::Expired);
        }
        if !record.scopes.contains(&scope) {
            return Err(Denial::Scope);
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &ApiKey) -> KeyRecord {
        KeyRecord {
            tenant: key.tenant().clone(),
            id: key.id().clone(),
            hash: key.hash(),
            scopes: vec![Scope::Read],
            description: "test".into(),
            automation: None,
            created: Timestamp::UNIX_EPOCH,
            expires: None,
            revoked: None,
            shape: TenantShape::default(),
        }
    }

    #[test]
    fn a_tenant_name_fits_a_url_and_okta() {
        for good in ["acme", "a", "acme-2", "0"] {
            assert!(good.parse::<TenantName>().is_ok(), "{good}");
        }
        for bad in ["", "Acme", "a_b", "-a", "a-", "a/b", "a#b", "ä", &"a".repeat(41)] {
            assert!(bad.parse::<TenantName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_opens_its_own_tenant_while_it_lives_and_within_its_scope() {
        let key = ApiKey::mint(&"acme".parse().unwrap()).unwrap();
        let now = Timestamp::from_second(1_000).unwrap();
        let header = format!("bearer {}", key.reveal());
        let claim = |tenant: &str| Claim::read(Some(header.as_bytes()), tenant);
        let verify = |record: Option<KeyRecord>, scope| claim("acme").unwrap().verify(record, scope, now);
        assert_eq!(claim("other").unwrap_err(), Denial::OtherTenant);
        assert!(verify(Some(record(&key)), Scope::Read).is_ok());
        assert_eq!(verify(Some(record(&key)), Scope::Write).unwrap_err(), Denial::Scope);
        assert_eq!(verify(None, Scope::Read).unwrap_err(), Denial::Unknown);
        let with = |change: fn(&mut KeyRecord)| {
            let mut record = record(&key);
            change(&mut record);
            verify(Some(record), Scope::Read)
        };
        assert_eq!(with(|r| r.hash[0] ^= 1).unwrap_err(), Denial::WrongSecret);
        assert_eq!(with(|r| r.revoked = Some(r.created)).unwrap_err(), Denial::Revoked);
        assert_eq!(with(|r| r.expires = Timestamp::from_second(1_000).ok()).unwrap_err(), Denial::Expired);
        assert!(with(|r| r.expires = Timestamp::from_second(1_001).ok()).is_ok());
    }

    #[test]
    fn what_is_no_bearer_key_is_refused_without_a_lookup() {
        for bad in ["", "non-token", "Bearer", "Bearer x", "Basic YTpi", "Bearer scim_acme_x_y"] {
            assert_eq!(Claim::read(Some(bad.as_bytes()), "acme").unwrap_err(), Denial::Malformed, "{bad}");
        }
        assert_eq!(Claim::read(None, "acme").unwrap_err(), Denial::Missing);
        assert_eq!(Claim::read(Some(b"Bearer \xff"), "acme").unwrap_err(), Denial::Malformed);
    }
}
