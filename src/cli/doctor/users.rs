//! A user is created, matched, created again, and at the end deleted.

use serde_json::{Value, json};

use super::answer::{Answer, Verdict};
use super::bodies::{CORE_USER, entra_user, external_id, okta_user};
use super::report::{Check, Level};
use super::session::{Session, search};

const CREATE_ENTRA: Check = Check {
    name: "create-user",
    title: "Entra ID creates a user",
    level: Level::Fault,
    expected: "201 and the user with its id",
    change: "Accept the user as Entra ID sends it, with meta, an empty roles and the URN of an extension that has no values; answer 201 with the user and its id.",
};
// Okta, reference/scim/scim-20: without a body, "Create new user returned empty user".
const CREATE_OKTA: Check = Check {
    name: "create-user-okta",
    title: "Okta creates a user",
    level: Level::Fault,
    expected: "201 and the user with its id",
    change: "Accept the user as Okta sends it, with password, groups and locale, used or not; answer 201 with the user and its id.",
};
const LOCATION: Check = Check {
    name: "location",
    title: "where the new user is",
    level: Level::Advice,
    expected: "the header Location, meta.location equal to it, and meta.resourceType User",
    change: "Set Location and meta.location to the URL of the new user (RFC 7644 section 3.3).",
};
// Entra ID: what does not come back as sent is sent again in each cycle.
const VALUES: Check = Check {
    name: "values-as-sent",
    title: "the user is read back as it was sent",
    level: Level::Fault,
    expected: "200, with userName, externalId, displayName, name, emails and active (true, no text) as they were sent",
    change: "Store values as they are sent and return them so: nothing trimmed, folded or left out, active as a JSON boolean.",
};
const MATCH_NAME: Check = Check {
    name: "match-username",
    title: "the user is found by userName",
    level: Level::Fault,
    expected: "200 and a list of this user alone",
    change: "Support the filter userName eq, and answer it from the store that creating writes, at once.",
};
// RFC 7643 section 4.1.1, scimvalidator.microsoft.com.
const MATCH_CASE: Check = Check {
    name: "match-username-case",
    title: "the user is found by userName in capitals",
    level: Level::Fault,
    expected: "200 and a list of this user alone",
    change: "Compare userName without regard to case: directories write UPNs in any case.",
};
const MATCH_EXTERNAL: Check = Check {
    name: "match-external-id",
    title: "the user is found by externalId",
    level: Level::Fault,
    expected: "200 and a list of this user alone",
    change: "Store externalId and support the filter externalId eq, which Entra ID sends where it is the matching attribute.",
};
const MATCH_EMAIL: Check = Check {
    name: "match-email",
    title: "the user is found by the work e-mail address",
    level: Level::Advice,
    expected: "200 and a list of this user alone",
    change: "Support the filter emails[type eq \"work\"].value eq, which Entra ID sends where it is the matching attribute.",
};
// Entra ID, how-provisioning-works.md: a create whose answer was lost is sent again, and then matched.
const DUPLICATE: Check = Check {
    name: "duplicate-user",
    title: "the same user is created again",
    level: Level::Fault,
    expected: "409",
    change: "Keep userName unique, and answer 409 with scimType uniqueness to a POST of one that is there.",
};
const DUPLICATE_TYPE: Check = Check {
    name: "duplicate-user-body",
    title: "why it was refused",
    level: Level::Advice,
    expected: "a SCIM error with scimType uniqueness",
    change: "Say scimType uniqueness with the 409 (RFC 7644 section 3.3).",
};
const DUPLICATE_CASE: Check = Check {
    name: "duplicate-user-case",
    title: "the same user is created again in capitals",
    level: Level::Advice,
    expected: "409",
    change: "Keep userName unique without regard to case (RFC 7643 section 4.1.1).",
};
// Okta, Okta-SCIM-20-SPEC-Test.json.
const UNKNOWN: Check = Check {
    name: "unknown-user",
    title: "a user who is not there",
    level: Level::Fault,
    expected: "404",
    change: "Answer 404 to GET of an id that is not there, whatever its form.",
};
const DELETE: Check = Check {
    name: "delete-user",
    title: "the user is deleted",
    level: Level::Fault,
    expected: "204; then 404 by id, and an empty list by userName",
    change: "Let DELETE take the user away before it answers 204, from every way to find it.",
};
const DELETE_AGAIN: Check = Check {
    name: "delete-user-again",
    title: "and deleted again",
    level: Level::Advice,
    expected: "404",
    change: "Answer 404 to DELETE of a user who is not there, as Microsoft's validator expects.",
};

/// Two users that other chapters work on.
#[derive(Debug)]
pub(super) struct Users {
    /// In Entra ID's form.
    pub(super) first: SampleUser,
    /// In Okta's.
    pub(super) second: SampleUser,
}

#[derive(Debug, Clone)]
pub(super) struct SampleUser {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) name: String,
}

/// Nothing if none could be created: all that follows works on them.
pub(super) async fn create_and_match(session: &mut Session) -> Option<Users> {
    session.report.chapter("Users: create and match");
    let (first, created) = create(session, &CREATE_ENTRA, "1", entra_user).await;
    let (second, _) = create(session, &CREATE_OKTA, "2", okta_user).await;
    let first = or_else(session, first, "1-else", okta_user).await;
    let second = or_else(session, second, "2-else", entra_user).await;
    let (Some(first), Some(second)) = (first, second) else {
        session.report.chapter("  Without a user nothing more can be examined.");
        return None;
    };
    session.judge(&LOCATION, &created, returns_location);
    let read = session.endpoint.get(&first.path).await;
    session.judge(&VALUES, &read, |read| read.has_values(&as_sent(&first)));
    find(session, &first).await;
    duplicates(session, &first).await;
    let unknown = session.endpoint.get(&format!("/Users/{}", session.nonexistent_id('3'))).await;
    session.judge(&UNKNOWN, &unknown, |unknown| unknown.is(&[404]));
    Some(Users { first, second })
}

async fn create(
    session: &mut Session,
    check: &'static Check,
    which: &str,
    body: fn(&str) -> Value,
) -> (Option<SampleUser>, Answer) {
    let name = session.user_name(which);
    let answer = session.endpoint.create("/Users", &name, &body(&name)).await;
    session.judge(check, &answer, |answer| {
        answer.is(&[201])?;
        answer.id().map(|_| ()).ok_or_else(|| format!("no id: {}", answer.came()))
    });
    let user = answer.id().map(|id| SampleUser { id: id.to_owned(), path: format!("/Users/{id}"), name });
    (user, answer)
}

/// If one form is refused, the other may do: there is more to examine.
async fn or_else(
    session: &Session,
    user: Option<SampleUser>,
    which: &str,
    body: fn(&str) -> Value,
) -> Option<SampleUser> {
    if user.is_some() {
        return user;
    }
    let name = session.user_name(which);
    let id = session.endpoint.create("/Users", &name, &body(&name)).await.id()?.to_owned();
    Some(SampleUser { path: format!("/Users/{id}"), id, name })
}

/// Users more, who are not examined: members of groups, and enough for more than one page.
pub(super) async fn create_colleagues(session: &Session, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for which in 3..3 + count {
        let name = session.user_name(&which.to_string());
        ids.extend(session.endpoint.create("/Users", &name, &entra_user(&name)).await.id().map(str::to_owned));
    }
    ids
}

fn returns_location(answer: &Answer) -> Verdict {
    let location = answer.headers.get("location").and_then(|value| value.to_str().ok());
    let meta = |key: &str| answer.body.get("meta").and_then(|meta| meta.get(key)).and_then(Value::as_str);
    if location.is_some() && meta("location") == location && meta("resourceType") == Some("User") {
        return Ok(());
    }
    Err(format!("Location: {}, with {}", location.unwrap_or("none"), answer.came()))
}

fn as_sent(user: &SampleUser) -> [(&'static str, Value); 8] {
    [
        ("/id", json!(user.id)),
        ("/userName", json!(user.name)),
        ("/externalId", json!(external_id(&user.name))),
        ("/displayName", json!("Rollcall Doctor")),
        ("/name/givenName", json!("Rollcall")),
        ("/name/familyName", json!("Doctor")),
        ("/emails/0/value", json!(user.name)),
        ("/active", json!(true)),
    ]
}

async fn find(session: &mut Session, user: &SampleUser) {
    let name = &user.name;
    for (check, filter) in [
        (&MATCH_NAME, format!("userName eq \"{name}\"")),
        (&MATCH_CASE, format!("userName eq \"{}\"", name.to_uppercase())),
        (&MATCH_EXTERNAL, format!("externalId eq \"{}\"", external_id(name))),
        (&MATCH_EMAIL, format!("emails[type eq \"work\"].value eq \"{name}\"")),
    ] {
        let found = session.endpoint.get(&search("/Users", &filter, "")).await;
        session.judge(check, &found, |found| found.is_list_of(&user.id));
    }
}

async fn duplicates(session: &mut Session, user: &SampleUser) {
    let again = session.endpoint.create("/Users", &user.name, &entra_user(&user.name)).await;
    if session.judge(&DUPLICATE, &again, |again| again.is(&[409])) {
        session.judge(&DUPLICATE_TYPE, &again, |again| {
            again.is_scim_error()?;
            let has_scim_type = again.body.get("scimType").is_some_and(|text| text == "uniqueness");
            if has_scim_type { Ok(()) } else { Err(again.came()) }
        });
    }
    let mut in_capitals = entra_user(&user.name);
    // Another address and externalId: only the name is the same.
    let other = session.user_name("1-again");
    merge(
        &mut in_capitals,
        json!({"schemas": [CORE_USER], "userName": user.name.to_uppercase(), "externalId": external_id(&other),
        "emails": [{"primary": true, "type": "work", "value": other}]}),
    );
    let again = session.endpoint.create("/Users", &user.name.to_uppercase(), &in_capitals).await;
    session.judge(&DUPLICATE_CASE, &again, |again| again.is(&[409]));
}

fn merge(into: &mut Value, members: Value) {
    if let (Some(into), Value::Object(members)) = (into.as_object_mut(), members) {
        into.extend(members);
    }
}

/// Deletes one user; the others are cleaned up.
pub(super) async fn delete(session: &mut Session, users: &Users) {
    session.report.chapter("Users: delete");
    let SampleUser { path, name, .. } = &users.second;
    let deleted = session.endpoint.delete(path).await;
    let verdict = is_gone(session, &deleted, path, name).await;
    session.report.note(&DELETE, &deleted.sent, verdict);
    let again = session.endpoint.delete(path).await;
    session.judge(&DELETE_AGAIN, &again, |again| again.is(&[404]));
}

async fn is_gone(session: &Session, deleted: &Answer, path: &str, name: &str) -> Verdict {
    deleted.is(&[204])?;
    let read = session.endpoint.get(path).await;
    read.is(&[404]).map_err(|came| format!("204, but {} is then answered {came}", read.sent))?;
    let found = session.endpoint.get(&search("/Users", &format!("userName eq \"{name}\""), "")).await;
    found.finds_nobody().map_err(|came| format!("204, but {} is then answered {came}", found.sent))
}
