//! Damage with what mends it.

use crate::store::dynamo::write::Write;
use crate::store::model::damage::{Damage, DataCheck};

/// Damage, and the writes that mend it: each under the condition that the damage is still there. None for what only
/// somebody who knows better can mend.
#[derive(Debug)]
pub(super) struct Contradiction {
    pub(super) damage: Damage,
    pub(super) repair: Vec<Write>,
}

impl Contradiction {
    pub(super) fn new(check: DataCheck, target: &str, detail: impl Into<String>, repair: Vec<Write>) -> Self {
        Self { damage: Damage::new(check, target, detail), repair }
    }

    /// A membership that is found from both of its sides, or from several, is one finding.
    pub(super) fn key(&self) -> (&'static str, String) {
        (self.damage.check, self.damage.target.clone())
    }
}
