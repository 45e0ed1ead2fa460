//! For `make interleavings` alone, which runs thousands of large changes.

/// A change of a few members is a large one.
pub const MAX_TRANSACTION_MEMBERS: usize = 6;

/// However often a request looks, the time of another one does not end meanwhile: a schedule means the same however far
/// apart its calls are.
pub const MAX_BATCH_POLL_MS: u64 = super::MIN_BATCH_POLL_MS;
