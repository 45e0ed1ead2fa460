//! What a request leaves behind for its log entries: who called, and what it did.

use std::sync::{Arc, OnceLock};

use crate::auth::KeyId;
use crate::scim::deviation::trace::RuleTrace;
use crate::tenant::{RateState, TenantName};

/// What a request leaves behind for its log entries. Its copies share their content.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestTrace {
    /// The deviation rules that it has needed.
    pub(super) rules: RuleTrace,
    caller: Arc<OnceLock<KnownCaller>>,
    rate: Arc<OnceLock<RateState>>,
}

/// Who has proved to hold a key, whether it works or not.
#[derive(Debug)]
pub(super) struct KnownCaller {
    pub(super) tenant: TenantName,
    pub(super) key: KeyId,
    /// `ok`, or why the key does not work.
    pub(super) key_state: &'static str,
}

impl RequestTrace {
    /// Notes who sent the request.
    pub(super) fn note_caller(&self, tenant: &TenantName, key: &KeyId, key_state: &'static str) {
        // The first one stands: a request has one caller.
        self.caller.get_or_init(|| KnownCaller { tenant: tenant.clone(), key: key.clone(), key_state });
    }

    /// Notes what the tenant's bucket had for the request.
    pub(super) fn note_rate(&self, state: RateState) {
        self.rate.get_or_init(|| state);
    }

    /// What the tenant's bucket had for the request; none without a limit.
    pub(super) fn rate(&self) -> Option<&RateState> {
        self.rate.get()
    }

    /// Who sent the request; none if nobody has proved it.
    pub(super) fn caller(&self) -> Option<&KnownCaller> {
        self.caller.get()
    }
}
