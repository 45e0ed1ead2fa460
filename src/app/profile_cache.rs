//! The profiles that a process has read. One costs a read once in the life of a process; those that ship cost none.

use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::PROFILE_CACHE_SIZE;
use crate::store::{Store, StoreError};
use crate::tenant::{Profile, ProfileRef, TenantName};

/// Profiles by what refers to them. Each is immutable, so that none is ever out of date.
#[derive(Debug, Clone, Default)]
pub struct Profiles(Arc<Mutex<Vec<Held>>>);

/// A profile, and what refers to it.
type Held = (ProfileRef, Arc<Profile>);

impl Profiles {
    /// The profile of a tenant.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; `Corrupt` for a profile that does not exist, or that this release refuses.
    pub async fn of(
        &self,
        store: &Store,
        tenant: &TenantName,
        wanted: &ProfileRef,
    ) -> Result<Arc<Profile>, StoreError> {
        if let Some(held) = self.held(wanted) {
            return Ok(held);
        }
        let missing = || StoreError::Corrupt(format!("the profile {wanted} of the tenant {tenant} is not there"));
        let profile = match wanted.digest() {
            None => Profile::parse(Profile::shipped(wanted.name()).ok_or_else(missing)?),
            Some(digest) => Profile::parse(&store.profile(tenant, digest).await?.ok_or_else(missing)?),
        };
        let profile = profile.map_err(|bad| StoreError::Corrupt(format!("the profile {wanted}: {bad}")))?;
        Ok(self.hold(wanted, profile))
    }

    /// The profile that a reference means, if it takes no read to know.
    pub fn known(&self, wanted: &ProfileRef) -> Option<Arc<Profile>> {
        let shipped = || Profile::parse(Profile::shipped(wanted.name())?).ok().map(Arc::new);
        self.held(wanted).or_else(|| wanted.digest().is_none().then(shipped).flatten())
    }

    fn held(&self, wanted: &ProfileRef) -> Option<Arc<Profile>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().find(|(known, _)| known == wanted).map(|(_, profile)| profile.clone())
    }

    /// Keeps a profile, in place of the one that has been kept longest if they are many.
    fn hold(&self, wanted: &ProfileRef, profile: Profile) -> Arc<Profile> {
        let profile = Arc::new(profile);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests side by side may all have read it.
        held.retain(|(known, _)| known != wanted);
        if held.len() >= PROFILE_CACHE_SIZE {
            held.remove(0);
        }
        held.push((wanted.clone(), profile.clone()));
        profile
    }
}
