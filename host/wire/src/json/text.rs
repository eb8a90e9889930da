//! Strings: found and checked in one scan, eight bytes at a time, unescaped only when somebody
//! keeps them.

use std::borrow::Cow;

use super::Error;

/// Every byte's lowest bit.
const ONES: u64 = 0x0101_0101_0101_0101;
/// Every byte's highest bit.
const HIGHS: u64 = ONES << 7;

/// A string as it stands between its quotes: valid UTF-8, valid escapes, no lone surrogate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

/// Reads the string whose opening quote is just before `start`. Returns it and the offset behind
/// its closing quote.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<(Text<'_>, usize), Error> {
    let (mut at, mut escaped, mut wide) = (start, false, 0);
    loop {
        while let Some(word) = word(bytes, at) {
            // May see a wide byte behind the closing quote. That only costs a needless check.
            wide |= word & HIGHS;
            match first_special(word) {
                None => at += 8,
                Some(skip) => {
                    at += skip;
                    break;
                }
            }
        }
        match bytes.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                escaped = true;
                at = match bytes.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
                    _ => escape(bytes, at)?.1,
                };
            }
            Some(byte) if *byte < 0x20 => return Err(Error::Syntax { at }),
            Some(byte) => {
                wide |= u64::from(*byte & 0x80);
                at += 1;
            }
            None => return Err(Error::Truncated { at }),
        }
    }
    let raw = bytes.get(start..at).unwrap_or_default();
    if wide != 0 {
        let checked = std::str::from_utf8(raw);
        checked.map_err(|error| Error::NotUtf8 { at: start + error.valid_up_to() })?;
    }
    Ok((Text { raw, escaped }, at + 1))
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk::<8>().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Index of the first quote, backslash or control character. Each of the three tests may also mark
/// bytes above a true hit, never below one, so the lowest mark is right.
fn first_special(word: u64) -> Option<usize> {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
    let marks = control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c));
    (marks != 0).then_some(marks.trailing_zeros() as usize / 8)
}

/// Where `byte` first stands, eight bytes at a time.
pub(crate) fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = word(bytes, at) {
        let word = word ^ (ONES * u64::from(byte));
        let marks = word.wrapping_sub(ONES) & !word & HIGHS;
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?.iter();
    rest.zip(at..).find_map(|(own, at)| (*own == byte).then_some(at))
}

/// The character that the escape at `at` stands for, and the offset behind it.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Error> {
    let plain = match bytes.get(at + 1) {
        Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(bytes, at),
        Some(_) => return Err(Error::Syntax { at: at + 1 }),
        None => return Err(Error::Truncated { at: at + 1 }),
    };
    Ok((plain, at + 2))
}

fn unicode_escape(bytes: &[u8], at: usize) -> Result<(char, usize), Error> {
    let high = hex4(bytes, at + 2)?;
    if let Some(character) = char::from_u32(high) {
        return Ok((character, at + 6));
    }
    let follows = bytes.get(at + 6..at + 8) == Some(b"\\u".as_slice());
    if high >= 0xdc00 || !follows {
        return Err(Error::LoneSurrogate { at });
    }
    let low = hex4(bytes, at + 8)?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(Error::LoneSurrogate { at });
    }
    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    char::from_u32(code).map(|character| (character, at + 12)).ok_or(Error::LoneSurrogate { at })
}

fn hex4(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let mut value = 0;
    for at in at..at + 4 {
        let byte = *bytes.get(at).ok_or(Error::Truncated { at })?;
        value = value << 4 | char::from(byte).to_digit(16).ok_or(Error::Syntax { at })?;
    }
    Ok(value)
}

// === impl Text ===

impl<'a> Text<'a> {
    /// The string as it stands, when nothing in it is escaped.
    pub(super) fn raw(self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// The string's UTF-8.
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut plain = Vec::with_capacity(self.raw.len());
        let mut at = 0;
        while let Some(byte) = self.raw.get(at) {
            // The scan has seen every escape; an error cannot come back.
            match (*byte == b'\\').then(|| escape(self.raw, at)) {
                Some(Ok((character, next))) => {
                    plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    at = next;
                }
                _ => {
                    plain.push(*byte);
                    at += 1;
                }
            }
        }
        Cow::Owned(plain)
    }

    /// The string itself. The scan has checked that it is UTF-8.
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => {
                std::str::from_utf8(bytes).map_or(Cow::Borrowed(""), Cow::Borrowed)
            }
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).unwrap_or_default()),
        }
    }

    /// Whether it has no characters.
    pub(crate) fn is_empty(self) -> bool {
        self.raw.is_empty()
    }
}
