//! Events that no change record stands for. They follow the last row of a lane, before those of the next record.

use jiff::Timestamp;

use super::{Head, Lane, Rows};
use crate::limits::MAX_WRITE_ATTEMPTS;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::item::{Item, n, s};
use crate::store::dynamo::tables::Table;
use crate::store::dynamo::write::{Condition, Guard, Write};
use crate::store::model::change::{Event, EventType};
use crate::store::model::notice::Notice;
use crate::store::model::outbox::PendingNotice;
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Begins what follows the number of a record in the place of an event that has none. It sorts after the mark that ends
/// the place of a record, and before the next digit.
const APPENDED: char = 'a';

impl Head {
    /// Moves to a place after all rows and before those of any record that is still to come.
    fn move_past_record(&mut self) {
        let (record, number) = match self.sequence.split_once(APPENDED) {
            Some((record, number)) => (record, u32::from_str_radix(number, 16).unwrap_or(u32::MAX)),
            None => (self.sequence.as_str(), 0),
        };
        self.sequence = format!("{record}{APPENDED}{:06x}", number.saturating_add(1));
    }
}

impl Store {
    /// Writes into a tenant's feed that changes of a table are missing in it, as the worker could not read them: once for
    /// each cause, such as the place where they were.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn write_gap(
        &self,
        tenant: &TenantName,
        table: Table,
        cause: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lane = Lane::of(table);
        let marker = self.marker(tenant, &format!("gap#{}#{cause}", lane.letter()), now);
        self.append(tenant, lane, &Event::of_feed(EventType::FeedGap, now), &[marker]).await.map(drop)
    }

    /// Writes into a tenant's feed what somebody should look at, and into the outbox for who is to hear of it, once;
    /// whether it is new.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn write_notice(&self, tenant: &TenantName, notice: &Notice, now: Timestamp) -> Result<bool, StoreError> {
        let event = Event { kind: notice.event_type(), at: now, fields: notice.fields(tenant.as_str()) };
        let pending = PendingNotice::enqueue(tenant, notice, now);
        self.append(tenant, Lane::Users, &event, &[self.marker(tenant, &notice.marker(), now), pending]).await
    }

    /// A row whose condition fails where the same was written before.
    pub(super) fn marker(&self, tenant: &TenantName, what: &str, now: Timestamp) -> Write {
        // A sort key has at most 1,024 bytes.
        let what: String = what.chars().take(500).collect();
        let key = [("pk".to_owned(), s(format!("{tenant}#n"))), ("sk".to_owned(), s(what))];
        let mut row = Item::from(key);
        row.insert("ttl".into(), n(now.as_second() + self.retention.as_secs()));
        Write::put(Table::Changes, row).require(&Condition::Absent("pk"))
    }

    /// Adds an event to a lane, together with other writes or not at all; false where a condition of those does not hold.
    pub(super) async fn append(
        &self,
        tenant: &TenantName,
        lane: Lane,
        event: &Event,
        others: &[Write],
    ) -> Result<bool, StoreError> {
        for _ in 0..MAX_WRITE_ATTEMPTS {
            let old = self.head(tenant, lane).await?;
            let mut head = old.clone().unwrap_or_else(Head::before_all);
            head.move_past_record();
            let expires_after = self.retention.as_secs();
            let mut rows = Rows { tenant, lane, head, expires_after, items: Vec::new() };
            let sequence = rows.head.sequence.trim_start_matches('0').to_owned();
            rows.push(&sequence, event.at, vec![event.clone()]);
            // Together: a row that is there without its head would be seen when the next record moves that.
            let puts = rows.items.into_iter().map(|item| Write::put(Table::Changes, item));
            let head = rows.head.put(tenant, lane, old.as_ref()).guard(Guard::Version);
            let writes: Vec<_> = puts.chain([head]).chain(others.iter().cloned()).collect();
            match self.commit(&writes, "").await {
                Ok(()) => return Ok(true),
                Err(CommitError::Condition(Guard::Version, _)) => {}
                Err(CommitError::Condition(..)) => return Ok(false),
                Err(CommitError::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended(u32::try_from(MAX_WRITE_ATTEMPTS).unwrap_or(u32::MAX)))
    }
}
