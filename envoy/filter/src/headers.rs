//! Header lists as the proxy hands them over, and the verdict headers.
//!
//! Guarantee: no byte of a request leads to a panic here, and no verdict header can carry a line
//! break or any byte that would end a header: what is not visible ASCII is percent-encoded. Room
//! names and event names are chosen by strangers.

use crate::decision::Facts;

/// Longest value of a verdict header, in bytes after encoding. A longer one is left out: half a
/// room name would be another room's name.
pub const VALUE_BYTES_MAX: usize = 1024;

/// Most header lines looked at; the proxy itself sends no more than 1024.
const LINES_MAX: usize = 1024;

/// Reads the ABI's list: a count, the lengths of each name and value, then the texts, each
/// followed by a zero. All numbers are 32 bits, little endian. `None`: it does not hold together.
pub fn parse_pairs(list: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if list.is_empty() {
        return Some(Vec::new());
    }
    let (count, mut lengths) = number(list)?;
    if count > LINES_MAX {
        return None;
    }
    let mut texts = lengths.get(count.checked_mul(8)?..)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (name_bytes, rest) = number(lengths)?;
        let (value_bytes, rest) = number(rest)?;
        lengths = rest;
        let (name, rest) = text(texts, name_bytes)?;
        let (value, rest) = text(rest, value_bytes)?;
        texts = rest;
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Writes the same list.
pub fn write_pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut list = Vec::new();
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(0).to_le_bytes();
    list.extend_from_slice(&u32::try_from(pairs.len()).unwrap_or(0).to_le_bytes());
    for (name, value) in pairs {
        list.extend_from_slice(&length(name));
        list.extend_from_slice(&length(value));
    }
    for (name, value) in pairs {
        for text in [name, value] {
            list.extend_from_slice(text.as_bytes());
            list.push(0);
        }
    }
    list
}

/// The verdict headers for `facts`: name and value, to be set, never added.
pub fn verdict(prefix: &str, facts: &Facts) -> Vec<(String, String)> {
    let mut headers = vec![("verified", Some("1".to_owned())), ("key", encode(&facts.api_key))];
    if let Some(envelope) = &facts.envelope {
        headers.push(("event", encode(&envelope.event)));
        headers.push(("event-id", envelope.id.as_deref().and_then(encode)));
        headers.push(("room", envelope.room_name.as_deref().and_then(encode)));
    }
    if facts.filtered {
        headers.push(("filtered", Some("1".to_owned())));
    }
    headers
        .into_iter()
        .filter_map(|(name, value)| Some((format!("{prefix}{name}"), value?)))
        .collect()
}

/// Visible ASCII but `%` stands for itself, all else is `%XX`, byte by byte. `None`: too long.
fn encode(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if value.len() > VALUE_BYTES_MAX {
            return None;
        }
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(char::from(byte));
        } else {
            value.push_str(&format!("%{byte:02X}"));
        }
    }
    (value.len() <= VALUE_BYTES_MAX).then_some(value)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*first)).ok()?, rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
mod tests;
