//! How a plugin says that it has no result, and what the gateway does next.

use std::fmt::Display;

/// Why there is no result.
///
/// Anything that can be displayed becomes [`Failure::Other`], so `?` works on every error in a
/// function that returns `Result<_, Failure>`. It is not itself an error type: that is what makes
/// this conversion possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This event will never work: do not try again.
    Reject(String),
    /// Try again, not before this many milliseconds.
    Retry(Option<u32>),
    /// Any other failure: the operator's `on_error` decides.
    Other(String),
}

impl Failure {
    /// This event will never work, because of `reason`.
    pub fn reject(reason: impl Display) -> Self {
        Self::Reject(reason.to_string())
    }
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Other(error.to_string())
    }
}
