//! One user or group: what it is now, and its history.

use askama::Template;
use form_urlencoded::Serializer;
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::activity::history;
use super::entries::LogLine;
use super::frame::{Frame, Labelled, PageTime, items, text};
use super::reply;
use super::request::Form;
use super::session::PageSession;
use crate::auth::PageRole;
use crate::limits::PAGE_MATCHES;
use crate::scim::ScimError;

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LookupKind {
    People,
    Groups,
}

#[derive(Template)]
#[template(path = "lookup.html")]
struct LookupPage {
    frame: Frame,
    title: &'static str,
    page: &'static str,
    hint: &'static str,
    q: String,
    nothing: Option<&'static str>,
    matches: Vec<Match>,
    one: Option<FoundResource>,
    has_history: bool,
    /// The parameters of the plan that gives a user back what was lost, for who may restore.
    restore: Option<String>,
    entries: Vec<LogLine>,
}

/// One of several that match.
struct Match {
    id: String,
    name: String,
}

/// The one that matches.
struct FoundResource {
    name: String,
    values: Vec<Labelled>,
}

impl LookupKind {
    fn filter(self, form: &Form) -> Option<String> {
        let quoted = |text: &str| Value::from(text).to_string();
        if let Some(id) = form.filled("id") {
            return Some(format!("id eq {}", quoted(id)));
        }
        let q = quoted(form.filled("q")?);
        let attributes: &[&str] = match self {
            Self::People => &["userName", "emails.value", "externalId", "id"],
            Self::Groups => &["displayName", "externalId", "id"],
        };
        Some(attributes.iter().map(|name| format!("{name} eq {q}")).collect::<Vec<_>>().join(" or "))
    }

    /// Members of a group may be many, and the page does not list them.
    fn path(self, filter: &str) -> String {
        let (path, attributes) = match self {
            Self::People => ("/Users", ""),
            Self::Groups => ("/Groups", "displayName,externalId,meta"),
        };
        let mut query = Serializer::new(String::new());
        query.append_pair("filter", filter).append_pair("count", &PAGE_MATCHES.to_string());
        if !attributes.is_empty() {
            query.append_pair("attributes", attributes);
        }
        format!("{path}?{}", query.finish())
    }
}

/// The screen.
///
/// # Errors
/// 503; for what is not found the page says so.
pub(super) async fn render(
    session: &PageSession<'_>,
    frame: Frame,
    lookup: LookupKind,
) -> Result<ScimResponse, ScimError> {
    let (t, form) = (session.t, Form::of_query(session.context));
    let (page, kind, title, hint, none) = match lookup {
        LookupKind::People => ("people", "user", t.people, t.people_hint, t.people_none),
        LookupKind::Groups => ("groups", "group", t.groups, t.groups_hint, t.groups_none),
    };
    let filter = lookup.filter(&form);
    let resources = match &filter {
        None => Vec::new(),
        Some(filter) => match session.read_scim(&lookup.path(filter)).await {
            Ok(list) => items(&list, "Resources").to_vec(),
            // The tenant's profile may offer no groups.
            Err(error) if error.status() == 404 => Vec::new(),
            Err(error) => return Err(error),
        },
    };
    let only = if let [only] = resources.as_slice() { Some(only) } else { None };
    // Of who is gone, the history stays.
    let id = form.filled("id").or(only.map(|only| text(only, "/id")));
    let entries = match id {
        Some(id) => history(session, kind, id).await?,
        None => Vec::new(),
    };
    let is_nothing = filter.is_some() && resources.is_empty();
    let matches = resources
        .iter()
        .filter(|_| only.is_none())
        .map(|found| Match { id: text(found, "/id").to_owned(), name: name(found).to_owned() });
    let screen = LookupPage {
        title,
        page,
        hint,
        q: form.filled("q").or(form.filled("id")).unwrap_or_default().to_owned(),
        nothing: is_nothing.then_some(if form.filled("id").is_some() { t.lookup_gone } else { none }),
        matches: matches.collect(),
        one: only.map(|only| FoundResource { name: name(only).to_owned(), values: values(session, only, lookup) }),
        has_history: id.is_some(),
        restore: id
            .filter(|_| lookup == LookupKind::People && !entries.is_empty() && session.may(PageRole::Operate))
            .map(|id| Serializer::new(String::new()).append_pair("user", id).finish()),
        entries,
        frame,
    };
    reply::html(session.key(), StatusCode::OK, &screen)
}

fn name(resource: &Value) -> &str {
    let names = [text(resource, "/userName"), text(resource, "/displayName"), text(resource, "/id")];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

fn values(session: &PageSession<'_>, resource: &Value, lookup: LookupKind) -> Vec<Labelled> {
    let t = session.t;
    let time = |pointer: &str| PageTime::of(resource.pointer(pointer)).map(|time| time.text).unwrap_or_default();
    let list = |name: &str, part: &str| {
        let values = items(resource, name).iter().map(|item| text(item, part)).filter(|value| !value.is_empty());
        values.collect::<Vec<_>>().join(", ")
    };
    let is_active = resource.get("active").and_then(Value::as_bool).unwrap_or(true);
    let mut values = vec![Labelled::plain(t.lookup_name, text(resource, "/displayName"))];
    if lookup == LookupKind::People {
        values.extend([
            Labelled::plain(t.lookup_active, if is_active { t.yes } else { t.no }),
            Labelled::plain(t.lookup_emails, list("emails", "/value")),
            Labelled::plain(t.lookup_groups, list("groups", "/display")),
        ]);
    }
    values.extend([
        Labelled::plain(t.lookup_external, text(resource, "/externalId")),
        Labelled::plain(t.lookup_id, text(resource, "/id")),
        Labelled::plain(t.lookup_created, time("/meta/created")),
        Labelled::plain(t.lookup_changed, time("/meta/lastModified")),
    ]);
    values.retain(|value| !value.text.is_empty());
    values
}
