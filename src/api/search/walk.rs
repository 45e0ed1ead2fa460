//! Pages by cursor (RFC 9865): on from a place in a list, or back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Found, Part, ResourceKind, Search};
use crate::api::cursor;
use crate::limits::{MAX_RESOURCES_READ, SCAN_BATCH_SIZE, SEARCH_SECONDS};
use crate::scim::filter::plan::IndexPlan;
use crate::scim::sort::Sort;
use crate::scim::{ScimError, list};
use crate::store::ops::users::{Position, UserOrder};

/// Where a page begins.
#[derive(Clone, Serialize, Deserialize)]
enum CursorPosition {
    /// After a user.
    #[serde(rename = "u")]
    User(Position),
    /// After a group, by its id.
    #[serde(rename = "g")]
    Group(String),
    /// After so many resources of a sorted list.
    #[serde(rename = "o")]
    Offset(usize),
    /// It ends before that place instead.
    #[serde(rename = "b")]
    Before(Box<CursorPosition>),
}

/// What is on a page, and what lies next to it.
struct ListPage {
    found: Vec<Found>,
    /// Of a sorted list, how many resources are before it.
    skipped: Option<usize>,
    total: Option<usize>,
    previous: Option<CursorPosition>,
    next: Option<CursorPosition>,
}

/// A part of a walk.
struct ScanBatch {
    found: Vec<Found>,
    /// How many were looked at.
    read: usize,
    next: Option<CursorPosition>,
}

impl Search<'_> {
    pub(super) async fn by_cursor(&self, cursor: &str) -> Result<Value, ScimError> {
        let (start, count) = match cursor::place::<CursorPosition>(self.context, self.principal, cursor)? {
            Some((start, count)) => (Some(start), count),
            None => (None, self.query.count),
        };
        let ListPage { found, skipped, mut total, previous, mut next } = match (&self.query.sort, start) {
            (Some(sort), start) if self.index_order(sort).is_none() => {
                let (skipped, end) = match start {
                    Some(CursorPosition::Before(end)) => (end.offset().saturating_sub(count), end.offset()),
                    start => {
                        let skipped = start.map_or(0, |start| start.offset());
                        (skipped, skipped.saturating_add(count))
                    }
                };
                self.sorted_page(sort, skipped, end).await?
            }
            (_, Some(CursorPosition::Before(place))) => self.page_before(*place, count).await?,
            (_, start) => self.page_after(start, count).await?,
        };
        let resources = self.render_page(&found).await?;
        // Without room for all that was found, the next page begins after this one's last resource.
        if let Some(last) = resources.len().checked_sub(1).filter(|last| last + 1 < found.len()) {
            total = total.filter(|_| skipped.is_some());
            next = match skipped {
                Some(skipped) => Some(CursorPosition::Offset(skipped + resources.len())),
                None => found.get(last).map(|last| self.place(last)),
            };
        }
        let seal = |start: Option<CursorPosition>| {
            start.map(|start| cursor::to(self.context, self.principal, start, count)).transpose()
        };
        Ok(list::cursor_response(resources, total, seal(previous)?, seal(next)?))
    }

    /// The resources of a sorted list from one place up to another.
    async fn sorted_page(&self, sort: &Sort, skipped: usize, end: usize) -> Result<ListPage, ScimError> {
        let all = self.sorted(sort).await?;
        let total = all.len();
        Ok(ListPage {
            found: all.into_iter().take(end).skip(skipped).collect(),
            skipped: Some(skipped),
            total: Some(total),
            previous: (skipped > 0).then(|| CursorPosition::Before(Box::new(CursorPosition::Offset(skipped)))),
            next: Some(CursorPosition::Offset(end)).filter(|_| end < total),
        })
    }

    async fn page_after(&self, start: Option<CursorPosition>, count: usize) -> Result<ListPage, ScimError> {
        let is_first = start.is_none();
        let (found, next) = self.walk(start, count, false).await?;
        let previous = found.first().filter(|_| !is_first).and_then(|first| self.before(first));
        let total = (is_first && next.is_none()).then_some(found.len());
        Ok(ListPage { found, skipped: None, total, previous, next })
    }

    async fn page_before(&self, place: CursorPosition, count: usize) -> Result<ListPage, ScimError> {
        let (mut found, rest) = self.walk(Some(place), count, true).await?;
        found.reverse();
        let Some(next) = found.last().map(|last| self.place(last)).or_else(|| rest.clone()) else {
            // Nobody is before it any more: this is the first page.
            return self.page_after(None, count).await;
        };
        let previous = rest.map(|rest| CursorPosition::Before(Box::new(rest)));
        Ok(ListPage { found, skipped: None, total: None, previous, next: Some(next) })
    }

    /// The next resources after a place, or before it from the nearest on, and the place of the last one if there may
    /// be more. Fewer than `count` where a filter leaves few of the many that may be read for one page.
    async fn walk(
        &self,
        mut start: Option<CursorPosition>,
        count: usize,
        is_back: bool,
    ) -> Result<(Vec<Found>, Option<CursorPosition>), ScimError> {
        let (mut found, mut read) = (Vec::new(), 0);
        let mut parts: Vec<_> = self.parts.iter().collect();
        if is_back {
            parts.reverse();
        }
        let begun = parts.iter().position(|part| start.as_ref().is_some_and(|start| start.is_of(part.kind)));
        for part in parts.into_iter().skip(begun.unwrap_or(0)) {
            loop {
                let limit = part.batch_size(count - found.len());
                let step = self.step(part, start.as_ref(), limit, is_back).await?;
                read += step.read;
                let is_full = found.len() + step.found.len() > count;
                found.extend(step.found.into_iter().take(count - found.len()));
                if is_full {
                    let place = found.last().map(|last| self.place(last));
                    return Ok((found, place));
                }
                start = step.next;
                match &start {
                    None => break,
                    Some(_) if read >= MAX_RESOURCES_READ || self.is_late() => return Ok((found, start)),
                    Some(_) => {}
                }
            }
        }
        Ok((found, None))
    }

    fn is_late(&self) -> bool {
        self.context.started().elapsed().as_secs() >= SEARCH_SECONDS
    }

    /// Of the next candidates of a part those that satisfy its filter.
    async fn step(
        &self,
        part: &Part,
        start: Option<&CursorPosition>,
        limit: usize,
        is_back: bool,
    ) -> Result<ScanBatch, ScimError> {
        let store = &self.context.app().store;
        match (part.kind, self.scan_order(part)) {
            (ResourceKind::User, Some(walk)) => {
                let place = if let Some(CursorPosition::User(place)) = start { Some(place) } else { None };
                let (users, next) = store.users_after(self.tenant(), &walk, place, limit, is_back).await?;
                let read = users.len();
                let found = users.into_iter().filter(|user| self.user_matches(part, user)).map(Found::User).collect();
                Ok(ScanBatch { found, read, next: next.map(CursorPosition::User) })
            }
            (ResourceKind::Group, Some(_)) => {
                let place = if let Some(CursorPosition::Group(id)) = start { Some(id.as_str()) } else { None };
                let (groups, next) = store.groups_after(self.tenant(), place, limit, is_back).await?;
                let read = groups.len();
                Ok(ScanBatch {
                    found: self.filter_groups(part, groups).await?,
                    read,
                    next: next.map(CursorPosition::Group),
                })
            }
            (_, None) => {
                let mut found = self.matching(part).await?;
                if is_back {
                    found.reverse();
                }
                let is_ahead = |id: &str, of: &str| if is_back { id < of } else { id > of };
                found.retain(|found| match (start, found) {
                    (Some(CursorPosition::User(Position::Id(place))), Found::User(user)) => {
                        is_ahead(user.id.as_str(), place)
                    }
                    (Some(CursorPosition::Group(place)), Found::Group(group)) => is_ahead(group.id.as_str(), place),
                    _ => true,
                });
                Ok(ScanBatch { read: found.len(), found, next: None })
            }
        }
    }

    /// In which order the candidates of a part are walked through; none where an index finds the few there are.
    fn scan_order(&self, part: &Part) -> Option<UserOrder> {
        if let Some(walk) = self.query.sort.as_ref().and_then(|sort| self.index_order(sort)) {
            return Some(walk);
        }
        match (&part.access, part.kind) {
            (IndexPlan::Scan, _) | (IndexPlan::StartsWith(..) | IndexPlan::Since(..), ResourceKind::Group) => {
                Some(UserOrder::ById)
            }
            (IndexPlan::StartsWith(_, start), ResourceKind::User) => {
                Some(UserOrder::ByName { start: start.clone(), is_backwards: false })
            }
            (IndexPlan::Since(_, instant), ResourceKind::User) => Some(UserOrder::Since(*instant)),
            (IndexPlan::Equals(..) | IndexPlan::Any(_) | IndexPlan::Nothing, _) => None,
        }
    }

    /// The walk that is in that order by itself: that of users by name.
    fn index_order(&self, sort: &Sort) -> Option<UserOrder> {
        let [Part { kind: ResourceKind::User, access, .. }] = self.parts.as_slice() else { return None };
        let start = match access {
            IndexPlan::Scan => String::new(),
            IndexPlan::StartsWith(_, start) => start.clone(),
            _ => return None,
        };
        let is_native = sort.is_by("userName", ResourceKind::User.schema(self.principal));
        is_native.then_some(UserOrder::ByName { start, is_backwards: sort.is_descending })
    }

    fn place(&self, found: &Found) -> CursorPosition {
        match found {
            Found::User(user) => {
                let course = self
                    .parts
                    .iter()
                    .find(|part| part.kind == ResourceKind::User)
                    .and_then(|part| self.scan_order(part));
                CursorPosition::User(course.unwrap_or(UserOrder::ById).place(user))
            }
            Found::Group(group) => CursorPosition::Group(group.id.as_str().to_owned()),
        }
    }

    /// What a page that ends before a resource starts from. There is no way back among changed users: they have gone on.
    fn before(&self, found: &Found) -> Option<CursorPosition> {
        let is_moving = self.parts.iter().any(|part| matches!(self.scan_order(part), Some(UserOrder::Since(_))));
        (!is_moving).then(|| CursorPosition::Before(Box::new(self.place(found))))
    }
}

impl CursorPosition {
    /// In a sorted list.
    fn offset(&self) -> usize {
        if let Self::Offset(offset) = self { *offset } else { 0 }
    }

    fn is_of(&self, kind: ResourceKind) -> bool {
        matches!((self, kind), (Self::User(_), ResourceKind::User) | (Self::Group(_), ResourceKind::Group))
    }
}

impl Part {
    /// How many candidates a batch has while a page lacks so many: one more proves that there is another page.
    fn batch_size(&self, missing: usize) -> usize {
        match (&self.filter, self.kind) {
            (None, _) => missing + 1,
            (Some(_), ResourceKind::User) => SCAN_BATCH_SIZE,
            // Members may have to be read for each.
            (Some(_), ResourceKind::Group) => SCAN_BATCH_SIZE / 5,
        }
    }
}
