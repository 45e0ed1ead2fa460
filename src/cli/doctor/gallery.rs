//! `--gallery`: what Microsoft's application gallery and Okta's integration network ask of an endpoint and of who hands it
//! in, and which checks prove it.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::report::{CheckState, say};
use crate::cli::output::table;

mod entra;
mod okta;

/// Where an application is handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Gallery {
    /// The Microsoft Entra application gallery
    Entra,
    /// The Okta Integration Network
    Okta,
}

/// A document with requirements.
#[derive(Debug)]
struct Source {
    title: &'static str,
    url: &'static str,
}

/// One requirement.
#[derive(Debug)]
struct Requirement {
    text: &'static str,
    source: &'static Source,
    proof: RequirementProof,
}

#[derive(Debug)]
enum RequirementProof {
    /// The names of the checks that examine it: all have to pass.
    Checks(&'static [&'static str]),
    /// What people have to do: no request shows it.
    ByHand(&'static str),
}

/// A requirement that checks examine.
const fn checks(text: &'static str, source: &'static Source, names: &'static [&'static str]) -> Requirement {
    Requirement { text, source, proof: RequirementProof::Checks(names) }
}

/// A requirement that people see to.
const fn by_hand(text: &'static str, source: &'static Source, what: &'static str) -> Requirement {
    Requirement { text, source, proof: RequirementProof::ByHand(what) }
}

/// What is known of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequirementState {
    Met,
    Unmet,
    NotExamined,
    ByHand,
}

impl RequirementState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Met => "ok",
            Self::Unmet => "UNMET",
            Self::NotExamined => "not examined",
            Self::ByHand => "by hand",
        }
    }
}

impl Gallery {
    fn name(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Okta => "okta",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Entra => "Microsoft Entra application gallery",
            Self::Okta => "Okta Integration Network",
        }
    }

    fn requirements(self) -> &'static [Requirement] {
        match self {
            Self::Entra => entra::REQUIREMENTS,
            Self::Okta => okta::REQUIREMENTS,
        }
    }

    /// Whether no requirement is unmet, by what the checks came to.
    pub(super) fn is_passed(self, found: impl Fn(&str) -> Option<CheckState>) -> bool {
        self.requirements().iter().all(|requirement| requirement.state(&found).0 != RequirementState::Unmet)
    }

    /// Prints each requirement with its state, and the documents.
    pub(super) fn print(self, found: impl Fn(&str) -> Option<CheckState>) {
        let mut sources: Vec<&'static Source> = Vec::new();
        let mut rows = Vec::new();
        for requirement in self.requirements() {
            let (state, failed) = requirement.state(&found);
            let known = sources.iter().position(|source| source.url == requirement.source.url);
            let place = known.unwrap_or_else(|| {
                sources.push(requirement.source);
                sources.len() - 1
            });
            let more = match &requirement.proof {
                RequirementProof::ByHand(what) => (*what).to_owned(),
                RequirementProof::Checks(_) if !failed.is_empty() => format!("see {} above", failed.join(", ")),
                RequirementProof::Checks(names) => names.join(", "),
            };
            rows.push(vec![state.as_str().to_owned(), format!("[{}]", place + 1), requirement.text.to_owned(), more]);
        }
        let header: &[&str] = &["state", "source", "requirement", "checks, or what to do"];
        say(&format!("\n{}\n{}\n\n", self.title(), table(Some(header), rows.into_iter())));
        for (number, source) in sources.iter().enumerate() {
            say(&format!("[{}] {}, {}\n", number + 1, source.title, source.url));
        }
        let counts = self.counts(&found).map(|(state, count)| format!("{count} {}", state.as_str()));
        say(&format!("{}: {}\n", self.title(), counts.join(", ")));
    }

    /// The same as JSON.
    pub(super) fn json(self, found: impl Fn(&str) -> Option<CheckState>) -> Value {
        let one = |requirement: &Requirement| {
            let (state, failed) = requirement.state(&found);
            let Source { title, url } = requirement.source;
            let source = json!({"title": title, "url": url});
            match requirement.proof {
                RequirementProof::Checks(names) => {
                    json!({"requirement": requirement.text, "state": state.as_str(), "checks": names,
                    "failed": failed, "source": source})
                }
                RequirementProof::ByHand(what) => {
                    json!({"requirement": requirement.text, "state": state.as_str(), "byHand": what, "source": source})
                }
            }
        };
        let requirements: Vec<_> = self.requirements().iter().map(one).collect();
        let totals: Value =
            self.counts(&found).into_iter().map(|(state, count)| (state.as_str().to_owned(), json!(count))).collect();
        json!({"name": self.name(), "title": self.title(), "requirements": requirements, "totals": totals})
    }

    fn counts(self, found: impl Fn(&str) -> Option<CheckState>) -> [(RequirementState, usize); 4] {
        let states: Vec<_> = self.requirements().iter().map(|requirement| requirement.state(&found).0).collect();
        let all =
            [RequirementState::Met, RequirementState::Unmet, RequirementState::NotExamined, RequirementState::ByHand];
        all.map(|state| (state, states.iter().filter(|found| **found == state).count()))
    }
}

impl Requirement {
    /// Its state, and the checks that failed.
    fn state(&self, found: impl Fn(&str) -> Option<CheckState>) -> (RequirementState, Vec<&'static str>) {
        let RequirementProof::Checks(names) = self.proof else { return (RequirementState::ByHand, Vec::new()) };
        let found = &found;
        let of = |wanted: CheckState| names.iter().copied().filter(move |name| found(name) == Some(wanted));
        let failed: Vec<_> = of(CheckState::Failed).collect();
        match failed.is_empty() {
            false => (RequirementState::Unmet, failed),
            true if of(CheckState::Passed).next().is_some() => (RequirementState::Met, failed),
            true => (RequirementState::NotExamined, failed),
        }
    }
}
