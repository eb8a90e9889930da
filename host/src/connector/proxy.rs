//! Reaches a vetted address through an HTTP proxy, for example Envoy with `envoy/egress.yaml`.
//!
//! The proxy is asked for the very address that was judged (`CONNECT 203.0.113.5:443`), never for a
//! name: what it would resolve nobody has judged. TLS runs through the tunnel, from here to the
//! endpoint, so the proxy sees an address and a number of bytes.
//!
//! Non-guarantee: that the proxy connects to what it was asked for. It is the operator's own, and
//! the shipped one refuses names.

use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest head of the proxy's answer, in bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A proxy, by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proxy(SocketAddr);

// === impl Proxy ===

impl Proxy {
    /// The proxy that listens there.
    pub fn at(address: SocketAddr) -> Self {
        Self(address)
    }

    /// A tunnel to `target`.
    ///
    /// # Errors
    /// When the proxy cannot be reached, answers other than 2xx, or not with HTTP.
    ///
    /// # Cancel safety
    /// Dropped, the connection to the proxy is closed.
    pub async fn tunnel(self, target: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.0).await?;
        let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::with_capacity(512);
        while !head.ends_with(b"\r\n\r\n") {
            // The endpoint says nothing before it is spoken to, so what follows the head is wrong.
            if head.windows(4).any(|window| window == b"\r\n\r\n") || head.len() > HEAD_BYTES_MAX {
                return Err(io::Error::other("the proxy does not answer CONNECT as it should"));
            }
            if stream.read_buf(&mut head).await? == 0 {
                return Err(io::Error::other("the proxy closed without an answer"));
            }
        }
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let status = line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.first_chunk::<3>());
        match status {
            Some([b'2', _, _]) => Ok(stream),
            Some(status) => {
                let status = String::from_utf8_lossy(status);
                Err(io::Error::other(format!("the proxy answered CONNECT with {status}")))
            }
            None => Err(io::Error::other("the proxy does not speak HTTP/1.1")),
        }
    }
}

#[cfg(test)]
mod tests;
