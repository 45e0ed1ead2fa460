//! Walking through users page by page, from any place on, at the cost of a page.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{User, hour, key};
use crate::auth::Tenant;
use crate::store::item::{Item, optional_text, s};
use crate::store::tables::BY_ID;
use crate::store::{Store, StoreError};

/// Through which users, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Walk {
    /// All, by id, which no change moves: who is there throughout is met once.
    ById,
    /// Those whose folded `userName` starts so, by it.
    ByName {
        /// The start; empty for all.
        start: String,
        /// From the last to the first.
        is_backwards: bool,
    },
    /// Those changed in the hour of an instant or later, by the hour. Who changes meanwhile moves to the end, and may be
    /// met again.
    Since(Timestamp),
}

/// A user that a walk has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// By its id.
    #[serde(rename = "i")]
    Id(String),
    /// By its folded `userName`.
    #[serde(rename = "n")]
    Name(String),
    /// By the hour of its last change, and its folded `userName`.
    #[serde(rename = "h")]
    Hour(String, String),
}

impl Walk {
    /// The place of a user on this walk.
    pub fn place(&self, user: &User) -> Place {
        match self {
            Self::ById => Place::Id(user.id.as_str().to_owned()),
            Self::ByName { .. } => Place::Name(user.key.clone()),
            Self::Since(_) => Place::Hour(hour(user.record.modified), user.key.clone()),
        }
    }

    /// Whether nothing can follow: DynamoDB takes no start key at the end of the range, read backwards.
    fn ends_at(&self, place: &Place, is_back: bool) -> bool {
        match (self, place) {
            (Self::ByName { start, is_backwards }, Place::Name(name)) => *is_backwards != is_back && name == start,
            _ => false,
        }
    }

    fn place_of_key(&self, last: &Item) -> Option<Place> {
        let text = |name| optional_text(last, name).map(str::to_owned);
        Some(match self {
            Self::ById => Place::Id(text("id")?),
            Self::ByName { .. } => Place::Name(text("userName")?),
            Self::Since(_) => Place::Hour(text("hour")?, text("userName")?),
        })
    }
}

impl Store {
    /// The next users of a walk after a place, or before it from the nearest on, at most `limit` of them; and the place of
    /// the last, if there may be more.
    ///
    /// # Errors
    /// As the store's.
    pub async fn users_after(
        &self,
        tenant: &Tenant,
        walk: &Walk,
        after: Option<&Place>,
        limit: usize,
        is_back: bool,
    ) -> Result<(Vec<User>, Option<Place>), StoreError> {
        if after.is_some_and(|place| walk.ends_at(place, is_back)) {
            return Ok((Vec::new(), None));
        }
        let walked = self.walk(tenant, walk, is_back);
        let query = match (walk, after) {
            // Not by the key of an item, which a rename changes: the user would come again under its new one.
            (Walk::ById, Some(Place::Id(id))) => walked
                .key_condition_expression(match is_back {
                    true => "#tenant = :tenant AND #id < :id",
                    false => "#tenant = :tenant AND #id > :id",
                })
                .expression_attribute_names("#id", "id")
                .expression_attribute_values(":id", s(id)),
            (_, after) => walked.set_exclusive_start_key(after.map(|place| start_key(tenant, place))),
        };
        let page = query.limit(i32::try_from(limit).unwrap_or(i32::MAX)).send().await;
        let page = page.map_err(|e| StoreError::of(&e))?;
        let mut users = page.items().iter().map(User::read).collect::<Result<Vec<_>, _>>()?;
        // In the instant of a rename an index may show the user in both places.
        users.dedup_by(|b, a| a.id == b.id);
        let next = page.last_evaluated_key.as_ref().and_then(|last| walk.place_of_key(last));
        Ok((users, next.filter(|next| !walk.ends_at(next, is_back))))
    }

    fn walk(&self, tenant: &Tenant, walk: &Walk, is_back: bool) -> QueryFluentBuilder {
        match walk {
            Walk::ById => {
                self.partition(tenant).index_name(BY_ID).select(Select::AllAttributes).scan_index_forward(!is_back)
            }
            Walk::ByName { start, is_backwards } => match start.is_empty() {
                true => self.partition(tenant),
                false => self.starting_with(tenant, start),
            }
            .scan_index_forward(*is_backwards == is_back),
            Walk::Since(instant) => self.since(tenant, *instant).scan_index_forward(!is_back),
        }
    }
}

/// The user need not be there any more: a start key is a place, not an item.
fn start_key(tenant: &Tenant, place: &Place) -> Item {
    match place {
        Place::Id(_) => Item::new(),
        Place::Name(name) => key(tenant, name),
        Place::Hour(hour, name) => {
            let mut start = key(tenant, name);
            start.insert("hour".to_owned(), s(hour));
            start
        }
    }
}
