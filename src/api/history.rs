//! `/admin/v1/tenants/{tenant}/users/{id}` and `/groups/{id}`: the history of one of them, and how it was at a time.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::log::{self, named};
use super::{RequestContext, ScimResponse};
use crate::admin::tenants;
use crate::app::App;
use crate::limits::{DEFAULT_LOG_ENTRIES, MAX_STATE_EVENTS};
use crate::scim::projection::drop_never_returned;
use crate::scim::resource::date_time;
use crate::scim::{ErrorCode, ScimError};
use crate::store::StoreError;
use crate::store::model::group::Group;
use crate::store::model::id::{GroupId, UserId};
use crate::store::model::member::MemberKind;
use crate::store::ops::history::{ExistingState, StateAtTime};
use crate::store::ops::log::{LogFilter, LogKind, LogPosition};
use crate::tenant::TenantName;

/// GET /admin/v1/tenants/{tenant}/users/{id}/history
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn of_user(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    list(context, MemberKind::User).await
}

/// GET /admin/v1/tenants/{tenant}/groups/{id}/history
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn of_group(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    list(context, MemberKind::Group).await
}

/// GET /admin/v1/tenants/{tenant}/users/{id}
///
/// # Errors
/// 400, 401, 403, 404 where the user was not there, 410 where the log does not reach back so far, 503.
pub async fn user_at(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    at_time(context, MemberKind::User).await
}

/// GET /admin/v1/tenants/{tenant}/groups/{id}
///
/// # Errors
/// 400, 401, 403, 404 where the group was not there, 410 where the log does not reach back so far, 503.
pub async fn group_at(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    at_time(context, MemberKind::Group).await
}

async fn list(context: RequestContext<'_>, kind: MemberKind) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let store = &context.app().store;
    let tenant = named(&context).await?;
    let id = canonical_id(&context, kind)?;
    let mut filter = LogFilter { kind: Some(LogKind::Change), ..LogFilter::default() };
    match kind {
        MemberKind::User => filter.user = Some(id.clone()),
        MemberKind::Group => filter.group = Some(id.clone()),
    }
    let (mut position, mut limit, mut is_first) = (LogPosition::newest(&tenant), DEFAULT_LOG_ENTRIES, true);
    for (name, value) in form_urlencoded::parse(context.raw_query().as_bytes()).filter(|(_, v)| !v.is_empty()) {
        match name.as_ref() {
            "since" => filter.since = Some(log::instant("since", &value)?),
            "until" => filter.until = Some(log::instant("until", &value)?),
            "limit" => limit = log::limit(&value)?,
            "cursor" => (position, is_first) = (log::position(&value, &tenant)?, false),
            _ => {}
        }
    }
    let mut page = store.log_page(&tenant, &filter, &position, limit, context.now()).await?;
    page.entries.retain(|entry| concerns(entry, &id, kind));
    if is_first && page.entries.is_empty() && page.next.is_none() && !is_there(&context, &tenant, (&id, kind)).await? {
        return Err(not_found(&context, kind));
    }
    let next = page.next.as_ref().map(|next| log::next_address(&context, &next.to_text()));
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, log::body(page)).next(next))
}

async fn at_time(context: RequestContext<'_>, kind: MemberKind) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let App { store, profiles, .. } = context.app();
    let name: TenantName = context.path_param("{tenant}").parse().map_err(|_| not_found(&context, kind))?;
    let tenant = tenants::find(store, &name).await?;
    let id = canonical_id(&context, kind)?;
    let mut query = form_urlencoded::parse(context.raw_query().as_bytes());
    let time = query.find(|(name, value)| name == "at" && !value.is_empty());
    let time = time.map(|(_, value)| log::instant("at", &value)).transpose()?;
    let (time, now) = (time.unwrap_or_else(|| context.now()), context.now());
    if time > now {
        return Err(ScimError::invalid_value("at is a time to come; send one that has passed"));
    }
    let state = match (kind, UserId::parse(&id), GroupId::parse(&id)) {
        (MemberKind::User, Some(id), _) => store.user_at(&tenant.name, &id, time, now).await,
        (MemberKind::Group, _, Some(id)) => store.group_at(&tenant.name, &id, time, now).await,
        _ => return Err(not_found(&context, kind)),
    };
    let mut state = match state {
        Ok(state) => existing(&context, (state, kind), time)?,
        Err(StoreError::TooMany(_)) => return Err(too_many_changes()),
        Err(error) => return Err(error.into()),
    };
    let profile = profiles.of(store, &tenant.name, &tenant.config.profile).await?;
    let schema = if kind == MemberKind::User { &profile.schemas.user } else { &profile.schemas.group };
    drop_never_returned(&mut state.document, schema);
    let groups = store.groups_of_tenant(&tenant.name, state.groups.iter().cloned()).await?;
    let body = json!({
        "at": date_time(time),
        "exact": state.is_exact,
        "resource": render(&id, kind, state, &groups),
    });
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, body))
}

/// The state, or why there is none.
fn existing(
    context: &RequestContext<'_>,
    (state, kind): (StateAtTime, MemberKind),
    time: Timestamp,
) -> Result<ExistingState, ScimError> {
    match state {
        StateAtTime::Existed(state) => Ok(*state),
        StateAtTime::Absent => {
            let (id, time) = (context.id(), date_time(time));
            let detail = format!("{} {id} did not exist at {time}; read its history", resource_type(kind));
            Err(ScimError::new(ErrorCode::NotFound, detail))
        }
        StateAtTime::NotKept(oldest) => {
            let oldest = oldest.map(date_time);
            let rest = oldest
                .as_ref()
                .map_or_else(|| "it has no entries".to_owned(), |oldest| format!("ask for a time since {oldest}"));
            let detail = format!("the log does not reach back to {}; {rest}", date_time(time));
            Err(ScimError {
                oldest: oldest.map(|oldest| Box::new(Value::from(oldest))),
                ..ScimError::new(ErrorCode::HistoryGone, detail)
            })
        }
        StateAtTime::Behind => Err(ScimError::retry(
            ErrorCode::HistoryBehind,
            "the history lacks the last change still; send the request again after Retry-After",
        )),
    }
}

/// The resource as it was, with the names that its groups have now.
fn render(id: &str, kind: MemberKind, state: ExistingState, groups: &[Group]) -> Value {
    let names: BTreeMap<&str, Option<&str>> =
        groups.iter().map(|group| (group.id.as_str(), group.record.document.text("displayName"))).collect();
    let mut resource = Map::from_iter([("id".to_owned(), Value::from(id))]);
    resource.extend(state.document);
    let group = |id: &String| {
        let mut group = Map::from_iter([("value".to_owned(), Value::from(id.as_str()))]);
        let name = names.get(id.as_str()).copied().flatten();
        group.extend(name.map(|name| ("display".to_owned(), Value::from(name))));
        Value::Object(group)
    };
    resource.insert("groups".to_owned(), state.groups.iter().map(group).collect());
    if let (MemberKind::Group, Some(members)) = (kind, state.members) {
        let member = |(id, kind): (&String, &MemberKind)| json!({"value": id, "type": resource_type(*kind)});
        resource.insert("members".to_owned(), members.iter().map(member).collect());
    }
    resource.into()
}

/// Whether an entry is of the history of a user or group: an id alone does not say which of the two it is of.
fn concerns(entry: &Value, id: &str, kind: MemberKind) -> bool {
    let is = |pointer: &str, value: &str| entry.pointer(pointer).is_some_and(|found| found == value);
    let is_own = is("/resource/id", id) && is("/resource/type", resource_type(kind));
    let groups = || entry.get("groups").and_then(Value::as_array).into_iter().flatten();
    is_own
        || match kind {
            MemberKind::User => is("/user/id", id),
            MemberKind::Group => is("/memberGroup/id", id) || groups().any(|group| group == id),
        }
}

async fn is_there(
    context: &RequestContext<'_>,
    tenant: &TenantName,
    (id, kind): (&str, MemberKind),
) -> Result<bool, ScimError> {
    let store = &context.app().store;
    Ok(match (kind, UserId::parse(id), GroupId::parse(id)) {
        (MemberKind::User, Some(id), _) => store.is_user(tenant, &id).await?,
        (MemberKind::Group, _, Some(id)) => store.is_group(tenant, &id).await?,
        _ => false,
    })
}

/// The id of the path, as it stands in the tables.
fn canonical_id(context: &RequestContext<'_>, kind: MemberKind) -> Result<String, ScimError> {
    UserId::parse(context.id()).map(|id| id.as_str().to_owned()).ok_or_else(|| not_found(context, kind))
}

fn resource_type(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::User => "User",
        MemberKind::Group => "Group",
    }
}

fn not_found(context: &RequestContext<'_>, kind: MemberKind) -> ScimError {
    ScimError::not_found(resource_type(kind), context.id())
}

fn too_many_changes() -> ScimError {
    ScimError::too_many(format!("at is more than {MAX_STATE_EVENTS} changes ago; send a later time"))
}
