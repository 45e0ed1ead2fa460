//! Which rules a request has needed. A rule notes itself while it reads what a client sent. The note goes to the trace of
//! the request that is being handled, so that its log and its events name the rules. Nothing is decided by it.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// Writes [`Rule`] and its table: variant, letter in stored items, name.
macro_rules! rules {
    ($($variant:ident $letter:literal $name:literal;)*) => {
        /// A rule of [`deviation`](super). Its name is the anchor of its section in the reference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the section of that name describes it")]
        pub enum Rule { $($variant,)* }

        impl Rule {
            /// Every rule, in the order of the letters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in events and in the log.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The letter that stands for it in stored items. A letter keeps its meaning for ever.
            fn letter(self) -> char {
                match self { $(Self::$variant => $letter),* }
            }
        }
    };
}

rules! {
    OperationName 'a' "operation-in-any-case";
    PatchFromOperations 'b' "bare-list-of-operations";
    BooleanFromText 'c' "boolean-as-text";
    TextFromNumber 'd' "number-where-text-is-defined";
    EmptyText 'e' "empty-text-clears";
    ListFromSingle 'f' "one-value-for-a-list";
    SingleFromList 'g' "list-of-one-for-a-single-complex-attribute";
    ComplexFromText 'h' "bare-text-for-a-complex-value";
    SubAttributeName 'i' "managerid";
    ExtensionOfBareName 'j' "extension-attribute-without-its-urn";
    UrnJoinedByDot 'k' "urn-joined-by-a-dot";
    Discarded 'l' "password";
    ReadOnlyEcho 'm' "read-only-values-echoed";
    ElementFromSelector 'n' "value-path-that-selects-nothing-yet";
    SelectorValues 'o' "replaced-value-keeps-its-label";
    Listed 'p' "remove-by-a-list-of-values";
    UnquotedFilterValue 'q' "unquoted-filter-value";
    SinglePrimary 'r' "two-primaries";
    OnlyLabels 's' "shell-of-a-removed-value";
}

/// Some rules, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules(u32);

impl Rules {
    /// Reads what [`letters`](Self::letters) wrote. Letters of a later release are left out.
    pub fn of_letters(letters: &str) -> Self {
        let rules = Rule::ALL.iter().filter(|rule| letters.contains(rule.letter()));
        Self(rules.fold(0, |bits, rule| bits | bit(*rule)))
    }

    /// The rules as they stand in stored items.
    pub fn letters(self) -> String {
        self.iter().map(Rule::letter).collect()
    }

    /// The rules.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.iter().copied().filter(move |rule| self.0 & bit(*rule) != 0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(rule: Rule) -> u32 {
    1 << rule as u32
}

/// The rules that one request has needed so far.
#[derive(Debug, Clone, Default)]
pub struct RuleTrace(Arc<AtomicU32>);

thread_local! {
    /// The trace of the request that this thread works on right now.
    static CURRENT: RefCell<Option<RuleTrace>> = const { RefCell::new(None) };
}

impl RuleTrace {
    /// What was noted.
    pub fn rules(&self) -> Rules {
        Rules(self.0.load(Ordering::Relaxed))
    }

    /// The same work, whose rules are noted here. A request within it may have a trace of its own.
    pub fn follow<T>(&self, work: BoxedFuture<'_, T>) -> impl Future<Output = T> + Send {
        FollowedFuture { trace: self.clone(), work }
    }
}

/// What a handler returns.
pub type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

struct FollowedFuture<'a, T> {
    trace: RuleTrace,
    work: BoxedFuture<'a, T>,
}

impl<T> Future for FollowedFuture<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let outer = exchange(Some(self.trace.clone()));
        let outcome = self.work.as_mut().poll(context);
        exchange(outer);
        outcome
    }
}

fn exchange(trace: Option<RuleTrace>) -> Option<RuleTrace> {
    CURRENT.try_with(|current| current.replace(trace)).unwrap_or_default()
}

/// Notes that the request which is being handled has needed a rule.
pub(in crate::scim) fn note(rule: Rule) {
    let add = |current: &RefCell<Option<RuleTrace>>| {
        if let Some(trace) = current.borrow().as_ref() {
            trace.0.fetch_or(bit(rule), Ordering::Relaxed);
        }
    };
    // A thread that ends handles no request.
    let _ = CURRENT.try_with(add);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_unique_and_come_back() {
        let all = Rule::ALL.iter().fold(Rules::default(), |rules, rule| Rules(rules.0 | bit(*rule)));
        assert_eq!(all.letters().len(), Rule::ALL.len());
        assert_eq!(Rules::of_letters(&all.letters()), all);
        assert_eq!(Rules::of_letters("?"), Rules::default());
    }

    #[test]
    fn each_name_is_the_anchor_of_a_rule_of_the_source() {
        let source = include_str!("../deviation.rs");
        let titles = source.lines().filter_map(|line| line.strip_prefix("/// **")?.split_once(".**"));
        let anchor = |title: &str| -> String {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
        };
        let anchors: Vec<String> = titles.map(|(title, _)| anchor(title)).collect();
        let names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
        assert_eq!(names, anchors);
    }

    #[test]
    fn a_note_goes_to_the_innermost_request_and_to_none_outside() {
        let (outer, inner) = (RuleTrace::default(), RuleTrace::default());
        let followed = inner.clone();
        let work = outer.follow(Box::pin(async move {
            note(Rule::Listed);
            followed.follow(Box::pin(async { note(Rule::EmptyText) })).await;
            note(Rule::Discarded);
        }));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(work).poll(&mut context).is_ready());
        note(Rule::OnlyLabels);
        assert_eq!((outer.rules().letters().as_str(), inner.rules().letters().as_str()), ("lp", "e"));
    }
}
