//! `/Groups` (RFC 7644 sections 3.3 to 3.6). Members are read only where they are asked for, and a change of some
//! reads none of the others.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Call, Reply};
use crate::auth::{Principal, Tenant};
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_WRITE_ATTEMPTS};
use crate::scim::filter::{Filter, eval};
use crate::scim::group::{GroupKeys, MembersAsked, members_asked};
use crate::scim::group_member::{METADATA_URN, metadata};
use crate::scim::membership::{self, Change, Ids};
use crate::scim::projection::Projection;
use crate::scim::{Document, ResourceSchema, ScimError, etag, patch as scim_patch, resource};
use crate::store::StoreError;
use crate::store::groups::{Group, GroupError, GroupId};
use crate::store::idempotency::IdempotencyKey;
use crate::store::members::{Known, MemberKind, Members};

/// POST /Groups
///
/// # Errors
/// 400, 401, 403, 409 `uniqueness`, 413, 422 for an `Idempotency-Key` of another request, 503.
pub async fn create(call: Call<'_>) -> Result<Reply, ScimError> {
    let principal = call.authenticate().await?;
    let projection = call.query()?.projection;
    let mut body = call.body()?;
    let members = membership::take(&mut body)?;
    let document = Document::from_request(body, schema(&call))?;
    let keys = storable(&document)?;
    let (store, tenant) = (&call.app().store, principal.tenant());
    let key = call.idempotency_key(&principal)?;
    let group = match made_before(&call, tenant, key.as_ref()).await? {
        Some(group) => group,
        None => {
            let id = GroupId::new().map_err(|_| ScimError::unavailable("no random numbers"))?;
            let group = Group::new(id, document, &keys, call.now());
            let author = call.author(&principal);
            match store.create_group(tenant, &author, &group, &members.add, key.as_ref()).await {
                Ok(()) => group,
                Err(error) => {
                    // The same request may have been faster.
                    let made = made_before(&call, tenant, key.as_ref()).await?;
                    made.ok_or_else(|| refused(error, &group))?
                }
            }
        }
    };
    let location = group.meta().location(schema(&call), &call.base_url());
    let body = whole(&call, tenant, &group, &projection).await?;
    Ok(Reply::json(principal, StatusCode::CREATED, body).etag(etag::weak(group.record.version.0)).location(location))
}

/// The group that the same request has made, if it was sent before.
async fn made_before(
    call: &Call<'_>,
    tenant: &Tenant,
    key: Option<&IdempotencyKey>,
) -> Result<Option<Group>, ScimError> {
    let Some(id) = call.made_before(tenant, key).await? else { return Ok(None) };
    let id = GroupId::parse(&id).ok_or_else(ScimError::gone_since)?;
    let made = call.app().store.group(tenant, &id).await?;
    Ok(Some(made.ok_or_else(ScimError::gone_since)?))
}

/// GET /Groups/{id}
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn get(call: Call<'_>) -> Result<Reply, ScimError> {
    let (principal, group) = read(&call).await?;
    let projection = call.query()?.projection;
    let group = group.ok_or_else(|| not_found(&call))?;
    let is_known = call.if_none_match().is_some_and(|tags| tags.contains(group.record.version.0));
    // Users who are gone may be hidden from the group before its version says so.
    let shows_members = projection.wants("members", schema(&call));
    if is_known && !(shows_members && call.app().store.has_ghosts(principal.tenant()).await?) {
        return Ok(Reply::empty(principal, StatusCode::NOT_MODIFIED).etag(etag::weak(group.record.version.0)));
    }
    let (group, body) = settled(&call, principal.tenant(), group, &projection).await?;
    Ok(Reply::json(principal, StatusCode::OK, body).etag(etag::weak(group.record.version.0)))
}

/// The group with members that belong to its version: read again if it changed while they were read, so that of a
/// large change either all is seen or nothing.
async fn settled(
    call: &Call<'_>,
    tenant: &Tenant,
    mut group: Group,
    projection: &Projection,
) -> Result<(Group, Map<String, Value>), ScimError> {
    for _ in 0..MAX_WRITE_ATTEMPTS {
        let body = whole(call, tenant, &group, projection).await?;
        if !projection.wants("members", schema(call)) {
            return Ok((group, body));
        }
        let now = reread(call, tenant, &group).await?;
        if now.is_as(&group) {
            return Ok((group, body));
        }
        group = now;
    }
    Err(contended())
}

/// PUT /Groups/{id}
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn replace(call: Call<'_>) -> Result<Reply, ScimError> {
    let (principal, group) = read(&call).await?;
    let mut body = call.body()?;
    let members = membership::take(&mut body)?;
    let document = Document::from_request(body, schema(&call))?;
    let projection = call.query()?.projection;
    let group = change(&call, &principal, group, (&members, Known::default()), |_| Ok(document.clone())).await?;
    let group = reread(&call, principal.tenant(), &group).await?;
    let body = whole(&call, principal.tenant(), &group, &projection).await?;
    Ok(Reply::json(principal, StatusCode::OK, body).etag(etag::weak(group.record.version.0)))
}

/// PATCH /Groups/{id}. Answers 204 unless attributes are asked for: Entra wants it so, never the list of members
/// (entra-docs, use-scim-to-provision-users-and-groups, "Update Group").
///
/// # Errors
/// 400, 401, 403, 404, 409 `uniqueness`, 412, 413, 503.
pub async fn patch(call: Call<'_>) -> Result<Reply, ScimError> {
    let schema = schema(&call);
    let changes = call.body().and_then(|body| membership::split(scim_patch::parse(&body)?, schema));
    let few = changes.as_ref().map_or_else(|_| Ids::new(), |(members, _)| members.few());
    let (principal, (group, known)) = call
        .authenticate_beside(|tenant| {
            let few = &few;
            let call = &call;
            async move {
                let Some(id) = GroupId::parse(call.id()) else { return Ok((None, Known::default())) };
                let store = &call.app().store;
                Ok(futures_util::future::try_join(store.group(&tenant, &id), store.look_up(&tenant, few)).await?)
            }
        })
        .await?;
    let (members, others) = changes?;
    let projection = call.query()?.projection;
    let new = |current: &Document| scim_patch::apply(current, &others, schema);
    let group = change(&call, &principal, group, (&members, known), new).await?;
    if !projection.is_given() {
        return Ok(Reply::empty(principal, StatusCode::NO_CONTENT));
    }
    let group = reread(&call, principal.tenant(), &group).await?;
    let body = whole(&call, principal.tenant(), &group, &projection).await?;
    Ok(Reply::json(principal, StatusCode::OK, body).etag(etag::weak(group.record.version.0)))
}

/// DELETE /Groups/{id}
///
/// # Errors
/// 401, 403, 404, 412, 503.
pub async fn delete(call: Call<'_>) -> Result<Reply, ScimError> {
    let (principal, group) = read(&call).await?;
    let mut group = group.ok_or_else(|| not_found(&call))?;
    let (store, tenant) = (&call.app().store, principal.tenant());
    for attempt in 0..MAX_WRITE_ATTEMPTS {
        etag::check_if_match(call.if_match().as_ref(), group.record.version.0)?;
        match store.delete_group(tenant, &call.author(&principal), &group, attempt).await {
            Ok(()) | Err(GroupError::Changed(None)) => return Ok(Reply::empty(principal, StatusCode::NO_CONTENT)),
            Err(GroupError::Changed(Some(_))) => match store.group(tenant, &group.id).await? {
                Some(newer) => group = newer,
                None => return Ok(Reply::empty(principal, StatusCode::NO_CONTENT)),
            },
            Err(error) => return Err(refused(error, &group)),
        }
    }
    Err(contended())
}

/// Whether a group satisfies a filter; of its members those are read that the filter asks for.
pub(super) async fn satisfies(
    call: &Call<'_>,
    tenant: &Tenant,
    group: &Group,
    filter: &Filter,
) -> Result<bool, ScimError> {
    let store = &call.app().store;
    let members = match members_asked(filter, schema(call)) {
        MembersAsked::None => Members::new(),
        MembersAsked::Only(ids) => store.members_among(tenant, group, &ids).await?,
        MembersAsked::All => all_members(call, tenant, group).await?,
    };
    Ok(eval::matches(filter, &render(call, group, Some(&members)), schema(call)))
}

async fn read(call: &Call<'_>) -> Result<(Principal, Option<Group>), ScimError> {
    call.authenticate_beside(|tenant| async move {
        match GroupId::parse(call.id()) {
            Some(id) => Ok(call.app().store.group(&tenant, &id).await?),
            None => Ok(None),
        }
    })
    .await
}

/// The group after a change: its version may have grown by others' changes of members, too.
async fn reread(call: &Call<'_>, tenant: &Tenant, group: &Group) -> Result<Group, ScimError> {
    call.app().store.group(tenant, &group.id).await?.ok_or_else(|| not_found(call))
}

/// Changes members and document, and returns the group from before; made anew with the group as it is, if somebody else was faster.
async fn change(
    call: &Call<'_>,
    principal: &Principal,
    group: Option<Group>,
    (members, mut known): (&Change, Known),
    new: impl Fn(&Document) -> Result<Document, ScimError>,
) -> Result<Group, ScimError> {
    let mut current = group.ok_or_else(|| not_found(call))?;
    let (store, tenant, author) = (&call.app().store, principal.tenant(), call.author(principal));
    let is_guarded = call.if_match().is_some();
    for attempt in 0..MAX_WRITE_ATTEMPTS {
        etag::check_if_match(call.if_match().as_ref(), current.record.version.0)?;
        let document = new(&current.record.document)?;
        let keys = storable(&document)?;
        if document == current.record.document && members.is_nothing() {
            return Ok(current);
        }
        let next = current.next(document, &keys, call.now());
        let written =
            store.change_group(tenant, &author, (&current, &next), (members, &known), (is_guarded, attempt)).await;
        // What was known is old by now.
        known = Known::default();
        match written {
            Ok(()) => return Ok(current),
            Err(GroupError::Changed(Some(newer))) => current = *newer,
            Err(GroupError::Changed(None)) => return Err(not_found(call)),
            Err(error) => return Err(refused(error, &next)),
        }
    }
    Err(contended())
}

/// Adds or removes members, and nothing else.
pub(super) async fn change_members(
    call: &Call<'_>,
    principal: &Principal,
    group: Group,
    members: &Change,
) -> Result<(), ScimError> {
    let (store, tenant, author) = (&call.app().store, principal.tenant(), call.author(principal));
    let mut current = group;
    for attempt in 0..MAX_WRITE_ATTEMPTS {
        let next = current.touched(call.now());
        let change = (members, &Known::default());
        match store.change_group(tenant, &author, (&current, &next), change, (false, attempt)).await {
            Ok(()) => return Ok(()),
            Err(GroupError::Changed(Some(newer))) => current = *newer,
            Err(GroupError::Changed(None)) => return Err(ScimError::not_found("Group", current.id.as_str())),
            Err(error) => return Err(refused(error, &next)),
        }
    }
    Err(contended())
}

fn storable(document: &Document) -> Result<GroupKeys, ScimError> {
    let keys = GroupKeys::of(document)?;
    // What is left of the item is for the ids of a change of members.
    let limit = MAX_DOCUMENT_BYTES / 8;
    let size = document.to_stored().len();
    if size > limit {
        return Err(ScimError::status(413, format!("the group would be {size} bytes; the limit is {limit}")));
    }
    Ok(keys)
}

fn refused(error: GroupError, group: &Group) -> ScimError {
    match error {
        GroupError::NameTaken => ScimError::uniqueness(format!(
            "displayName {} belongs to another group; it is unique without regard to case",
            group.record.document.text("displayName").unwrap_or_default()
        )),
        GroupError::NoSuchMember(id) => ScimError::invalid_value(format!(
            "members: {id} is not the id of a user or group of this tenant; nothing was changed"
        )),
        GroupError::TooManyGroups(id) => {
            ScimError::invalid_value(format!("members: {id} is in as many groups as it may be; nothing was changed"))
        }
        GroupError::OwnMember => ScimError::invalid_value("members: a group cannot be a member of itself"),
        GroupError::TooManyChanges(count) => ScimError::status(
            413,
            format!("{count} members would change, more than one request may; add and remove them in several"),
        ),
        GroupError::Changed(_) => contended(),
        GroupError::Store(error) => error.into(),
    }
}

fn contended() -> ScimError {
    ScimError::unavailable("others are changing this group; try again")
}

fn not_found(call: &Call<'_>) -> ScimError {
    ScimError::not_found("Group", call.id())
}

fn schema<'a>(call: &Call<'a>) -> &'a ResourceSchema {
    &call.app().schemas.group
}

/// The group as the client asked for it; its members are read only if they are wanted.
pub(super) async fn whole(
    call: &Call<'_>,
    tenant: &Tenant,
    group: &Group,
    projection: &Projection,
) -> Result<Map<String, Value>, ScimError> {
    let members = match projection.wants("members", schema(call)) {
        true => match call.app().store.members(tenant, group).await {
            Err(StoreError::TooMany(_)) => None,
            members => Some(members?),
        },
        false => Some(Members::new()),
    };
    let metadata = || metadata(&call.base_url(), group.id.as_str(), members.is_none());
    let mut resource = render(call, group, members.as_ref());
    // Not always, although the draft says SHOULD: what Entra and Okta document of a group's `schemas` is one alone.
    if projection.names_extension(METADATA_URN, schema(call)) {
        resource::extend(&mut resource, METADATA_URN, metadata());
    }
    let mut resource = projection.apply(resource, schema(call));
    // Who asked for members must not take their absence for an empty group.
    if members.is_none() && !resource.contains_key(METADATA_URN) {
        resource::extend(&mut resource, METADATA_URN, metadata());
    }
    Ok(resource)
}

/// All members, for a filter that needs them all.
async fn all_members(call: &Call<'_>, tenant: &Tenant, group: &Group) -> Result<Members, ScimError> {
    call.app().store.members(tenant, group).await.map_err(|error| match error {
        StoreError::TooMany(limit) => ScimError::too_many(format!(
            "filter: group {} has more than {limit} members; ask whether one is a member with members.value eq \"…\", \
             or list them at /GroupMembers",
            group.id
        )),
        other => other.into(),
    })
}

/// The group with its members, if they fit an answer.
pub(super) fn render(call: &Call<'_>, group: &Group, members: Option<&Members>) -> Map<String, Value> {
    let base_url = call.base_url();
    let mut resource = resource::render(&group.record.document, &group.meta(), schema(call), &base_url);
    let member = |(id, kind): (&String, &MemberKind)| {
        let (name, endpoint) = match kind {
            MemberKind::User => ("User", "Users"),
            MemberKind::Group => ("Group", "Groups"),
        };
        json!({"value": id, "$ref": format!("{base_url}/{endpoint}/{id}"), "type": name})
    };
    if let Some(members) = members.filter(|members| !members.is_empty()) {
        resource::insert(&mut resource, "members", members.iter().map(member).collect());
    }
    resource
}
