//! Two hosts that changed the same endpoint's health.

use super::{Breaker, Disabled, Failing, Health};
use crate::time::Timestamp;

impl Health {
    /// What holds when `self` became `theirs` in the store and `ours` here. A field that only one
    /// of them changed is as that one left it. Where both did, the more careful one wins; only a
    /// success, which nobody can have imagined, ends a time of failures.
    #[must_use]
    pub fn merged(&self, ours: &Self, theirs: &Self) -> Self {
        Self {
            breaker: three_way(self.breaker, ours.breaker, theirs.breaker, later_breaker),
            paused_until: three_way(
                self.paused_until,
                ours.paused_until,
                theirs.paused_until,
                Option::<Timestamp>::max,
            ),
            disabled: three_way(self.disabled, ours.disabled, theirs.disabled, either_disabled),
            failing: three_way(self.failing, ours.failing, theirs.failing, |ours, theirs| {
                both_failing(self.failing, ours?, theirs?)
            }),
        }
    }
}

fn three_way<T: Copy + PartialEq>(base: T, ours: T, theirs: T, both: impl FnOnce(T, T) -> T) -> T {
    match (ours == base, theirs == base) {
        (true, _) => theirs,
        (_, true) => ours,
        _ => both(ours, theirs),
    }
}

/// An open breaker holds, and of two the one that is open for longer.
fn later_breaker(ours: Breaker, theirs: Breaker) -> Breaker {
    match (ours, theirs) {
        (Breaker::Open { until, .. }, Breaker::Open { until: other, .. }) if until < other => {
            theirs
        }
        (Breaker::Closed, _) => theirs,
        _ => ours,
    }
}

/// What the others wrote first stays, so that an operator's word outlasts our 410.
fn either_disabled(ours: Option<Disabled>, theirs: Option<Disabled>) -> Option<Disabled> {
    theirs.or(ours)
}

fn both_failing(base: Option<Failing>, ours: Failing, theirs: Failing) -> Option<Failing> {
    let counted = base.map_or(0, |failing| failing.attempts);
    let attempts = ours.attempts.saturating_add(theirs.attempts).saturating_sub(counted);
    Some(Failing {
        since: ours.since.min(theirs.since),
        last: ours.last.max(theirs.last),
        attempts: attempts.max(ours.attempts).max(theirs.attempts),
    })
}
