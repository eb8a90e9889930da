//! Signing secrets that live in the store, sealed under a key that does not.
//!
//! The cast: a [`SealingKey`] is 32 bytes of the operator's, with a name; the [`Vault`] has some of
//! them, the first seals and all open; [`rotate`] makes, replaces and withdraws secrets; the
//! [`Keeper`] opens those that are live and hands them to whoever signs.
//!
//! A secret is sealed with ChaCha20-Poly1305 under a random nonce of 96 bits. The endpoint's name
//! and the secret's id are authenticated with it, so a row that was moved to another endpoint does
//! not open. Guarantee: without the key neither the store nor a copy of it gives a secret away.
//! Non-guarantee: `created_at` and `expires_at` are not authenticated; who can write to the store
//! can make an old secret live longer, but not make one up.

mod keeper;
pub mod rotate;

pub use keeper::{Keeper, Live};

use crate::entropy::unguessable;
use crate::store::SealedSecret;
use bytes::Bytes;
use livekit_webhook_core::id::SecretId;
use livekit_webhook_core::signature::{self, StandardSecret};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fmt;
use std::sync::Arc;

/// Bytes of a sealing key.
pub const KEY_BYTES: usize = 32;
/// Most keys of a vault.
pub const KEYS_MAX: usize = 8;
/// Longest name of a key, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 64;
/// First byte of everything sealed, so that another form can be told apart.
const FORM: u8 = 1;

/// A key that seals, with its name. `Debug` does not print the key.
#[derive(Clone)]
pub struct SealingKey {
    id: String,
    key: Arc<LessSafeKey>,
}

/// All keys: the first seals, all open. Without any, nothing can be sealed.
#[derive(Clone, Debug, Default)]
pub struct Vault(Vec<SealingKey>);

/// Why a secret cannot be sealed or opened. No secret is in any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no key to seal with.
    #[error(
        "there is no key to seal with: give [secrets] keys = [{{ id = \"k1\", secret_file = \"seal.key\" }}], with the base64 of 32 random bytes in the file"
    )]
    NoKey,
    /// The key it was sealed with is not here.
    #[error(
        "the secret {id} is sealed under the key {key_id:?}, which [secrets] keys does not name"
    )]
    UnknownKey {
        /// The secret.
        id: SecretId,
        /// As the store has it.
        key_id: String,
    },
    /// Another key of the same name, or a damaged row.
    #[error(
        "the secret {id} does not open: the key {key_id:?} is not the one that sealed it, or the row is damaged"
    )]
    Sealed {
        /// The secret.
        id: SecretId,
        /// As the store has it.
        key_id: String,
    },
    /// It opens, and is none.
    #[error("the secret {id} opens, but is no signing secret")]
    Content {
        /// The secret.
        id: SecretId,
        /// What is wrong with it.
        source: signature::Error,
    },
    /// The system gives no randomness.
    #[error("the system has no randomness to give")]
    Entropy(#[source] getrandom::Error),
    /// A key of another length.
    #[error(
        "expected the base64 of {KEY_BYTES} random bytes, such as `openssl rand -base64 32` prints"
    )]
    Key,
    /// Not a name of a key.
    #[error("the id of a key is 1 to {KEY_ID_BYTES_MAX} printable ASCII characters")]
    KeyId,
}

// === impl SealingKey ===

impl SealingKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::KeyId`].
    pub fn new(id: &str, bytes: &[u8]) -> Result<Self, Error> {
        let fits = !id.is_empty()
            && id.len() <= KEY_ID_BYTES_MAX
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(Error::KeyId);
        }
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).map_err(|_| Error::Key)?;
        Ok(Self { id: id.to_owned(), key: Arc::new(LessSafeKey::new(key)) })
    }

    /// How the rows call it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [redacted]", self.id)
    }
}

// === impl Vault ===

impl Vault {
    /// These keys; the first seals.
    pub fn new(keys: Vec<SealingKey>) -> Self {
        Self(keys)
    }

    /// The keys.
    pub fn keys(&self) -> &[SealingKey] {
        &self.0
    }

    /// Seals `secret` for `endpoint` under the first key: key id and sealed bytes.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::Entropy`].
    pub fn seal(
        &self,
        endpoint: &str,
        id: SecretId,
        secret: &StandardSecret,
    ) -> Result<(String, Bytes), Error> {
        let key = self.0.first().ok_or(Error::NoKey)?;
        let nonce: [u8; NONCE_LEN] = unguessable().map_err(Error::Entropy)?;
        let mut sealed = vec![FORM];
        sealed.extend_from_slice(&nonce);
        let mut text = secret.reveal().into_bytes();
        let tag = key.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(bound_to(endpoint, id)),
            &mut text,
        );
        // Only a text of gigabytes cannot be sealed.
        let tag = tag.map_err(|_| Error::Key)?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Ok((key.id.clone(), sealed.into()))
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::Sealed`], [`Error::Content`].
    pub fn open(&self, row: &SealedSecret) -> Result<StandardSecret, Error> {
        let (id, key_id) = (row.id, || row.key_id.clone());
        let key = self.0.iter().find(|key| key.id == row.key_id);
        let key = key.ok_or_else(|| Error::UnknownKey { id, key_id: key_id() })?;
        let failed = || Error::Sealed { id, key_id: key_id() };
        let (form, rest) = row.sealed.split_first().ok_or_else(failed)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(failed)?;
        if *form != FORM {
            return Err(failed());
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
        let mut text = text.to_vec();
        let aad = Aad::from(bound_to(&row.endpoint, id));
        let text = key.key.open_in_place(nonce, aad, &mut text).map_err(|_| failed())?;
        let text = std::str::from_utf8(text).unwrap_or_default();
        StandardSecret::parse(text).map_err(|source| Error::Content { id, source })
    }
}

/// What a secret is authenticated with.
fn bound_to(endpoint: &str, id: SecretId) -> Vec<u8> {
    let mut bytes = b"livekit-webhook secret 1\0".to_vec();
    bytes.extend_from_slice(&id.to_bytes());
    bytes.extend_from_slice(endpoint.as_bytes());
    bytes
}

#[cfg(test)]
mod tests;
