//! A restore: what it would change, and after a confirmation what it has changed.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use form_urlencoded::Serializer;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::super::{ScimResponse, dry_run};
use super::catalogue::{Catalogue, fill};
use super::entries::AttributeChange;
use super::frame::{Frame, items, text};
use super::reply;
use super::request::Form;
use super::session::PageSession;
use crate::auth::PageRole;
use crate::limits::PAGE_MATCHES;
use crate::scim::ScimError;
use crate::store::ops::restore::RestoreCursor;

/// What a restore is of, as fields of a form and as parameters of an address.
const SCOPE: [&str; 5] = ["user", "key", "since", "until", "hold"];

/// The screen's name, and the address of its form.
pub(super) const RESTORE: &str = "restore";

#[derive(Template)]
#[template(path = "restore.html")]
struct RestorePage {
    frame: Frame,
    is_plan: bool,
    what: String,
    summary: String,
    changes: Vec<RestoredResource>,
    conflicts: Vec<RestoreObstacle>,
    /// The hidden fields of the form that runs it or goes on.
    fields: Vec<(&'static str, String)>,
    /// Whether there is something to run.
    may_run: bool,
    /// The address of the next page of a plan.
    more: Option<String>,
    /// Whether a run has not come to its end.
    is_partial: bool,
}

/// What happens to a user or a group.
struct RestoredResource {
    name: String,
    kind: &'static str,
    is_revived: bool,
    attributes: Vec<AttributeChange>,
    joins: Vec<String>,
    leaves: Vec<String>,
}

/// What stands against a part of it.
struct RestoreObstacle {
    name: String,
    about: Option<String>,
    reason: &'static str,
}

/// The plan: nothing is written.
///
/// # Errors
/// 400, 403, 409 where no window of protection is there, 503.
pub(super) async fn plan(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    let form = Form::of_query(session.context);
    let body = request(session, &form, true)?;
    // Whatever the address says: a GET writes nothing.
    let report = Box::pin(dry_run::run(session.change(Method::POST, "/restore", &body))).await?;
    let names = group_names(session, &report).await?;
    let t = session.t;
    let (changes, conflicts) = (changes(&report, t, &names), conflicts(&report, t, &names));
    let more = text(&report, "/nextCursor");
    let more = (!more.is_empty()).then(|| {
        let scope = SCOPE.iter().filter_map(|name| Some((*name, form.filled(name)?)));
        Serializer::new(String::new()).extend_pairs(scope).append_pair("cursor", more).finish()
    });
    let page = RestorePage {
        frame,
        is_plan: true,
        what: what(&form, t),
        summary: fill(t.restore_planned, &counts(changes.len(), unchanged(&report), conflicts.len()).pairs()),
        may_run: !changes.is_empty() || more.is_some() || form.filled("cursor").is_some(),
        fields: scope_fields(&form),
        more,
        is_partial: false,
        changes,
        conflicts,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// Some of the run; the answer has a form that goes on.
///
/// # Errors
/// 400, 403, 409 where no window of protection is there, 503.
pub(super) async fn run(session: &PageSession<'_>, form: &Form) -> Result<ScimResponse, ScimError> {
    session.need(PageRole::Operate)?;
    if form.filled("confirm").is_none() {
        return Err(ScimError::invalid_value("confirm is missing; open the plan again and tick the box"));
    }
    let body = request(session, form, false)?;
    let report = session.change(Method::POST, "/restore", &body).await?;
    let names = group_names(session, &report).await?;
    let t = session.t;
    let (changes, conflicts) = (changes(&report, t, &names), conflicts(&report, t, &names));
    let before = |name: &str| form.text(name).parse::<u64>().unwrap_or_default();
    let total = RestoreCounts {
        restored: before("restored").saturating_add(changes.len() as u64),
        unchanged: before("unchanged").saturating_add(unchanged(&report)),
        conflicts: before("conflicts").saturating_add(conflicts.len() as u64),
    };
    let next = text(&report, "/nextCursor").to_owned();
    let is_partial = !next.is_empty();
    let mut fields = scope_fields(form);
    fields.extend([
        ("cursor", next),
        ("restored", total.restored.to_string()),
        ("unchanged", total.unchanged.to_string()),
        ("conflicts", total.conflicts.to_string()),
    ]);
    let page = RestorePage {
        frame: Frame::new(session, RESTORE, None),
        is_plan: false,
        what: what(form, t),
        summary: fill(t.restore_ran, &total.pairs()),
        changes,
        conflicts,
        fields,
        may_run: is_partial,
        more: None,
        is_partial,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// How much there is of what.
struct RestoreCounts {
    restored: u64,
    unchanged: u64,
    conflicts: u64,
}

impl RestoreCounts {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("restored", self.restored.to_string()),
            ("unchanged", self.unchanged.to_string()),
            ("conflicts", self.conflicts.to_string()),
        ]
    }
}

fn counts(restored: usize, unchanged: u64, conflicts: usize) -> RestoreCounts {
    RestoreCounts { restored: restored as u64, unchanged, conflicts: conflicts as u64 }
}

fn unchanged(report: &Value) -> u64 {
    report.get("unchanged").and_then(Value::as_u64).unwrap_or_default()
}

/// What the admin API is asked for. Nobody seals a cursor: one of a run is none for a plan, and the other way round.
fn request(session: &PageSession<'_>, form: &Form, is_plan: bool) -> Result<Value, ScimError> {
    if let Some(text) = form.filled("cursor") {
        let cursor = RestoreCursor::parse(text, &session.tenant).filter(|cursor| cursor.is_plan() == is_plan);
        let wrong = || ScimError::invalid_cursor("cursor is not one of this screen; open the plan again");
        return cursor.map(|_| json!({"cursor": text})).ok_or_else(wrong);
    }
    let mut fields = Map::new();
    fields.extend(form.filled("user").map(|user| ("users".to_owned(), json!([user]))));
    let others = SCOPE.iter().filter(|name| **name != "user");
    fields.extend(others.filter_map(|name| Some(((*name).to_owned(), json!(form.filled(name)?)))));
    if fields.is_empty() {
        let detail = "what to restore is not named; open the history of a user or a group, and choose there";
        return Err(ScimError::invalid_value(detail));
    }
    fields.insert("dryRun".to_owned(), json!(is_plan));
    Ok(fields.into())
}

fn scope_fields(form: &Form) -> Vec<(&'static str, String)> {
    SCOPE.iter().filter_map(|name| Some((*name, form.filled(name)?.to_owned()))).collect()
}

/// What it undoes, in a sentence.
fn what(form: &Form, t: &Catalogue) -> String {
    let since = form.filled("since");
    let sentence = match (form.filled("key"), form.filled("hold"), since) {
        (Some(_), ..) => t.restore_of_key,
        (None, Some(_), _) => t.restore_of_hold,
        (None, None, Some(_)) => t.restore_of_user_since,
        (None, None, None) => t.restore_of_user,
    };
    let values = ["user", "key", "since"].map(|name| (name, form.text(name).to_owned()));
    fill(sentence, &values)
}

/// The names of the groups that a report mentions by their ids, of as many as a lookup returns.
async fn group_names(session: &PageSession<'_>, report: &Value) -> Result<BTreeMap<String, String>, ScimError> {
    let mut ids = BTreeSet::new();
    for change in items(report, "restored") {
        ids.extend(["joins", "leaves"].into_iter().flat_map(|name| items(change, name)).filter_map(Value::as_str));
    }
    ids.extend(items(report, "conflicts").iter().filter_map(|conflict| conflict.get("group")?.as_str()));
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let quoted = ids.into_iter().take(PAGE_MATCHES).map(|id| format!("id eq {}", Value::from(id)));
    let filter = quoted.collect::<Vec<_>>().join(" or ");
    let parameters = [("filter", filter.as_str()), ("attributes", "displayName")];
    let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
    let list = session.read_scim(&format!("/Groups?{query}")).await?;
    let named = |group: &Value| (text(group, "/id").to_owned(), text(group, "/displayName").to_owned());
    Ok(items(&list, "Resources").iter().map(named).collect())
}

fn changes(report: &Value, t: &Catalogue, names: &BTreeMap<String, String>) -> Vec<RestoredResource> {
    let value = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let attribute = |it: &Value| AttributeChange {
        attribute: text(it, "/name").to_owned(),
        before: value(it.get("from")),
        after: value(it.get("to")),
    };
    let groups = |change: &Value, name: &str| {
        let ids = items(change, name).iter().filter_map(Value::as_str);
        ids.map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_owned())).collect()
    };
    let one = |change: &Value| RestoredResource {
        name: resource_name(change),
        kind: kind(change, t),
        is_revived: change.get("wasDeleted").and_then(Value::as_bool).unwrap_or_default(),
        attributes: items(change, "attributes").iter().map(attribute).collect(),
        joins: groups(change, "joins"),
        leaves: groups(change, "leaves"),
    };
    items(report, "restored").iter().map(one).collect()
}

fn conflicts(report: &Value, t: &'static Catalogue, names: &BTreeMap<String, String>) -> Vec<RestoreObstacle> {
    let group = |conflict: &Value| {
        let id = text(conflict, "/group");
        let name = names.get(id).cloned().unwrap_or_else(|| id.to_owned());
        Some(name).filter(|name| !name.is_empty())
    };
    let one = |conflict: &Value| RestoreObstacle {
        name: resource_name(conflict),
        about: Some(text(conflict, "/attribute").to_owned()).filter(|it| !it.is_empty()).or_else(|| group(conflict)),
        reason: reason(text(conflict, "/reason"), t),
    };
    items(report, "conflicts").iter().map(one).collect()
}

fn resource_name(change: &Value) -> String {
    let names = ["/resource/userName", "/resource/displayName", "/resource/id"].map(|pointer| text(change, pointer));
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

fn kind(change: &Value, t: &Catalogue) -> &'static str {
    if text(change, "/resource/type") == "Group" { t.restore_group } else { t.restore_user }
}

/// What a reason means and what to do, in the reader's language.
fn reason(name: &str, t: &'static Catalogue) -> &'static str {
    match name {
        "changed-since" => t.conflict_changed_since,
        "deleted-since" => t.conflict_deleted_since,
        "created-since" => t.conflict_created_since,
        "name-taken" => t.conflict_name_taken,
        "group-gone" => t.conflict_group_gone,
        "try-later" => t.conflict_try_later,
        "not-kept" => t.conflict_not_kept,
        "too-many-changes" => t.conflict_too_many,
        "not-found" => t.conflict_not_found,
        "refused" => t.conflict_refused,
        _ => t.conflict_busy,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::catalogue::Language;
    use super::*;
    use crate::store::model::restore::ConflictReason;

    #[test]
    fn each_reason_has_a_text_of_its_own() {
        for language in Language::ALL {
            let texts: BTreeSet<_> =
                ConflictReason::ALL.iter().map(|it| reason(it.as_str(), language.catalogue())).collect();
            assert_eq!(texts.len(), ConflictReason::ALL.len());
        }
    }
}
