//! How many requests a second a tenant may send: a token bucket, known by the time when it is full again (GCRA, as in
//! ITU-T I.371). One number is the whole state, and one addition takes tokens out.

use std::fmt;
use std::str::FromStr;

use crate::limits::{
    DEFAULT_BURST_REQUESTS, DEFAULT_REQUESTS_PER_SECOND, MAX_BURST_SECONDS, MAX_RATE_WAIT_SECONDS,
    MAX_REQUESTS_PER_SECOND, RATE_DEBT_SECONDS,
};

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// What a tenant's settings say of its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TenantRate {
    /// What the deployment says.
    #[default]
    Default,
    /// No limit.
    Off,
    /// This limit.
    Limit(RateLimit),
}

/// A token bucket: how fast it fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

/// What a bucket has for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// The bucket.
    pub limit: RateLimit,
    /// Requests that it has left.
    pub remaining: u32,
    /// Seconds until it is full again.
    pub reset_seconds: u32,
    /// Seconds until it has something for the request; none if it has it now.
    pub wait_seconds: Option<u32>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: DEFAULT_REQUESTS_PER_SECOND, burst: DEFAULT_BURST_REQUESTS }
    }
}

impl RateLimit {
    /// Requests a second.
    pub fn per_second(self) -> u32 {
        self.per_second
    }

    /// Requests at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Whole seconds in which an empty bucket fills.
    pub fn fill_seconds(self) -> u32 {
        seconds(self.capacity())
    }

    /// So many requests, as microseconds of the bucket's filling.
    pub fn cost(self, requests: i64) -> i64 {
        (SECOND / i64::from(self.per_second.max(1))).saturating_mul(requests)
    }

    /// All that the bucket holds.
    pub fn capacity(self) -> i64 {
        self.cost(i64::from(self.burst))
    }

    /// The latest time that a bucket may be full again: what is taken beyond it is forgotten, so that nobody waits longer
    /// than [`MAX_RATE_WAIT_SECONDS`].
    pub fn last_refill(self, now: i64) -> i64 {
        now.saturating_add(self.capacity()).saturating_add(i64::from(RATE_DEBT_SECONDS) * SECOND)
    }

    /// What the bucket has for one more request at `now`, if it is full again at `refill` and so many requests are not in
    /// it yet. Times are microseconds since 1970.
    pub fn state(self, refill: i64, unrecorded: i64, now: i64) -> RateState {
        let unrecorded = self.cost(unrecorded).min(i64::from(RATE_DEBT_SECONDS) * SECOND);
        let debt = refill.saturating_sub(now).max(0).saturating_add(unrecorded);
        let after = debt.saturating_add(self.cost(1));
        let excess = after - self.capacity();
        if excess > 0 {
            let wait = seconds(excess).clamp(1, MAX_RATE_WAIT_SECONDS);
            return RateState { limit: self, remaining: 0, reset_seconds: seconds(debt), wait_seconds: Some(wait) };
        }
        let remaining = u32::try_from(-excess / self.cost(1)).unwrap_or(u32::MAX);
        RateState { limit: self, remaining, reset_seconds: seconds(after), wait_seconds: None }
    }
}

/// Whole seconds, rounded up.
fn seconds(microseconds: i64) -> u32 {
    u32::try_from(microseconds.saturating_add(SECOND - 1) / SECOND).unwrap_or(0)
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.per_second, self.burst)
    }
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(rate, burst)| Some((rate.parse().ok()?, burst.parse().ok()?)));
        match parts {
            Some((per_second, burst))
                if (1..=MAX_REQUESTS_PER_SECOND).contains(&per_second)
                    && (1..=per_second * MAX_BURST_SECONDS).contains(&burst) =>
            {
                Ok(Self { per_second, burst })
            }
            _ => Err(format!(
                "{text} is not RATE/BURST, with a rate of 1 to {MAX_REQUESTS_PER_SECOND} requests a second and a burst of \
                 at most {MAX_BURST_SECONDS} seconds of it; send a rate such as 50/200, or off or default"
            )),
        }
    }
}

impl fmt::Display for TenantRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Off => f.write_str("off"),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl FromStr for TenantRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "off" => Ok(Self::Off),
            limit => limit.parse().map(Self::Limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for text in ["50/200", "1/1", "10000/10000", "off", "default", "25/500"] {
            assert_eq!(text.parse::<TenantRate>().unwrap().to_string(), text);
        }
        for text in ["", "50", "0/1", "1/0", "50/1001", "10001/1", "-1/5", "50/200/3", "4000000000/1"] {
            assert!(text.parse::<TenantRate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_bucket_has_its_burst_and_then_its_rate() {
        let limit: RateLimit = "50/200".parse().unwrap();
        let (mut refill, mut passed) = (0, Vec::new());
        // 1,000 requests a second for ten seconds.
        for number in 0..10_000_i64 {
            let now = number * 1_000;
            let state = limit.state(refill, 0, now);
            if state.wait_seconds.is_none() {
                refill = refill.max(now) + limit.cost(1);
                passed.push(now);
            }
        }
        let count = |from: i64, until: i64| passed.iter().filter(|at| (from..until).contains(at)).count();
        assert_eq!(passed.len(), 200 + 500 - 1, "burst and rate; the first token of all fills while the last is taken");
        assert!((0..9).all(|second| count(second * SECOND, (second + 1) * SECOND) >= 49));
        assert_eq!(limit.state(0, 0, 0).remaining, 199);
        assert_eq!((limit.state(0, 0, 0).reset_seconds, limit.fill_seconds()), (1, 4));
    }

    #[test]
    fn no_wait_is_longer_than_documented() {
        for text in ["1/1", "1/20", "50/200", "10000/200000"] {
            let limit: RateLimit = text.parse().unwrap();
            for unrecorded in [0, 1, 1_000, 1_000_000] {
                let longest = limit.last_refill(0);
                let wait = limit.state(longest, unrecorded, 0).wait_seconds.unwrap();
                assert!((1..=MAX_RATE_WAIT_SECONDS).contains(&wait), "{text} {unrecorded} {wait}");
                // It is true: after that time a request passes.
                let later = i64::from(wait) * SECOND;
                assert_eq!(limit.state(longest, 0, later).wait_seconds, None, "{text} {unrecorded}");
            }
        }
    }
}
