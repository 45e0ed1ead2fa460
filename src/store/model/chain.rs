//! The hash chain of a lane of table `changes`. A lane has one writer, so each row can name the hash of the row before it:
//! a row that was altered, deleted or slipped in breaks the chain from there on.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The hash before the first row of a chain.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How much longer in seconds than now the end of a row must lie for the row before it to be missed: rows that are close
/// to their end may go in any order.
const EXPIRY_MARGIN_SECONDS: i64 = 60 * 60;

/// Where a chain stands: the last row of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainHead {
    /// How many rows the lane has had.
    pub number: u64,
    /// The hash of the last one, in hexadecimal digits.
    pub hash: String,
}

/// A row of a lane, with its place in the chain. Rows of before there was a chain have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainRow {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
    /// The type of the event.
    #[serde(rename = "type")]
    pub kind: String,
    /// The attribute `at`.
    pub at: i64,
    /// When the row ends, in seconds.
    pub ttl: i64,
    /// The event, as its text.
    pub event: String,
    /// Where it stands in the chain.
    pub link: Option<ChainLink>,
}

/// The place of a row in its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainLink {
    /// How many rows the lane has had, this one included.
    pub number: u64,
    /// The hash of the row before it.
    pub previous: String,
    /// When the row before it ends, in seconds.
    pub previous_ttl: i64,
    /// Its own hash.
    pub hash: String,
}

impl ChainRow {
    /// The hash that the row must have at that place: SHA-256 of the hash before it and of its fields.
    pub fn hash(&self, number: u64, previous: &str, previous_ttl: i64) -> String {
        let fields = (&self.pk, &self.sk, &self.kind, self.at, self.ttl, &self.event, number, previous_ttl);
        // Numbers and texts always have a JSON form.
        let canonical = serde_json::to_vec(&fields).unwrap_or_default();
        hex::encode(Sha256::new().chain_update(previous).chain_update(canonical).finalize())
    }
}

/// What the examination of a chain has found so far.
#[derive(Debug, Clone, Default)]
pub struct ChainExamination {
    /// Rows that were examined.
    rows: u64,
    /// Rows of before there was a chain.
    unchained: u64,
    last: Option<(u64, String)>,
}

/// A chain that is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoundChain {
    /// Rows that were examined.
    pub rows: u64,
    /// Rows of before there was a chain, of which nothing is known.
    pub unchained: u64,
}

impl ChainExamination {
    /// Examines the next row, at that time in seconds.
    ///
    /// # Errors
    /// Where the chain is broken, and how.
    pub fn add(&mut self, row: &ChainRow, now: i64) -> Result<(), String> {
        let broken = |why: &str| Err(format!("{} {}: {why}", row.pk, row.sk));
        let Some(link) = &row.link else {
            self.unchained += 1;
            return if self.last.is_none() { Ok(()) } else { broken("the row is not in the chain") };
        };
        if row.hash(link.number, &link.previous, link.previous_ttl) != link.hash {
            return broken("the row was altered");
        }
        let is_safe = |ttl: i64| ttl > now + EXPIRY_MARGIN_SECONDS;
        let has_ended = link.previous != GENESIS && !is_safe(link.previous_ttl);
        match &self.last {
            Some((number, hash)) if *number + 1 == link.number && *hash == link.previous => {}
            Some((number, _)) if *number + 1 >= link.number => return broken("it does not follow the row before it"),
            None if link.previous == GENESIS => {}
            // Rows end in no order of their own.
            _ if has_ended => {}
            None => return broken(&format!("row {} of the lane is missing", link.number.saturating_sub(1))),
            Some((number, _)) => {
                return broken(&format!("rows between {number} and {} of the lane are missing", link.number));
            }
        }
        self.rows += 1;
        self.last = Some((link.number, link.hash.clone()));
        Ok(())
    }

    /// Ends the examination of a lane that has come so far by its own account.
    ///
    /// # Errors
    /// How the chain is broken.
    pub fn end(self, head: Option<&ChainHead>) -> Result<SoundChain, String> {
        let sound = SoundChain { rows: self.rows, unchained: self.unchained };
        match (self.last, head) {
            (Some((number, hash)), Some(head)) if (number, &hash) != (head.number, &head.hash) => {
                Err(format!("the last row is {number} of {}, or another one than the lane's head says", head.number))
            }
            (Some(_), None) => Err("the lane's head is missing".to_owned()),
            _ => Ok(sound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn chain(count: u64) -> Vec<ChainRow> {
        let (mut previous, mut previous_ttl) = (GENESIS.to_owned(), 0);
        let row = |number: u64| {
            let text = |text: &str| format!("{text}{number}");
            let (pk, sk, kind, event) = ("acme#u".to_owned(), text("s"), "user.created".to_owned(), text("{}"));
            let mut row = ChainRow { pk, sk, kind, at: 5, ttl: NOW * 2, event, link: None };
            let hash = row.hash(number, &previous, previous_ttl);
            let link = ChainLink { number, previous: previous.clone(), previous_ttl, hash: hash.clone() };
            (previous, previous_ttl) = (hash, row.ttl);
            row.link = Some(link);
            row
        };
        (1..=count).map(row).collect()
    }

    fn examine(rows: &[ChainRow], now: i64) -> Result<SoundChain, String> {
        let whole = chain(5);
        let last = whole.last().and_then(|row| row.link.clone()).unwrap();
        let mut examination = ChainExamination::default();
        rows.iter().try_for_each(|row| examination.add(row, now))?;
        examination.end(Some(&ChainHead { number: last.number, hash: last.hash }))
    }

    #[test]
    fn a_whole_chain_is_sound_and_each_change_of_it_is_found() {
        assert_eq!(examine(&chain(5), NOW), Ok(SoundChain { rows: 5, unchained: 0 }));
        for at in 0..5 {
            let mut altered = chain(5);
            altered[at].event.push('x');
            assert!(examine(&altered, NOW).unwrap_err().contains("altered"));
            let mut deleted = chain(5);
            deleted.remove(at);
            assert!(examine(&deleted, NOW).is_err(), "without row {at}");
            let mut slipped = chain(5);
            slipped.insert(at, slipped[at].clone());
            assert!(examine(&slipped, NOW).is_err());
        }
    }

    #[test]
    fn rows_that_have_ended_may_be_gone() {
        let mut rows = chain(5);
        rows.drain(1..3);
        assert_eq!(examine(&rows, NOW * 3).map(|sound| sound.rows), Ok(3));
        assert!(examine(&rows, NOW).is_err());
    }

    #[test]
    fn rows_of_before_the_chain_are_counted_and_none_follows_it() {
        let mut rows = chain(5);
        rows.insert(0, ChainRow { link: None, ..rows[0].clone() });
        assert_eq!(examine(&rows, NOW), Ok(SoundChain { rows: 5, unchained: 1 }));
        rows.push(ChainRow { link: None, ..rows[0].clone() });
        assert!(examine(&rows, NOW).is_err());
    }
}
