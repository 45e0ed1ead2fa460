//! Runs operations side by side, one call to DynamoDB at a time, in every order or in a sample of the orders.
//!
//! A connector holds each call until the scheduler releases it. A schedule is the list of choices, which operation goes
//! on. A run repeats a schedule as far as it is given and then takes the first operation that can go on; the last choice
//! that has an alternative makes the next schedule. So every order comes once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::support::wire::{DynamoCall, Held, Layer};

tokio::task_local! {
    /// The thread whose calls are held; calls of no thread pass.
    pub static THREAD: usize;
}

/// Choices beyond this one are not varied: an operation that waits for another one polls, and would do so for ever.
const MAX_BRANCHES: usize = 26;

/// Releases in one run. Beyond, something waits for what never comes.
const MAX_MOVES: usize = 400;

/// Holds the calls of threads.
#[derive(Debug, Default)]
pub struct Gate {
    /// The calls of each thread in the order of their text, with names for ids: a schedule means the same in each run.
    threads: Mutex<Vec<BTreeMap<(String, usize), oneshot::Sender<()>>>>,
    /// Only calls that name one of these are held: the others touch nothing that two operations share.
    shared: Mutex<BTreeMap<String, String>>,
    calls: AtomicUsize,
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

    /// The text with names for the ids that are shared; `None` if there are none.
    fn named(&self, text: &str) -> Option<String> {
        let shared = self.shared.lock().unwrap();
        let named = shared.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name));
        (named != text).then_some(named)
    }

    fn is_held(&self, thread: usize) -> bool {
        !self.threads.lock().unwrap()[thread].is_empty()
    }

    fn release(&self, thread: usize) {
        let call = self.threads.lock().unwrap()[thread].pop_first();
        let _ = call.expect("a call is held").1.send(());
    }
}

impl Layer for Gate {
    fn hold<'a>(&'a self, call: &'a DynamoCall) -> Held<'a> {
        Box::pin(async move {
            let Ok(thread) = THREAD.try_with(|thread| *thread) else { return };
            let Some(text) = self.named(&call.body.to_string()) else { return };
            let (sender, receiver) = oneshot::channel();
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            self.threads.lock().unwrap()[thread].insert((text, number), sender);
            let _ = receiver.await;
        })
    }
}

/// What the scheduler decides at one point: who could go on, and who does.
#[derive(Debug, Clone)]
pub struct Choice {
    pub taken: usize,
    pub among: Vec<usize>,
}

/// How a run chooses: the first choices are given; the others are the first possible one, or random.
pub struct Chooser {
    given: VecDeque<usize>,
    random: Option<u64>,
}

impl Chooser {
    pub fn first_after(given: Vec<usize>) -> Self {
        Self { given: given.into(), random: None }
    }

    pub fn random(seed: u64) -> Self {
        Self { given: VecDeque::new(), random: Some(seed | 1) }
    }

    fn choose(&mut self, among: &[usize]) -> usize {
        if let Some(given) = self.given.pop_front() {
            assert!(among.contains(&given), "the run is not the one whose schedule it repeats: {given} of {among:?}");
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
) -> Vec<Choice> {
    let mut choices = Vec::new();
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
            return choices;
        }
        // Beyond the bound in turn, so that whoever waits for somebody sees him go on.
        let taken = if moves < MAX_BRANCHES { chooser.choose(&among) } else { among[moves % among.len()] };
        if moves < MAX_BRANCHES {
            choices.push(Choice { taken, among });
        }
        calls[taken] += 1;
        gate.release(taken);
    }
    choices
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
