//! The time.

use std::sync::Arc;

use jiff::Timestamp;

/// The source of the time.
#[derive(Clone)]
pub enum Clock {
    /// The system's.
    System,
    /// A test's.
    Fixed(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(now) => now(),
        }
    }
}
