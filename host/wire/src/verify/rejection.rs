//! The two voices of a rejection: exact words for the log, a class for strangers.

use super::{Part, Rejection};

/// Longest piece of a stranger's text that a rejection carries, in characters.
const EXCERPT_CHARS_MAX: usize = 64;

impl Rejection {
    /// The stable word for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKeys => "no_keys",
            Self::NoToken => "no_token",
            Self::MultipleTokens => "multiple_tokens",
            Self::TokenTooLong { .. } => "token_too_long",
            Self::Bearer => "bearer",
            Self::Parts { .. } => "parts",
            Self::Base64 { .. } => "base64",
            Self::Json { part: Part::Header, .. } => "header_json",
            Self::Json { .. } => "claims_json",
            Self::Alg { .. } => "alg",
            Self::Critical { .. } => "crit",
            Self::IssMissing => "iss_missing",
            Self::UnknownKey { .. } => "iss",
            Self::Signature { .. } => "sig",
            Self::ExpMissing => "exp_missing",
            Self::Expired { .. } => "exp",
            Self::NotYetValid { .. } => "nbf",
            Self::TooOld { .. } => "age",
            Self::IssuedMissing => "iat_missing",
            Self::ClaimType { .. } => "claim_type",
            Self::Audience => "aud",
            Self::ShaMissing => "sha_missing",
            Self::ShaMalformed => "sha_malformed",
            Self::ShaMismatch => "sha_mismatch",
        }
    }

    /// The class a stranger may know. What a forger could learn from (is the key known, is the
    /// signature right, which algorithm is wanted) is one word.
    pub fn public_code(&self) -> &'static str {
        match self {
            Self::NoKeys => "no_keys",
            Self::NoToken => "no_token",
            Self::MultipleTokens => "multiple_tokens",
            Self::TokenTooLong { .. }
            | Self::Bearer
            | Self::Parts { .. }
            | Self::Base64 { .. }
            | Self::Json { .. }
            | Self::Critical { .. }
            | Self::IssMissing
            | Self::ClaimType { .. } => "malformed_token",
            Self::Alg { .. }
            | Self::UnknownKey { .. }
            | Self::Signature { .. }
            | Self::Audience => "invalid_token",
            Self::ExpMissing => "no_exp",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::TooOld { .. } | Self::IssuedMissing => "too_old",
            Self::ShaMissing | Self::ShaMalformed => "no_digest",
            Self::ShaMismatch => "body_mismatch",
        }
    }
}

/// A stranger's text, cut to what a log line can bear.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).collect()
}
