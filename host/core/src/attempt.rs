//! What one HTTP try came to, and whose fault it was.

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
    /// An address of the endpoint may not be dialled. Final.
    AddressRefused,
}
