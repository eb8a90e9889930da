//! How a receiver can tell that a delivery is ours.
//!
//! Three ways, any of them at once: Standard Webhooks v1, LiveKit's own token (so that every
//! LiveKit SDK receiver works behind us unmodified), and a plain HMAC-SHA256 header. All are
//! computed anew for each attempt over the exact bytes that are sent.

use crate::time::Timestamp;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes of a Standard Webhooks secret. Specification, "Signature scheme".
pub const STANDARD_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets that sign one delivery, for rotation with overlap.
pub const STANDARD_SECRETS_MAX: usize = 4;
/// Longest secret of the other two ways, in bytes.
pub const SECRET_BYTES_MAX: usize = 1_024;
/// Longest name of a signature header, in bytes.
pub const HEADER_NAME_BYTES_MAX: usize = 64;

/// Secrets are given with and without padding.
const WHSEC: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret of 1 to 1,024 bytes. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A Standard Webhooks secret of 24 to 64 bytes. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct StandardSecret(Vec<u8>);

/// One way of signing. Made by the functions that check it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signing {
    /// Standard Webhooks v1, one signature per secret, newest first. [`Signing::standard`].
    Standard(Vec<StandardSecret>),
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
    #[error("expected `whsec_` and the base64 of 24 to 64 bytes")]
    StandardSecret,
    /// None, or more than can be live at once.
    #[error("expected 1 to {STANDARD_SECRETS_MAX} secrets, found {0}")]
    Secrets(usize),
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
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl StandardSecret ===

impl StandardSecret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// [`Error::StandardSecret`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix("whsec_").ok_or(Error::StandardSecret)?;
        let bytes = WHSEC.decode(digits).map_err(|_| Error::StandardSecret)?;
        if STANDARD_SECRET_BYTES.contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(Error::StandardSecret)
        }
    }

    /// A new secret from 32 random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        Self(random.into())
    }

    /// `whsec_…`, to show it to the operator once.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for StandardSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

// === impl Signing ===

impl Signing {
    /// Standard Webhooks v1. Several secrets, newest first, sign side by side while one replaces
    /// another.
    ///
    /// # Errors
    /// [`Error::Secrets`].
    pub fn standard(secrets: Vec<StandardSecret>) -> Result<Self, Error> {
        match secrets.len() {
            1..=STANDARD_SECRETS_MAX => Ok(Self::Standard(secrets)),
            count => Err(Error::Secrets(count)),
        }
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
        const SET_OTHERWISE: [&str; 9] = [
            "authorization",
            "connection",
            "content-length",
            "content-type",
            "expect",
            "host",
            "te",
            "transfer-encoding",
            "upgrade",
        ];
        let header = header.to_ascii_lowercase();
        let fits = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if header.is_empty()
            || header.len() > HEADER_NAME_BYTES_MAX
            || !header.bytes().all(fits)
            || header.starts_with("webhook-")
            || SET_OTHERWISE.contains(&header.as_str())
        {
            return Err(Error::Header);
        }
        Ok(Self::Hmac { header, secret })
    }

    /// The word of the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Standard(_) => "standard",
            Self::Livekit { .. } => "livekit",
            Self::Hmac { .. } => "hmac",
        }
    }

    /// The headers of one attempt. `webhook-id` and `webhook-timestamp` come with
    /// [`Signing::Standard`] only: without a signature over them they prove nothing.
    pub fn headers(&self, signed: &Signed<'_>) -> Vec<Header> {
        match self {
            Self::Standard(secrets) => standard_headers(secrets, signed),
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
        }
    }

    /// The content type this way asks for. LiveKit's receivers check theirs.
    pub fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Livekit { .. } => Some("application/webhook+json"),
            Self::Standard(_) | Self::Hmac { .. } => None,
        }
    }
}

fn standard_headers(secrets: &[StandardSecret], signed: &Signed<'_>) -> Vec<Header> {
    let id = signed.webhook_id;
    let timestamp = signed.now.as_secs().to_string();
    let prefix = format!("{id}.{timestamp}.");
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| hmac_sha256(&secret.0, &[prefix.as_bytes(), signed.body]))
        .map(|digest| format!("v1,{}", STANDARD.encode(digest)))
        .collect();
    vec![
        header("webhook-id", id.to_owned()),
        header("webhook-timestamp", timestamp),
        header("webhook-signature", signatures.join(" ")),
    ]
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
