//! An answer, and what can be said about it.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Whether it is as it should be; if not, what came instead.
pub(super) type Verdict = Result<(), String>;

pub(super) const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
pub(super) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Characters of a request or an answer in the report.
const EXCERPT_CHARS: usize = 600;

/// An answer, or why the endpoint returned none.
#[derive(Debug)]
pub(super) struct Answer {
    /// The request: method, path and body.
    pub(super) sent: String,
    pub(super) headers: HeaderMap,
    /// The body as JSON; null for any other text.
    pub(super) body: Value,
    status: Option<StatusCode>,
    text: String,
}

/// The part of a list that does not depend on its type.
#[derive(Debug)]
pub(super) struct List {
    pub(super) total: u64,
    pub(super) resources: Vec<Value>,
}

impl Answer {
    pub(super) fn new(sent: String, status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).into_owned();
        let body = serde_json::from_slice(body).unwrap_or_default();
        Self { sent: cut(&sent), headers, body, status: Some(status), text }
    }

    pub(super) fn none(sent: String, why: String) -> Self {
        Self { sent: cut(&sent), headers: HeaderMap::new(), body: Value::Null, status: None, text: why }
    }

    pub(super) fn has(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }

    /// Why the endpoint returned no answer.
    pub(super) fn missing(&self) -> Option<&str> {
        self.status.is_none().then_some(self.text.as_str())
    }

    /// What came, for people to read.
    pub(super) fn came(&self) -> String {
        let text = cut(&self.text);
        match self.status {
            None => text,
            Some(status) if text.is_empty() => format!("{} without a body", status.as_u16()),
            Some(status) => format!("{} {text}", status.as_u16()),
        }
    }

    pub(super) fn is(&self, expected: &[u16]) -> Verdict {
        match self.status {
            Some(status) if expected.contains(&status.as_u16()) => Ok(()),
            _ => Err(self.came()),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        !self.body.is_null()
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.status.filter(StatusCode::is_success)?;
        self.body.get("id")?.as_str().filter(|id| !id.is_empty())
    }

    pub(super) fn names(&self, schema: &str) -> bool {
        let schemas = self.body.get("schemas").and_then(Value::as_array);
        schemas.is_some_and(|schemas| schemas.iter().any(|named| named == schema))
    }

    /// Its resources and their number. RFC 7644 section 3.4.2 lets `Resources` be absent where there are none.
    pub(super) fn list(&self) -> Result<List, String> {
        self.is(&[200])?;
        let total = self.body.get("totalResults").and_then(Value::as_u64);
        let resources = match self.body.get("Resources") {
            None => Some(Vec::new()),
            Some(resources) => resources.as_array().cloned(),
        };
        match (total, resources) {
            (Some(total), Some(resources)) => Ok(List { total, resources }),
            (None, _) => Err(format!("no number in totalResults: {}", self.came())),
            (_, None) => Err(format!("Resources is not an array: {}", self.came())),
        }
    }

    /// An empty list.
    pub(super) fn is_empty_list(&self) -> Verdict {
        let list = self.list()?;
        if list.total == 0 && list.resources.is_empty() { Ok(()) } else { Err(self.came()) }
    }

    /// Nobody is found: an empty list, or the 404 that is a fault of its own.
    pub(super) fn finds_nobody(&self) -> Verdict {
        self.is(&[404]).or_else(|_| self.is_empty_list())
    }

    /// A list of this one resource.
    pub(super) fn is_list_of(&self, id: &str) -> Verdict {
        match self.list()?.resources.as_slice() {
            [only] if only.get("id").is_some_and(|found| found == id) => Ok(()),
            _ => Err(self.came()),
        }
    }

    /// The SCIM error of this status (RFC 7644 section 3.12), which Okta's SPEC test asks for with `detail`.
    pub(super) fn is_scim_error(&self) -> Verdict {
        let status = self.status.map_or(0, |status| status.as_u16());
        // A number is in Okta's own sample.
        let has_status = match self.body.get("status") {
            Some(Value::String(text)) => text.parse() == Ok(status),
            Some(text) => *text == status,
            None => false,
        };
        let has_detail = self.body.get("detail").is_some_and(Value::is_string);
        if self.names(ERROR) && has_status && has_detail { Ok(()) } else { Err(self.came()) }
    }

    /// The values at JSON pointers.
    pub(super) fn has_values(&self, expected: &[(&str, Value)]) -> Verdict {
        self.is(&[200])?;
        for (place, value) in expected {
            let now = self.body.pointer(place);
            if now != Some(value) {
                let now = now.map_or_else(|| "nothing".to_owned(), Value::to_string);
                let place = place.trim_start_matches('/').replace('/', ".");
                return Err(format!("read back, {place} is {now} and not {value}: {}", self.came()));
            }
        }
        Ok(())
    }
}

/// What every answer is held against, with the first example of each.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) not_json_type: Option<(String, String)>,
    pub(super) plain_json_type: Option<(String, String)>,
    pub(super) bare_error: Option<(String, String)>,
    pub(super) null: Option<(String, String)>,
    pub(super) too_many: Option<(String, String)>,
}

impl Seen {
    pub(super) fn note(&mut self, answer: &Answer) {
        let Some(status) = answer.status else { return };
        let example = |came: String| Some((answer.sent.clone(), came));
        let latest = || example(answer.came());
        let content_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let of_type = || example(format!("Content-Type: {content_type} with {}", answer.came()));
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media_type.as_str() {
            _ if answer.text.is_empty() => {}
            "application/scim+json" => {}
            "application/json" => keep(&mut self.plain_json_type, of_type),
            _ => keep(&mut self.not_json_type, of_type),
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            keep(&mut self.too_many, latest);
        } else if status != StatusCode::UNAUTHORIZED && status.as_u16() >= 400 && answer.is_scim_error().is_err() {
            keep(&mut self.bare_error, latest);
        }
        if has_null(&answer.body) && answer.is_json() {
            keep(&mut self.null, latest);
        }
    }
}

fn keep(first: &mut Option<(String, String)>, example: impl Fn() -> Option<(String, String)>) {
    if first.is_none() {
        *first = example();
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_CHARS) {
        None => text.to_owned(),
        Some(_) => text.chars().take(EXCERPT_CHARS).chain(['…']).collect(),
    }
}
