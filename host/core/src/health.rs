//! How an endpoint is doing: breaker, pause, auto-disable. One value per endpoint, kept in the
//! store and shared by all hosts; the counts behind it ([`Window`]) stay in each host's memory.
//!
//! The store asks [`Health::gate`] before it gives a delivery to a worker; the recorder applies
//! [`Health::after`] to every attempt and writes what is worth writing by compare-and-set. So a
//! transition survives a restart and holds on every host, while counting costs no write.
//!
//! Guarantee: while the gate is closed no request is made and no attempt is used up; in a probe
//! there is one request at a time. Not promised: that several hosts open a breaker after exactly as
//! many failures as one would, since each counts what it sees.

use crate::attempt::{ClientErrors, ErrorClass, Outcome};
use crate::time::Timestamp;

mod window;

mod merge;

pub use window::Window;

/// First open period, in milliseconds. It doubles from period to period.
pub const OPEN_MS: i64 = 30_000;
/// Longest open period, in milliseconds.
pub const OPEN_MS_MAX: i64 = 15 * 60_000;
/// An open period is shortened by up to this part of itself, so that endpoints of one dead machine
/// are not probed all at once.
pub const OPEN_JITTER: f64 = 0.1;
/// Successes in a row that close a breaker.
pub const PROBES: u32 = 2;
/// A receiver can pause its endpoint (429 or 503 with `Retry-After`) for so long, in milliseconds.
pub const PAUSE_MS_MAX: i64 = 3_600_000;
/// An endpoint is disabled after so long without a success, in milliseconds, …
pub const FAILING_MS_MAX: i64 = 5 * DAY_MS;
/// … and no fewer failed attempts than these, …
pub const FAILING_ATTEMPTS_MIN: u32 = 20;
/// … the first and the last of which are so far apart, in milliseconds.
pub const FAILING_SPREAD_MS_MIN: i64 = DAY_MS;
/// Without a success for so long, in milliseconds, the operator is warned.
pub const WARN_MS: [i64; 2] = [DAY_MS, 3 * DAY_MS];
/// Failed attempts from which on a count is worth a write.
const FAILING_ATTEMPTS_STEP: u32 = 5;

const DAY_MS: i64 = 24 * 3_600_000;

/// What all hosts know of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether requests make sense.
    pub breaker: Breaker,
    /// The receiver (or the operator) wants nothing before then.
    pub paused_until: Option<Timestamp>,
    /// Nothing is sent until an operator enables it.
    pub disabled: Option<Disabled>,
    /// Since when there was no success. `None`: the last attempt was one.
    pub failing: Option<Failing>,
}

/// The circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaker {
    /// Requests go.
    #[default]
    Closed,
    /// None goes before `until`; then one at a time.
    Open {
        /// End of the period.
        until: Timestamp,
        /// Periods in a row, 1 for the first.
        periods: u32,
        /// Successful probes since the period ended.
        successes: u32,
    },
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The reason.
    pub reason: DisabledReason,
    /// Since when.
    pub at: Timestamp,
}

/// The words of the store, the log and the command line: [`DisabledReason::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// Too long without a success.
    Failing,
    /// By the operator.
    Operator,
}

/// A time without a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The first failed attempt.
    pub since: Timestamp,
    /// The last one that was counted.
    pub last: Timestamp,
    /// Failed attempts.
    pub attempts: u32,
}

/// What an endpoint's configuration says about its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthPolicy {
    /// Whether the breaker may open.
    pub breaker: bool,
    /// Whether a long time without success disables it.
    pub auto_disable: bool,
}

/// Whether a delivery may be claimed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// As many as there are places.
    Open,
    /// One at a time over all hosts.
    Probe,
    /// None before then; `None`: not until the operator enables the endpoint.
    Closed(Option<Timestamp>),
}

// === impl Health ===

impl Health {
    /// Whether a delivery may be claimed at `now`.
    pub fn gate(&self, now: Timestamp) -> Gate {
        if self.disabled.is_some() {
            return Gate::Closed(None);
        }
        let opens_at = match self.breaker {
            Breaker::Closed => None,
            Breaker::Open { until, .. } => Some(until),
        };
        let closed_until = opens_at.max(self.paused_until).filter(|&until| until > now);
        match (closed_until, self.breaker) {
            (Some(until), _) => Gate::Closed(Some(until)),
            (None, Breaker::Open { .. }) => Gate::Probe,
            (None, Breaker::Closed) => Gate::Open,
        }
    }

    /// What an attempt that ended at `now` makes of it. `window` counts for the breaker; `dice` is
    /// in `0.0..1.0`. An address that we refused to dial, or a fault of our own, says nothing about
    /// the endpoint.
    pub fn after(
        &self,
        policy: HealthPolicy,
        window: &mut Window,
        outcome: &Outcome,
        now: Timestamp,
        dice: f64,
    ) -> Self {
        if let Outcome::Failed(ErrorClass::AddressRefused | ErrorClass::Internal) = outcome {
            return self.clone();
        }
        let mut next = self.clone();
        let is_success = outcome.is_success();
        let is_failure = outcome.counts_against_breaker();
        window.count(now, is_failure, outcome.is_connection_failure());
        next.failing = if is_success { None } else { Some(self.failing_after(now)) };
        if policy.breaker {
            next.breaker = self.breaker_after(window, is_failure, now, dice);
        }
        if let Outcome::Answered { status: 429 | 503, retry_after_ms: Some(wait_ms) } = outcome {
            let until = now.plus_millis((*wait_ms).clamp(0, PAUSE_MS_MAX));
            next.paused_until = next.paused_until.max(Some(until));
        }
        next.paused_until = next.paused_until.filter(|&until| until > now);
        if self.disabled.is_none() {
            next.disabled = next.disabled_after(policy, outcome, now);
        }
        next
    }

    /// Whether `next` has to be written over `self`, which was written last: what every host must
    /// know, and now and then the count. A warning counts as known once it is written, so that it
    /// comes once.
    pub fn is_worth_writing(&self, next: &Self) -> bool {
        let count = |health: &Self| health.failing.map_or(0, |failing| failing.attempts);
        self.breaker != next.breaker
            || self.disabled != next.disabled
            || next.paused_until > self.paused_until
            || self.failing.is_some() != next.failing.is_some()
            || self.warning(next).is_some()
            || count(next) >= count(self).saturating_add(FAILING_ATTEMPTS_STEP)
    }

    /// The warning that became due between two attempts, in milliseconds without success.
    pub fn warning(&self, next: &Self) -> Option<i64> {
        let span = |failing: Failing| failing.last.millis_since(failing.since);
        let (before, after) = (self.failing.map_or(0, span), next.failing.map_or(0, span));
        WARN_MS.into_iter().rev().find(|&limit_ms| before < limit_ms && limit_ms <= after)
    }

    fn failing_after(&self, now: Timestamp) -> Failing {
        match self.failing {
            None => Failing { since: now, last: now, attempts: 1 },
            Some(failing) => Failing {
                since: failing.since,
                last: failing.last.max(now),
                attempts: failing.attempts.saturating_add(1),
            },
        }
    }

    fn breaker_after(
        &self,
        window: &mut Window,
        is_failure: bool,
        now: Timestamp,
        dice: f64,
    ) -> Breaker {
        match self.breaker {
            Breaker::Closed if window.is_over_limit(now) => {
                window.clear();
                open(1, now, dice)
            }
            Breaker::Closed => Breaker::Closed,
            // An attempt that began before the breaker opened says nothing new.
            Breaker::Open { until, .. } if now < until => self.breaker,
            Breaker::Open { periods, .. } if is_failure => {
                window.clear();
                open(periods.saturating_add(1), now, dice)
            }
            Breaker::Open { successes, .. } if successes + 1 >= PROBES => {
                window.clear();
                Breaker::Closed
            }
            Breaker::Open { until, periods, successes } => {
                Breaker::Open { until, periods, successes: successes + 1 }
            }
        }
    }

    fn disabled_after(
        &self,
        policy: HealthPolicy,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Option<Disabled> {
        if outcome.is_gone() {
            return Some(Disabled { reason: DisabledReason::Gone, at: now });
        }
        let failing = self.failing.filter(|_| policy.auto_disable)?;
        let is_over = now.millis_since(failing.since) >= FAILING_MS_MAX
            && failing.attempts >= FAILING_ATTEMPTS_MIN
            && failing.last.millis_since(failing.since) >= FAILING_SPREAD_MS_MIN;
        is_over.then_some(Disabled { reason: DisabledReason::Failing, at: now })
    }
}

fn open(periods: u32, now: Timestamp, dice: f64) -> Breaker {
    let doublings = periods.saturating_sub(1).min(20);
    let wait_ms = OPEN_MS.saturating_mul(1 << doublings).min(OPEN_MS_MAX);
    let factor = 1.0 - OPEN_JITTER * dice.clamp(0.0, 1.0);
    let until = now.plus_millis((wait_ms as f64 * factor) as i64);
    Breaker::Open { until, periods, successes: 0 }
}

// === impl Outcome ===

impl Outcome {
    fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }

    fn is_gone(&self) -> bool {
        self.class(ClientErrors::Retry) == crate::attempt::Class::Gone
    }

    /// Network, time, 5xx and 429; not other 4xx, which say that the endpoint is alive.
    fn counts_against_breaker(&self) -> bool {
        match self {
            Self::Answered { status, .. } => *status == 429 || *status >= 500,
            Self::Failed(_) => true,
        }
    }

    fn is_connection_failure(&self) -> bool {
        matches!(self, Self::Failed(ErrorClass::Dns | ErrorClass::Connect | ErrorClass::Tls))
    }
}

// === impl HealthPolicy ===

impl Default for HealthPolicy {
    fn default() -> Self {
        Self { breaker: true, auto_disable: true }
    }
}

// === impl DisabledReason ===

impl DisabledReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Failing, Self::Operator];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
            Self::Operator => "operator",
        }
    }

    /// The reverse of [`DisabledReason::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests;
