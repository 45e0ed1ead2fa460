//! Lists and searches (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865), of one resource type or of all.
//!
//! By index, a list is counted: what no index finds is read within a bound, and refused beyond it. By cursor, a page
//! costs a page wherever it is: what no index finds makes pages short, never wrong.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Call, Reply, groups, users};
use crate::auth::Tenant;
use crate::limits::MAX_RESPONSE_BYTES;
use crate::scim::filter::Filter;
use crate::scim::filter::check::parse_for;
use crate::scim::filter::plan::{Access, plan};
use crate::scim::group_member::METADATA_URN;
use crate::scim::list::{self, Query};
use crate::scim::sort::Sort;
use crate::scim::{ResourceSchema, ScimError, group, user};
use crate::store::counts::Counts;
use crate::store::groups::Group;
use crate::store::users::User;

mod walk;

/// A resource type that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
}

/// GET of an endpoint, or POST of its `/.search`.
///
/// # Errors
/// 400 `invalidFilter`, `tooMany`, `invalidPath`, `invalidValue`, `invalidCursor`, `expiredCursor` or `invalidCount`,
/// 401, 403, 503.
pub async fn list(call: Call<'_>, kinds: &[Kind]) -> Result<Reply, ScimError> {
    let search = Search::parse(&call, kinds);
    // Only what costs as little as the check itself is read beside it: a forged key must not start a scan.
    if let Ok(search) = &search
        && search.is_point_lookup()
    {
        let read = |tenant| async move { search.by_index(&tenant).await };
        let (principal, body) = call.authenticate_beside(read).await?;
        return Ok(Reply::json(principal, StatusCode::OK, body));
    }
    let needs_counts = search.as_ref().is_ok_and(Search::needs_counts);
    let store = &call.app().store;
    let counts = |tenant| async move {
        match needs_counts {
            true => Ok(store.user_counts(&tenant).await?),
            false => Ok(None),
        }
    };
    let (principal, counts) = call.authenticate_beside(counts).await?;
    let search = Search { counts, ..search? };
    let body = match &search.query.cursor {
        None => search.by_index(principal.tenant()).await?,
        Some(cursor) => search.by_cursor(&principal, cursor).await?,
    };
    Ok(Reply::json(principal, StatusCode::OK, body))
}

/// A request, read: of each resource type what is asked for, and how it is found.
struct Search<'a> {
    call: &'a Call<'a>,
    query: Query,
    parts: Vec<Part>,
    /// How many users there are, read where a page of all is asked for.
    counts: Option<Counts>,
}

struct Part {
    kind: Kind,
    filter: Option<Filter>,
    access: Access,
}

enum Found {
    User(User),
    Group(Group),
}

impl<'a> Search<'a> {
    fn parse(call: &'a Call<'a>, kinds: &[Kind]) -> Result<Self, ScimError> {
        let query = call.query()?;
        let part = |kind: &Kind| {
            let schema = kind.schema(call);
            let filter = query.filter.as_deref().map(|text| parse_for(text, schema)).transpose()?;
            if let (Some(filter), Kind::User) = (&filter, kind) {
                user::check_searchable(filter, schema)?;
            }
            let access = filter.as_ref().map_or(Access::Scan, |filter| plan(filter, schema, kind.indexed()));
            Ok(Part { kind: *kind, filter, access })
        };
        let parts = kinds.iter().map(part).collect::<Result<_, ScimError>>()?;
        Ok(Self { call, query, parts, counts: None })
    }

    /// Whether it asks one index of users for one value.
    fn is_point_lookup(&self) -> bool {
        let is_point =
            |part: &Part| part.kind == Kind::User && matches!(part.access, Access::Equals(..) | Access::Nothing);
        self.query.cursor.is_none() && matches!(self.parts.as_slice(), [part] if is_point(part))
    }

    fn needs_counts(&self) -> bool {
        let of_all_users = |part: &Part| part.kind == Kind::User && part.filter.is_none();
        self.query.cursor.is_none() && self.query.sort.is_none() && self.parts.iter().any(of_all_users)
    }

    async fn by_index(&self, tenant: &Tenant) -> Result<Value, ScimError> {
        let Query { start_index, count, sort, .. } = &self.query;
        let skipped = start_index - 1;
        let (page, total) = match sort {
            Some(sort) => {
                let all = self.sorted(tenant, sort).await?;
                let total = all.len();
                (all.into_iter().skip(skipped).take(*count).collect(), total)
            }
            None => {
                let (mut page, mut total) = (Vec::new(), 0);
                for part in &self.parts {
                    let skipped = skipped.saturating_sub(total);
                    let (found, of_part) = self.window(part, tenant, skipped, count - page.len()).await?;
                    page.extend(found);
                    total += of_part;
                }
                (page, total)
            }
        };
        Ok(list::response(self.shown(tenant, &page).await?, total, *start_index))
    }

    /// Some of a part's resources, in the order of their ids, and how many there are in all.
    async fn window(
        &self,
        part: &Part,
        tenant: &Tenant,
        skipped: usize,
        count: usize,
    ) -> Result<(Vec<Found>, usize), ScimError> {
        let store = &self.call.app().store;
        match (&part.filter, part.kind) {
            (None, Kind::User) => {
                let page = store.page_of_users(tenant, self.counts.as_ref(), skipped + 1, count).await?;
                Ok((page.users.into_iter().map(Found::User).collect(), page.total))
            }
            (None, Kind::Group) => {
                let (groups, total) = store.page_of_groups(tenant, skipped + 1, count).await?;
                Ok((groups.into_iter().map(Found::Group).collect(), total))
            }
            (Some(_), _) => {
                let all = self.matching(part, tenant).await?;
                let total = all.len();
                Ok((all.into_iter().skip(skipped).take(count).collect(), total))
            }
        }
    }

    /// Everything that is asked for, in order.
    async fn sorted(&self, tenant: &Tenant, sort: &Sort) -> Result<Vec<Found>, ScimError> {
        let mut keyed = Vec::new();
        for part in &self.parts {
            for found in self.matching(part, tenant).await? {
                keyed.push((sort.key(&self.rendered(&found), part.kind.schema(self.call)), found));
            }
        }
        // What is equal stays in the order of the ids.
        keyed.sort_by(|(a, _), (b, _)| sort.compare(a, b));
        Ok(keyed.into_iter().map(|(_, found)| found).collect())
    }

    /// Every resource of a part, in the order of their ids.
    async fn matching(&self, part: &Part, tenant: &Tenant) -> Result<Vec<Found>, ScimError> {
        let store = &self.call.app().store;
        match part.kind {
            Kind::User => {
                let users = store.find_users(tenant, &part.access, |user| self.keeps(part, user)).await?;
                Ok(users.into_iter().map(Found::User).collect())
            }
            Kind::Group => self.kept(part, tenant, store.find_groups(tenant, &part.access).await?).await,
        }
    }

    fn keeps(&self, part: &Part, user: &User) -> bool {
        part.filter.as_ref().is_none_or(|filter| users::satisfies(self.call, user, filter))
    }

    async fn kept(&self, part: &Part, tenant: &Tenant, groups: Vec<Group>) -> Result<Vec<Found>, ScimError> {
        let mut kept = Vec::new();
        for group in groups {
            let is_kept = match &part.filter {
                Some(filter) => groups::satisfies(self.call, tenant, &group, filter).await?,
                None => true,
            };
            if is_kept {
                kept.push(Found::Group(group));
            }
        }
        Ok(kept)
    }

    fn rendered(&self, found: &Found) -> Map<String, Value> {
        match found {
            Found::User(user) => users::render(self.call, user),
            Found::Group(group) => groups::render(self.call, group, None),
        }
    }

    /// As the client asked for them; fewer, if they would not fit an answer.
    async fn shown(&self, tenant: &Tenant, page: &[Found]) -> Result<Vec<Map<String, Value>>, ScimError> {
        let projection = &self.query.projection;
        let users = page.iter().filter_map(|found| if let Found::User(user) = found { Some(user) } else { None });
        let names = users::names_of_groups(self.call, tenant, users, projection).await?;
        let mut shown = Vec::with_capacity(page.len());
        let mut bytes = 0;
        for found in page {
            let resource = match found {
                Found::User(user) => {
                    projection.apply(users::with_groups(self.call, user, &names), Kind::User.schema(self.call))
                }
                Found::Group(group) => groups::whole(self.call, tenant, group, projection).await?,
            };
            bytes += list::escaped_length(&resource);
            // Reading that the members do not fit took a megabyte or two.
            bytes += if resource.contains_key(METADATA_URN) { MAX_RESPONSE_BYTES / 8 } else { 0 };
            if bytes > MAX_RESPONSE_BYTES && !shown.is_empty() {
                break;
            }
            shown.push(resource);
        }
        Ok(shown)
    }
}

impl Kind {
    fn schema<'a>(self, call: &Call<'a>) -> &'a ResourceSchema {
        match self {
            Self::User => &call.app().schemas.user,
            Self::Group => &call.app().schemas.group,
        }
    }

    fn indexed(self) -> &'static [crate::scim::filter::plan::Indexed] {
        match self {
            Self::User => user::INDEXED,
            Self::Group => group::INDEXED,
        }
    }
}
