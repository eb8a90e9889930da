//! The verdict: is this request LiveKit's?

use crate::keys::KeyRing;

/// Longest `Authorization` value looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8192;

/// What may be set. The default is what every source should use.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Clock difference allowed, in seconds, 0 to 300. Default 60, as LiveKit's Go, Python and Rust receivers.
    pub leeway_s: u32,
    /// Refuse tokens issued longer ago than this, in seconds. 0 (default): no limit beyond `exp`.
    pub token_age_max_s: u32,
    /// Accept `Bearer ` before the token. Default false: LiveKit sends none.
    pub accept_bearer_prefix: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { leeway_s: 60, token_age_max_s: 0, accept_bearer_prefix: false }
    }
}

/// Keys and rules, ready to judge.
#[derive(Clone)]
pub struct Verifier {}

impl Verifier {
    /// A verifier over `keys`.
    pub fn new(keys: KeyRing, rules: Rules) -> Self {
        let _ = (keys, rules);
        unimplemented!()
    }

    /// Phase A, before any body byte: the values of all `Authorization` headers, as bytes.
    ///
    /// # Errors
    /// The first check that failed. See [`Rejection`].
    pub fn token<'v>(
        &self,
        authorization: impl IntoIterator<Item = &'v [u8]>,
        now_s: i64,
    ) -> Result<Token, Rejection> {
        let _ = (authorization.into_iter().next(), now_s);
        unimplemented!()
    }

    /// Phases A and B at once.
    ///
    /// # Errors
    /// The first check that failed.
    pub fn verify<'v>(
        &self,
        authorization: impl IntoIterator<Item = &'v [u8]>,
        body: &[u8],
        now_s: i64,
    ) -> Result<Token, Rejection> {
        let _ = body;
        self.token(authorization, now_s)
    }
}

/// A token whose signature and times are right. Says nothing of a body until [`Token::check_body`] has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The `iss` claim: the key that signed.
    pub api_key: String,
    /// Unix seconds of `exp`.
    pub expires_at_s: i64,
    /// Unix seconds of `iat`, else of `nbf`.
    pub issued_at_s: Option<i64>,
    /// What the body must hash to.
    pub body_sha256: [u8; 32],
}

impl Token {
    /// Phase B: compares in constant time.
    ///
    /// # Errors
    /// [`Rejection::ShaMismatch`].
    pub fn check_body(&self, body_sha256: &[u8; 32]) -> Result<(), Rejection> {
        let _ = body_sha256;
        unimplemented!()
    }
}

/// Which check failed. [`Rejection::code`] is the stable word for logs and metrics; strangers only get
/// [`Rejection::public_code`], in which an unknown key, a wrong signature and a wrong algorithm are one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The body's SHA-256 is not the token's.
    #[error("the body does not hash to the token's sha256")]
    ShaMismatch,
}

impl Rejection {
    /// `alg`, `iss`, `sig`, `exp`, `nbf`, `sha_missing`, `sha_mismatch`, …
    pub fn code(&self) -> &'static str {
        unimplemented!()
    }

    /// `invalid_token`, `expired`, `body_mismatch`, …
    pub fn public_code(&self) -> &'static str {
        unimplemented!()
    }
}
