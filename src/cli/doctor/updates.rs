//! A user is changed, disabled, restored and renamed, in the forms of both identity providers.

use serde_json::{Value, json};

use super::answer::{Answer, Verdict};
use super::bodies::{self, ENTERPRISE};
use super::report::{Check, Level};
use super::session::{Session, search};
use super::users::{SampleUser, Users};

// Entra ID without aadOptscim062020, application-provisioning-config-problem-scim-compatibility.md.
const CAPITAL_OP: Check = Check {
    name: "patch-capital-op",
    title: "Entra ID writes Replace with a capital",
    level: Level::Fault,
    expected: "200 or 204, and displayName changed",
    change: "Compare op of PATCH without regard to case: Entra ID sends Add, Replace and Remove.",
};
const VALUE_PATH: Check = Check {
    name: "patch-value-path",
    title: "Entra ID changes the work e-mail address",
    level: Level::Fault,
    expected: "200 or 204, and the address changed, in its place",
    change: "Support paths with a filter, emails[type eq \"work\"].value, in PATCH.",
};
// RFC 7644 section 3.5.2.3 would have it refused, and Entra ID relies on it (sourcegraph PR 49200, better-auth PR 10682).
const VALUE_PATH_NEW: Check = Check {
    name: "patch-value-path-new",
    title: "Entra ID sets a telephone number where there is none",
    level: Level::Fault,
    expected: "200 or 204, and phoneNumbers with one element of type work and this value",
    change: "Create the element when the filter of a path, phoneNumbers[type eq \"work\"].value, matches none; or take the attribute out of the mapping.",
};
const WITHOUT_PATH: Check = Check {
    name: "patch-without-path",
    title: "Entra ID with aadOptscim062020: several attributes, dotted keys, no path",
    level: Level::Fault,
    expected: "200 or 204, with displayName, name.givenName and name.familyName changed",
    change: "Read the value of an operation without path as attributes, and \"name.givenName\" in it as givenName within name.",
};
const EXTENSION_PATH: Check = Check {
    name: "patch-extension",
    title: "Entra ID sets the department",
    level: Level::Fault,
    expected: "200 or 204, and department within the enterprise extension",
    change: "Support the path urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department, or take the extension out of /Schemas and the mapping.",
};
const EXTENSION_KEY: Check = Check {
    name: "patch-extension-key",
    title: "Entra ID with aadOptscim062020 sets the employee number",
    level: Level::Fault,
    expected: "200 or 204, and employeeNumber within the enterprise extension",
    change: "Read a key such as urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber in an operation without path.",
};
// A text in the reply fails Entra ID's deserialiser (Budibase issue 15369).
const MANAGER: Check = Check {
    name: "manager",
    title: "Entra ID sets the manager, by id alone",
    level: Level::Fault,
    expected: "200 or 204, and manager as an object with this value",
    change: "Take a manager that is sent as text, and always return {\"value\": id}; or take it out of the mapping.",
};
// Microsoft's validator (SCIMReferenceCode, SCIM_Null_Update).
const CLEAR: Check = Check {
    name: "clear-attribute",
    title: "an empty text clears the title",
    level: Level::Advice,
    expected: "200 or 204, and no title or an empty one",
    change: "Let replace with an empty text clear the attribute: so directories say that it has lost its value.",
};
// Okta, reference/scim/scim-20: the whole user with id, meta and groups.
const PUT: Check = Check {
    name: "put-user",
    title: "Okta replaces the user by PUT",
    level: Level::Fault,
    expected: "200 with the user, name.givenName changed, userName and the address kept",
    change: "Accept by PUT what GET has returned, read-only attributes such as id, meta and groups included, and answer 200 with the user.",
};
const DISABLE_TEXT: Check = Check {
    name: "disable-text",
    title: "Entra ID disables with the text \"False\"",
    level: Level::Fault,
    expected: "200 or 204, and active false, a JSON boolean",
    change: "Take \"False\" and \"True\" for booleans, in any case, and return booleans.",
};
const RESTORE_TEXT: Check = Check {
    name: "restore-text",
    title: "and restores with the text \"True\"",
    level: Level::Fault,
    expected: "200 or 204, and active true, a JSON boolean",
    change: "Take \"False\" and \"True\" for booleans, in any case, and return booleans.",
};
const DISABLE_BOOLEAN: Check = Check {
    name: "disable-okta",
    title: "Okta disables: active false, no path",
    level: Level::Fault,
    expected: "200 or 204, and active false",
    change: "Support {\"op\":\"replace\",\"value\":{\"active\":false}}, and let active of a later GET say so.",
};
// Entra ID, use-scim-to-provision-users-and-groups.md: whoever vanishes is created again.
const DISABLED_FOUND: Check = Check {
    name: "disabled-user-found",
    title: "the disabled user is still found",
    level: Level::Fault,
    expected: "200 and a list of this user, with active false",
    change: "Keep disabled users in filters and lists, with active false: only DELETE makes a user vanish.",
};
const RESTORE_BOOLEAN: Check = Check {
    name: "restore-okta",
    title: "Okta restores: active true",
    level: Level::Fault,
    expected: "200 or 204, and active true",
    change: "Let active true make the disabled user active again, with all else as before.",
};
const RENAME: Check = Check {
    name: "rename-user",
    title: "Entra ID renames the user",
    level: Level::Fault,
    expected: "200 or 204; the same id is found by the new userName, and nobody by the old one",
    change: "Let userName be changed by PATCH, keep the id, and answer filters by the new name alone.",
};

pub(super) async fn run(session: &mut Session, users: &Users) {
    session.report.chapter("Users: update");
    let path = &users.first.path;
    patch_core(session, path).await;
    patch_extension(session, users).await;
    clear(session, path).await;
    put(session, &users.second).await;
    session.report.chapter("Users: disable, restore, rename");
    disable_and_restore(session, &users.first).await;
    rename(session, &users.first).await;
}

async fn patch_core(session: &mut Session, path: &str) {
    let value = json!("Doctor, Rollcall");
    let operation = json!({"op": "Replace", "path": "displayName", "value": value});
    session.accepts_capitalized_op = session.change(&CAPITAL_OP, path, operation, &[("/displayName", value)]).await;
    let value = json!(session.user_name("1-mail"));
    let operation = session.operation("Replace", "emails[type eq \"work\"].value", &value);
    session
        .change(&VALUE_PATH, path, operation, &[("/emails/0/value", value), ("/emails/0/type", json!("work"))])
        .await;
    let value = json!("+1 555 0100");
    let operation = session.operation("Add", "phoneNumbers[type eq \"work\"].value", &value);
    let expected = [("/phoneNumbers/0/value", value), ("/phoneNumbers/0/type", json!("work"))];
    session.change(&VALUE_PATH_NEW, path, operation, &expected).await;
    let value = json!({"displayName": "Roll Call", "name.givenName": "Roll", "name.familyName": "Call"});
    let expected =
        [("/displayName", json!("Roll Call")), ("/name/givenName", json!("Roll")), ("/name/familyName", json!("Call"))];
    session.change(&WITHOUT_PATH, path, json!({"op": "replace", "value": value}), &expected).await;
}

async fn patch_extension(session: &mut Session, users: &Users) {
    if !session.has_enterprise {
        for check in [&EXTENSION_PATH, &EXTENSION_KEY, &MANAGER] {
            session.report.skip(check, "/Schemas has no enterprise extension");
        }
        return;
    }
    let path = &users.first.path;
    let department = json!("Surgery");
    let operation = session.operation("Add", &format!("{ENTERPRISE}:department"), &department);
    session.change(&EXTENSION_PATH, path, operation, &[(&format!("/{ENTERPRISE}/department"), department)]).await;
    let value = json!({format!("{ENTERPRISE}:employeeNumber"): "4711"});
    let expected = [(&*format!("/{ENTERPRISE}/employeeNumber"), json!("4711"))];
    session.change(&EXTENSION_KEY, path, json!({"op": "replace", "value": value}), &expected).await;
    let manager = json!(users.second.id);
    let operation = session.operation("Add", &format!("{ENTERPRISE}:manager"), &manager);
    session.change(&MANAGER, path, operation, &[(&format!("/{ENTERPRISE}/manager/value"), manager)]).await;
}

async fn clear(session: &mut Session, path: &str) {
    let titled = session.operation("Add", "title", &json!("Surgeon"));
    session.endpoint.patch(path, &bodies::patch(&[titled])).await;
    let cleared = session.operation("Replace", "title", &json!(""));
    let answer = session.endpoint.patch(path, &bodies::patch(&[cleared])).await;
    let read = session.endpoint.get(path).await;
    session.judge(&CLEAR, &answer, |answer| {
        answer.is(&[200, 204])?;
        let title = read.body.get("title").and_then(Value::as_str).unwrap_or_default();
        if title.is_empty() { Ok(()) } else { Err(format!("read back, title is still {title}")) }
    });
}

async fn put(session: &mut Session, user: &SampleUser) {
    let read = session.endpoint.get(&user.path).await;
    let mut whole = read.body;
    if let Some(name) = whole.get_mut("name").and_then(Value::as_object_mut) {
        name.insert("givenName".to_owned(), json!("Put"));
    }
    let answer = session.endpoint.put(&user.path, &whole).await;
    let expected = [
        ("/id", json!(user.id)),
        ("/userName", json!(user.name)),
        ("/name/givenName", json!("Put")),
        ("/emails/0/value", json!(user.name)),
    ];
    let verdict = match answer.has_values(&expected) {
        Ok(()) => session.endpoint.get(&user.path).await.has_values(&expected),
        refused => refused,
    };
    session.report.note(&PUT, &answer.sent, verdict);
}

async fn disable_and_restore(session: &mut Session, user: &SampleUser) {
    let path = &user.path;
    let (on, off) = ([("/active", json!(true))], [("/active", json!(false))]);
    let operation = session.operation("Replace", "active", &json!("False"));
    session.change(&DISABLE_TEXT, path, operation, &off).await;
    let operation = session.operation("Replace", "active", &json!("True"));
    session.change(&RESTORE_TEXT, path, operation, &on).await;
    let active = |active: bool| json!({"op": "replace", "value": {"active": active}});
    if session.change(&DISABLE_BOOLEAN, path, active(false), &off).await {
        let found = session.endpoint.get(&search("/Users", &format!("userName eq \"{}\"", user.name), "")).await;
        session.judge(&DISABLED_FOUND, &found, |found| is_found_disabled(found, &user.id));
    } else {
        session.report.skip(&DISABLED_FOUND, "the user could not be disabled");
    }
    session.change(&RESTORE_BOOLEAN, path, active(true), &on).await;
}

fn is_found_disabled(found: &Answer, id: &str) -> Verdict {
    found.is_list_of(id)?;
    found.has_values(&[("/Resources/0/active", json!(false))])
}

async fn rename(session: &mut Session, user: &SampleUser) {
    let name = session.user_name("1-renamed");
    let operation = session.operation("Replace", "userName", &json!(name));
    let answer = session.endpoint.patch(&user.path, &bodies::patch(&[operation])).await;
    let verdict = is_renamed(session, &answer, user, &name).await;
    session.report.note(&RENAME, &answer.sent, verdict);
}

async fn is_renamed(session: &Session, answer: &Answer, user: &SampleUser, name: &str) -> Verdict {
    answer.is(&[200, 204])?;
    session.endpoint.get(&user.path).await.has_values(&[("/userName", json!(name))])?;
    let by_name = |name: &str| search("/Users", &format!("userName eq \"{name}\""), "");
    let describe = |found: &Answer, came: String| format!("{} is then answered {came}", found.sent);
    let found = session.endpoint.get(&by_name(name)).await;
    found.is_list_of(&user.id).map_err(|came| describe(&found, came))?;
    let found = session.endpoint.get(&by_name(&user.name)).await;
    found.finds_nobody().map_err(|came| describe(&found, came))
}
