//! [`Transport`] by hyper: HTTP/1.1 and HTTP/2, shared connections, vetted addresses.

use super::connector::{Connector, Refused};
use super::transport::{
    Answered, Failure, Outgoing, RESPONSE_BYTES_KEPT, RESPONSE_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX,
    RESPONSE_HEADERS_MAX, Transport,
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request};
use hyper_util::client::legacy::connect::HttpInfo;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use livekit_webhook_core::attempt::ErrorClass;
use std::error::Error as StdError;
use std::time::Duration;
use tokio::time::Instant;

/// How long an idle connection is kept. Shorter than most servers keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept for one endpoint.
const POOL_IDLE_MAX: usize = 32;

/// How often an HTTP/2 connection with requests on it is asked whether it lives, and how long it
/// may take to say so. Without it, a peer that vanished would be sent every attempt until the
/// kernel gives the connection up.
const H2_PING: Duration = Duration::from_secs(5);

/// One client for all endpoints: connections are reused, and every new one goes through the address
/// policy.
pub struct HyperTransport {
    client: Client<Connector, Full<Bytes>>,
}

// === impl HyperTransport ===

impl HyperTransport {
    /// Over `connector`.
    pub fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_MAX)
            .http1_max_headers(RESPONSE_HEADERS_MAX)
            .http1_max_buf_size(RESPONSE_HEAD_BYTES_MAX)
            .http2_max_header_list_size(RESPONSE_HEAD_BYTES_MAX as u32)
            .http2_keep_alive_interval(H2_PING)
            .http2_keep_alive_timeout(H2_PING)
            .build(connector);
        Self { client }
    }
}

#[async_trait]
impl Transport for HyperTransport {
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure> {
        let deadline = Instant::now() + outgoing.timeout;
        let timeout_ms = outgoing.timeout.as_millis();
        let mut request = Request::new(Full::new(outgoing.body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = outgoing.url;
        *request.headers_mut() = outgoing.headers;
        let response = match tokio::time::timeout_at(deadline, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(classify(&error)),
            Err(_) => {
                let text = format!("no answer within {timeout_ms} ms");
                return Err(Failure { class: ErrorClass::Timeout, text });
            }
        };
        let address = response.extensions().get::<HttpInfo>().map(HttpInfo::remote_addr);
        let (head, body) = response.into_parts();
        // The status is what counts; a body that does not end in time only ends the reading.
        let mut start = BytesMut::new();
        let _ = tokio::time::timeout_at(deadline, read_start(body, &mut start)).await;
        let body_start = start.freeze();
        let status = head.status.as_u16();
        Ok(Answered { status, headers: head.headers, body_start, address })
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

fn classify(error: &ClientError) -> Failure {
    let text = chain(error);
    if let Some(refused) = find::<Refused>(error) {
        return Failure { class: refused.class(), text: refused.to_string() };
    }
    let class = match find::<hyper::Error>(error) {
        Some(error) if error.is_parse() || error.is_parse_too_large() => ErrorClass::Protocol,
        _ if error.is_connect() => ErrorClass::Connect,
        _ => ErrorClass::Io,
    };
    Failure { class, text }
}

/// The first error of type `E` among the causes.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    causes(error).find_map(|error| error.downcast_ref::<E>())
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The error and what caused it, outermost first.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests;
