//! What every request shares, built once per process.

use std::sync::Arc;

pub mod branding;
pub mod bus;
pub mod clock;
pub mod edge;
pub mod https;
pub mod lost;
pub mod mail;
pub mod metrics;
pub mod profile_cache;
pub mod rate_limiter;
pub mod refusal_limiter;
pub mod topic;

pub use clock::Clock;

use crate::app::branding::Branding;
use crate::app::edge::EdgeSecret;
use crate::app::https::Https;
use crate::app::metrics::Observer;
use crate::app::profile_cache::Profiles;
use crate::app::rate_limiter::RateLimiter;
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
    /// How many requests of each tenant are answered.
    pub rates: Arc<RateLimiter>,
    /// The time.
    pub clock: Clock,
    /// The scheme and host that clients use, if it differs from what a request names, such as behind a proxy.
    pub public_url: Option<String>,
    /// What each request must have come through; none if clients reach the API themselves.
    pub edge: Option<EdgeSecret>,
    /// How the page for administrators looks.
    pub branding: Branding,
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
            rates: Arc::new(RateLimiter::of_one_process()),
            clock: Clock::System,
            public_url: None,
            edge: None,
            branding: Branding::default(),
            observer: Observer::Log,
        })
    }

    /// With what a deployment on Lambda sets in the environment.
    ///
    /// # Errors
    /// When a variable is not in order.
    pub fn with_settings(self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let public_url = variable("PUBLIC_URL").map(|url| url.trim_end_matches('/').to_owned());
        let rates = RateLimiter::of_lambda(variable("TENANT_RATE").as_deref().unwrap_or("default"))?;
        let edge = variable("EDGE_SECRET_HASH").map(|hash| EdgeSecret::parse(&hash)).transpose()?;
        let branding = Branding::read(&variable)?;
        Ok(Self { public_url, edge, branding, rates: Arc::new(rates), ..self })
    }
}
