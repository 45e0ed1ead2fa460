//! How far a command is: a line on a terminal, nothing elsewhere. It has no colour of its own.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line on standard error that changes while a command works, and goes when it ends.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Of work whose length nobody knows.
    pub(super) fn counting() -> Self {
        Self::with(ProgressBar::new_spinner(), "  {spinner} {msg}, {elapsed}")
    }

    /// Of a file with so many bytes.
    pub(super) fn of_bytes(length: u64) -> Self {
        Self::with(ProgressBar::new(length), "  [{bar:32}] {percent}% {msg}, {elapsed}")
    }

    fn with(bar: ProgressBar, template: &str) -> Self {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style.progress_chars("=> ").tick_chars("-\\|/ "));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Says how far the command is.
    pub(super) fn set(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Adds bytes that are done.
    pub(super) fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// Prints something else.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
