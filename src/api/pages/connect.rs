//! What to enter at the identity provider, in the order of its form, and which steps are done.

use askama::Template;
use futures_util::future::{try_join, try_join4};
use http::StatusCode;
use serde_json::Value;

use super::super::ScimResponse;
use super::asset;
use super::catalogue::fill;
use super::frame::{Frame, Labelled, items, text};
use super::overview::total;
use super::reply;
use super::request::Form;
use super::session::PageSession;
use crate::scim::ScimError;
use crate::tenant::CredentialType;

/// The identity providers, by the name in the address.
const PROVIDERS: [(&str, &str); 2] = [("entra", "Microsoft Entra ID"), ("okta", "Okta")];

#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage {
    frame: Frame,
    providers: [ProviderTab; 2],
    steps: Vec<SetupStep>,
    place: String,
    /// The product's own guide: its address, and what it is called.
    guide: Option<(String, String)>,
    /// Whether the address is one that no identity provider in the cloud reaches.
    is_http: bool,
    test: &'static str,
    values: Vec<Labelled>,
    /// Those of an OAuth client, where the profile allows one and the form has it.
    oauth: Vec<Labelled>,
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
    /// Where it is done, and what that is called.
    place: Option<(&'static str, &'static str)>,
}

/// What is read of the tenant for its steps.
struct SetupState {
    keys: Value,
    automation: Value,
    users: String,
    groups: String,
}

/// The screen.
///
/// # Errors
/// 503.
pub(super) async fn render(session: &PageSession<'_>, frame: Frame) -> Result<ScimResponse, ScimError> {
    let counts = try_join(total(session, "/Users"), total(session, "/Groups"));
    let reads = try_join4(session.read(""), session.read("/keys"), session.read("/automation-users"), counts);
    let (tenant, keys, automation, (users, groups)) = reads.await?;
    let query = Form::of_query(session.context);
    let is_okta = query.text("provider") == "okta";
    let [of_entra, of_okta] = PROVIDERS;
    let (provider, title) = if is_okta { of_okta } else { of_entra };
    let t = session.t;
    let url = session.tenant_url();
    let required = items(&tenant, "required").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let page = ConnectPage {
        providers: PROVIDERS.map(|(name, title)| ProviderTab { name, title, is_current: name == provider }),
        steps: steps(session, title, &SetupState { keys, automation, users, groups }),
        place: fill(
            if is_okta { t.connect_okta_where } else { t.connect_entra_where },
            &[("product", asset::speaker(session.context))],
        ),
        guide: session.context.app().branding.guide(provider).map(|address| {
            let names = [("product", asset::speaker(session.context)), ("provider", title)];
            (address, fill(t.connect_guide, &names))
        }),
        is_http: url.starts_with("http:"),
        test: if is_okta { t.connect_okta_test } else { t.connect_entra_test },
        oauth: if is_okta { Vec::new() } else { oauth(session, url.clone()) },
        values: if is_okta { okta(session, url) } else { entra(session, url) },
        required,
        frame,
    };
    reply::html(session.key(), StatusCode::OK, &page)
}

/// What the application's form asks for first.
pub(super) fn usual_type(session: &PageSession<'_>) -> CredentialType {
    session.profile.credentials.first().copied().unwrap_or(CredentialType::Bearer)
}

/// What goes into the field of the secret.
fn secret(session: &PageSession<'_>, kind: CredentialType) -> String {
    fill(session.t.connect_secret_value, &[("type", kind.as_str())])
}

fn steps(session: &PageSession<'_>, provider: &str, state: &SetupState) -> Vec<SetupStep> {
    let t = session.t;
    let keys = items(&state.keys, "keys");
    let is_alive = |key: &Value| matches!(text(key, "/state"), "live" | "expiring" | "waiting");
    let was_used = keys.iter().any(|key| key.get("used").is_some());
    let is_active = |user: &Value| user.get("active").and_then(Value::as_bool) == Some(true);
    let has_user = items(&state.automation, "automationUsers").iter().any(is_active);
    let some = |count: &str| !matches!(count, "0" | "–");
    let step = |text: &str, is_done| SetupStep { text: text.to_owned(), is_done, place: None };
    let mut steps = Vec::new();
    // Such a key is in the name of somebody.
    if matches!(usual_type(session), CredentialType::Jwt | CredentialType::Basic) {
        let place = Some(("automation#add", t.automation_add));
        steps.push(SetupStep { place, ..step(t.connect_step_automation, has_user) });
    }
    steps.extend([
        SetupStep {
            place: Some(("keys#add", t.connect_step_key_link)),
            ..step(t.connect_step_key, keys.iter().any(is_alive))
        },
        match was_used {
            // By which provider, nobody knows.
            true => step(t.connect_step_values_done, true),
            false => step(&fill(t.connect_step_values, &[("provider", provider)]), false),
        },
        step(t.connect_step_test, was_used),
        step(t.connect_step_user, some(&state.users)),
    ]);
    // A profile may offer no groups.
    steps.extend((state.groups != "–").then(|| step(t.connect_step_group, some(&state.groups))));
    steps
}

fn entra(session: &PageSession<'_>, url: String) -> Vec<Labelled> {
    let (t, mode) = (session.t, Labelled::plain("Provisioning Mode", "Automatic"));
    let url = Labelled::copied("Tenant URL", url);
    match usual_type(session) {
        CredentialType::Basic => vec![
            mode,
            Labelled::plain("Admin User Name", t.connect_user_value),
            Labelled::plain("Admin Password", secret(session, usual_type(session))),
            url,
        ],
        _ => vec![mode, url, Labelled::plain("Secret Token", secret(session, usual_type(session)))],
    }
}

/// What Entra ID asks for instead of a token that lasts long.
fn oauth(session: &PageSession<'_>, url: String) -> Vec<Labelled> {
    if !session.profile.credentials.contains(&CredentialType::Client) {
        return Vec::new();
    }
    let t = session.t;
    let endpoint = format!("{}/{}/oauth/token", session.context.origin(), session.tenant);
    vec![
        Labelled::copied("Tenant URL", url),
        Labelled::copied("Token Endpoint", endpoint),
        Labelled::plain("Client Identifier", t.connect_client_value),
        Labelled::plain("Client Secret", secret(session, CredentialType::Client)),
    ]
}

fn okta(session: &PageSession<'_>, url: String) -> Vec<Labelled> {
    let t = session.t;
    let mut values = vec![
        Labelled::copied("SCIM connector base URL", url),
        Labelled::copied("Unique identifier field for users", "userName"),
        Labelled::plain(
            "Supported provisioning actions",
            "Import New Users and Profile Updates, Push New Users, Push Profile Updates, Push Groups",
        ),
    ];
    values.extend(match usual_type(session) {
        CredentialType::Basic => vec![
            Labelled::plain("Authentication Mode", "Basic Auth"),
            Labelled::plain("Username", t.connect_user_value),
            Labelled::plain("Password", secret(session, usual_type(session))),
        ],
        _ => vec![
            Labelled::plain("Authentication Mode", "HTTP Header"),
            Labelled::plain("Authorization", secret(session, usual_type(session))),
        ],
    });
    values
}
