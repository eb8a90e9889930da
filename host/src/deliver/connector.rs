//! Opens sockets to addresses the policy allows, and to no others.
//!
//! Mechanism: resolve once, judge every address, refuse if any is bad, connect only to what was
//! judged, and look at the peer's address after connecting. This is the authority; the check when
//! the configuration is read only fails earlier.

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use livekit_webhook_core::address_policy::{ADDRESSES_MAX, AddressPolicy, Refusal};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::{EndpointUrl, Host, UrlError};
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub mod proxy;

use proxy::Proxy;

/// Deadline of name resolution.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(3);
/// Deadline of all connection attempts together, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Not a URL that we would have taken from the configuration.
    #[error("the URL cannot be used: {0}")]
    Url(UrlError),
    /// The name did not resolve.
    #[error("{host} does not resolve: {source}")]
    Dns {
        /// The name.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// The resolver did not answer in time.
    #[error("{host} does not resolve within {} ms", DNS_TIMEOUT.as_millis())]
    DnsSlow {
        /// The name.
        host: String,
    },
    /// The policy forbids it.
    #[error("the address may not be dialled: {0}")]
    Address(Refusal),
    /// No address took the connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The last one tried.
        address: SocketAddr,
        /// Its error.
        source: io::Error,
    },
    /// Not connected in time.
    #[error("not connected within {} ms", CONNECT_TIMEOUT.as_millis())]
    Slow,
    /// The TLS handshake failed.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// The name that the certificate must carry.
        host: String,
        /// The handshake's error.
        source: io::Error,
    },
}

/// A tower service from a URL to a connection, as hyper's client wants it.
#[derive(Clone)]
pub struct Connector {
    policy: Arc<AddressPolicy>,
    tls: TlsConnector,
    proxy: Option<Proxy>,
}

/// A connection to a vetted peer.
pub struct Stream {
    io: Io,
    h2: bool,
}

enum Io {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

// === impl Refused ===

impl Refused {
    /// The word of the attempt log.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Url(_) | Self::Address(_) => ErrorClass::AddressRefused,
            Self::Dns { .. } | Self::DnsSlow { .. } => ErrorClass::Dns,
            Self::Connect { .. } | Self::Slow => ErrorClass::Connect,
            Self::Tls { .. } => ErrorClass::Tls,
        }
    }
}

// === impl Connector ===

impl Connector {
    /// Dials what `policy` allows; TLS by `tls`, HTTP/2 where the endpoint offers it.
    pub fn new(policy: Arc<AddressPolicy>, mut tls: rustls::ClientConfig) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { policy, tls: TlsConnector::from(Arc::new(tls)), proxy: None }
    }

    /// The same, with every connection through `proxy`.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    async fn connect(self, url: Uri) -> Result<Stream, Refused> {
        let plain_http = self.policy.plain_http();
        let url = EndpointUrl::parse(&url.to_string(), plain_http).map_err(Refused::Url)?;
        let addresses = self.vetted(&url).await?;
        tokio::time::timeout(CONNECT_TIMEOUT, self.open(&url, &addresses))
            .await
            .unwrap_or(Err(Refused::Slow))
    }

    /// All addresses of the URL's host, each allowed.
    async fn vetted(&self, url: &EndpointUrl) -> Result<Vec<IpAddr>, Refused> {
        self.policy.judge_url(url).map_err(Refused::Address)?;
        let addresses = match url.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => resolve(name, url.port()).await?,
        };
        self.policy.judge_all(url, &addresses).map_err(Refused::Address)?;
        Ok(addresses)
    }

    async fn open(&self, url: &EndpointUrl, addresses: &[IpAddr]) -> Result<Stream, Refused> {
        let tcp = self.dial(url, addresses, CONNECT_TIMEOUT).await?;
        if !url.is_https() {
            return Ok(Stream { io: Io::Plain(TokioIo::new(tcp)), h2: false });
        }
        let host = url.host().to_string();
        let name = match url.host() {
            Host::Address(address) => Ok(ServerName::from(*address)),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
        };
        let shaken = match name {
            Ok(name) => self.tls.connect(name, tcp).await,
            Err(error) => Err(error),
        };
        let stream = shaken.map_err(|source| Refused::Tls { host, source })?;
        let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: Io::Tls(Box::new(TokioIo::new(stream))), h2 })
    }

    /// The first address that takes a connection. Each but the last has half of the time that is
    /// left of `limit`: one that swallows packets, as a broken IPv6 route does, must not hide a
    /// good one behind it.
    async fn dial(
        &self,
        url: &EndpointUrl,
        addresses: &[IpAddr],
        limit: Duration,
    ) -> Result<TcpStream, Refused> {
        let mut last = Refused::Address(Refusal::NoAddress);
        let mut left = limit;
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, url.port());
            let share = if index + 1 == addresses.len() { left } else { left / 2 };
            left -= share;
            let Ok(connected) = tokio::time::timeout(share, self.reach(address)).await else {
                last = Refused::Slow;
                continue;
            };
            let connected = connected.and_then(|tcp| {
                tcp.set_nodelay(true)?;
                // Through a proxy, the peer is what the proxy was asked for.
                let peer = self.proxy.map_or_else(|| tcp.peer_addr(), |_| Ok(address))?;
                Ok((tcp, peer))
            });
            match connected {
                Ok((tcp, peer)) => {
                    // What the kernel connected to is judged again: the last word before a byte
                    // leaves.
                    let judged = self.policy.judge_all(url, &[peer.ip()]);
                    return judged.map(|()| tcp).map_err(Refused::Address);
                }
                Err(source) => last = Refused::Connect { address, source },
            }
        }
        Err(last)
    }

    async fn reach(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match self.proxy {
            Some(proxy) => proxy.tunnel(address).await,
            None => TcpStream::connect(address).await,
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<IpAddr>, Refused> {
    let found = tokio::time::timeout(DNS_TIMEOUT, tokio::net::lookup_host((host, port)))
        .await
        .map_err(|_| Refused::DnsSlow { host: host.to_owned() })?
        .map_err(|source| Refused::Dns { host: host.to_owned(), source })?;
    // One more than allowed is enough for the policy to say "too many".
    Ok(found.take(ADDRESSES_MAX + 1).map(|address| address.ip()).collect())
}

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

// === impl Stream ===

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = match &self.io {
            Io::Plain(tcp) => tcp.inner().connected(),
            Io::Tls(tls) => tls.inner().get_ref().0.connected(),
        };
        if self.h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
