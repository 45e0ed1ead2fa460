//! What the chapters share: the endpoint, the report, the names of what is created.

use serde_json::{Value, json};
use uuid::Builder;

use super::answer::{Answer, Verdict};
use super::bodies;
use super::endpoint::Endpoint;
use super::report::{Check, Report};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: Endpoint,
    pub(super) report: Report,
    /// Whether `Replace` is understood; if not, that is one fault, and everything else is sent with `replace`.
    pub(super) accepts_capitalized_op: bool,
    /// Whether users have the enterprise extension, as far as `/Schemas` says.
    pub(super) has_enterprise: bool,
    /// Whether there are groups at all.
    pub(super) has_groups: bool,
    /// Of this visit alone.
    run: String,
}

impl Session {
    pub(super) fn new(endpoint: Endpoint, report: Report) -> Result<Self, String> {
        Ok(Self {
            endpoint,
            report,
            accepts_capitalized_op: true,
            has_enterprise: true,
            has_groups: true,
            run: unique()?,
        })
    }

    /// A `userName`, which is an e-mail address, too, as a UPN is.
    pub(super) fn user_name(&self, which: &str) -> String {
        format!("rollcall-doctor-{}-{which}@example.com", self.run)
    }

    pub(super) fn group_name(&self, which: &str) -> String {
        format!("rollcall-doctor-{}-{which}", self.run)
    }

    /// A GUID that nothing has: `which` is one digit, so that there are several.
    pub(super) fn nonexistent_id(&self, which: char) -> String {
        self.run.chars().skip(1).chain([which]).collect()
    }

    /// An operation of Entra ID without `aadOptscim062020`, which writes `Replace`.
    pub(super) fn operation(&self, op: &str, path: &str, value: &Value) -> Value {
        let op = if self.accepts_capitalized_op { op.to_owned() } else { op.to_ascii_lowercase() };
        json!({"op": op, "path": path, "value": value})
    }

    /// Changes a resource and reads it back.
    pub(super) async fn change(
        &mut self,
        check: &'static Check,
        path: &str,
        operation: Value,
        expected: &[(&str, Value)],
    ) -> bool {
        let answer = self.endpoint.patch(path, &bodies::patch(&[operation])).await;
        let verdict = match answer.is(&[200, 204]) {
            Ok(()) => self.endpoint.get(path).await.has_values(expected),
            refused => refused,
        };
        self.report.note(check, &answer.sent, verdict)
    }

    /// Notes what an answer is worth.
    pub(super) fn judge(&mut self, check: &'static Check, answer: &Answer, judge: impl Fn(&Answer) -> Verdict) -> bool {
        let verdict = judge(answer);
        self.report.note(check, &answer.sent, verdict)
    }
}

/// The path of a search.
pub(super) fn search(route: &str, filter: &str, more: &str) -> String {
    let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    format!("{route}?filter={filter}{more}")
}

fn unique() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("the system returned no random numbers; try again: {e}"))?;
    Ok(Builder::from_random_bytes(bytes).into_uuid().to_string())
}
