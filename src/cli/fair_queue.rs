//! Shares the processors and the disk between tenants, so that one at full speed does not slow the others down. What takes
//! a turn is not a whole request but each step of it, up to where it waits: a request that waits for something holds
//! nobody up. Of the disk, each tenant gets so many writes a second.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::limits::{MAX_COUNTED_TENANTS, MAX_WRITE_PAUSE_MS, SERVE_SHARE_SECONDS, WRITE_PAUSE_MS};

/// The lines in which the steps of requests wait.
#[derive(Debug, Clone)]
pub(super) struct FairQueue(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    /// Steps that run at once while several tenants share.
    places: usize,
    /// Steps that run.
    running: usize,
    next_ticket: u64,
    lines: HashMap<String, Line>,
    /// Tenants with waiting steps, in the order of their turns.
    turns: VecDeque<String>,
}

/// The line of one tenant.
#[derive(Debug)]
struct Line {
    running: usize,
    waiting: VecDeque<(u64, Waker)>,
    /// Whose turn it is, and who has not begun.
    called: BTreeSet<u64>,
    /// When the last request came.
    seen: Instant,
    /// When the next write may begin, if the tenant shares.
    next_write: Instant,
}

impl FairQueue {
    /// For a machine with so many processors.
    pub(super) fn new(processors: usize) -> Self {
        let places = processors.max(2);
        let (lines, turns) = (HashMap::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(Lines { places, running: 0, next_ticket: 0, lines, turns })))
    }

    /// Does a request's work, step by step, in the line of its tenant.
    pub(super) fn run<F: Future + Send>(&self, tenant: &str, work: F) -> InLine<Pin<Box<F>>> {
        let tenant = self.lines().join(tenant, Instant::now());
        InLine { queue: self.clone(), tenant, ticket: None, work: Box::pin(work) }
    }

    /// Waits for a tenant's turn to write. One that is alone does not wait.
    pub(super) async fn wait_to_write(&self, tenant: &str) {
        let turn = self.lines().write_pause(tenant, Instant::now());
        pause(turn).await;
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a step, and calls who is next.
    fn end(&self, tenant: &str) {
        let called = self.lines().end(tenant, Instant::now());
        called.into_iter().for_each(Waker::wake);
    }
}

/// Work that waits for its turns.
pub(super) struct InLine<F> {
    queue: FairQueue,
    tenant: String,
    /// Of the step that waits.
    ticket: Option<u64>,
    work: F,
}

/// A step that runs. It ends even if the work panics.
struct Turn<'q>(&'q FairQueue, &'q str);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}

impl<F: Future + Unpin> Future for InLine<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if !this.queue.lines().begin(&this.tenant, &mut this.ticket, context.waker(), Instant::now()) {
            return Poll::Pending;
        }
        let _turn = Turn(&this.queue, &this.tenant);
        Pin::new(&mut this.work).poll(context)
    }
}

impl<F> Drop for InLine<F> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let was_called = self.queue.lines().leave(&self.tenant, ticket);
        if was_called {
            self.queue.end(&self.tenant);
        }
    }
}

impl Lines {
    /// Notes that a request of a tenant has come; the name of its line. Those without a request lately have none.
    fn join(&mut self, tenant: &str, now: Instant) -> String {
        if self.lines.len() >= MAX_COUNTED_TENANTS && !self.lines.contains_key(tenant) {
            self.lines.retain(|_, line| line.is_in_use(now));
        }
        // More than that are one.
        let name = if self.lines.len() < MAX_COUNTED_TENANTS || self.lines.contains_key(tenant) { tenant } else { "" };
        let line = self.lines.entry(name.to_owned()).or_insert_with(|| Line::new(now));
        line.seen = now;
        name.to_owned()
    }

    /// How long a tenant's next write waits for its turn while others are there: as long as those before it take at the
    /// tenant's share. Those without credentials do not count: they write little, and an open page is not another tenant.
    fn write_pause(&mut self, tenant: &str, now: Instant) -> Duration {
        let tenant = self.join(tenant, now);
        let is_another = |(name, line): (&String, &Line)| *name != tenant && !name.is_empty() && line.is_in_use(now);
        let is_shared = self.lines.iter().any(is_another);
        let Some(line) = self.lines.get_mut(&tenant).filter(|_| is_shared) else { return Duration::ZERO };
        let turn = line.next_write.clamp(now, now + Duration::from_millis(MAX_WRITE_PAUSE_MS));
        line.next_write = turn + Duration::from_millis(WRITE_PAUSE_MS);
        turn.duration_since(now)
    }

    /// Whether a step may run now; if not, it waits, and its waker is called.
    fn begin(&mut self, tenant: &str, ticket: &mut Option<u64>, waker: &Waker, now: Instant) -> bool {
        if let Some(number) = *ticket {
            let Some(line) = self.lines.get_mut(tenant) else { return true };
            if line.called.remove(&number) {
                *ticket = None;
                return true;
            }
            if let Some((_, waiting)) = line.waiting.iter_mut().find(|(other, _)| *other == number) {
                waiting.clone_from(waker);
            }
            return false;
        }
        let fits = self.fits(tenant, now);
        let line = self.lines.entry(tenant.to_owned()).or_insert_with(|| Line::new(now));
        if fits && line.waiting.is_empty() {
            line.running += 1;
            self.running += 1;
            return true;
        }
        if line.waiting.is_empty() {
            self.turns.push_back(tenant.to_owned());
        }
        line.waiting.push_back((self.next_ticket, waker.clone()));
        *ticket = Some(self.next_ticket);
        self.next_ticket += 1;
        false
    }

    /// Whether one more step of a tenant may run. A tenant that is alone has everything. Of several each has half of the
    /// places at most, so that there is always one for the next.
    fn fits(&self, tenant: &str, now: Instant) -> bool {
        let is_alone = self.lines.iter().all(|(name, line)| name == tenant || !line.is_in_use(now));
        let running = self.lines.get(tenant).map_or(0, |line| line.running);
        is_alone || (self.running < self.places && running < (self.places / 2).max(1))
    }

    /// Ends a step; whom to wake.
    fn end(&mut self, tenant: &str, now: Instant) -> Vec<Waker> {
        self.running = self.running.saturating_sub(1);
        if let Some(line) = self.lines.get_mut(tenant) {
            line.running = line.running.saturating_sub(1);
        }
        let mut called = Vec::new();
        // Each tenant in turn, until none that waits may run.
        let mut passed = 0;
        while passed < self.turns.len() {
            let Some(next) = self.turns.pop_front() else { break };
            let fits = self.fits(&next, now);
            let Some(line) = self.lines.get_mut(&next) else { continue };
            if !fits {
                passed += 1;
                self.turns.push_back(next);
                continue;
            }
            if let Some((ticket, waker)) = line.waiting.pop_front() {
                passed = 0;
                line.called.insert(ticket);
                line.running += 1;
                self.running += 1;
                called.push(waker);
            }
            if !line.waiting.is_empty() {
                self.turns.push_back(next);
            }
        }
        called
    }

    /// Takes a step that waits out of its line; whether it was called, so that it counts as one that runs.
    fn leave(&mut self, tenant: &str, ticket: u64) -> bool {
        let Some(line) = self.lines.get_mut(tenant) else { return false };
        let was_called = line.called.remove(&ticket);
        line.waiting.retain(|(other, _)| *other != ticket);
        if line.waiting.is_empty() {
            self.turns.retain(|waiting| waiting != tenant);
        }
        was_called
    }
}

impl Line {
    fn new(now: Instant) -> Self {
        Self { running: 0, waiting: VecDeque::new(), called: BTreeSet::new(), seen: now, next_write: now }
    }

    fn is_in_use(&self, now: Instant) -> bool {
        let is_recent = now.saturating_duration_since(self.seen) < Duration::from_secs(SERVE_SHARE_SECONDS);
        is_recent || self.running > 0 || !self.waiting.is_empty()
    }
}

/// Waits, if there is anything to wait for: tokio's sleep of no time lasts until its next tick, about a millisecond.
pub(super) async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    struct Turns(Lines, Instant);

    impl Turns {
        fn new(places: usize) -> Self {
            Self(
                Lines { places, running: 0, next_ticket: 0, lines: HashMap::new(), turns: VecDeque::new() },
                Instant::now(),
            )
        }

        /// Begins a step; its ticket if it has to wait.
        fn step(&mut self, tenant: &str) -> Option<u64> {
            self.0.join(tenant, self.1);
            let mut ticket = None;
            self.0.begin(tenant, &mut ticket, Waker::noop(), self.1);
            ticket
        }

        fn end(&mut self, tenant: &str) -> usize {
            self.0.end(tenant, self.1).len()
        }

        /// Whether a waiting step may run.
        fn is_called(&mut self, tenant: &str, ticket: u64) -> bool {
            self.0.begin(tenant, &mut Some(ticket), Waker::noop(), self.1)
        }
    }

    #[test]
    fn a_tenant_that_is_alone_has_everything() {
        let mut turns = Turns::new(2);
        assert!((0..100).all(|_| turns.step("acme").is_none()));
    }

    #[test]
    fn the_next_tenant_finds_a_place_and_then_they_take_turns() {
        let mut turns = Turns::new(2);
        turns.0.join("globex", turns.1);
        assert_eq!(turns.step("acme"), None);
        let waiting: Vec<_> = (0..31).map(|_| turns.step("acme").unwrap()).collect();
        assert_eq!(turns.step("globex"), None, "32 of another tenant are before it, and it does not wait");
        let next = turns.step("globex").unwrap();
        // Every end of a step calls one of the same tenant, first come first served.
        assert_eq!((turns.end("acme"), turns.is_called("acme", waiting[0])), (1, true));
        assert!(!turns.is_called("acme", waiting[1]) && !turns.is_called("globex", next));
        assert_eq!((turns.end("globex"), turns.is_called("globex", next)), (1, true));
        assert_eq!((turns.end("globex"), turns.end("acme")), (0, 1), "no more than its half");
        assert!(turns.is_called("acme", waiting[1]));
    }

    #[test]
    fn of_three_tenants_none_waits_longer_than_one_step_of_each_other() {
        let mut turns = Turns::new(2);
        for tenant in ["a", "b", "c"] {
            turns.0.join(tenant, turns.1);
        }
        assert_eq!((turns.step("a"), turns.step("b")), (None, None));
        let (a, c) = (turns.step("a").unwrap(), turns.step("c").unwrap());
        assert_eq!(turns.end("b"), 1);
        assert!(turns.is_called("c", c) && !turns.is_called("a", a));
        assert_eq!((turns.end("a"), turns.is_called("a", a)), (1, true));
    }

    #[test]
    fn who_goes_away_holds_no_place() {
        let mut turns = Turns::new(2);
        turns.0.join("globex", turns.1);
        assert_eq!(turns.step("acme"), None);
        let (first, second) = (turns.step("acme").unwrap(), turns.step("acme").unwrap());
        assert!(!turns.0.leave("acme", first));
        assert_eq!(turns.end("acme"), 1);
        assert!(turns.0.leave("acme", second), "it was called");
        assert_eq!(turns.end("acme"), 0);
        assert_eq!((turns.0.running, turns.0.turns.len()), (0, 0));
    }

    #[test]
    fn when_the_others_have_gone_everything_waiting_runs() {
        let mut turns = Turns::new(2);
        turns.0.join("globex", turns.1);
        assert_eq!(turns.step("acme"), None);
        let waiting: Vec<_> = (0..5).map(|_| turns.step("acme").unwrap()).collect();
        turns.1 += Duration::from_secs(SERVE_SHARE_SECONDS);
        assert_eq!(turns.end("acme"), 5);
        assert!(waiting.into_iter().all(|ticket| turns.is_called("acme", ticket)));
    }

    #[test]
    fn writes_of_a_tenant_take_turns_while_another_is_there() {
        let mut turns = Turns::new(2);
        let pause = |turns: &mut Turns, tenant| turns.0.write_pause(tenant, turns.1).as_millis();
        turns.0.join("", turns.1);
        assert!((0..1000).all(|_| pause(&mut turns, "acme") == 0), "alone, but for an open page");
        assert_eq!(pause(&mut turns, "globex"), 0);
        let share = u128::from(WRITE_PAUSE_MS);
        assert_eq!([0; 3].map(|_| pause(&mut turns, "acme")), [0, share, 2 * share]);
        assert_eq!(pause(&mut turns, "globex"), share, "each waits for its own writes alone");
        let longest = (0..1000).map(|_| pause(&mut turns, "acme")).max().unwrap();
        assert_eq!(longest, u128::from(MAX_WRITE_PAUSE_MS));
        turns.1 += Duration::from_millis(MAX_WRITE_PAUSE_MS + WRITE_PAUSE_MS);
        assert_eq!(pause(&mut turns, "acme"), 0, "unused turns do not add up");
        assert_eq!(pause(&mut turns, "acme"), share);
        turns.1 += Duration::from_secs(SERVE_SHARE_SECONDS);
        assert!((0..1000).all(|_| pause(&mut turns, "acme") == 0), "alone again");
    }

    #[tokio::test]
    async fn who_waits_for_nothing_goes_on_at_once() {
        assert_eq!(pause(Duration::ZERO).now_or_never(), Some(()));
        assert_eq!(FairQueue::new(2).wait_to_write("acme").now_or_never(), Some(()));
        assert_eq!(pause(Duration::from_secs(60)).now_or_never(), None);
    }

    /// Twenty steps of a request; every fifth request goes away at once.
    async fn request(queue: FairQueue, number: usize) {
        let tenant = ["a", "b", "c"][number % 3];
        let steps = async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        };
        match number % 5 {
            0 => drop(tokio::time::timeout(Duration::ZERO, queue.run(tenant, steps)).await),
            _ => queue.run(tenant, steps).await,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn everything_is_done_however_many_wait_and_go_away() {
        let queue = FairQueue::new(2);
        let requests = (0..300).map(|number| tokio::spawn(request(queue.clone(), number)));
        futures_util::future::try_join_all(requests.collect::<Vec<_>>()).await.unwrap();
        let lines = queue.lines();
        assert_eq!((lines.running, lines.turns.len()), (0, 0));
        assert!(lines.lines.values().all(|line| line.called.is_empty() && line.waiting.is_empty()));
    }
}
