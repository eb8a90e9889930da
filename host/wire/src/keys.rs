//! API keys and their secrets.

/// Keys a receiver trusts: several keys, several secrets per key (rotation). The HMAC state of each secret is prepared
/// once. `Debug` prints key names only.
#[derive(Clone, Default)]
pub struct KeyRing {}

impl KeyRing {
    /// An empty ring refuses everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one secret under `api_key`. The secret is used as its raw bytes, as LiveKit does: no trimming, no decoding.
    ///
    /// # Errors
    /// When the key or the secret is empty, or a limit (64 keys, 4 secrets per key) is passed.
    pub fn insert(&mut self, api_key: &str, secret: &[u8]) -> Result<(), Error> {
        let _ = (api_key, secret);
        unimplemented!()
    }

    /// Reads LiveKit's own `LIVEKIT_KEYS` form: `key: secret`, one a line (or separated by commas).
    ///
    /// # Errors
    /// With the line number, never with the text: it holds secrets.
    pub fn from_livekit_keys(text: &str) -> Result<Self, Error> {
        let _ = text;
        unimplemented!()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }

    /// The names of the keys.
    pub fn api_keys(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
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
