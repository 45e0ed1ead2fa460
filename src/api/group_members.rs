//! `/GroupMembers` (draft-zollner-scim-group-members-01): memberships one by one, in pages, for groups of any size.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{RequestContext, ScimResponse, cursor};
use crate::auth::{Principal, Tenant};
use crate::limits::{
    DEFAULT_PAGE, MAX_MEMBERS_LISTED, MAX_MEMBERSHIPS_PAGE, MAX_MEMBERSHIPS_READ, MAX_RESPONSE_BYTES,
    MAX_SETTLE_ATTEMPTS,
};
use crate::scim::filter::check::parse_for;
use crate::scim::filter::{Filter, eval};
use crate::scim::group_member::{self, asked};
use crate::scim::list::{self, Query};
use crate::scim::membership::{MembershipChange, canonical};
use crate::scim::resource::date_time;
use crate::scim::{ResourceSchema, ScimError};
use crate::store::model::group::Group;
use crate::store::model::id::GroupId;
use crate::store::model::member::MemberKind;
use crate::store::ops::group_members::{GroupMember, MembershipFilter, MembershipPosition};
use crate::store::ops::members::PrefetchedMembers;

/// POST /GroupMembers
///
/// # Errors
/// 400 `invalidValue` for a group or member that is not there, 401, 403, 409 for a membership that is, 503.
pub async fn create(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let projection = context.projection(schema(&context))?;
    let (group_id, member) = group_member::parse(&context.body()?)?;
    let nobody =
        || ScimError::invalid_value(format!("group.value {group_id} is no group of this tenant; send the id of one"));
    let group = find(&context, principal.tenant(), &group_id).await?.ok_or_else(nobody)?;
    let (store, tenant) = (&context.app().store, principal.tenant());
    let change = MembershipChange { add: [canonical(&member)].into(), ..MembershipChange::default() };
    let known = store.prefetch_members(tenant, &change.add).await?;
    let unchanged = |group: Option<&Group>| match group {
        Some(_) => ScimError::uniqueness(format!(
            "member.value {member} is a member of group {group_id} already; search for the membership"
        )),
        None => nobody(),
    };
    super::groups::change_members(&context, &principal, group.clone(), (&change, &known), unchanged).await?;
    let stored = store.group_member(tenant, &group, &member).await?;
    // What was ended at once was created all the same.
    let kind = known.kind(&canonical(&member)).unwrap_or(MemberKind::User);
    let created = stored.unwrap_or_else(|| GroupMember::new(&group, canonical(&member), kind, context.now()));
    let resource = render(&context, &created);
    let location = format!("{}/GroupMembers/{}", context.base_url(), id(&created));
    Ok(ScimResponse::json(principal, StatusCode::CREATED, projection.apply(resource, schema(&context)))
        .location(location))
}

/// GET /GroupMembers/{id}
///
/// # Errors
/// 400, 401, 403, 404, 503.
pub async fn get(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let projection = context.projection(schema(&context))?;
    let (_, found) = by_id(&context, &principal).await?;
    Ok(ScimResponse::json(principal, StatusCode::OK, projection.apply(render(&context, &found), schema(&context))))
}

/// DELETE /GroupMembers/{id}
///
/// # Errors
/// 401, 403, 404, 503.
pub async fn delete(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let (group, found) = by_id(&context, &principal).await?;
    let change = MembershipChange { remove: [found.member].into(), ..MembershipChange::default() };
    let unchanged = |_: Option<&Group>| ScimError::not_found("GroupMember", context.id());
    super::groups::change_members(&context, &principal, group, (&change, &PrefetchedMembers::default()), unchanged)
        .await?;
    Ok(ScimResponse::empty(principal, StatusCode::NO_CONTENT))
}

/// GET /GroupMembers
///
/// A client that names no method of paging gets cursors, if one page is not enough (RFC 9865 section 2.4 leaves the
/// choice to the server). By index, a list is offered as far as it can be counted.
///
/// # Errors
/// 400 `invalidFilter`, `invalidCursor`, `expiredCursor`, `tooMany` or `invalidValue`, also for sorting, 401, 403, 503.
pub async fn list(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    let principal = context.authenticate().await?;
    let query = context.query()?;
    query.check(schema(&context))?;
    if query.sort.is_some() {
        return Err(ScimError::invalid_value("sortBy is not supported for memberships; leave it out"));
    }
    let filter = query.filter.as_deref().map(|text| parse_for(text, schema(&context))).transpose()?;
    let (group, member) = filter.as_ref().map_or((None, None), |filter| asked(filter, schema(&context)));
    let is_exact = matches!(filter, Some(Filter::Compare(..))) && (group.is_some() || member.is_some());
    let among = MembershipFilter { group, member };
    let list =
        MembershipList { context: &context, tenant: principal.tenant(), filter: filter.as_ref(), among, is_exact };
    let count = query.requested_count.unwrap_or(DEFAULT_PAGE).min(MAX_MEMBERSHIPS_PAGE);
    let body = match &query.cursor {
        None if query.is_indexed || count == 0 => list.by_index(&query, count).await?,
        cursor => {
            let begun = match cursor {
                Some(cursor) => cursor::place::<MembershipPosition>(&context, &principal, cursor)?,
                None => None,
            };
            let (after, count) = begun.map_or((None, count), |(place, count)| (Some(place), count));
            let is_first = after.is_none();
            let (found, next) = list.after(after, count).await?;
            let total = (is_first && next.is_none()).then_some(found.len());
            let next = match next {
                Some(place) => Some(cursor::to(&context, &principal, place, count)?),
                None => None,
            };
            list::cursor_response(list.render(&found, &query), total, None, next)
        }
    };
    Ok(ScimResponse::json(principal, StatusCode::OK, body))
}

/// A list request.
struct MembershipList<'a> {
    context: &'a RequestContext<'a>,
    tenant: &'a Tenant,
    filter: Option<&'a Filter>,
    among: MembershipFilter,
    /// Whether the filter says no more than which group or member.
    is_exact: bool,
}

impl MembershipList<'_> {
    /// The next memberships after a place, and the place after them, if there may be more. Fewer than `count`, if a
    /// filter thins out what may be read for one page, or if the answer would be too long.
    async fn after(
        &self,
        mut after: Option<MembershipPosition>,
        count: usize,
    ) -> Result<(Vec<GroupMember>, Option<MembershipPosition>), ScimError> {
        let store = &self.context.app().store;
        let (mut found, mut bytes) = (Vec::new(), 0);
        // One row more than the page proves that there is another; a filter may leave few of many.
        let rows = if self.filter.is_some_and(|_| !self.is_exact) { MAX_MEMBERSHIPS_PAGE } else { count + 1 };
        for _ in 0..MAX_MEMBERSHIPS_READ / MAX_MEMBERSHIPS_PAGE {
            let chunk = store.group_members(self.tenant, &self.among, after.as_ref(), rows).await?;
            for member in chunk.members {
                if !self.satisfies(&member) {
                    continue;
                }
                bytes += list::escaped_length(&render(self.context, &member));
                if found.len() == count || bytes > MAX_RESPONSE_BYTES {
                    let place = found.last().map(GroupMember::place).or(after);
                    return Ok((found, place));
                }
                found.push(member);
            }
            after = chunk.next;
            if after.is_none() {
                break;
            }
        }
        Ok((found, after))
    }

    async fn by_index(&self, query: &Query, count: usize) -> Result<Value, ScimError> {
        let mut before = self.group().await?;
        let mut all = self.all().await?;
        // The pages of one group are of one instant.
        for _ in 1..MAX_SETTLE_ATTEMPTS {
            let now = self.group().await?;
            if before.zip(now.clone()).is_none_or(|(before, now)| now.same_version_as(&before)) {
                break;
            }
            (before, all) = (now, self.all().await?);
        }
        let total = all.len();
        let page: Vec<_> = all.into_iter().skip(query.start_index - 1).take(count).collect();
        Ok(list::response(self.render(&page, query), total, query.start_index))
    }

    /// The group that the list is of, if it is of one.
    async fn group(&self) -> Result<Option<Group>, ScimError> {
        match &self.among.group {
            Some(id) if self.among.member.is_none() => find(self.context, self.tenant, id).await,
            _ => Ok(None),
        }
    }

    async fn all(&self) -> Result<Vec<GroupMember>, ScimError> {
        let (mut all, mut after) = (Vec::new(), None);
        for _ in 0..=MAX_MEMBERS_LISTED / MAX_MEMBERSHIPS_PAGE {
            let (found, next) = self.after(after, MAX_MEMBERSHIPS_PAGE).await?;
            all.extend(found);
            after = next;
            if after.is_none() {
                break;
            }
        }
        if after.is_some() || all.len() > MAX_MEMBERS_LISTED {
            return Err(ScimError::too_many(format!(
                "there are more than {MAX_MEMBERS_LISTED} memberships, or too many to read, to be counted for \
                 startIndex; leave it out and follow nextCursor, or filter by group.value or member.value"
            )));
        }
        Ok(all)
    }

    fn satisfies(&self, member: &GroupMember) -> bool {
        let matches = |filter| eval::matches(filter, &render(self.context, member), schema(self.context));
        self.filter.is_none_or(matches)
    }

    fn render(&self, members: &[GroupMember], query: &Query) -> Vec<Map<String, Value>> {
        members
            .iter()
            .map(|member| query.projection.apply(render(self.context, member), schema(self.context)))
            .collect()
    }
}

/// The group and membership that the address names.
async fn by_id(context: &RequestContext<'_>, principal: &Principal) -> Result<(Group, GroupMember), ScimError> {
    let not_found = || ScimError::not_found("GroupMember", context.id());
    let (group, member) = context.id().split_once('.').ok_or_else(not_found)?;
    let group = find(context, principal.tenant(), group).await?.ok_or_else(not_found)?;
    let found = context.app().store.group_member(principal.tenant(), &group, member).await?;
    Ok((group, found.ok_or_else(not_found)?))
}

async fn find(context: &RequestContext<'_>, tenant: &Tenant, id: &str) -> Result<Option<Group>, ScimError> {
    match GroupId::parse(id) {
        Some(id) => Ok(context.app().store.group(tenant, &id).await?),
        None => Ok(None),
    }
}

fn id(membership: &GroupMember) -> String {
    format!("{}.{}", membership.group, membership.member)
}

fn schema<'a>(context: &RequestContext<'a>) -> &'a ResourceSchema {
    &context.app().schemas.group_member
}

fn render(context: &RequestContext<'_>, membership: &GroupMember) -> Map<String, Value> {
    let GroupMember { group, group_name, member, kind, created } = membership;
    let base_url = context.base_url();
    let (kind, endpoint) = match kind {
        MemberKind::User => ("User", "Users"),
        MemberKind::Group => ("Group", "Groups"),
    };
    let (id, created) = (id(membership), date_time(*created));
    let member = json!({"value": member, "$ref": format!("{base_url}/{endpoint}/{member}"), "type": kind});
    let group = json!({"value": group.as_str(), "$ref": format!("{base_url}/Groups/{group}"), "display": group_name});
    let location = format!("{base_url}/GroupMembers/{id}");
    let meta =
        json!({"resourceType": "GroupMember", "created": created, "lastModified": created, "location": location});
    Map::from_iter([
        ("schemas".to_owned(), json!([schema(context).core.id])),
        ("id".to_owned(), json!(id)),
        ("group".to_owned(), group),
        ("member".to_owned(), member),
        ("meta".to_owned(), meta),
    ])
}
