//! Looks for the reason of a refusal by undoing, one at a time, what usually goes wrong, and
//! judging again.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use livekit_webhook_wire::body_hash::BodyHash;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rejection, Rules, Verifier};
use serde_json::Value;

use super::capture::Capture;
use super::verifier;
use crate::cli::credentials::{DEV_API_KEY, DEV_SECRET, KeyPair};

mod body;

/// What explains `rejection`, most telling first. Empty when nothing that was tried fits.
pub fn find(
    rejection: &Rejection,
    capture: &Capture,
    pairs: &[KeyPair],
    now_s: i64,
) -> Vec<String> {
    let authorization: Vec<&[u8]> = capture.values("authorization").collect();
    let first = authorization.first().copied().unwrap_or_default();
    let mut found = Vec::new();
    match rejection {
        Rejection::NoToken if capture.values("authorize").next().is_some() => found.push(
            "The token is in `Authorize`. LiveKit sends `Authorization`; something renamed it."
                .to_owned(),
        ),
        Rejection::NoToken => found.push(
            "Something in front of the receiver removed `Authorization`, or the request never \
             came from LiveKit. Let the proxy pass the header on."
                .to_owned(),
        ),
        Rejection::Bearer => found.push(bearer(first, capture, pairs, now_s)),
        Rejection::MultipleTokens => found.extend(several(&authorization, capture, pairs, now_s)),
        Rejection::UnknownKey { api_key } => found.extend(unknown_key(api_key, first, pairs)),
        Rejection::Signature { .. } => found.extend(secret(first, pairs)),
        Rejection::Expired { ago_s, .. } => found.push(format!(
            "The token expired {ago_s} s ago. LiveKit's tokens live 300 s: either the request was \
             captured earlier (judge it at its own time with --now), or it was sent again later, \
             or this machine's clock is ahead by more than a minute."
        )),
        Rejection::NotYetValid { ahead_s, .. } if *ahead_s > 1_000_000_000 => found.push(
            "The time in the token is in milliseconds. LiveKit writes seconds: it is not the \
             sender."
                .to_owned(),
        ),
        Rejection::NotYetValid { ahead_s, .. } => found.push(format!(
            "The token is from {ahead_s} s in the future: this machine's clock is behind, or \
             LiveKit's is ahead. Synchronise them (NTP)."
        )),
        Rejection::ShaMissing => found.push(no_digest(first)),
        Rejection::ShaMismatch => found.extend(body::find(first, capture, pairs, now_s)),
        _ => {}
    }
    found
}

/// Whether a request with this token passes everything up to the body.
fn passes(token: &[u8], capture: &Capture, pairs: &[KeyPair], now_s: i64) -> bool {
    let Ok(verifier) = verifier(pairs) else {
        return false;
    };
    verifier.verify([token], &capture.body, now_s).is_ok()
}

fn bearer(value: &[u8], capture: &Capture, pairs: &[KeyPair], now_s: i64) -> String {
    let token = value.get("Bearer ".len()..).unwrap_or_default();
    let rest = if passes(token, capture, pairs, now_s) {
        "Without it the request is authentic."
    } else {
        "Without it the request is still refused."
    };
    format!(
        "LiveKit sends the token alone; a proxy or a test tool put `Bearer` before it. {rest} \
         Remove the rewriting, or set `accept_bearer_prefix` for the source."
    )
}

fn several(values: &[&[u8]], capture: &Capture, pairs: &[KeyPair], now_s: i64) -> Option<String> {
    let parts = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
    let good = parts.filter(|part| passes(part.trim_ascii(), capture, pairs, now_s)).count();
    (good > 0).then(|| {
        "One of the values is LiveKit's own, the other was added on the way, often by a proxy \
         with basic authentication. Let nothing else set `Authorization`."
            .to_owned()
    })
}

fn unknown_key(api_key: &str, token: &[u8], pairs: &[KeyPair]) -> Option<String> {
    let ours: Vec<_> = pairs.iter().map(|pair| format!("{:?}", pair.api_key)).collect();
    let ours = ours.join(", ");
    let signer = verifier(pairs).ok()?.signer(token).map(str::to_owned);
    if let Some(signer) = signer {
        return Some(format!(
            "The secret is right, the name is not: it was signed with the secret of {signer:?}. \
             Name the key {api_key:?} here too."
        ));
    }
    if api_key == DEV_API_KEY {
        return Some(
            "It comes from a `livekit-server --dev`, which signs with devkey/secret.".to_owned(),
        );
    }
    Some(format!(
        "It was signed by another project, or by a key added later (`webhook.api_key` of \
         livekit-server, \"signing API key\" in the Cloud dashboard). Known here: {ours}. Add \
         {api_key:?} with its secret."
    ))
}

/// Tries each secret in the shapes in which secrets go wrong.
fn secret(token: &[u8], pairs: &[KeyPair]) -> Option<String> {
    let mut tries: Vec<(String, Vec<u8>)> = Vec::new();
    for pair in pairs {
        for (what, secret) in shapes(&pair.secret) {
            tries.push((format!("the secret of {:?} {what}", pair.api_key), secret));
        }
        tries.push((format!("the secret of another key, {:?}", pair.api_key), pair.secret.clone()));
    }
    tries.push(("`secret`, the one of `livekit-server --dev`".to_owned(), DEV_SECRET.to_vec()));
    for (what, secret) in tries {
        let mut ring = KeyRing::new();
        if ring.insert("tried", &secret).is_err() {
            continue;
        }
        if Verifier::new(ring, Rules::default()).signer(token).is_some() {
            return Some(format!("It was signed with {what}. Make both sides use the same bytes."));
        }
    }
    Some(
        "The secret here is not the one that signed: it belongs to another key or project, or it \
         was rotated. (Tried: white space, quotes, base64, hexadecimal, the other keys, the \
         development secret.)"
            .to_owned(),
    )
}

fn shapes(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut shapes = vec![
        ("with a line end after it", [secret, b"\n"].concat()),
        ("with a Windows line end after it", [secret, b"\r\n"].concat()),
        ("without the white space around it", secret.trim_ascii().to_vec()),
        ("in double quotes", [b"\"", secret, b"\""].concat()),
        ("after base64 encoding", STANDARD.encode(secret).into_bytes()),
    ];
    for quote in [b'"', b'\''] {
        let inner = secret.strip_prefix(&[quote]).and_then(|inner| inner.strip_suffix(&[quote]));
        shapes.extend(inner.map(|inner| ("without the quotes around it", inner.to_vec())));
    }
    let trimmed = secret.trim_ascii();
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        let decoded = engine.decode(trimmed).ok();
        shapes.extend(decoded.map(|decoded| ("after base64 decoding", decoded)));
    }
    // As a lenient decoder reads it: other characters are passed over.
    let letters =
        trimmed.iter().filter(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
    let mut letters: Vec<u8> = letters.copied().collect();
    letters.truncate(letters.len() / 4 * 4);
    let decoded = STANDARD.decode(letters).ok();
    shapes.extend(decoded.map(|decoded| ("after lenient base64 decoding", decoded)));
    shapes.extend(unhex(trimmed).map(|decoded| ("after hexadecimal decoding", decoded)));
    shapes
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len().is_multiple_of(2))?;
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

fn no_digest(token: &[u8]) -> String {
    let claims = claims(token);
    let grants = claims.as_ref().and_then(|claims| claims.get("video")).is_some();
    if grants {
        return "This is a room access token, the kind that clients join with: rightly signed, but \
                not by a webhook sender. Whoever sent it is not LiveKit."
            .to_owned();
    }
    "The token is rightly signed but says nothing of a body, so anybody who ever got a token of \
     this project could have sent it."
        .to_owned()
}

/// The claims, unverified.
fn claims(token: &[u8]) -> Option<Value> {
    let payload = token.split(|byte| *byte == b'.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Whether these bytes are what the token was made over.
fn hashes(token: &[u8], body: &[u8], pairs: &[KeyPair], now_s: i64) -> bool {
    let Ok(verifier) = verifier(pairs) else {
        return false;
    };
    let token = verifier.token([token], now_s);
    token.is_ok_and(|token| token.check_body(&BodyHash::of(body)).is_ok())
}
