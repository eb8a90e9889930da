//! How many requests an endpoint may get a second: the generic cell rate algorithm (GCRA), which
//! needs one number of state and no timer.
//!
//! Guarantee: over any `t` seconds no more than `burst + rate × t` requests are granted, whatever
//! the number of hosts, as long as they share the state by compare-and-set. Not promised: even
//! spacing within the burst.

use crate::time::Timestamp;

/// Highest rate, in requests per second.
pub const PER_SECOND_MAX: f64 = 10_000.0;
/// Lowest rate, in requests per second: one an hour.
pub const PER_SECOND_MIN: f64 = 1.0 / 3_600.0;
/// Largest burst, in requests.
pub const BURST_MAX: u32 = 10_000;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds from one request to the next.
    interval_us: i64,
    /// Requests that may go at once after a silence.
    burst: u32,
}

/// What is remembered of the past: the time, in microseconds since the epoch, at which the
/// endpoint would have rested. 0 is a fresh state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateState(pub i64);

/// Leave for some requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Requests that may go now.
    pub requests: usize,
    /// The state once they have gone.
    pub state: RateState,
}

/// What is wrong with a limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too slow or too fast.
    #[error("{0} requests per second: must be one an hour to {PER_SECOND_MAX} a second")]
    PerSecond(f64),
    /// Nothing could ever go, or too much at once.
    #[error("a burst of {0} requests: must be 1 to {BURST_MAX}")]
    Burst(u32),
}

// === impl Rate ===

impl Rate {
    /// `per_second` requests a second on average, `burst` at once after a silence.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(per_second: f64, burst: u32) -> Result<Self, Error> {
        // A NaN is in no range.
        if !(PER_SECOND_MIN..=PER_SECOND_MAX).contains(&per_second) {
            return Err(Error::PerSecond(per_second));
        }
        if !(1..=BURST_MAX).contains(&burst) {
            return Err(Error::Burst(burst));
        }
        Ok(Self { interval_us: (1_000_000.0 / per_second).round() as i64, burst })
    }

    /// Requests per second.
    pub fn per_second(self) -> f64 {
        1_000_000.0 / self.interval_us as f64
    }

    /// Requests that may go at once after a silence.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// How many of `wanted` requests may go at `now`.
    pub fn grant(self, state: RateState, now: Timestamp, wanted: usize) -> Grant {
        let now_us = micros(now);
        let rested = state.0.max(now_us);
        // The state may run ahead of now by a burst less one: then one more may go.
        let ahead_max = self.interval_us.saturating_mul(i64::from(self.burst));
        let left_us = ahead_max.saturating_sub(rested.saturating_sub(now_us));
        let free = usize::try_from(left_us / self.interval_us).unwrap_or(0);
        let requests = wanted.min(free);
        let taken = i64::try_from(requests).unwrap_or(i64::MAX);
        let state = match requests {
            0 => state,
            _ => RateState(rested.saturating_add(self.interval_us.saturating_mul(taken))),
        };
        Grant { requests, state }
    }

    /// When one more request may go, at `now` or later.
    pub fn next_at(self, state: RateState, now: Timestamp) -> Timestamp {
        let ahead_max = self.interval_us.saturating_mul(i64::from(self.burst) - 1);
        let free_us = state.0.saturating_sub(ahead_max);
        let wait_us = free_us.saturating_sub(micros(now)).max(0);
        // Up: a look too early would find nothing and look again.
        now.plus_millis(wait_us.saturating_add(999) / 1_000)
    }
}

fn micros(at: Timestamp) -> i64 {
    at.as_millis().saturating_mul(1_000)
}

#[cfg(test)]
mod tests;
