//! The rate of a tenant: whether a request is within it, and what its answer says of it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};

use super::context::RequestContext;
use super::path::Base;
use crate::auth::{PresentedCredential, Principal};
use crate::scim::{ErrorCode, ScimError};
use crate::store::dynamo::dry_run;
use crate::tenant::RateState;

/// What is left (draft-ietf-httpapi-ratelimit-headers-11).
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// What there is in all (the same draft).
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

impl RequestContext<'_> {
    /// Takes a token out of the tenant's bucket.
    ///
    /// # Errors
    /// 429 if it has none.
    pub(super) fn enforce_rate(&self, caller: &Principal) -> Result<(), ScimError> {
        if !matches!(self.route.base, Base::Scim | Base::Events) {
            return Ok(());
        }
        let Some(limit) = self.app.rates.limit(caller.settings()) else { return Ok(()) };
        let state = self.app.rates.admit(caller, limit, self.now());
        self.trace.note_rate(state);
        match state.wait_seconds {
            None => Ok(()),
            Some(seconds) => Err(refusal(state, seconds)),
        }
    }

    /// Counts an operation of a Bulk: it is under way, and later requests wait for it.
    pub(super) fn count_operation(&self, caller: &Principal) {
        if let Some(limit) = self.app.rates.limit(caller.settings()).filter(|_| self.is_of_bulk) {
            self.app.rates.charge(caller, limit, self.now());
        }
    }

    /// Adds what this process has counted by itself to the record of the key, while the record is read. If that fails, it
    /// is tried with a later request.
    pub(super) async fn record_requests(&self, claim: &PresentedCredential) {
        if dry_run::is_on() {
            return;
        }
        let (tenant, key, rates) = (claim.tenant_name(), claim.key_id(), &self.app.rates);
        let Some(requests) = rates.take_unrecorded(tenant, key, self.now()) else { return };
        let (limit, count) = (requests.limit, requests.count);
        let write = self.app.store.record_requests((tenant, key), limit, count, requests.is_filling, requests.now);
        // In the heap: few requests come here.
        if !Box::pin(write).await {
            rates.put_back(tenant, key, &requests);
        }
    }
}

fn refusal(state: RateState, seconds: u32) -> ScimError {
    let detail = format!(
        "requests come faster than the rate of this tenant, {} a second and {} at once; send the request again after \
         Retry-After",
        state.limit.per_second(),
        state.limit.burst()
    );
    ScimError { retry_after: Some(seconds), ..ScimError::new(ErrorCode::RateLimited, detail) }
}

/// The answer with the tenant's rate, if it has one.
pub(super) fn marked(mut response: Response<Bytes>, state: Option<&RateState>) -> Response<Bytes> {
    let Some(state) = state else { return response };
    let RateState { limit, remaining, reset_seconds, wait_seconds } = state;
    let seconds = wait_seconds.unwrap_or(*reset_seconds);
    let policy = format!("\"tenant\";q={};w={}", limit.burst(), limit.fill_seconds());
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, format!("\"tenant\";r={remaining};t={seconds}"))] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
