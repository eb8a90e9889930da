//! Receivers that do harm: real sockets, one manner each.
//!
//! Every one takes any number of connections and counts what the other side took of it and how
//! often it was asked. None of them ever ends a connection by itself where its manner is to go on.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use crate::authority::{Authority, Server};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

mod http2;

/// Bytes of the answer that is promised to be 10 GB long.
const HUGE_BYTES: u64 = 10 * 1024 * 1024 * 1024;
/// Longest request it reads.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

/// What it does when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Never answers.
    Silent,
    /// A head, a byte a second.
    DripHead,
    /// 200, and a body, a byte a second.
    DripBody,
    /// 200, and 10 GB.
    HugeBody,
    /// 200, and 60 KiB that unpack into 60 MB.
    GzipBomb,
    /// 1,000 headers.
    ManyHeaders,
    /// A header of 1 MiB.
    LongHeader,
    /// Elsewhere.
    Redirect(String),
    /// TLS under another name.
    WrongName,
    /// TLS with a certificate that has expired.
    Expired,
    /// HTTP/2: every request is reset.
    Resets,
    /// HTTP/2: pings without end.
    Pings,
    /// HTTP/2: headers without end.
    Continuations,
    /// HTTP/2: every connection is told to go away at once.
    GoesAway,
}

/// The receiver. Dropping it closes the port.
pub struct Hostile {
    manner: Manner,
    address: SocketAddr,
    told: Arc<Told>,
    accepting: AbortHandle,
}

/// What it counts.
#[derive(Default)]
struct Told {
    connections: AtomicU64,
    requests: AtomicU64,
    bytes: AtomicU64,
}

// === impl Manner ===

impl Manner {
    /// Whether it is reached by https.
    pub fn has_tls(&self) -> bool {
        let is_http2 =
            matches!(self, Self::Resets | Self::Pings | Self::Continuations | Self::GoesAway);
        is_http2 || matches!(self, Self::WrongName | Self::Expired)
    }

    fn server(&self) -> Server {
        match self {
            Self::WrongName => Server::new("other.example"),
            Self::Expired => Server { has_expired: true, ..Server::new("127.0.0.1") },
            _ => Server::new("127.0.0.1").http2(),
        }
    }
}

// === impl Hostile ===

impl Hostile {
    /// Starts one on a free port of 127.0.0.1, with a certificate of `authority` where its manner
    /// has TLS.
    ///
    /// # Errors
    /// When there is no free port, or no certificate.
    pub async fn start(manner: Manner, authority: &Authority) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let told = Arc::<Told>::default();
        let tls = manner.has_tls().then(|| authority.acceptor(&manner.server())).transpose()?;
        let (doing, counting) = (manner.clone(), told.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counting.connections.fetch_add(1, Ordering::SeqCst);
                let (manner, told, tls) = (doing.clone(), counting.clone(), tls.clone());
                tokio::spawn(async move {
                    // However it ends: that is the other side's to tell.
                    let _ = match tls {
                        None => plain(socket, &manner, &told).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(peer) => http2::serve(peer, &manner, &told).await,
                            Err(error) => Err(error.into()),
                        },
                    };
                });
            }
        });
        Ok(Self { manner, address, told, accepting: accepting.abort_handle() })
    }

    /// Its manner.
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.manner.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Connections it took.
    pub fn connections(&self) -> u64 {
        self.told.connections.load(Ordering::SeqCst)
    }

    /// Requests that came to it.
    pub fn requests(&self) -> u64 {
        self.told.requests.load(Ordering::SeqCst)
    }

    /// Bytes that the other side's kernel took of it, TLS not counted.
    pub fn bytes(&self) -> u64 {
        self.told.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

// === impl Told ===

impl Told {
    /// Writes and counts.
    async fn say(&self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> anyhow::Result<()> {
        to.write_all(bytes).await?;
        to.flush().await?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

/// One request after the other, as long as the manner leaves the connection usable.
async fn plain(mut socket: TcpStream, manner: &Manner, told: &Told) -> anyhow::Result<()> {
    loop {
        read_request(&mut socket).await?;
        told.requests.fetch_add(1, Ordering::SeqCst);
        answer(&mut socket, manner, told).await?;
    }
}

async fn answer(socket: &mut TcpStream, manner: &Manner, told: &Told) -> anyhow::Result<()> {
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}\r\n").into_bytes();
    match manner {
        Manner::Silent => until_closed(socket).await,
        Manner::DripHead => {
            told.say(socket, b"HTTP/1.1 200 OK\r\nX-Drip: ").await?;
            drip(socket, told).await
        }
        Manner::DripBody => {
            told.say(socket, &head("Content-Length: 1000000\r\n")).await?;
            drip(socket, told).await
        }
        Manner::HugeBody => {
            told.say(socket, &head(&format!("Content-Length: {HUGE_BYTES}\r\n"))).await?;
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..HUGE_BYTES / piece.len() as u64 {
                told.say(socket, &piece).await?;
            }
            Ok(())
        }
        Manner::GzipBomb => {
            let bomb = gzip_bomb();
            let more = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len());
            told.say(socket, &[head(&more), bomb].concat()).await
        }
        Manner::ManyHeaders => {
            let fields: String = (0..1_000).map(|number| format!("X-{number}: 1\r\n")).collect();
            told.say(socket, &head(&fields)).await?;
            until_closed(socket).await
        }
        Manner::LongHeader => {
            let long = format!("X-Long: {}\r\n", "x".repeat(1024 * 1024));
            told.say(socket, &head(&long)).await?;
            until_closed(socket).await
        }
        Manner::Redirect(to) => {
            let answer =
                format!("HTTP/1.1 307 Away\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            told.say(socket, answer.as_bytes()).await
        }
        _ => Ok(()),
    }
}

/// A byte a second, for ever.
async fn drip(socket: &mut TcpStream, told: &Told) -> anyhow::Result<()> {
    loop {
        told.say(socket, b"x").await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn until_closed(socket: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<()> {
    while socket.read(&mut [0; 4096]).await? > 0 {}
    Ok(())
}

/// Reads one request with a length.
async fn read_request(socket: &mut TcpStream) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = socket.read(&mut piece).await?;
        anyhow::ensure!(count > 0 && bytes.len() < REQUEST_BYTES_MAX, "no request");
        bytes.extend_from_slice(piece.get(..count).context("what was read")?);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("a length")?.trim().parse()?;
        if body.len() >= length {
            return Ok(());
        }
    }
}

/// A gzip file of zeros: each zero byte of it but the first few stands for about 1 KiB. Its
/// checksum is that of a shorter one, which who unpacks it finds out at the end.
fn gzip_bomb() -> Vec<u8> {
    const HEAD: &[u8] = &[
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xed, 0xc1, 0x31, 1, 0, 0, 0, 0xc2, 0xa0, 0xf5, 0x4f,
        0x6d, 8, 0x5f, 0xa0,
    ];
    const TAIL: &[u8] = &[3, 0x1c, 0xea, 0x38, 0xa7, 0, 0, 0x10, 0];
    [HEAD, &[0; 60 * 1024], TAIL].concat()
}
