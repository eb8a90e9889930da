//! Where in its output a value stands, and how it is written there.

use crate::Content;
use serde_json::Value;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Within a JSON string: its text, escaped.
    Quoted,
    /// In JSON, outside of strings: as JSON.
    Bare,
    /// In a text: as it is.
    Plain,
}

/// Follows the literal text of a JSON template to know whether it is within a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    content: Content,
    is_quoted: bool,
    is_escaped: bool,
}

// === impl Walk ===

impl Walk {
    /// At the start.
    pub fn new(content: Content) -> Self {
        Self { content, is_quoted: false, is_escaped: false }
    }

    /// Past literal text.
    pub fn pass(&mut self, text: &str) {
        if self.content == Content::Text {
            return;
        }
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_quoted => self.is_escaped = true,
                b'"' => self.is_quoted = !self.is_quoted,
                _ => {}
            }
        }
    }

    /// Where a value would stand now. `None` after a backslash, which would swallow its first
    /// character.
    pub fn place(&self) -> Option<Place> {
        match (self.content, self.is_quoted, self.is_escaped) {
            (Content::Text, ..) => Some(Place::Plain),
            (Content::Json, _, true) => None,
            (Content::Json, true, false) => Some(Place::Quoted),
            (Content::Json, false, false) => Some(Place::Bare),
        }
    }
}

// === impl Place ===

impl Place {
    /// `value` as it is written here.
    pub fn write(self, value: &Value, is_json: bool) -> String {
        match self {
            Self::Bare => value.to_string(),
            Self::Plain => words(value, is_json),
            Self::Quoted => {
                let quoted = Value::from(words(value, is_json)).to_string();
                quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
            }
        }
    }
}

/// A text as it is, nothing for nothing, and anything else as JSON.
fn words(value: &Value, is_json: bool) -> String {
    match value {
        Value::String(text) if !is_json => text.clone(),
        Value::Null if !is_json => String::new(),
        value => value.to_string(),
    }
}
