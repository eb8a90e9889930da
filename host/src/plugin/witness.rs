//! Who watches a call: what it logged, where it broke, what it was told from outside.
//!
//! An ordinary call has a witness that looks away and costs nothing. One that looks is for an event
//! that is about to be given up, and for comparisons.

use super::gate::Door;
use super::tape::Tape;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines of the log that are kept, the last ones.
pub const LINES_MAX: usize = 20;

/// The last lines of a call's log. Outlives the call, however it ends.
#[derive(Clone, Debug, Default)]
pub struct Tail(Arc<Mutex<VecDeque<String>>>);

/// Watches one call, or looks away.
#[derive(Debug, Default)]
pub struct Witness {
    seen: Option<Seen>,
    /// Answers in place of what is outside.
    played: Option<Tape>,
}

/// What a witness saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// The log.
    pub tail: Tail,
    /// What was said from outside.
    pub tape: Tape,
    /// Names of the guest's functions at the trap, innermost first.
    pub frames: Mutex<Vec<String>>,
    /// What the guest said before it died.
    pub last_words: Mutex<Option<String>>,
}

// === impl Witness ===

impl Witness {
    /// One that looks.
    pub fn looking() -> Self {
        Self { seen: Some(Seen::default()), played: None }
    }

    /// One that answers from `tape` what is asked from outside: the call has no effect.
    pub fn playing(tape: Tape) -> Self {
        Self { seen: None, played: Some(tape) }
    }

    /// What it saw; `None` when it looked away.
    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// `door`, with what passes it on record.
    pub(super) fn door(&self, door: &Arc<Door>) -> Arc<Door> {
        let other = match (&self.played, &self.seen) {
            (Some(tape), _) => Some(door.playing(tape)),
            (None, Some(seen)) => door.recorded(&seen.tape),
            (None, None) => None,
        };
        other.map_or_else(|| door.clone(), Arc::new)
    }

    /// Whether a call is to be another one than without it.
    pub(super) fn is_there(&self) -> bool {
        self.seen.is_some() || self.played.is_some()
    }

    /// Where the lines go.
    pub(super) fn tail(&self) -> Option<Tail> {
        self.seen.as_ref().map(|seen| seen.tail.clone())
    }

    /// The call broke.
    pub(super) fn broke(&self, frames: impl FnOnce() -> Vec<String>, last_words: Option<&str>) {
        if let Some(seen) = &self.seen {
            *seen.frames.lock().unwrap_or_else(PoisonError::into_inner) = frames();
            *seen.last_words.lock().unwrap_or_else(PoisonError::into_inner) =
                last_words.map(str::to_owned);
        }
    }
}

// === impl Tail ===

impl Tail {
    /// Adds a line, and forgets the oldest.
    pub fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// All that are kept.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
