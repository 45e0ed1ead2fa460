//! `/admin/v1/tenants/{tenant}/restore`: undoes what a key did, what the protection has counted, or what happened to some
//! users; or plans it. Each request works on some of it, and its answer says where the next one goes on.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::admin::{body, named, operator};
use super::{RequestContext, ScimResponse};
use crate::admin::tenants;
use crate::auth::Principal;
use crate::limits::{MAX_RESTORE_USERS, RESTORE_SECONDS};
use crate::scim::{ErrorCode, ScimError};
use crate::store::model::id::UserId;
use crate::store::model::member::MemberKind;
use crate::store::model::record::Author;
use crate::store::model::restore::{RestoreConflict, RestoreScope};
use crate::store::model::tenant::TenantRecord;
use crate::store::ops::restore::{RestoreCall, RestoreCursor, RestoreOutcome, RestoreReport};
use crate::tenant::{Protection, ProtectionMode, Settings};

/// The word that stands for the windows that are open.
const CURRENT: &str = "current";

/// Why a restore may not last.
const NOTE: &str = "The identity provider does the same again in its next cycle unless its cause is mended: correct its \
                    scope, assignments or mapping first.";

/// POST /admin/v1/tenants/{tenant}/restore
///
/// # Errors
/// 400, 401, 403, 404, 409 where no window of protection is there, 503.
pub async fn run(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let caller = context.authenticate().await?;
    let request: RestoreRequest = body(&context)?;
    let store = &context.app().store;
    let tenant = tenants::find(store, &named(&context)?).await?;
    let cursor = match &request.cursor {
        Some(text) => request.resume(text, &tenant)?,
        None => {
            let scope = scope(&context, &tenant, &request).await?;
            store.begin_restore(&tenant.name, scope, request.dry_run.unwrap_or_default()).await?
        }
    };
    let is_plan = cursor.is_plan();
    let (author, by) = (author(&context, &caller, &tenant), operator(&context, &caller));
    let deadline = context.started() + Duration::from_secs(RESTORE_SECONDS);
    let call = RestoreCall { tenant: &tenant.name, author: &author, cursor, deadline };
    let report = Box::pin(store.restore(call, &by)).await?;
    Ok(ScimResponse::plain(Some(caller.key().clone()), StatusCode::OK, render(&report, is_plan)))
}

/// What is undone: one of `users`, `key` and `hold`; or a cursor, which has all of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RestoreRequest {
    users: Option<Vec<String>>,
    key: Option<String>,
    since: Option<String>,
    until: Option<String>,
    hold: Option<String>,
    dry_run: Option<bool>,
    cursor: Option<String>,
}

impl RestoreRequest {
    fn resume(&self, text: &str, tenant: &TenantRecord) -> Result<RestoreCursor, ScimError> {
        let others = [&self.key, &self.since, &self.until, &self.hold];
        if self.users.is_some() || self.dry_run.is_some() || others.iter().any(|other| other.is_some()) {
            return Err(ScimError::invalid_value("cursor has everything that was asked for; send it alone"));
        }
        let wrong = || {
            ScimError::invalid_cursor("cursor is not a nextCursor of a restore of this tenant; leave it out to begin")
        };
        RestoreCursor::parse(text, &tenant.name).ok_or_else(wrong)
    }
}

async fn scope(
    context: &RequestContext<'_>,
    tenant: &TenantRecord,
    request: &RestoreRequest,
) -> Result<RestoreScope, ScimError> {
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| super::log::instant(name, text).map(Timestamp::as_millisecond)).transpose()
    };
    let (since, until) = (time("since", &request.since)?, time("until", &request.until)?);
    match (&request.users, &request.key, &request.hold) {
        (Some(users), None, None) if until.is_none() => Ok(RestoreScope::Users { ids: ids(users)?, since }),
        (None, Some(key), None) => {
            let missing = || {
                ScimError::invalid_value("since is missing; send the time from which on the key's changes are undone")
            };
            let until = until.unwrap_or_else(|| context.now().as_millisecond());
            Ok(RestoreScope::Key { key: key.clone(), since: since.ok_or_else(missing)?, until })
        }
        (None, None, Some(hold)) if since.is_none() && until.is_none() => {
            let id = (hold != CURRENT).then_some(hold.as_str());
            let spans = context.app().store.hold_spans(&tenant.name, id, context.now()).await?;
            match spans.is_empty() {
                false => Ok(RestoreScope::Hold { spans }),
                true => Err(ScimError::new(
                    ErrorCode::NoHoldWindow,
                    "no such window of protection is there, or it ended over a day ago; name key and since instead",
                )),
            }
        }
        _ => Err(ScimError::invalid_value(
            "what to restore is not clear; send users, or users and since, or key and since, or hold",
        )),
    }
}

fn ids(users: &[String]) -> Result<Vec<String>, ScimError> {
    if users.is_empty() || users.len() > MAX_RESTORE_USERS {
        return Err(ScimError::invalid_value(format!("users must name 1 to {MAX_RESTORE_USERS} ids; send as many")));
    }
    let id = |text: &String| {
        let id = UserId::parse(text).map(|id| id.as_str().to_owned());
        id.ok_or_else(|| ScimError::invalid_value("users holds what is no id; send the ids of users"))
    };
    users.iter().map(id).collect()
}

/// Who writes. An operator's own decision is not counted by the protection.
fn author(context: &RequestContext<'_>, caller: &Principal, tenant: &TenantRecord) -> Author {
    let protection = Protection { mode: ProtectionMode::Off, ..tenant.config.settings.protection };
    Author { settings: Settings { protection, ..tenant.config.settings }, ..context.author(caller) }
}

fn render(report: &RestoreReport, is_plan: bool) -> Value {
    let changes = report.outcomes.iter().filter(|outcome| outcome.is_change());
    let conflicts = report.outcomes.iter().flat_map(|outcome| outcome.conflicts.iter().map(move |it| (outcome, it)));
    let mut fields = json!({
        "dryRun": is_plan,
        "restored": changes.map(render_change).collect::<Vec<_>>(),
        "unchanged": report.unchanged,
        "conflicts": conflicts.map(|(outcome, conflict)| render_conflict(outcome, conflict)).collect::<Vec<_>>(),
        "note": NOTE,
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(report.next.as_ref().map(|next| ("nextCursor".to_owned(), json!(next.to_text()))));
    }
    fields
}

fn render_change(outcome: &RestoreOutcome) -> Value {
    let attributes = outcome.attributes.iter();
    let attributes = attributes.map(|it| json!({"name": it.name, "from": it.from, "to": it.to}));
    let groups = |is_member: bool| -> Vec<&str> {
        let memberships = outcome.memberships.iter().filter(|it| it.is_member == is_member);
        memberships.map(|it| it.group.as_str()).collect()
    };
    json!({
        "resource": resource(outcome),
        "wasDeleted": outcome.is_revived,
        "attributes": attributes.collect::<Vec<_>>(),
        "joins": groups(true),
        "leaves": groups(false),
    })
}

fn render_conflict(outcome: &RestoreOutcome, conflict: &RestoreConflict) -> Value {
    let mut fields = json!({
        "resource": resource(outcome),
        "reason": conflict.reason.as_str(),
        "detail": conflict.reason.detail(),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(conflict.attribute.as_ref().map(|name| ("attribute".to_owned(), json!(name))));
        fields.extend(conflict.group.as_ref().map(|group| ("group".to_owned(), json!(group))));
    }
    fields
}

fn resource(outcome: &RestoreOutcome) -> Map<String, Value> {
    let (kind, label) = match outcome.kind {
        MemberKind::User => ("User", "userName"),
        MemberKind::Group => ("Group", "displayName"),
    };
    let mut fields = Map::from_iter([("type".to_owned(), json!(kind)), ("id".to_owned(), json!(outcome.id))]);
    fields.extend(outcome.name.as_ref().map(|name| (label.to_owned(), json!(name))));
    fields
}
