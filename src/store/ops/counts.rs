//! How many users a tenant has, by the first byte of their ids: so that the k-th of a million is found by passing over
//! four thousand. Kept by the worker from the change records of the users table, seconds behind, from the tenant's
//! making on. One item of table `links` a tenant.

use aws_sdk_dynamodb::primitives::Blob;
use jiff::Timestamp;

use crate::auth::Tenant;
use crate::store::dynamo::commit::CommitError;
use crate::store::dynamo::dry_run;
use crate::store::dynamo::item::{Item, at, b, instant, missing_attribute, optional_text, s};
use crate::store::dynamo::tables::{BY_ID, Table};
use crate::store::dynamo::write::{Condition, Write};
use crate::store::model::format::{check_format, unknown_attributes};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

mod drift;

pub use drift::CountReport;

/// Buckets: the first byte of an id.
const BUCKETS: usize = 256;

/// The users of a tenant, counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    buckets: Vec<u32>,
    /// The last change record that is counted.
    sequence: String,
    /// The label of the stream that it is of; empty if nobody says.
    stream: String,
    /// When all users were counted last: earlier changes are among them.
    counted: Timestamp,
    /// Attributes of a newer release.
    unknown: Item,
}

/// The attributes that this release writes.
const ATTRIBUTES: [&str; 6] = ["pk", "sk", "n", "seq", "stream", "counted"];

/// A user who came or went, as a change record says.
#[derive(Debug, Clone)]
pub struct UserChange {
    /// The user's id.
    pub id: String,
    /// Whether the user came.
    pub came: bool,
    /// The record's place in the stream, a number.
    pub sequence: String,
    /// The label of the stream, another one each time that it is switched on; empty if nobody says.
    pub stream: String,
    /// When, to the second.
    pub at: Timestamp,
}

/// Where a page begins: how many entries to pass over after the first of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountSeek {
    /// The first two characters of the ids of the bucket.
    pub prefix: String,
    /// Entries to pass over.
    pub skipped: usize,
}

impl Counts {
    /// The counts of a new tenant: from here on, the stream reports every change.
    pub(in crate::store) fn of_nobody(tenant: &TenantName) -> Write {
        Write::put(Table::Links, Self::new(vec![0; BUCKETS]).item(tenant))
    }

    /// Counts before any change record.
    fn new(buckets: Vec<u32>) -> Self {
        Self {
            buckets,
            sequence: "0".to_owned(),
            stream: String::new(),
            counted: Timestamp::UNIX_EPOCH,
            unknown: Item::new(),
        }
    }

    /// How many users there are.
    pub fn total(&self) -> usize {
        self.buckets.iter().map(|count| *count as usize).sum()
    }

    /// Where the user after the first `skipped` ones is, in the order of the ids; none past the end.
    pub fn seek(&self, skipped: usize) -> Option<CountSeek> {
        let mut left = skipped;
        for (bucket, count) in self.buckets.iter().enumerate() {
            if left < *count as usize {
                return Some(CountSeek { prefix: format!("{bucket:02x}"), skipped: left });
            }
            left -= *count as usize;
        }
        None
    }

    fn apply(&mut self, change: &UserChange) {
        if !change.stream.is_empty() && change.stream != self.stream {
            // Of a stream that has ended: its last records may come again.
            if change.stream < self.stream {
                return;
            }
            // A new stream numbers anew. Counts of before the label was stored are of the same stream.
            if !self.stream.is_empty() {
                "0".clone_into(&mut self.sequence);
            }
            self.stream.clone_from(&change.stream);
        }
        if !is_after(&change.sequence, &self.sequence) {
            return;
        }
        self.sequence.clone_from(&change.sequence);
        if change.at < self.counted {
            return;
        }
        if let Some(count) = bucket_of(&change.id).and_then(|bucket| self.buckets.get_mut(bucket)) {
            *count = if change.came { count.saturating_add(1) } else { count.saturating_sub(1) };
        }
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        check_format(item)?;
        let bytes =
            item.get("n").and_then(|n| n.as_b().ok()).map(Blob::as_ref).ok_or_else(|| missing_attribute("n"))?;
        let (chunks, _) = bytes.as_chunks::<4>();
        Ok(Self {
            buckets: chunks.iter().map(|chunk| u32::from_be_bytes(*chunk)).collect(),
            sequence: optional_text(item, "seq").unwrap_or("0").to_owned(),
            stream: optional_text(item, "stream").unwrap_or_default().to_owned(),
            counted: instant(item, "counted")?,
            unknown: unknown_attributes(item, &ATTRIBUTES),
        })
    }

    fn item(&self, tenant: &TenantName) -> Item {
        let mut item = self.unknown.clone();
        item.extend(key(tenant));
        let bytes: Vec<u8> = self.buckets.iter().flat_map(|count| count.to_be_bytes()).collect();
        item.insert("n".into(), b(&bytes));
        item.insert("seq".into(), s(&self.sequence));
        if !self.stream.is_empty() {
            item.insert("stream".into(), s(&self.stream));
        }
        item.insert("counted".into(), at(self.counted));
        item
    }
}

impl Store {
    /// The counts of a tenant, if there are any yet.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn user_counts(&self, tenant: &Tenant) -> Result<Option<Counts>, StoreError> {
        self.counts(tenant.name()).await
    }

    /// Notes that this process creates or deletes a user of a tenant: for some seconds it counts that tenant itself.
    pub(in crate::store) fn note_count_change(&self, tenant: &Tenant) {
        if !dry_run::is_on() {
            self.count_changes.note(tenant.as_str());
        }
    }

    /// Counts changes of one tenant's users, in the order of the stream; those that are counted already change nothing.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; [`StoreError::Contended`] when somebody else has counted meanwhile.
    pub async fn count_changes(
        &self,
        tenant: &TenantName,
        changes: &[UserChange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(old) = self.counts(tenant).await? else {
            return self.recount(tenant, now).await;
        };
        let mut new = old.clone();
        for change in changes {
            new.apply(change);
        }
        if new == old {
            return Ok(());
        }
        self.put_counts(tenant, &new, Some(&old)).await
    }

    /// Counts all users of a tenant, at about 100 bytes a user: where no stream reports them, or it reported too few.
    /// Changes in the seconds of the count may be counted twice, or not at all.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails; [`StoreError::Contended`] when somebody else has counted meanwhile.
    pub async fn recount(&self, tenant: &TenantName, now: Timestamp) -> Result<(), StoreError> {
        let old = self.counts(tenant).await?;
        let buckets = self.tally(tenant).await?;
        let before = old.clone().unwrap_or_else(|| Counts::new(Vec::new()));
        let new = Counts { buckets, counted: now, ..before };
        if old.as_ref().is_some_and(|old| old.buckets == new.buckets) {
            return Ok(());
        }
        self.put_counts(tenant, &new, old.as_ref()).await
    }

    /// The users of each bucket.
    async fn tally(&self, tenant: &TenantName) -> Result<Vec<u32>, StoreError> {
        let mut buckets = vec![0_u32; BUCKETS];
        // Without a projection: DynamoDB reads as many units, and the embedded engine would read all users for each page.
        let query = self.partition(&Tenant::of_item(tenant.clone())).index_name(BY_ID);
        let mut entries = query.into_paginator().items().send();
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|e| StoreError::of(&e))?;
            let bucket = optional_text(&entry, "id").and_then(bucket_of);
            if let Some(count) = bucket.and_then(|bucket| buckets.get_mut(bucket)) {
                *count += 1;
            }
        }
        Ok(buckets)
    }

    pub(in crate::store) async fn counts(&self, tenant: &TenantName) -> Result<Option<Counts>, StoreError> {
        let get = self.client.get_item().table_name(self.table(Table::Links)).consistent_read(true);
        let got = get.set_key(Some(key(tenant))).send().await.map_err(|e| StoreError::of(&e))?;
        got.item.as_ref().map(Counts::read).transpose()
    }

    async fn put_counts(&self, tenant: &TenantName, new: &Counts, old: Option<&Counts>) -> Result<(), StoreError> {
        let put = Write::put(Table::Links, new.item(tenant));
        let put = match old {
            None => put.require(&Condition::Absent("pk")),
            Some(old) => put
                .require(&Condition::equals("seq", s(&old.sequence)))
                .require(&Condition::equals("counted", at(old.counted))),
        };
        match self.commit(&[put], "").await {
            Ok(()) => Ok(()),
            Err(CommitError::Condition(..)) => Err(StoreError::Contended(1)),
            Err(CommitError::Store(error)) => Err(error),
        }
    }
}

fn key(tenant: &TenantName) -> Item {
    Item::from([("pk".to_owned(), s(format!("{tenant}#counter"))), ("sk".to_owned(), s("users"))])
}

fn bucket_of(id: &str) -> Option<usize> {
    usize::from_str_radix(id.get(..2)?, 16).ok()
}

/// Sequence numbers have up to 40 digits.
fn is_after(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    (a.len(), a) > (b.len(), b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, came: bool, sequence: &str, second: i64) -> UserChange {
        let at = Timestamp::from_second(second).unwrap();
        UserChange { id: id.into(), came, sequence: sequence.into(), stream: String::new(), at }
    }

    #[test]
    fn a_record_counts_once_and_only_if_it_is_newer_than_the_count() {
        let counted = Timestamp::from_second(100).unwrap();
        let mut counts = Counts { sequence: "9".into(), counted, ..Counts::new(vec![0; BUCKETS]) };
        for (change, total) in [
            (change("3a-1", true, "10", 100), 1),
            (change("3a-1", true, "10", 100), 1),
            (change("3a-2", true, "9", 100), 1),
            (change("3b-1", true, "00011", 99), 1),
            (change("ff-1", true, "100000000000000000000000000000000000000", 101), 2),
            (change("3a-1", false, "100000000000000000000000000000000000001", 101), 1),
        ] {
            counts.apply(&change);
            assert_eq!(counts.total(), total, "{change:?}");
        }
        assert_eq!(Counts::read(&counts.item(&"acme".parse().unwrap())).unwrap(), counts);
    }

    #[test]
    fn a_new_stream_begins_anew_and_an_old_one_counts_no_more() {
        let mut counts = Counts::new(vec![0; BUCKETS]);
        let of =
            |stream: &str, sequence: &str| UserChange { stream: stream.into(), ..change("3a-1", true, sequence, 1) };
        for (change, total) in [
            (change("3a-1", true, "900", 1), 1),
            // The label is new, the stream is not.
            (of("2026-01", "800"), 1),
            (of("2026-01", "901"), 2),
            (of("2026-02", "5"), 3),
            (of("2026-02", "5"), 3),
            (of("2026-01", "999"), 3),
        ] {
            counts.apply(&change);
            assert_eq!(counts.total(), total, "{change:?}");
        }
        assert_eq!(Counts::read(&counts.item(&"acme".parse().unwrap())).unwrap(), counts);
    }

    #[test]
    fn the_place_of_the_kth_user_is_found_by_its_bucket() {
        let mut buckets = vec![0; BUCKETS];
        (buckets[2], buckets[7], buckets[255]) = (3, 2, 1);
        let counts = Counts::new(buckets);
        let at = |skipped| counts.seek(skipped).map(|seek| (seek.prefix, seek.skipped));
        assert_eq!(at(0), Some(("02".into(), 0)));
        assert_eq!(at(2), Some(("02".into(), 2)));
        assert_eq!(at(3), Some(("07".into(), 0)));
        assert_eq!(at(5), Some(("ff".into(), 0)));
        assert_eq!(at(6), None);
    }
}
