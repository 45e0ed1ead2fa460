//! Who was authorized, and for what: the only place that creates a [`Tenant`].

use std::sync::Arc;

use super::key::KeyId;
use super::page::{PageAccess, SessionRecord};
use super::record::KeyRecord;
use super::scope::Scope;
use super::seal::SealKey;
use crate::tenant::{Profile, Settings, TenantName};

/// What the id of an operator at the command line stands for.
const COMMAND_LINE: &[u8] = b"command line";

/// A tenant whose data may be read and written. Only [`auth`](crate::auth) creates one, from a key (or from an item that is there
/// already): a store method that takes one cannot be called for a tenant that somebody merely named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(pub(super) TenantName);

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
    refill: Option<i64>,
    page: Option<PageAccess>,
}

impl Principal {
    /// Whoever holds the tables themselves: the operator at the command line, with the credentials that open them.
    ///
    /// # Errors
    /// When a profile that ships is not in order; a test reads them all.
    #[cfg(feature = "local")]
    pub(crate) fn local_operator() -> Result<Self, crate::scim::ScimError> {
        let broken = |why: String| crate::scim::ScimError::new(crate::scim::ErrorCode::Misconfigured, why);
        let name: TenantName =
            crate::tenant::OPERATOR_TENANT.parse().map_err(|e: crate::tenant::BadTenantName| broken(e.to_string()))?;
        let text = Profile::shipped("default").unwrap_or_default();
        let profile = Profile::parse(text).map_err(|bad| broken(bad.to_string()))?;
        let id = KeyId::of_digest(COMMAND_LINE);
        let seal = SealKey::of(&[0; 32]);
        let (scopes, settings) = (vec![Scope::Admin], Settings::default());
        let profile = Arc::new(profile);
        Ok(Self {
            tenant: Tenant(name),
            key: id,
            scopes,
            automation: None,
            seal,
            profile,
            settings,
            refill: None,
            page: None,
        })
    }

    /// Whether it is an operator at the command line, who has no key.
    pub fn is_command_line(&self) -> bool {
        self.key == KeyId::of_digest(COMMAND_LINE)
    }

    pub(super) fn of(tenant: Tenant, record: KeyRecord, profile: Arc<Profile>) -> Self {
        let seal = record.credential.seal();
        let KeyRecord { id: key, scopes, automation, config, refill, .. } = record;
        Self { tenant, key, scopes, automation, seal, profile, settings: config.settings, refill, page: None }
    }

    /// Whoever uses the page in a session: reads, and what its role may do by the admin API on its own tenant.
    pub fn of_session(session: SessionRecord, settings: Settings, profile: Arc<Profile>) -> Self {
        let SessionRecord { tenant, id: key, hash, access, .. } = session;
        let (seal, scopes) = (SealKey::of(&hash), vec![Scope::Read, Scope::Admin]);
        let (tenant, page) = (Tenant(tenant), Some(access));
        Self { tenant, key, scopes, automation: None, seal, profile, settings, refill: None, page }
    }

    /// The same operator, as a reader of a tenant's data with the scope `read` alone; none for a caller who is no operator.
    /// A cursor that is sealed for one tenant opens at no other.
    pub fn reader_of(&self, tenant: &TenantName, settings: Settings, profile: Arc<Profile>) -> Option<Self> {
        self.has(Scope::Admin).then(|| Self {
            tenant: Tenant(tenant.clone()),
            scopes: vec![Scope::Read],
            automation: None,
            seal: self.seal.of_tenant(tenant.as_str()),
            profile,
            settings,
            refill: None,
            page: None,
            key: self.key.clone(),
        })
    }

    /// What the caller may do, if it uses the page.
    pub fn page(&self) -> Option<&PageAccess> {
        self.page.as_ref()
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

    /// When the token bucket of the key is full again, as its record says, in microseconds since 1970.
    pub fn refill(&self) -> Option<i64> {
        self.refill
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
