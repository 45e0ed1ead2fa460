//! Runs operations side by side, one call to DynamoDB at a time, in every order or in a sample of the orders.
//!
//! A connector holds each call until the scheduler releases it. A schedule is the list of choices, which operation goes
//! on. A run repeats a schedule as far as it is given and then takes the first operation that can go on; the last choice
//! that has an alternative makes the next schedule. So every order comes once.
//!
//! Two orders that leave the tables and every operation in the same state go on alike. The schedules after one of them
//! are enough: [`state::States`] knows the states that were seen.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Place;
use super::state::{Names, States};
use crate::support::wire::{Answer, DynamoCall, Held, Layer, Lost};

tokio::task_local! {
    /// The thread whose calls are held; calls of no thread pass.
    pub static THREAD: Thread;
}

/// A task that performs an operation.
#[derive(Debug, Clone, Copy)]
pub struct Thread(pub usize);

impl Thread {
    /// The number of this task's thread.
    pub fn current() -> Option<usize> {
        THREAD.try_with(|thread| thread.0).ok()
    }
}

/// Choices beyond this one are not varied. No operations have as many calls; one that waits for another one polls.
const MAX_BRANCHES: usize = 150;

/// Releases in one run. Beyond, something waits for what never comes.
const MAX_MOVES: usize = 400;

/// A call that is held: its text, and when it came.
type HeldCall = (String, usize);

/// The states of earlier runs, and which requests of this one have ended before which began.
pub type Seen<'a> = (&'a mut HashSet<u64>, &'a dyn Fn() -> Vec<(Place, Place)>);

/// Holds the calls of threads.
#[derive(Debug, Default)]
pub struct Gate {
    /// The calls of each thread in the order of their text, with names for ids: a schedule means the same in each run.
    threads: Mutex<Vec<BTreeMap<HeldCall, oneshot::Sender<()>>>>,
    states: Mutex<States>,
    calls: AtomicUsize,
    /// Calls that were released and are not answered yet.
    under_way: AtomicUsize,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a run of that many threads. Only calls that name something that they share are held.
    pub fn begin(&self, threads: usize, names: Names) {
        *self.threads.lock().unwrap() = (0..threads).map(|_| BTreeMap::new()).collect();
        *self.states.lock().unwrap() = States::new(threads, names);
    }

    fn is_held(&self, thread: usize) -> bool {
        !self.threads.lock().unwrap()[thread].is_empty()
    }

    fn is_waiting(&self, thread: usize) -> bool {
        self.states.lock().unwrap().is_waiting(thread)
    }

    fn release(&self, thread: usize) {
        let call = self.threads.lock().unwrap()[thread].pop_first();
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _ = call.expect("a call is held").1.send(());
    }
}

impl Layer for Gate {
    fn hold<'a>(&'a self, call: &'a DynamoCall) -> Held<'a> {
        Box::pin(async move {
            let Some(thread) = Thread::current() else { return };
            let Some(text) = self.states.lock().unwrap().shared_text(call) else { return };
            let (sender, receiver) = oneshot::channel();
            let number = self.calls.fetch_add(1, Ordering::SeqCst);
            self.threads.lock().unwrap()[thread].insert((text, number), sender);
            let _ = receiver.await;
        })
    }

    fn after(&self, call: &DynamoCall, answer: &Answer) -> Result<(), Lost> {
        if let Some(thread) = Thread::current() {
            let was_held = self.states.lock().unwrap().note(thread, call, answer);
            self.under_way.fetch_sub(usize::from(was_held), Ordering::SeqCst);
        }
        Ok(())
    }
}

/// What the scheduler decides at one point: who could go on, and who does.
#[derive(Debug, Clone)]
pub struct Choice {
    pub taken: usize,
    pub among: Vec<usize>,
}

/// A run as it was.
#[derive(Debug)]
pub struct Run {
    pub choices: Vec<Choice>,
    /// Whether it came to a state that an earlier run has been in.
    pub is_redundant: bool,
    /// Whether it could not repeat the choices that it was given.
    pub is_divergent: bool,
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

/// Releases the calls of threads until all are done. `crash` ends a thread's task before its n-th call. With the states
/// of earlier runs, choices end where one of them comes again.
pub async fn drive(
    gate: &Gate,
    tasks: &[tokio::task::JoinHandle<()>],
    chooser: &mut Chooser,
    crash: Option<(usize, usize)>,
    mut seen: Option<Seen<'_>>,
) -> Run {
    let mut run = Run { choices: Vec::new(), is_redundant: false, is_divergent: false };
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
        let held: Vec<usize> = (0..tasks.len()).filter(|thread| gate.is_held(*thread)).collect();
        if held.is_empty() {
            return run;
        }
        // Whoever waits need not look again before somebody else has written.
        let busy: Vec<usize> = held.iter().copied().filter(|thread| !gate.is_waiting(*thread)).collect();
        let among = if busy.is_empty() { held } else { busy };
        if let Some((seen, order)) = &mut seen
            && chooser.given.is_empty()
            && !run.is_redundant
        {
            run.is_redundant = !seen.insert(gate.states.lock().unwrap().hash(order()));
        }
        // Beyond the bound in turn, so that whoever waits for somebody sees him go on.
        let is_choice = moves < MAX_BRANCHES && !run.is_redundant;
        let mut taken = if is_choice { chooser.choose(&among) } else { among[moves % among.len()] };
        if !among.contains(&taken) {
            run.is_divergent = true;
            taken = among[0];
        }
        if is_choice {
            run.choices.push(Choice { taken, among });
        }
        calls[taken] += 1;
        gate.release(taken);
    }
    run
}

/// Waits until no call is under way, and each thread is done or has a call that is held. The clock is paused: waiting
/// costs nothing.
async fn settle(gate: &Gate, tasks: &[tokio::task::JoinHandle<()>]) {
    let is_answered = || gate.under_way.load(Ordering::SeqCst) == 0;
    let is_settled =
        || is_answered() && tasks.iter().enumerate().all(|(thread, task)| task.is_finished() || gate.is_held(thread));
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
