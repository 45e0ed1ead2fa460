//! Which entries of the log somebody asks for.

use jiff::Timestamp;
use serde_json::Value;

/// What an entry is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// A change of a user, a group or a membership.
    Change,
    /// A request that was refused.
    Refusal,
    /// What an operator did.
    Admin,
}

impl LogKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Change, Self::Refusal, Self::Admin];

    /// The name in entries and in the parameter `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Refusal => "refusal",
            Self::Admin => "admin",
        }
    }
}

/// The statuses of refused requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStatus {
    /// That one.
    Exactly(u16),
    /// Those of the class, such as 4 for `4xx`.
    Class(u16),
}

impl LogStatus {
    fn takes(self, status: u64) -> bool {
        match self {
            Self::Exactly(exactly) => status == u64::from(exactly),
            Self::Class(class) => status / 100 == u64::from(class),
        }
    }
}

/// Which entries are asked for: those that everything holds of that is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Of that kind.
    pub kind: Option<LogKind>,
    /// Refused with that status.
    pub status: Option<LogStatus>,
    /// The id of the user that it concerns.
    pub user: Option<String>,
    /// The id of the group that it concerns.
    pub group: Option<String>,
    /// By that key.
    pub key: Option<String>,
    /// Of the request with that id.
    pub request: Option<String>,
}

impl LogFilter {
    /// Whether entries of a kind can be among those that are asked for.
    pub(super) fn takes_kind(&self, kind: LogKind) -> bool {
        let is_of_resource = self.user.is_some() || self.group.is_some();
        self.kind.is_none_or(|wanted| wanted == kind)
            && (self.status.is_none() || kind == LogKind::Refusal)
            && (!is_of_resource || kind != LogKind::Admin)
    }

    /// Whether an entry of that time is asked for.
    pub(super) fn takes(&self, kind: LogKind, at: Timestamp, entry: &Value) -> bool {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|it| found == Some(it));
        let concerns = |wanted: &Option<String>| {
            let ids = ["/resource/id", "/user/id", "/memberGroup/id", "/target"].map(text);
            let groups = || entry.get("groups").and_then(Value::as_array).into_iter().flatten();
            let is_among = |wanted: &str| ids.contains(&Some(wanted)) || groups().any(|group| group == wanted);
            wanted.as_deref().is_none_or(is_among)
        };
        let status = entry.get("status").and_then(Value::as_u64);
        self.takes_kind(kind)
            && self.since.is_none_or(|since| at >= since)
            && self.until.is_none_or(|until| at <= until)
            && self.status.is_none_or(|wanted| status.is_some_and(|status| wanted.takes(status)))
            && is(&self.key, text("/actor/key"))
            && is(&self.request, text("/request"))
            && concerns(&self.user)
            && concerns(&self.group)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_is_named_must_hold() {
        let at = Timestamp::from_second(1_000).unwrap();
        let entry = json!({"status": 409, "target": "u1", "actor": {"key": "k"}, "request": "r"});
        let takes = |filter: LogFilter| filter.takes(LogKind::Refusal, at, &entry);
        let owned = |text: &str| Some(text.to_owned());
        let all = LogFilter {
            since: Some(at),
            until: Some(at),
            kind: Some(LogKind::Refusal),
            status: Some(LogStatus::Class(4)),
            user: owned("u1"),
            key: owned("k"),
            request: owned("r"),
            group: None,
        };
        assert!(takes(LogFilter::default()) && takes(all.clone()));
        assert!(!takes(LogFilter { status: Some(LogStatus::Exactly(400)), ..all.clone() }));
        assert!(!takes(LogFilter { user: owned("u2"), ..all.clone() }));
        assert!(!takes(LogFilter { group: owned("g"), ..all.clone() }));
        assert!(!takes(LogFilter { key: owned("x"), ..all.clone() }));
        assert!(!takes(LogFilter { request: owned("x"), ..all.clone() }));
        assert!(!takes(LogFilter { kind: Some(LogKind::Change), ..all.clone() }));
        let later = Timestamp::from_second(1_001).unwrap();
        assert!(!takes(LogFilter { since: Some(later), ..all }));
    }
}
