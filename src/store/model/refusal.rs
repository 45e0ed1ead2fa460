//! A request that was refused, as a row of table `changes`. What is not a field here is in no row: no body, no header and
//! no secret.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::KeyId;
use crate::limits::MAX_REFUSAL_DETAIL_BYTES;
use crate::scim::deviation::trace::{Rule, Rules};
use crate::scim::resource::date_time;

/// A request that was answered with 400 or above, and is known to be of a tenant.
#[derive(Debug, Clone)]
pub struct RefusalRow<'a> {
    /// When it was answered.
    pub at: Timestamp,
    /// The request's id.
    pub request: &'a str,
    /// The key that it showed; for an access token that of its client.
    pub key: &'a KeyId,
    /// Whether the key works: `ok`, `expired`, `revoked`, `pending` or `waiting`.
    pub key_state: &'static str,
    /// What kind of client sent it, such as `entra`.
    pub client: &'static str,
    /// The HTTP method.
    pub method: &'a str,
    /// The route, such as `users.patch`.
    pub route: &'static str,
    /// The id that the path names, or the attribute that it searches by and a hash of the value.
    pub target: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The code of the error.
    pub code: &'a str,
    /// The detail keyword of SCIM, if the error has one.
    pub scim_type: Option<&'static str>,
    /// What the answer says to the client.
    pub detail: &'a str,
    /// How long it took.
    pub milliseconds: u64,
    /// The deviation rules that it has needed.
    pub rules: Rules,
    /// Requests refused before it that have no row, because there were too many.
    pub suppressed: u64,
}

impl RefusalRow<'_> {
    /// The entry of the log.
    pub(in crate::store) fn entry(&self) -> Value {
        let rules: Vec<&str> = self.rules.iter().map(Rule::as_str).collect();
        let detail = shortened(self.detail, MAX_REFUSAL_DETAIL_BYTES);
        let fields = [
            ("id", Some(json!(format!("ref_{}", self.request)))),
            ("timestamp", Some(json!(date_time(self.at)))),
            ("request", Some(json!(self.request))),
            ("actor", Some(json!({"key": self.key.as_str(), "keyState": self.key_state, "client": self.client}))),
            ("method", Some(json!(self.method))),
            ("route", Some(json!(self.route))),
            ("target", self.target.as_ref().map(|target| json!(target))),
            ("status", Some(json!(self.status))),
            ("code", Some(json!(self.code))),
            ("scimType", self.scim_type.map(|kind| json!(kind))),
            ("detail", Some(json!(detail))),
            ("milliseconds", Some(json!(self.milliseconds))),
            ("rules", (!rules.is_empty()).then(|| json!(rules))),
            ("suppressed", (self.suppressed > 0).then(|| json!(self.suppressed))),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

/// The beginning of a text, at most so many bytes.
fn shortened(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((shortened("äö", 3), shortened("abc", 9), shortened("ä", 1)), ("ä", "abc", ""));
    }
}
