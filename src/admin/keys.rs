//! Creates, rotates and revokes keys. Creates the automation users in whose name keys act.

use jiff::{SignedDuration, Timestamp};

use super::trust::check_trust;
use super::{AdminError, tenants};
use crate::auth::{ApiKey, Credential, FederatedIssuer, KeyId, KeyRecord, Scope, jwt};
use crate::limits::{DEFAULT_KEY_LIFE_DAYS, MAX_AUTOMATION_BYTES, MAX_DESCRIPTION_BYTES};
use crate::store::dynamo::dry_run;
use crate::store::model::admin_action::AdminAuthor;
use crate::store::ops::automation::AutomationUser;
use crate::store::{Store, StoreError};
use crate::tenant::{CredentialType, OPERATOR_TENANT, Profile, TenantConfig, TenantName};

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The tenant.
    pub tenant: TenantName,
    /// What it is for.
    pub description: String,
    /// In whose name it acts.
    pub automation: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it begins to work.
    pub not_before: Option<Timestamp>,
    /// When it stops working.
    pub expires: Expiry,
    /// The type of its credential.
    pub credential_type: NewCredentialType,
}

/// When a new key stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// [`DEFAULT_KEY_LIFE_DAYS`] after it begins to work; that of a successor lives as long as the old one was to.
    Default,
    /// When it is revoked.
    Never,
    /// Then.
    At(Timestamp),
}

impl Expiry {
    /// The time, for a key that begins to work then.
    fn of(self, begins: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Default => Some(begins + SignedDuration::from_hours(24 * DEFAULT_KEY_LIFE_DAYS)),
            Self::Never => None,
            Self::At(expires) => Some(expires),
        }
    }
}

/// How the holder of a new key is to prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are those of Credential")]
pub enum NewCredentialType {
    Bearer,
    Basic,
    Client,
    Jwt,
    Federation(FederatedIssuer),
}

/// A new key, with its secret.
pub struct CreatedKey {
    /// What is stored of it.
    pub record: KeyRecord,
    /// The secret. Nothing stores it. None where an identity provider has its own.
    pub secret: Option<String>,
}

/// Creates a key.
///
/// # Errors
/// When the request is wrong, its automation user is not there, or the store fails.
pub async fn add(store: &Store, new: NewKey, by: impl Into<AdminAuthor>) -> Result<CreatedKey, AdminError> {
    let by = by.into();
    check(&new, by.at)?;
    let tenant = tenants::find(store, &new.tenant).await?;
    check_credential_type(&*tenants::profile_of(store, &tenant).await?, &new.credential_type)?;
    let awaiting_activation = match &new.automation {
        Some(name) => !is_active(store, &new.tenant, name).await?,
        None => false,
    };
    let new_key = new_key(new, tenant.config, awaiting_activation, by.at)?;
    store.add_key(&new_key.record, by).await.map_err(|error| match error {
        StoreError::Exists => {
            AdminError::Conflict("issuer and audience belong to an existing key; revoke that key first".to_owned())
        }
        error => error.into(),
    })?;
    // Activated meanwhile, the user has not seen the new key.
    if let (true, Some(name)) = (awaiting_activation, &new_key.record.automation)
        && is_active(store, &new_key.record.tenant, name).await.unwrap_or_default()
    {
        // The key exists even if this fails, so its secret must be returned. Activating the user again does the same.
        let _ = store.activate_key(&new_key.record.tenant, &new_key.record.id).await;
    }
    Ok(new_key)
}

/// A key that was rotated.
pub struct Rotation {
    /// Its successor.
    pub successor: CreatedKey,
    /// Until when the old one works.
    pub ends: Timestamp,
}

/// Creates a key like another, which works on for a while: whoever uses it has that long to take the new one.
///
/// # Errors
/// When there is no such key, it cannot be rotated, or the store fails.
pub async fn rotate(
    store: &Store,
    tenant: &TenantName,
    id: &KeyId,
    overlap: SignedDuration,
    expires: Expiry,
    by: impl Into<AdminAuthor>,
) -> Result<Rotation, AdminError> {
    let by = by.into();
    let now = by.at;
    let old = find(store, tenant, id).await?;
    let credential_type = match &old.credential {
        Credential::Bearer(_) => NewCredentialType::Bearer,
        Credential::Basic(_) => NewCredentialType::Basic,
        Credential::Client(_) => NewCredentialType::Client,
        Credential::Jwt { .. } => NewCredentialType::Jwt,
        Credential::Federation { .. } => {
            return Err(AdminError::Invalid(format!(
                "{id} has no secret to rotate; rotate the signing key at the identity provider"
            )));
        }
    };
    if old.revoked.is_some() {
        return Err(AdminError::Invalid(format!("{id} is revoked; create a new key")));
    }
    // As long as the old one was to live when it was created, unless somebody says otherwise.
    let expires = match (expires, old.expires) {
        (Expiry::Default, Some(expires)) => Expiry::At(now + expires.duration_since(old.created)),
        (Expiry::Default, None) => Expiry::Never,
        (said, _) => said,
    };
    let before = old.ends();
    let ends = before.map_or(now + overlap, |ends| ends.min(now + overlap));
    let new = NewKey {
        tenant: tenant.clone(),
        description: old.description,
        automation: old.automation,
        scopes: old.scopes,
        not_before: None,
        expires,
        credential_type,
    };
    let successor = add(store, new, by.clone()).await?;
    store.expire_key_at(tenant, (id, &successor.record.id), (before, now + overlap), by).await?;
    Ok(Rotation { successor, ends })
}

/// The record of a key.
///
/// # Errors
/// When no key has that id, or the store fails.
pub async fn find(store: &Store, tenant: &TenantName, id: &KeyId) -> Result<KeyRecord, AdminError> {
    let found = store.key(tenant, id).await?;
    found.ok_or_else(|| AdminError::NotFound(format!("key {id} does not exist in tenant {tenant}; list its keys")))
}

/// Creates an automation user if it is not there, and activates it, and with it the keys that wait for it. What is
/// activated stays so.
///
/// # Errors
/// When the name is wrong, or the store fails.
pub async fn put_automation_user(
    store: &Store,
    tenant: &TenantName,
    name: &str,
    is_active: bool,
    by: impl Into<AdminAuthor>,
) -> Result<AutomationUser, AdminError> {
    let by = by.into();
    // RFC 7617 section 2: the user of HTTP Basic ends at the first colon. Gateways take the others apart in paths.
    let is_strange = |c: char| c.is_control() || ":/%".contains(c);
    let is_good = (1..=MAX_AUTOMATION_BYTES).contains(&name.len()) && !name.chars().any(is_strange);
    if !is_good {
        return Err(AdminError::Invalid(format!(
            "name is no name for an automation user; send 1 to {MAX_AUTOMATION_BYTES} bytes without colon, slash, percent sign or control character"
        )));
    }
    store.add_automation_user(tenant, name, by.clone()).await?;
    let at = by.at;
    if is_active {
        store.activate_automation_user(tenant, name, by).await?;
    }
    let found = store.automation_user(tenant, name).await?;
    if dry_run::is_on() {
        let user = found.unwrap_or_else(|| AutomationUser { name: name.to_owned(), created: at, activated: None });
        let activated = user.activated.or(is_active.then_some(at));
        return Ok(AutomationUser { activated, ..user });
    }
    found.ok_or_else(|| no_user(tenant, name))
}

async fn is_active(store: &Store, tenant: &TenantName, name: &str) -> Result<bool, AdminError> {
    let user = store.automation_user(tenant, name).await?.ok_or_else(|| no_user(tenant, name))?;
    Ok(user.activated.is_some())
}

fn no_user(tenant: &TenantName, name: &str) -> AdminError {
    AdminError::NotFound(format!("the tenant {tenant} has no automation user {name}; create it first"))
}

fn check(new: &NewKey, now: Timestamp) -> Result<(), AdminError> {
    let refuse = |why: String| Err(AdminError::Invalid(why));
    if new.description.trim().is_empty() || new.description.len() > MAX_DESCRIPTION_BYTES {
        return refuse(format!("description is empty or too long; send 1 to {MAX_DESCRIPTION_BYTES} bytes"));
    }
    if new.scopes.is_empty() {
        return refuse("scopes is empty; name at least one of read, write, admin and events".to_owned());
    }
    if new.scopes.contains(&Scope::Admin) && new.tenant.as_str() != OPERATOR_TENANT {
        return refuse(format!(
            "scopes cannot contain admin in this tenant; create admin keys in the tenant {OPERATOR_TENANT}"
        ));
    }
    if let Expiry::At(expires) = new.expires {
        if expires <= now {
            return refuse("expires is in the past; send a later time".to_owned());
        }
        if new.not_before.is_some_and(|begins| expires <= begins) {
            return refuse("notBefore is not before expires; send an earlier time".to_owned());
        }
    }
    if new.expires == Expiry::Never && new.credential_type == NewCredentialType::Jwt {
        return refuse("expires cannot be never for a JWT; send a time".to_owned());
    }
    if matches!(new.credential_type, NewCredentialType::Basic | NewCredentialType::Jwt) && new.automation.is_none() {
        return refuse(
            "automation is missing; name the automation user of this HTTP Basic or JWT credential".to_owned(),
        );
    }
    match &new.credential_type {
        NewCredentialType::Federation(trust) => check_trust(trust),
        _ => Ok(()),
    }
}

/// Refuses a credential of a type that the tenant's profile does not allow.
fn check_credential_type(profile: &Profile, credential_type: &NewCredentialType) -> Result<(), AdminError> {
    let credential_type = match credential_type {
        NewCredentialType::Bearer => CredentialType::Bearer,
        NewCredentialType::Basic => CredentialType::Basic,
        NewCredentialType::Client => CredentialType::Client,
        NewCredentialType::Jwt => CredentialType::Jwt,
        NewCredentialType::Federation(_) => CredentialType::Federation,
    };
    if profile.allows(credential_type) {
        return Ok(());
    }
    let allowed = profile.credentials.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    Err(AdminError::Invalid(format!(
        "type {credential_type} is not allowed by the tenant's profile {}; use one of {allowed}",
        profile.name
    )))
}

fn new_key(
    new: NewKey,
    config: TenantConfig,
    awaiting_activation: bool,
    now: Timestamp,
) -> Result<CreatedKey, AdminError> {
    let no_random =
        |_| AdminError::Store(StoreError::Unavailable("the system returned no random numbers; try again".to_owned()));
    let mut seal = [0; 32];
    getrandom::fill(&mut seal).map_err(no_random)?;
    let key = ApiKey::mint(&new.tenant).map_err(no_random)?;
    let begins = new.not_before.unwrap_or(now);
    let expires = new.expires.of(begins);
    let (id, credential, secret) = match new.credential_type {
        NewCredentialType::Bearer => (key.id().clone(), Credential::Bearer(key.hash()), Some(key.reveal())),
        NewCredentialType::Basic => (key.id().clone(), Credential::Basic(key.hash()), Some(key.reveal())),
        NewCredentialType::Client => (key.id().clone(), Credential::Client(key.hash()), Some(key.reveal())),
        NewCredentialType::Federation(trust) => {
            (FederatedIssuer::key_id(&trust.issuer, &trust.audience), Credential::Federation { trust, seal }, None)
        }
        NewCredentialType::Jwt => {
            let until = expires.unwrap_or(begins);
            let subject = new.automation.as_deref().unwrap_or_default();
            let issued = jwt::issue(&new.tenant, key.id(), subject, begins, until);
            let issued = issued.map_err(|why| AdminError::Store(StoreError::Unavailable(why)))?;
            (key.id().clone(), Credential::Jwt { public_key: issued.public_key, seal }, Some(issued.token))
        }
    };
    let scopes = Scope::ALL.into_iter().filter(|scope| new.scopes.contains(scope)).collect();
    let record = KeyRecord {
        tenant: new.tenant,
        id,
        credential,
        scopes,
        description: new.description,
        automation: new.automation,
        awaiting_activation,
        created: now,
        not_before: new.not_before,
        expires,
        retires: None,
        revoked: None,
        used: None,
        refill: None,
        config,
    };
    Ok(CreatedKey { record, secret })
}
