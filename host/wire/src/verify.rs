//! The verdict: is this request LiveKit's?
//!
//! Cast: the [`Verifier`] judges the values of `Authorization` and gives a [`Token`], which then
//! judges the body's SHA-256. A [`Rejection`] says which check failed.
//!
//! Mechanism, in this order: one value; three canonical base64url parts; a strict JOSE header with
//! `alg` HS256 and nothing critical; strict claims; `iss`; the HMAC, in constant time; only then
//! the times and `sha256`.
//!
//! Guarantee: no claim but `iss` is believed before the HMAC is right, and a stranger can tell an
//! unknown key from a wrong signature neither by the answer nor by the time it takes. No clock is
//! read: `now_s` is an argument. Not guaranteed: freshness beyond `exp` (a captured request
//! verifies until then; dedupe by event id ends that), and nothing but the body: LiveKit signs no
//! URL, method or header.

use crate::body_hash::{self, BodyHash};
use crate::json;
use crate::keys::{KeyRing, Mismatch};

mod claims;
mod compact;
mod rejection;

use claims::Claims;
use compact::Compact;

/// Longest `Authorization` value looked at, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8192;

/// Largest clock difference that [`Rules::leeway_s`] may allow, in seconds.
pub const LEEWAY_S_MAX: u32 = 300;

/// What may be set. The default is what every source should use.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Clock difference allowed, in seconds, 0 to 300. Default 60, as LiveKit's Go, Python and Rust
    /// receivers. A larger value counts as 300.
    pub leeway_s: u32,
    /// Refuse tokens issued longer ago than this plus the leeway, in seconds, and tokens that do
    /// not say when they were issued. 0 (default): no limit beyond `exp`.
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
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: KeyRing,
    rules: Rules,
}

/// A token whose signature and times are right. Says nothing of a body until [`Token::check_body`]
/// has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The `iss` claim: the key that signed.
    pub api_key: String,
    /// Which of the key's secrets signed, counted from 0 in the order of [`KeyRing::insert`]. A
    /// rotation is over when the old one's index is seen no more.
    pub secret_index: usize,
    /// Unix seconds of `exp`.
    pub expires_at_s: i64,
    /// Unix seconds of `iat`, else of `nbf`.
    pub issued_at_s: Option<i64>,
    /// What the body must hash to.
    pub body_sha256: [u8; 32],
}

/// A part of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first: the JOSE header.
    Header,
    /// The second: the claims.
    Payload,
    /// The third.
    Signature,
}

/// Which check failed. [`Rejection::code`] is the stable word for logs and metrics; strangers only
/// get [`Rejection::public_code`], in which an unknown key, a wrong signature and a wrong algorithm
/// are one.
///
/// The text of a variant is for the log: it may quote up to 64 characters of what a stranger sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No key is loaded, so nothing can be judged. Our own trouble: answer 503, not 401.
    #[error("no keys are loaded")]
    NoKeys,
    /// No `Authorization`, or an empty one.
    #[error("there is no `Authorization` value")]
    NoToken,
    /// More than one `Authorization`, or two joined by a comma.
    #[error("expected one `Authorization` value, found several")]
    MultipleTokens,
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has {bytes} bytes, at most {max} are allowed", max = TOKEN_BYTES_MAX)]
    TokenTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A scheme before the token. LiveKit sends none.
    #[error("the token is preceded by `Bearer`, which LiveKit does not send")]
    Bearer,
    /// Not three parts between dots.
    #[error("the token has {found} parts, expected 3")]
    Parts {
        /// How many.
        found: usize,
    },
    /// Padding, the other alphabet, unused bits, or no base64 at all.
    #[error("the {part:?} of the token is not canonical unpadded base64url")]
    Base64 {
        /// Which part.
        part: Part,
    },
    /// The first or second part is not a strict JSON object.
    #[error("the {part:?} of the token is not a strict JSON object")]
    Json {
        /// Which part.
        part: Part,
        /// What is wrong with it. Offsets count in the decoded part.
        #[source]
        source: json::Error,
    },
    /// `alg` is not exactly `HS256`.
    #[error("the token's `alg` is {}, expected HS256", found.as_deref().unwrap_or("no string"))]
    Alg {
        /// What it is, shortened, when it is a string.
        found: Option<String>,
    },
    /// A JOSE header that changes how a token is to be read: `crit` or `b64`.
    #[error("the token's header has `{member}`, which LiveKit does not send")]
    Critical {
        /// `crit` or `b64`.
        member: &'static str,
    },
    /// `iss` is absent, empty or not a string.
    #[error("the token's `iss` must be a non-empty string")]
    IssMissing,
    /// `iss` names no key of ours.
    #[error("the token is issued by {api_key:?}, which is none of the keys")]
    UnknownKey {
        /// What it names, shortened.
        api_key: String,
    },
    /// None of the key's secrets made the signature.
    #[error("the signature was made by none of the secrets of {api_key:?}")]
    Signature {
        /// The key, one of ours.
        api_key: String,
    },
    /// `exp` is absent or not an integer.
    #[error("the token's `exp` must be an integer")]
    ExpMissing,
    /// Past `exp` and the leeway.
    #[error("the token expired {ago_s} s ago, of which {leeway_s} s are allowed")]
    Expired {
        /// Seconds since `exp`, at least the leeway.
        ago_s: i64,
        /// The leeway in force.
        leeway_s: u32,
    },
    /// `nbf` or `iat` lies in the future.
    #[error("the token's `{claim}` is {ahead_s} s ahead, of which {leeway_s} s are allowed")]
    NotYetValid {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// Seconds until it, more than the leeway.
        ahead_s: i64,
        /// The leeway in force.
        leeway_s: u32,
    },
    /// Issued longer ago than the rules allow.
    #[error("the token was issued {age_s} s ago, at most {max_s} s are allowed")]
    TooOld {
        /// Seconds since `iat`, else `nbf`.
        age_s: i64,
        /// The age limit and the leeway together.
        max_s: i64,
    },
    /// There is an age limit, and neither `iat` nor `nbf`.
    #[error("the token has neither `iat` nor `nbf`, and its age is limited")]
    IssuedMissing,
    /// A claim of a wrong type: `nbf`, `iat`, `sub` or `jti`.
    #[error("the token's `{claim}` must be {expected}")]
    ClaimType {
        /// Which.
        claim: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// `aud` is there: the token is meant for somebody else.
    #[error("the token has an `aud`, which LiveKit does not send")]
    Audience,
    /// No `sha256`: any room token of the project looks like this.
    #[error("the token has no `sha256`, so it is not a webhook's")]
    ShaMissing,
    /// `sha256` is not 32 bytes in canonical padded base64.
    #[error("the token's `sha256` must be 44 characters of standard base64")]
    ShaMalformed,
    /// The body's SHA-256 is not the token's.
    #[error("the body does not hash to the token's `sha256`")]
    ShaMismatch,
}

// === impl Verifier ===

impl Verifier {
    /// A verifier over `keys`.
    pub fn new(keys: KeyRing, rules: Rules) -> Self {
        let leeway_s = rules.leeway_s.min(LEEWAY_S_MAX);
        Self { keys, rules: Rules { leeway_s, ..rules } }
    }

    /// The keys it trusts.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The rules it applies.
    pub fn rules(&self) -> &Rules {
        &self.rules
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
        if self.keys.is_empty() {
            return Err(Rejection::NoKeys);
        }
        let value = compact::single(authorization)?;
        let compact = Compact::split(value, self.rules.accept_bearer_prefix)?;
        let signature = compact.signature()?;
        compact.check_header()?;
        compact.payload(|payload| {
            let claims = Claims::parse(payload)?;
            self.judge(&claims, &compact, signature, now_s)
        })
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
        let token = self.token(authorization, now_s)?;
        token.check_body(&BodyHash::of(body))?;
        Ok(token)
    }

    /// The key with a secret that signed this `Authorization` value, whatever key the value names
    /// and whatever else is wrong with it. To explain a refusal to an operator; it proves nothing
    /// else.
    pub fn signer(&self, authorization: &[u8]) -> Option<&str> {
        let value = compact::single([authorization]).ok()?;
        let compact = Compact::split(value, true).ok()?;
        self.keys.signer(compact.signed, &compact.signature().ok()??)
    }

    fn judge(
        &self,
        claims: &Claims<'_>,
        compact: &Compact<'_>,
        signature: Option<[u8; 32]>,
        now_s: i64,
    ) -> Result<Token, Rejection> {
        let issuer = claims.issuer()?;
        // A signature of another length takes the same way as a wrong one.
        let verdict = self.keys.verify(&issuer, compact.signed, &signature.unwrap_or_default());
        let secret_index = match (verdict, signature) {
            (Ok(index), Some(_)) => index,
            (Err(Mismatch::UnknownKey), _) => {
                return Err(Rejection::UnknownKey { api_key: rejection::excerpt(&issuer) });
            }
            _ => {
                return Err(Rejection::Signature { api_key: issuer.into_owned() });
            }
        };
        let times = claims.times(&self.rules, now_s)?;
        claims.check_strangers()?;
        Ok(Token {
            api_key: issuer.into_owned(),
            secret_index,
            expires_at_s: times.expires_at_s,
            issued_at_s: times.issued_at_s,
            body_sha256: claims.body_sha256()?,
        })
    }
}

// === impl Token ===

impl Token {
    /// Phase B: compares in constant time.
    ///
    /// # Errors
    /// [`Rejection::ShaMismatch`].
    pub fn check_body(&self, body_sha256: &[u8; 32]) -> Result<(), Rejection> {
        if body_hash::same(&self.body_sha256, body_sha256).into() {
            Ok(())
        } else {
            Err(Rejection::ShaMismatch)
        }
    }
}

#[cfg(test)]
mod tests;
