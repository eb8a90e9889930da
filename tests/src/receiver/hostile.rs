//! Endpoints that mean harm: what they answer does not end.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Longest request it reads, in bytes.
const REQUEST_BYTES_MAX: usize = 1_024 * 1_024;

/// What it does to whoever asks.
#[derive(Clone, Debug)]
pub struct Harm {
    /// Sent once, at once.
    pub head: Bytes,
    /// Sent again and again.
    pub then: Bytes,
    /// Between two of these.
    pub pause: Duration,
    /// When it stops after all, in bytes of `then`.
    pub bytes_max: u64,
}

/// The endpoint. Dropping it closes the port.
pub struct Hostile {
    address: SocketAddr,
    counts: Arc<Counts>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Counts {
    requests: AtomicUsize,
    ended: AtomicUsize,
    bytes: AtomicU64,
}

// === impl Harm ===

impl Harm {
    /// A head that never ends, one byte at a time.
    pub fn dripping_head(pause: Duration) -> Self {
        let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nx-drip: ");
        Self { head, then: Bytes::from_static(b"x"), pause, bytes_max: u64::MAX }
    }

    /// A 200 with ten gigabytes behind it.
    pub fn flood() -> Self {
        let bytes_max = 10_000_000_000;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes_max}\r\n\r\n");
        let then = Bytes::from(vec![b'x'; 64 * 1_024]);
        Self { head: head.into(), then, pause: Duration::ZERO, bytes_max }
    }

    /// A 200 with a compressed body a thousand times as large as what is sent, and that does not
    /// end.
    ///
    /// # Errors
    /// When there is no `gzip`.
    pub fn gzip_bomb() -> Result<Self> {
        let script = "head -c 100000000 /dev/zero | gzip -1";
        let made = std::process::Command::new("sh").args(["-c", script]).output()?;
        ensure!(made.stdout.starts_with(&[0x1f, 0x8b]), "no gzip: {made:?}");
        let head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";
        let (head, then) = (Bytes::from_static(head), Bytes::from(made.stdout));
        Ok(Self { head, then, pause: Duration::ZERO, bytes_max: 1_000_000_000 })
    }
}

// === impl Hostile ===

impl Hostile {
    /// On a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(harm: Harm) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let own = counts.clone();
        let accepting = tokio::spawn(async move {
            // Ends with the endpoint, which aborts it.
            while let Ok((socket, _)) = listener.accept().await {
                let (harm, counts) = (harm.clone(), own.clone());
                tokio::spawn(async move {
                    // It ends when the other side has had enough.
                    let _ = answer(socket, &harm, &counts).await;
                    counts.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Ok(Self { address, counts, accepting: accepting.abort_handle() })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }

    /// Connections on which it does no more harm.
    pub fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::SeqCst)
    }

    /// Bytes that the other side's kernel took; what was read is less.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(mut socket: TcpStream, harm: &Harm, counts: &Counts) -> Result<()> {
    read_request(&mut socket).await?;
    counts.requests.fetch_add(1, Ordering::SeqCst);
    socket.write_all(&harm.head).await?;
    let mut sent = 0;
    while sent < harm.bytes_max {
        let written = socket.write(&harm.then).await? as u64;
        sent += written;
        counts.bytes.fetch_add(written, Ordering::SeqCst);
        if !harm.pause.is_zero() {
            tokio::time::sleep(harm.pause).await;
        }
    }
    Ok(())
}

/// To the end of its body, whose length it must tell.
async fn read_request(socket: &mut TcpStream) -> Result<()> {
    let mut request = Vec::new();
    loop {
        ensure!(socket.read_buf(&mut request).await? > 0, "no whole request");
        ensure!(request.len() <= REQUEST_BYTES_MAX, "too long a request");
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no content-length")?.trim().parse()?;
        if request.len() >= head.len() + 4 + length {
            return Ok(());
        }
    }
}
