//! What the filter says to strangers, and to the operator.
//!
//! A [`Refusal`] has two voices: [`Refusal::public_code`] goes into the answer and tells a
//! stranger nothing that helps to forge; [`Refusal::code`] is the exact word for metrics and the
//! access log. Both are stable.

use std::borrow::Cow;

use livekit_webhook_wire::verify::Rejection;

/// Why a request was answered here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a POST.
    Method,
    /// The body is encoded, so its hash would be of something else.
    ContentEncoding,
    /// Over the limit, as announced or as counted.
    BodyTooLarge,
    /// The verifier refused the token or the body.
    Token(Rejection),
    /// There is no key to verify with.
    NoKeys,
    /// The proxy would not hand out the body.
    Unreadable,
    /// The body callback never came: see `watch.rs`.
    NotHeld,
    /// The proxy does not call us where it must: see `watch.rs`.
    NotCalled,
    /// Rules differ by path, and this path can be read in two ways.
    Path,
    /// The key has used what it may.
    RateLimited {
        /// Seconds until there is more.
        wait_s: u64,
    },
    /// The same request is on its way to the host right now.
    InFlight,
}

/// Every word of [`Refusal::code`], for the counters. A word that a newer verifier adds is counted
/// as the last one.
pub const CODES: [&str; 34] = [
    "method",
    "content_encoding",
    "body_too_large",
    "no_keys",
    "unreadable",
    "not_held",
    "not_called",
    "path",
    "rate_limited",
    "in_flight",
    "no_token",
    "multiple_tokens",
    "token_too_long",
    "bearer",
    "parts",
    "base64",
    "header_json",
    "claims_json",
    "alg",
    "crit",
    "iss_missing",
    "iss",
    "sig",
    "exp_missing",
    "exp",
    "nbf",
    "age",
    "iat_missing",
    "claim_type",
    "aud",
    "sha_missing",
    "sha_malformed",
    "sha_mismatch",
    "other",
];

/// An answer of our own, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u32,
    /// For `%RESPONSE_CODE_DETAILS%`: `livekit_webhook{code}`.
    pub details: String,
    /// In this order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Problem details (RFC 9457), or nothing.
    pub body: String,
}

// === impl Refusal ===

impl Refusal {
    /// The exact reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::ContentEncoding => "content_encoding",
            Self::BodyTooLarge => "body_too_large",
            Self::Token(rejection) => rejection.code(),
            Self::NoKeys => "no_keys",
            Self::Unreadable => "unreadable",
            Self::NotHeld => "not_held",
            Self::NotCalled => "not_called",
            Self::Path => "path",
            Self::RateLimited { .. } => "rate_limited",
            Self::InFlight => "in_flight",
        }
    }

    /// What a stranger may know.
    pub fn public_code(&self) -> &'static str {
        match self {
            Self::Token(rejection) => rejection.public_code(),
            Self::Unreadable | Self::NotHeld | Self::NotCalled => "unavailable",
            other => other.code(),
        }
    }

    /// 4xx is final for LiveKit, which then drops the event; what is our own or passing trouble is
    /// 503, which it tries again.
    pub fn status(&self) -> u32 {
        match self {
            Self::Path => 400,
            Self::Token(_) => 401,
            Self::Method => 405,
            Self::BodyTooLarge => 413,
            Self::ContentEncoding => 415,
            Self::RateLimited { .. } => 429,
            Self::NoKeys | Self::Unreadable | Self::NotHeld | Self::NotCalled | Self::InFlight => {
                503
            }
        }
    }

    /// The whole answer.
    pub fn answer(&self) -> Answer {
        let (status, code) = (self.status(), self.public_code());
        let title = match status {
            400 => "Bad Request",
            401 => "Unauthorized",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            429 => "Too Many Requests",
            _ => "Service Unavailable",
        };
        let mut headers = vec![
            ("content-type", "application/problem+json".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        match status {
            401 => headers.push(("www-authenticate", format!("LiveKit-Webhook error=\"{code}\""))),
            405 => headers.push(("allow", "POST".to_owned())),
            503 => headers.push(("retry-after", "1".to_owned())),
            _ => {}
        }
        if let Self::RateLimited { wait_s } = self {
            headers.push(("retry-after", wait_s.to_string()));
        }
        Answer {
            status,
            details: details(self.code()),
            headers: owned(headers),
            body: format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\"code\":\"{code}\"}}\n"
            ),
        }
    }
}

/// The answer to a verified event that need not reach the host: `filtered` or `duplicate`. LiveKit
/// takes it as delivered.
pub fn acknowledged(result: &str) -> Answer {
    Answer {
        status: 200,
        details: details(result),
        headers: owned(vec![
            ("x-livekit-webhook-result", result.to_owned()),
            ("cache-control", "no-store".to_owned()),
        ]),
        body: String::new(),
    }
}

fn owned(headers: Vec<(&'static str, String)>) -> Vec<(Cow<'static, str>, String)> {
    headers.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn details(code: &str) -> String {
    format!("livekit_webhook{{{code}}}")
}

#[cfg(test)]
mod tests;
