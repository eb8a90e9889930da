//! Header lists as the proxy hands them over, and the verdict headers.
//!
//! Guarantee: no byte of a request leads to a panic here, and no verdict header can carry a line
//! break or any byte that would end a header: what is not visible ASCII is percent-encoded. Room
//! names and event names are chosen by strangers.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::answer::Refusal;
use crate::decision::{Facts, Repeat};

/// Longest value of a verdict header, in bytes after encoding. A longer one is left out: half a
/// room name would be another room's name.
pub const VALUE_BYTES_MAX: usize = 1024;

/// Most header lines looked at; the proxy itself sends no more than 1024.
const LINES_MAX: usize = 1024;

/// What may follow the prefix, by index. All are removed from what strangers send.
const NAMES: [&str; 9] =
    ["verified", "key", "event", "event-id", "room", "age-s", "filtered", "duplicate", "shadow"];
const VERIFIED: usize = 0;
const KEY: usize = 1;
const EVENT: usize = 2;
const EVENT_ID: usize = 3;
const ROOM: usize = 4;
const AGE_S: usize = 5;
const FILTERED: usize = 6;
const DUPLICATE: usize = 7;
const SHADOW: usize = 8;

/// The names of what is known of a request, which the operator may leave out. The others are marks:
/// without one, what is let on would look like any other.
pub const FACTS: [&str; 6] =
    [NAMES[VERIFIED], NAMES[KEY], NAMES[EVENT], NAMES[EVENT_ID], NAMES[ROOM], NAMES[AGE_S]];

/// Walks the ABI's list: a count, the lengths of each name and value, then the texts, each followed
/// by a zero. All numbers are 32 bits, little endian. Ends early when it does not hold together.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    left: usize,
    lengths: &'a [u8],
    texts: &'a [u8],
}

/// Name and value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The names of the verdict headers, with their prefix, made once.
#[derive(Clone, Debug)]
pub struct Names {
    prefix: String,
    /// By index; `None`: not wanted.
    full: Vec<Option<String>>,
}

/// The verdict headers of one request.
#[derive(Debug)]
pub struct Verdict<'n> {
    names: &'n Names,
    /// To be set, never added.
    pub lines: Vec<(&'n str, Cow<'n, str>)>,
}

// === impl Pairs ===

impl<'a> Pairs<'a> {
    /// A list. `None`: it does not hold together.
    pub fn of(list: &'a [u8]) -> Option<Self> {
        if list.is_empty() {
            return Some(Self { left: 0, lengths: &[], texts: &[] });
        }
        let (left, lengths) = number(list)?;
        if left > LINES_MAX {
            return None;
        }
        let (lengths, texts) = lengths.split_at_checked(left.checked_mul(8)?)?;
        Some(Self { left, lengths, texts })
    }

    /// How many lines are still to come. After the last `next`, anything but 0 means that the list
    /// did not hold together.
    pub fn left(&self) -> usize {
        self.left
    }

    fn pair(&self) -> Option<(Pair<'a>, Self)> {
        let (name_bytes, lengths) = number(self.lengths)?;
        let (value_bytes, lengths) = number(lengths)?;
        let (name, texts) = text(self.texts, name_bytes)?;
        let (value, texts) = text(texts, value_bytes)?;
        Some(((name, value), Self { left: self.left.checked_sub(1)?, lengths, texts }))
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (pair, rest) = self.pair()?;
        *self = rest;
        Some(pair)
    }
}

/// Writes the same list.
pub fn write_pairs(pairs: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut list = Vec::new();
    let number = |length: usize| u32::try_from(length).unwrap_or(0).to_le_bytes();
    list.extend_from_slice(&number(pairs.len()));
    for (name, value) in pairs {
        list.extend_from_slice(&number(name.as_ref().len()));
        list.extend_from_slice(&number(value.as_ref().len()));
    }
    for (name, value) in pairs {
        for text in [name.as_ref(), value.as_ref()] {
            list.extend_from_slice(text);
            list.push(0);
        }
    }
    list
}

// === impl Names ===

impl Names {
    /// The names under `prefix`; of [`FACTS`] only those in `wanted`.
    pub fn new(prefix: &str, wanted: &[String]) -> Self {
        let is_wanted = |name: &str| !FACTS.contains(&name) || wanted.iter().any(|own| own == name);
        let full = NAMES.map(|name| is_wanted(name).then(|| format!("{prefix}{name}")));
        Self { prefix: prefix.to_owned(), full: full.into() }
    }

    /// Whether a request's own header of this name is to be removed.
    pub fn claims(&self, name: &[u8]) -> bool {
        name.starts_with(self.prefix.as_bytes())
    }

    /// The verdict on what is authentic.
    pub fn verdict<'n>(&'n self, facts: &'n Facts) -> Verdict<'n> {
        let mut verdict = Verdict { names: self, lines: Vec::with_capacity(NAMES.len()) };
        verdict.line(VERIFIED, "1");
        verdict.line(KEY, &facts.api_key);
        if let Some(envelope) = &facts.envelope {
            verdict.line(EVENT, &envelope.event);
            verdict.some(EVENT_ID, envelope.id.as_deref());
            verdict.some(ROOM, envelope.room_name.as_deref());
        }
        if let Some(age_s) = facts.token_age_s {
            verdict.number(AGE_S, age_s);
        }
        if facts.filtered {
            verdict.line(FILTERED, "1");
        }
        match facts.repeat {
            Repeat::No | Repeat::Collision => {}
            Repeat::Delivered => verdict.line(DUPLICATE, "delivered"),
            Repeat::InFlight => verdict.line(DUPLICATE, "in_flight"),
        }
        verdict.some(SHADOW, facts.excused.as_ref().map(Refusal::code));
        verdict
    }

    fn wanted(&self, name: usize) -> Option<&str> {
        self.full.get(name)?.as_deref()
    }

    /// The mark of what shadow mode lets on.
    pub fn excused<'n>(&'n self, refusal: &Refusal) -> Verdict<'n> {
        let mut verdict = Verdict { names: self, lines: Vec::new() };
        verdict.line(SHADOW, refusal.code());
        verdict
    }
}

// === impl Verdict ===

impl<'n> Verdict<'n> {
    fn some(&mut self, name: usize, value: Option<&'n str>) {
        if let Some(value) = value {
            self.line(name, value);
        }
    }

    fn line(&mut self, name: usize, value: &'n str) {
        if let (Some(full), Some(value)) = (self.names.wanted(name), encode(value)) {
            self.lines.push((full, value));
        }
    }

    fn number(&mut self, name: usize, value: i64) {
        if let Some(full) = self.names.wanted(name) {
            self.lines.push((full, Cow::Owned(value.to_string())));
        }
    }
}

/// Visible ASCII but `%` stands for itself, all else is `%XX`, byte by byte. `None`: too long.
fn encode(text: &str) -> Option<Cow<'_, str>> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'%';
    if text.len() > VALUE_BYTES_MAX {
        return None;
    }
    if text.bytes().all(plain) {
        return Some(Cow::Borrowed(text));
    }
    let mut value = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if plain(byte) {
            value.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    (value.len() <= VALUE_BYTES_MAX).then_some(Cow::Owned(value))
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
