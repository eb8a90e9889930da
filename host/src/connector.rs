//! Opens sockets to addresses the policy allows, and to no others.
//!
//! Mechanism: resolve once, judge every address, refuse if any is bad, connect only to what was
//! judged, and look at the peer's address after connecting. This is the authority; the check when
//! the configuration is read only fails earlier.

use dial::Dial;
use hyper::Uri;
use livekit_webhook_core::address_policy::{ADDRESSES_MAX, AddressPolicy, Refusal};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::endpoint::{EndpointUrl, Host, UrlError};
use resolver::Resolver;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use stream::{Metered, Stream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

pub mod dial;
pub mod resolver;
mod stream;
pub mod trace;

pub mod proxy;

use proxy::Proxy;

/// Deadline of name resolution.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(3);
/// Deadline of all connection attempts together, TLS included, where nothing else is said.
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
    #[error("not connected within {limit_ms} ms")]
    Slow {
        /// What there was.
        limit_ms: u128,
    },
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
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    proxy: Option<Proxy>,
    connect_timeout: Duration,
}

// === impl Refused ===

impl Refused {
    /// The word of the attempt log.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Url(_) | Self::Address(_) => ErrorClass::AddressRefused,
            Self::Dns { .. } | Self::DnsSlow { .. } => ErrorClass::Dns,
            Self::Connect { .. } | Self::Slow { .. } => ErrorClass::Connect,
            Self::Tls { .. } => ErrorClass::Tls,
        }
    }
}

// === impl Connector ===

impl Connector {
    /// Dials what `policy` allows of what `resolver` says; TLS by `tls`, HTTP/2 where the endpoint
    /// offers it.
    pub fn new(
        policy: Arc<AddressPolicy>,
        resolver: Arc<dyn Resolver>,
        mut tls: rustls::ClientConfig,
    ) -> Self {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let tls = TlsConnector::from(Arc::new(tls));
        Self { policy, resolver, tls, proxy: None, connect_timeout: CONNECT_TIMEOUT }
    }

    /// The same, with every connection through `proxy`.
    #[must_use]
    pub fn through(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// The same, with another deadline of all connection attempts together, TLS included.
    #[must_use]
    pub fn within(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    async fn connect(self, url: Uri, dial: Arc<Dial>) -> Result<Stream, Refused> {
        let plain_http = self.policy.plain_http();
        let url = EndpointUrl::parse(&url.to_string(), plain_http).map_err(Refused::Url)?;
        let addresses = self.vetted(&url, &dial).await?;
        let limit = self.connect_timeout;
        tokio::time::timeout(limit, self.open(&url, &addresses, &dial))
            .await
            .unwrap_or(Err(Refused::Slow { limit_ms: limit.as_millis() }))
    }

    /// All addresses of the URL's host, each allowed.
    async fn vetted(&self, url: &EndpointUrl, dial: &Dial) -> Result<Vec<IpAddr>, Refused> {
        self.policy.judge_url(url).map_err(Refused::Address)?;
        let addresses = match url.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let began = Instant::now();
                let resolved = self.resolve(name).await;
                dial.resolved(began.elapsed());
                resolved?
            }
        };
        match self.policy.judge_all(url, &addresses) {
            Ok(()) => Ok(addresses),
            Err(refusal) => {
                let is_bad = |&address: &IpAddr| self.policy.judge_all(url, &[address]).is_err();
                if let Some(address) = addresses.into_iter().find(is_bad) {
                    dial.trying(SocketAddr::new(address, url.port()));
                }
                Err(Refused::Address(refusal))
            }
        }
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Refused> {
        let found = tokio::time::timeout(DNS_TIMEOUT, self.resolver.resolve(host))
            .await
            .map_err(|_| Refused::DnsSlow { host: host.to_owned() })?
            .map_err(|source| Refused::Dns { host: host.to_owned(), source })?;
        // One more than allowed is enough for the policy to say "too many".
        Ok(found.into_iter().take(ADDRESSES_MAX + 1).collect())
    }

    async fn open(
        &self,
        url: &EndpointUrl,
        addresses: &[IpAddr],
        dial: &Arc<Dial>,
    ) -> Result<Stream, Refused> {
        let began = Instant::now();
        let tcp = self.dial(url, addresses, self.connect_timeout, dial).await?;
        dial.connected(began.elapsed());
        let tcp = Metered::new(tcp, dial.clone());
        if !url.is_https() {
            return Ok(Stream::plain(tcp));
        }
        let host = url.host().to_string();
        let name = match url.host() {
            Host::Address(address) => Ok(ServerName::from(*address)),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
        };
        let began = Instant::now();
        let shaken = match name {
            Ok(name) => self.tls.connect(name, tcp).await,
            Err(error) => Err(error),
        };
        dial.shaken(began.elapsed());
        shaken.map(Stream::tls).map_err(|source| Refused::Tls { host, source })
    }

    /// The first address that takes a connection. Each but the last has half of the time that is
    /// left of `limit`: one that swallows packets, as a broken IPv6 route does, must not hide a
    /// good one behind it.
    async fn dial(
        &self,
        url: &EndpointUrl,
        addresses: &[IpAddr],
        limit: Duration,
        dial: &Dial,
    ) -> Result<TcpStream, Refused> {
        let mut last = Refused::Address(Refusal::NoAddress);
        let mut left = limit;
        for (index, address) in addresses.iter().enumerate() {
            let address = SocketAddr::new(*address, url.port());
            let share = if index + 1 == addresses.len() { left } else { left / 2 };
            left -= share;
            dial.trying(address);
            let Ok(connected) = tokio::time::timeout(share, self.reach(address)).await else {
                last = Refused::Slow { limit_ms: limit.as_millis() };
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

impl tower_service::Service<Uri> for Connector {
    type Response = Stream;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        // Within the request's own task: hyper's client calls it from there.
        Box::pin(self.clone().connect(url, Dial::current()))
    }
}

#[cfg(test)]
mod tests;
