//! For `make interleavings` alone, which runs thousands of large changes.

/// A change of a few members is a large one.
pub const MAX_TRANSACTION_MEMBERS: usize = 6;
