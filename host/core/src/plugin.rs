//! How one version of a plugin is doing: its breaker, and the quarantine at the breaker's end.
//!
//! Every call asks [`Breaker::admit`] and every answer goes to [`Breaker::after`]. Faults of most
//! calls open the breaker; then one call at a time probes, at growing distances; a version that
//! keeps failing is quarantined until an operator releases it. What a fault is, the caller decides.
//!
//! An event that made a fault before is a *suspect*: what it does says more of the event than of the
//! version. While the breaker is closed the caller counts an event once only, so that no single
//! event opens it. At the end of a period suspects let others probe first, and a fault of theirs
//! begins the same period again instead of a longer one; each has [`EVENT_FAULTS_MAX`] of them.
//!
//! Guarantee: while the breaker is open there is no call, and at the end of a period one at a time.
//! Not promised: that two hosts open it together, since each counts what it sees.

use crate::time::Timestamp;

/// What the breaker looks at, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Calls below which no ratio is taken.
pub const CALLS_MIN: u32 = 10;
/// Faults below which no breaker opens.
pub const FAULTS_MIN: u32 = 5;
/// The open periods of a row, in milliseconds. Whoever fails after the last is quarantined.
pub const PERIODS_MS: [i64; 3] = [OPEN_MS, 60_000, 120_000];
/// The first of them.
pub const OPEN_MS: i64 = 30_000;
/// So long after a breaker closed its opening goes on in the row, in milliseconds.
pub const RELAPSE_MS: i64 = 10 * 60_000;
/// A probe without an answer for so long is lost, and another one may go, in milliseconds. Longer
/// than any call may take.
pub const PROBE_MS_MAX: i64 = 120_000;
/// Whoever finds a probe on its way asks again after so long, in milliseconds.
pub const PROBE_WAIT_MS: i64 = 5_000;
/// So much longer than a period suspects wait, in milliseconds.
pub const SUSPECT_MS: i64 = OPEN_MS;
/// A version that serves for less is young, in milliseconds.
pub const YOUNG_MS: i64 = 3_600_000;
/// An event is given up at so many faults.
pub const EVENT_FAULTS_MAX: u32 = 3;

/// Parts of the window: what leaves it leaves in sixths.
const BUCKETS: usize = 6;
const BUCKET_MS: i64 = WINDOW_MS / BUCKETS as i64;

/// The breaker of one version, in one host's memory.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    state: State,
    window: [Bucket; BUCKETS],
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls go.
    Closed {
        /// When it closed, and after how many periods; `None` when it has not been open lately.
        relapse: Option<(Timestamp, u32)>,
    },
    /// None goes before `until`; then one at a time.
    Open {
        /// End of the period.
        until: Timestamp,
        /// Periods in a row, 1 for the first.
        periods: u32,
        /// The call that probes now, by the time it began.
        probe: Option<Timestamp>,
    },
    /// None goes until an operator releases the version.
    Quarantined,
}

/// Whether a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Go,
    /// It may, and its answer decides.
    Probe,
    /// Not before then.
    Wait(Timestamp),
    /// Not before an operator does something.
    Never,
}

/// What was asked for and admitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// It was admitted as one.
    pub is_probe: bool,
    /// Its event made a fault before, or was counted before.
    pub is_suspect: bool,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The breaker opened, or opened again.
    Opened {
        /// End of the period.
        until: Timestamp,
        /// Periods in a row, 1 for the first.
        periods: u32,
    },
    /// A probe went well.
    Closed,
    /// It opened once too often.
    Quarantined,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Number of the bucket since the epoch.
    number: i64,
    calls: u32,
    faults: u32,
}

// === impl Breaker ===

impl Breaker {
    /// That of a version which was quarantined before.
    pub fn quarantined() -> Self {
        Self { state: State::Quarantined, ..Self::default() }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether calls go without question.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Asks for a call at `now`. After [`Admission::Probe`] the caller owes [`Breaker::after`] or
    /// [`Breaker::abandon`].
    pub fn admit(&mut self, is_suspect: bool, now: Timestamp) -> Admission {
        let State::Open { until, periods, probe } = &mut self.state else {
            let is_closed = self.is_closed();
            return if is_closed { Admission::Go } else { Admission::Never };
        };
        // A clock that was set back must not keep it open for longer than a period.
        *until = (*until).min(now.plus_millis(period_ms(*periods).unwrap_or(OPEN_MS)));
        let due = if is_suspect { until.plus_millis(SUSPECT_MS) } else { *until };
        if due > now {
            return Admission::Wait(due);
        }
        let answer_by = probe.map(|began| began.plus_millis(PROBE_MS_MAX));
        if let Some(answer_by) = answer_by
            && now < answer_by
            && answer_by <= now.plus_millis(PROBE_MS_MAX)
        {
            // Asked again soon: the answer usually comes long before it is lost.
            return Admission::Wait(answer_by.min(now.plus_millis(PROBE_WAIT_MS)));
        }
        *probe = Some(now);
        Admission::Probe
    }

    /// Takes an answer that came at `now`. Of a call that was no probe and ends while the breaker
    /// is not closed nothing is learnt: it began before.
    pub fn after(&mut self, call: Call, is_fault: bool, now: Timestamp) -> Option<Change> {
        let Call { is_probe, is_suspect } = call;
        match self.state {
            State::Closed { .. } if is_suspect => None,
            State::Closed { relapse } => {
                self.count(now, is_fault);
                if !self.is_over_limit(now) {
                    return None;
                }
                let recent = relapse.filter(|(at, _)| now.millis_since(*at) < RELAPSE_MS);
                Some(self.open(recent.map_or(0, |(_, periods)| periods), now))
            }
            State::Open { periods, probe: Some(_), .. } if is_probe && is_fault && is_suspect => {
                let until = now.plus_millis(period_ms(periods).unwrap_or(OPEN_MS));
                self.state = State::Open { until, periods, probe: None };
                None
            }
            State::Open { periods, probe: Some(_), .. } if is_probe && is_fault => {
                Some(self.open(periods, now))
            }
            State::Open { periods, probe: Some(_), .. } if is_probe => {
                self.window = Default::default();
                self.state = State::Closed { relapse: Some((now, periods)) };
                Some(Change::Closed)
            }
            State::Open { .. } | State::Quarantined => None,
        }
    }

    /// A probe ended without an answer: the next call probes.
    pub fn abandon(&mut self) {
        if let State::Open { probe, .. } = &mut self.state {
            *probe = None;
        }
    }

    /// Begins anew, as an operator asks.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// The period after so many, or quarantine.
    fn open(&mut self, periods: u32, now: Timestamp) -> Change {
        self.window = Default::default();
        let periods = periods.saturating_add(1);
        let Some(period_ms) = period_ms(periods) else {
            self.state = State::Quarantined;
            return Change::Quarantined;
        };
        let until = now.plus_millis(period_ms);
        self.state = State::Open { until, periods, probe: None };
        Change::Opened { until, periods }
    }

    fn count(&mut self, now: Timestamp, is_fault: bool) {
        let number = now.as_millis().div_euclid(BUCKET_MS);
        let index = number.rem_euclid(BUCKETS as i64) as usize;
        if let Some(bucket) = self.window.get_mut(index) {
            if bucket.number != number {
                *bucket = Bucket { number, ..Bucket::default() };
            }
            bucket.calls = bucket.calls.saturating_add(1);
            bucket.faults = bucket.faults.saturating_add(u32::from(is_fault));
        }
    }

    fn is_over_limit(&self, now: Timestamp) -> bool {
        let newest = now.as_millis().div_euclid(BUCKET_MS);
        let oldest = newest - BUCKETS as i64 + 1;
        let recent = |bucket: &&Bucket| (oldest..=newest).contains(&bucket.number);
        let (mut calls, mut faults) = (0_u32, 0_u32);
        for bucket in self.window.iter().filter(recent) {
            calls = calls.saturating_add(bucket.calls);
            faults = faults.saturating_add(bucket.faults);
        }
        calls >= CALLS_MIN && faults >= FAULTS_MIN && faults.saturating_mul(2) >= calls
    }
}

/// Length of a period by its number in the row, 1 for the first.
fn period_ms(number: u32) -> Option<i64> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    PERIODS_MS.get(index).copied()
}

// === impl State ===

impl Default for State {
    fn default() -> Self {
        Self::Closed { relapse: None }
    }
}

/// Whether a version whose breaker opened makes way for the one before it: when it is on trial or
/// young, and the other was well to the end.
pub fn is_rolled_back(
    is_canary: bool,
    served_since: Timestamp,
    is_predecessor_well: bool,
    now: Timestamp,
) -> bool {
    is_predecessor_well && (is_canary || now.millis_since(served_since) < YOUNG_MS)
}

#[cfg(test)]
mod tests;
