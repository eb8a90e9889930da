//! [`Fetch`] by hyper over the deliveries' connector: the same address policy, resolver, roots and
//! proxy, on connections of its own.
//!
//! Each pool of connections belongs to one version of one plugin with one grant, so what one plugin
//! opened is never spoken on by another. There are no more than [`POOLS_MAX`]; the one that was not
//! used for the longest goes first. A redirect is an answer like any other, nothing of an answer is
//! kept for the next request, and no variable of the environment is read.
//!
//! A body is counted after decompression, while it comes: what is over the limit is never in
//! memory. The whole exchange has one deadline, so a peer that sends a byte now and then gains
//! nothing by it.

use crate::causes;
use crate::connector::proxy::Proxy;
use crate::connector::resolver::Resolver;
use crate::connector::trace::{Trace, find};
use crate::connector::{Connector, Refused, dial::Dial};
use crate::plugin::outside::{Fetch, FetchError, FetchRequest, FetchResponse};
use crate::plugin::permission::Scheme;
use crate::tls;
use async_trait::async_trait;
use bytes::Bytes;
use decode::Decoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, USER_AGENT};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use livekit_webhook_core::address_policy::AddressPolicy;
use livekit_webhook_core::endpoint::Tls;
use rustls::RootCertStore;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

mod decode;

/// Most pools at once.
pub const POOLS_MAX: usize = 256;
/// Idle connections kept for one host of one pool.
const IDLE_MAX: usize = 4;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(20);
/// Deadline of all connection attempts together, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Most header fields of an answer.
const HEADERS_MAX: usize = 100;
/// hyper's least buffer for a head, in bytes.
const HEAD_BYTES_MIN: usize = 8 * 1024;
/// What TLS and HTTP may need on top of an answer, in bytes.
const OVERHEAD_BYTES: usize = 256 * 1024;
/// See [`crate::deliver::hyper_transport`].
const H2_PING: Duration = Duration::from_secs(5);
/// Bytes of an HTTP/2 answer that may come before we read.
const H2_WINDOW_BYTES: u32 = 256 * 1024;
/// When a plugin names none.
const AGENT: &str = concat!("livekit-webhook/", env!("CARGO_PKG_VERSION"));
/// What [`decode`] reads.
const ENCODINGS: &str = "gzip, deflate";
/// They describe the connection, which ends here.
const HOP_BY_HOP: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

type Pool = Client<Connector, Full<Bytes>>;

/// The plugins' connections.
pub struct HyperFetch {
    connector: Connector,
    pools: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    pool: Pool,
    used: Instant,
}

/// Why plugins cannot be given HTTP.
#[derive(Debug, thiserror::Error)]
#[error("cannot make connections for plugins")]
pub struct Error(#[source] tls::Error);

// === impl HyperFetch ===

impl HyperFetch {
    /// Dials what `policy` allows of what `resolver` says, and believes `roots`: give it what the
    /// deliveries have.
    ///
    /// # Errors
    /// When the TLS library refuses its settings.
    pub fn new(
        policy: AddressPolicy,
        resolver: Arc<dyn Resolver>,
        roots: &RootCertStore,
    ) -> Result<Self, Error> {
        let client = tls::client(roots, &Tls::default()).map_err(Error)?;
        let connector = Connector::new(Arc::new(policy), resolver, client).within(CONNECT_TIMEOUT);
        Ok(Self { connector, pools: Mutex::default() })
    }

    /// The same, with every connection through `proxy`.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { connector: self.connector.through(proxy), ..self }
    }

    /// The pool of this name. Its limits are those of its first request: the requests of one pool
    /// have one plugin's.
    fn pool(&self, request: &FetchRequest) -> Pool {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let used = Instant::now();
        if let Some(kept) = pools.get_mut(&request.pool) {
            kept.used = used;
            return kept.pool.clone();
        }
        while pools.len() >= POOLS_MAX {
            let oldest = pools.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            pools.remove(&oldest);
        }
        let pool = pool(self.connector.clone(), request.header_bytes_max);
        pools.insert(request.pool.clone(), Kept { pool: pool.clone(), used });
        pool
    }

    async fn exchange(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let pool = self.pool(&request);
        let (body_max, header_max) = (request.response_bytes_max, request.header_bytes_max);
        let allowance = body_max.saturating_add(header_max).saturating_add(OVERHEAD_BYTES);
        let own = Dial::allowing(i64::try_from(allowance).unwrap_or(i64::MAX));
        let mut sent = outgoing(request)?;
        let mut trace = Trace::begin(&mut sent, own.clone());
        let answer = own.around(trace.follow(pool.request(sent)));
        let response = answer.await.map_err(|error| failure(&trace, &error, header_max))?;
        incoming(response, body_max, header_max, &trace).await
    }
}

#[async_trait]
impl Fetch for HyperFetch {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let timeout = request.timeout;
        let timed_out =
            FetchError::TimedOut(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        tokio::time::timeout(timeout, self.exchange(request)).await.unwrap_or(Err(timed_out))
    }
}

fn pool(connector: Connector, header_bytes_max: usize) -> Pool {
    let head_bytes_max = header_bytes_max.max(HEAD_BYTES_MIN);
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX)
        .http1_max_headers(HEADERS_MAX)
        .http1_max_buf_size(head_bytes_max)
        .http2_max_header_list_size(u32::try_from(head_bytes_max).unwrap_or(u32::MAX))
        .http2_initial_stream_window_size(H2_WINDOW_BYTES)
        .http2_initial_connection_window_size(H2_WINDOW_BYTES)
        .http2_keep_alive_interval(H2_PING)
        .http2_keep_alive_timeout(H2_PING)
        .build(connector)
}

/// The request as hyper wants it.
fn outgoing(request: FetchRequest) -> Result<Request<Full<Bytes>>, FetchError> {
    let FetchRequest { scheme, host, port, method, path, headers, body, .. } = request;
    let authority = match (scheme, port) {
        (Scheme::Https, 443) | (Scheme::Http, 80) => host,
        _ => format!("{host}:{port}"),
    };
    let scheme = match scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    // The texts say nothing of the parts: a secret may be in them.
    let unusable =
        |what: &str| FetchError::Unreachable(format!("the request's {what} is unusable"));
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path);
    let mut outgoing = Request::new(Full::new(body));
    *outgoing.uri_mut() = uri.build().map_err(|_| unusable("URL"))?;
    *outgoing.method_mut() =
        Method::from_bytes(method.as_bytes()).map_err(|_| unusable("method"))?;
    let sent = outgoing.headers_mut();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable("header"))?;
        let mut value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unusable("header"))?;
        // Keeps it out of HTTP/2's tables and of every `Debug`.
        value.set_sensitive(true);
        sent.append(name, value);
    }
    sent.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    sent.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static(ENCODINGS));
    Ok(outgoing)
}

/// The whole answer, within its limits.
async fn incoming(
    response: Response<Incoming>,
    body_max: usize,
    header_max: usize,
    trace: &Trace,
) -> Result<FetchResponse, FetchError> {
    let (head, mut body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(FetchError::Unreachable("the peer speaks another protocol".to_owned()));
    }
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    if head.headers.iter().map(bytes).sum::<usize>() > header_max {
        return Err(FetchError::TooLarge { what: "headers", max: header_max });
    }
    let mut decoder = Decoder::of(&head.headers, body_max)?;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match trace.exhausted() {
            Some(_) => FetchError::TooLarge { what: "body", max: body_max },
            None => {
                FetchError::Unreachable(format!("the answer broke off: {}", causes::line(&error)))
            }
        })?;
        // Trailers are not passed on.
        if let Ok(data) = frame.into_data() {
            decoder.write(&data)?;
        }
    }
    let decoded = decoder.is_decoding();
    let body = decoder.finish()?;
    Ok(FetchResponse { status: head.status.as_u16(), headers: shown(&head.headers, decoded), body })
}

/// The headers that describe what is given on.
fn shown(headers: &HeaderMap, decoded: bool) -> Vec<(String, String)> {
    let is_shown = |name: &HeaderName| {
        let describes_encoded = decoded && (name == CONTENT_ENCODING || name == CONTENT_LENGTH);
        !describes_encoded && !HOP_BY_HOP.contains(&name.as_str())
    };
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?;
        is_shown(name).then(|| (name.as_str().to_owned(), value.to_owned()))
    };
    headers.iter().filter_map(text).collect()
}

fn failure(trace: &Trace, error: &ClientError, header_max: usize) -> FetchError {
    let is_head = |error: &hyper::Error| error.is_parse_too_large();
    if let Some(refused) = find::<Refused>(error) {
        return match refused {
            Refused::Address(_) | Refused::Url(_) => {
                FetchError::AddressRefused(refused.to_string())
            }
            _ => FetchError::Unreachable(refused.to_string()),
        };
    }
    if trace.exhausted().is_some() || find::<hyper::Error>(error).is_some_and(is_head) {
        return FetchError::TooLarge { what: "headers", max: header_max };
    }
    FetchError::Unreachable(causes::line(error))
}

#[cfg(test)]
mod tests;
