//! Patterns over event types and room names: `*` stands for any run of characters, all else for itself.

/// A parsed pattern. 1 to 256 bytes, at most 8 stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
}

impl Glob {
    /// Parses `room_*`, `*`, `prod-*-eu`.
    ///
    /// # Errors
    /// [`Error`] when the pattern is empty or over a limit.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let _ = text;
        unimplemented!()
    }

    /// Whether the whole of `name` fits. Linear in both lengths but for backtracking over the last star.
    pub fn matches(&self, name: &str) -> bool {
        let _ = (name, &self.text);
        unimplemented!()
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Why a pattern was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The pattern has no characters.
    #[error("the pattern is empty")]
    Empty,
    /// Longer than 256 bytes.
    #[error("the pattern has {0} bytes, at most 256 are allowed")]
    TooLong(usize),
    /// More than 8 stars.
    #[error("the pattern has {0} stars, at most 8 are allowed")]
    TooManyStars(usize),
}
