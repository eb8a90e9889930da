//! A connection to a vetted peer, as hyper wants it, which reads no more than is allowed.

use super::dial::Dial;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Plain or with TLS.
pub struct Stream {
    io: Io,
    dial: Arc<Dial>,
}

enum Io {
    Plain(TokioIo<Metered>),
    Tls(Box<TokioIo<TlsStream<Metered>>>),
}

/// A socket that counts what is read of it.
pub struct Metered {
    tcp: TcpStream,
    dial: Arc<Dial>,
}

// === impl Stream ===

impl Stream {
    /// Without TLS.
    pub fn plain(tcp: Metered) -> Self {
        let dial = tcp.dial.clone();
        Self { io: Io::Plain(TokioIo::new(tcp)), dial }
    }

    /// With TLS.
    pub fn tls(tls: TlsStream<Metered>) -> Self {
        let dial = tls.get_ref().0.dial.clone();
        Self { io: Io::Tls(Box::new(TokioIo::new(tls))), dial }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.dial.clone());
        match &self.io {
            Io::Tls(tls) if tls.inner().get_ref().1.alpn_protocol() == Some(b"h2") => {
                connected.negotiated_h2()
            }
            _ => connected,
        }
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

// === impl Metered ===

impl Metered {
    /// Counts what is read of `tcp` against `dial`.
    pub fn new(tcp: TcpStream, dial: Arc<Dial>) -> Self {
        Self { tcp, dial }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.dial.may_read() {
            let allowance_bytes = this.dial.allowance_bytes();
            let text = format!("over {allowance_bytes} bytes came for one request");
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.tcp).poll_read(cx, buffer);
        this.dial.has_read(buffer.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
