//! Breaks the connection for good at the n-th call, as a process that dies there: before the call reaches the engine,
//! or after it was carried out and the answer is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wire::{Answer, DynamoCall, Layer, Lost};

#[derive(Debug)]
pub struct Crash {
    /// The call at which it happens, from 1.
    at: usize,
    is_after: bool,
    seen: AtomicUsize,
}

impl Crash {
    pub fn before(at: usize) -> Arc<Self> {
        Arc::new(Self { at, is_after: false, seen: AtomicUsize::new(0) })
    }

    pub fn after(at: usize) -> Arc<Self> {
        Arc::new(Self { at, is_after: true, seen: AtomicUsize::new(0) })
    }

    /// Whether it has happened.
    pub fn happened(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at
    }
}

impl Layer for Crash {
    fn before(&self, _: &DynamoCall) -> Result<Option<Answer>, Lost> {
        let call = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if call > self.at || (call == self.at && !self.is_after) { Err(Lost) } else { Ok(None) }
    }

    fn after(&self, _: &DynamoCall, _: &Answer) -> Result<(), Lost> {
        if self.happened() { Err(Lost) } else { Ok(()) }
    }
}

/// Loses the answer to every n-th write, once carried out; the SDK will try again.
#[derive(Debug)]
pub struct LostAnswers {
    every: usize,
    seen: AtomicUsize,
}

impl LostAnswers {
    pub fn every(every: usize) -> Arc<Self> {
        Arc::new(Self { every, seen: AtomicUsize::new(0) })
    }
}

impl Layer for LostAnswers {
    fn loses_answers(&self) -> bool {
        true
    }

    fn after(&self, call: &DynamoCall, _: &Answer) -> Result<(), Lost> {
        if call.written_items().is_empty() {
            return Ok(());
        }
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if seen.is_multiple_of(self.every) { Err(Lost) } else { Ok(()) }
    }
}
