//! The one receiver of both sides: answers 200 at once and notes when each event of a round came
//! first to each of its endpoints, which are the paths `/0`, `/1`, …

#![expect(clippy::disallowed_methods, reason = "its tasks end with the runtime")]

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

/// What stands before an event's number.
pub const MARK: &str = r#""id":"EV_"#;
/// Digits of it.
pub const DIGITS: usize = 12;

/// Between two looks for the first arrival.
const POLL: Duration = Duration::from_millis(1);

/// The receiver.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    round: Mutex<Round>,
    complete: Notify,
}

/// Arrivals of the numbers from `first` on, one for each endpoint.
#[derive(Default)]
struct Round {
    first: usize,
    endpoints: usize,
    came: Vec<Option<Instant>>,
    first_came: Option<Instant>,
    left: usize,
}

// === impl Sink ===

impl Sink {
    /// On a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { round: Mutex::default(), complete: Notify::new() });
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for `count` events from number `first` on from now, each at the first `endpoints`
    /// paths.
    pub fn expect(&self, first: usize, count: usize, endpoints: usize) {
        let left = count * endpoints;
        *self.shared.lock() =
            Round { first, endpoints, came: vec![None; left], first_came: None, left };
    }

    /// When the first of them came.
    ///
    /// # Errors
    /// When none has within `bound`.
    pub async fn first(&self, bound: Duration) -> anyhow::Result<Instant> {
        let first = async {
            loop {
                let came = self.shared.lock().first_came;
                match came {
                    Some(came) => return came,
                    None => tokio::time::sleep(POLL).await,
                }
            }
        };
        timeout(bound, first).await.with_context(|| format!("nothing came within {bound:?}"))
    }

    /// When each of them came to each endpoint, once all have: the endpoints of an event stand
    /// together.
    ///
    /// # Errors
    /// When some have not within `bound`; says how many.
    pub async fn complete(&self, bound: Duration) -> anyhow::Result<Vec<Instant>> {
        let all = async {
            loop {
                let mut complete = std::pin::pin!(self.shared.complete.notified());
                complete.as_mut().enable();
                if self.shared.lock().left == 0 {
                    return;
                }
                complete.await;
            }
        };
        let in_time = timeout(bound, all).await.is_ok();
        let round = self.shared.lock();
        anyhow::ensure!(in_time, "{} deliveries did not come within {bound:?}", round.left);
        Ok(round.came.iter().copied().flatten().collect())
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receive(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let endpoint: Option<usize> = request.uri().path().trim_matches('/').parse().ok();
        let body = request.into_body().collect().await?.to_bytes();
        let now = Instant::now();
        if let Some((number, endpoint)) = number(&body).zip(endpoint) {
            let mut round = self.lock();
            let event = number.checked_sub(round.first).filter(|_| endpoint < round.endpoints);
            let at = event.map(|event| event * round.endpoints + endpoint);
            let came = at.and_then(|at| round.came.get_mut(at)).filter(|came| came.is_none());
            if let Some(came) = came {
                *came = Some(now);
                round.first_came.get_or_insert(now);
                round.left -= 1;
                if round.left == 0 {
                    self.complete.notify_waiters();
                }
            }
        }
        Ok(Response::new(Full::default()))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shared = shared.clone();
        // Without it the kernel holds small answers back; then only the first requests are slower.
        let _ = socket.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(|request| shared.receive(request));
            // A side that ends closes its connections.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// The number in a body.
fn number(body: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(body).ok()?;
    let digits = text.get(text.rfind(MARK)? + MARK.len()..)?.get(..DIGITS)?;
    digits.parse().ok()
}
