//! When to try again.

/// Waits before each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Milliseconds before each attempt; the first is usually 0. 1 to 32 steps, at most 14 days in all.
    steps_ms: Vec<i64>,
    /// Milliseconds after which an event is not worth sending.
    max_age_ms: Option<i64>,
}
