//! API keys and their secrets.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::Choice;

use crate::body_hash;

/// Most keys of one ring.
pub const KEYS_MAX: usize = 64;

/// Most secrets under one key: the one in use, and those a rotation still has in flight.
pub const SECRETS_PER_KEY_MAX: usize = 4;

pub(crate) type HmacSha256 = Hmac<Sha256>;

/// Keys a receiver trusts: several keys, several secrets per key (rotation). The HMAC state of each
/// secret is prepared once. `Debug` prints key names only.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    name: Box<str>,
    secrets: Vec<HmacSha256>,
}

/// Why a key was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// An API key of no characters.
    #[error("the API key is empty")]
    EmptyKey,
    /// A secret of no bytes would let anybody sign.
    #[error("the secret is empty")]
    EmptySecret,
    /// Not `key: secret`.
    #[error("line {line}: expected `key: secret`")]
    Line {
        /// Counted from 1.
        line: usize,
    },
    /// Over a limit.
    #[error("more than {max} {what}")]
    TooMany {
        /// `keys` or `secrets for one key`.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

// === impl KeyRing ===

impl KeyRing {
    /// An empty ring refuses everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one secret under `api_key`. The secret is used as its raw bytes, as LiveKit does: no
    /// trimming, no decoding.
    ///
    /// # Errors
    /// When the key or the secret is empty, or a limit (64 keys, 4 secrets per key) is passed.
    pub fn insert(&mut self, api_key: &str, secret: &[u8]) -> Result<(), Error> {
        if api_key.is_empty() {
            return Err(Error::EmptyKey);
        }
        if secret.is_empty() {
            return Err(Error::EmptySecret);
        }
        // HMAC takes keys of any other length: `devkey`'s six bytes are legal.
        let state = HmacSha256::new_from_slice(secret).map_err(|_| Error::EmptySecret)?;
        if let Some(key) = self.keys.iter_mut().find(|key| *key.name == *api_key) {
            if key.secrets.len() == SECRETS_PER_KEY_MAX {
                let max = SECRETS_PER_KEY_MAX;
                return Err(Error::TooMany { what: "secrets for one key", max });
            }
            key.secrets.push(state);
            return Ok(());
        }
        if self.keys.len() == KEYS_MAX {
            return Err(Error::TooMany { what: "keys", max: KEYS_MAX });
        }
        self.keys.push(Key { name: api_key.into(), secrets: vec![state] });
        Ok(())
    }

    /// Reads LiveKit's own `LIVEKIT_KEYS` form: `key: secret`, one a line (or separated by commas).
    /// As LiveKit, it wants white space after the colon. Empty lines and lines that begin with `#`
    /// are skipped.
    ///
    /// # Errors
    /// With the line number, never with the text: it holds secrets.
    pub fn from_livekit_keys(text: &str) -> Result<Self, Error> {
        let mut ring = Self::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim_start().starts_with('#') {
                continue;
            }
            let wrong = Error::Line { line: index + 1 };
            for pair in line.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                let Some((key, secret)) = pair.split_once(": ") else {
                    return Err(wrong);
                };
                match ring.insert(unquoted(key), unquoted(secret).as_bytes()) {
                    Err(Error::EmptyKey | Error::EmptySecret) => return Err(wrong),
                    inserted => inserted?,
                }
            }
        }
        Ok(ring)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The names of the keys.
    pub fn api_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.name)
    }

    /// The names of the keys, each with how many secrets it has.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, usize)> {
        self.keys.iter().map(|key| (&*key.name, key.secrets.len()))
    }

    /// The index of the secret of `api_key` that made `signature` over `signed`.
    ///
    /// Takes the same time for a known and an unknown key: as many HMACs as the key with the most
    /// secrets has, each compared in constant time, none skipped. Where there is no secret, another
    /// one stands in and cannot win.
    pub(crate) fn verify(
        &self,
        api_key: &str,
        signed: &[u8],
        signature: &[u8; 32],
    ) -> Result<usize, Mismatch> {
        let key = self.keys.iter().find(|key| *key.name == *api_key);
        let Some(decoy) = self.keys.iter().max_by_key(|key| key.secrets.len()) else {
            return Err(Mismatch::UnknownKey);
        };
        let mut found = None;
        for (index, stand_in) in decoy.secrets.iter().enumerate() {
            let own = key.and_then(|key| key.secrets.get(index));
            let right = signs(own.unwrap_or(stand_in), signed, signature);
            if bool::from(right & Choice::from(u8::from(own.is_some()))) {
                found = Some(index);
            }
        }
        match (key, found) {
            (None, _) => Err(Mismatch::UnknownKey),
            (Some(_), None) => Err(Mismatch::Signature),
            (Some(_), Some(index)) => Ok(index),
        }
    }

    /// The first key with a secret that made `signature`, whatever key the token names. To explain
    /// a refusal.
    pub(crate) fn signer(&self, signed: &[u8], signature: &[u8; 32]) -> Option<&str> {
        let made = |key: &&Key| key.secrets.iter().any(|s| signs(s, signed, signature).into());
        self.keys.iter().find(made).map(|key| &*key.name)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.api_keys()).finish()
    }
}

/// Why [`KeyRing::verify`] found no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    UnknownKey,
    Signature,
}

fn signs(secret: &HmacSha256, signed: &[u8], signature: &[u8; 32]) -> Choice {
    let mac = secret.clone().chain_update(signed).finalize().into_bytes();
    body_hash::same(&mac.into(), signature)
}

/// Without one pair of quotes, which YAML allows around both.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
