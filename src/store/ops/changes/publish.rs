//! The bus as a reader of the feed: how far each lane has been put on it, and what is next. And when the worker was last
//! there.

use jiff::Timestamp;

use super::{Lane, head_key};
use crate::store::dynamo::item::{Item, at, instant, optional_text, s, text};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Write};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// The tenant of no one: a full stop begins no name.
const WORKER: &str = ".worker";

/// Events of one lane that are not on the bus yet.
#[derive(Debug, Clone)]
pub struct Unpublished {
    /// Type and text of each, in order.
    pub events: Vec<(String, String)>,
    /// The place after them.
    pub place: String,
}

impl Store {
    /// How far the events of a table's lane are on the bus. Without a note, the lane begins where it ends now: what came
    /// before the bus was named is not put on it.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn published(&self, tenant: &TenantName, table: Table) -> Result<String, StoreError> {
        let lane = Lane::of(table);
        let found = self.items(Table::Changes, vec![bus_key(tenant, lane)]).await?;
        if let Some(place) = found.first().and_then(|item| optional_text(item, "place")) {
            return Ok(place.to_owned());
        }
        let head = self.head(tenant, lane).await?;
        let place = head.map_or_else(String::new, |head| head.last());
        self.put_published(tenant, table, &place).await?;
        Ok(place)
    }

    /// Notes how far the events of a table's lane are on the bus.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn put_published(&self, tenant: &TenantName, table: Table, place: &str) -> Result<(), StoreError> {
        let lane = Lane::of(table);
        let mut item = bus_key(tenant, lane);
        item.insert("place".into(), s(place));
        // Two workers may be at it; a place never goes back.
        let is_later = Condition::Absent("pk").or(Condition::less("place", s(place)));
        self.commit_if_current(Write::put(Table::Changes, item).require(&is_later)).await
    }

    /// The events after a place of a table's lane, at most so many; none when all are on the bus.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn unpublished(
        &self,
        tenant: &TenantName,
        table: Table,
        after: &str,
        limit: usize,
    ) -> Result<Option<Unpublished>, StoreError> {
        let lane = Lane::of(table);
        let Some(head) = self.head(tenant, lane).await? else { return Ok(None) };
        // A blank makes the place the least that is greater.
        let (from, to) = (format!("{after} "), head.last());
        if from >= to {
            return Ok(None);
        }
        let (rows, _) = self.lane_rows(tenant, lane, &from, &to, limit).await?;
        let Some(last) = rows.back() else { return Ok(None) };
        let place = text(last, "sk")?.to_owned();
        let event = |row: &Item| Ok((text(row, "type")?.to_owned(), text(row, "event")?.to_owned()));
        let events = rows.iter().map(event).collect::<Result<_, StoreError>>()?;
        Ok(Some(Unpublished { events, place }))
    }

    /// When the worker last noted that it follows a table.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn worker_presence(&self, table: Table) -> Result<Option<Timestamp>, StoreError> {
        let found = self.items(Table::Changes, vec![presence_key(table)]).await?;
        found.first().map(|item| instant(item, "at")).transpose()
    }

    /// Notes that the worker follows a table.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn put_worker_presence(&self, table: Table, now: Timestamp) -> Result<(), StoreError> {
        let mut item = presence_key(table);
        item.insert("at".into(), at(now));
        self.put_items(Table::Changes, vec![item]).await
    }

    /// Changes an item of nobody in each table that the feed follows. Its records show once a day that the worker
    /// follows, also where no tenant changes anything.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn write_probes(&self, now: Timestamp) -> Result<(), StoreError> {
        for (table, sort) in [(Table::Users, "userName"), (Table::Groups, "id")] {
            let key = Item::from([("tenant".to_owned(), s(WORKER)), (sort.to_owned(), s("probe"))]);
            self.commit_if_current(Write::update(table, key).set("at", at(now))).await?;
        }
        Ok(())
    }
}

fn bus_key(tenant: &TenantName, lane: Lane) -> Item {
    let mut key = head_key(tenant, lane);
    key.insert("pk".into(), s(format!("{tenant}#b")));
    key
}

fn presence_key(table: Table) -> Item {
    Item::from([("pk".to_owned(), s(WORKER)), ("sk".to_owned(), s(table.as_str()))])
}
