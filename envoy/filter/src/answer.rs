//! What the filter says to strangers, and to the operator.
//!
//! A [`Refusal`] has two voices: [`Refusal::public_code`] goes into the answer and tells a
//! stranger nothing that helps to forge; [`Refusal::code`] is the exact word for metrics and the
//! access log. Both are stable.

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
}

/// Every word of [`Refusal::code`], for the counters. A word that a newer verifier adds is counted
/// as the last one.
pub const CODES: [&str; 30] = [
    "method",
    "content_encoding",
    "body_too_large",
    "no_keys",
    "unreadable",
    "not_held",
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
    pub headers: Vec<(&'static str, String)>,
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
        }
    }

    /// What a stranger may know.
    pub fn public_code(&self) -> &'static str {
        match self {
            Self::Token(rejection) => rejection.public_code(),
            Self::Unreadable | Self::NotHeld => "unavailable",
            other => other.code(),
        }
    }

    /// 4xx is final for LiveKit, which then drops the event; what is our own or passing trouble is
    /// 503, which it tries again.
    pub fn status(&self) -> u32 {
        match self {
            Self::Token(_) => 401,
            Self::Method => 405,
            Self::BodyTooLarge => 413,
            Self::ContentEncoding => 415,
            Self::NoKeys | Self::Unreadable | Self::NotHeld => 503,
        }
    }

    /// The whole answer.
    pub fn answer(&self) -> Answer {
        let (status, code) = (self.status(), self.public_code());
        let title = match status {
            401 => "Unauthorized",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
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
        Answer {
            status,
            details: details(self.code()),
            headers,
            body: format!(
                "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{status},\"code\":\"{code}\"}}\n"
            ),
        }
    }
}

/// The answer to a verified event that nobody behind us wants. LiveKit takes it as delivered.
pub fn filtered() -> Answer {
    Answer {
        status: 200,
        details: details("filtered"),
        headers: vec![
            ("x-livekit-webhook-result", "filtered".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ],
        body: String::new(),
    }
}

fn details(code: &str) -> String {
    format!("livekit_webhook{{{code}}}")
}

#[cfg(test)]
mod tests;
