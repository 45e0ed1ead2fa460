//! Creates tenants, and changes their profiles and settings.

use std::sync::Arc;

use super::AdminError;
use crate::app::profile_cache::Profiles;
use crate::store::Store;
use crate::store::dynamo::dry_run;
use crate::store::model::admin_action::AdminAuthor;
use crate::store::model::tenant::TenantRecord;
use crate::tenant::{NoticeSettings, Profile, ProfileRef, Settings, TenantConfig, TenantName};

/// A profile that somebody has named.
pub struct Chosen {
    /// What refers to it.
    reference: ProfileRef,
    /// The text of one that does not ship.
    own: Option<String>,
}

impl Chosen {
    /// One that ships.
    ///
    /// # Errors
    /// When none of that name does.
    pub fn shipped(name: &str) -> Result<Self, AdminError> {
        let reference = ProfileRef::shipped(name).ok_or_else(|| {
            let all: Vec<_> = Profile::shipped_names().collect();
            AdminError::Invalid(format!("profile {name} is not a built-in profile; use one of {}", all.join(", ")))
        })?;
        Ok(Self { reference, own: None })
    }

    /// A custom profile, from its text.
    ///
    /// # Errors
    /// The place that is not in order, and why.
    pub fn own(text: String) -> Result<Self, AdminError> {
        let profile = Profile::parse_own(&text).map_err(|bad| AdminError::Invalid(format!("profile: {bad}")))?;
        Ok(Self { reference: ProfileRef::own(&profile, &text), own: Some(text) })
    }

    /// The profile of a dry run, whose text is not stored.
    ///
    /// # Errors
    /// The place that is not in order, and why.
    pub fn preview(&self) -> Result<Option<Arc<Profile>>, AdminError> {
        let text = self.own.as_ref().filter(|_| dry_run::is_on());
        let profile = text.map(|text| Profile::parse_own(text)).transpose();
        Ok(profile.map_err(|bad| AdminError::Invalid(format!("profile: {bad}")))?.map(Arc::new))
    }

    /// Keeps the text with the tenant, if the profile does not ship.
    async fn keep(&self, store: &Store, tenant: &TenantName) -> Result<ProfileRef, AdminError> {
        if let (Some(text), Some(digest)) = (&self.own, self.reference.digest()) {
            store.add_profile(tenant, digest, text).await?;
        }
        Ok(self.reference.clone())
    }
}

/// Creates a tenant of whose notices nobody hears.
///
/// # Errors
/// When it is there already, or the store fails.
pub async fn add(
    store: &Store,
    name: &TenantName,
    profile: &Chosen,
    settings: Settings,
    by: impl Into<AdminAuthor>,
) -> Result<TenantRecord, AdminError> {
    create(store, name, profile, (settings, NoticeSettings::default()), by).await
}

/// Creates a tenant.
///
/// # Errors
/// When it is there already, or the store fails.
pub async fn create(
    store: &Store,
    name: &TenantName,
    profile: &Chosen,
    (settings, notices): (Settings, NoticeSettings),
    by: impl Into<AdminAuthor>,
) -> Result<TenantRecord, AdminError> {
    let (profile, by) = (profile.keep(store, name).await?, by.into());
    let config = TenantConfig { profile, settings, version: 0 };
    match store.create_tenant(name, &config, &notices, by.clone()).await? {
        true if dry_run::is_on() => Ok(TenantRecord { name: name.clone(), created: by.at, config, notices }),
        true => find(store, name).await,
        false => Err(AdminError::Conflict(format!("name {name} belongs to an existing tenant; choose another name"))),
    }
}

/// Changes a tenant's profile and settings; the keys that are there follow at once.
///
/// # Errors
/// When it is not there, is changed by another at the same moment, or the store fails.
pub async fn set(
    store: &Store,
    name: &TenantName,
    profile: Option<&Chosen>,
    (settings, notices): (impl FnOnce(Settings) -> Settings, impl FnOnce(NoticeSettings) -> NoticeSettings),
    by: impl Into<AdminAuthor>,
) -> Result<TenantRecord, AdminError> {
    let tenant = find(store, name).await?;
    let reference = match profile {
        Some(chosen) => chosen.keep(store, name).await?,
        None => tenant.config.profile.clone(),
    };
    let (settings, notices) = (settings(tenant.config.settings), notices(tenant.notices.clone()));
    store.change_tenant(&tenant, (reference.clone(), settings), notices.clone(), by).await?;
    if dry_run::is_on() {
        let config = TenantConfig { profile: reference, settings, ..tenant.config };
        return Ok(TenantRecord { config, notices, ..tenant });
    }
    find(store, name).await
}

/// The tenant of that name.
///
/// # Errors
/// When it is not there, or the store fails.
pub async fn find(store: &Store, name: &TenantName) -> Result<TenantRecord, AdminError> {
    let found = store.tenant(name).await?;
    found.ok_or_else(|| AdminError::NotFound(format!("tenant {name} does not exist; list the tenants, or create it")))
}

/// The tenant's profile.
///
/// # Errors
/// When it is not there, or the store fails.
pub async fn profile_of(store: &Store, tenant: &TenantRecord) -> Result<Arc<Profile>, AdminError> {
    Ok(Profiles::default().of(store, &tenant.name, &tenant.config.profile).await?)
}
