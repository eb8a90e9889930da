//! A scripted endpoint: answers as told, keeps what it got.
//!
//! Each request takes the next answer of the script; when the script is over, the standing answer.
//! Requests are kept before they are answered, so a request that is never answered can be waited
//! for, too.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

pub mod hostile;
pub mod signatures;

/// Longest body it takes, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What to do with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answer.
    Reply {
        /// The status.
        status: StatusCode,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Bytes,
        /// Before the answer.
        delay: Duration,
    },
    /// Keep the connection open and never answer.
    Never,
    /// Wait for [`Held::release`], then 200.
    Held(tokio::sync::watch::Receiver<bool>),
    /// Close the connection without an answer.
    Close,
}

/// Lets answers go that wait for it. Dropping it lets them go, too.
#[derive(Debug)]
pub struct Held(tokio::sync::watch::Sender<bool>);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Since the receiver started.
    pub at: Duration,
}

/// The endpoint, on a free port of 127.0.0.1. Dropping it closes the port and every connection.
pub struct Receiver {
    address: SocketAddr,
    is_https: bool,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

struct Shared {
    script: Mutex<VecDeque<Answer>>,
    standing: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    arrived: Notify,
    closed: tokio::sync::watch::Sender<bool>,
    started: Instant,
}

// === impl Answer ===

impl Answer {
    /// A status and no body.
    ///
    /// # Errors
    /// When it is not a status.
    pub fn status(status: u16) -> anyhow::Result<Self> {
        let status = StatusCode::from_u16(status)?;
        Ok(Self::Reply { status, headers: Vec::new(), body: Bytes::new(), delay: Duration::ZERO })
    }

    /// With one more header; no change to an answer that is none.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// After a pause; no change to an answer that is none.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        if let Self::Reply { delay, .. } = &mut self {
            *delay = pause;
        }
        self
    }

    /// With a body; no change to an answer that is none.
    #[must_use]
    pub fn with_body(mut self, text: impl Into<Bytes>) -> Self {
        if let Self::Reply { body, .. } = &mut self {
            *body = text.into();
        }
        self
    }
}

// === impl Held ===

impl Held {
    /// Now.
    pub fn release(self) {
        self.0.send_replace(true);
    }
}

// === impl Receiver ===

impl Receiver {
    /// Starts one whose standing answer is 200.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// The same at an address of its own, for a receiver that comes back.
    ///
    /// # Errors
    /// When somebody else has it.
    pub async fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        Self::start_as(address, None).await
    }

    /// One that is reached by https.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start_with_tls(tls: TlsAcceptor) -> anyhow::Result<Self> {
        Self::start_as(SocketAddr::from(([127, 0, 0, 1], 0)), Some(tls)).await
    }

    async fn start_as(address: SocketAddr, tls: Option<TlsAcceptor>) -> anyhow::Result<Self> {
        let is_https = tls.is_some();
        let listener = TcpListener::bind(address).await.with_context(|| format!("{address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::default(),
            standing: Mutex::new(Answer::status(200)?),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            arrived: Notify::new(),
            closed: tokio::sync::watch::Sender::new(false),
            started: Instant::now(),
        });
        let accepting = tokio::spawn(accept(listener, tls, shared.clone())).abort_handle();
        Ok(Self { address, is_https, shared, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, with a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Adds to the script.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.script).extend(answers);
    }

    /// Makes the next request of the script wait.
    pub fn hold(&self) -> Held {
        let (held, watched) = tokio::sync::watch::channel(false);
        self.script([Answer::Held(watched)]);
        Held(held)
    }

    /// Sets the standing answer.
    pub fn otherwise(&self, answer: Answer) {
        *lock(&self.shared.standing) = answer;
    }

    /// What came so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests have come.
    ///
    /// # Errors
    /// When they have not within `bound`; says how many have.
    pub async fn wait_for(&self, count: usize, bound: Duration) -> anyhow::Result<Vec<Seen>> {
        let enough = async {
            loop {
                let mut arrived = std::pin::pin!(self.shared.arrived.notified());
                // Counted as waiting from here on, so that no request falls between the look and
                // the wait.
                arrived.as_mut().enable();
                if lock(&self.shared.seen).len() >= count {
                    return;
                }
                arrived.await;
            }
        };
        let in_time = timeout(bound, enough).await.is_ok();
        let seen = self.seen();
        anyhow::ensure!(in_time, "{} of {count} requests within {bound:?}", seen.len());
        Ok(seen)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.closed.send_replace(true);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Ends with the receiver, which aborts it.
    while let Ok((socket, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, tls) = (shared.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(socket, shared).await,
                // Who is not believed is gone.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(socket).await {
                        serve(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let mut closed = shared.closed.subscribe();
    let service = service_fn(|request| shared.answer(request));
    let builder = hyper::server::conn::http1::Builder::new();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A connection that ends badly is what some scripts are about.
        _ = connection => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

// === impl Shared ===

impl Shared {
    /// An error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> anyhow::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
        let answer = {
            // One lock over both, so that the n-th request kept gets the n-th answer.
            let mut seen = lock(&self.seen);
            let next = lock(&self.script).pop_front();
            seen.push(Seen {
                method: parts.method,
                path,
                headers: parts.headers,
                body,
                at: self.started.elapsed(),
            });
            next.unwrap_or_else(|| lock(&self.standing).clone())
        };
        self.arrived.notify_waiters();
        match answer {
            Answer::Reply { status, headers, body, delay } => {
                tokio::time::sleep(delay).await;
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Ok(response.body(Full::new(body))?)
            }
            Answer::Held(mut released) => {
                // An error is a dropped sender.
                let _ = released.wait_for(|released| *released).await;
                Ok(Response::new(Full::default()))
            }
            Answer::Never => std::future::pending().await,
            Answer::Close => anyhow::bail!("closed, as the script says"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
