//! The outer shape: one header value, three parts, canonical base64url, the JOSE header.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::rejection::excerpt;
use super::{Part, Rejection, TOKEN_BYTES_MAX};
use crate::json::{self, Value};
use crate::sign;

/// Parts up to this many characters, which all of LiveKit's are, are decoded on the stack.
const SMALL_CHARS: usize = 512;

/// A token cut at its dots.
pub(super) struct Compact<'v> {
    header: &'v [u8],
    payload: &'v [u8],
    signature: &'v [u8],
    /// What the signature is over: the first two parts and the dot between them.
    pub(super) signed: &'v [u8],
}

/// The only `Authorization` value, without the spaces and tabs around it.
pub(super) fn single<'v>(
    values: impl IntoIterator<Item = &'v [u8]>,
) -> Result<&'v [u8], Rejection> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(Rejection::NoToken)?;
    if values.next().is_some() {
        return Err(Rejection::MultipleTokens);
    }
    let value = stripped(value);
    match value.len() {
        0 => Err(Rejection::NoToken),
        bytes if bytes > TOKEN_BYTES_MAX => Err(Rejection::TokenTooLong { bytes }),
        // Proxies join repeated headers with a comma, which no token contains.
        _ if json::position(value, b',').is_some() => Err(Rejection::MultipleTokens),
        _ => Ok(value),
    }
}

fn stripped(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// What follows `Bearer` and white space, in any case.
fn after_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let spaced = matches!(rest.first(), Some(b' ' | b'\t'));
    (spaced && scheme.eq_ignore_ascii_case(b"bearer")).then(|| stripped(rest))
}

/// What stands before the first dot and behind it.
fn at_dot(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = json::position(value, b'.')?;
    Some((value.get(..at)?, value.get(at + 1..)?))
}

// === impl Compact ===

impl<'v> Compact<'v> {
    pub(super) fn split(value: &'v [u8], accept_bearer_prefix: bool) -> Result<Self, Rejection> {
        let value = match after_bearer(value) {
            Some(_) if !accept_bearer_prefix => return Err(Rejection::Bearer),
            Some(token) => token,
            None => value,
        };
        let wrong = || Rejection::Parts { found: value.split(|byte| *byte == b'.').count() };
        let (header, rest) = at_dot(value).ok_or_else(wrong)?;
        let (payload, signature) = at_dot(rest).ok_or_else(wrong)?;
        if at_dot(signature).is_some() {
            return Err(wrong());
        }
        let signed = value.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Self { header, payload, signature, signed })
    }

    /// The signature's bytes, or `None` when they are not 32.
    pub(super) fn signature(&self) -> Result<Option<[u8; 32]>, Rejection> {
        decoded(self.signature, Part::Signature, |bytes| Ok(bytes.try_into().ok()))
    }

    /// Hands the decoded claims to `read`.
    pub(super) fn payload<T>(
        &self,
        read: impl FnOnce(&[u8]) -> Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        decoded(self.payload, Part::Payload, read)
    }

    /// HS256 and nothing critical. Members we do not know are ignored, whatever their type (RFC
    /// 7515, section 4).
    pub(super) fn check_header(&self) -> Result<(), Rejection> {
        if self.header == sign::HEADER.as_bytes() { Ok(()) } else { self.check_other_header() }
    }

    /// One that LiveKit does not send.
    #[cold]
    fn check_other_header(&self) -> Result<(), Rejection> {
        decoded(self.header, Part::Header, |header| {
            let (mut alg, mut critical) = (None, None);
            let read = json::document(header, |reader, name| {
                let value = reader.value()?;
                match name {
                    b"alg" => alg = Some(value),
                    b"crit" => critical = Some("crit"),
                    b"b64" => critical = Some("b64"),
                    _ => {}
                }
                Ok(())
            });
            read.map_err(|source| Rejection::Json { part: Part::Header, source })?;
            match alg {
                Some(Value::Text(alg)) if alg.text() == "HS256" => {}
                Some(Value::Text(alg)) => {
                    return Err(Rejection::Alg { found: Some(excerpt(&alg.text())) });
                }
                _ => return Err(Rejection::Alg { found: None }),
            }
            critical.map_or(Ok(()), |member| Err(Rejection::Critical { member }))
        })
    }
}

fn decoded<T>(
    part: &[u8],
    which: Part,
    read: impl FnOnce(&[u8]) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    let (mut small, mut large) = ([0; SMALL_CHARS / 4 * 3], Vec::new());
    let buffer = if part.len() <= SMALL_CHARS {
        &mut small[..]
    } else {
        large.resize(TOKEN_BYTES_MAX / 4 * 3, 0);
        &mut large[..]
    };
    let bytes = URL_SAFE_NO_PAD.decode_slice(part, buffer).ok();
    read(bytes.and_then(|bytes| buffer.get(..bytes)).ok_or(Rejection::Base64 { part: which })?)
}
