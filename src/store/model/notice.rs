//! What a feed has besides changes: what somebody should look at.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::change::EventType;
use crate::scim::resource::date_time;

/// Something that somebody should look at, written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A key stops working within so many days.
    KeyExpiring {
        /// Its id.
        key: String,
        /// What it is for.
        description: String,
        /// When it ends.
        expires: Timestamp,
        /// One of [`KEY_NOTICE_DAYS`](crate::limits::KEY_NOTICE_DAYS).
        days: i64,
    },
    /// No key of the tenant was used since then.
    TenantSilent {
        /// When one was used last.
        since: Timestamp,
    },
}

impl Notice {
    /// The type of its event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::KeyExpiring { .. } => EventType::KeyExpiring,
            Self::TenantSilent { .. } => EventType::TenantSilent,
        }
    }

    /// The same for a notice that was written before.
    pub(in crate::store) fn marker(&self) -> String {
        let name = self.event_type().as_str();
        match self {
            Self::KeyExpiring { key, expires, days, .. } => format!("{name}#{key}#{}#{days}", expires.as_second()),
            Self::TenantSilent { since } => format!("{name}#{}", since.as_second()),
        }
    }

    /// What its event has besides what every event has.
    pub(in crate::store) fn fields(&self, tenant: &str) -> Map<String, Value> {
        let (resource, name, value) = match self {
            Self::KeyExpiring { key, description, expires, .. } => {
                (json!({"type": "Key", "id": key, "description": description}), "expires", date_time(*expires))
            }
            Self::TenantSilent { since } => (json!({"type": "Tenant", "id": tenant}), "since", date_time(*since)),
        };
        Map::from_iter([("resource".to_owned(), resource), (name.to_owned(), value.into())])
    }

    /// A sentence for people: what is, and what to do.
    pub fn sentence(&self, tenant: &str) -> String {
        match self {
            Self::KeyExpiring { key, description, expires, .. } => format!(
                "The key {key} ({description}) of the tenant {tenant} expires at {}; rotate it before, and hand the new \
                 secret to the identity provider.",
                date_time(*expires)
            ),
            Self::TenantSilent { since } => format!(
                "The tenant {tenant} has sent no request since {}; look whether provisioning is stopped in its identity \
                 provider.",
                date_time(*since)
            ),
        }
    }
}
