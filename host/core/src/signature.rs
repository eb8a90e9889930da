//! How a receiver can tell that a delivery is ours.
//!
//! Three ways, any of them at once: Standard Webhooks v1 and v1a, LiveKit's own token (so that
//! every LiveKit SDK receiver works behind us unmodified), and a plain HMAC-SHA256 header. All are
//! computed anew for each attempt over the exact bytes that are sent.

use crate::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

mod standard;

pub use standard::{SECRETS_MAX, SHARED_BYTES, StandardSecret, StandardSecrets};

/// Longest secret of the other two ways, and longest credential of an endpoint, in bytes.
pub const SECRET_BYTES_MAX: usize = 4_096;
/// Longest name of a signature header, in bytes.
pub const HEADER_NAME_BYTES_MAX: usize = 64;

/// A secret of 1 to 4,096 bytes. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Vec<u8>);

/// One way of signing. Made by the functions that check it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signing {
    /// Standard Webhooks, one signature per live secret, newest first. [`Signing::standard`].
    Standard(StandardSecrets),
    /// The same with secrets that are not configured but kept in the store: whoever sends puts
    /// [`Signing::Standard`] in its place.
    Stored,
    /// LiveKit's token under the endpoint's own key. [`Signing::livekit`].
    Livekit {
        /// The `iss` claim.
        api_key: String,
        /// What it is signed with.
        secret: Secret,
    },
    /// HMAC-SHA256 of the body, in hex. [`Signing::hmac`].
    Hmac {
        /// In lower case.
        header: String,
        /// What it is signed with.
        secret: Secret,
    },
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The same on every attempt and replay.
    pub webhook_id: &'a str,
    /// Of this attempt.
    pub now: Timestamp,
    /// Exactly what is sent.
    pub body: &'a [u8],
}

/// A request header: name in lower case, and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Printable ASCII.
    pub value: String,
}

/// What is wrong with a secret or a way of signing. Never holds the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not the form of the specification.
    #[error(
        "expected `whsec_` and the base64 of 24 to 64 bytes, or `whsk_` and the base64 of an Ed25519 private key"
    )]
    StandardSecret,
    /// The half of a key pair that cannot sign.
    #[error("a `whpk_` is the public key, which receivers verify with: give the `whsk_` here")]
    PublicKey,
    /// None, or more than can be live at once.
    #[error("expected 1 to {SECRETS_MAX} secrets, found {0}")]
    Secrets(usize),
    /// A window of nothing.
    #[error("the secret expires before it begins")]
    Window,
    /// A day would come on which nothing could be signed.
    #[error(
        "one secret must sign where another expires: leave out `expires` of the newest, or let another begin by then"
    )]
    Gap,
    /// Nothing can be signed.
    #[error("no secret of the endpoint is live: run `livekit-webhook secret rotate`")]
    NoSecret,
    /// Nothing can be signed yet.
    #[error("no secret of the endpoint has begun to sign: see `begins` of its secrets")]
    NotBegun,
    /// Empty or too long.
    #[error("a secret has 1 to {SECRET_BYTES_MAX} bytes, this one has {0}")]
    SecretBytes(usize),
    /// Not usable as an `iss` claim.
    #[error("an API key has 1 to 256 printable ASCII characters")]
    ApiKey,
    /// Not a header, or one that the delivery itself sets.
    #[error("expected the name of a header that is not set otherwise, such as `x-signature`")]
    Header,
}

// === impl Secret ===

impl Secret {
    /// Takes the bytes as they are.
    ///
    /// # Errors
    /// [`Error::SecretBytes`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        match bytes.len() {
            1..=SECRET_BYTES_MAX => Ok(Self(bytes)),
            count => Err(Error::SecretBytes(count)),
        }
    }

    /// The bytes, for the one who signs or authenticates.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Signing ===

impl Signing {
    /// Standard Webhooks. Several secrets, newest first, sign side by side while one replaces
    /// another.
    ///
    /// # Errors
    /// As [`StandardSecrets::new`].
    pub fn standard(secrets: Vec<StandardSecret>) -> Result<Self, Error> {
        StandardSecrets::new(secrets).map(Self::Standard)
    }

    /// LiveKit mode.
    ///
    /// # Errors
    /// [`Error::ApiKey`].
    pub fn livekit(api_key: &str, secret: Secret) -> Result<Self, Error> {
        let fits = |byte: u8| byte.is_ascii_graphic();
        if api_key.is_empty() || api_key.len() > 256 || !api_key.bytes().all(fits) {
            return Err(Error::ApiKey);
        }
        Ok(Self::Livekit { api_key: api_key.to_owned(), secret })
    }

    /// A plain HMAC-SHA256 header.
    ///
    /// # Errors
    /// [`Error::Header`] when `header` cannot be a header, or is one that a delivery sets itself.
    pub fn hmac(header: &str, secret: Secret) -> Result<Self, Error> {
        let header = header.to_ascii_lowercase();
        if !is_free_header(&header) {
            return Err(Error::Header);
        }
        Ok(Self::Hmac { header, secret })
    }

    /// The word of the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Standard(_) | Self::Stored => "standard",
            Self::Livekit { .. } => "livekit",
            Self::Hmac { .. } => "hmac",
        }
    }

    /// The headers of one attempt. `webhook-id` and `webhook-timestamp` come with
    /// [`Signing::Standard`] only: without a signature over them they prove nothing.
    ///
    /// # Errors
    /// [`Error::NotBegun`] when no secret is live, [`Error::NoSecret`] for [`Signing::Stored`].
    pub fn headers(&self, signed: &Signed<'_>) -> Result<Vec<Header>, Error> {
        Ok(match self {
            Self::Standard(secrets) => secrets.headers(signed)?,
            Self::Stored => return Err(Error::NoSecret),
            Self::Livekit { api_key, secret } => {
                let now_s = signed.now.as_secs();
                let authorization = livekit_webhook_wire::sign::authorization;
                let value = authorization(api_key, &secret.0, signed.body, now_s);
                vec![header("authorization", value)]
            }
            Self::Hmac { header: name, secret } => {
                let digest = hmac_sha256(&secret.0, &[signed.body]);
                let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                vec![header(name, hex)]
            }
        })
    }

    /// The content type this way asks for. LiveKit's receivers check theirs.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Livekit { .. } => Some("application/webhook+json"),
            Self::Standard(_) | Self::Stored | Self::Hmac { .. } => None,
        }
    }
}

/// Whether `name`, in lower case, is a header that nothing else of a delivery sets: the
/// transport's own, what describes the body, who asks, and everything of Standard Webhooks and of
/// trace contexts.
pub fn is_free_header(name: &str) -> bool {
    const SET_OTHERWISE: [&str; 19] = [
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ];
    let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    (1..=HEADER_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with("webhook-")
        && !SET_OTHERWISE.contains(&name)
}

fn header(name: &str, value: String) -> Header {
    Header { name: name.to_owned(), value }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac_sha256(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length fits");
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
