//! `/Users` (RFC 7644 sections 3.3 to 3.6).

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::error::held;
use super::write::{Attempt, conflict_exhausted, create_idempotently, retry_on_conflict};
use super::{RequestContext, ScimResponse};
use crate::auth::Principal;
use crate::limits::MAX_DOCUMENT_BYTES;
use crate::scim::filter::{Filter, eval};
use crate::scim::projection::Projection;
use crate::scim::user::UserKeys;
use crate::scim::{Document, ErrorCode, ResourceSchema, ScimError, etag, patch as scim_patch, resource};
use crate::store::model::group::Group;
use crate::store::model::id::UserId;
use crate::store::model::user::{User, UserWriteError};

/// POST /Users
///
/// # Errors
/// 400, 401, 403, 409 `uniqueness`, 413, 422 for an `Idempotency-Key` of another request, 503.
pub async fn create(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let projection = context.projection(schema(&principal))?;
    let document = Document::from_request(context.body()?, schema(&principal))?;
    let keys = validate_for_storage(&principal, &document)?;
    let (store, tenant) = (&context.app().store, principal.tenant());
    let key = context.idempotency_key(&principal)?;
    let id = UserId::new(&keys.user_name)
        .map_err(|_| ScimError::unavailable("the system returned no random numbers; try again"))?;
    let new = User::new(id, document, &keys, context.now());
    let read = |id: String| async move {
        match UserId::parse(&id) {
            Some(id) => Ok(store.user(tenant, &id).await?),
            None => Ok(None),
        }
    };
    let create = async {
        let created = store.create_user(tenant, &context.author(&principal), (&new, &keys), key.as_ref()).await;
        created.map_err(|error| to_scim_error(error, &new))?;
        Ok(new.clone())
    };
    let user = create_idempotently(&context, (tenant, key.as_ref()), read, create).await?;
    let whole = projection.apply(render(&context, &principal, &user), schema(&principal));
    let location = user.meta().location(schema(&principal), &context.base_url());
    Ok(reply(principal, StatusCode::CREATED, &user, whole).location(location))
}

/// GET /Users/{id}
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn get(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, user) = read(&context).await?;
    let projection = context.projection(schema(&principal))?;
    let user = user.ok_or_else(|| not_found(&context))?;
    if context.if_none_match().is_some_and(|tags| tags.contains(user.record.version.0)) {
        return Ok(ScimResponse::empty(principal, StatusCode::NOT_MODIFIED).etag(etag::weak(user.record.version.0)));
    }
    let groups = names_of_groups(&context, &principal, [&user], &projection).await?;
    let whole = projection.apply(with_groups(&context, &principal, &user, &groups), schema(&principal));
    Ok(reply(principal, StatusCode::OK, &user, whole))
}

/// PUT /Users/{id}
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn replace(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, user) = read(&context).await?;
    let document = Document::from_request(context.body()?, schema(&principal))?;
    change(context, principal, user, |_, _| Ok(document.clone())).await
}

/// PATCH /Users/{id}
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn patch(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, user) = read(&context).await?;
    let operations = scim_patch::parse(&context.body()?)?;
    let deadline = context.deadline();
    let on_time = move || deadline.check();
    change(context, principal, user, |current, schema| scim_patch::apply(current, &operations, schema, &on_time)).await
}

/// DELETE /Users/{id}
///
/// # Errors
/// 401, 403, 404, 412, 503.
pub async fn delete(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, user) = read(&context).await?;
    let user = user.ok_or_else(|| not_found(&context))?;
    let (context, author) = (&context, &context.author(&principal));
    let (store, tenant) = (&context.app().store, principal.tenant());
    let deleted = retry_on_conflict(user, |user: User, attempt| async move {
        context.check_preconditions(user.record.version.0)?;
        match store.delete_user(tenant, author, &user, attempt).await {
            Ok(()) => Ok(Attempt::Done(())),
            Err(UserWriteError::Changed(Some(newer))) => Ok(Attempt::Conflict(*newer)),
            // Gone from its place: renamed meanwhile, or deleted by another request. A lost answer to this one's
            // transaction is none: it is known by its token.
            Err(UserWriteError::Changed(None)) => {
                let now = store.user(tenant, &user.id).await?;
                now.map(Attempt::Conflict).ok_or_else(|| not_found(context))
            }
            Err(error) => Err(to_scim_error(error, &user)),
        }
    })
    .await;
    store.give_back(tenant, author).await;
    deleted?;
    Ok(ScimResponse::empty(principal, StatusCode::NO_CONTENT))
}

/// Whether a user satisfies a filter. It is evaluated without the names of groups, which would have to be read.
pub(super) fn satisfies(context: &RequestContext<'_>, principal: &Principal, user: &User, filter: &Filter) -> bool {
    let names = user.group_ids().map(|id| (id.to_owned(), String::new())).collect();
    eval::matches(filter, &with_groups(context, principal, user, &names), schema(principal))
}

async fn read(context: &RequestContext<'_>) -> Result<(Principal, Option<User>), ScimError> {
    context
        .authenticate_with_read(|tenant| async move {
            match UserId::parse(context.id()) {
                Some(id) => Ok(context.app().store.user(&tenant, &id).await?),
                None => Ok(None),
            }
        })
        .await
}

/// Writes what `new` makes of the current document, and answers with the user.
async fn change(
    context: RequestContext<'_>,
    principal: Principal,
    user: Option<User>,
    new: impl Fn(&Document, &ResourceSchema) -> Result<Document, ScimError>,
) -> Result<ScimResponse, ScimError> {
    let projection = context.projection(schema(&principal))?;
    let user = user.ok_or_else(|| not_found(&context))?;
    let user = update(&context, &principal, user, &new).await?;
    let groups = names_of_groups(&context, &principal, [&user], &projection).await?;
    let body = projection.apply(with_groups(&context, &principal, &user, &groups), schema(&principal));
    Ok(reply(principal, StatusCode::OK, &user, body))
}

async fn update(
    context: &RequestContext<'_>,
    principal: &Principal,
    user: User,
    new: &impl Fn(&Document, &ResourceSchema) -> Result<Document, ScimError>,
) -> Result<User, ScimError> {
    let (store, tenant, author) = (&context.app().store, principal.tenant(), &context.author(principal));
    let updated = retry_on_conflict(user, |current: User, attempt| async move {
        context.check_preconditions(current.record.version.0)?;
        let document = new(&current.record.document, schema(principal))?;
        let keys = validate_for_storage(principal, &document)?;
        // What changes nothing is no new version (RFC 7644 section 3.5.2.1).
        if document == current.record.document {
            return Ok(Attempt::Done(current));
        }
        let next = current.next(document, &keys, context.now());
        match store.update_user(tenant, author, (&current, &next), &keys, attempt).await {
            Ok(()) => Ok(Attempt::Done(next)),
            Err(UserWriteError::Changed(Some(newer))) => Ok(Attempt::Conflict(*newer)),
            Err(UserWriteError::Changed(None)) => {
                let renamed = store.user(tenant, &current.id).await?;
                Ok(Attempt::Conflict(renamed.ok_or_else(|| not_found(context))?))
            }
            Err(error) => Err(to_scim_error(error, &next)),
        }
    })
    .await;
    store.give_back(tenant, author).await;
    updated
}

fn validate_for_storage(principal: &Principal, document: &Document) -> Result<UserKeys, ScimError> {
    let keys = UserKeys::of(document)?;
    principal.profile().check_required(document)?;
    let size = document.to_stored().len();
    if size > MAX_DOCUMENT_BYTES {
        return Err(ScimError::new(
            ErrorCode::ResourceTooLarge,
            format!("the user has {size} bytes and may have {MAX_DOCUMENT_BYTES}; map fewer or shorter attributes"),
        ));
    }
    Ok(keys)
}

fn to_scim_error(error: UserWriteError, user: &User) -> ScimError {
    match error {
        UserWriteError::UserNameTaken => ScimError::uniqueness(format!(
            "userName {} belongs to another user; choose another one, as case is ignored (RFC 7643 section 4.1.1)",
            user.record.document.text("userName").unwrap_or_default()
        )),
        UserWriteError::Changed(_) => conflict_exhausted(),
        UserWriteError::Held(hold) => held(&hold),
        UserWriteError::Store(error) => error.into(),
    }
}

fn not_found(context: &RequestContext<'_>) -> ScimError {
    ScimError::not_found("User", context.id())
}

fn schema(principal: &Principal) -> &ResourceSchema {
    &principal.profile().schemas.user
}

/// The user whole, but for its groups.
pub(super) fn render(context: &RequestContext<'_>, principal: &Principal, user: &User) -> Map<String, Value> {
    resource::render(&user.record.document, &user.meta(), schema(principal), &context.base_url())
}

/// The names of the groups that users are in, by their ids; read only if `groups` is wanted. Groups that are gone are
/// not among them.
pub(super) async fn names_of_groups<'u>(
    context: &RequestContext<'_>,
    principal: &Principal,
    users: impl IntoIterator<Item = &'u User>,
    projection: &Projection,
) -> Result<BTreeMap<String, String>, ScimError> {
    let ids: BTreeSet<String> = match projection.wants("groups", schema(principal)) {
        true => users.into_iter().flat_map(User::group_ids).map(str::to_owned).collect(),
        false => BTreeSet::new(),
    };
    let groups = context.app().store.groups(principal.tenant(), ids).await?;
    let name = |group: &Group| group.record.document.text("displayName").unwrap_or_default().to_owned();
    Ok(groups.iter().map(|group| (group.id.as_str().to_owned(), name(group))).collect())
}

/// The user whole, with those of its groups that have a name.
pub(super) fn with_groups(
    context: &RequestContext<'_>,
    principal: &Principal,
    user: &User,
    names: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let mut resource = render(context, principal, user);
    let base_url = context.base_url();
    let groups: Vec<Value> = user
        .group_ids()
        .filter_map(|id| Some((id, names.get(id)?)))
        .map(|(id, name)| json!({"value": id, "$ref": format!("{base_url}/Groups/{id}"), "display": name, "type": "direct"}))
        .collect();
    if !groups.is_empty() {
        resource::insert(&mut resource, "groups", groups.into());
    }
    resource
}

fn reply(principal: Principal, status: StatusCode, user: &User, body: Map<String, Value>) -> ScimResponse {
    ScimResponse::json(principal, status, body).etag(etag::weak(user.record.version.0))
}
