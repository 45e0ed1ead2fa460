//! The rate of a tenant: who is answered, who waits and for how long, and what it costs. On Lambda many processes count
//! together, so a test has many of them on one store, and a clock of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use rollcall::app::edge::EdgeSecret;
use rollcall::app::rate_limiter::RateLimiter;
use rollcall::app::{App, Clock};
use rollcall::limits::{
    DEFAULT_BURST_REQUESTS, DEFAULT_REQUESTS_PER_SECOND, MAX_RATE_WAIT_SECONDS, MAX_UNRECORDED_REQUESTS,
};
use rollcall::tenant::RateLimit;
use serde_json::{Value, json};

use crate::admin::ask;
use crate::bulk::bulk;
use crate::support::budget::Budget;
use crate::support::{Harness, ScimResponse, is_embedded};

/// The time of every process, in microseconds since 1970.
#[derive(Clone)]
struct VirtualClock(Arc<AtomicI64>);

impl VirtualClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Timestamp::now().as_microsecond())))
    }

    fn advance_ms(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds * 1_000, Ordering::SeqCst);
    }

    /// A process with that clock and that limiter.
    fn process(&self, harness: &Harness, rates: RateLimiter) -> Harness {
        let time = self.0.clone();
        let now = move || Timestamp::from_microsecond(time.load(Ordering::SeqCst)).unwrap();
        let app = App { clock: Clock::Fixed(Arc::new(now)), rates: Arc::new(rates), ..(*harness.app).clone() };
        Harness { app: Arc::new(app), ..harness.clone() }
    }
}

fn of_lambda() -> RateLimiter {
    RateLimiter::of_lambda("default").unwrap()
}

async fn set_rate(harness: &Harness, rate: &str) {
    let admin = harness.operator().await;
    let reply = ask(harness, &admin, "PATCH", "/tenants/acme", json!({"settings": {"rate": rate}})).await;
    assert_eq!((reply.status, &reply.body["settings"]["rate"]), (200, &json!(rate)), "{reply:?}");
}

async fn get(harness: &Harness) -> ScimResponse {
    harness.send("GET", "/ServiceProviderConfig", None).await
}

/// The parameters of the header `RateLimit`.
fn rate_of(reply: &ScimResponse) -> BTreeMap<String, u32> {
    let text = reply.headers["ratelimit"].to_str().unwrap();
    let parameters = text.strip_prefix("\"tenant\";").unwrap().split(';');
    parameters.map(|it| it.split_once('=').unwrap()).map(|(name, n)| (name.into(), n.parse().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn one_process_answers_the_burst_and_then_the_rate_exactly() {
    let clock = VirtualClock::new();
    let harness = clock.process(&Harness::new().await, RateLimiter::of_one_process());
    assert!(get(&harness).await.headers.get("ratelimit").is_none(), "without a rate there is no limit");
    set_rate(&harness, "5/10").await;
    for left in (0..10).rev() {
        let reply = get(&harness).await;
        assert_eq!((reply.status, rate_of(&reply)["r"]), (200, left));
        assert_eq!(reply.headers["ratelimit-policy"], "\"tenant\";q=10;w=2");
    }
    let refused = get(&harness).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &"1".parse().unwrap()), "{refused:?}");
    assert_eq!(rate_of(&refused), BTreeMap::from([("r".into(), 0), ("t".into(), 1)]));
    assert!(refused.body["detail"].as_str().unwrap().contains("5 a second"), "{refused:?}");
    // A fifth of a second is one request, and refused ones cost nothing.
    for _ in 0..20 {
        clock.advance_ms(200);
        assert_eq!((get(&harness).await.status, get(&harness).await.status), (200, 429));
    }
    // Nobody else waits, and the operators do not either.
    let header = format!("Bearer {}", harness.globex);
    let other = harness.raw("GET", "/globex/scim/v2/Schemas", Vec::new(), &[("authorization", &header)]).await;
    assert_eq!((other.status, other.headers.get("ratelimit")), (200, None));
    set_rate(&harness, "off").await;
    assert_eq!(get(&harness).await.status, 200);
    for wrong in ["50", "0/1", "5/101"] {
        let admin = harness.operator().await;
        let reply = ask(&harness, &admin, "PATCH", "/tenants/acme", json!({"settings": {"rate": wrong}})).await;
        reply.assert_error(400, "invalidValue");
    }
}

#[tokio::test(start_paused = true)]
async fn strangers_take_nothing_from_a_tenant() {
    let clock = VirtualClock::new();
    let harness = clock.process(&Harness::new().await, RateLimiter::of_one_process());
    set_rate(&harness, "1/5").await;
    for _ in 0..20 {
        let forged = [("authorization", "Bearer scim_acme_nothing")];
        assert_eq!(harness.raw("GET", "/acme/scim/v2/Users", Vec::new(), &forged).await.status, 401);
    }
    assert_eq!(rate_of(&get(&harness).await)["r"], 4);
}

#[tokio::test(start_paused = true)]
async fn the_operations_of_a_bulk_count_and_nobody_waits_for_long() {
    let clock = VirtualClock::new();
    let harness = clock.process(&Harness::new().await, RateLimiter::of_one_process());
    set_rate(&harness, "10/20").await;
    let operation = |n: usize| json!({"method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": {"userName": format!("u{n}")}});
    let operations: Vec<Value> = (0..400).map(operation).collect();
    let reply = harness.send("POST", "/Bulk", bulk(json!(operations))).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body["Operations"].as_array().unwrap().iter().all(|result| result["status"] == "201"));
    let refused = get(&harness).await;
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(refused.status == 429 && (5..=MAX_RATE_WAIT_SECONDS).contains(&wait), "{refused:?}");
    clock.advance_ms(i64::from(wait) * 1_000);
    assert_eq!(get(&harness).await.status, 200, "who waits as long as told is answered");
}

#[tokio::test(start_paused = true)]
async fn what_passes_the_edge_by_finds_nothing_and_reads_nothing() {
    let budget = Budget::new();
    let harness = Harness::with(vec![budget.clone()]).await;
    // The SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let app = App { edge: Some(EdgeSecret::parse(hash).unwrap()), ..(*harness.app).clone() };
    let harness = Harness { app: Arc::new(app), ..harness };
    let through = ("x-rollcall-edge", "abc");
    let reply = harness.send_with("POST", "/Users", json!({"userName": "bob"}), &[through]).await;
    let path = format!("/Users/{}", reply.body["id"].as_str().unwrap());
    budget.take();
    for headers in [&[][..], &[("x-rollcall-edge", "other")]] {
        assert_eq!(harness.send_with("GET", &path, None, headers).await.status, 404);
    }
    assert!(budget.take().calls.is_empty());
    assert_eq!(harness.send_with("GET", &path, None, &[through]).await.status, 200);
}

/// The bound of ADR 0056: so many requests of a key in so many seconds, by so many processes.
fn bound(seconds: u32, processes: usize) -> usize {
    let together = DEFAULT_BURST_REQUESTS + DEFAULT_REQUESTS_PER_SECOND * seconds;
    together as usize + processes * (MAX_UNRECORDED_REQUESTS as usize + 1)
}

#[tokio::test(start_paused = true)]
async fn many_processes_together_answer_no_more_than_the_bound_and_no_less_than_the_rate() {
    const PROCESSES: usize = 16;
    const SECONDS: u32 = 20;
    const LAST: u32 = 5;
    let clock = VirtualClock::new();
    let harness = Harness::new().await;
    let processes: Vec<_> = (0..PROCESSES).map(|_| clock.process(&harness, of_lambda())).collect();
    let (mut answered, mut last_second) = (0, 0);
    // Each process gets 20 requests a second, 320 together: six times the rate.
    for step in 0..SECONDS * 20 {
        for process in &processes {
            let reply = get(process).await;
            assert!(matches!(reply.status, 200 | 429), "{reply:?}");
            if reply.status == 200 {
                answered += 1;
                last_second += usize::from(step >= (SECONDS - LAST) * 20);
            } else {
                let wait: u32 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=MAX_RATE_WAIT_SECONDS).contains(&wait), "{wait}");
            }
        }
        clock.advance_ms(50);
    }
    assert!(answered <= bound(SECONDS, PROCESSES), "{answered} of at most {}", bound(SECONDS, PROCESSES));
    // What is counted late is counted once: in the long run it is the rate.
    let fair = (DEFAULT_REQUESTS_PER_SECOND * LAST) as usize;
    assert!((fair * 7 / 10..=fair * 13 / 10).contains(&last_second), "{last_second} in five seconds, not {fair}");
    assert!(answered >= (DEFAULT_REQUESTS_PER_SECOND * SECONDS) as usize, "{answered}");
}

#[tokio::test(start_paused = true)]
async fn below_its_rate_a_tenant_never_waits() {
    let clock = VirtualClock::new();
    let harness = Harness::new().await;
    let processes: Vec<_> = (0..8).map(|_| clock.process(&harness, of_lambda())).collect();
    // 40 requests a second by eight processes, for half a minute: Entra ID sends 25.
    for number in 0..1_200 {
        assert_eq!(get(&processes[number % 8]).await.status, 200, "{number}");
        clock.advance_ms(25);
    }
}

#[tokio::test(start_paused = true)]
async fn counting_costs_one_write_of_25_requests_and_no_round_trip() {
    if !is_embedded() {
        return;
    }
    let budget = Budget::new();
    let clock = VirtualClock::new();
    let harness = clock.process(&Harness::with(vec![budget.clone()]).await, of_lambda());
    let id = harness.user("bob").await;
    budget.take();
    let mut writes = 0;
    for _ in 0..100 {
        assert_eq!(harness.send("GET", &format!("/Users/{id}"), None).await.status, 200);
        let spent = budget.take();
        assert_eq!(spent.round_trips, 1, "{spent:?}");
        let updates = spent.calls.iter().filter(|call| *call == "UpdateItem").count();
        assert_eq!((spent.calls.len() - updates, spent.wcu), (2, updates as f64), "{spent:?}");
        writes += updates;
        clock.advance_ms(100);
    }
    // One more that found the bucket full again.
    assert!((3..=5).contains(&writes), "{writes}");
    // A dry run counts, and writes nothing.
    let reply = harness.send_with("POST", "/Users", json!({"userName": "x"}), &[("rollcall-dry-run", "true")]).await;
    assert!(reply.status == 201 && rate_of(&reply)["r"] > 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_counted_again() {
    let clock = VirtualClock::new();
    let harness = clock.process(&Harness::new().await, of_lambda());
    set_rate(&harness, "1/8").await;
    // An eighth of a small burst is one request.
    let statuses = |replies: &[ScimResponse]| replies.iter().map(|reply| reply.status).collect::<Vec<_>>();
    let mut replies = Vec::new();
    for _ in 0..10 {
        replies.push(get(&harness).await);
    }
    assert_eq!(statuses(&replies).iter().filter(|status| **status == 200).count(), 8, "{:?}", statuses(&replies));
    let other = clock.process(&harness, of_lambda());
    assert_eq!(get(&other).await.status, 429, "other processes know");
    clock.advance_ms(9_000);
    assert_eq!(get(&other).await.status, 200);
}

/// What AWS has between the clients and the functions, as the template sets it: a bucket for the whole API, and so many
/// processes of a function. Nothing waits there: what is too much is refused.
struct Aws {
    api: RateLimit,
    api_refill: i64,
    /// When each process is idle again, and the process.
    processes: Vec<(i64, Harness)>,
    most: usize,
}

/// The default of a parameter of the template.
fn default_of(parameter: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/template.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let block = text.split(&format!("  {parameter}:\n")).nth(1).unwrap();
    block.split("Default: ").nth(1).unwrap().lines().next().unwrap().to_owned()
}

/// Milliseconds between a client and the API, both ways; of a request that is answered; of one that is refused after the
/// key was read; of the start of a process.
const NETWORK: i64 = 25;
const ANSWER: i64 = 20;
const REFUSAL: i64 = 10;
const COLD_START: i64 = 100;

impl Aws {
    /// The milliseconds that a request takes, and its status.
    async fn send(&mut self, clock: &VirtualClock, harness: &Harness, tenant: &str, noise: i64) -> (i64, u16) {
        let now = clock.0.load(Ordering::SeqCst);
        if self.api.state(self.api_refill, 0, now).wait_seconds.is_some() {
            return (NETWORK, 429);
        }
        self.api_refill = self.api_refill.max(now) + self.api.cost(1);
        let (number, start) = match self.processes.iter().position(|(idle, _)| *idle <= now) {
            Some(number) => (number, 0),
            None if self.processes.len() == self.most => return (NETWORK, 503),
            None => {
                self.processes.push((now, clock.process(harness, of_lambda())));
                (self.processes.len() - 1, COLD_START)
            }
        };
        let (idle, process) = &mut self.processes[number];
        let key = if tenant == "acme" { &process.acme } else { &process.globex };
        let header = format!("Bearer {key}");
        let uri = format!("/{tenant}/scim/v2/ServiceProviderConfig");
        let status = process.raw("GET", &uri, Vec::new(), &[("authorization", &header)]).await.status;
        let work = start + noise + if status == 200 { ANSWER } else { REFUSAL };
        *idle = now + work * 1_000;
        (NETWORK + work, status)
    }
}

/// What globex waits for each of its requests, 20 a second, next to so many clients of acme that send one request after
/// the other and heed no `Retry-After`.
async fn waits_next_to(clients: usize, seconds: i64) -> Vec<i64> {
    let (clock, harness) = (VirtualClock::new(), Harness::new().await);
    let api = format!("{}/{}", default_of("RequestsPerSecond"), default_of("RequestsAtOnce")).parse().unwrap();
    let most = default_of("ReservedConcurrency").parse().unwrap();
    let mut aws = Aws { api, api_refill: 0, processes: Vec::new(), most };
    // When each sends next: the first one is globex.
    let mut next: Vec<i64> = (0..=clients as i64).collect();
    let (mut now, mut waits, mut seed) = (0, Vec::new(), 7_i64);
    while now < seconds * 1_000 {
        let number = (0..next.len()).min_by_key(|number| next[*number]).unwrap();
        clock.advance_ms(next[number] - now);
        now = next[number];
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        let noise = seed / 65_536 % 8;
        if number == 0 {
            let (wait, status) = aws.send(&clock, &harness, "globex", noise).await;
            assert_eq!(status, 200, "after {now} ms");
            waits.push(wait);
            next[0] += 50;
        } else {
            next[number] += aws.send(&clock, &harness, "acme", noise).await.0;
        }
    }
    waits.sort_unstable();
    waits
}

#[tokio::test(start_paused = true)]
async fn on_lambda_a_tenant_at_full_speed_slows_no_other_down() {
    let p99 = |waits: &[i64]| waits[waits.len() * 99 / 100];
    let (alone, together) = (waits_next_to(0, 10).await, waits_next_to(32, 10).await);
    assert!(
        p99(&together) * 2 <= p99(&alone) * 3,
        "{} ms next to 32 clients, {} ms alone",
        p99(&together),
        p99(&alone)
    );
}
