//! Tenants: their profile and settings.

use std::sync::Arc;

use super::AdminError;
use crate::auth::TenantName;
use crate::profiles::Profiles;
use crate::scim::Profile;
use crate::store::Store;
use crate::store::tenants::TenantRecord;

/// The tenant of that name.
///
/// # Errors
/// When it is not there, or the store fails.
pub async fn find(store: &Store, name: &TenantName) -> Result<TenantRecord, AdminError> {
    let found = store.tenant(name).await?;
    found.ok_or_else(|| AdminError::NotFound(format!("there is no tenant {name}")))
}

/// The tenant's profile.
///
/// # Errors
/// When it is not there, or the store fails.
pub async fn profile_of(store: &Store, tenant: &TenantRecord) -> Result<Arc<Profile>, AdminError> {
    Ok(Profiles::default().of(store, &tenant.name, &tenant.shape.profile).await?)
}
