//! The binary mode: attributes as headers. CloudEvents 1.0, "HTTP Protocol Binding", section
//! 3.1.3.

use serde_json::{Map, Value};

/// Longest value of a header, in bytes. LiveKit's names have at most 256, so a subject of two of
/// them fits, each byte as three.
pub const VALUE_BYTES_MAX: usize = 2048;

/// The headers of a context.
pub fn headers(context: &Map<String, Value>) -> Vec<(String, String)> {
    let header = |(name, value): (&String, &Value)| {
        (["ce-", name].concat(), encoded(value.as_str().unwrap_or_default()))
    };
    context.iter().map(header).collect()
}

/// Whether a text is whole as a header's value.
pub fn fits(text: &str) -> bool {
    text.chars().map(width).sum::<usize>() <= VALUE_BYTES_MAX
}

/// Space, double quote, percent and all that is not printable ASCII as `%` and the two digits of
/// each of its bytes in UTF-8 (section 3.1.3.2). Ends before the first character that does not fit.
fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for character in text.chars() {
        if value.len() + width(character) > VALUE_BYTES_MAX {
            break;
        }
        if is_plain(character) {
            value.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                value.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    value
}

/// Bytes of a character in a header.
fn width(character: char) -> usize {
    if is_plain(character) { 1 } else { 3 * character.len_utf8() }
}

fn is_plain(character: char) -> bool {
    matches!(character, '!'..='~') && !matches!(character, '"' | '%')
}
