//! A double of LiveKit's own sender, with its limits and its blind spots.
//!
//! After livekit/protocol 1.52.1 (`webhook.DefaultNotifier`, one `ResourceURLNotifier` a URL,
//! hashicorp/go-retryablehttp 0.7.8): one queue for each key and URL, one event in flight in each,
//! up to five attempts with waits of 1, 2, 4 and 8 s, `Retry-After` obeyed without a cap on 429 and
//! 503. Retried are transport errors, 429 and 5xx except 501; everything else counts as delivered.
//! All attempts of an event carry the same bytes and the same token. An event that waited more than
//! 30 s is dropped when its turn comes, and a queue that holds 200 drops what comes.
//!
//! Every time is multiplied by the factor given at construction, so that a story need not last as
//! long as life. `Retry-After` is understood in seconds only, not as a date. There is no deadline
//! for an attempt, as in LiveKit: a receiver that never answers holds its queue until the sender is
//! dropped.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::sign;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub mod api;
pub mod raw;
pub mod server;

/// Attempts in all (retryablehttp `RetryMax` 4).
pub const ATTEMPTS: u32 = 5;
/// An event that waited longer is dropped, in seconds (`max_age`).
pub const AGE_MAX_S: u64 = 30;
/// Events that may wait in one queue (`max_depth`).
pub const DEPTH_MAX: usize = 200;
/// Redirects that Go's client follows.
const REDIRECTS_MAX: usize = 10;

/// What became of one event at one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// LiveKit counts it as delivered: also every 4xx, and 501.
    Delivered,
    /// Five attempts, none counted.
    GivenUp,
    /// Its turn came too late; it was never sent.
    DroppedByAge,
    /// Its queue was full; it was never sent.
    DroppedByDepth,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The status, or the text of the transport error.
    pub outcome: Result<u16, String>,
    /// The token that was sent.
    pub authorization: String,
    /// Real time since the sender was made, unscaled.
    pub at: Duration,
}

/// One event at one URL, finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The event's bytes.
    pub body: Bytes,
    /// Where it went.
    pub url: String,
    /// The queue it stood in.
    pub key: String,
    /// All attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The end.
    pub fate: Fate,
}

/// The sender. Dropping it stops it, as LiveKit's stops: what waits is lost.
pub struct Sender {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    urls: Vec<Uri>,
    api_key: String,
    secret: Vec<u8>,
    factor: f64,
    moved_s: AtomicI64,
    started: Instant,
    client: Client<HttpConnector, Full<Bytes>>,
    queues: Mutex<HashMap<(String, usize), Queue>>,
    reports: Mutex<Vec<Report>>,
    reported: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Bytes, Instant)>,
    running: bool,
}

// === impl Sender ===

impl Sender {
    /// Sends to each of `urls`, signed with one key pair; times are LiveKit's multiplied by
    /// `factor`.
    ///
    /// # Errors
    /// When a URL cannot be read, or `factor` is not between 0 and 1.
    pub fn new(urls: &[&str], api_key: &str, secret: &str, factor: f64) -> anyhow::Result<Self> {
        anyhow::ensure!(factor > 0.0 && factor <= 1.0, "the factor must be over 0 and at most 1");
        let urls: Result<_, _> = urls.iter().map(|url| url.parse()).collect();
        let shared = Shared {
            urls: urls.context("a URL to send to")?,
            api_key: api_key.to_owned(),
            secret: secret.as_bytes().to_vec(),
            factor,
            moved_s: AtomicI64::new(0),
            started: Instant::now(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            queues: Mutex::default(),
            reports: Mutex::default(),
            reported: Notify::new(),
        };
        Ok(Self { shared: Arc::new(shared), tasks: Mutex::default() })
    }

    /// Queues an event for every URL and returns at once, as LiveKit's does. At the first full
    /// queue it stops: the URLs after it do not get the event. That is what LiveKit does.
    pub fn notify(&self, body: impl Into<Bytes>) {
        let body = body.into();
        let key = event_key(&body);
        for url in 0..self.shared.urls.len() {
            let mut queues = lock(&self.shared.queues);
            let queue = queues.entry((key.clone(), url)).or_default();
            if queue.waiting.len() >= DEPTH_MAX {
                drop(queues);
                self.shared.report(&key, url, body, Vec::new(), Fate::DroppedByDepth);
                return;
            }
            queue.waiting.push_back((body.clone(), Instant::now()));
            if !std::mem::replace(&mut queue.running, true) {
                drop(queues);
                let (shared, key) = (self.shared.clone(), key.clone());
                lock(&self.tasks).spawn(async move { shared.drain(&key, url).await });
            }
        }
    }

    /// From now on its clock is so many seconds away from the machine's.
    pub fn set_clock(&self, moved_s: i64) {
        self.shared.moved_s.store(moved_s, Ordering::Relaxed);
    }

    /// All reports so far.
    pub fn reports(&self) -> Vec<Report> {
        lock(&self.shared.reports).clone()
    }

    /// Waits until `count` events have found their end, each URL counted for itself.
    ///
    /// # Errors
    /// When they have not within `bound`; says what there is.
    pub async fn wait_for(&self, count: usize, bound: Duration) -> anyhow::Result<Vec<Report>> {
        let enough = async {
            loop {
                let reported = self.shared.reported.notified();
                let mut reported = std::pin::pin!(reported);
                // Counted as waiting from here on, so that no report falls between the look and the
                // wait.
                reported.as_mut().enable();
                if lock(&self.shared.reports).len() >= count {
                    return;
                }
                reported.await;
            }
        };
        let in_time = timeout(bound, enough).await.is_ok();
        let reports = self.reports();
        anyhow::ensure!(in_time, "{} of {count} reports: {reports:?}", reports.len());
        Ok(reports)
    }
}

// === impl Shared ===

impl Shared {
    /// Works one queue off. The next event that comes to an empty queue starts it again.
    async fn drain(&self, key: &str, url: usize) {
        loop {
            let next = {
                let mut queues = lock(&self.queues);
                let Some(queue) = queues.get_mut(&(key.to_owned(), url)) else {
                    return;
                };
                let next = queue.waiting.pop_front();
                queue.running = next.is_some();
                next
            };
            let Some((body, queued)) = next else { return };
            if queued.elapsed() > self.scaled(Duration::from_secs(AGE_MAX_S)) {
                self.report(key, url, body, Vec::new(), Fate::DroppedByAge);
                continue;
            }
            let (attempts, fate) = self.deliver(url, &body).await;
            self.report(key, url, body, attempts, fate);
        }
    }

    async fn deliver(&self, url: usize, body: &Bytes) -> (Vec<Attempt>, Fate) {
        let now_s = SystemClock.now().as_secs() + self.moved_s.load(Ordering::Relaxed);
        let token = sign::authorization(&self.api_key, &self.secret, body, now_s);
        let mut attempts = Vec::new();
        let Some(url) = self.urls.get(url) else {
            return (attempts, Fate::GivenUp);
        };
        for number in 0..ATTEMPTS {
            let at = self.started.elapsed();
            let result = self.post(url, &token, body).await;
            let (outcome, hint) = match result {
                Ok((status, hint)) => (Ok(status), hint),
                Err(error) => (Err(format!("{error:#}")), None),
            };
            let again = match &outcome {
                Ok(status) => retried(*status),
                Err(_) => true,
            };
            attempts.push(Attempt { outcome, authorization: token.clone(), at });
            if !again {
                return (attempts, Fate::Delivered);
            }
            if number + 1 < ATTEMPTS {
                let wait = hint.unwrap_or(Duration::from_secs(1 << number));
                tokio::time::sleep(self.scaled(wait)).await;
            }
        }
        (attempts, Fate::GivenUp)
    }

    /// Status, and the wait that `Retry-After` asks for. Redirects are followed as Go's client
    /// follows them.
    async fn post(
        &self,
        url: &Uri,
        token: &str,
        body: &Bytes,
    ) -> anyhow::Result<(u16, Option<Duration>)> {
        let (mut url, mut method, mut body) = (url.clone(), Method::POST, body.clone());
        let host = url.authority().cloned();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = Request::builder()
                .method(method.clone())
                .uri(&url)
                .header(header::USER_AGENT, "LiveKit")
                .header(header::CONTENT_TYPE, "application/webhook+json")
                .header(header::ACCEPT_ENCODING, "gzip");
            if url.authority() == host.as_ref() {
                request = request.header(header::AUTHORIZATION, token);
            }
            let request = request.body(Full::new(body.clone()))?;
            let (parts, incoming) = self.client.request(request).await?.into_parts();
            // Go reads what is left, so that the connection can be used again.
            incoming.collect().await?;
            let location =
                parts.headers.get(header::LOCATION).filter(|_| parts.status.is_redirection());
            match (parts.status.as_u16(), location) {
                (301..=303, Some(location)) => {
                    (url, method, body) = (resolve(&url, location)?, Method::GET, Bytes::new());
                }
                (307 | 308, Some(location)) => url = resolve(&url, location)?,
                (status, _) => {
                    let hint = parts.headers.get(header::RETRY_AFTER);
                    let hint = hint.filter(|_| status == 429 || status == 503);
                    let seconds = hint.and_then(|hint| hint.to_str().ok()?.parse().ok());
                    return Ok((status, seconds.map(Duration::from_secs)));
                }
            }
        }
        anyhow::bail!("stopped after {REDIRECTS_MAX} redirects")
    }

    fn scaled(&self, time: Duration) -> Duration {
        time.mul_f64(self.factor)
    }

    fn report(&self, key: &str, url: usize, body: Bytes, attempts: Vec<Attempt>, fate: Fate) {
        let url = self.urls.get(url).map(Uri::to_string).unwrap_or_default();
        lock(&self.reports).push(Report { body, url, key: key.to_owned(), attempts, fate });
        self.reported.notify_waiters();
    }
}

/// Retryablehttp's `baseRetryPolicy`.
fn retried(status: u16) -> bool {
    status == 429 || (status >= 500 && status != 501)
}

fn resolve(base: &Uri, location: &HeaderValue) -> anyhow::Result<Uri> {
    let location: Uri = location.to_str()?.parse()?;
    if location.scheme().is_some() {
        return Ok(location);
    }
    let mut parts = base.clone().into_parts();
    parts.path_and_query = location.path_and_query().cloned();
    Ok(Uri::from_parts(parts)?)
}

/// `EventKey` of livekit/protocol, `webhook/notifier.go`: the first of these objects that is there,
/// even when the name in it is empty.
pub fn event_key(body: &[u8]) -> String {
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let places = [
        ("egressInfo", "egressId"),
        ("ingressInfo", "ingressId"),
        ("room", "name"),
        ("participant", "identity"),
        ("track", "sid"),
    ];
    for (object, member) in places {
        if let Some(object) = event.get(object) {
            return object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        }
    }
    "default".to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
