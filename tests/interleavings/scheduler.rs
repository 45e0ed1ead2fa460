//! Runs operations side by side, one call to DynamoDB at a time, in every order or in a sample of the orders.
//!
//! A connector holds each call until the scheduler releases it. A schedule is the list of choices, which operation goes
//! on. A run repeats a schedule as far as it is given and then takes the first operation that can go on; the last choice
//! that has an alternative makes the next schedule. So every order comes once.
//!
//! Two calls that touch nothing in common, or only read, have the same effect in either order. One of the two orders is
//! enough: the scheduler keeps sleep sets (P. Godefroid, Partial-Order Methods for the Verification of Concurrent
//! Systems, chapter 5).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::support::wire::{DynamoCall, Held, Layer};

tokio::task_local! {
    /// The thread whose calls are held; calls of no thread pass.
    pub static THREAD: Thread;
}

/// A task that performs an operation.
#[derive(Debug)]
pub struct Thread {
    number: usize,
    /// Whether it matters when the thread's calls happen, whatever they touch: an operation begins after its first
    /// request, and another thread may have come to its end before.
    is_before_second_request: Cell<bool>,
}

impl Thread {
    pub fn new(number: usize, has_second_request: bool) -> Self {
        Self { number, is_before_second_request: Cell::new(has_second_request) }
    }

    /// The number of this task's thread.
    pub fn current() -> Option<usize> {
        THREAD.try_with(|thread| thread.number).ok()
    }

    /// The first request of this task's thread was answered.
    pub fn begin_second_request() {
        let _ = THREAD.try_with(|thread| thread.is_before_second_request.set(false));
    }
}

/// Choices beyond this one are not varied: an operation that waits for another one polls, and would do so for ever.
const MAX_BRANCHES: usize = 26;

/// Releases in one run. Beyond, something waits for what never comes.
const MAX_MOVES: usize = 400;

/// Holds the calls of threads.
#[derive(Debug, Default)]
pub struct Gate {
    /// The calls of each thread in the order of their text, with names for ids: a schedule means the same in each run.
    threads: Mutex<Vec<BTreeMap<(String, usize), HeldCall>>>,
    /// Only calls that name one of these are held: the others touch nothing that two operations share.
    shared: Mutex<BTreeMap<String, String>>,
    calls: AtomicUsize,
}

#[derive(Debug)]
struct HeldCall {
    footprint: Footprint,
    sender: oneshot::Sender<()>,
}

/// What a call touches of what is shared.
#[derive(Debug, Clone)]
struct Footprint {
    is_read: bool,
    names: BTreeSet<String>,
    /// Whether it touches more than it names, or its time matters.
    matters_to_all: bool,
}

impl Footprint {
    /// Whether two calls have the same effect in either order.
    fn commutes_with(&self, other: &Self) -> bool {
        !self.matters_to_all
            && !other.matters_to_all
            && ((self.is_read && other.is_read) || self.names.is_disjoint(&other.names))
    }
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a run of that many threads, which share what has these ids; each has a name.
    pub fn begin(&self, threads: usize, shared: BTreeMap<String, String>) {
        *self.threads.lock().unwrap() = (0..threads).map(|_| BTreeMap::new()).collect();
        *self.shared.lock().unwrap() = shared;
    }

    /// The text of a call with names for the ids that are shared, and what it touches; `None` if it names none of them.
    fn named(&self, call: &DynamoCall) -> Option<(String, Footprint)> {
        let shared = self.shared.lock().unwrap();
        let mut text = sorted(&call.body).to_string();
        let mut names = BTreeSet::new();
        for (id, name) in shared.iter() {
            if text.contains(id.as_str()) {
                text = text.replace(id, name);
                names.insert(name.clone());
            }
        }
        if names.is_empty() {
            return None;
        }
        // A range of ids.
        let matters_to_all = text.contains("BETWEEN");
        let is_read = ["GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"].contains(&&*call.operation);
        Some((format!("{} {text}", call.operation), Footprint { is_read, names, matters_to_all }))
    }

    fn is_held(&self, thread: usize) -> bool {
        !self.threads.lock().unwrap()[thread].is_empty()
    }

    /// What the next call of a thread touches.
    fn footprint(&self, thread: usize) -> Footprint {
        let threads = self.threads.lock().unwrap();
        threads[thread].first_key_value().expect("a call is held").1.footprint.clone()
    }

    fn release(&self, thread: usize) {
        let call = self.threads.lock().unwrap()[thread].pop_first();
        let _ = call.expect("a call is held").1.sender.send(());
    }
}

/// The same value with the members of objects in order: the SDK writes them in any.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.into_iter().collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

impl Layer for Gate {
    fn hold<'a>(&'a self, call: &'a DynamoCall) -> Held<'a> {
        Box::pin(async move {
            let of_thread = THREAD.try_with(|thread| (thread.number, thread.is_before_second_request.get()));
            let Ok((thread, is_before_second_request)) = of_thread else { return };
            let Some((text, mut footprint)) = self.named(call) else { return };
            footprint.matters_to_all |= is_before_second_request;
            let (sender, receiver) = oneshot::channel();
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            self.threads.lock().unwrap()[thread].insert((text, number), HeldCall { footprint, sender });
            let _ = receiver.await;
        })
    }
}

/// What the scheduler decides at one point: who could go on with a new effect, and who does.
#[derive(Debug, Clone)]
pub struct Choice {
    pub taken: usize,
    pub among: Vec<usize>,
}

/// A run as it was.
#[derive(Debug)]
pub struct Run {
    pub choices: Vec<Choice>,
    /// Whether another run has the same effect: this one came to where nobody could go on with a new one.
    pub is_redundant: bool,
    /// Whether it could not repeat the choices that it was given.
    pub is_divergent: bool,
}

/// How a run chooses: the first choices are given; the others are the first possible one, or random.
pub struct Chooser {
    given: VecDeque<usize>,
    random: Option<u64>,
    /// Whether one of two orders is enough where both have the same effect.
    skips_equivalent: bool,
}

impl Chooser {
    pub fn first_after(given: Vec<usize>) -> Self {
        Self { given: given.into(), random: None, skips_equivalent: false }
    }

    /// As [`Chooser::first_after`], with one of several orders that have the same effect.
    pub fn first_new_after(given: Vec<usize>) -> Self {
        Self { skips_equivalent: true, ..Self::first_after(given) }
    }

    pub fn random(seed: u64) -> Self {
        Self { given: VecDeque::new(), random: Some(seed | 1), skips_equivalent: false }
    }

    fn choose(&mut self, among: &[usize]) -> usize {
        if let Some(given) = self.given.pop_front() {
            return given;
        }
        match &mut self.random {
            None => among[0],
            Some(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                among[usize::try_from(*state % among.len() as u64).unwrap()]
            }
        }
    }
}

/// Releases the calls of threads until all are done. `crash` ends a thread's task before its n-th call.
pub async fn drive(
    gate: &Gate,
    tasks: &[tokio::task::JoinHandle<()>],
    chooser: &mut Chooser,
    crash: Option<(usize, usize)>,
) -> Run {
    let mut run = Run { choices: Vec::new(), is_redundant: false, is_divergent: false };
    let mut asleep = BTreeSet::new();
    let mut calls = vec![0; tasks.len()];
    for moves in 0.. {
        assert!(moves < MAX_MOVES, "the operations do not come to an end");
        settle(gate, tasks).await;
        if let Some((thread, at)) = crash
            && gate.is_held(thread)
            && calls[thread] + 1 == at
        {
            tasks[thread].abort();
            while !tasks[thread].is_finished() {
                tokio::task::yield_now().await;
            }
            gate.threads.lock().unwrap()[thread].clear();
        }
        let among: Vec<usize> = (0..tasks.len()).filter(|thread| gate.is_held(*thread)).collect();
        if among.is_empty() {
            return run;
        }
        let awake: Vec<usize> = among.iter().copied().filter(|thread| !asleep.contains(thread)).collect();
        run.is_redundant |= awake.is_empty();
        // Beyond the bound in turn, so that whoever waits for somebody sees him go on.
        let is_choice = moves < MAX_BRANCHES && !run.is_redundant;
        let mut taken = if is_choice { chooser.choose(&awake) } else { among[moves % among.len()] };
        if !among.contains(&taken) {
            run.is_divergent = true;
            taken = among[0];
        }
        if is_choice {
            asleep = sleepers(gate, chooser, &asleep, &awake, taken);
            run.choices.push(Choice { taken, among: awake });
        }
        calls[taken] += 1;
        gate.release(taken);
    }
    run
}

/// Who need not go on after a choice, until somebody touches what he is about to: who was asleep, and who was chosen at
/// this point in an earlier run.
fn sleepers(
    gate: &Gate,
    chooser: &Chooser,
    asleep: &BTreeSet<usize>,
    awake: &[usize],
    taken: usize,
) -> BTreeSet<usize> {
    if !chooser.skips_equivalent {
        return BTreeSet::new();
    }
    let chosen = gate.footprint(taken);
    let earlier = awake.iter().copied().take_while(|thread| *thread != taken);
    let before = asleep.iter().copied().chain(earlier);
    before.filter(|thread| gate.is_held(*thread) && gate.footprint(*thread).commutes_with(&chosen)).collect()
}

/// Waits until each thread is done or has a call that is held. The clock is paused: waiting costs nothing.
async fn settle(gate: &Gate, tasks: &[tokio::task::JoinHandle<()>]) {
    let is_settled = || tasks.iter().enumerate().all(|(thread, task)| task.is_finished() || gate.is_held(thread));
    let mut still = 0;
    while still < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        still = if is_settled() { still + 1 } else { 0 };
    }
}

/// The schedule after one: the last choice that has an alternative takes it. `None` after the last schedule.
pub fn next(mut choices: Vec<Choice>) -> Option<Vec<usize>> {
    while let Some(last) = choices.pop() {
        let later = last.among.iter().position(|thread| *thread == last.taken).and_then(|at| last.among.get(at + 1));
        if let Some(later) = later {
            return Some(choices.iter().map(|choice| choice.taken).chain([*later]).collect());
        }
    }
    None
}
