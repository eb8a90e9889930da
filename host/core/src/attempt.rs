//! What one HTTP try came to, and whose fault it was.
//!
//! [`Outcome`] is the fact, [`Class`] is our reading of it. The table of classes is
//! [`Outcome::class`] and nothing else looks at a status.

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered.
    Answered {
        /// HTTP status.
        status: u16,
        /// `Retry-After`, already parsed to milliseconds from now.
        retry_after_ms: Option<i64>,
    },
    /// No answer. The word of the attempt log.
    Failed(ErrorClass),
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The host name did not resolve (in time).
    Dns,
    /// The connection was refused, reset while connecting, or did not come up in time.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The deadline passed.
    Timeout,
    /// The connection broke after the request began.
    Io,
    /// What came back is not HTTP, or its headers are over a limit.
    Protocol,
    /// What the request needs to show who asks could not be had: no token was given out, or no
    /// secret signs yet. Nothing was sent to the endpoint.
    Auth,
    /// Our own fault: the attempt broke down. Whether a request was made is not known.
    Internal,
    /// An address of the endpoint may not be dialled. Final.
    AddressRefused,
}

/// Whether a 4xx that says nothing about time is worth another attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientErrors {
    /// Yes: receivers deploy broken code and mend it.
    #[default]
    Retry,
    /// No: dead at once.
    Final,
}

/// What an outcome means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A 2xx.
    Delivered,
    /// Worth another attempt.
    Retry,
    /// 410: the endpoint wants no more. The caller also disables it.
    Gone,
    /// A 4xx that the endpoint's policy makes final.
    Refused,
    /// The address may not be dialled.
    AddressRefused,
}

// === impl Outcome ===

impl Outcome {
    /// Our reading of it. A 3xx is a failure, because redirects are not followed: the URL in the
    /// configuration is what the operator allowed. A status outside 2xx to 5xx is a broken receiver
    /// and worth another attempt.
    pub fn class(&self, client_errors: ClientErrors) -> Class {
        match self {
            Self::Answered { status, .. } => match (status, client_errors) {
                (200..=299, _) => Class::Delivered,
                (410, _) => Class::Gone,
                (408 | 425 | 429, _) => Class::Retry,
                (400..=499, ClientErrors::Final) => Class::Refused,
                _ => Class::Retry,
            },
            Self::Failed(ErrorClass::AddressRefused) => Class::AddressRefused,
            Self::Failed(_) => Class::Retry,
        }
    }

    /// The receiver's wish for a later attempt, in milliseconds, where it counts: on 408, 413, 425,
    /// 429 and 5xx.
    pub fn hint_ms(&self) -> Option<i64> {
        match self {
            Self::Answered { status: 408 | 413 | 425 | 429 | 500..=599, retry_after_ms } => {
                *retry_after_ms
            }
            _ => None,
        }
    }
}

// === impl ErrorClass ===

impl ErrorClass {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Io,
        Self::Protocol,
        Self::Auth,
        Self::Internal,
        Self::AddressRefused,
    ];

    /// The word of the store, the metrics and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Io => "io",
            Self::Protocol => "protocol",
            Self::Auth => "auth",
            Self::Internal => "internal",
            Self::AddressRefused => "address_refused",
        }
    }

    /// The reverse of [`ErrorClass::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

#[cfg(test)]
mod tests;
