//! The port to the outside: one request, one bounded answer.

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{HeaderMap, Uri};
use livekit_webhook_core::attempt::ErrorClass;
use std::net::SocketAddr;
use std::time::Duration;

/// Most bytes read of a response's body.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes kept of it for the attempt log.
pub const RESPONSE_BYTES_KEPT: usize = 16 * 1024;
/// Most header fields of a response.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// Bytes of a response's head from which on no more is read of it: one read of as many again may
/// have come in one go.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// A POST that is ready to go.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub url: Uri,
    /// All headers but those of the transport (`host`, `content-length`).
    pub headers: HeaderMap,
    /// To the byte.
    pub body: Bytes,
    /// One deadline over DNS, connect, TLS, headers and body.
    pub timeout: Duration,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// Response headers.
    pub headers: HeaderMap,
    /// First bytes of the body, at most [`RESPONSE_BYTES_KEPT`].
    pub body_start: Bytes,
    /// The address that answered.
    pub address: Option<SocketAddr>,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    /// What follows is decided by this, never by the text.
    pub class: ErrorClass,
    /// In words, for the attempt log. No secret is in it: it never quotes a header or a URL's
    /// query.
    pub text: String,
}

/// Sends to endpoints. Implementations: hyper over vetted sockets, and the script of the tests.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends once. Never follows a redirect, never reads without a bound.
    ///
    /// # Errors
    /// [`Failure`], when there is no complete head of an answer within the deadline.
    ///
    /// # Cancel safety
    /// Dropped, the connection is closed; the endpoint may have seen the request.
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure>;
}
