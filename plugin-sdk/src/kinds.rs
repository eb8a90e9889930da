//! Types of event as operators choose them: `room_started`, `room_*`, `*`.
//!
//! Both types are read from the configuration, so a wrong pattern is an error when the plugin is
//! loaded and not later.

use serde::Deserialize;

/// Most patterns of one list.
const PATTERNS_MAX: usize = 64;

/// One type of event, or all that begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

/// A list of patterns, 1 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Pattern>")]
pub struct Patterns(Vec<Pattern>);

// === impl Pattern ===

impl Pattern {
    /// Whether a type of event is meant.
    pub fn matches(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => self.0 == kind,
        }
    }

    /// How closely it says what it means: of two patterns that match, the greater one is meant.
    pub fn closeness(&self) -> usize {
        match self.0.strip_suffix('*') {
            Some(start) => start.len(),
            None => usize::MAX,
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix('*').unwrap_or(&text);
        if !text.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is not a type of event; write `room_started`, `room_*` or `*`"))
        }
    }
}

// === impl Patterns ===

impl Patterns {
    /// Of patterns that are known to be right, for a default. Wrong ones are left out.
    pub fn of(patterns: &[&str]) -> Self {
        let parsed = patterns.iter().filter_map(|text| Pattern::try_from((*text).to_owned()).ok());
        Self(parsed.collect())
    }

    /// Whether any of them means this type of event.
    pub fn matches(&self, kind: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(kind))
    }
}

impl TryFrom<Vec<Pattern>> for Patterns {
    type Error = String;

    fn try_from(patterns: Vec<Pattern>) -> Result<Self, String> {
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            return Err(format!("must name 1 to {PATTERNS_MAX} types of event"));
        }
        Ok(Self(patterns))
    }
}

/// The value whose pattern says most closely that `kind` is meant.
pub fn closest<'a, T>(values: impl IntoIterator<Item = (&'a Pattern, T)>, kind: &str) -> Option<T> {
    let matching = values.into_iter().filter(|(pattern, _)| pattern.matches(kind));
    matching.max_by_key(|(pattern, _)| pattern.closeness()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
