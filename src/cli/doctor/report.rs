//! What was found, as lines for people or one JSON object for CI.

use std::io::Write;

use serde_json::{Value, json};

use super::answer::Verdict;
use super::gallery::Gallery;

/// Prints. Nobody may read it any more, as after `| head`: what was created is deleted all the same.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error, in the same way.
pub(super) fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// One thing that is examined.
#[derive(Debug)]
pub(super) struct Check {
    /// How scripts refer to it.
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) title: &'static str,
    pub(super) level: Level,
    /// What should come.
    pub(super) expected: &'static str,
    /// What whoever runs the endpoint should change if it does not.
    pub(super) change: &'static str,
}

/// What a failed check means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// An identity provider fails, or does the wrong thing.
    Fault,
    /// It works, and could be better.
    Advice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    Fault,
    Advice,
    Skipped,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fault => "fault",
            Self::Advice => "advice",
            Self::Skipped => "skipped",
        }
    }
}

#[derive(Debug)]
struct Finding {
    check: &'static Check,
    outcome: Outcome,
    sent: String,
    /// What came, or why it was skipped.
    came: String,
}

/// What a check came to, for the requirements that it proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckState {
    Passed,
    Failed,
    Skipped,
}

#[derive(Debug)]
pub(super) struct Report {
    is_json: bool,
    galleries: Vec<Gallery>,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(is_json: bool, galleries: Vec<Gallery>) -> Self {
        Self { is_json, galleries, findings: Vec::new() }
    }

    /// What a check came to; none for one that was not run. One that ran twice passed if it passed each time.
    fn state_of(&self, name: &str) -> Option<CheckState> {
        let of_check = self.findings.iter().filter(|finding| finding.check.name == name);
        let states: Vec<_> = of_check
            .map(|finding| match finding.outcome {
                Outcome::Ok => CheckState::Passed,
                Outcome::Fault | Outcome::Advice => CheckState::Failed,
                Outcome::Skipped => CheckState::Skipped,
            })
            .collect();
        [CheckState::Failed, CheckState::Passed, CheckState::Skipped].into_iter().find(|s| states.contains(s))
    }

    pub(super) fn chapter(&self, title: &str) {
        if !self.is_json {
            say(&format!("{title}\n"));
        }
    }

    /// Whether the check was passed.
    pub(super) fn note(&mut self, check: &'static Check, sent: &str, verdict: Verdict) -> bool {
        let is_ok = verdict.is_ok();
        let outcome = match check.level {
            _ if is_ok => Outcome::Ok,
            Level::Fault => Outcome::Fault,
            Level::Advice => Outcome::Advice,
        };
        self.add(Finding { check, outcome, sent: sent.to_owned(), came: verdict.err().unwrap_or_default() });
        is_ok
    }

    /// A check that nothing can be said about.
    pub(super) fn skip(&mut self, check: &'static Check, why: &str) {
        self.add(Finding { check, outcome: Outcome::Skipped, sent: String::new(), came: why.to_owned() });
    }

    fn add(&mut self, finding: Finding) {
        if !self.is_json {
            say(&finding.lines());
        }
        self.findings.push(finding);
    }

    /// Prints what comes at the end; whether there is no fault, and no requirement of a gallery that is unmet.
    pub(super) fn finish(&self, url: &str) -> bool {
        let count = |outcome| self.findings.iter().filter(|finding| finding.outcome == outcome).count();
        let [ok, faults, advice, skipped] = [Outcome::Ok, Outcome::Fault, Outcome::Advice, Outcome::Skipped].map(count);
        if self.is_json {
            let checks: Vec<_> = self.findings.iter().map(Finding::json).collect();
            let totals = json!({"ok": ok, "fault": faults, "advice": advice, "skipped": skipped});
            let mut report = json!({"url": url, "checks": checks, "totals": totals});
            if let (false, Some(report)) = (self.galleries.is_empty(), report.as_object_mut()) {
                let galleries = self.galleries.iter().map(|gallery| gallery.json(|name| self.state_of(name)));
                report.insert("galleries".to_owned(), galleries.collect());
            }
            say(&format!("{report:#}\n"));
        } else {
            say(&format!("{url}: {ok} checks passed, {faults} faults, {advice} with advice, {skipped} skipped\n"));
            self.galleries.iter().for_each(|gallery| gallery.print(|name| self.state_of(name)));
        }
        faults == 0 && self.galleries.iter().all(|gallery| gallery.is_passed(|name| self.state_of(name)))
    }
}

impl Finding {
    fn lines(&self) -> String {
        let Check { name, title, expected, change, .. } = self.check;
        let Self { sent, came, .. } = self;
        let line = |word: &str, more: &str| format!("  {word:<7} {name:<27} {title}{more}\n");
        let detail = format!(
            "          sent      {sent}\n          expected  {expected}\n          came      {came}\n          change    {change}\n"
        );
        match self.outcome {
            Outcome::Ok => line("ok", ""),
            Outcome::Skipped => line("skipped", &format!(": {came}")),
            Outcome::Advice => line("advice", "") + &detail,
            Outcome::Fault => line("FAULT", "") + &detail,
        }
    }

    fn json(&self) -> Value {
        let Check { name, title, expected, change, .. } = self.check;
        let mut all = json!({"name": name, "outcome": self.outcome.as_str(), "title": title});
        let more = match self.outcome {
            Outcome::Ok => json!({}),
            Outcome::Skipped => json!({"why": self.came}),
            _ => json!({"sent": self.sent, "expected": expected, "came": self.came, "change": change}),
        };
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
            all.extend(more);
        }
        all
    }
}
