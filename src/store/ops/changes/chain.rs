//! The hash chain of a lane as it is read, for who examines it.

use crate::limits::MAX_CHAIN_ROWS;
use crate::store::model::chain::{ChainHead, ChainRow};
use crate::store::model::change::Lane;
use crate::store::ops::changes::{FeedHeads, chain_row};
use crate::store::{Store, StoreError};
use crate::tenant::TenantName;

/// Some rows of a lane, in order.
#[derive(Debug, Clone)]
pub struct ChainPage {
    /// Where the lane's chain stands; none for a lane without rows.
    pub head: Option<ChainHead>,
    /// The rows.
    pub rows: Vec<ChainRow>,
    /// Whether there are more rows after these.
    pub has_more: bool,
}

impl Store {
    /// The rows of a lane, `u` or `g`, after that sort key; none for what is no lane.
    ///
    /// # Errors
    /// A [`StoreError`] when DynamoDB fails or an item is corrupt.
    pub async fn chain_page(
        &self,
        tenant: &TenantName,
        lane: &str,
        after: &str,
        heads: &FeedHeads,
    ) -> Result<Option<ChainPage>, StoreError> {
        let Some(lane) = Lane::ALL.into_iter().find(|known| known.letter() == lane) else { return Ok(None) };
        let Some(head) = heads.0.get(&lane) else {
            return Ok(Some(ChainPage { head: None, rows: Vec::new(), has_more: false }));
        };
        let (from, to) = (format!("{after} "), head.last());
        let (items, has_more) = match from < to {
            true => self.lane_rows(tenant, lane, &from, &to, MAX_CHAIN_ROWS).await?,
            false => Default::default(),
        };
        let rows = items.iter().map(chain_row).collect::<Result<_, _>>()?;
        let head = ChainHead { number: head.count, hash: head.hash.clone() };
        Ok(Some(ChainPage { head: Some(head), rows, has_more }))
    }
}
