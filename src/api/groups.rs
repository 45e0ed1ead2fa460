//! `/Groups` (RFC 7644 sections 3.3 to 3.6). Members are read only where they are asked for, and a change of some
//! reads none of the others.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::dry_run;
use super::error::held;
use super::write::{Attempt, conflict_exhausted, create_idempotently, retry_on_conflict};
use super::{RequestContext, ScimResponse};
use crate::auth::{Principal, Tenant};
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_GROUP_BYTES, MAX_GROUPS_PER_USER, MAX_MEMBERS_LISTED};
use crate::scim::filter::{Filter, eval};
use crate::scim::group::{GroupKeys, MembersAsked, requested_members};
use crate::scim::group_member::{METADATA_URN, metadata};
use crate::scim::membership::{self, Ids, MembershipChange};
use crate::scim::projection::Projection;
use crate::scim::{Document, ErrorCode, ResourceSchema, ScimError, etag, list, patch as scim_patch, resource};
use crate::store::model::group::{Group, GroupError};
use crate::store::model::id::GroupId;
use crate::store::model::member::{MemberKind, Members};
use crate::store::ops::members::PrefetchedMembers;
use crate::store::ops::members::change::GroupChange;

/// POST /Groups
///
/// # Errors
/// 400, 401, 403, 409 `uniqueness`, 413, 422 for an `Idempotency-Key` of another request, 503.
pub async fn create(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let projection = context.projection(schema(&context))?;
    let mut body = context.body()?;
    let members = membership::take(&mut body, schema(&context))?;
    let document = Document::from_request(body, schema(&context))?;
    let keys = validate_for_storage(&document)?;
    let (store, tenant) = (&context.app().store, principal.tenant());
    let key = context.idempotency_key(&principal)?;
    let id = GroupId::new().map_err(|_| ScimError::unavailable("the system returned no random numbers; try again"))?;
    let new = Group::new(id, document, &keys, context.now());
    let read = |id: String| async move {
        match GroupId::parse(&id) {
            Some(id) => Ok(store.group(tenant, &id).await?),
            None => Ok(None),
        }
    };
    let create = async {
        let created = store.create_group(tenant, &context.author(&principal), &new, &members.add, key.as_ref()).await;
        created.map_err(|error| to_scim_error(error, &new))?;
        Ok(new.clone())
    };
    let group = create_idempotently(&context, (tenant, key.as_ref()), read, create).await?;
    let location = group.meta().location(schema(&context), &context.base_url());
    if dry_run::is_on() {
        return Ok(preview(&context, principal, (None, &group), &members, &projection).await?.location(location));
    }
    let (group, body) =
        render_settled(&context, tenant, group, &projection).await?.ok_or_else(ScimError::gone_since)?;
    Ok(ScimResponse::json(principal, StatusCode::CREATED, body)
        .etag(etag::weak(group.record.version.0))
        .location(location))
}

/// GET /Groups/{id}
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn get(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, group) = read(&context).await?;
    let projection = context.projection(schema(&context))?;
    let group = group.ok_or_else(|| not_found(&context))?;
    let is_known = context.if_none_match().is_some_and(|tags| tags.contains(group.record.version.0));
    // Users who are gone may be hidden from the group before its version says so.
    let returns_members = projection.wants("members", schema(&context));
    if is_known && !(returns_members && context.app().store.has_tombstones(principal.tenant()).await?) {
        return Ok(ScimResponse::empty(principal, StatusCode::NOT_MODIFIED).etag(etag::weak(group.record.version.0)));
    }
    let settled = render_settled(&context, principal.tenant(), group, &projection).await?;
    let (group, body) = settled.ok_or_else(|| not_found(&context))?;
    Ok(ScimResponse::json(principal, StatusCode::OK, body).etag(etag::weak(group.record.version.0)))
}

/// PUT /Groups/{id}
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn replace(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, group) = read(&context).await?;
    let mut body = context.body()?;
    let members = membership::take(&mut body, schema(&context))?;
    let document = Document::from_request(body, schema(&context))?;
    let projection = context.projection(schema(&context))?;
    let group =
        change(&context, &principal, group, (&members, &PrefetchedMembers::default()), |_| Ok(document.clone()))
            .await?;
    if dry_run::is_on() {
        let keys = validate_for_storage(&document)?;
        let new = group.next(document, &keys, context.now());
        return preview(&context, principal, (Some(&group), &new), &members, &projection).await;
    }
    answer(&context, principal, &group, &projection).await
}

/// PATCH /Groups/{id}. Answers 204 unless attributes are asked for: Entra wants it so, never the list of members
/// (entra-docs, use-scim-to-provision-users-and-groups, "Update Group").
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn patch(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let schema = schema(&context);
    let changes = context.body().and_then(|body| membership::split(scim_patch::parse(&body)?, schema));
    let few = changes.as_ref().map_or_else(|_| Ids::new(), |(members, _)| members.few());
    let (principal, (group, known)) = context
        .authenticate_with_read(|tenant| {
            let few = &few;
            let context = &context;
            async move {
                let Some(id) = GroupId::parse(context.id()) else { return Ok((None, PrefetchedMembers::default())) };
                let store = &context.app().store;
                Ok(futures_util::future::try_join(store.group(&tenant, &id), store.prefetch_members(&tenant, few))
                    .await?)
            }
        })
        .await?;
    let (members, others) = changes?;
    let projection = context.projection(schema)?;
    let deadline = context.deadline();
    let on_time = || deadline.check();
    let new = |current: &Document| scim_patch::apply(current, &others, schema, &on_time);
    let group = change(&context, &principal, group, (&members, &known), new).await?;
    if !projection.is_given() {
        return Ok(ScimResponse::empty(principal, StatusCode::NO_CONTENT));
    }
    if dry_run::is_on() {
        let document = new(&group.record.document)?;
        let keys = validate_for_storage(&document)?;
        let new = group.next(document, &keys, context.now());
        return preview(&context, principal, (Some(&group), &new), &members, &projection).await;
    }
    answer(&context, principal, &group, &projection).await
}

/// DELETE /Groups/{id}
///
/// # Errors
/// 401, 403, 404, 412, 503.
pub async fn delete(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let (principal, group) = read(&context).await?;
    let group = group.ok_or_else(|| not_found(&context))?;
    let (context, author) = (&context, &context.author(&principal));
    let (store, tenant) = (&context.app().store, principal.tenant());
    let deleted = retry_on_conflict(group, |group: Group, attempt| async move {
        context.check_preconditions(group.record.version.0)?;
        match store.delete_group(tenant, author, &group, attempt).await {
            Ok(()) => Ok(Attempt::Done(())),
            Err(GroupError::Changed(None)) => Err(not_found(context)),
            Err(GroupError::Changed(Some(_))) => {
                let now = store.group(tenant, &group.id).await?;
                now.map(Attempt::Conflict).ok_or_else(|| not_found(context))
            }
            Err(error) => Err(to_scim_error(error, &group)),
        }
    })
    .await;
    store.give_back(tenant, author).await;
    deleted?;
    Ok(ScimResponse::empty(principal, StatusCode::NO_CONTENT))
}

/// Whether a group satisfies a filter; of its members those are read that the filter asks for.
pub(super) async fn satisfies(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    group: &Group,
    filter: &Filter,
) -> Result<bool, ScimError> {
    let store = &context.app().store;
    let holds = |group: &Group, members: &Members| {
        eval::matches(filter, &render(context, group, Some(members)), schema(context))
    };
    Ok(match requested_members(filter, schema(context)) {
        MembersAsked::None => holds(group, &Members::new()),
        MembersAsked::Only(ids) => holds(group, &store.members_among(tenant, group, &ids).await?),
        MembersAsked::All => match store.group_with_members(tenant, group.clone(), MAX_MEMBERS_LISTED).await? {
            Some((group, Some(members))) => holds(&group, &members),
            None => false,
            Some((group, None)) => {
                return Err(ScimError::too_many(format!(
                    "filter asks for group {}, which has more than {MAX_MEMBERS_LISTED} members; ask whether one is a member with \
                     members.value eq \"…\", or list them at /GroupMembers",
                    group.id
                )));
            }
        },
    })
}

async fn read(context: &RequestContext<'_>) -> Result<(Principal, Option<Group>), ScimError> {
    context
        .authenticate_with_read(|tenant| async move {
            match GroupId::parse(context.id()) {
                Some(id) => Ok(context.app().store.group(&tenant, &id).await?),
                None => Ok(None),
            }
        })
        .await
}

/// The answer of a dry run: the group as it would be, or a new one, which has no members yet.
async fn preview(
    context: &RequestContext<'_>,
    principal: Principal,
    (old, new): (Option<&Group>, &Group),
    change: &MembershipChange,
    projection: &Projection,
) -> Result<ScimResponse, ScimError> {
    let (store, tenant) = (&context.app().store, principal.tenant());
    let status = if old.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let members = match (old, projection.wants("members", schema(context))) {
        (_, false) => Some(Members::new()),
        (Some(old), true) if !change.is_whole => {
            let settled = store.group_with_members(tenant, old.clone(), members_that_fit(context, &new.id)).await?;
            settled.ok_or_else(|| not_found(context))?.1
        }
        (_, true) => Some(Members::new()),
    };
    let members = match members {
        Some(mut members) if projection.wants("members", schema(context)) => {
            members.retain(|id, _| !change.remove.contains(id));
            let known = store.prefetch_members(tenant, &change.add).await?;
            let kind = |id: &String| known.kind(id).unwrap_or(MemberKind::User);
            members.extend(change.add.iter().map(|id| (id.clone(), kind(id))));
            (members.len() <= members_that_fit(context, &new.id)).then_some(members)
        }
        other => other,
    };
    let body = render_projected(context, new, members.as_ref(), projection);
    Ok(ScimResponse::json(principal, status, body).etag(etag::weak(new.record.version.0)))
}

/// The group after a change, with what others have changed since.
async fn answer(
    context: &RequestContext<'_>,
    principal: Principal,
    group: &Group,
    projection: &Projection,
) -> Result<ScimResponse, ScimError> {
    let group = context.app().store.group(principal.tenant(), &group.id).await?.ok_or_else(|| not_found(context))?;
    let settled = render_settled(context, principal.tenant(), group, projection).await?;
    let (group, body) = settled.ok_or_else(|| not_found(context))?;
    Ok(ScimResponse::json(principal, StatusCode::OK, body).etag(etag::weak(group.record.version.0)))
}

/// Changes members and document, and returns the group from before.
async fn change(
    context: &RequestContext<'_>,
    principal: &Principal,
    group: Option<Group>,
    (members, known): (&MembershipChange, &PrefetchedMembers),
    new: impl Fn(&Document) -> Result<Document, ScimError>,
) -> Result<Group, ScimError> {
    let group = group.ok_or_else(|| not_found(context))?;
    let (store, tenant, author) = (&context.app().store, principal.tenant(), &context.author(principal));
    let (requires_version, nothing_known, new) = (context.if_match().is_some(), &PrefetchedMembers::default(), &new);
    let changed = retry_on_conflict(group, |current: Group, attempt| async move {
        context.check_preconditions(current.record.version.0)?;
        let document = new(&current.record.document)?;
        let keys = validate_for_storage(&document)?;
        if document == current.record.document && members.is_empty() {
            return Ok(Attempt::Done(current));
        }
        let next = current.next(document, &keys, context.now());
        // What was known is old by the second attempt.
        let known = if attempt == 0 { known } else { nothing_known };
        let change =
            GroupChange { old: &current, new: &next, members, requires_version, requires_change: false, attempt };
        match store.change_group(tenant, author, change, known).await {
            Ok(()) => Ok(Attempt::Done(current)),
            Err(GroupError::Changed(Some(newer))) => Ok(Attempt::Conflict(*newer)),
            Err(GroupError::Changed(None)) => Err(not_found(context)),
            // The member may have left and gone after the group was read: `If-Match` comes first, then (RFC 9110
            // section 13.2.2).
            Err(error @ (GroupError::NoSuchMember(_) | GroupError::TooManyGroups(_))) if requires_version => {
                match store.group(tenant, &current.id).await? {
                    None => Err(not_found(context)),
                    Some(now) if now.record.version != current.record.version => Ok(Attempt::Conflict(now)),
                    Some(_) => Err(to_scim_error(error, &next)),
                }
            }
            Err(error) => Err(to_scim_error(error, &next)),
        }
    })
    .await;
    store.give_back(tenant, author).await;
    changed
}

/// Adds or removes members, and nothing else; [`GroupError::Unchanged`] and a group that is gone are for the caller.
pub(super) async fn change_members(
    context: &RequestContext<'_>,
    principal: &Principal,
    group: Group,
    (members, known): (&MembershipChange, &PrefetchedMembers),
    unchanged: impl Fn(Option<&Group>) -> ScimError,
) -> Result<(), ScimError> {
    let (store, tenant, author) = (&context.app().store, principal.tenant(), &context.author(principal));
    let (unchanged, nothing_known) = (&unchanged, &PrefetchedMembers::default());
    let changed = retry_on_conflict(group, |current: Group, attempt| async move {
        let next = current.touched(context.now());
        let change =
            GroupChange { old: &current, new: &next, members, requires_version: false, requires_change: true, attempt };
        let known = if attempt == 0 { known } else { nothing_known };
        match store.change_group(tenant, author, change, known).await {
            Ok(()) => Ok(Attempt::Done(())),
            Err(GroupError::Changed(Some(newer))) => Ok(Attempt::Conflict(*newer)),
            Err(GroupError::Unchanged) => Err(unchanged(Some(&current))),
            Err(GroupError::Changed(None)) => Err(unchanged(None)),
            Err(error) => Err(to_scim_error(error, &next)),
        }
    })
    .await;
    store.give_back(tenant, author).await;
    changed
}

fn validate_for_storage(document: &Document) -> Result<GroupKeys, ScimError> {
    let keys = GroupKeys::of(document)?;
    // What is left of the item is for the ids of a change of members.
    let limit = MAX_DOCUMENT_BYTES / 8;
    let size = document.to_stored().len();
    if size > limit {
        return Err(ScimError::new(
            ErrorCode::ResourceTooLarge,
            format!("the group has {size} bytes and may have {limit}; map fewer or shorter attributes"),
        ));
    }
    Ok(keys)
}

fn to_scim_error(error: GroupError, group: &Group) -> ScimError {
    match error {
        GroupError::NameTaken => ScimError::uniqueness(format!(
            "displayName {} belongs to another group; choose another name, as case is ignored",
            group.record.document.text("displayName").unwrap_or_default()
        )),
        GroupError::NoSuchMember(id) => ScimError::new(
            ErrorCode::UnknownMember,
            format!(
                "members has {id}, which is no user or group of this tenant; provision it first, as nothing changed"
            ),
        ),
        GroupError::TooManyGroups(id) => ScimError::new(
            ErrorCode::TooManyGroups,
            format!("members has {id}, which is in {MAX_GROUPS_PER_USER} groups, the limit; remove it from one first"),
        ),
        GroupError::OwnMember => {
            ScimError::new(ErrorCode::OwnMember, "members has the group itself; remove it from the list")
        }
        GroupError::TooManyChanges(count) => ScimError::new(
            ErrorCode::TooManyMembers,
            format!("members would change by {count}, more than one request may; send them in several requests"),
        ),
        GroupError::Changed(_) | GroupError::Unchanged => conflict_exhausted(),
        GroupError::Held(hold) => held(&hold),
        GroupError::Store(error) => error.into(),
    }
}

fn not_found(context: &RequestContext<'_>) -> ScimError {
    ScimError::not_found("Group", context.id())
}

fn schema<'a>(context: &RequestContext<'a>) -> &'a ResourceSchema {
    &context.app().schemas.group
}

/// The group as the client asked for it, with members that belong to its version; `None` if it is gone. Its members are
/// read only if they are wanted.
pub(super) async fn render_settled(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    group: Group,
    projection: &Projection,
) -> Result<Option<(Group, Map<String, Value>)>, ScimError> {
    let limit = members_that_fit(context, &group.id);
    render_up_to(context, tenant, group, projection, limit).await
}

/// The group in a list, as the client asked for it; `None` if it is gone.
pub(super) async fn render_listed(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    group: Group,
    projection: &Projection,
) -> Result<Option<Map<String, Value>>, ScimError> {
    Ok(render_up_to(context, tenant, group, projection, MAX_MEMBERS_LISTED).await?.map(|(_, body)| body))
}

async fn render_up_to(
    context: &RequestContext<'_>,
    tenant: &Tenant,
    group: Group,
    projection: &Projection,
    limit: usize,
) -> Result<Option<(Group, Map<String, Value>)>, ScimError> {
    if !projection.wants("members", schema(context)) {
        let body = render_projected(context, &group, Some(&Members::new()), projection);
        return Ok(Some((group, body)));
    }
    let settled = context.app().store.group_with_members(tenant, group, limit).await?;
    Ok(settled.map(|(group, members)| {
        let body = render_projected(context, &group, members.as_ref(), projection);
        (group, body)
    }))
}

/// The group with its members, if they fit an answer, as the client asked for it.
fn render_projected(
    context: &RequestContext<'_>,
    group: &Group,
    members: Option<&Members>,
    projection: &Projection,
) -> Map<String, Value> {
    let metadata = || metadata(&context.base_url(), group.id.as_str(), members.is_none());
    let mut resource = render(context, group, members);
    // Not always, although the draft says SHOULD: what Entra and Okta document of a group's `schemas` is one alone.
    if projection.names_extension(METADATA_URN, schema(context)) {
        resource::extend(&mut resource, METADATA_URN, metadata());
    }
    let mut resource = projection.apply(resource, schema(context));
    // Who asked for members must not take their absence for an empty group.
    if members.is_none() && !resource.contains_key(METADATA_URN) {
        resource::extend(&mut resource, METADATA_URN, metadata());
    }
    resource
}

/// The group with its members, if they fit an answer.
pub(super) fn render(context: &RequestContext<'_>, group: &Group, members: Option<&Members>) -> Map<String, Value> {
    let base_url = context.base_url();
    let mut resource = resource::render(&group.record.document, &group.meta(), schema(context), &base_url);
    let member = |(id, kind): (&String, &MemberKind)| member_value(&base_url, id, *kind);
    // Also for none: a client such as authentik reads a missing `members` as members that were not returned.
    if let Some(members) = members {
        resource::insert(&mut resource, "members", members.iter().map(member).collect());
    }
    resource
}

fn member_value(base_url: &str, id: &str, kind: MemberKind) -> Value {
    let (name, endpoint) = match kind {
        MemberKind::User => ("User", "Users"),
        MemberKind::Group => ("Group", "Groups"),
    };
    json!({"value": id, "$ref": format!("{base_url}/{endpoint}/{id}"), "type": name})
}

/// Most members of one group in an answer, by the length of what stands for each.
fn members_that_fit(context: &RequestContext<'_>, group: &GroupId) -> usize {
    let longest = member_value(&context.base_url(), group.as_str(), MemberKind::Group);
    (MAX_GROUP_BYTES - MAX_DOCUMENT_BYTES / 4) / list::escaped_length(&longest)
}
