//! What is learnt of a request on its way, for what is written of it afterwards.

use crate::scim::deviation::trace::RuleTrace;

/// What is learnt of a request on its way. Its copies share what they learn.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestTrace {
    /// The deviation rules that it has needed.
    pub(super) rules: RuleTrace,
}
