//! The states of a delivery and what follows an attempt: the heart.

use crate::attempt::Outcome;
use crate::retry::Schedule;
use crate::time::Timestamp;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Owed: due at its `due_at`.
    Pending,
    /// A 2xx was received.
    Delivered,
    /// A dead letter.
    Dead(DeadReason),
}

/// Why we stopped trying. The words of the store, the metrics and the command line: [`DeadReason::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// The schedule has no step left.
    Exhausted,
    /// The endpoint answered 410.
    Gone,
    /// The endpoint's policy makes this 4xx final.
    Refused,
    /// The address may not be dialled, or the URL cannot be used.
    AddressRefused,
    /// A plugin failed and its `on_error` says fail.
    Plugin,
    /// Older than the endpoint's `max_age` before it could be sent.
    Expired,
    /// The endpoint was disabled or removed.
    EndpointDisabled,
}

/// What follows one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Delivered,
    /// Try again then.
    RetryAt(Timestamp),
    /// Stop.
    Dead(DeadReason),
}

/// What follows attempt number `attempts_made` (1 for the first), which ended at `now` with `outcome`. The caller brings
/// the time and the dice (a number in `0.0..1.0`).
pub fn after_attempt(
    schedule: &Schedule,
    attempts_made: u32,
    outcome: &Outcome,
    now: Timestamp,
    dice: f64,
) -> Next {
    let _ = (schedule, attempts_made, outcome, now, dice);
    unimplemented!()
}
