//! Secrets that a guest can use and not read: it holds a text that stands for one.
//!
//! The text is a MAC over the event and the secret's name under a key that this process drew and
//! tells nobody, so a guest can neither guess the stand-in of another plugin nor keep one for the
//! next event. A stand-in becomes its secret only here, in a request that may carry it. What comes
//! back is searched for every secret of the plugin, not only for those that were sent, since a host
//! may have kept one since an earlier event: as it is, percent-encoded, escaped for JSON, and in
//! base64 wherever it stands in it.

use super::Secret;
use crate::entropy;
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, general_purpose};
use bytes::Bytes;
use ring::hmac;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Begins every stand-in. All of it may stand in a URL, a header and JSON as it is.
const PREFIX: &str = "secret-";
/// Of the MAC, in bytes.
const MAC_BYTES: usize = 16;
/// A secret's piece of base64 that is shorter is not looked for: it would be found anywhere.
const PIECE_BYTES_MIN: usize = 6;

/// Drawn once. Without it there are no stand-ins.
static KEY: LazyLock<Option<hmac::Key>> = LazyLock::new(|| match entropy::unguessable::<32>() {
    Ok(bytes) => Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes)),
    Err(error) => {
        tracing::error!(error = error.to_string(), "no randomness, plugins cannot use secrets");
        None
    }
});

/// The stand-ins of one call.
#[derive(Debug)]
pub struct StandIns(Vec<StandIn>);

#[derive(Debug)]
struct StandIn {
    name: String,
    text: String,
    secret: Secret,
    forms: Forms,
}

/// How a secret may look in an answer; each is a secret too.
struct Forms(Vec<Vec<u8>>);

/// What a secret is put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A header's value, or a body of no known type: as it is.
    Plain,
    /// A URL or a form: percent-encoded.
    Url,
    /// A JSON string: escaped.
    Json,
}

// === impl StandIns ===

impl StandIns {
    /// One for each secret of `plugin`, for this event.
    pub fn new(plugin: &str, event: &str, secrets: &BTreeMap<String, Secret>) -> Self {
        let Some(key) = KEY.as_ref() else {
            return Self(Vec::new());
        };
        let used = secrets.iter().filter(|(_, secret)| !secret.reveal().is_empty());
        let stand_in = |(name, secret): (&String, &Secret)| {
            let mut signed = hmac::Context::with_key(key);
            for part in [plugin, event, name] {
                signed.update(&part.len().to_be_bytes());
                signed.update(part.as_bytes());
            }
            let mut text = PREFIX.to_owned();
            for byte in signed.sign().as_ref().iter().take(MAC_BYTES) {
                let _ = write!(text, "{byte:02x}");
            }
            let forms = Forms::of(secret.reveal());
            StandIn { name: name.clone(), text, secret: secret.clone(), forms }
        };
        Self(used.map(stand_in).collect())
    }

    /// For what is written down: each secret has a mark in its place, the same for every event.
    pub fn marking(secrets: &BTreeMap<String, Secret>, mark: impl Fn(&str) -> String) -> Self {
        let used = secrets.iter().filter(|(_, secret)| !secret.reveal().is_empty());
        let stand_in = |(name, secret): (&String, &Secret)| {
            let (text, forms) = (mark(name), Forms::of(secret.reveal()));
            StandIn { name: name.clone(), text, secret: secret.clone(), forms }
        };
        Self(used.map(stand_in).collect())
    }

    /// The one for the secret of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|stand_in| stand_in.name == name).map(|it| it.text.as_str())
    }

    /// Names of the secrets that have their stand-in in `bytes`.
    pub fn named_in<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a str> {
        let there = |it: &&StandIn| find(bytes, it.text.as_bytes(), 0).is_some();
        self.0.iter().filter(there).map(|it| it.name.as_str())
    }

    /// `bytes` with every secret in the place of its stand-in. `None` when one cannot stand there.
    pub fn put(&self, bytes: Bytes, place: Place) -> Option<Bytes> {
        let mut bytes = bytes;
        for StandIn { text, secret, .. } in &self.0 {
            if find(&bytes, text.as_bytes(), 0).is_some() {
                let secret = place.encode(secret.reveal())?;
                bytes = replace(&bytes, text.as_bytes(), &secret).into();
            }
        }
        Some(bytes)
    }

    /// `bytes` with every stand-in in the place of its secret. `None` when that has more than `max`
    /// bytes.
    pub fn take_out(&self, bytes: Bytes, max: usize) -> Option<Bytes> {
        let mut bytes = bytes;
        for StandIn { text, forms, .. } in &self.0 {
            for form in &forms.0 {
                let found = count(&bytes, form);
                if found > 0 {
                    let more = found.checked_mul(text.len().saturating_sub(form.len()))?;
                    if bytes.len().checked_add(more)? > max {
                        return None;
                    }
                    bytes = replace(&bytes, form, text.as_bytes()).into();
                }
            }
        }
        Some(bytes)
    }

    /// The same for a short text.
    pub fn take_out_of_text(&self, text: String) -> String {
        let kept = self.take_out(Bytes::from(text), usize::MAX);
        kept.map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

// === impl Place ===

impl Place {
    /// Where a body of this `Content-Type` has its secrets.
    pub fn in_body(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence == "application/json" || essence.ends_with("+json") {
            Self::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Self::Url
        } else {
            Self::Plain
        }
    }

    fn encode(self, secret: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Plain => Some(secret.to_vec()),
            Self::Url => Some(percent(secret, true)),
            Self::Json => json(secret),
        }
    }
}

// === impl Forms ===

impl Forms {
    fn of(secret: &[u8]) -> Self {
        let mut forms = vec![secret.to_vec(), percent(secret, true), percent(secret, false)];
        forms.extend(json(secret));
        for alphabet in [&STANDARD, &URL_SAFE] {
            forms.extend((0..3).map(|offset| in_base64(secret, offset, alphabet)));
        }
        forms.retain(|form| form.as_slice() == secret || form.len() >= PIECE_BYTES_MIN);
        // The longest first: another may be a piece of it.
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self(forms)
    }
}

impl std::fmt::Debug for Forms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The characters of base64 that a secret alone decides, `offset` bytes into a group of three.
fn in_base64(secret: &[u8], offset: usize, alphabet: &Alphabet) -> Vec<u8> {
    let engine = GeneralPurpose::new(alphabet, general_purpose::NO_PAD);
    let mut padded = vec![0; offset];
    padded.extend_from_slice(secret);
    let text = engine.encode(&padded).into_bytes();
    // Six bits a character: those with a bit of a neighbour are left out.
    let first = (offset * 8).div_ceil(6);
    let end = padded.len() * 8 / 6;
    text.get(first..end).unwrap_or_default().to_vec()
}

/// RFC 3986, section 2.1: all but the unreserved characters.
fn percent(bytes: &[u8], is_upper: bool) -> Vec<u8> {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if is_upper {
            let _ = write!(out, "%{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out.into_bytes()
}

/// What stands between the quotes of a JSON string. `None` for what is no text.
fn json(bytes: &[u8]) -> Option<Vec<u8>> {
    let quoted = serde_json::to_string(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(quoted.strip_prefix('"')?.strip_suffix('"')?.as_bytes().to_vec())
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let (&first, rest) = what.split_first()?;
    let mut at = from;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == first)?;
        if bytes.get(at + 1..)?.starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

fn count(bytes: &[u8], what: &[u8]) -> usize {
    let mut found = 0;
    let mut from = 0;
    while let Some(at) = find(bytes, what, from) {
        found += 1;
        from = at + what.len();
    }
    found
}

fn replace(bytes: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    while let Some(at) = find(bytes, what, from) {
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.extend_from_slice(with);
        from = at + what.len();
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}
