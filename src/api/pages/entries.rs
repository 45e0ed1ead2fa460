//! Entries of the log, as the page prints them.

use std::collections::BTreeSet;

use form_urlencoded::Serializer;
use serde_json::Value;

use super::catalogue::Catalogue;
use super::frame::{PageTime, items, text};
use super::session::PageSession;
use crate::auth::PageRole;

/// One entry.
pub(super) struct LogLine {
    pub(super) at: String,
    pub(super) time: String,
    /// By which the style sheet knows refusals.
    pub(super) class: &'static str,
    pub(super) kind: &'static str,
    pub(super) what: String,
    pub(super) subject: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) remedy: Option<String>,
    pub(super) status: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) rules: Option<String>,
    pub(super) request: Option<String>,
    pub(super) differences: Vec<AttributeChange>,
    /// Where it can be undone.
    pub(super) undo: Vec<UndoLink>,
}

/// The way to the plan of a restore.
pub(super) struct UndoLink {
    pub(super) text: &'static str,
    /// The parameters of its address.
    pub(super) query: String,
}

/// An attribute before and after.
pub(super) struct AttributeChange {
    pub(super) attribute: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// The entries of an answer of the log.
pub(super) fn lines(page: &Value, session: &PageSession<'_>) -> Vec<LogLine> {
    let (t, may_restore) = (session.t, session.may(PageRole::Operate));
    let one = |entry: &Value| {
        let undo = if may_restore { undo(entry, t) } else { Vec::new() };
        LogLine { undo, ..line(entry, t) }
    };
    items(page, "entries").iter().map(one).collect()
}

/// The restores that begin with a change. What a restore has done is nobody's, and none undoes it.
fn undo(entry: &Value, t: &'static Catalogue) -> Vec<UndoLink> {
    let since = text(entry, "/timestamp");
    let is_of_client = !matches!(text(entry, "/actor/client"), "page" | "command-line");
    if text(entry, "/kind") != "change" || text(entry, "/how") == "restore" || since.is_empty() {
        return Vec::new();
    }
    let own = if text(entry, "/resource/type") == "User" { text(entry, "/resource/id") } else { "" };
    let user = if own.is_empty() { text(entry, "/user/id") } else { own };
    let key = if is_of_client { text(entry, "/actor/key") } else { "" };
    let link = |(name, id, text): (&str, &str, &'static str)| {
        let mut query = Serializer::new(String::new());
        UndoLink { text, query: query.append_pair(name, id).append_pair("since", since).finish() }
    };
    let all = [("user", user, t.restore_link_user), ("key", key, t.restore_link_key)];
    all.into_iter().filter(|(_, id, _)| !id.is_empty()).map(link).collect()
}

fn line(entry: &Value, t: &'static Catalogue) -> LogLine {
    let filled = |pointer: &str| Some(text(entry, pointer)).filter(|text| !text.is_empty()).map(str::to_owned);
    let (class, kind) = match text(entry, "/kind") {
        "refusal" => ("refusal", t.kind_refusal),
        "admin" => ("admin", t.kind_admin),
        _ => ("change", t.kind_change),
    };
    let time = PageTime::of(entry.get("timestamp"));
    let (at, time) = time.map(|time| (time.at, time.text)).unwrap_or_default();
    let what = filled("/type").or_else(|| filled("/code")).or_else(|| filled("/route")).unwrap_or_default();
    let status = entry.get("status").map(|status| format!("{status} {}", text(entry, "/method")));
    let rules = items(entry, "rules").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    LogLine {
        at,
        time,
        class,
        kind,
        what,
        subject: subject(entry),
        detail: filled("/detail"),
        remedy: filled("/remedy"),
        status,
        actor: actor(entry),
        rules: Some(rules).filter(|rules| !rules.is_empty()),
        request: filled("/request"),
        differences: differences(entry),
        undo: Vec::new(),
    }
}

/// To whom or what it happened, by the names that people know.
fn subject(entry: &Value) -> Option<String> {
    let first = |pointers: &[&str]| {
        let mut texts = pointers.iter().map(|pointer| text(entry, pointer));
        texts.find(|text| !text.is_empty())
    };
    let resource = first(&["/resource/userName", "/resource/displayName", "/resource/id", "/target"]);
    let group = first(&["/group/displayName", "/group/id"]);
    let member = first(&["/user/userName", "/memberGroup/displayName", "/user/id", "/memberGroup/id"]);
    match (resource, member, group) {
        (_, Some(member), Some(group)) => Some(format!("{member} – {group}")),
        (Some(resource), Some(member), None) => Some(format!("{member} – {resource}")),
        (Some(resource), None, _) => Some(resource.to_owned()),
        (None, other, group) => other.or(group).map(str::to_owned),
    }
}

fn actor(entry: &Value) -> Option<String> {
    let fields = ["person", "description", "automationUser", "client", "keyState", "key"];
    let known = fields.iter().map(|name| text(entry, &format!("/actor/{name}")));
    // Of a key that works, nobody asks for the state.
    let known = known.filter(|text| !matches!(*text, "" | "ok"));
    let known = known.collect::<Vec<_>>().join(" · ");
    (!known.is_empty()).then_some(known)
}

/// The attributes of `before` and of what came after it, that differ.
fn differences(entry: &Value) -> Vec<AttributeChange> {
    let before = flat(entry.get("before"));
    let after = flat(entry.get("after").or_else(|| entry.get("data")));
    let names: BTreeSet<&String> = before.iter().chain(&after).map(|(name, _)| name).collect();
    let find = |all: &[(String, String)], name: &str| {
        all.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let rows = names.into_iter().map(|name| AttributeChange {
        attribute: name.clone(),
        before: find(&before, name),
        after: find(&after, name),
    });
    rows.filter(|row| row.before != row.after && row.attribute != "schemas").collect()
}

/// The values of an object, one a line, the names of objects in it with a full stop.
fn flat(value: Option<&Value>) -> Vec<(String, String)> {
    let Some(Value::Object(fields)) = value else { return Vec::new() };
    let one = |(name, value): (&String, &Value)| match value {
        Value::Object(inner) if inner.values().all(|value| !value.is_object()) => {
            inner.iter().map(|(part, value)| (format!("{name}.{part}"), plain(value))).collect()
        }
        value => vec![(name.clone(), plain(value))],
    };
    fields.iter().flat_map(one).collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::catalogue::Language;
    use super::*;

    #[test]
    fn an_entry_names_who_what_and_the_difference() {
        let t = Language::English.catalogue();
        let entry = json!({"kind": "change", "type": "user.updated", "timestamp": "2027-01-31T12:00:00.123Z",
            "resource": {"type": "User", "id": "1", "userName": "lela"}, "actor": {"key": "k", "client": "entra"},
            "before": {"title": "Engineer", "name": {"familyName": "Block"}, "same": 1},
            "data": {"title": null, "name": {"familyName": "Stone"}, "same": 1}});
        let line = line(&entry, t);
        assert_eq!((line.what.as_str(), line.subject.as_deref()), ("user.updated", Some("lela")));
        assert_eq!((line.actor.as_deref(), line.time.as_str()), (Some("entra · k"), "2027-01-31 12:00 UTC"));
        let rows: Vec<_> = line.differences.iter().map(|row| (&*row.attribute, &*row.before, &*row.after)).collect();
        let undo: Vec<_> = undo(&entry, t).into_iter().map(|link| link.query).collect();
        let since = "since=2027-01-31T12%3A00%3A00.123Z";
        assert_eq!(undo, [format!("user=1&{since}"), format!("key=k&{since}")]);
        assert_eq!(rows, [("name.familyName", "Block", "Stone"), ("title", "Engineer", "")]);
    }
}
