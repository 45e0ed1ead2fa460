//! What people see: a line for each kind of request, and a bar for what there is much of.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

/// How wide the names of facts are.
const FACT_WIDTH: usize = 28;

/// Where the lines go. Bars are on standard error, and only on a terminal.
pub(super) struct Screen;

/// How a request ended, for its colour.
#[derive(Clone, Copy)]
pub(super) enum Mood {
    Good,
    Refused,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self
    }

    /// What begins now.
    pub(super) fn title(&self, text: &str) {
        let bold = Style::new().bold();
        outln!("\n{bold}{text}{bold:#}");
    }

    /// Something worth knowing.
    pub(super) fn fact(&self, name: &str, text: &str) {
        outln!("  {name:<FACT_WIDTH$} {text}");
    }

    pub(super) fn note(&self, text: &str) {
        outln!("  {text}");
    }

    /// A request: what is sent, what it means, and how it ended.
    pub(super) fn request(&self, sent: &str, meaning: &str, (mood, outcome): (Mood, &str)) {
        let dim = Style::new().dimmed();
        let colour = Style::new().fg_color(Some(match mood {
            Mood::Good => AnsiColor::Green.into(),
            Mood::Refused => AnsiColor::Yellow.into(),
        }));
        outln!("  {dim}{sent:<44}{dim:#} {meaning} {colour}→ {outcome}{colour:#}");
    }

    /// A bar to so many. It is drawn on a terminal alone.
    pub(super) fn bar(&self, length: usize, what: &'static str) -> ProgressBar {
        let bar = ProgressBar::new(u64::try_from(length).unwrap_or(u64::MAX));
        let style = ProgressStyle::with_template("  [{bar:32}] {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}
