//! What surrounds every screen, and how it writes times.

use jiff::Timestamp;
use serde_json::Value;

use super::asset::{self, PageLook};
use super::catalogue::{Catalogue, Language, fill};
use super::request::Form;
use super::session::PageSession;
use crate::auth::PageRole;

/// The pages in the order of the navigation.
pub(super) const PAGES: [&str; 9] =
    ["overview", "connect", "keys", "automation", "settings", "activity", "people", "groups", "doctor"];

/// The page for operators alone.
pub(super) const TENANTS: &str = "operator/tenants";

/// What surrounds a screen.
pub(super) struct Frame {
    pub(super) t: &'static Catalogue,
    pub(super) language: &'static str,
    pub(super) languages: [Language; 2],
    pub(super) tenant: String,
    /// The address of the pages.
    pub(super) base: String,
    pub(super) look: PageLook,
    pub(super) items: Vec<NavigationItem>,
    pub(super) form_token: String,
    pub(super) may_setup: bool,
    pub(super) may_operate: bool,
    pub(super) person: Option<String>,
    pub(super) role: String,
    pub(super) done: Option<&'static str>,
    pub(super) error: Option<String>,
}

/// A page in the navigation.
pub(super) struct NavigationItem {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) is_current: bool,
}

impl Frame {
    pub(super) fn new(session: &PageSession<'_>, current: &str, error: Option<String>) -> Self {
        let t = session.t;
        let role = match session.access.role {
            PageRole::View => t.role_view,
            PageRole::Setup => t.role_setup,
            PageRole::Operate => t.role_operate,
        };
        let pages = PAGES.into_iter().chain(session.access.is_operator.then_some(TENANTS));
        let item = |name| NavigationItem { name, title: title(t, name), is_current: name == current };
        let done = match Form::of_query(session.context).text("done") {
            "saved" => Some(t.done_saved),
            "revoked" => Some(t.done_revoked),
            "activated" => Some(t.done_activated),
            "created" => Some(t.done_created),
            "added" => Some(t.done_added),
            "decided" => Some(t.done_decided),
            _ => None,
        };
        Self {
            t,
            language: session.language.tag(),
            languages: Language::ALL,
            tenant: session.tenant.to_string(),
            base: session.context.page_base(),
            look: asset::look(session.context),
            items: pages.map(item).collect(),
            form_token: session.form_token.clone(),
            may_setup: session.may(PageRole::Setup),
            may_operate: session.may(PageRole::Operate),
            person: session.access.person.as_ref().map(|person| fill(t.signed_in_as, &[("person", person)])),
            role: fill(t.role, &[("role", role)]),
            done,
            error,
        }
    }

    /// What a page is called.
    pub(super) fn title_of(&self, page: &str) -> &'static str {
        title(self.t, page)
    }
}

fn title(t: &Catalogue, page: &str) -> &'static str {
    match page {
        "connect" => t.connect,
        "keys" => t.keys,
        "automation" => t.automation,
        "settings" => t.settings,
        "activity" => t.activity,
        "people" => t.people,
        "groups" => t.groups,
        "doctor" => t.doctor,
        TENANTS => t.tenants,
        _ => t.overview,
    }
}

/// A time, for machines and for people.
pub(super) struct PageTime {
    pub(super) at: String,
    pub(super) text: String,
}

impl PageTime {
    /// From the text that an API returns.
    pub(super) fn of(value: Option<&Value>) -> Option<Self> {
        let at: Timestamp = value?.as_str()?.parse().ok()?;
        Some(Self::at(at))
    }

    pub(super) fn at(at: Timestamp) -> Self {
        Self { at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), text: at.strftime("%Y-%m-%d %H:%M UTC").to_string() }
    }
}

/// A label and its value.
pub(super) struct Labelled {
    pub(super) label: &'static str,
    pub(super) text: String,
    pub(super) is_copied: bool,
}

impl Labelled {
    pub(super) fn copied(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), is_copied: true }
    }

    pub(super) fn plain(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), is_copied: false }
    }
}

/// One of several values of a field.
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) text: &'static str,
    pub(super) is_selected: bool,
}

/// The choices of a field, of which one is selected.
pub(super) fn choices(of: &[(&'static str, &'static str)], selected: &str) -> Vec<Choice> {
    of.iter().map(|(value, text)| Choice { value, text, is_selected: *value == selected }).collect()
}

/// A text of a document; empty if it is not there.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list in a document.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
