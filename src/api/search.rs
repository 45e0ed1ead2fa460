//! Lists and searches (RFC 7644 sections 3.4.2 and 3.4.3, RFC 9865), of one resource type or of all.
//!
//! By index, a list is counted: what no index finds is read within a bound, and refused beyond it. By cursor, a page
//! costs a page wherever it is: what no index finds makes pages short, never wrong.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{Call, Reply, groups, users};
use crate::auth::{Principal, Tenant};
use crate::limits::MAX_RESPONSE_BYTES;
use crate::scim::filter::Filter;
use crate::scim::filter::check::parse_for;
use crate::scim::filter::plan::{Access, plan};
use crate::scim::group_member::METADATA_URN;
use crate::scim::list::{self, Query};
use crate::scim::sort::Sort;
use crate::scim::{ResourceSchema, ScimError, group, user};
use crate::store::Store;
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
    let early = Early::of(&call, kinds);
    let read = |tenant| early.read(&call.app().store, tenant);
    let (principal, early) = call.authenticate_beside(read).await?;
    let search = Search::parse(&call, &principal, kinds, early)?;
    let body = match &search.query.cursor {
        None => search.by_index().await?,
        Some(cursor) => search.by_cursor(cursor).await?,
    };
    Ok(Reply::json(principal, StatusCode::OK, body))
}

/// What is read beside the check of the key. Only what costs as little as the check itself: a forged key must not start
/// a scan. It does not depend on the tenant's profile, which that check tells: every index is of a core attribute, and
/// those are the same in all.
enum Early {
    Nothing,
    /// One index of users is asked for one value.
    Lookup(Access),
    /// A page of all users is wanted, and how many there are.
    Counts,
}

/// What was read so.
#[derive(Default)]
struct EarlyFound {
    candidates: Option<Vec<User>>,
    counts: Option<Counts>,
}

impl Early {
    fn of(call: &Call<'_>, kinds: &[Kind]) -> Self {
        // What is wrong with the request is told to who is let in.
        let Ok(Query { filter, cursor: None, sort, .. }) = call.query() else { return Self::Nothing };
        match (filter.as_deref().map(Filter::parse), kinds) {
            (None, _) if sort.is_none() && kinds.contains(&Kind::User) => Self::Counts,
            (Some(Ok(filter)), [Kind::User]) => match plan(&filter, &call.app().schemas.user, user::INDEXED) {
                access @ (Access::Equals(..) | Access::Nothing) => Self::Lookup(access),
                _ => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    async fn read(self, store: &Store, tenant: Tenant) -> Result<EarlyFound, ScimError> {
        match self {
            Self::Nothing => Ok(EarlyFound::default()),
            Self::Lookup(access) => {
                let candidates = Some(store.find_users(&tenant, &access, |_| true).await?);
                Ok(EarlyFound { candidates, counts: None })
            }
            Self::Counts => Ok(EarlyFound { candidates: None, counts: store.user_counts(&tenant).await? }),
        }
    }
}

/// A request, read: of each resource type what is asked for, and how it is found.
struct Search<'a> {
    call: &'a Call<'a>,
    principal: &'a Principal,
    query: Query,
    parts: Vec<Part>,
    early: EarlyFound,
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
    fn parse(
        call: &'a Call<'a>,
        principal: &'a Principal,
        kinds: &[Kind],
        early: EarlyFound,
    ) -> Result<Self, ScimError> {
        let query = call.query()?;
        let part = |kind: &Kind| {
            let schema = kind.schema(principal);
            let filter = query.filter.as_deref().map(|text| parse_for(text, schema)).transpose()?;
            if let (Some(filter), Kind::User) = (&filter, kind) {
                user::check_searchable(filter, schema)?;
            }
            let access = filter.as_ref().map_or(Access::Scan, |filter| plan(filter, schema, kind.indexed()));
            Ok(Part { kind: *kind, filter, access })
        };
        let offered = kinds.iter().filter(|kind| kind.schema(principal).is_offered);
        let parts = offered.map(part).collect::<Result<_, ScimError>>()?;
        Ok(Self { call, principal, query, parts, early })
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
                    let (found, of_part) = self.window(part, skipped, count - page.len()).await?;
                    page.extend(found);
                    total += of_part;
                }
                (page, total)
            }
        };
        Ok(list::response(self.shown(&page).await?, total, *start_index))
    }

    /// Some of a part's resources, in the order of their ids, and how many there are in all.
    async fn window(&self, part: &Part, skipped: usize, count: usize) -> Result<(Vec<Found>, usize), ScimError> {
        let store = &self.call.app().store;
        match (&part.filter, part.kind) {
            (None, Kind::User) => {
                let page = store.page_of_users(self.tenant(), self.early.counts.as_ref(), skipped + 1, count).await?;
                Ok((page.users.into_iter().map(Found::User).collect(), page.total))
            }
            (None, Kind::Group) => {
                let (groups, total) = store.page_of_groups(self.tenant(), skipped + 1, count).await?;
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
                keyed.push((sort.key(&self.rendered(&found), part.kind.schema(self.principal)), found));
            }
        }
        // What is equal stays in the order of the ids.
        keyed.sort_by(|(a, _), (b, _)| sort.compare(a, b));
        Ok(keyed.into_iter().map(|(_, found)| found).collect())
    }

    /// Every resource of a part, in the order of their ids.
    async fn matching(&self, part: &Part) -> Result<Vec<Found>, ScimError> {
        let store = &self.call.app().store;
        match part.kind {
            Kind::User => {
                let keeps = |user: &User| self.keeps(part, user);
                let users = match &self.early.candidates {
                    Some(candidates) => candidates.iter().filter(|user| keeps(user)).cloned().collect(),
                    None => store.find_users(self.tenant(), &part.access, keeps).await?,
                };
                Ok(users.into_iter().map(Found::User).collect())
            }
            Kind::Group => self.kept(part, store.find_groups(self.tenant(), &part.access).await?).await,
        }
    }

    fn keeps(&self, part: &Part, user: &User) -> bool {
        part.filter.as_ref().is_none_or(|filter| users::satisfies(self.call, self.principal, user, filter))
    }

    async fn kept(&self, part: &Part, groups: Vec<Group>) -> Result<Vec<Found>, ScimError> {
        let mut kept = Vec::new();
        for group in groups {
            let is_kept = match &part.filter {
                Some(filter) => groups::satisfies(self.call, self.tenant(), &group, filter).await?,
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
            Found::User(user) => users::render(self.call, self.principal, user),
            Found::Group(group) => groups::render(self.call, group, None),
        }
    }

    /// As the client asked for them; fewer, if they would not fit an answer.
    async fn shown(&self, page: &[Found]) -> Result<Vec<Map<String, Value>>, ScimError> {
        let projection = &self.query.projection;
        let users = page.iter().filter_map(|found| if let Found::User(user) = found { Some(user) } else { None });
        let names = users::names_of_groups(self.call, self.principal, users, projection).await?;
        let mut shown = Vec::with_capacity(page.len());
        let mut bytes = 0;
        for found in page {
            let resource = match found {
                Found::User(user) => {
                    let whole = users::with_groups(self.call, self.principal, user, &names);
                    projection.apply(whole, Kind::User.schema(self.principal))
                }
                Found::Group(group) => groups::whole(self.call, self.tenant(), group, projection).await?,
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
