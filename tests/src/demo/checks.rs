//! What was expected, in words, and whether it was so.

use std::fmt::Display;

/// All expectations so far.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    made: usize,
    failures: Vec<String>,
}

// === impl Checks ===

impl Checks {
    /// Notes one. `words` say what must be so, `found` what was.
    pub fn expect(&mut self, holds: bool, words: impl Display, found: impl Display) {
        self.made += 1;
        if !holds {
            self.failures.push(format!("expected {words}; found {found}"));
        }
    }

    /// Notes one on two values.
    pub fn equal<T: PartialEq + Display>(&mut self, words: impl Display, expected: T, seen: T) {
        let words = format!("{words}: {expected}");
        self.expect(expected == seen, words, seen);
    }

    /// Notes one that is a result.
    pub fn holds(&mut self, words: impl Display, result: &anyhow::Result<()>) {
        match result {
            Ok(()) => self.expect(true, words, ""),
            Err(error) => self.expect(false, words, format_args!("{error:#}")),
        }
    }

    /// How many were made.
    pub fn made(&self) -> usize {
        self.made
    }

    /// Those that did not hold.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}
