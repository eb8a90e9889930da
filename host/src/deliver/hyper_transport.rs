//! [`Transport`] by hyper: HTTP/1.1 and HTTP/2, shared connections, vetted addresses.
//!
//! Connections are pooled, one pool for each TLS identity: a connection that showed one endpoint's
//! certificate, or believed its private roots, is never used for another. When the address policy
//! changes, all pools are left behind, so that no connection outlives the policy it was judged by.
//!
//! A request that found a pooled connection closed before a byte of it was written goes out again
//! at once, on another connection; on a fresh connection it never does. After its first byte it is
//! never repeated here: that is the next attempt's.

use super::transport::{
    Answered, Failure, Outgoing, RESPONSE_BYTES_KEPT, RESPONSE_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX,
    RESPONSE_HEADERS_MAX, Transport, Way,
};
use crate::causes;
use crate::connector::Connector;
use crate::connector::Refused;
use crate::connector::dial::{Dial, millis};
use crate::connector::proxy::Proxy;
use crate::connector::resolver::Resolver;
use crate::connector::trace::{Trace, find};
use crate::store::Timings;
use crate::tls;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::Tls;
use rustls::RootCertStore;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an idle connection is kept. Shorter than most servers keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept for one endpoint.
const POOL_IDLE_MAX: usize = 32;
/// Most TLS identities with a pool at once; a new one past it leaves all pools behind. As many as
/// there can be endpoints.
const POOLS_MAX: usize = 1_000;

/// How often an HTTP/2 connection with requests on it is asked whether it lives, and how long it
/// may take to say so. Without it, a peer that vanished would be sent every attempt until the
/// kernel gives the connection up.
const H2_PING: Duration = Duration::from_secs(5);
/// Bytes of an HTTP/2 answer that may come before we read: no more than we would read.
const H2_STREAM_WINDOW_BYTES: u32 = RESPONSE_BYTES_MAX as u32;
/// The same over all answers of one connection.
const H2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

type Pool = Client<Connector, Full<Bytes>>;

/// All endpoints' connections; every new one goes through the address policy.
pub struct HyperTransport {
    policy: Arc<AddressPolicy>,
    resolver: Arc<dyn Resolver>,
    roots: RootCertStore,
    proxy: Option<Proxy>,
    pools: Mutex<HashMap<Arc<Tls>, Pool>>,
}

// === impl HyperTransport ===

impl HyperTransport {
    /// Dials what `policy` allows of what `resolver` says, and believes `roots` where an endpoint
    /// names none of its own.
    pub fn new(policy: AddressPolicy, resolver: Arc<dyn Resolver>, roots: RootCertStore) -> Self {
        let policy = Arc::new(policy);
        Self { policy, resolver, roots, proxy: None, pools: Mutex::default() }
    }

    /// The same, with every connection through `proxy`.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    fn pool(&self, tls: &Arc<Tls>) -> Result<Pool, tls::Error> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(tls) {
            return Ok(pool.clone());
        }
        let client = tls::client(&self.roots, tls)?;
        let connector = Connector::new(self.policy.clone(), self.resolver.clone(), client);
        let pool = pool(connector.through(self.proxy));
        if pools.len() >= POOLS_MAX {
            pools.clear();
        }
        pools.insert(tls.clone(), pool.clone());
        Ok(pool)
    }
}

fn pool(connector: Connector) -> Pool {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_MAX)
        .http1_max_headers(RESPONSE_HEADERS_MAX)
        .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
        .http2_max_header_list_size(RESPONSE_HEAD_BYTES_MAX as u32)
        .http2_initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .http2_initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .http2_keep_alive_interval(H2_PING)
        .http2_keep_alive_timeout(H2_PING)
        .build(connector)
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure> {
        let began = Instant::now();
        let deadline = began + outgoing.timeout;
        let timeout_ms = outgoing.timeout.as_millis();
        let pool = self
            .pool(&outgoing.tls)
            .map_err(|error| Failure::new(ErrorClass::Tls, error.to_string()))?;
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = outgoing.url;
        *request.headers_mut() = outgoing.headers;
        let own = Dial::new();
        let mut trace = Trace::begin(&mut request, own.clone());
        let answer = own.around(trace.follow(pool.request(request)));
        let response = match tokio::time::timeout_at(deadline, answer).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&trace, began, &error)),
            Err(_) => {
                let text = format!("{} within {timeout_ms} ms", missing(&trace));
                let way = Box::new(way(&trace, began, None));
                return Err(Failure { class: ErrorClass::Timeout, text, way });
            }
        };
        let way = way(&trace, began, Some(Instant::now()));
        let (head, body) = response.into_parts();
        // The status is what counts; a body that does not end in time only ends the reading.
        let mut start = BytesMut::new();
        let _ = tokio::time::timeout_at(deadline, read_start(body, &mut start)).await;
        let body_start = start.freeze();
        let status = head.status.as_u16();
        Ok(Answered { status, headers: head.headers, body_start, way, token_dropped: false })
    }
}

/// Reads to the end, so that the connection can be used again, or to the limit, and closes it then.
async fn read_start(mut body: Incoming, kept: &mut BytesMut) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        let place = RESPONSE_BYTES_KEPT.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..place).unwrap_or_default());
        if read >= RESPONSE_BYTES_MAX {
            return;
        }
    }
}

/// How far the request came, and where its time went.
fn way(trace: &Trace, began: Instant, answered: Option<Instant>) -> Way {
    let (known, is_own) = trace.known();
    // What somebody else's connection took once says nothing of this attempt.
    let parts = if is_own { known.timings() } else { Timings::default() };
    let ready = trace.ready().unwrap_or(began);
    let first_byte_ms = answered.map(|answered| millis(answered.duration_since(ready)));
    Way { address: known.address(), timings: Timings { first_byte_ms, ..parts } }
}

/// What did not come.
fn missing(trace: &Trace) -> &'static str {
    if trace.used().is_some() { "no answer" } else { "no connection" }
}

fn failure(trace: &Trace, began: Instant, error: &ClientError) -> Failure {
    let (class, text) = if let Some(refused) = find::<Refused>(error) {
        (refused.class(), refused.to_string())
    } else if let Some(allowance_bytes) = trace.exhausted() {
        let text = format!("over {allowance_bytes} bytes came for one request");
        (ErrorClass::Protocol, text)
    } else {
        (classify(error), causes::line(error))
    };
    Failure { class, text, way: Box::new(way(trace, began, None)) }
}

fn classify(error: &ClientError) -> ErrorClass {
    // What we refuse of a peer is its breach of the protocol; what it refuses breaks off.
    if find::<h2::Error>(error).is_some_and(|error| error.is_library()) {
        return ErrorClass::Protocol;
    }
    // In TLS 1.3 a peer says only after the handshake that it does not take our certificate.
    if causes::of(error).any(is_tls) {
        return ErrorClass::Tls;
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_parse() || error.is_parse_too_large() => ErrorClass::Protocol,
        _ if error.is_connect() => ErrorClass::Connect,
        _ => ErrorClass::Io,
    }
}

/// An error of the TLS library, which comes wrapped in one of input and output.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|inner| inner.is::<rustls::Error>())
}

#[cfg(test)]
mod tests;
