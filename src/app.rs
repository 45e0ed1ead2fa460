//! What every request shares, built once per process.

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::Issuers;
use crate::fetch::Https;
use crate::observe::Observer;
use crate::profiles::Profiles;
use crate::scim::Schemas;
use crate::store::Store;

/// A running endpoint.
#[derive(Clone)]
pub struct App {
    /// The tables.
    pub store: Store,
    /// The standard schemas. What a tenant's users are like, its profile says.
    pub schemas: Arc<Schemas>,
    /// What is known of identity providers.
    pub issuers: Arc<Issuers>,
    /// The profiles of the tenants that have come by.
    pub profiles: Profiles,
    /// The time.
    pub clock: Clock,
    /// The scheme and host that clients use, where it is not the one that a request names: behind a proxy of one's own.
    pub public_url: Option<String>,
    /// Where it is told what a request did and spent.
    pub observer: Observer,
}

/// Tells the time.
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

impl App {
    /// An endpoint on a store, with the standard schemas, the system's clock, and a log.
    ///
    /// # Errors
    /// When a shipped schema definition cannot be read.
    pub fn new(store: Store) -> Result<Self, serde_json::Error> {
        Ok(Self {
            store,
            schemas: Arc::new(Schemas::standard()?),
            issuers: Arc::new(Issuers::new(Https)),
            profiles: Profiles::default(),
            clock: Clock::System,
            public_url: None,
            observer: Observer::Log,
        })
    }
}
