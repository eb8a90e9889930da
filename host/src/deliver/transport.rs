//! The port to the outside: one request, one bounded answer.

use crate::store::Timings;
use async_trait::async_trait;
use bytes::Bytes;
use hyper::{HeaderMap, Uri};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::Tls;
use livekit_webhook_core::endpoint::auth::ClientCredentials;
use std::net::SocketAddr;
use std::sync::Arc;
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
    /// All headers but those of the transport (`host`, `content-length`). A value that must not be
    /// shown is marked as sensitive.
    pub headers: HeaderMap,
    /// To the byte.
    pub body: Bytes,
    /// One deadline over a token, DNS, connect, TLS, headers and body.
    pub timeout: Duration,
    /// Whom TLS believes and shows.
    pub tls: Arc<Tls>,
    /// Where the token comes from that `Authorization` is to carry.
    pub credentials: Option<ClientCredentials>,
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
    /// How the request went.
    pub way: Way,
    /// The endpoint refused our token, and the next attempt takes a new one: this answer says
    /// nothing of the delivery.
    pub token_dropped: bool,
}

/// What is known of the way of a request, whether an answer came or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The address dialled last, or that of the connection used again.
    pub address: Option<SocketAddr>,
    /// Where the time went. What a connection took that was there already counts for nothing.
    pub timings: Timings,
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
    /// How far the request came.
    pub way: Box<Way>,
}

/// Sends to endpoints. Implementations: hyper over vetted sockets, tokens fetched on top of it, and
/// the script of the tests.
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

// === impl Failure ===

impl Failure {
    /// Before anything was dialled.
    pub fn new(class: ErrorClass, text: impl Into<String>) -> Self {
        Self { class, text: text.into(), way: Box::default() }
    }
}
