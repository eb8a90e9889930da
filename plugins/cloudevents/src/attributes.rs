//! Context attributes by the rules of CloudEvents 1.0, "Context Attributes" and "Type System".

use livekit_webhook_plugin::Event;
use serde::Deserialize;

/// Longest name of an extension, in bytes: "SHOULD NOT exceed 20 characters".
const NAME_BYTES_MAX: usize = 20;
/// Longest value of an extension, in characters.
const VALUE_CHARS_MAX: usize = 1024;
/// Names that mean something already.
const TAKEN: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// The name of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Extension(String);

/// `/livekit/` and the name of the configured source: a URI reference.
pub fn source(name: &str) -> String {
    let mut source = "/livekit/".to_owned();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            source.push(char::from(byte));
        } else {
            source.push_str(&format!("%{byte:02X}"));
        }
    }
    source
}

/// `room` or `room/participant`: what the event is about.
pub fn subject(event: &Event) -> Option<String> {
    let room = event.room_name()?;
    let subject = match event.participant_identity() {
        Some(identity) => [room.as_str(), "/", &identity].concat(),
        None => room,
    };
    Some(text(&subject)).filter(|subject| !subject.is_empty())
}

/// A String of the type system: no control characters, which are "disallowed".
pub fn text(raw: &str) -> String {
    let is_noncharacter =
        |c: char| (0xFDD0..=0xFDEF).contains(&u32::from(c)) || u32::from(c) & 0xFFFE == 0xFFFE;
    raw.chars().filter(|&c| !c.is_control() && !is_noncharacter(c)).take(VALUE_CHARS_MAX).collect()
}

/// Whether only characters of a URI reference are in it, and at least one (RFC 3986, section 2).
pub fn is_uri(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    !text.is_empty() && text.bytes().all(is_allowed)
}

// === impl Extension ===

impl Extension {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Extension {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(format!("extension {name:?}: 1 to {NAME_BYTES_MAX} of a-z and 0-9"));
        }
        if TAKEN.contains(&name.as_str()) {
            return Err(format!("extension {name:?}: CloudEvents has this attribute already"));
        }
        Ok(Self(name))
    }
}
