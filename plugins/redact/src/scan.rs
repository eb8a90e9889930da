//! Walks the text of a JSON document and replaces the values a rule names; all other bytes are
//! copied.
//!
//! The document is checked as a whole first, so the walk only has to find where values begin and
//! end. A text that is JSON itself, as metadata mostly is, is walked as if its members were members
//! of the event; it is written again only when something was removed from it.

use crate::rule::Rule;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Deepest nesting. The gateway accepts events to 64; a plugin before this one may have made a
/// deeper one.
const DEPTH_MAX: usize = 128;
/// Most texts within texts that are JSON.
const EMBEDDED_MAX: usize = 3;
/// Digits of a telephone number after its plus; ITU-T E.164 allows 15.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// A body without what the rules name.
#[derive(Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text.
    pub body: Vec<u8>,
    /// How many values were replaced.
    pub removed: u64,
}

/// What to remove, and what to put in its place.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Values to replace.
    pub rules: &'a [Rule],
    /// Whether telephone numbers within texts are replaced as well.
    pub phones: bool,
    /// In place of a text: JSON, with its quotes.
    pub replace: &'a str,
}

/// Replaces in `body` every value a rule matches: a text by `replace`, and any other value by
/// `null`.
///
/// # Errors
/// When `body` is not one JSON document, in words.
pub fn redact(body: &[u8], wish: Wish<'_>) -> Result<Redacted, String> {
    let text =
        std::str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?;
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| format!("the body is not JSON: {error}"))?;
    let redacted = walked(text, wish, Vec::new(), 0);
    Ok(redacted.ok_or("the body is nested too deep, or is not JSON")?)
}

/// Walks `text`, which is JSON and stands at `path`.
fn walked(
    text: &str,
    wish: Wish<'_>,
    path: Vec<Cow<'_, str>>,
    embedded: usize,
) -> Option<Redacted> {
    let out = Vec::with_capacity(text.len());
    let mut walk = Walk { text, at: 0, copied: 0, wish, path, embedded, out, removed: 0 };
    walk.value()?;
    walk.out.extend_from_slice(&text.as_bytes()[walk.copied..]);
    Some(Redacted { body: walk.out, removed: walk.removed })
}

struct Walk<'a> {
    text: &'a str,
    /// Where we read.
    at: usize,
    /// What is in `out` already.
    copied: usize,
    wish: Wish<'a>,
    path: Vec<Cow<'a, str>>,
    /// How many texts we are in.
    embedded: usize,
    out: Vec<u8>,
    removed: u64,
}

impl<'a> Walk<'a> {
    fn value(&mut self) -> Option<()> {
        self.space();
        let start = self.at;
        if !self.path.is_empty() && self.wish.rules.iter().any(|rule| rule.matches(&self.path)) {
            return self.replace_value(start);
        }
        match self.peek()? {
            b'{' => self.members(true),
            b'[' => self.members(false),
            b'"' => self.words(),
            _ => self.scalar(),
        }
    }

    /// A text that no rule names. What is in it may be named.
    fn words(&mut self) -> Option<()> {
        let start = self.at;
        self.scalar()?;
        let text = self.text;
        let quoted = text.get(start..self.at)?;
        if let Some((written, removed)) =
            self.within(quoted).or_else(|| self.without_phones(quoted))
        {
            self.out.extend_from_slice(&text.as_bytes()[self.copied..start]);
            self.out.extend_from_slice(written.as_bytes());
            self.copied = self.at;
            self.removed += removed;
        }
        Some(())
    }

    /// A text that is JSON, without what the rules name in it. `None` when there is nothing to
    /// remove.
    fn within(&self, quoted: &str) -> Option<(String, u64)> {
        let looks_like_json = quoted.starts_with("\"{") || quoted.starts_with("\"[");
        if !looks_like_json || self.embedded == EMBEDDED_MAX {
            return None;
        }
        let text: String = serde_json::from_str(quoted).ok()?;
        serde_json::from_str::<IgnoredAny>(&text).ok()?;
        let path = self.path.iter().map(|name| Cow::Borrowed(name.as_ref())).collect();
        let redacted = walked(&text, self.wish, path, self.embedded + 1)?;
        if redacted.removed == 0 {
            return None;
        }
        let written = serde_json::to_string(std::str::from_utf8(&redacted.body).ok()?).ok()?;
        Some((written, redacted.removed))
    }

    /// A text without the telephone numbers in it. `None` when there are none, or they may stay.
    fn without_phones(&self, quoted: &str) -> Option<(String, u64)> {
        if !self.wish.phones {
            return None;
        }
        let replace = self.wish.replace;
        let replace = replace.get(1..replace.len().checked_sub(1)?)?;
        let (mut written, mut removed) = (String::new(), 0);
        let mut pieces = quoted.split('+');
        written.push_str(pieces.next()?);
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            if PHONE_DIGITS.contains(&digits) {
                written.push_str(replace);
                written.push_str(piece.get(digits..)?);
                removed += 1;
            } else {
                written.push('+');
                written.push_str(piece);
            }
        }
        (removed > 0).then_some((written, removed))
    }

    /// An object or a list, its brackets included.
    fn members(&mut self, named: bool) -> Option<()> {
        if self.path.len() >= DEPTH_MAX {
            return None;
        }
        let end = if named { b'}' } else { b']' };
        self.at += 1;
        let mut place = 0_usize;
        // Every turn reads at least one byte of a text that has an end.
        loop {
            self.space();
            match self.peek()? {
                b if b == end => {
                    self.at += 1;
                    return Some(());
                }
                b',' => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let name = if named { self.name()? } else { Cow::Owned(place.to_string()) };
            place += 1;
            self.path.push(name);
            self.value()?;
            self.path.pop();
        }
    }

    /// A member's name, with its escapes resolved, and the colon after it.
    fn name(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at;
        self.scalar()?;
        let text = self.text;
        let quoted = text.get(start..self.at)?;
        let name = if quoted.contains('\\') {
            Cow::Owned(serde_json::from_str(quoted).ok()?)
        } else {
            Cow::Borrowed(quoted.get(1..quoted.len().checked_sub(1)?)?)
        };
        self.space();
        self.at += 1;
        Some(name)
    }

    fn replace_value(&mut self, start: usize) -> Option<()> {
        let is_text = self.peek()? == b'"';
        self.skip()?;
        self.out.extend_from_slice(&self.text.as_bytes()[self.copied..start]);
        self.out.extend_from_slice(if is_text { self.wish.replace.as_bytes() } else { b"null" });
        self.copied = self.at;
        self.removed += 1;
        Some(())
    }

    /// Past one value of any kind, whatever is in it.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            self.space();
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ => self.scalar()?,
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Past a text, a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = if rest.first() == Some(&b'"') {
            let mut escaped = true;
            rest.iter().position(|&b| {
                let ends = b == b'"' && !escaped;
                escaped = b == b'\\' && !escaped;
                ends
            })? + 1
        } else {
            let ends = |b: &u8| b",]}: \t\r\n".contains(b);
            rest.iter().position(ends).unwrap_or(rest.len()).max(1)
        };
        self.at += length;
        Some(())
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|b| b" \t\r\n".contains(&b)) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}
