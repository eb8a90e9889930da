//! When to try again.
//!
//! A [`Schedule`] is a list of waits, one before each attempt, so its length is the number of
//! attempts. A receiver may ask for a longer wait (`Retry-After`, read by [`hint`]), never for a
//! shorter one.
//!
//! Guarantee: a wait after the first attempt is never under a second and never over the step times
//! 1.2, or the capped hint times 1.1. Not promised: the exact moment; the worker sends when it has
//! a free place.

use crate::attempt::ClientErrors;

pub mod hint;

/// Most steps of a schedule.
pub const STEPS_MAX: usize = 32;
/// Longest single step, in milliseconds: 24 hours.
pub const STEP_MS_MAX: i64 = 24 * HOUR_MS;
/// Longest schedule, all steps added, in milliseconds: 14 days.
pub const TOTAL_MS_MAX: i64 = 14 * 24 * HOUR_MS;
/// Shortest wait after the first attempt, in milliseconds.
pub const WAIT_MS_MIN: i64 = SECOND_MS;
/// A receiver's wish for a later attempt counts up to this, in milliseconds: 24 hours.
pub const HINT_MS_MAX: i64 = 24 * HOUR_MS;
/// The `max_age` of the `realtime` preset, in milliseconds: past its last step nothing is worth
/// sending.
pub const REALTIME_MAX_AGE_MS: i64 = MINUTE_MS;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The example schedule of the Standard Webhooks specification, "Retry schedule".
const DEFAULT_STEPS_MS: [i64; 10] = [
    0,
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const REALTIME_STEPS_MS: [i64; 6] =
    [0, SECOND_MS, 2 * SECOND_MS, 5 * SECOND_MS, 10 * SECOND_MS, 30 * SECOND_MS];

/// Waits before each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds before each attempt; the first is usually 0. 1 to 32 steps, at most 14 days in
    /// all.
    steps_ms: Vec<i64>,
    /// Milliseconds after which an event is not worth sending.
    max_age_ms: Option<i64>,
}

/// What an endpoint's configuration says about trying again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// When.
    pub schedule: Schedule,
    /// Whether a 4xx is worth another attempt.
    pub client_errors: ClientErrors,
}

/// Why a list of waits is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No steps, or too many.
    #[error("a retry schedule has 1 to {STEPS_MAX} steps, this one has {0}")]
    Steps(usize),
    /// A step below zero or over a day.
    #[error("step {index} is {step_ms} ms, it must be 0 to {STEP_MS_MAX} ms (24 hours)")]
    Step {
        /// Counted from 1.
        index: usize,
        /// What was given.
        step_ms: i64,
    },
    /// Over a fortnight.
    #[error("the steps add up to {0} ms, at most {TOTAL_MS_MAX} ms (14 days) are allowed")]
    Total(i64),
    /// An age that nothing can be younger than.
    #[error("max_age is {0} ms, it must be 1 to {TOTAL_MS_MAX} ms (14 days)")]
    MaxAge(i64),
}

// === impl Schedule ===

impl Schedule {
    /// A schedule of one's own: milliseconds before each attempt, and the age after which an event
    /// is not worth sending.
    ///
    /// # Errors
    /// [`Error`] says which limit was passed.
    pub fn new(steps_ms: Vec<i64>, max_age_ms: Option<i64>) -> Result<Self, Error> {
        if steps_ms.is_empty() || steps_ms.len() > STEPS_MAX {
            return Err(Error::Steps(steps_ms.len()));
        }
        for (index, &step_ms) in (1..).zip(&steps_ms) {
            if !(0..=STEP_MS_MAX).contains(&step_ms) {
                return Err(Error::Step { index, step_ms });
            }
        }
        // At most 32 days: no overflow.
        let total_ms = steps_ms.iter().sum();
        if total_ms > TOTAL_MS_MAX {
            return Err(Error::Total(total_ms));
        }
        match max_age_ms {
            Some(age) if !(1..=TOTAL_MS_MAX).contains(&age) => Err(Error::MaxAge(age)),
            _ => Ok(Self { steps_ms, max_age_ms }),
        }
    }

    /// The `realtime` preset, for receivers that mirror live state: six attempts in 48 seconds,
    /// nothing older than a minute.
    pub fn realtime() -> Self {
        Self { steps_ms: REALTIME_STEPS_MS.into(), max_age_ms: Some(REALTIME_MAX_AGE_MS) }
    }

    /// A preset by the name it has in the configuration: `default` or `realtime`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::default()),
            "realtime" => Some(Self::realtime()),
            _ => None,
        }
    }

    /// Milliseconds before each attempt.
    pub fn steps_ms(&self) -> &[i64] {
        &self.steps_ms
    }

    /// How many attempts there are in all.
    pub fn attempts_max(&self) -> u32 {
        u32::try_from(self.steps_ms.len()).unwrap_or(u32::MAX)
    }

    /// Milliseconds after which an event is not worth sending.
    pub fn max_age_ms(&self) -> Option<i64> {
        self.max_age_ms
    }

    /// Whether an event of this age, in milliseconds, is not worth sending any more.
    pub fn is_expired(&self, age_ms: i64) -> bool {
        self.max_age_ms.is_some_and(|max_ms| age_ms > max_ms)
    }

    /// Milliseconds to wait before the next attempt when `attempts_made` have been made, or `None`
    /// when none is left. `hint_ms` is what the receiver asked for; `dice` is a number in
    /// `0.0..1.0`.
    pub fn wait_ms(&self, attempts_made: u32, hint_ms: Option<i64>, dice: f64) -> Option<i64> {
        let step_ms = *self.steps_ms.get(usize::try_from(attempts_made).ok()?)?;
        let dice = if dice.is_finite() { dice.clamp(0.0, 1.0) } else { 0.5 };
        let own_ms = scale(step_ms, 800 + (dice * 400.0) as i64);
        if attempts_made == 0 {
            return Some(own_ms);
        }
        // Upward only: earlier than asked for is a broken promise. The cap comes first, so that
        // many deliveries whose hints are over it still spread out.
        let hint_ms =
            hint_ms.map(|hint| scale(hint.clamp(0, HINT_MS_MAX), 1_000 + (dice * 100.0) as i64));
        Some(own_ms.max(hint_ms.unwrap_or(0)).max(WAIT_MS_MIN))
    }
}

impl Default for Schedule {
    /// The `default` preset: ten attempts over about three days.
    fn default() -> Self {
        Self { steps_ms: DEFAULT_STEPS_MS.into(), max_age_ms: None }
    }
}

/// `ms` times `permille` over 1,000, rounded up, so that a hint is never undercut. Both are small:
/// no overflow.
fn scale(ms: i64, permille: i64) -> i64 {
    (ms * permille + 999) / 1_000
}

#[cfg(test)]
mod tests;
