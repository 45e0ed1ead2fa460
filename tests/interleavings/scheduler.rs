//! Runs operations side by side, one call to DynamoDB at a time, in every order or in a sample of the orders.
//!
//! A connector holds each call until the scheduler releases it. A schedule is the list of choices, which operation goes
//! on. A run repeats a schedule as far as it is given and then takes the first operation that can go on; the last choice
//! that has an alternative makes the next schedule. So every order comes once.
//!
//! Two orders that leave the tables and every operation in the same state go on alike. The schedules after one of them
//! are enough: [`state::States`] knows the states that were seen. A call that no other operation is in the way of is not
//! held: [`footprint::Footprints`] knows what operations touch.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::Place;
use super::footprint::{Footprint, Footprints};
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

/// Releases in one run. Beyond, something waits for what never comes. Who waits for the lease of a crashed request asks
/// for the job every [`MIN_BATCH_POLL_MS`] in `make interleavings`: 400 times, with some calls each.
///
/// [`MIN_BATCH_POLL_MS`]: rollcall::limits::MIN_BATCH_POLL_MS
const MAX_MOVES: usize = 4_000;

/// A call that is held: its text, and when it came.
type HeldCall = (String, usize);

/// The states of earlier runs, each with the threads that did not go on from it because they slept.
pub type Seen = HashMap<u64, BTreeSet<usize>>;

/// What a run in search of new states is given: those of earlier runs, and which of its requests have ended before which
/// began.
pub type Memory<'a> = (&'a mut Seen, &'a dyn Fn() -> Vec<(Place, Place)>);

/// How long the scheduler waits before it looks for the first time whether each thread has come to a call.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Longer than any operation pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Holds the calls of threads.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<State>,
}

/// A run as far as it is.
#[derive(Debug, Default)]
struct State {
    /// The calls of each thread in the order of their text, with names for ids: a schedule means the same in each run.
    held: Vec<BTreeMap<HeldCall, (Footprint, oneshot::Sender<()>)>>,
    calls: usize,
    /// Calls that were released and are not answered yet: thread and text.
    under_way: Vec<(usize, String)>,
    states: States,
    /// What operations are known to touch. Without it, each call that names something shared is held.
    known: Option<Footprints>,
    /// What they touch in this run.
    touched: Footprints,
    written: Vec<DynamoCall>,
    clock: Arc<AtomicUsize>,
    /// When the first call of each thread's request was released.
    begun: Vec<Option<usize>>,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Begins a run of that many threads. Only calls that name something that they share are held, and of them those
    /// that another thread is known to be in the way of.
    pub fn begin(&self, threads: usize, names: Names, clock: Arc<AtomicUsize>, known: Option<Footprints>) {
        *self.state() = State {
            held: (0..threads).map(|_| BTreeMap::new()).collect(),
            states: States::new(threads, names),
            touched: Footprints::new(threads),
            begun: vec![None; threads],
            clock,
            known,
            ..State::default()
        };
    }

    /// What the threads touched in this run.
    pub fn touched(&self) -> Footprints {
        self.state().touched.clone()
    }

    /// The writes of threads in this run.
    pub fn written(&self) -> Vec<DynamoCall> {
        std::mem::take(&mut self.state().written)
    }

    /// A thread begins a request.
    pub fn begin_request(&self, thread: usize) {
        let state = &mut *self.state();
        state.begun[thread] = None;
        state.states.begin_request(thread);
    }

    /// When the first call of the request was released, if one was held.
    pub fn request_begun(&self, thread: usize) -> Option<usize> {
        self.state().begun[thread]
    }

    fn state_hash(&self, order: Vec<(Place, Place)>) -> u64 {
        self.state().states.hash(order)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Whether a call of a thread is held. One that its operation has given up, as its time was over, is none any more.
    fn is_held(&self, thread: usize) -> bool {
        let held = &mut self.state().held[thread];
        held.retain(|_, (_, sender)| !sender.is_closed());
        !held.is_empty()
    }

    fn is_waiting(&self, thread: usize) -> bool {
        self.state().states.is_waiting(thread)
    }

    /// Whether two threads come to the same state, whichever goes on first. The first call of a request does not commute:
    /// the request is after those that have ended.
    fn commute(&self, one: usize, other: usize) -> bool {
        let state = self.state();
        let next = |thread: usize| state.held[thread].first_key_value().map(|(_, (footprint, _))| footprint);
        let has_begun = |thread: usize| state.begun[thread].is_some();
        let (Some(first), Some(second)) = (next(one), next(other)) else { return false };
        has_begun(one) && has_begun(other) && !first.meets(second)
    }

    fn release(&self, thread: usize) {
        let state = &mut *self.state();
        let ((text, _), (_, sender)) = state.held[thread].pop_first().expect("a call is held");
        let begun = &mut state.begun[thread];
        begun.get_or_insert_with(|| state.clock.fetch_add(1, Ordering::SeqCst));
        state.under_way.push((thread, text));
        let _ = sender.send(());
    }

    /// A receiver for the release of a call; `None` if it need not wait.
    fn enter(&self, call: &DynamoCall) -> Option<oneshot::Receiver<()>> {
        let thread = Thread::current()?;
        let state = &mut *self.state();
        state.states.begin_call(thread);
        let footprint = state.states.footprint(thread, call);
        state.touched.add(thread, &footprint);
        let text = state.states.shared_text(call)?;
        if state.known.as_ref().is_some_and(|known| !known.meet(thread, &footprint)) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.calls += 1;
        state.held[thread].insert((text, state.calls), (footprint, sender));
        Some(receiver)
    }
}

/// Hears that a thread's change lost a race, which the code under test says in its log.
pub struct LostRaces {
    pub gate: Arc<Gate>,
    pub thread: usize,
}

impl LostRaces {
    /// The log of a thread.
    pub fn log(self) -> Dispatch {
        let target = Targets::new().with_target("rollcall::api::write", LevelFilter::DEBUG);
        tracing_subscriber::registry().with(self.with_filter(target)).into()
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for LostRaces {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.gate.state().states.lose_race(self.thread);
    }
}

impl Layer for Gate {
    fn hold<'a>(&'a self, call: &'a DynamoCall) -> Held<'a> {
        Box::pin(async move {
            if let Some(receiver) = self.enter(call) {
                let _ = receiver.await;
            }
        })
    }

    fn after(&self, call: &DynamoCall, answer: &Answer) -> Result<(), Lost> {
        let Some(thread) = Thread::current() else { return Ok(()) };
        let state = &mut *self.state();
        state.states.note(thread, call, answer);
        if answer.0 == 200 {
            state.written.push(call.clone());
        }
        let text = state.states.shared_text(call).unwrap_or_default();
        if let Some(at) = state.under_way.iter().position(|(other, other_text)| *other == thread && *other_text == text)
        {
            state.under_way.swap_remove(at);
        }
        Ok(())
    }
}

/// What the scheduler decides at one point: who could go on, and who does.
#[derive(Debug, Clone)]
pub struct Choice {
    pub taken: usize,
    pub among: Vec<usize>,
    /// Who sleeps: to go on later is as good as now, and another run did now (sleep sets: Godefroid, 1996).
    asleep: BTreeSet<usize>,
}

impl From<usize> for Choice {
    fn from(taken: usize) -> Self {
        Self { taken, among: vec![taken], asleep: BTreeSet::new() }
    }
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
    given: VecDeque<Choice>,
    random: Option<u64>,
}

impl Chooser {
    pub fn first_after(given: Vec<Choice>) -> Self {
        Self { given: given.into(), random: None }
    }

    pub fn random(seed: u64) -> Self {
        Self { given: VecDeque::new(), random: Some(seed | 1) }
    }

    fn choose(&mut self, among: &[usize]) -> usize {
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
/// of earlier runs, the run ends where it would only repeat one of them.
pub async fn drive(
    gate: &Gate,
    tasks: &[tokio::task::JoinHandle<()>],
    chooser: &mut Chooser,
    crash: Option<(usize, usize)>,
    mut memory: Option<Memory<'_>>,
) -> Run {
    let mut run = Run { choices: Vec::new(), is_redundant: false, is_divergent: false };
    let mut calls = vec![0; tasks.len()];
    let mut asleep = BTreeSet::new();
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
            gate.state().held[thread].clear();
        }
        let held: Vec<usize> = (0..tasks.len()).filter(|thread| gate.is_held(*thread)).collect();
        if held.is_empty() {
            return run;
        }
        // Whoever waits need not look again before somebody else has written.
        let busy: Vec<usize> = held.iter().copied().filter(|thread| !gate.is_waiting(*thread)).collect();
        let mut among = if busy.is_empty() { held } else { busy };
        let mut taken = among[moves % among.len()];
        // Beyond the bound in turn, so that whoever waits for somebody sees him go on.
        if moves < MAX_BRANCHES {
            let choice = match chooser.given.pop_front() {
                Some(choice) => choice,
                None => {
                    if let Some((seen, order)) = &mut memory {
                        retain_new(&mut among, seen, gate.state_hash(order()), &asleep);
                    }
                    if among.is_empty() {
                        run.is_redundant = true;
                        return run;
                    }
                    Choice { taken: chooser.choose(&among), among: among.clone(), asleep }
                }
            };
            taken = choice.taken;
            let earlier = choice.among.iter().copied().take_while(|thread| *thread != taken);
            asleep =
                choice.asleep.iter().copied().chain(earlier).filter(|thread| gate.commute(*thread, taken)).collect();
            run.choices.push(choice);
        }
        if !gate.is_held(taken) {
            (run.is_divergent, taken) = (true, among[0]);
        }
        calls[taken] += 1;
        gate.release(taken);
    }
    run
}

/// Leaves those threads who go on to what no run has seen.
fn retain_new(among: &mut Vec<usize>, seen: &mut Seen, state: u64, asleep: &BTreeSet<usize>) {
    among.retain(|thread| !asleep.contains(thread));
    match seen.entry(state) {
        Entry::Vacant(entry) => _ = entry.insert(asleep.clone()),
        Entry::Occupied(mut entry) => {
            among.retain(|thread| entry.get().contains(thread));
            entry.get_mut().retain(|thread| asleep.contains(thread));
        }
    }
}

/// Waits until no call is under way, and each thread is done or has a call that is held. The clock is paused: only each
/// look costs something, and a thread may pause for seconds.
async fn settle(gate: &Gate, tasks: &[tokio::task::JoinHandle<()>]) {
    let is_answered = || gate.state().under_way.iter().all(|(thread, _)| tasks[*thread].is_finished());
    let is_settled =
        || is_answered() && tasks.iter().enumerate().all(|(thread, task)| task.is_finished() || gate.is_held(thread));
    let (mut still, mut pause) = (0, FIRST_PAUSE);
    while still < 2 {
        tokio::time::sleep(pause).await;
        assert!(pause < LONGEST_PAUSE, "an operation waits for what never comes");
        (still, pause) = if is_settled() { (still + 1, FIRST_PAUSE) } else { (0, pause * 2) };
    }
}

/// The schedule after one: the last choice that has an alternative takes it. `None` after the last schedule.
pub fn next(mut choices: Vec<Choice>) -> Option<Vec<Choice>> {
    while let Some(mut last) = choices.pop() {
        let later = last.among.iter().position(|thread| *thread == last.taken).and_then(|at| last.among.get(at + 1));
        if let Some(later) = later {
            last.taken = *later;
            choices.push(last);
            return Some(choices);
        }
    }
    None
}
