//! Every interleaving of operations on one group, call by call, held against a model: is there an order of the
//! operations that explains every answer, every tag and the final state on every read path?
//!
//! `ROLLCALL_PAIR_RUNS` bounds the runs of two operations, `ROLLCALL_BATCH_RUNS` those of two with a batch,
//! `ROLLCALL_TAKEOVER_RUNS` those of a batch that another process takes over, and `ROLLCALL_TRIPLE_RUNS` those of three. A
//! set that needs more is sampled, and the seed is printed. `ROLLCALL_SETS` names the sets to run, for example
//! `Put+Put,AddMany+Get`. With any of them, each set is reported as it ends. `make interleavings` runs every pair whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use self::footprint::Footprints;
use self::model::{Event, is_explained};
use self::people::People;
use self::scheduler::{Choice, Chooser, Gate, Seen};
use self::world::{Ahead, Log, World, clock};
use crate::support::{Harness, is_embedded, random};

mod footprint;
mod model;
mod people;
mod scheduler;
mod state;
mod world;

/// More than a transaction takes: they come and go together, and the model knows them as one.
const MANY: &str = "many";

/// Some of the many and not all: what no order explains.
const PART: &str = "a part of the many";

/// Worlds in one store: a store with less in it is faster.
const MAX_USES: usize = 500;

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// `new` joins.
    Add,
    /// A member and `new` join.
    AddTwo,
    /// `new` joins by POST /GroupMembers.
    Post,
    /// `old` leaves.
    Remove,
    /// `old` leaves and `new` joins, in one PATCH.
    Exchange,
    /// PUT of another one.
    Put,
    /// GET, and PUT of what was read and of another one, if nothing has changed.
    ReadAndPut,
    Rename,
    AddMany,
    RemoveMany,
    PutMany,
    /// The many and `new` join.
    AddManyAndNew,
    /// The many and `old` leave.
    RemoveManyAndOld,
    /// `new` leaves.
    RemoveNew,
    /// `old` joins.
    AddOld,
    /// GET, and if `new` is a member, it leaves: no order explains that it stays.
    SeeAndRemoveNew,
    /// GET, and if `old` is no member, it joins.
    SeeAndAddOld,
    DeleteGroup,
    /// DELETE of the user `old`.
    DeleteOld,
    /// DELETE of the user `new`.
    DeleteNew,
    Get,
    GetIfChanged,
    List,
    GroupMembers,
}

use Operation::*;

const CHANGES: [Operation; 14] = [
    Add,
    AddTwo,
    Post,
    Remove,
    Exchange,
    Put,
    ReadAndPut,
    Rename,
    AddMany,
    RemoveMany,
    PutMany,
    DeleteGroup,
    DeleteOld,
    DeleteNew,
];

const READS: [Operation; 4] = [Get, GetIfChanged, List, GroupMembers];

/// Each has led to a fault: of an earlier protocol, or of an attempt at this one.
const TRIPLES: [[Operation; 3]; 10] = [
    [Add, Put, Get],
    [AddTwo, Put, Get],
    [Add, ReadAndPut, Remove],
    [Add, AddMany, Get],
    [Remove, PutMany, Get],
    [AddMany, PutMany, Get],
    [AddMany, DeleteNew, List],
    [PutMany, DeleteGroup, Add],
    [Rename, Add, ReadAndPut],
    [Exchange, Put, GroupMembers],
];

/// A batch, and what settles one of its members while it is pending.
const NEXT_TO_BATCHES: [&[Operation]; 15] = [
    &[AddManyAndNew, SeeAndRemoveNew],
    &[RemoveManyAndOld, SeeAndAddOld],
    &[PutMany, SeeAndAddOld],
    &[AddManyAndNew, RemoveNew],
    &[RemoveManyAndOld, AddOld],
    &[AddManyAndNew, RemoveNew, Get],
    &[AddManyAndNew, RemoveNew, Add],
    &[AddManyAndNew, RemoveNew, DeleteNew],
    &[RemoveManyAndOld, AddOld, GroupMembers],
    &[RemoveManyAndOld, AddOld, Remove],
    &[PutMany, Add, Remove],
    &[AddManyAndNew, AddMany, RemoveNew],
    &[AddManyAndNew, RemoveNew, Post],
    // Two batches that change other members: the second one must not take the place of the first.
    &[AddManyAndNew, AddMany],
    &[AddManyAndNew, PutMany],
];

#[tokio::test(start_paused = true)]
async fn no_order_of_two_operations_is_unexplained() {
    explore(&pairs(|set| !has_batch(set)), 6).await;
}

#[tokio::test(start_paused = true)]
async fn no_order_of_a_batch_and_another_operation_is_unexplained() {
    explore(&pairs(has_batch), 1).await;
}

/// As if whoever carries a batch out had stopped for longer than the lease, and then went on.
#[tokio::test(start_paused = true)]
async fn no_order_of_a_batch_and_who_takes_it_over_is_unexplained() {
    for ahead in [0, 1] {
        explore_with(&pairs(has_batch), 1, Some(ahead)).await;
    }
}

/// The member leaves and goes after the group was read, and before it is looked up: 412 and not 400.
#[tokio::test(start_paused = true)]
async fn a_tag_is_compared_before_a_member_that_is_gone() {
    if !is_embedded() {
        return;
    }
    let mut explorer = Explorer::new().await;
    let order = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].map(Choice::from).to_vec();
    explorer.run(&[ReadAndPut, DeleteOld], Chooser::first_after(order), None, None).await;
    explorer.report();
}

#[tokio::test(start_paused = true)]
async fn no_order_of_these_three_operations_is_unexplained() {
    let triples: Vec<_> = TRIPLES.iter().map(|triple| triple.to_vec()).collect();
    explore(&triples, 4).await;
}

#[tokio::test(start_paused = true)]
async fn no_order_next_to_a_batch_is_unexplained() {
    explore(&NEXT_TO_BATCHES.map(<[_]>::to_vec), 1).await;
}

#[tokio::test(start_paused = true)]
async fn no_crash_between_two_calls_is_seen() {
    if !is_embedded() {
        return;
    }
    let mut explorer = Explorer::new().await;
    let usual = [Add, AddTwo, Exchange, Put, AddMany, PutMany, RemoveMany, DeleteGroup, DeleteOld];
    let pairs = usual.map(|one| [Get, Add, Put].map(|other| (one, other))).into_iter().flatten();
    for (one, other) in
        pairs.chain([(AddManyAndNew, RemoveNew), (RemoveManyAndOld, AddOld), (RemoveNew, AddManyAndNew)])
    {
        for at in 1.. {
            let chooser = Chooser::random(u64::try_from(at).unwrap());
            if explorer.run(&[one, other], chooser, Some((0, at)), None).await.is_none() {
                break;
            }
        }
    }
    explorer.report();
}

fn begins_with_many(set: &[Operation]) -> bool {
    set.contains(&RemoveMany) || set.contains(&RemoveManyAndOld)
}

/// Two changes, or a change and a read.
fn pairs(is_wanted: fn(&[Operation]) -> bool) -> Vec<Vec<Operation>> {
    let mut pairs = Vec::new();
    for (at, one) in CHANGES.iter().enumerate() {
        pairs.extend(CHANGES[at..].iter().chain(&READS).map(|other| vec![*one, *other]));
    }
    pairs.retain(|set| is_wanted(set));
    pairs
}

fn has_batch(set: &[Operation]) -> bool {
    set.iter().any(|operation| is_batch(*operation))
}

/// Whether an operation changes more members than a transaction takes.
fn is_batch(operation: Operation) -> bool {
    matches!(operation, AddMany | RemoveMany | PutMany | AddManyAndNew | RemoveManyAndOld)
}

/// The most runs of a set.
fn bound(set: &[Operation], default: usize, ahead: Option<usize>) -> usize {
    // A batch has many calls, and each takes long.
    let default = if has_batch(set) { 1 } else { default };
    let variable = match (set.len(), has_batch(set)) {
        (3.., _) => "ROLLCALL_TRIPLE_RUNS",
        (_, true) if ahead.is_some() => "ROLLCALL_TAKEOVER_RUNS",
        (_, true) => "ROLLCALL_BATCH_RUNS",
        (_, false) => "ROLLCALL_PAIR_RUNS",
    };
    std::env::var(variable).map_or(default, |bound| bound.parse().unwrap())
}

async fn explore(sets: &[Vec<Operation>], default: usize) {
    explore_with(sets, default, None).await;
}

async fn explore_with(sets: &[Vec<Operation>], default: usize, ahead: Option<usize>) {
    if !is_embedded() {
        return;
    }
    let mut explorer = Explorer::new().await;
    explorer.ahead.set(ahead);
    let names = std::env::var("ROLLCALL_SETS").ok();
    let is_named =
        |set: &[Operation]| names.as_ref().is_none_or(|names| names.split(',').any(|name| name == text(set)));
    let runs = ["PAIR", "BATCH", "TAKEOVER", "TRIPLE"].map(|sets| format!("ROLLCALL_{sets}_RUNS"));
    let is_reported = names.is_some() || runs.map(std::env::var).iter().any(Result::is_ok);
    for set in sets.iter().filter(|set| is_named(set)) {
        let (before, runs, began) = (explorer.schedules, explorer.runs, std::time::Instant::now());
        explorer.explore(set, bound(set, default, ahead)).await;
        if is_reported {
            let is_whole = if explorer.sampled.contains(&text(set)) { "sampled" } else { "whole" };
            let schedules = explorer.schedules - before;
            let runs = explorer.runs - runs;
            eprintln!("{}: {schedules} schedules, {is_whole}, {runs} runs, {} s", text(set), began.elapsed().as_secs());
        }
    }
    explorer.report();
}

/// A request of a thread: which of its requests.
type Place = (usize, usize);

/// Which requests have ended before which began: no order of the operations says otherwise.
fn precedence(logs: &[Log], gate: &Gate) -> Vec<(Place, Place)> {
    let mut times = Vec::new();
    for (thread, log) in logs.iter().enumerate() {
        for (at, event) in log.lock().unwrap().iter().enumerate() {
            let is_open = event.seen.is_none();
            let begun = if is_open { gate.request_begun(thread).unwrap_or(usize::MAX) } else { event.begun };
            times.push(((thread, at), begun, event.ended));
        }
    }
    let pairs = times.iter().flat_map(|(before, _, ended)| {
        times.iter().filter(move |(_, begun, _)| ended < begun).map(move |(after, ..)| (*before, *after))
    });
    pairs.collect()
}

/// The name of a set.
fn text(set: &[Operation]) -> String {
    set.iter().map(|operation| format!("{operation:?}")).collect::<Vec<_>>().join("+")
}

/// Where the exploration of a set is.
struct Search {
    seen: Seen,
    /// What operations touch: by earlier explorations, and by this one.
    known: Option<Footprints>,
    touched: Footprints,
}

struct Explorer {
    now: Timestamp,
    ahead: Arc<Ahead>,
    harness: Harness,
    gate: Arc<Gate>,
    people: People,
    /// Worlds in this store.
    uses: usize,
    schedules: usize,
    runs: usize,
    /// Sets with more schedules than the bound.
    sampled: Vec<String>,
    faults: Vec<String>,
    /// Runs that did not repeat the schedule that they were to go on from.
    diverged: usize,
}

impl Explorer {
    async fn new() -> Self {
        let (gate, ahead) = (Gate::new(), Arc::new(Ahead::default()));
        // A whole second: what a request adds to it while it pauses is less than another one.
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        let harness = Harness::with(vec![gate.clone()]).await.with_clock(clock(now, ahead.clone()));
        Self {
            now,
            ahead,
            harness,
            gate,
            people: People::default(),
            uses: usize::MAX,
            schedules: 0,
            runs: 0,
            sampled: Vec::new(),
            faults: Vec::new(),
            diverged: 0,
        }
    }

    /// Every schedule, if no more runs than the bound are needed.
    async fn explore(&mut self, set: &[Operation], bound: usize) {
        // The first run holds every call; those after it, the calls that another operation is known to be in the way of.
        let mut search = Search { known: None, touched: Footprints::new(set.len()), seen: Seen::new() };
        self.run(set, Chooser::first_after(Vec::new()), None, Some(&mut search)).await;
        let mut runs = 1;
        loop {
            let touched = search.touched;
            search = Search { known: Some(touched.clone()), touched: touched.clone(), seen: Seen::new() };
            let before = self.schedules;
            let mut given = Some(Vec::new());
            // A run may find what is in the way of another call, which the runs before it did not hold: all begins anew.
            while let Some(choices) = given.filter(|_| !search.touched.meet_beyond(&touched)) {
                if runs == bound {
                    return self.sample(set, bound).await;
                }
                runs += 1;
                given = scheduler::next(
                    self.run(set, Chooser::first_after(choices), None, Some(&mut search)).await.unwrap(),
                );
            }
            if !search.touched.meet_beyond(&touched) {
                return;
            }
            self.schedules = before;
        }
    }

    async fn sample(&mut self, set: &[Operation], runs: usize) {
        self.sampled.push(text(set));
        for _ in 0..runs {
            let seed = u64::try_from(random() >> 64).unwrap();
            let before = self.faults.len();
            self.run(set, Chooser::random(seed), None, None).await;
            if self.faults.len() > before {
                eprintln!("{set:?}: seed {seed}");
            }
        }
    }

    /// Runs one schedule and judges it; `None` if the thread that was to crash had come to its end before.
    async fn run(
        &mut self,
        set: &[Operation],
        chooser: Chooser,
        crash: Option<(usize, usize)>,
        search: Option<&mut Search>,
    ) -> Option<Vec<Choice>> {
        self.runs += 1;
        let world = self.world(set).await;
        let run = self.run_in(&world, set, chooser, crash, search).await;
        if !set.iter().any(|operation| matches!(operation, DeleteOld | DeleteNew)) {
            world.people.iter().for_each(|(name, person)| self.people.put_back(name, person.clone()));
        }
        run
    }

    async fn run_in(
        &mut self,
        world: &World,
        set: &[Operation],
        mut chooser: Chooser,
        crash: Option<(usize, usize)>,
        mut search: Option<&mut Search>,
    ) -> Option<Vec<Choice>> {
        let known = search.as_ref().and_then(|search| search.known.clone());
        self.gate.begin(set.len(), world.id_names(), world.clock.clone(), known);
        let tasks: Vec<_> = set.iter().enumerate().map(|(thread, operation)| world.spawn(thread, *operation)).collect();
        let (handles, logs): (Vec<_>, Vec<_>) = tasks.into_iter().unzip();
        let order = || precedence(&logs, &self.gate);
        let memory = search.as_mut().map(|search| (&mut search.seen, &order as _));
        let scheduler::Run { choices, is_redundant, is_divergent } =
            scheduler::drive(&self.gate, &handles, &mut chooser, crash, memory).await;
        self.diverged += usize::from(is_divergent);
        if let Some(search) = search {
            search.touched.extend(&self.gate.touched());
        }
        if is_redundant {
            self.abandon(handles).await;
            return Some(choices);
        }
        let is_crashed = crash.is_none_or(|(thread, _)| handles[thread].is_finished());
        let mut events: Vec<Event> = Vec::new();
        for (thread, handle) in handles.into_iter().enumerate() {
            let ended = handle.await;
            assert!(ended.is_ok() || crash.is_some_and(|(crashed, _)| crashed == thread), "{set:?}: {ended:?}");
            let first = events.len();
            let of_thread = std::mem::take(&mut *logs[thread].lock().unwrap());
            events
                .extend(of_thread.into_iter().map(|event| Event { after: event.after.map(|at| at + first), ..event }));
        }
        let has_crashed = events.iter().any(|event| event.seen.is_none());
        self.finish(world, set, crash.filter(|_| has_crashed), &mut events).await;
        self.schedules += 1;
        if !is_explained(&world.start(), &events) {
            let order: Vec<_> = choices.iter().map(|choice| choice.taken.to_string()).collect();
            eprintln!("unexplained: {set:?} {}", order.join(""));
            self.faults.push(format!("{set:?} crash {crash:?}, order {}: {events:#?}", order.join("")));
        }
        (crash.is_none() || (is_crashed && has_crashed)).then_some(choices)
    }

    /// Ends a run whose rest is known, and deletes what it wrote: the worker would go on with it.
    async fn abandon(&self, handles: Vec<tokio::task::JoinHandle<()>>) {
        for handle in handles {
            handle.abort();
            let _ = handle.await;
        }
        self.people.delete(&self.harness, &self.gate.written());
    }

    /// The retry of who has crashed, the worker's work, and what every read path shows then.
    async fn finish(&self, world: &World, set: &[Operation], crash: Option<(usize, usize)>, events: &mut Vec<Event>) {
        if let Some((thread, _)) = crash {
            let log = Log::default();
            world.perform(set[thread], &log).await;
            let retried = std::mem::take(&mut *log.lock().unwrap());
            let first = events.len();
            events.extend(retried.into_iter().map(|event| Event { after: event.after.map(|at| at + first), ..event }));
        }
        world.harness.settle().await;
        for read in [Get, List, GroupMembers] {
            let log = Log::default();
            world.perform(read, &log).await;
            events.append(&mut log.lock().unwrap());
        }
        events.push(world.read_by_user().await);
    }

    async fn world(&mut self, set: &[Operation]) -> World {
        if self.uses > MAX_USES {
            self.harness = Harness::with(vec![self.gate.clone()]).await.with_clock(clock(self.now, self.ahead.clone()));
            (self.people, self.uses) = (People::new(&self.harness).await, 0);
        }
        self.uses += 1;
        let mut people = BTreeMap::new();
        for name in ["old", "new", "other"] {
            people.insert(name, self.people.take(&self.harness, name).await);
        }
        let many = if has_batch(set) { &**self.people.many } else { &[] };
        people::reset(&self.harness, many.iter().chain(people.values()));
        let mut members = vec![json!({"value": people["old"].id})];
        if begins_with_many(set) {
            members.extend(self.people.many.iter().map(|person| json!({"value": person.id})));
        }
        let name = format!("g-{:x}", random());
        let body = json!({"displayName": name, "members": members});
        let group = self.harness.send("POST", "/Groups", body).await;
        assert_eq!(group.status, 201, "{group:?}");
        World {
            harness: self.harness.clone(),
            gate: self.gate.clone(),
            group: group.body["id"].as_str().unwrap().to_owned(),
            name,
            people: Arc::new(people),
            many: self.people.many.clone(),
            clock: Arc::default(),
            first_tag: group.headers["etag"].to_str().unwrap().to_owned(),
        }
        .with_many(begins_with_many(set))
    }

    fn report(&self) {
        let Self { schedules, sampled, faults, diverged, .. } = self;
        eprintln!(
            "{schedules} schedules, {} sets sampled, {diverged} diverged, {} unexplained; sampled: {}",
            sampled.len(),
            faults.len(),
            sampled.join(" ")
        );
        assert!(faults.is_empty(), "{} of {schedules} are unexplained; the first: {}", faults.len(), faults[0]);
    }
}
