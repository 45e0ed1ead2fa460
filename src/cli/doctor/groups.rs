//! Group push: groups are created, matched, filled, emptied, renamed and deleted.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::answer::{Answer, Verdict};
use super::bodies::{self, CORE_GROUP, entra_group, entra_members, okta_group};
use super::report::{Check, Level};
use super::session::{Session, search};

/// So many are added at once, after one who is there from the beginning.
const AT_ONCE: usize = 5;
/// So many members are needed.
pub(super) const MEMBERS: usize = 1 + AT_ONCE;

const CREATE: Check = Check {
    name: "create-group",
    title: "Entra ID creates a group, without members",
    level: Level::Fault,
    expected: "201 and the group with its id",
    change: "Accept the group as Entra ID sends it, with a second schema that is its own and without members; answer 201 with the group and its id.",
};
const CREATE_FILLED: Check = Check {
    name: "create-group-with-members",
    title: "Okta creates a group with a member",
    level: Level::Fault,
    expected: "201; read back, the group has this member",
    change: "Store the members that a POST of a group names.",
};
const FIND: Check = Check {
    name: "match-group",
    title: "the group is found by displayName",
    level: Level::Fault,
    expected: "200 and a list of this group alone",
    change: "Support the filter displayName eq on groups, with excludedAttributes=members, which Entra ID always sends.",
};
const FIND_CASE: Check = Check {
    name: "match-group-case",
    title: "the group is found by displayName in capitals",
    level: Level::Advice,
    expected: "200 and a list of this group alone",
    change: "Compare displayName of groups without regard to case, as Microsoft's validator does.",
};
const DUPLICATE: Check = Check {
    name: "duplicate-group",
    title: "the same group is created again",
    level: Level::Advice,
    expected: "409",
    change: "Answer 409 with scimType uniqueness to a POST of a displayName that is there, or a repeated request makes a second group.",
};
const ADD: Check = Check {
    name: "add-member",
    title: "Entra ID adds a member",
    level: Level::Fault,
    expected: "200 or 204, and the member in the group",
    change: "Support add on members with [{\"$ref\": null, \"value\": id}]. Entra ID never reads members back: what is answered must have been done.",
};
const ADD_AGAIN: Check = Check {
    name: "add-member-again",
    title: "Entra ID adds the same member again",
    level: Level::Fault,
    expected: "200 or 204, and the member once in the group",
    change: "Let the addition of who is a member succeed and change nothing.",
};
const ADD_SEVERAL: Check = Check {
    name: "add-members",
    title: "Entra ID adds several members in one operation",
    level: Level::Fault,
    expected: "200 or 204, and all of them in the group beside who was there",
    change: "Add every element of the value, and keep the members who are there.",
};
const EXCLUDED: Check = Check {
    name: "excluded-members",
    title: "a group is read without members",
    level: Level::Advice,
    expected: "200, without members",
    change: "Support excludedAttributes=members, with which Entra ID reads every group.",
};
// Entra ID without aadOptscim062020.
const REMOVE_LIST: Check = Check {
    name: "remove-member-by-value",
    title: "Entra ID removes a member: path members, with a value",
    level: Level::Fault,
    expected: "200 or 204, this member gone and the others kept",
    change: "Let remove on members with a value take away those that the value names, never all.",
};
// Entra ID with aadOptscim062020, and Okta.
const REMOVE_PATH: Check = Check {
    name: "remove-member-by-path",
    title: "Okta removes a member: path members[value eq id]",
    level: Level::Fault,
    expected: "200 or 204, this member gone and the others kept",
    change: "Support the path members[value eq \"id\"] in remove.",
};
const REMOVE_ABSENT: Check = Check {
    name: "remove-member-again",
    title: "Entra ID removes who is no member",
    level: Level::Advice,
    expected: "200 or 204, and the group as it was",
    change: "Let the removal of who is no member succeed: a repeated request fails in every cycle otherwise.",
};
// apache/directory-scimple issue 704.
const ADD_DOT: Check = Check {
    name: "add-member-urn-dot",
    title: "a member is added by the URN of groups joined by a dot",
    level: Level::Fault,
    expected: "200 or 204, and the member in the group; or 400, and the group as it was",
    change: "Read urn:ietf:params:scim:schemas:core:2.0:Group.members as members, or refuse it with 400 invalidPath.",
};
const REMOVE_QUOTES: Check = Check {
    name: "remove-member-quotes",
    title: "a member is removed by a path in single quotes",
    level: Level::Fault,
    expected: "200 or 204, and this member gone; or 400, and the group as it was",
    change: "Refuse members[value eq 'id'] with 400 invalidPath, or read it as \"id\": with a success the member keeps its access.",
};
const CONCURRENT: Check = Check {
    name: "concurrent-members",
    title: "five members are added at the same time",
    level: Level::Fault,
    expected: "200 or 204 for each, and all of them in the group",
    change: "Make the change of members atomic: whoever reads the list, changes it and writes it back loses what others have written meanwhile.",
};
// Okta, full push of a group.
const REPLACE: Check = Check {
    name: "replace-members",
    title: "Okta pushes all members",
    level: Level::Fault,
    expected: "200 or 204, and these members alone",
    change: "Let replace on members set the list: who is not in it is no member any more.",
};
const RENAME: Check = Check {
    name: "rename-group",
    title: "Entra ID renames the group",
    level: Level::Fault,
    expected: "200 or 204; found by the new displayName, with its members",
    change: "Let displayName be changed by PATCH, and keep id and members.",
};
// Okta, reference/scim/scim-20: the id is in the value, and sent again with each change.
const RENAME_OKTA: Check = Check {
    name: "rename-group-okta",
    title: "Okta renames the group: no path, with id",
    level: Level::Fault,
    expected: "200 or 204; found by the new displayName, with its members",
    change: "Accept id within the value of a replace without path, and ignore it.",
};
const DELETE: Check = Check {
    name: "delete-group",
    title: "the group is deleted",
    level: Level::Fault,
    expected: "204; then 404 by id; its members are still there as users",
    change: "Let DELETE take the group away, and nothing else, before it answers 204.",
};

/// Examines groups with these users as members.
pub(super) async fn run(session: &mut Session, ids: &[String]) {
    session.report.chapter("Groups");
    if !session.has_groups {
        session.report.skip(&CREATE, "no groups are offered; nor are all other checks of groups");
        return;
    }
    let name = session.group_name("1");
    let answer = session.endpoint.create("/Groups", &name, &entra_group(&name)).await;
    session.judge(&CREATE, &answer, |answer| {
        answer.is(&[201])?;
        answer.id().map(|_| ()).ok_or_else(|| format!("no id: {}", answer.came()))
    });
    // If this form is refused, Okta's may do: there is more to examine.
    let answer = match answer.id() {
        Some(_) => answer,
        None => session.endpoint.create("/Groups", &name, &okta_group(&name, &[])).await,
    };
    let Some(id) = answer.id() else {
        session.report.skip(&FIND, "there is no group; nor can anything else of groups be examined");
        return;
    };
    let group = SampleGroup { id: id.to_owned(), path: format!("/Groups/{id}"), name };
    find(session, &group).await;
    add(session, &group, ids).await;
    remove(session, &group, ids).await;
    spellings(session, &group.path, ids).await;
    push(session, ids).await;
    delete(session, &group, ids).await;
}

#[derive(Debug)]
struct SampleGroup {
    id: String,
    path: String,
    name: String,
}

async fn find(session: &mut Session, group: &SampleGroup) {
    for (check, name) in [(&FIND, group.name.clone()), (&FIND_CASE, group.name.to_uppercase())] {
        let found = session.endpoint.get(&by_name(&name)).await;
        session.judge(check, &found, |found| found.is_list_of(&group.id));
    }
    let again = session.endpoint.create("/Groups", &group.name, &okta_group(&group.name, &[])).await;
    session.judge(&DUPLICATE, &again, |again| again.is(&[409]));
}

fn by_name(name: &str) -> String {
    search("/Groups", &format!("displayName eq \"{name}\""), "&excludedAttributes=members")
}

async fn add(session: &mut Session, group: &SampleGroup, ids: &[String]) {
    let path = &group.path;
    let first = some(ids, 0, 1);
    let operation = session.operation("Add", "members", &entra_members(&first));
    change(session, &ADD, path, &operation, &first).await;
    change(session, &ADD_AGAIN, path, &operation, &first).await;
    let operation = session.operation("Add", "members", &entra_members(&some(ids, 1, 4)));
    change(session, &ADD_SEVERAL, path, &operation, &some(ids, 0, 4)).await;
    let read = session.endpoint.get(&format!("{path}?excludedAttributes=members")).await;
    session.judge(&EXCLUDED, &read, |read| {
        read.is(&[200])?;
        if read.body.get("members").is_none() { Ok(()) } else { Err(read.came()) }
    });
}

async fn remove(session: &mut Session, group: &SampleGroup, ids: &[String]) {
    let path = &group.path;
    let all = session.operation("Add", "members", &entra_members(&some(ids, 0, 4)));
    let by_value = session.operation("Remove", "members", &entra_members(&some(ids, 0, 1)));
    change(session, &REMOVE_LIST, path, &by_value, &some(ids, 1, 4)).await;
    // Restored, so that one fault is not reported twice.
    session.endpoint.patch(path, &bodies::patch(&[all])).await;
    let target = ids.first().map(String::as_str).unwrap_or_default();
    let by_path = json!({"op": "remove", "path": format!("members[value eq \"{target}\"]")});
    if change(session, &REMOVE_PATH, path, &by_path, &some(ids, 1, 4)).await {
        change(session, &REMOVE_ABSENT, path, &by_path, &some(ids, 1, 4)).await;
    }
}

/// Spellings that are understood or refused.
async fn spellings(session: &mut Session, path: &str, ids: &[String]) {
    let [_, leaver, _, _, joiner, ..] = ids else { return };
    let add = json!({"op": "add", "path": format!("{CORE_GROUP}.members"), "value": [{"value": joiner}]});
    let remove = json!({"op": "remove", "path": format!("members[value eq '{leaver}']")});
    for (check, operation) in [(&ADD_DOT, add), (&REMOVE_QUOTES, remove)] {
        let before = members(&session.endpoint.get(path).await);
        let mut after = before.clone();
        match check.name == ADD_DOT.name {
            true => after.push(joiner.clone()),
            false => after.retain(|id| id != leaver),
        }
        let answer = session.endpoint.patch(path, &bodies::patch(&[operation])).await;
        let verdict = match answer.is(&[400]) {
            Ok(()) => has_members(session, path, &before).await,
            Err(_) => match answer.is(&[200, 204]) {
                Ok(()) => has_members(session, path, &after).await,
                refused => refused,
            },
        };
        session.report.note(check, &answer.sent, verdict);
    }
}

/// A group of its own: with a member from the beginning, more at once, then others, then other names.
async fn push(session: &mut Session, ids: &[String]) {
    let name = session.group_name("2");
    let created = session.endpoint.create("/Groups", &name, &okta_group(&name, &some(ids, 0, 1))).await;
    let Some(id) = created.id().map(str::to_owned) else {
        session.report.note(&CREATE_FILLED, &created.sent, Err(created.came()));
        return;
    };
    let group = SampleGroup { path: format!("/Groups/{id}"), id, name };
    let verdict = match created.is(&[201]) {
        Ok(()) => has_members(session, &group.path, &some(ids, 0, 1)).await,
        refused => refused,
    };
    session.report.note(&CREATE_FILLED, &created.sent, verdict);
    add_at_once(session, &group.path, ids).await;
    let pushed = some(ids, 0, 2);
    let operation = json!({"op": "replace", "path": "members", "value": entra_members(&pushed)});
    change(session, &REPLACE, &group.path, &operation, &pushed).await;
    let new_name = session.group_name("2-renamed");
    let operation = session.operation("Replace", "displayName", &json!(new_name));
    rename(session, &RENAME, &group, operation, &new_name, &pushed).await;
    let new_name = session.group_name("2-pushed");
    let operation = json!({"op": "replace", "value": {"id": group.id, "displayName": new_name}});
    rename(session, &RENAME_OKTA, &group, operation, &new_name, &pushed).await;
}

async fn add_at_once(session: &mut Session, path: &str, ids: &[String]) {
    let bodies: Vec<_> = some(ids, 1, MEMBERS)
        .into_iter()
        .map(|id| bodies::patch(&[session.operation("Add", "members", &entra_members(&[id]))]))
        .collect();
    let answers = join_all(bodies.iter().map(|body| session.endpoint.patch(path, body))).await;
    let sent = answers.first().map(|first| format!("{} and four more", first.sent)).unwrap_or_default();
    let verdict = match answers.iter().try_for_each(|answer| answer.is(&[200, 204])) {
        Ok(()) => has_members(session, path, &some(ids, 0, MEMBERS)).await,
        refused => refused,
    };
    session.report.note(&CONCURRENT, &sent, verdict);
}

async fn rename(
    session: &mut Session,
    check: &'static Check,
    group: &SampleGroup,
    operation: Value,
    name: &str,
    members: &[String],
) {
    let answer = session.endpoint.patch(&group.path, &bodies::patch(&[operation])).await;
    let verdict = is_renamed(session, &answer, group, name, members).await;
    session.report.note(check, &answer.sent, verdict);
}

async fn is_renamed(
    session: &Session,
    answer: &Answer,
    group: &SampleGroup,
    name: &str,
    members: &[String],
) -> Verdict {
    answer.is(&[200, 204])?;
    let found = session.endpoint.get(&by_name(name)).await;
    found.is_list_of(&group.id).map_err(|came| format!("{} is then answered {came}", found.sent))?;
    has_members(session, &group.path, members).await
}

async fn delete(session: &mut Session, group: &SampleGroup, ids: &[String]) {
    let deleted = session.endpoint.delete(&group.path).await;
    let verdict = is_gone(session, &deleted, group, ids).await;
    session.report.note(&DELETE, &deleted.sent, verdict);
}

async fn is_gone(session: &Session, deleted: &Answer, group: &SampleGroup, ids: &[String]) -> Verdict {
    deleted.is(&[204])?;
    let read = session.endpoint.get(&group.path).await;
    read.is(&[404]).map_err(|came| format!("204, but {} is then answered {came}", read.sent))?;
    for id in ids.iter().skip(1).take(1) {
        let member = session.endpoint.get(&format!("/Users/{id}")).await;
        member.is(&[200]).map_err(|came| format!("{} is then answered {came}", member.sent))?;
    }
    Ok(())
}

/// Changes the group, and reads its members back.
async fn change(
    session: &mut Session,
    check: &'static Check,
    path: &str,
    operation: &Value,
    members: &[String],
) -> bool {
    let answer = session.endpoint.patch(path, &bodies::patch(std::slice::from_ref(operation))).await;
    let verdict = match answer.is(&[200, 204]) {
        Ok(()) => has_members(session, path, members).await,
        refused => refused,
    };
    session.report.note(check, &answer.sent, verdict)
}

fn members(group: &Answer) -> Vec<String> {
    let members = group.body.get("members").and_then(Value::as_array).into_iter().flatten();
    members.filter_map(|member| Some(member.get("value")?.as_str()?.to_owned())).collect()
}

/// Whether these are the members, each once.
async fn has_members(session: &Session, path: &str, expected: &[String]) -> Verdict {
    let read = session.endpoint.get(path).await;
    read.is(&[200])?;
    let members = members(&read);
    let ids: Vec<_> = members.iter().map(String::as_str).collect();
    let (now, wanted): (BTreeSet<_>, BTreeSet<_>) =
        (ids.iter().copied().collect(), expected.iter().map(String::as_str).collect());
    if now == wanted && ids.len() == wanted.len() {
        return Ok(());
    }
    let list = |ids: Vec<&str>| if ids.is_empty() { "nobody".to_owned() } else { ids.join(", ") };
    let missing = list(wanted.difference(&now).copied().collect());
    let extra = list(now.difference(&wanted).copied().collect());
    Err(format!("read back, the group has {} members; missing: {missing}; too many: {extra}", ids.len()))
}

fn some(ids: &[String], from: usize, to: usize) -> Vec<String> {
    ids.iter().take(to).skip(from).cloned().collect()
}
