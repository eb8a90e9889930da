//! Bytes on a socket, for requests that no HTTP client would write.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Most bytes read of an answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// How a request is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// At once; the writing side stays open.
    Whole,
    /// At once; then the writing side is closed, as by a client that dies.
    HalfClosed,
    /// `piece` bytes at a time with a pause after each.
    Drip {
        /// Bytes, at least 1.
        piece: usize,
        /// After each piece.
        pause: Duration,
    },
}

/// Writes `bytes` and reads until the receiver closes or `bound` is over: what came until then. A
/// receiver that closes while it is still written to is no error; its answer counts.
///
/// # Errors
/// When there is no connection.
pub async fn send(
    to: SocketAddr,
    bytes: &[u8],
    manner: Manner,
    bound: Duration,
) -> anyhow::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(to).await?;
    socket.set_nodelay(true)?;
    let (reader, mut writer) = socket.split();
    let mut answer = Vec::new();
    let write = async {
        let wrote = match manner {
            Manner::Whole | Manner::HalfClosed => writer.write_all(bytes).await,
            Manner::Drip { piece, pause } => drip(&mut writer, bytes, piece, pause).await,
        };
        if wrote.is_ok() && manner == Manner::HalfClosed {
            // Refused only when the other side is gone already, and then reading says so.
            let _ = writer.shutdown().await;
        }
    };
    let mut reader = reader.take(ANSWER_BYTES_MAX);
    let read = reader.read_to_end(&mut answer);
    let exchange = async {
        let (_, read) = tokio::join!(write, read);
        read
    };
    // A bound that passes, or a reset, leaves in `answer` what had come.
    let _ = timeout(bound, exchange).await;
    Ok(answer)
}

async fn drip(
    writer: &mut (impl tokio::io::AsyncWrite + Unpin),
    bytes: &[u8],
    piece: usize,
    pause: Duration,
) -> std::io::Result<()> {
    for piece in bytes.chunks(piece.max(1)) {
        writer.write_all(piece).await?;
        writer.flush().await?;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// A request with a `Content-Length`.
pub fn request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let mut bytes = head(path, headers, ("Content-Length", &length));
    bytes.extend_from_slice(body);
    bytes
}

/// The same request, chunked: one chunk for each piece.
pub fn chunked(path: &str, headers: &[(&str, &str)], pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = head(path, headers, ("Transfer-Encoding", "chunked"));
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn head(path: &str, headers: &[(&str, &str)], last: (&str, &str)) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
    for (name, value) in headers.iter().copied().chain([last]) {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// The status of a raw answer, if it has one.
pub fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    std::str::from_utf8(line).ok()?.split(' ').nth(1)?.parse().ok()
}
