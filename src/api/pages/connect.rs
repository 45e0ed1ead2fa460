//! What to enter at the identity provider, in the order of its form, and which steps are done.

use askama::Template;
use futures_util::future::try_join4;
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::catalogue::fill;
use super::frame::{Frame, Labelled, items, text};
use super::overview::total;
use super::reply;
use super::request::Form;
use super::session::PageSession;
use crate::scim::ScimError;

/// The identity providers, by the name in the address.
const PROVIDERS: [(&str, &str); 2] = [("entra", "Microsoft Entra ID"), ("okta", "Okta")];

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    frame: Frame,
    providers: [ProviderTab; 2],
    steps: Vec<SetupStep>,
    place: &'static str,
    test: &'static str,
    values: Vec<Labelled>,
    required: Vec<String>,
}

/// An identity provider to choose.
struct ProviderTab {
    name: &'static str,
    title: &'static str,
    is_current: bool,
}

/// A step, and whether it is done.
struct SetupStep {
    text: String,
    is_done: bool,
    is_key: bool,
}

/// The screen.
///
/// # Errors
/// 503.
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    let reads = try_join4(session.read(""), session.read("/keys"), total(session, "/Users"), total(session, "/Groups"));
    let (tenant, keys, users, groups) = reads.await?;
    let query = Form::of_query(session.context);
    let is_okta = query.text("provider") == "okta";
    let [of_entra, of_okta] = PROVIDERS;
    let (provider, title) = if is_okta { of_okta } else { of_entra };
    let t = session.t;
    let url = format!("{}{}", session.context.origin(), text(&tenant, "/path"));
    let required = items(&tenant, "required").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let page = ConnectPage {
        providers: PROVIDERS.map(|(name, title)| ProviderTab { name, title, is_current: name == provider }),
        steps: steps(session, title, &keys, (&users, &groups)),
        place: if is_okta { t.connect_okta_where } else { t.connect_entra_where },
        test: if is_okta { t.connect_okta_test } else { t.connect_entra_test },
        values: if is_okta { okta(session, url) } else { entra(session, url) },
        required,
        frame,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

fn steps(session: &PageSession<'_>, provider: &str, keys: &Value, (users, groups): (&str, &str)) -> Vec<SetupStep> {
    let t = session.t;
    let is_alive = |key: &Value| matches!(text(key, "/state"), "live" | "expiring" | "waiting");
    let has_key = items(keys, "keys").iter().any(is_alive);
    let was_used = items(keys, "keys").iter().any(|key| key.get("used").is_some());
    let some = |count: &str| !matches!(count, "0" | "–");
    let step = |text: &str, is_done| SetupStep { text: text.to_owned(), is_done, is_key: false };
    let mut steps = vec![
        SetupStep { text: t.connect_step_key.to_owned(), is_done: has_key, is_key: true },
        step(&fill(t.connect_step_values, &[("provider", provider)]), was_used),
        step(t.connect_step_test, was_used),
        step(t.connect_step_user, some(users)),
    ];
    // A profile may offer no groups.
    steps.extend((groups != "–").then(|| step(t.connect_step_group, some(groups))));
    steps
}

fn entra(session: &PageSession<'_>, url: String) -> Vec<Labelled> {
    vec![
        Labelled::plain("Provisioning Mode", "Automatic"),
        Labelled::copied("Tenant URL", url),
        Labelled::plain("Secret Token", session.t.connect_secret_value),
    ]
}

fn okta(session: &PageSession<'_>, url: String) -> Vec<Labelled> {
    vec![
        Labelled::copied("SCIM connector base URL", url),
        Labelled::copied("Unique identifier field for users", "userName"),
        Labelled::plain(
            "Supported provisioning actions",
            "Import New Users and Profile Updates, Push New Users, Push Profile Updates, Push Groups",
        ),
        Labelled::plain("Authentication Mode", "HTTP Header"),
        Labelled::plain("Authorization", session.t.connect_secret_value),
    ]
}
