//! Spellings that endpoints misread: each is understood or refused. A success that does something else is never sent
//! again.

use serde_json::{Value, json};

use super::answer::{Answer, Verdict};
use super::bodies::{self, CORE_USER};
use super::report::{Check, Level};
use super::session::{Session, search};
use super::users::SampleUser;

// apache/directory-scimple issue 704, wso2/product-is issue 11092.
const URN_DOT: Check = Check {
    name: "urn-dot",
    title: "a URN joined to the attribute by a dot",
    level: Level::Fault,
    expected: "200 or 204, and displayName changed; or 400",
    change: "Read urn:ietf:params:scim:schemas:core:2.0:User.displayName as displayName, or refuse it with 400 invalidPath; never store it as an extension.",
};
// The URNs of Okta's custom schemas have user or group inside.
const EXTENSION: Check = Check {
    name: "undeclared-extension",
    title: "an extension that /Schemas lacks, with user or group inside its URN",
    level: Level::Fault,
    expected: "200 or 204, and the extension stored under its whole URN, or ignored; or 400",
    change: "Take the whole key for the URN of the extension: do not cut it after user or group.",
};
const FILTER_QUOTES: Check = Check {
    name: "filter-quotes",
    title: "a filter value in single or typographic quotes",
    level: Level::Fault,
    expected: "400, or a list of this user alone",
    change: "Refuse other than double quotes with 400 invalidFilter, or read them as quotes: who finds nobody creates the user again.",
};
const PATH_QUOTES: Check = Check {
    name: "path-quotes",
    title: "a path with a value in single quotes",
    level: Level::Fault,
    expected: "400; or 200 or 204, and the work e-mail address changed",
    change: "Refuse emails[type eq 'work'].value with 400 invalidPath, or read it as \"work\"; never create an element of the type 'work' with its quotes.",
};

/// URNs as they are cut in the field; of the doctor's own name.
const UNDECLARED: [&str; 2] = ["urn:rollcall:doctor:1.0:user:custom", "urn:rollcall:doctor:group:1.0"];
const QUOTES: [(&str, &str); 2] = [("'", "'"), ("\u{201C}", "\u{201D}")];

pub(super) async fn run(session: &mut Session, user: &SampleUser) {
    session.report.chapter("Users: spellings");
    urn_with_dot(session, user).await;
    undeclared_extension(session, user).await;
    quotes_in_filter(session, user).await;
    quotes_in_path(session, user).await;
}

async fn urn_with_dot(session: &mut Session, user: &SampleUser) {
    let value = json!("Doctor by Dot");
    let operation = json!({"op": "replace", "path": format!("{CORE_USER}.displayName"), "value": value});
    let (answer, read) = change(session, user, operation).await;
    let verdict = refused_or(&answer, || read.has_values(&[("/displayName", value.clone())]));
    session.report.note(&URN_DOT, &answer.sent, verdict);
}

async fn undeclared_extension(session: &mut Session, user: &SampleUser) {
    let (mut sent, mut verdict) = (String::new(), Ok(()));
    for urn in UNDECLARED {
        let members = json!({"badge": "7"});
        let (answer, read) = change(session, user, json!({"op": "add", "value": {urn: members}})).await;
        sent = answer.sent.clone();
        verdict = refused_or(&answer, || is_whole(&read, urn, &members));
        if verdict.is_err() {
            break;
        }
    }
    session.report.note(&EXTENSION, &sent, verdict);
}

/// Whether of the doctor's URNs there are whole ones alone, and this one has its members if it is there.
fn is_whole(read: &Answer, urn: &str, members: &Value) -> Verdict {
    read.is(&[200])?;
    let body = read.body.as_object().into_iter().flatten();
    let mut own = body.filter(|(name, _)| name.to_ascii_lowercase().starts_with("urn:rollcall:"));
    match own.find(|(name, value)| !UNDECLARED.contains(&name.as_str()) || (*name == urn && *value != members)) {
        Some((name, value)) => Err(format!("read back, there is {name} with {value}")),
        None => Ok(()),
    }
}

async fn quotes_in_filter(session: &mut Session, user: &SampleUser) {
    let (mut sent, mut verdict) = (String::new(), Ok(()));
    for (open, close) in QUOTES {
        let found =
            session.endpoint.get(&search("/Users", &format!("userName eq {open}{}{close}", user.name), "")).await;
        sent = found.sent.clone();
        verdict = found.is(&[400]).or_else(|_| found.is_list_of(&user.id));
        if verdict.is_err() {
            break;
        }
    }
    session.report.note(&FILTER_QUOTES, &sent, verdict);
}

async fn quotes_in_path(session: &mut Session, user: &SampleUser) {
    let address = session.user_name("2-quotes");
    let operation = json!({"op": "replace", "path": "emails[type eq 'work'].value", "value": address});
    let (answer, read) = change(session, user, operation).await;
    let verdict = refused_or(&answer, || {
        read.is(&[200])?;
        let emails = read.body.get("emails").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |email: &Value, name: &str| email.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_changed =
            |email: &Value| text(email, "value") == address && text(email, "type").eq_ignore_ascii_case("work");
        if emails.iter().any(is_changed) { Ok(()) } else { Err(format!("read back: {}", read.came())) }
    });
    session.report.note(&PATH_QUOTES, &answer.sent, verdict);
}

/// Changes the user, and reads it back.
async fn change(session: &Session, user: &SampleUser, operation: Value) -> (Answer, Answer) {
    let answer = session.endpoint.patch(&user.path, &bodies::patch(&[operation])).await;
    (answer, session.endpoint.get(&user.path).await)
}

/// A 400, or a success after which this holds.
fn refused_or(answer: &Answer, holds: impl FnOnce() -> Verdict) -> Verdict {
    if answer.is(&[400]).is_ok() {
        return Ok(());
    }
    answer.is(&[200, 204])?;
    holds().map_err(|came| format!("{}; {came}", answer.came()))
}
