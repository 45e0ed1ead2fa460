//! Lists and searches (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865), of one resource type or of all.
//!
//! By index, a list is counted: what no index finds is read within a bound, and refused beyond it. By cursor, a page
//! costs a page wherever it is: what no index finds makes pages short, never wrong.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{RequestContext, ScimResponse, error, groups, users};
use crate::auth::{Principal, Tenant};
use crate::limits::MAX_RESPONSE_BYTES;
use crate::scim::filter::Filter;
use crate::scim::filter::check::{check_paths, parse_for};
use crate::scim::filter::plan::{IndexPlan, plan};
use crate::scim::group_member::METADATA_URN;
use crate::scim::list::{self, Query};
use crate::scim::sort::Sort;
use crate::scim::{ResourceSchema, ScimError, group, user};
use crate::store::Store;
use crate::store::model::group::Group;
use crate::store::model::user::User;
use crate::store::ops::counts::Counts;

mod walk;

/// A resource type that can be searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

/// `GET /Users`, `POST /Users/.search`.
///
/// # Errors
/// 400 `invalidFilter`, `tooMany`, `invalidPath`, `invalidValue`, `invalidCursor`, `expiredCursor` or `invalidCount`,
/// 401, 403, 503.
pub async fn users(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    list(context, &[ResourceKind::User]).await
}

/// `GET /Groups`, `POST /Groups/.search`.
///
/// # Errors
/// Those of [`users()`].
pub async fn groups(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    list(context, &[ResourceKind::Group]).await
}

/// `GET /`, `POST /.search`: resources of all types.
///
/// # Errors
/// Those of [`users()`].
pub async fn all(context: RequestContext<'_>) -> Result<ScimResponse, ScimError> {
    list(context, &[ResourceKind::User, ResourceKind::Group]).await
}

async fn list(context: RequestContext<'_>, kinds: &[ResourceKind]) -> Result<ScimResponse, ScimError> {
    let early = Prefetch::of(&context, kinds);
    let read = |tenant| early.read(&context.app().store, tenant);
    let (principal, early) = context.authenticate_with_read(read).await?;
    let search = Search::parse(&context, &principal, kinds, early)?;
    let body = match &search.query.cursor {
        None => search.by_index().await?,
        Some(cursor) => search.by_cursor(cursor).await?,
    };
    Ok(ScimResponse::json(principal, StatusCode::OK, body))
}

/// What is read next to the check of the key. Only what costs as little as the check itself: a forged key must not start
/// a scan. It does not depend on the tenant's profile, which that check returns: every index is of a core attribute, and
/// those are the same in all.
enum Prefetch {
    Nothing,
    /// One index of users is asked for one value.
    IndexLookup(IndexPlan),
    /// A page of all users is wanted, and how many there are.
    Counts,
}

/// What was read so.
#[derive(Default)]
struct Prefetched {
    candidates: Option<Vec<User>>,
    counts: Option<Counts>,
}

impl Prefetch {
    fn of(context: &RequestContext<'_>, kinds: &[ResourceKind]) -> Self {
        // Only an authorized caller learns what is wrong with the request.
        let Ok(Query { filter, cursor: None, sort, .. }) = context.query() else { return Self::Nothing };
        match (filter.as_deref().map(|text| parse_for(text, &context.app().schemas.user)), kinds) {
            (None, _) if sort.is_none() && kinds.contains(&ResourceKind::User) => Self::Counts,
            (Some(Ok(filter)), [ResourceKind::User]) => match plan(&filter, &context.app().schemas.user, user::INDEXED)
            {
                access @ (IndexPlan::Equals(..) | IndexPlan::Nothing) => Self::IndexLookup(access),
                _ => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    async fn read(self, store: &Store, tenant: Tenant) -> Result<Prefetched, ScimError> {
        match self {
            Self::Nothing => Ok(Prefetched::default()),
            Self::IndexLookup(access) => {
                let candidates = Some(store.find_users(&tenant, &access, |_| true).await?);
                Ok(Prefetched { candidates, counts: None })
            }
            Self::Counts => Ok(Prefetched { candidates: None, counts: store.user_counts(&tenant).await? }),
        }
    }
}

/// A request, read: of each resource type what is asked for, and how it is found.
struct Search<'a> {
    context: &'a RequestContext<'a>,
    principal: &'a Principal,
    query: Query,
    parts: Vec<Part>,
    early: Prefetched,
}

struct Part {
    kind: ResourceKind,
    filter: Option<Filter>,
    access: IndexPlan,
}

enum Found {
    User(User),
    Group(Group),
}

impl<'a> Search<'a> {
    fn parse(
        context: &'a RequestContext<'a>,
        principal: &'a Principal,
        kinds: &[ResourceKind],
        early: Prefetched,
    ) -> Result<Self, ScimError> {
        let query = context.query()?;
        let part = |kind: &&ResourceKind| {
            let schema = kind.schema(principal);
            query.check(schema)?;
            let filter = query.filter.as_deref().map(|text| parse_for(text, schema)).transpose()?;
            if let (Some(filter), ResourceKind::User) = (&filter, kind) {
                user::check_searchable(filter, schema)?;
            }
            let access = filter.as_ref().map_or(IndexPlan::Scan, |filter| plan(filter, schema, kind.indexed()));
            Ok(Part { kind: **kind, filter, access })
        };
        let offered: Vec<_> = kinds.iter().filter(|kind| kind.schema(principal).is_enabled).collect();
        // Of several types, one whose attributes the request does not name has no resource that it means.
        let is_meant = |kind: &&&ResourceKind| names_attributes_of(&query, kind.schema(principal));
        let meant: Vec<_> = offered.iter().copied().filter(|kind| is_meant(&kind)).collect();
        let parts = if meant.is_empty() { &offered } else { &meant };
        let parts = parts.iter().map(part).collect::<Result<_, ScimError>>()?;
        Ok(Self { context, principal, query, parts, early })
    }

    fn tenant(&self) -> &Tenant {
        self.principal.tenant()
    }

    async fn by_index(&self) -> Result<Value, ScimError> {
        let Query { start_index, count, sort, .. } = &self.query;
        let skipped = start_index - 1;
        let (page, total) = match sort {
            Some(sort) => {
                let all = self.sorted(sort).await?;
                let total = all.len();
                (all.into_iter().skip(skipped).take(*count).collect(), total)
            }
            None => {
                let (mut page, mut total) = (Vec::new(), 0);
                for part in &self.parts {
                    let skipped = skipped.saturating_sub(total);
                    let (found, of_part) = self.page_of(part, skipped, count - page.len()).await?;
                    page.extend(found);
                    total += of_part;
                }
                (page, total)
            }
        };
        Ok(list::response(self.render_page(&page).await?, total, *start_index))
    }

    /// Some of a part's resources, in the order of their ids, and how many there are in all.
    async fn page_of(&self, part: &Part, skipped: usize, count: usize) -> Result<(Vec<Found>, usize), ScimError> {
        let store = &self.context.app().store;
        match (&part.filter, part.kind) {
            (None, ResourceKind::User) => {
                let page = store.page_of_users(self.tenant(), self.early.counts.as_ref(), skipped + 1, count).await?;
                Ok((page.users.into_iter().map(Found::User).collect(), page.total))
            }
            (None, ResourceKind::Group) => {
                let page = store.page_of_groups(self.tenant(), skipped + 1, count).await;
                let (groups, total) = page.map_err(|error| error::of_search(error, part.kind.indexed()))?;
                Ok((groups.into_iter().map(Found::Group).collect(), total))
            }
            (Some(_), _) => {
                let all = self.matching(part).await?;
                let total = all.len();
                Ok((all.into_iter().skip(skipped).take(count).collect(), total))
            }
        }
    }

    /// Everything that is asked for, in order.
    async fn sorted(&self, sort: &Sort) -> Result<Vec<Found>, ScimError> {
        let mut keyed = Vec::new();
        for part in &self.parts {
            for found in self.matching(part).await? {
                self.context.deadline().check()?;
                keyed.push((sort.key(&self.render_core(&found), part.kind.schema(self.principal)), found));
            }
        }
        // What is equal stays in the order of the ids.
        keyed.sort_by(|(a, _), (b, _)| sort.compare(a, b));
        Ok(keyed.into_iter().map(|(_, found)| found).collect())
    }

    /// Every resource of a part, in the order of their ids.
    async fn matching(&self, part: &Part) -> Result<Vec<Found>, ScimError> {
        let store = &self.context.app().store;
        match part.kind {
            ResourceKind::User => {
                let matches = |user: &User| self.user_matches(part, user);
                let users = match &self.early.candidates {
                    Some(candidates) => candidates.iter().filter(|user| matches(user)).cloned().collect(),
                    None => store.find_users(self.tenant(), &part.access, matches).await?,
                };
                // Past the deadline nobody was compared.
                self.context.deadline().check()?;
                Ok(users.into_iter().map(Found::User).collect())
            }
            ResourceKind::Group => {
                let found = store.find_groups(self.tenant(), &part.access).await;
                let found = found.map_err(|error| error::of_search(error, part.kind.indexed()))?;
                self.filter_groups(part, found).await
            }
        }
    }

    fn user_matches(&self, part: &Part, user: &User) -> bool {
        if self.context.deadline().check().is_err() {
            return false;
        }
        part.filter.as_ref().is_none_or(|filter| users::satisfies(self.context, self.principal, user, filter))
    }

    async fn filter_groups(&self, part: &Part, groups: Vec<Group>) -> Result<Vec<Found>, ScimError> {
        let mut kept = Vec::new();
        for group in groups {
            self.context.deadline().check()?;
            let is_kept = match &part.filter {
                Some(filter) => groups::satisfies(self.context, self.tenant(), &group, filter).await?,
                None => true,
            };
            if is_kept {
                kept.push(Found::Group(group));
            }
        }
        Ok(kept)
    }

    fn render_core(&self, found: &Found) -> Map<String, Value> {
        match found {
            Found::User(user) => users::render(self.context, self.principal, user),
            Found::Group(group) => groups::render(self.context, group, None),
        }
    }

    /// As the client asked for them; fewer, if they would not fit an answer.
    async fn render_page(&self, page: &[Found]) -> Result<Vec<Map<String, Value>>, ScimError> {
        let projection = &self.query.projection;
        let users = page.iter().filter_map(|found| if let Found::User(user) = found { Some(user) } else { None });
        let names = users::names_of_groups(self.context, self.principal, users, projection).await?;
        let mut resources = Vec::with_capacity(page.len());
        let mut bytes = 0;
        for found in page {
            self.context.deadline().check()?;
            let resource = match found {
                Found::User(user) => {
                    let whole = users::with_groups(self.context, self.principal, user, &names);
                    projection.apply(whole, ResourceKind::User.schema(self.principal))
                }
                Found::Group(group) => {
                    let group = group.clone();
                    match groups::render_listed(self.context, self.tenant(), group, projection).await? {
                        Some(resource) => resource,
                        // Gone while it was read.
                        None => continue,
                    }
                }
            };
            bytes += list::escaped_length(&resource);
            // Reading that the members do not fit took a megabyte or two.
            bytes += if resource.contains_key(METADATA_URN) { MAX_RESPONSE_BYTES / 8 } else { 0 };
            if bytes > MAX_RESPONSE_BYTES && !resources.is_empty() {
                break;
            }
            resources.push(resource);
        }
        Ok(resources)
    }
}

impl ResourceKind {
    fn schema(self, principal: &Principal) -> &ResourceSchema {
        let schemas = &principal.profile().schemas;
        match self {
            Self::User => &schemas.user,
            Self::Group => &schemas.group,
        }
    }

    fn indexed(self) -> &'static [crate::scim::filter::plan::Indexed] {
        match self {
            Self::User => user::INDEXED,
            Self::Group => group::INDEXED,
        }
    }
}

/// Whether the paths of a query are of a resource type. What does not parse is refused later.
fn names_attributes_of(query: &Query, schema: &ResourceSchema) -> bool {
    let filter = query.filter.as_deref().and_then(|text| Filter::parse(text).ok());
    query.check(schema).is_ok() && filter.is_none_or(|filter| check_paths(&filter, schema).is_ok())
}
