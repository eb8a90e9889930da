//! What can happen to a body on its way, undone.

use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

use super::super::capture::Capture;
use super::hashes;
use crate::cli::credentials::KeyPair;

/// What was done to the body, when undoing it gives the bytes that were signed.
pub fn find(token: &[u8], capture: &Capture, pairs: &[KeyPair], now_s: i64) -> Option<String> {
    let body = capture.body.as_slice();
    for (what, undone) in candidates(body) {
        if undone != body && hashes(token, &undone, pairs, now_s) {
            return Some(what.to_owned());
        }
    }
    if body.starts_with(&[0x1f, 0x8b]) {
        return Some(
            "The body is compressed (gzip). LiveKit never compresses; a proxy did. Capture and \
             verify it before it is compressed."
                .to_owned(),
        );
    }
    if !capture.notes.is_empty() {
        return Some(
            "The capture itself is incomplete or has more than the body, see the note; capture \
             the raw bytes."
                .to_owned(),
        );
    }
    Some(
        "These are other bytes than the ones that were signed, and undoing line ends, byte order \
         marks, encodings and re-serialisation does not restore them: the body was changed in \
         substance, or token and body belong to two different requests. Verify the raw body, \
         before any framework parses it."
            .to_owned(),
    )
}

const RESERIALISED: &str = "The body was parsed and written again: the same JSON in LiveKit's \
    spacing matches. A body parser (express.json(), a framework, a proxy) came before the check. \
    Verify the raw bytes, and pass those on.";

fn candidates(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut tries: Vec<(&'static str, Vec<u8>)> = vec![
        (
            "Line ends or spaces were added at the end: without them the body matches. An editor, \
             `echo` or a logger does this; use printf or --data-binary.",
            body.trim_ascii_end().to_vec(),
        ),
        (
            "Line ends were rewritten as CR LF: with LF alone the body matches. Transfer it as \
             binary.",
            replaced(body, b"\r\n", b"\n"),
        ),
        (
            "Line ends were rewritten as LF: with CR LF the body matches. Transfer it as binary.",
            replaced(&replaced(body, b"\r\n", b"\n"), b"\n", b"\r\n"),
        ),
        (
            "Line ends were removed: without any CR or LF in it the body matches; something \
             folded or wrapped it.",
            body.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect(),
        ),
        (
            "The line end at the end was removed: with it the body matches. Something trimmed the \
             body.",
            [body, b"\n"].concat(),
        ),
        (
            "A byte order mark was put before the body: without it the body matches.",
            body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).to_vec(),
        ),
        (
            "The body was lost: the token was made over this event, the request is empty.",
            Vec::new(),
        ),
    ];
    tries.extend(from_utf16(body).map(|text| {
        ("The body was rewritten as UTF-16: as UTF-8 it matches. LiveKit sends UTF-8.", text)
    }));
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        for (comma, colon) in [("", ""), (" ", ""), (" ", " ")] {
            for ascii in [false, true] {
                let text = spaced(&value, Spacing { comma, colon, ascii });
                tries.extend(text.map(|text| (RESERIALISED, text)));
            }
        }
        // A parser may also have decoded one string too many: the body arrived as a JSON string.
        if let Value::String(inner) = value {
            tries.push((
                "The body was quoted as a JSON string: the text inside it matches.",
                inner.into_bytes(),
            ));
        }
    }
    tries
}

fn replaced(body: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(first) = rest.first() {
        if let Some(after) = rest.strip_prefix(from) {
            out.extend_from_slice(to);
            rest = after;
        } else {
            out.push(*first);
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    out
}

fn from_utf16(body: &[u8]) -> Option<Vec<u8>> {
    let pairs: Vec<[u8; 2]> =
        body.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok()).collect();
    let big = body.starts_with(&[0xfe, 0xff]) || body.starts_with(&[0, b'{']);
    let unit = |pair: &[u8; 2]| {
        if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) }
    };
    let units: Vec<u16> = pairs.iter().map(unit).collect();
    let text = String::from_utf16(&units).ok()?;
    Some(text.trim_start_matches('\u{feff}').as_bytes().to_vec())
}

/// How a writer of JSON sets its spaces, and whether it escapes all but ASCII.
#[derive(Clone, Copy)]
struct Spacing {
    comma: &'static str,
    colon: &'static str,
    ascii: bool,
}

fn spaced(value: &Value, spacing: Spacing) -> Option<Vec<u8>> {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, spacing);
    value.serialize(&mut writer).ok()?;
    Some(out)
}

impl Formatter for Spacing {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        CompactFormatter.begin_array_value(w, first)?;
        w.write_all(if first { "" } else { self.comma }.as_bytes())
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        first: bool,
    ) -> io::Result<()> {
        CompactFormatter.begin_object_key(w, first)?;
        w.write_all(if first { "" } else { self.comma }.as_bytes())
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, w: &mut W) -> io::Result<()> {
        CompactFormatter.begin_object_value(w)?;
        w.write_all(self.colon.as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        w: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !self.ascii {
            return w.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(w, "{character}")?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(w, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}
