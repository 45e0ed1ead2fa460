//! A key of text, as a request has it and as the engine stores it.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

/// The longest key that is looked up here: DynamoDB's limit of a sort key. The engine refuses a longer one.
const MAX_KEY_BYTES: usize = 1_024;

/// What the engine writes before a text of a key.
pub(super) const MARK: &str = "S:";

/// The attributes of a key, all text.
pub(super) type Key<'a> = HashMap<&'a str, Text<'a>>;

/// `{"S": …}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text<'a> {
    #[serde(rename = "S", borrow)]
    pub(super) text: Cow<'a, str>,
}

impl Text<'_> {
    /// How the engine stores a text of a key; none if it may refuse it.
    pub(super) fn stored(&self) -> Option<String> {
        let is_usual = !self.text.is_empty() && self.text.len() <= MAX_KEY_BYTES;
        is_usual.then(|| format!("{MARK}{}", self.text))
    }
}
