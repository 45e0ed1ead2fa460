//! Walking through users page by page, from any place on, at the cost of a page.

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::Select;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::auth::Tenant;
use crate::store::dynamo::item::{Item, optional_text, s};
use crate::store::dynamo::tables::BY_ID;
use crate::store::model::user::{User, hour, user_key};
use crate::store::{Store, StoreError};

/// Through which users, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserOrder {
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
pub enum Position {
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

impl UserOrder {
    /// The place of a user on this walk.
    pub fn place(&self, user: &User) -> Position {
        match self {
            Self::ById => Position::Id(user.id.as_str().to_owned()),
            Self::ByName { .. } => Position::Name(user.key.clone()),
            Self::Since(_) => Position::Hour(hour(user.record.modified), user.key.clone()),
        }
    }

    /// Whether nothing can follow: DynamoDB takes no start key at the end of the range, read backwards.
    fn is_exhausted(&self, place: &Position, is_back: bool) -> bool {
        match (self, place) {
            (Self::ByName { start, is_backwards }, Position::Name(name)) => *is_backwards != is_back && name == start,
            _ => false,
        }
    }

    fn place_of_key(&self, last: &Item) -> Option<Position> {
        let text = |name| optional_text(last, name).map(str::to_owned);
        Some(match self {
            Self::ById => Position::Id(text("id")?),
            Self::ByName { .. } => Position::Name(text("userName")?),
            Self::Since(_) => Position::Hour(text("hour")?, text("userName")?),
        })
    }
}

impl Store {
    /// The next users of a walk after a place, or before it from the nearest on, at most `limit` of them; and the place of
    /// the last, if there may be more.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn users_after(
        &self,
        tenant: &Tenant,
        walk: &UserOrder,
        after: Option<&Position>,
        limit: usize,
        is_back: bool,
    ) -> Result<(Vec<User>, Option<Position>), StoreError> {
        if after.is_some_and(|place| walk.is_exhausted(place, is_back)) {
            return Ok((Vec::new(), None));
        }
        let walked = self.walk(tenant, walk, is_back);
        let query = match (walk, after) {
            // Not by the key of an item, which a rename changes: the user would come again under its new one.
            (UserOrder::ById, Some(Position::Id(id))) => walked
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
        // In the instant of a rename an index may have the user in both places.
        users.dedup_by(|b, a| a.id == b.id);
        let next = page.last_evaluated_key.as_ref().and_then(|last| walk.place_of_key(last));
        Ok((users, next.filter(|next| !walk.is_exhausted(next, is_back))))
    }

    fn walk(&self, tenant: &Tenant, walk: &UserOrder, is_back: bool) -> QueryFluentBuilder {
        match walk {
            UserOrder::ById => {
                self.partition(tenant).index_name(BY_ID).select(Select::AllAttributes).scan_index_forward(!is_back)
            }
            UserOrder::ByName { start, is_backwards } => match start.is_empty() {
                true => self.partition(tenant),
                false => self.starting_with(tenant, start),
            }
            .scan_index_forward(*is_backwards == is_back),
            UserOrder::Since(instant) => self.since(tenant, *instant).scan_index_forward(!is_back),
        }
    }
}

/// The user need not be there any more: a start key is a place, not an item.
fn start_key(tenant: &Tenant, place: &Position) -> Item {
    match place {
        Position::Id(_) => Item::new(),
        Position::Name(name) => user_key(tenant, name),
        Position::Hour(hour, name) => {
            let mut start = user_key(tenant, name);
            start.insert("hour".to_owned(), s(hour));
            start
        }
    }
}
