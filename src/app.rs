//! What every request shares, built once per process.

use std::sync::Arc;

pub mod bus;
pub mod clock;
pub mod https;
pub mod lost;
pub mod mail;
pub mod metrics;
pub mod profile_cache;
pub mod refusal_limiter;
pub mod topic;

pub use clock::Clock;

use crate::app::https::Https;
use crate::app::metrics::Observer;
use crate::app::profile_cache::Profiles;
use crate::app::refusal_limiter::RefusalLimiter;
use crate::auth::Issuers;
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
    /// How many refused requests are written into the log.
    pub refusals: Arc<RefusalLimiter>,
    /// The time.
    pub clock: Clock,
    /// The scheme and host that clients use, where it is not the one that a request names: behind a proxy of one's own.
    pub public_url: Option<String>,
    /// What records each request and its usage.
    pub observer: Observer,
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
            refusals: Arc::default(),
            clock: Clock::System,
            public_url: None,
            observer: Observer::Log,
        })
    }
}
