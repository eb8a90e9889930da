//! The states of a delivery and what follows an attempt: the heart.
//!
//! [`after_attempt`] is the only place that decides between delivered, another attempt and dead. It
//! reads nothing but its arguments; what it returns is written by the store under the claim's
//! fence.

use crate::attempt::{Class, Outcome};
use crate::retry::Policy;
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

/// Why we stopped trying. The words of the store, the metrics and the command line:
/// [`DeadReason::as_str`].
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
    /// The endpoint was disabled: it answered 410 to another delivery, failed for days, or the
    /// operator disabled it.
    EndpointDisabled,
    /// The operator cancelled it, or the replay it belongs to.
    Cancelled,
}

/// What follows one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Delivered,
    /// Try again then.
    RetryAt(Timestamp),
    /// Stop. On [`DeadReason::Gone`] the caller also disables the endpoint.
    Dead(DeadReason),
}

/// What follows attempt number `attempts_made` (1 for the first), which ended at `now` with
/// `outcome`. The caller brings the time and the dice (a number in `0.0..1.0`).
pub fn after_attempt(
    policy: &Policy,
    attempts_made: u32,
    outcome: &Outcome,
    now: Timestamp,
    dice: f64,
) -> Next {
    match outcome.class(policy.client_errors) {
        Class::Delivered => Next::Delivered,
        Class::Gone => Next::Dead(DeadReason::Gone),
        Class::Refused => Next::Dead(DeadReason::Refused),
        Class::AddressRefused => Next::Dead(DeadReason::AddressRefused),
        Class::Retry => {
            // A count of 0 would be a caller's slip; read as 1 it cannot make a loop without a
            // wait.
            match policy.schedule.wait_ms(attempts_made.max(1), outcome.hint_ms(), dice) {
                Some(wait_ms) => Next::RetryAt(now.plus_millis(wait_ms)),
                None => Next::Dead(DeadReason::Exhausted),
            }
        }
    }
}

// === impl DeadReason ===

impl DeadReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Exhausted,
        Self::Gone,
        Self::Refused,
        Self::AddressRefused,
        Self::Plugin,
        Self::Expired,
        Self::EndpointDisabled,
        Self::Cancelled,
    ];

    /// The word of the store, the metrics and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::AddressRefused => "address_refused",
            Self::Plugin => "plugin",
            Self::Expired => "expired",
            Self::EndpointDisabled => "endpoint_disabled",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`DeadReason::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

#[cfg(test)]
mod tests;
