//! Patterns over event types and room names: `*` stands for any run of characters, all else for
//! itself.

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 256;

/// Most stars of one pattern.
pub const STARS_MAX: usize = 8;

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
        if text.is_empty() {
            return Err(Error::Empty);
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Error::TooLong(text.len()));
        }
        let stars = text.bytes().filter(|byte| *byte == b'*').count();
        if stars > STARS_MAX {
            return Err(Error::TooManyStars(stars));
        }
        Ok(Self { text: text.to_owned() })
    }

    /// Whether the whole of `name` fits. Looks at each byte of `name` at most once per byte of the
    /// pattern: between two stars the leftmost fit is as good as any, so nothing is tried again.
    pub fn matches(&self, name: &str) -> bool {
        let Some((head, rest)) = self.text.split_once('*') else {
            return self.text == name;
        };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        let inner = name.strip_prefix(head).and_then(|name| name.strip_suffix(tail));
        let Some(mut inner) = inner else {
            return false;
        };
        middle.split('*').all(|piece| match inner.split_once(piece) {
            Some((_, after)) => {
                inner = after;
                true
            }
            None => false,
        })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for Glob {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
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

#[cfg(test)]
mod tests;
