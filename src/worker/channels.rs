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
