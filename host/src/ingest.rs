//! Steps 1 to 4: receive, verify, parse and dedupe, commit.
//!
//! The cast: [`serve`] accepts connections and gives each to hyper; [`receive`] turns one request
//! into one [`Answer`]; the store makes the event durable before the answer is 200.
//!
//! Guarantee: a 200 means that the event is committed and synced, or was before. What is authentic
//! but unusable is kept in quarantine. Non-guarantee: a client that goes away while its event is
//! being stored may have stored it; LiveKit's retry is then a duplicate.
//!
//! LiveKit counts every 4xx as delivered, so our own trouble is always 503, and a sender that is
//! too slow gets 503 too.

pub mod answer;
mod body;
mod rates;
mod receive;
mod senders;

pub use answer::Answer;
pub use senders::{Known, Senders};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::{Bell, Kind, Stop, Tasks};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use livekit_webhook_core::rate::Rate;
use livekit_webhook_wire::glob::Glob;
use rates::{PEERS_MAX, Peer, Rates, SOURCES_MAX};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// Most header fields of a request.
pub const HEADERS_MAX: usize = 64;
/// Most bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2 streams of one connection.
pub const STREAMS_MAX: u32 = 128;
/// Pause of the accept loop after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What to do with a request that is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnverified {
    /// Answer 401. Right for forgeries.
    Reject,
    /// Keep it apart and answer 200. For the hours of a key rotation, when a mistake would lose
    /// events.
    Quarantine,
}

/// A LiveKit project.
#[derive(Clone, Debug)]
pub struct Source {
    /// Configured name.
    pub name: String,
    /// Event types to accept; the rest is answered 200 and not kept. Empty: all.
    pub events: Vec<Glob>,
}

/// Limits and choices of ingest.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Bytes of bodies being received, over all connections.
    pub body_bytes_in_flight_max: usize,
    /// From the end of a request's head to the end of its body.
    pub body_timeout: Duration,
    /// From the end of the body to the answer.
    pub answer_timeout: Duration,
    /// To receive a request's head; also how long a connection may idle, from its very beginning.
    pub header_timeout: Duration,
    /// Open connections.
    pub connections_max: usize,
    /// See [`OnUnverified`].
    pub on_unverified: OnUnverified,
    /// Quarantined bodies in the store from which on nothing unverified is kept any more.
    pub quarantine_max: u64,
    /// Authentic requests of each source. `None`: as many as come. LiveKit tries what is over it
    /// again for some 15 s and then drops it, so it is for a source that would drown the others.
    pub source_rate: Option<Rate>,
    /// Requests of each peer, authentic or not. `None`: as many as come. Behind a proxy every
    /// request comes from one peer.
    pub peer_rate: Option<Rate>,
}

/// What ingest works with.
pub struct Ingest {
    /// Limits and choices.
    pub options: Options,
    /// Who may send.
    pub senders: Senders,
    /// Where events go.
    pub store: Arc<dyn Store>,
    /// The time of arrival.
    pub clock: Arc<dyn Clock>,
    /// Event ids.
    pub entropy: Arc<Entropy>,
    /// Rung after each new event.
    pub bell: Bell,
    /// Counters.
    pub metrics: Arc<Metrics>,
    body_room: Arc<Semaphore>,
    source_rates: Rates<String>,
    peer_rates: Rates<Peer>,
}

// === impl Ingest ===

impl Ingest {
    /// Puts the parts together.
    pub fn new(
        options: Options,
        known: Known,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
        bell: Bell,
        metrics: Arc<Metrics>,
    ) -> Self {
        let body_room = Arc::new(Semaphore::new(body::permits(options.body_bytes_in_flight_max)));
        let senders = Senders::new(known);
        let source_rates = Rates::new(options.source_rate, SOURCES_MAX);
        let peer_rates = Rates::new(options.peer_rate, PEERS_MAX);
        Self {
            options,
            senders,
            store,
            clock,
            entropy,
            bell,
            metrics,
            body_room,
            source_rates,
            peer_rates,
        }
    }
}

/// Accepts until `stop`, then returns; connections finish their requests on their own
/// ([`Kind::Connection`]).
pub async fn serve(listener: TcpListener, ingest: Arc<Ingest>, tasks: Tasks, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(ingest.options.connections_max));
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = stop.given() => return,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.given() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, peer, ingest.clone(), stop.clone());
                tasks.spawn(Kind::Connection, "ingest", async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, ingest: Arc<Ingest>, mut stop: Stop) {
    // Answers are one small write each; without this the last one waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(ingest.options.header_timeout)
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(ingest.options.header_timeout);
    let activity = Activity::default();
    let service = service_fn(|request| {
        let (ingest, busy) = (ingest.clone(), activity.begin());
        async move {
            let response = ingest.receive(request, peer).await;
            drop(busy);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let limit = ingest.options.header_timeout;
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = activity.idle_for(limit) => {
            debug!(%peer, "idle connection closed");
            if activity.never_began() {
                // It has no protocol yet in which one could say goodbye.
                return;
            }
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(limit, connection).await.unwrap_or(Ok(()))
        }
        () = stop.given() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%peer, error = %error, "connection ended");
    }
}

/// Whether a connection is used. hyper's own deadline covers heads only: not the first bytes, by
/// which it tells HTTP/1 from HTTP/2, and not an HTTP/2 connection that answers pings and asks for
/// nothing.
#[derive(Default)]
struct Activity {
    began: AtomicU64,
    running: Arc<AtomicU64>,
}

/// A request under way.
struct Busy(Arc<AtomicU64>);

// === impl Activity ===

impl Activity {
    fn begin(&self) -> Busy {
        self.began.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Busy(self.running.clone())
    }

    fn never_began(&self) -> bool {
        self.began.load(Ordering::Relaxed) == 0
    }

    /// Waits for a stretch of `limit` in which no request began and none was under way.
    async fn idle_for(&self, limit: Duration) {
        let mut before = self.began.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(limit).await;
            let began = self.began.load(Ordering::Relaxed);
            if began == before && self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
            before = began;
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
