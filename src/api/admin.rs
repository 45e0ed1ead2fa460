//! The admin API: what operators do to tenants, keys and automation users. Errors are those of SCIM.

use std::str::FromStr;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{RequestContext, ScimResponse, dry_run, tenant_load};
use crate::admin::keys::{CreatedKey, Expiry, NewCredentialType, NewKey};
use crate::admin::tenants::Chosen;
use crate::admin::{AdminError, keys, render, tenants};
use crate::app::App;
use crate::auth::{FederatedIssuer, KeyId, Principal, Scope, TrustedSubject, jwt};
use crate::limits::ROTATION_OVERLAP_SECONDS;
use crate::scim::resource::date_time;
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::admin_action::AdminAuthor;
use crate::store::model::tenant::TenantRecord;
use crate::tenant::{NoticeSettings, NotifyList, Protection, Settings, TenantName};

/// GET /admin/v1/tenants
///
/// # Errors
/// 401, 403, 503.
pub async fn list_tenants(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let mut all = Vec::new();
    for tenant in context.app().store.tenants().await? {
        all.push(render_tenant(&context, &tenant, None).await?);
    }
    done(&caller, StatusCode::OK, json!({"tenants": all}))
}

/// POST /admin/v1/tenants
///
/// # Errors
/// 400, 401, 403, 409, 503.
pub async fn create_tenant(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let TenantRequest { name, profile, settings } = body(&context)?;
    let name = name.ok_or_else(|| ScimError::invalid_value("name is missing; send the tenant's name"))?;
    let name = tenant_name(&name).map_err(|error| ScimError::invalid_value(format!("name: {error}")))?;
    let profile = profile.map_or_else(|| Chosen::shipped("default"), chosen)?;
    let request = settings.unwrap_or_default();
    let (settings, notices) = (request.over(Settings::default())?, request.notices_over(NoticeSettings::default())?);
    let (store, by) = (&context.app().store, operator(&context, &caller));
    let tenant = tenants::create(store, &name, &profile, (settings, notices), by).await?;
    done(&caller, StatusCode::CREATED, render_tenant(&context, &tenant, Some(&profile)).await?)
}

/// GET /admin/v1/tenants/{tenant}; with `load=true` also what it has, does and costs.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn show_tenant(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let has_load = match context.query_param("load").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ScimError::invalid_value("load is neither true nor false; send one of them")),
    };
    let tenant = tenants::find(&context.app().store, &named(&context)?).await?;
    let mut answer = render_tenant(&context, &tenant, None).await?;
    if let (true, Some(fields)) = (has_load, answer.as_object_mut()) {
        let load = Box::pin(tenant_load::render(&context, &tenant.name)).await?;
        fields.insert("load".to_owned(), load);
    }
    done(&caller, StatusCode::OK, answer)
}

/// PATCH /admin/v1/tenants/{tenant}: what is not named stays (RFC 7396).
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn change_tenant(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let TenantRequest { name, profile, settings } = body(&context)?;
    if name.is_some_and(|name| name != context.path_param("{tenant}")) {
        return Err(ScimError::invalid_value("name cannot change; create another tenant"));
    }
    let profile = profile.map(chosen).transpose()?;
    let change = settings.unwrap_or_default();
    change.over(Settings::default())?;
    change.notices_over(NoticeSettings::default())?;
    let set = |held| change.over(held).unwrap_or(held);
    let set_notices = |held: NoticeSettings| change.notices_over(held.clone()).unwrap_or(held);
    let (store, by) = (&context.app().store, operator(&context, &caller));
    let tenant = tenants::set(store, &named(&context)?, profile.as_ref(), (set, set_notices), by).await?;
    done(&caller, StatusCode::OK, render_tenant(&context, &tenant, profile.as_ref()).await?)
}

/// GET /admin/v1/tenants/{tenant}/keys
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn list_keys(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let tenant = tenants::find(&context.app().store, &named(&context)?).await?;
    let all = context.app().store.keys(&tenant.name).await?;
    let all: Vec<_> = all.iter().map(|record| render::key(record, context.now())).collect();
    done(&caller, StatusCode::OK, json!({"keys": all}))
}

/// POST /admin/v1/tenants/{tenant}/keys: its answer alone has the secret.
///
/// # Errors
/// 400, 401, 403, 404, 409, 503.
pub async fn create_key(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let new = body::<KeyRequest>(&context)?.new_key(named(&context)?)?;
    let new_key = keys::add(&context.app().store, new, operator(&context, &caller)).await?;
    done(&caller, StatusCode::CREATED, render_new_key(&context, new_key).into())
}

/// POST /admin/v1/tenants/{tenant}/keys/{key}/rotate
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn rotate_key(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let request = if context.raw_body().is_empty() { RotateRequest::default() } else { body(&context)? };
    let overlap = request.overlap_seconds.unwrap_or(ROTATION_OVERLAP_SECONDS);
    if !(0..=ROTATION_OVERLAP_SECONDS * 90).contains(&overlap) {
        return Err(ScimError::invalid_value("overlapSeconds is out of range; send 0 to 7776000 (90 days)"));
    }
    let expires = expiry(request.expires.as_deref())?;
    let overlap = SignedDuration::from_secs(overlap);
    let (tenant, key) = (named(&context)?, key_id(&context)?);
    let rotation =
        keys::rotate(&context.app().store, &tenant, &key, overlap, expires, operator(&context, &caller)).await?;
    let mut fields = render_new_key(&context, rotation.successor);
    fields.insert("replaces".to_owned(), json!({"id": key.as_str(), "expires": date_time(rotation.ends)}));
    done(&caller, StatusCode::CREATED, fields.into())
}

/// DELETE /admin/v1/tenants/{tenant}/keys/{key}: revokes it; its record stays.
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn revoke_key(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let store = &context.app().store;
    let (caller, key) = context
        .authenticate_with_read(|_| async { Ok(store.key(&named(&context)?, &key_id(&context)?).await?) })
        .await?;
    let key = key.ok_or_else(|| ScimError::not_found("key", context.path_param("{key}")))?;
    store.revoke(&key, operator(&context, &caller)).await?;
    Ok(ScimResponse::empty(caller, StatusCode::NO_CONTENT))
}

/// GET /admin/v1/tenants/{tenant}/automation-users
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn list_automation_users(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let tenant = tenants::find(&context.app().store, &named(&context)?).await?;
    let all = context.app().store.automation_users(&tenant.name).await?;
    let all: Vec<_> = all.iter().map(render::automation_user).collect();
    done(&caller, StatusCode::OK, json!({"automationUsers": all}))
}

/// PUT /admin/v1/tenants/{tenant}/automation-users/{name}: creates it if it does not exist, and activates it for good.
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn put_automation_user(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let request: AutomationRequest = body(&context)?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let user = keys::put_automation_user(
        store,
        &tenant.name,
        context.path_param("{name}"),
        request.active,
        operator(&context, &caller),
    )
    .await?;
    done(&caller, StatusCode::OK, render::automation_user(&user))
}

/// Of a tenant that is created or changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TenantRequest {
    name: Option<String>,
    /// The name of a profile that ships, or the object of a custom profile.
    profile: Option<Value>,
    settings: Option<SettingsRequest>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsRequest {
    invite_automatically: Option<bool>,
    on_deactivation: Option<String>,
    protect: Option<String>,
    protect_users: Option<String>,
    protect_window: Option<String>,
    rate: Option<String>,
    notify: Option<Vec<String>>,
    silent_after: Option<String>,
    failing_above: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyRequest {
    description: String,
    automation: Option<String>,
    #[serde(rename = "type", alias = "form")]
    credential_type: Option<String>,
    scopes: Option<Vec<String>>,
    not_before: Option<String>,
    expires: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    subject: Option<String>,
    any_subject: Option<bool>,
    jwks_uri: Option<String>,
    algorithm: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RotateRequest {
    overlap_seconds: Option<i64>,
    expires: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AutomationRequest {
    active: bool,
}

impl SettingsRequest {
    /// What is not named is as it was.
    fn over(&self, held: Settings) -> Result<Settings, ScimError> {
        let on_deactivation = setting("onDeactivation", self.on_deactivation.as_deref(), held.on_deactivation)?;
        let invite_automatically = self.invite_automatically.unwrap_or(held.invite_automatically);
        let was = held.protection;
        let protection = Protection {
            mode: setting("protect", self.protect.as_deref(), was.mode)?,
            users: setting("protectUsers", self.protect_users.as_deref(), was.users)?,
            window: setting("protectWindow", self.protect_window.as_deref(), was.window)?,
        };
        let rate = setting("rate", self.rate.as_deref(), held.rate)?;
        Ok(Settings { invite_automatically, on_deactivation, protection, rate })
    }

    /// The same of who hears of notices.
    fn notices_over(&self, held: NoticeSettings) -> Result<NoticeSettings, ScimError> {
        let parse = |addresses: &Vec<String>| {
            let list = NotifyList::parse(addresses.iter().map(String::as_str));
            list.map_err(|why| ScimError::invalid_value(format!("settings.notify {why}")))
        };
        Ok(NoticeSettings {
            notify: self.notify.as_ref().map_or(Ok(held.notify), parse)?,
            silent_after: setting("silentAfter", self.silent_after.as_deref(), held.silent_after)?,
            failing_above: setting("failingAbove", self.failing_above.as_deref(), held.failing_above)?,
        })
    }
}

/// A setting as it was sent; if it was not, as it is.
fn setting<T: FromStr<Err = String>>(name: &str, text: Option<&str>, held: T) -> Result<T, ScimError> {
    let parse = |text: &str| text.parse().map_err(|why| ScimError::invalid_value(format!("settings.{name} {why}")));
    text.map_or(Ok(held), parse)
}

impl KeyRequest {
    fn new_key(self, tenant: TenantName) -> Result<NewKey, ScimError> {
        let scopes = match &self.scopes {
            None => vec![Scope::Read, Scope::Write],
            Some(scopes) => {
                let parsed = scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<_>, String>>();
                parsed.map_err(|why| ScimError::invalid_value(format!("scopes: {why}")))?
            }
        };
        Ok(NewKey {
            not_before: instant("notBefore", self.not_before.as_deref())?,
            expires: expiry(self.expires.as_deref())?,
            tenant,
            scopes,
            credential_type: self.credential_type()?,
            description: self.description,
            automation: self.automation,
        })
    }

    fn credential_type(&self) -> Result<NewCredentialType, ScimError> {
        let needed = |name: &str, value: &Option<String>| {
            let why = || ScimError::invalid_value(format!("{name} is missing; the type federation needs it"));
            value.clone().ok_or_else(why)
        };
        match self.credential_type.as_deref().unwrap_or("bearer") {
            "bearer" => Ok(NewCredentialType::Bearer),
            "jwt" => Ok(NewCredentialType::Jwt),
            "basic" => Ok(NewCredentialType::Basic),
            "client" => Ok(NewCredentialType::Client),
            "federation" => Ok(NewCredentialType::Federation(FederatedIssuer {
                issuer: needed("issuer", &self.issuer)?,
                audience: needed("audience", &self.audience)?,
                subject: self.trusted_subject()?,
                jwks_uri: needed("jwksUri", &self.jwks_uri)?,
                algorithm: jwt::algorithm(self.algorithm.as_deref().unwrap_or("RS256")).ok_or_else(|| {
                    ScimError::invalid_value("algorithm is unknown; use RS256, PS256, ES256 or EdDSA")
                })?,
            })),
            _ => Err(ScimError::invalid_value("type is unknown; use bearer, jwt, basic, client or federation")),
        }
    }

    /// Nobody trusts everybody by saying nothing.
    fn trusted_subject(&self) -> Result<TrustedSubject, ScimError> {
        match (&self.subject, self.any_subject.unwrap_or_default()) {
            (Some(subject), false) => Ok(TrustedSubject::Only(subject.clone())),
            (None, true) => Ok(TrustedSubject::Any),
            (None, false) => Err(ScimError::invalid_value(
                "subject is missing; name the sub of the JWTs to accept, or accept those of every subject with \
                 anySubject",
            )),
            (Some(_), true) => Err(ScimError::invalid_value("anySubject contradicts subject; send one of the two")),
        }
    }
}

impl From<AdminError> for ScimError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Invalid(why) => Self::invalid_value(why),
            AdminError::NotFound(why) => Self::new(ErrorCode::NotFound, why),
            AdminError::Conflict(why) => Self::uniqueness(why),
            AdminError::Store(error) => error.into(),
        }
    }
}

/// Who asks for a change, for the log.
pub(super) fn operator(context: &RequestContext<'_>, caller: &Principal) -> AdminAuthor {
    let key = (!caller.is_command_line()).then(|| caller.key().clone());
    AdminAuthor { key, request: Some(context.request_id().to_owned()), at: context.now(), page: caller.page().cloned() }
}

fn done(caller: &Principal, status: StatusCode, body: Value) -> Result<ScimResponse, ScimError> {
    Ok(ScimResponse::plain(Some(caller.key().clone()), status, body))
}

pub(super) async fn render_tenant(
    context: &RequestContext<'_>,
    tenant: &TenantRecord,
    chosen: Option<&Chosen>,
) -> Result<Value, ScimError> {
    let App { store, profiles, .. } = context.app();
    let profile = match chosen.map(Chosen::preview).transpose()?.flatten() {
        Some(profile) => profile,
        None => profiles.of(store, &tenant.name, &tenant.config.profile).await?,
    };
    Ok(render::tenant(tenant, &profile))
}

fn render_new_key(context: &RequestContext<'_>, new_key: CreatedKey) -> Map<String, Value> {
    let mut fields = render::key(&new_key.record, context.now());
    // The secret of a dry run opens nothing.
    let secret = new_key.secret.filter(|_| !dry_run::is_on());
    fields.extend(secret.map(|secret| ("secret".to_owned(), secret.into())));
    fields
}

pub(super) fn body<T: DeserializeOwned>(context: &RequestContext<'_>) -> Result<T, ScimError> {
    serde_json::from_slice(context.raw_body()).map_err(|why| {
        ScimError::invalid_syntax(format!("the body is not what this route takes: {why}; correct it there"))
    })
}

fn chosen(profile: Value) -> Result<Chosen, AdminError> {
    match profile {
        Value::String(name) => Chosen::shipped(&name),
        own => Chosen::own(own.to_string()),
    }
}

fn tenant_name(text: &str) -> Result<TenantName, crate::tenant::BadTenantName> {
    text.parse()
}

pub(super) fn named(context: &RequestContext<'_>) -> Result<TenantName, ScimError> {
    tenant_name(context.path_param("{tenant}"))
        .map_err(|_| ScimError::not_found("tenant", context.path_param("{tenant}")))
}

fn key_id(context: &RequestContext<'_>) -> Result<KeyId, ScimError> {
    KeyId::parse(context.path_param("{key}")).ok_or_else(|| ScimError::not_found("key", context.path_param("{key}")))
}

fn expiry(text: Option<&str>) -> Result<Expiry, ScimError> {
    match text {
        Some("never") => Ok(Expiry::Never),
        text => Ok(instant("expires", text)?.map_or(Expiry::Default, Expiry::At)),
    }
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ScimError> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            ScimError::invalid_value(format!("{name} is not a time; send one such as 2027-01-31T12:00:00Z"))
        })
    };
    text.map(parse).transpose()
}
