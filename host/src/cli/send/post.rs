//! The HTTP side of `send`: one kept-alive connection, a deadline over everything, a bounded
//! answer.
//!
//! HTTP/1.1 only; LiveKit's client would also use HTTP/2 over TLS. Redirects are not followed. No
//! task is spawned: the connection is driven while an exchange waits for it.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Uri;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::request::Signed;

/// Most bytes kept of an answer's body; the rest is not read.
pub const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// What came back.
pub struct Answer {
    /// The status code.
    pub status: hyper::StatusCode,
    /// All headers.
    pub headers: hyper::HeaderMap,
    /// At most [`RESPONSE_BYTES_MAX`].
    pub body: Bytes,
    /// Whether there was more of it.
    pub truncated: bool,
    /// From the first byte sent (or the dial) to the last byte read.
    pub elapsed: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Name resolution, connection or TLS.
    #[error("cannot connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// No whole answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The connection broke, or the answer is no HTTP.
    #[error("the exchange failed")]
    Http(#[from] hyper::Error),
    /// A header cannot be written.
    #[error("the request cannot be written")]
    Request(#[from] hyper::http::Error),
    /// The machine's certificates cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// Not a name a certificate can be for.
    #[error("`{0}` is not a name a certificate can be for")]
    ServerName(String),
}

/// Posts to one address.
pub struct Poster {
    url: Uri,
    deadline: Duration,
    tls: Option<TlsConnector>,
    open: Option<Open>,
}

/// A connection and the future that drives it.
struct Open {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<dyn Future<Output = Result<(), hyper::Error>>>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

// === impl Poster ===

impl Poster {
    /// For `url`, which has a host and the scheme `http` or `https`.
    ///
    /// # Errors
    /// When TLS is needed and cannot be set up.
    pub fn new(url: Uri, deadline: Duration) -> Result<Self, Error> {
        let tls = match url.scheme_str() {
            Some("https") => Some(tls_connector()?),
            _ => None,
        };
        Ok(Self { url, deadline, tls, open: None })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// When there is no whole answer within the deadline. Whether the receiver got the request is
    /// then unknown.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; the request may have been received.
    pub async fn post(&mut self, signed: &Signed) -> Result<Answer, Error> {
        let started = Instant::now();
        let request = signed.to_http(&self.url)?;
        let kept = self.open.take();
        let exchange = async {
            let mut open = match ready(kept).await {
                Some(open) => open,
                None => connect(&self.url, self.tls.clone()).await?,
            };
            let (answer, ended) = exchange(&mut open, request).await?;
            let reusable = !ended && !answer.truncated;
            Ok((answer, reusable.then_some(open)))
        };
        match timeout_at(started + self.deadline, exchange).await {
            Ok(Ok((answer, open))) => {
                self.open = open;
                Ok(Answer { elapsed: started.elapsed(), ..answer })
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::Deadline(self.deadline)),
        }
    }
}

/// One request and its answer, and whether the connection ended meanwhile.
async fn exchange(
    open: &mut Open,
    request: hyper::Request<Full<Bytes>>,
) -> Result<(Answer, bool), Error> {
    let Open { sender, connection } = open;
    let mut answer = std::pin::pin!(async { read(sender.send_request(request).await?).await });
    let mut ended = false;
    // Two turns at most: the connection can end only once.
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok((answer?, ended)),
            _ = connection.as_mut(), if !ended => ended = true,
        }
    }
}

/// The kept connection, unless it has ended meanwhile.
async fn ready(open: Option<Open>) -> Option<Open> {
    let mut open = open?;
    let Open { sender, connection } = &mut open;
    tokio::select! {
        biased;
        _ = connection.as_mut() => return None,
        ready = sender.ready() => ready.ok()?,
    }
    Some(open)
}

async fn connect(url: &Uri, tls: Option<TlsConnector>) -> Result<Open, Error> {
    let host = url.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = url.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
    let failed = |source| Error::Connect { authority: format!("{host}:{port}"), source };
    let socket = TcpStream::connect((host, port)).await.map_err(failed)?;
    socket.set_nodelay(true).map_err(failed)?;
    let stream: Box<dyn Stream> = match tls {
        None => Box::new(socket),
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| Error::ServerName(host.to_owned()))?;
            Box::new(tls.connect(name, socket).await.map_err(failed)?)
        }
    };
    let (sender, connection) =
        http1::Builder::new().title_case_headers(true).handshake(TokioIo::new(stream)).await?;
    Ok(Open { sender, connection: Box::pin(connection) })
}

/// Reads an answer up to the limit.
async fn read(response: hyper::Response<Incoming>) -> Result<Answer, Error> {
    let (parts, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut truncated = false;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = RESPONSE_BYTES_MAX - body.len();
        truncated = data.len() > room;
        body.extend_from_slice(data.get(..room).unwrap_or(&data));
        if truncated {
            break;
        }
    }
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.freeze(),
        truncated,
        elapsed: Duration::ZERO,
    })
}

/// Trusts what the machine trusts. A certificate of the machine that cannot be read is passed over,
/// as by any browser.
fn tls_connector() -> Result<TlsConnector, Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
