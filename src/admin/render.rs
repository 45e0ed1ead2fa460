//! The JSON that the admin API returns. A record holds no secret; the answer to a new key adds it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::auth::record::State;
use crate::auth::{Credential, KeyRecord, TrustedSubject, jwt};
use crate::scim::resource::date_time;
use crate::store::model::tenant::TenantRecord;
use crate::store::ops::automation::AutomationUser;
use crate::tenant::Profile;

/// A tenant, with the path of its base URL and what its profile allows and requires.
pub fn tenant(tenant: &TenantRecord, profile: &Profile) -> Value {
    json!({
        "name": tenant.name.as_str(),
        "created": date_time(tenant.created),
        "profile": tenant.config.profile.to_string(),
        "path": profile.base_path(tenant.name.as_str()),
        "credentials": profile.credentials.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        "required": profile.required().map(ToString::to_string).collect::<Vec<_>>(),
        "settings": {
            "inviteAutomatically": tenant.config.settings.invite_automatically,
            "onDeactivation": tenant.config.settings.on_deactivation.as_str(),
            "protect": tenant.config.settings.protection.mode.as_str(),
            "protectUsers": tenant.config.settings.protection.users.to_string(),
            "protectWindow": tenant.config.settings.protection.window.to_string(),
            "rate": tenant.config.settings.rate.to_string(),
            "notify": tenant.notices.notify.texts(),
            "silentAfter": tenant.notices.silent_after.to_string(),
            "failingAbove": tenant.notices.failing_above.to_string(),
        },
    })
}

/// A key.
pub fn key(record: &KeyRecord, now: Timestamp) -> Map<String, Value> {
    let state = record.state(now);
    let text = |text: &str| Some(Value::from(text));
    let time = |at: Option<Timestamp>| at.map(|at| Value::from(date_time(at)));
    let scopes: Vec<_> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut fields = vec![
        ("id", text(record.id.as_str())),
        ("tenant", text(record.tenant.as_str())),
        ("type", text(record.credential.type_name())),
        ("state", text(state.as_str())),
        ("description", text(&record.description)),
        ("scopes", Some(json!(scopes))),
        ("automation", record.automation.as_deref().and_then(text)),
        ("created", time(Some(record.created))),
        ("notBefore", time(record.not_before)),
        ("expires", time(record.ends())),
        ("revoked", time(record.revoked)),
        ("used", time(record.used)),
        ("warning", warning(record, state).map(Value::from)),
    ];
    match &record.credential {
        // By which a scanner, or whoever finds one, knows a key.
        Credential::Bearer(_) | Credential::Basic(_) | Credential::Client(_) => {
            fields.push(("prefix", text(&format!("scim_{}_{}", record.tenant, record.id))));
        }
        Credential::Jwt { .. } => {}
        Credential::Federation { trust, .. } => fields.extend([
            ("issuer", text(&trust.issuer)),
            ("audience", text(&trust.audience)),
            ("subject", trust.subject.only().and_then(text)),
            ("anySubject", (trust.subject == TrustedSubject::Any).then_some(Value::Bool(true))),
            ("jwksUri", text(&trust.jwks_uri)),
            ("algorithm", text(jwt::algorithm_name(trust.algorithm))),
        ]),
    }
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What an operator should do about a key.
fn warning(record: &KeyRecord, state: State) -> Option<String> {
    match state {
        State::Expiring => Some("it stops working soon; rotate it, and give its holder the new one".to_owned()),
        State::Waiting => Some(format!(
            "its automation user {} was never activated; until then it does not work",
            record.automation.as_deref().unwrap_or_default()
        )),
        _ => None,
    }
}

/// An automation user.
pub fn automation_user(user: &AutomationUser) -> Value {
    let mut fields = json!({"name": user.name, "created": date_time(user.created), "active": user.activated.is_some()});
    if let (Value::Object(fields), Some(activated)) = (&mut fields, user.activated) {
        fields.insert("activated".into(), date_time(activated).into());
    }
    fields
}
