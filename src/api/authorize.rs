//! Who may go on: the check of the credential, in the same round trip as the first read.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::join;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};

use super::context::RequestContext;
use super::dry_run;
use super::path::Base;
use crate::app::App;
use crate::auth::credential::{ConcurrentRead, CredentialLookup, Verification};
use crate::auth::{Denial, KeyId, PresentedCredential, Principal, Rejection, Scope, Tenant};
use crate::limits::MAX_TENANT_BYTES;
use crate::scim::{ErrorCode, ScimError};
use crate::tenant::TenantName;
use crate::tenant::credential_type::challenges;

impl<'a> RequestContext<'a> {
    /// Lets the caller in, or not.
    ///
    /// # Errors
    /// 401, 403 or 503.
    pub async fn authenticate(&self) -> Result<Principal, ScimError> {
        let (principal, ()) = self.authenticate_with_read(|_| async { Ok(()) }).await?;
        Ok(principal)
    }

    /// Lets the caller in, and reads in the same round trip. The read's outcome, be it good or an error, is seen only by
    /// authorized callers.
    ///
    /// # Errors
    /// 401, 403, 503, or the read's own.
    pub async fn authenticate_with_read<T, F>(
        &self,
        read: impl FnOnce(Tenant) -> F + Send,
    ) -> Result<(Principal, T), ScimError>
    where
        T: Send,
        F: Future<Output = Result<T, ScimError>> + Send,
    {
        let mut found = None;
        let caller = {
            let found = &mut found;
            let read = move |tenant| Box::pin(async move { *found = Some(read(tenant).await) }) as Pin<Box<_>>;
            self.authorize(Box::new(read)).await?
        };
        // An authorized caller has waited for the read.
        let found = found.unwrap_or_else(|| Err(ScimError::unavailable("nothing was read; try again")))?;
        Ok((caller, found))
    }

    async fn authorize(&self, read: ConcurrentRead<'_>) -> Result<Principal, ScimError> {
        if let Some(caller) = self.caller {
            self.trace.note_caller(caller.tenant().name(), caller.key(), "ok");
            // What is tried for the page writes nothing.
            let is_tried = caller.page().is_some() && dry_run::is_on();
            if !(caller.has(self.route.scope) || is_tried) || !self.is_in_reach_of_page(caller) {
                return Err(self.denial_response(Denial::Scope.into()));
            }
            self.ensure_resource_type_enabled(caller)?;
            self.count_operation(caller);
            read(caller.tenant().clone()).await;
            return Ok(caller.clone());
        }
        let claim = self.presented().map_err(|rejection| self.denial_response(rejection))?;
        let tenant = &claim.tenant_name().clone();
        let record_last_used = |key| async move { self.app.store.record_last_used(tenant, &key, self.now()).await };
        let verification = self.verify(&claim, record_last_used, read);
        let (verified, ()) = join(verification, self.record_requests(&claim)).await;
        let caller = verified?.map_err(|rejection| self.refuse(tenant, rejection))?;
        self.trace.note_caller(tenant, caller.key(), "ok");
        self.enforce_rate(&caller)?;
        self.ensure_resource_type_enabled(&caller)?;
        Ok(caller)
    }

    /// Whether the caller is turned away whatever the request asks for. Nothing is counted or recorded.
    #[cfg(feature = "local")]
    pub(super) async fn is_caller_refused(&self) -> bool {
        let Ok(claim) = self.presented() else { return true };
        let nothing = Box::new(|_| Box::pin(async {}) as Pin<Box<_>>);
        // Where the store fails, the request itself is answered so.
        matches!(self.verify(&claim, |_| async {}, nothing).await, Ok(Err(_)))
    }

    fn presented(&self) -> Result<PresentedCredential, Rejection> {
        let authorization = self.request.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        PresentedCredential::read(authorization, &self.target.tenant)
    }

    async fn verify<U: Future<Output = ()>>(
        &self,
        claim: &PresentedCredential,
        record_last_used: impl FnOnce(KeyId) -> U,
        read: ConcurrentRead<'_>,
    ) -> Result<Result<Principal, Rejection>, ScimError> {
        let (App { store, profiles, .. }, tenant) = (self.app, claim.tenant_name());
        let lookup = CredentialLookup {
            stored: store.stored_credential(claim),
            profile: |wanted| async move { profiles.of(store, tenant, &wanted).await },
            record_last_used,
        };
        Ok(claim.verify_with_read(self.check(Some(self.route.scope)), lookup, read).await?)
    }

    /// Whether a caller who uses the page may go on; others are checked by their scopes alone.
    fn is_in_reach_of_page(&self, caller: &Principal) -> bool {
        let named = match self.route.base {
            Base::Admin => self.path_param("{tenant}"),
            _ => self.target.tenant.as_str(),
        };
        let is_read = self.route.method == Method::GET || dry_run::is_on();
        caller.page().is_none_or(|page| page.may((caller.tenant().as_str(), named), is_read, self.route.name))
    }

    /// Notes who uses the page, or tried to, for the log.
    pub(super) fn note_page_user(&self, tenant: &TenantName, id: &KeyId, state: &'static str) {
        self.trace.note_caller(tenant, id, state);
    }

    /// As [`denial_response`](Self::denial_response), of a caller who has named that tenant and a key of it.
    pub(super) fn refuse(&self, tenant: &TenantName, rejection: Rejection) -> ScimError {
        if let Some((key, state)) = rejection.key_state() {
            self.trace.note_caller(tenant, key, state);
        }
        self.denial_response(rejection)
    }

    /// What a caller is checked for.
    pub(super) fn check(&self, scope: Option<Scope>) -> Verification<'a> {
        Verification { issuers: &self.app.issuers, scope, now: self.now() }
    }

    /// "Specified resource (e.g., User) or endpoint does not exist" (RFC 7644 table 8): so does none that the tenant's
    /// profile does not offer.
    fn ensure_resource_type_enabled(&self, principal: &Principal) -> Result<(), ScimError> {
        match principal.profile().schemas.at(self.route.path) {
            Some(schema) if !schema.is_enabled => Err(ScimError::new(
                ErrorCode::NoEndpoint,
                format!(
                    "{} is not served, as this tenant's profile {} offers no groups; take groups out of the mapping",
                    schema.endpoint,
                    principal.profile().name
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The answer to a caller who is not authorized; the reason goes to the log. A 401 offers what the default profile allows,
    /// whatever the tenant and whether there is one: only to who holds one of its keys it says what the tenant allows.
    pub(super) fn denial_response(&self, Rejection { denial, key, profile }: Rejection) -> ScimError {
        let tenant: String = self.target.tenant.chars().take(MAX_TENANT_BYTES).collect();
        let (request_id, route) = (self.request_id, self.route.name);
        let key = key.as_ref().map_or("", KeyId::as_str);
        tracing::warn!(request_id, route, tenant, key, ?denial, "denied");
        match denial {
            Denial::Scope => ScimError::new(
                ErrorCode::ScopeMissing,
                format!("this key lacks the scope {}; create a key that has it", self.route.scope.as_str()),
            ),
            // After a 401, Entra ID would put the tenant into quarantine at once.
            Denial::IssuerUnavailable => ScimError::retry(
                ErrorCode::IssuerUnavailable,
                "the identity provider's signing keys could not be fetched; send the request again",
            ),
            _ => {
                let profile = profile.and_then(|profile| self.app.profiles.known(&profile));
                let challenges = profile.map(|profile| challenges(&profile.credentials));
                ScimError { challenges, ..ScimError::unauthorized() }
            }
        }
    }
}
