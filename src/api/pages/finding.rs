//! What a check of the page found, and what to do about it.

use super::catalogue::Catalogue;

/// What a check found.
pub(super) struct PageFinding {
    pub(super) outcome: FindingState,
    pub(super) title: &'static str,
    pub(super) text: String,
    /// A reason in the words of the endpoint, which are English.
    pub(super) reason: Option<String>,
    pub(super) remedy: Option<&'static str>,
    /// The screen where it is done.
    pub(super) place: Option<&'static str>,
}

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FindingState {
    Good,
    Advice,
    Fault,
    Skipped,
}

impl FindingState {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Advice => "quiet",
            Self::Fault => "fault",
            Self::Skipped => "skipped",
        }
    }

    pub(super) fn title(self, t: &Catalogue) -> &'static str {
        match self {
            Self::Good => t.check_good,
            Self::Advice => t.check_advice,
            Self::Fault => t.check_fault,
            Self::Skipped => t.check_skipped,
        }
    }
}

impl PageFinding {
    pub(super) fn good(title: &'static str, text: impl Into<String>) -> Self {
        let (outcome, text) = (FindingState::Good, text.into());
        Self { outcome, title, text, reason: None, remedy: None, place: None }
    }

    pub(super) fn skipped(title: &'static str, text: &'static str) -> Self {
        Self { outcome: FindingState::Skipped, ..Self::good(title, text) }
    }

    pub(super) fn advice(title: &'static str, text: impl Into<String>, remedy: &'static str) -> Self {
        Self { outcome: FindingState::Advice, remedy: Some(remedy), ..Self::good(title, text) }
    }

    pub(super) fn fault(title: &'static str, text: impl Into<String>, remedy: &'static str) -> Self {
        Self { outcome: FindingState::Fault, ..Self::advice(title, text, remedy) }
    }

    pub(super) fn at(self, place: &'static str) -> Self {
        Self { place: Some(place), ..self }
    }
}
