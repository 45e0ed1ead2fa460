//! What the worker speaks to besides the store.

use super::presence::Presence;
use crate::app::bus::EventBus;
use crate::app::mail::Mailer;
use crate::app::topic::Topic;
use crate::sigv4::SignedClient;

/// What the worker speaks to besides the store. By default, nothing.
#[derive(Debug, Default)]
pub struct Channels {
    /// For what Lambda has kept in S3.
    pub client: Option<SignedClient>,
    /// Where events are put, besides the feed.
    pub bus: Option<EventBus>,
    /// Where notices go, besides the feed.
    pub topic: Option<Topic>,
    /// Who sends notices as mails to a tenant's addresses.
    pub mailer: Option<Mailer>,
    /// Where a worker notes that it is there, whose absence nobody would notice otherwise.
    pub presence: Option<Presence>,
}

impl Channels {
    /// Those of the function, by the variables of its environment.
    #[must_use]
    pub fn of_function(client: SignedClient, variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            bus: variable("EVENT_BUS").map(|name| EventBus::new(client.clone(), name)),
            topic: variable("NOTICE_TOPIC").map(|arn| Topic::new(client.clone(), arn)),
            mailer: variable("NOTIFY_FROM").map(|from| Mailer::new(client.clone(), from)),
            client: Some(client),
            presence: Some(Presence::default()),
        }
    }
}
