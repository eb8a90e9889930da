//! Standard Webhooks: the secrets, when they are live, and what they sign.
//!
//! Two schemes, told apart by the secret's prefix: `v1` is HMAC-SHA256 under a shared secret
//! (`whsec_`), `v1a` is Ed25519 under a private key (`whsk_`), which receivers check with the
//! public key (`whpk_`) and cannot sign with themselves. All live secrets sign side by side in one
//! header, so that a receiver verifies with the old or the new one while one replaces the other.

use super::{Error, Header, Signed, header, hmac_sha256};
use crate::time::Timestamp;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use std::fmt;

/// Bytes of a shared secret. Specification, "Signature scheme".
pub const SHARED_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets of one endpoint, for rotation with overlap.
pub const SECRETS_MAX: usize = 4;

/// Secrets are given with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret and when it signs. `Debug` does not print the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StandardSecret {
    key: Key,
    begins: Option<Timestamp>,
    expires: Option<Timestamp>,
}

/// The secrets of one endpoint, newest first: 1 to [`SECRETS_MAX`], and no moment after the first
/// of them begins at which all have expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardSecrets(Vec<StandardSecret>);

#[derive(Clone, PartialEq, Eq)]
enum Key {
    Shared(Vec<u8>),
    Ed25519(Box<SigningKey>),
}

// === impl StandardSecret ===

impl StandardSecret {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes, or `whsk_` and the base64 of an Ed25519
    /// private key: its 32 bytes, or these and the 32 of the public key after them. Always live.
    ///
    /// # Errors
    /// [`Error::StandardSecret`], and [`Error::PublicKey`] for a `whpk_`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let decode = |digits: &str| BASE64.decode(digits).map_err(|_| Error::StandardSecret);
        let key = match text.split_once('_') {
            Some(("whsec", digits)) => {
                let bytes = decode(digits)?;
                if !SHARED_BYTES.contains(&bytes.len()) {
                    return Err(Error::StandardSecret);
                }
                Key::Shared(bytes)
            }
            Some(("whsk", digits)) => Key::Ed25519(Box::new(private_key(&decode(digits)?)?)),
            Some(("whpk", _)) => return Err(Error::PublicKey),
            _ => return Err(Error::StandardSecret),
        };
        Ok(Self { key, begins: None, expires: None })
    }

    /// A new shared secret from 32 random bytes.
    pub fn generate(random: [u8; 32]) -> Self {
        Self { key: Key::Shared(random.into()), begins: None, expires: None }
    }

    /// A new Ed25519 key from 32 random bytes.
    pub fn generate_ed25519(random: [u8; 32]) -> Self {
        let key = Key::Ed25519(Box::new(SigningKey::from_bytes(&random)));
        Self { key, begins: None, expires: None }
    }

    /// Signing only from `begins` on and before `expires`.
    ///
    /// # Errors
    /// [`Error::Window`] when it would never sign.
    pub fn within(
        self,
        begins: Option<Timestamp>,
        expires: Option<Timestamp>,
    ) -> Result<Self, Error> {
        if begins.zip(expires).is_some_and(|(begins, expires)| begins >= expires) {
            return Err(Error::Window);
        }
        Ok(Self { begins, expires, ..self })
    }

    /// Whether it signs at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.begins.is_none_or(|begins| begins <= now)
            && self.expires.is_none_or(|expires| now < expires)
    }

    /// From when on it signs; `None`: it always has.
    pub fn begins(&self) -> Option<Timestamp> {
        self.begins
    }

    /// When it stops to sign; `None`: never.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// `whsec_…` or `whsk_…`, to show it to the operator once.
    pub fn reveal(&self) -> String {
        match &self.key {
            Key::Shared(bytes) => format!("whsec_{}", STANDARD.encode(bytes)),
            Key::Ed25519(key) => format!("whsk_{}", STANDARD.encode(key.to_keypair_bytes())),
        }
    }

    /// `whpk_…` of an Ed25519 key, for its receivers. It is no secret.
    pub fn public_key(&self) -> Option<String> {
        match &self.key {
            Key::Shared(_) => None,
            Key::Ed25519(key) => {
                Some(format!("whpk_{}", STANDARD.encode(key.verifying_key().as_bytes())))
            }
        }
    }

    /// `v1,…` or `v1a,…`
    fn sign(&self, prefix: &str, body: &[u8]) -> String {
        match &self.key {
            Key::Shared(secret) => {
                let digest = hmac_sha256(secret, &[prefix.as_bytes(), body]);
                format!("v1,{}", STANDARD.encode(digest))
            }
            Key::Ed25519(key) => {
                let signature = key.sign(&[prefix.as_bytes(), body].concat());
                format!("v1a,{}", STANDARD.encode(signature.to_bytes()))
            }
        }
    }
}

impl fmt::Debug for StandardSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A pair whose halves do not belong together would sign what nobody can verify, and give its
/// secret away.
fn private_key(bytes: &[u8]) -> Result<SigningKey, Error> {
    if let Ok(seed) = <[u8; 32]>::try_from(bytes) {
        return Ok(SigningKey::from_bytes(&seed));
    }
    let pair = <[u8; 64]>::try_from(bytes).map_err(|_| Error::StandardSecret)?;
    SigningKey::from_keypair_bytes(&pair).map_err(|_| Error::StandardSecret)
}

// === impl StandardSecrets ===

impl StandardSecrets {
    /// Checks them together.
    ///
    /// # Errors
    /// [`Error::Secrets`] for none or too many, [`Error::Gap`] when all will have expired one day,
    /// or in between.
    pub fn new(secrets: Vec<StandardSecret>) -> Result<Self, Error> {
        if !(1..=SECRETS_MAX).contains(&secrets.len()) {
            return Err(Error::Secrets(secrets.len()));
        }
        let ends = secrets.iter().filter_map(|secret| secret.expires);
        for end in ends {
            if !secrets.iter().any(|secret| secret.is_live(end)) {
                return Err(Error::Gap);
            }
        }
        Ok(Self(secrets))
    }

    /// As given: newest first.
    pub fn as_slice(&self) -> &[StandardSecret] {
        &self.0
    }

    /// The three headers, with a signature by each live secret.
    ///
    /// # Errors
    /// [`Error::NotBegun`] when the first of them begins later.
    pub(super) fn headers(&self, signed: &Signed<'_>) -> Result<Vec<Header>, Error> {
        let id = signed.webhook_id;
        let timestamp = signed.now.as_secs().to_string();
        let prefix = format!("{id}.{timestamp}.");
        let live = self.0.iter().filter(|secret| secret.is_live(signed.now));
        let signatures: Vec<String> =
            live.map(|secret| secret.sign(&prefix, signed.body)).collect();
        if signatures.is_empty() {
            return Err(Error::NotBegun);
        }
        Ok(vec![
            header("webhook-id", id.to_owned()),
            header("webhook-timestamp", timestamp),
            header("webhook-signature", signatures.join(" ")),
        ])
    }
}

#[cfg(test)]
mod tests;
