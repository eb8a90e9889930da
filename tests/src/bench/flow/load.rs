//! LiveKit's side: pre-signed distinct events over kept connections, and what was measured of them.

use super::sink::{DIGITS, MARK, Sink};
use super::{API_KEY, CONNECTIONS, EVENT_BYTES, SECRET};
use crate::bench::stats::percentile;
use crate::bench::verify;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::sign;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long a round may take, and how long its deliveries after it.
const ROUND_MAX: Duration = Duration::from_secs(30);

/// Makes rounds; no event comes twice.
pub struct Load {
    sink: Sink,
    endpoints: usize,
    next: usize,
}

/// One round of one side.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Events answered with 200, a second.
    pub received_a_s: f64,
    /// Events at every endpoint, a second.
    pub delivered_a_s: f64,
    /// From the request to its answer.
    pub answer_p50_ms: f64,
    /// The slowest hundredth.
    pub answer_p99_ms: f64,
    /// The slowest thousandth.
    pub answer_p999_ms: f64,
    /// From the request to the sink.
    pub lag_p50_ms: f64,
    /// The slowest hundredth.
    pub lag_p99_ms: f64,
    /// The slowest thousandth.
    pub lag_p999_ms: f64,
}

struct Event {
    body: Bytes,
    authorization: String,
}

/// What all connections of a round share.
struct Round {
    events: Vec<Event>,
    taken: AtomicUsize,
    began: Instant,
    /// Between two events; nothing when they follow as fast as they are answered.
    pause: Option<Duration>,
}

/// When an event was due and when it was answered.
type Times = (usize, Instant, Instant);

// === impl Load ===

impl Load {
    /// With `sink` behind both sides, and so many endpoints of it that count.
    pub fn new(sink: Sink, endpoints: usize) -> Self {
        Self { sink, endpoints, next: 0 }
    }

    /// Sends `count` events to `to` and waits until all are delivered. `pace` is events a second;
    /// each is measured from when it was due then, so that a slow answer does not hide the ones
    /// that wait behind it.
    ///
    /// # Errors
    /// When one is answered other than 200, or not delivered in time.
    pub async fn round(
        &mut self,
        to: SocketAddr,
        count: usize,
        pace: Option<f64>,
    ) -> anyhow::Result<Measured> {
        let first = self.next;
        self.next += count;
        let events = events(first, count)?;
        self.sink.expect(first, count, self.endpoints);
        let pause = pace.map(|pace| Duration::from_secs_f64(1.0 / pace));
        let round =
            Arc::new(Round { events, taken: AtomicUsize::new(0), began: Instant::now(), pause });
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            connections.spawn(connection(to, round.clone()));
        }
        let mut times = Vec::with_capacity(count);
        let send = async {
            while let Some(ended) = connections.join_next().await {
                times.append(&mut ended??);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(ROUND_MAX, send).await.context("the round takes too long")??;
        let delivered = self.sink.complete(ROUND_MAX).await?;
        measure(round.began, &times, &delivered, self.endpoints)
    }
}

async fn connection(to: SocketAddr, round: Arc<Round>) -> anyhow::Result<Vec<Times>> {
    let socket = TcpStream::connect(to).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let send = async move {
        let mut times = Vec::new();
        loop {
            let at = round.taken.fetch_add(1, Ordering::Relaxed);
            let Some(event) = round.events.get(at) else { return Ok(times) };
            let due = match round.pause {
                None => Instant::now(),
                Some(pause) => round.began + pause * u32::try_from(at)?,
            };
            tokio::time::sleep_until(due.into()).await;
            let request = Request::post("/webhook")
                .header(HOST, "bench")
                .header(CONTENT_TYPE, "application/webhook+json")
                .header(AUTHORIZATION, &event.authorization)
                .body(Full::new(event.body.clone()))?;
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            ensure!(status == 200, "an event was answered with {status}");
            times.push((at, due, Instant::now()));
        }
    };
    tokio::select! {
        times = send => times,
        // Ends after the sender, or before it with the reason.
        ended = connection => {
            ended?;
            anyhow::bail!("the connection was closed")
        }
    }
}

fn events(first: usize, count: usize) -> anyhow::Result<Vec<Event>> {
    let now_s = SystemClock.now().as_secs();
    let mark = "0".repeat(DIGITS);
    let template = verify::body(&format!("EV_{mark}"), now_s, EVENT_BYTES)?;
    let (head, tail) = template.split_once(&format!("{MARK}{mark}")).context("no id")?;
    let event = |number: usize| {
        let body = format!("{head}{MARK}{number:0DIGITS$}{tail}");
        let authorization = sign::authorization(API_KEY, SECRET.as_bytes(), body.as_bytes(), now_s);
        Event { body: Bytes::from(body), authorization }
    };
    Ok((first..first + count).map(event).collect())
}

fn measure(
    began: Instant,
    times: &[Times],
    delivered: &[Instant],
    endpoints: usize,
) -> anyhow::Result<Measured> {
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    let last_answer = times.iter().map(|(_, _, answered)| *answered).max().context("no answers")?;
    let last_delivery = delivered.iter().max().copied().context("no deliveries")?;
    let mut answers = Vec::with_capacity(times.len());
    let mut lags = Vec::with_capacity(delivered.len());
    for (at, due, answered) in times {
        answers.push(seconds(*due, *answered) * 1e3);
        let came = delivered.get(at * endpoints..(at + 1) * endpoints);
        let came = came.context("an event that did not come")?;
        lags.extend(came.iter().map(|came| seconds(*due, *came) * 1e3));
    }
    let count = times.len() as f64;
    Ok(Measured {
        received_a_s: count / seconds(began, last_answer).max(1e-9),
        delivered_a_s: count / seconds(began, last_delivery).max(1e-9),
        answer_p50_ms: percentile(&answers, 0.5),
        answer_p99_ms: percentile(&answers, 0.99),
        answer_p999_ms: percentile(&answers, 0.999),
        lag_p50_ms: percentile(&lags, 0.5),
        lag_p99_ms: percentile(&lags, 0.99),
        lag_p999_ms: percentile(&lags, 0.999),
    })
}
