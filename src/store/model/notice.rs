//! What a feed has besides changes: what somebody should look at.

use std::collections::BTreeMap;

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
    /// Many requests of the tenant were refused.
    TenantFailing(FailureReport),
    /// The protection of the tenant holds requests.
    TenantHeld(HoldReport),
    /// It holds none any more.
    TenantReleased(HoldReport),
}

/// The refused requests of an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// When the hour begins.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// How many were refused; perhaps more, where the bound is passed already.
    pub count: u64,
    /// How many the tenant's settings allow.
    pub bound: u32,
    /// How many were refused for what, by the code of the error.
    pub codes: BTreeMap<String, u64>,
}

/// A window of protection in which requests were held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldReport {
    /// The group; none where users lost access.
    pub group: Option<String>,
    /// How many lost access, or were removed from the group, before the first request was held.
    pub count: i64,
    /// How many may be.
    pub bound: i64,
    /// When the first request was held.
    pub since: Timestamp,
    /// When the window ends.
    pub until: Timestamp,
    /// `approved`, `once`, `rejected`, or `ended` for a window that is over.
    pub decision: Option<&'static str>,
}

impl Notice {
    /// The type of its event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::KeyExpiring { .. } => EventType::KeyExpiring,
            Self::TenantSilent { .. } => EventType::TenantSilent,
            Self::TenantFailing(_) => EventType::TenantFailing,
            Self::TenantHeld(_) => EventType::TenantHeld,
            Self::TenantReleased(_) => EventType::TenantReleased,
        }
    }

    /// The same for a notice that was written before. A tenant fails once a day (UTC).
    pub(in crate::store) fn marker(&self) -> String {
        let name = self.event_type().as_str();
        match self {
            Self::KeyExpiring { key, expires, days, .. } => format!("{name}#{key}#{}#{days}", expires.as_second()),
            Self::TenantSilent { since } => format!("{name}#{}", since.as_second()),
            Self::TenantFailing(failures) => format!("{name}#{}", failures.until.as_second().div_euclid(24 * 60 * 60)),
            Self::TenantHeld(hold) | Self::TenantReleased(hold) => {
                let (group, decision) = (hold.group.as_deref().unwrap_or("users"), hold.decision.unwrap_or("-"));
                format!("{name}#{group}#{}#{decision}", hold.since.as_millisecond())
            }
        }
    }

    /// What its event has besides what every event has.
    pub(in crate::store) fn fields(&self, tenant: &str) -> Map<String, Value> {
        let fields = match self {
            Self::KeyExpiring { key, description, expires, .. } => json!({
                "resource": {"type": "Key", "id": key, "description": description},
                "expires": date_time(*expires),
            }),
            Self::TenantSilent { since } => {
                json!({"resource": {"type": "Tenant", "id": tenant}, "since": date_time(*since)})
            }
            Self::TenantFailing(failures) => json!({
                "resource": {"type": "Tenant", "id": tenant},
                "since": date_time(failures.since),
                "until": date_time(failures.until),
                "count": failures.count,
                "bound": failures.bound,
                "codes": failures.codes,
            }),
            Self::TenantHeld(hold) | Self::TenantReleased(hold) => hold.fields(tenant),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
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
            Self::TenantFailing(failures) => failures.sentence(tenant),
            Self::TenantHeld(hold) => hold.sentence_held(tenant),
            Self::TenantReleased(hold) => hold.sentence_released(tenant),
        }
    }
}

impl FailureReport {
    fn sentence(&self, tenant: &str) -> String {
        let codes: Vec<_> = self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        format!(
            "Rollcall refused {} or more requests of the tenant {tenant} from {} to {} ({}); the bound is {}. Read why: \
             rollcall log {tenant} --kind refusal.",
            self.count,
            date_time(self.since),
            date_time(self.until),
            codes.join(", "),
            self.bound
        )
    }
}

impl HoldReport {
    fn fields(&self, tenant: &str) -> Value {
        let mut fields = json!({
            "resource": {"type": "Tenant", "id": tenant},
            "since": date_time(self.since),
            "until": date_time(self.until),
            "count": self.count,
            "bound": self.bound,
        });
        if let Some(fields) = fields.as_object_mut() {
            fields.extend(self.decision.map(|decision| ("decision".to_owned(), decision.into())));
            fields.extend(self.group.as_ref().map(|group| ("group".to_owned(), json!({"id": group}))));
        }
        fields
    }

    fn sentence_held(&self, tenant: &str) -> String {
        let until = date_time(self.until);
        let of_group = self.group.as_ref().map_or(String::new(), |group| format!(" --group {group}"));
        if self.decision.is_some() {
            return format!(
                "An operator rejected what the protection of the tenant {tenant} holds; until {until} Rollcall answers \
                 429 to requests that take more access away. Correct the scope in the identity provider."
            );
        }
        let (count, bound) = (self.count, self.bound);
        let loss = match &self.group {
            Some(group) => format!("{count} members left the group {group}"),
            None => format!("{count} users lost access"),
        };
        format!(
            "The protection of the tenant {tenant} holds: {loss}, and the bound is {bound}. Until {until} Rollcall answers \
             429 to requests that take more access away; decide by rollcall hold approve {tenant}{of_group} or rollcall \
             hold reject {tenant}{of_group}."
        )
    }

    fn sentence_released(&self, tenant: &str) -> String {
        let since = date_time(self.since);
        match self.decision {
            Some("ended") => format!(
                "The window in which the protection of the tenant {tenant} has held since {since} is over; if the identity \
                 provider goes on, Rollcall counts anew."
            ),
            Some("once") => format!(
                "An operator let some more requests of the tenant {tenant} through, which its protection has held since \
                 {since}; after those it holds again."
            ),
            _ => format!(
                "An operator approved what the protection of the tenant {tenant} has held since {since}; everything goes \
                 through until {}.",
                date_time(self.until)
            ),
        }
    }
}
