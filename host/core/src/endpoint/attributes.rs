//! Attributes that plugins gave an event and its endpoint gets as headers, where the operator
//! allows it.
//!
//! Which they are is decided once, when the delivery is planned. From there on they are a part of
//! what is sent, like the body: the same on every attempt and replay.

use crate::signature::{Header, is_free_header};
use livekit_webhook_wire::glob::{self, Glob};
use std::collections::BTreeMap;
use std::str::FromStr;

/// Most patterns of one endpoint.
pub const ATTRIBUTE_PATTERNS_MAX: usize = 16;
/// Most headers that attributes of one delivery make. With what an endpoint and a delivery add
/// themselves it stays under the hundred that servers commonly take.
pub const ATTRIBUTE_HEADERS_MAX: usize = 48;
/// Most bytes of their names and values together.
pub const ATTRIBUTE_HEADERS_BYTES_MAX: usize = 8 * 1024;

/// Which attributes an endpoint gets as headers. None unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeHeaders {
    patterns: Vec<Glob>,
}

/// The headers that attributes made for one delivery, by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryHeaders(Vec<Header>);

/// What is wrong with a pattern.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// One more than is allowed.
    #[error("at most {ATTRIBUTE_PATTERNS_MAX} patterns are allowed")]
    Patterns,
    /// Not a pattern at all.
    #[error(transparent)]
    Glob(#[from] glob::Error),
    /// Nothing that it matches could be sent.
    #[error(
        "matches no header that an attribute can be: a delivery sets it itself, or it has other than a-z, 0-9, `-`, `_` and `*`"
    )]
    Name,
}

/// Why the attributes of an event cannot be sent as headers. Nothing is left out in silence: half
/// of what a plugin says may mean something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeError {
    /// A header could not have it, or would arrive with another.
    #[error(
        "the attribute {name} cannot be a header: its value has other than printable ASCII, or a space at an end, which its plugin must encode"
    )]
    Value {
        /// A header's name.
        name: String,
    },
    /// Too many.
    #[error("{0} attributes would be headers, at most {ATTRIBUTE_HEADERS_MAX} are allowed")]
    Count(usize),
    /// Too long.
    #[error(
        "attributes would make {0} bytes of headers, at most {ATTRIBUTE_HEADERS_BYTES_MAX} are allowed"
    )]
    Bytes(usize),
}

/// A text that is not what [`DeliveryHeaders`] prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("headers are lines of `name: value`, in printable ASCII")]
pub struct LinesError;

// === impl AttributeHeaders ===

impl AttributeHeaders {
    /// Allows what `pattern` matches, too: a name in lower case, or one with `*` in it.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn allow(&mut self, pattern: &str) -> Result<(), PatternError> {
        if self.patterns.len() == ATTRIBUTE_PATTERNS_MAX {
            return Err(PatternError::Patterns);
        }
        let glob = Glob::parse(pattern)?;
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*');
        let can_match = match pattern.split_once('*') {
            Some((head, _)) => pattern.bytes().all(fits) && !head.starts_with("webhook-"),
            None => is_free_header(pattern),
        };
        if !can_match {
            return Err(PatternError::Name);
        }
        self.patterns.push(glob);
        Ok(())
    }

    /// Whether no attribute is a header.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The patterns, as configured.
    pub fn patterns(&self) -> &[Glob] {
        &self.patterns
    }

    /// The headers of a delivery with these attributes, of which the last of a name counts. What
    /// no pattern matches is none, and what is not the name of a header that a delivery leaves
    /// free.
    ///
    /// # Errors
    /// [`AttributeError`].
    pub fn choose(
        &self,
        attributes: &[(String, String)],
    ) -> Result<DeliveryHeaders, AttributeError> {
        if self.is_empty() {
            return Ok(DeliveryHeaders::default());
        }
        let mut chosen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in attributes {
            if is_free_header(name) && self.patterns.iter().any(|glob| glob.matches(name)) {
                chosen.insert(name, value);
            }
        }
        if chosen.len() > ATTRIBUTE_HEADERS_MAX {
            return Err(AttributeError::Count(chosen.len()));
        }
        let bytes = chosen.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > ATTRIBUTE_HEADERS_BYTES_MAX {
            return Err(AttributeError::Bytes(bytes));
        }
        if let Some((name, _)) = chosen.iter().find(|(_, value)| !is_value(value)) {
            return Err(AttributeError::Value { name: (*name).to_owned() });
        }
        let header =
            |(name, value): (&str, &str)| Header { name: name.to_owned(), value: value.to_owned() };
        Ok(DeliveryHeaders(chosen.into_iter().map(header).collect()))
    }
}

// === impl DeliveryHeaders ===

impl DeliveryHeaders {
    /// Whether there are none, as is usual.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Header] {
        &self.0
    }

    /// `name: value`, each a text of its own.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|Header { name, value }| format!("{name}: {value}"))
    }

    /// As they are stored: [`DeliveryHeaders::lines`] as one text, `None` for none.
    pub fn to_text(&self) -> Option<String> {
        (!self.is_empty()).then(|| self.lines().collect::<Vec<_>>().join("\n"))
    }

    /// The reverse of [`DeliveryHeaders::to_text`].
    ///
    /// # Errors
    /// As [`DeliveryHeaders::from_str`].
    pub fn from_text(text: Option<&str>) -> Result<Self, LinesError> {
        text.map_or_else(|| Ok(Self::default()), str::parse)
    }
}

impl FromStr for DeliveryHeaders {
    type Err = LinesError;

    /// Takes what [`DeliveryHeaders::to_text`] made, by whatever version: limits and reserved names
    /// are not asked for again, so that a stored delivery can still be read when they change.
    fn from_str(text: &str) -> Result<Self, LinesError> {
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").ok_or(LinesError)?;
            let is_header = !name.is_empty() && name.bytes().all(fits) && is_value(value);
            let header = Header { name: name.to_owned(), value: value.to_owned() };
            is_header.then_some(header).ok_or(LinesError)
        };
        text.split('\n').map(header).collect::<Result<_, _>>().map(Self)
    }
}

/// RFC 9110, "Field Values", without what is obsolete in it. None at all is a value, too.
fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~')) && value.trim() == value
}

#[cfg(test)]
mod tests;
