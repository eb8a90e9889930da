//! The stage over the memory store and a scripted transport. Time is tokio's, paused: it moves when
//! nothing else can.

mod batch;
mod health;
mod lanes;
mod limits;
mod outcomes;
mod requests;
mod trouble;

use super::transport::{Answered, Failure, Outgoing, Way};
use super::*;
use crate::store::conformance::{
    START, claim_event, delivery, event, later, plan, planned, stored,
};
use crate::store::memory::MemoryStore;
use crate::store::{AttemptRecord, NewDelivery, NewEvent, StoredDelivery, Timings};
use crate::tasks::{Stopper, stop};
use async_trait::async_trait;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, RETRY_AFTER};
use livekit_webhook_core::attempt::ErrorClass;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::{Endpoint, EndpointUrl, Name, PlainHttp};
use livekit_webhook_core::retry::Schedule;
use livekit_webhook_core::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How long a condition may take, in paused seconds.
const PATIENCE_S: u32 = 3_600;

/// The paused clock, from [`START`] on. Counts how often it is looked at: a spinning worker looks
/// without end.
struct PausedClock {
    began: Instant,
    looks: AtomicUsize,
}

/// What the transport does with one request.
enum Act {
    Status(u16),
    /// A status and `Retry-After`.
    Later(u16, &'static str),
    Fail(ErrorClass),
    /// 401, by which the transport drops the token.
    TokenRefused,
    /// 200, when the gate lets it through.
    Hold,
    /// A status after so many milliseconds.
    Slow(u64, u16),
    Panic,
}

/// A transport that plays what it was told, by host; 200 when nothing is left.
struct Script {
    acts: Mutex<HashMap<String, VecDeque<Act>>>,
    sent: Mutex<Vec<(Timestamp, Outgoing)>>,
    /// `webhook-id`s with the status they were answered, in that order.
    answered: Mutex<Vec<(String, u16)>>,
    active: Mutex<HashMap<String, usize>>,
    /// Most requests at once.
    peak: AtomicUsize,
    gate: Semaphore,
    clock: Arc<PausedClock>,
}

struct Stage {
    deliverer: Arc<Deliverer>,
    store: Arc<MemoryStore>,
    script: Arc<Script>,
    clock: Arc<PausedClock>,
    tasks: Tasks,
    stopper: Stopper,
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.looks.fetch_add(1, Ordering::SeqCst);
        later(i64::try_from(self.began.elapsed().as_millis()).unwrap())
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure> {
        let host = outgoing.url.host().unwrap().to_owned();
        let act = self.acts.lock().unwrap().get_mut(&host).and_then(VecDeque::pop_front);
        let id = outgoing.headers["webhook-id"].to_str().unwrap().to_owned();
        self.sent.lock().unwrap().push((self.clock.now(), outgoing));
        let mut headers = HeaderMap::new();
        let act = act.unwrap_or(Act::Status(200));
        let token_dropped = matches!(act, Act::TokenRefused);
        let status = match act {
            Act::TokenRefused => 401,
            Act::Status(status) => status,
            Act::Later(status, wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(wait));
                status
            }
            Act::Fail(class) => return Err(Failure::new(class, "as told")),
            Act::Hold => {
                self.begin(&host);
                self.gate.acquire().await.unwrap().forget();
                self.finish(&host);
                200
            }
            Act::Slow(ms, status) => {
                self.begin(&host);
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.finish(&host);
                status
            }
            Act::Panic => panic!("as told"),
        };
        self.answered.lock().unwrap().push((id, status));
        let body_start = Bytes::from_static(b"thanks");
        let address = Some("192.0.2.7:443".parse().unwrap());
        let timings = Timings { first_byte_ms: Some(7), ..Timings::default() };
        let way = Way { address, timings };
        Ok(Answered { status, headers, body_start, way, token_dropped })
    }
}

impl Script {
    fn begin(&self, host: &str) {
        let mut active = self.active.lock().unwrap();
        *active.entry(host.to_owned()).or_default() += 1;
        self.peak.fetch_max(active.values().sum(), Ordering::SeqCst);
    }

    fn finish(&self, host: &str) {
        *self.active.lock().unwrap().get_mut(host).unwrap() -= 1;
    }
}

fn endpoint(name: &str) -> Endpoint {
    let url = format!("https://{name}.example.com/livekit?team=blue");
    let url = EndpointUrl::parse(&url, PlainHttp::Refused).unwrap();
    Endpoint::new(Name::parse(name).unwrap(), url)
}

/// `name`, with waits of these seconds before its attempts.
fn with_retry(name: &str, steps_s: &[i64], max_age_s: Option<i64>) -> Endpoint {
    let mut endpoint = endpoint(name);
    let steps = steps_s.iter().map(|step| step * 1_000).collect();
    endpoint.policy.schedule = Schedule::new(steps, max_age_s.map(|age| age * 1_000)).unwrap();
    endpoint
}

fn stage(endpoints: Vec<Endpoint>) -> Stage {
    stage_over(Arc::new(MemoryStore::new(3_600_000)), endpoints, 512)
}

/// A stage that does not run yet.
fn stage_over(store: Arc<MemoryStore>, endpoints: Vec<Endpoint>, in_flight_max: usize) -> Stage {
    let clock = Arc::new(PausedClock { began: Instant::now(), looks: AtomicUsize::new(0) });
    let script = Arc::new(Script {
        acts: Mutex::default(),
        sent: Mutex::default(),
        answered: Mutex::default(),
        active: Mutex::default(),
        peak: AtomicUsize::new(0),
        gate: Semaphore::new(0),
        clock: clock.clone(),
    });
    let named = |endpoint: Endpoint| (endpoint.name.to_string(), Place::new(endpoint));
    let deliverer = Arc::new(Deliverer {
        endpoints: endpoints.into_iter().map(named).collect(),
        in_flight_max,
        store: store.clone(),
        transport: script.clone(),
        clock: clock.clone(),
        entropy: Arc::new(Entropy::seeded(7)),
        bell: Bell::new(),
        hints: Bell::new(),
        host: Some("gateway-1".to_owned()),
        secrets: Live::default(),
        metrics: Arc::new(Metrics::new()),
        in_flight: InFlight::default(),
    });
    let (stopper, _) = stop();
    Stage { deliverer, store, script, clock, tasks: Tasks::new(), stopper }
}

// === impl Stage ===

impl Stage {
    fn run(&mut self) {
        let (stopper, stop) = stop();
        self.stopper = stopper;
        let run = self.deliverer.clone().run(self.tasks.clone(), stop);
        self.tasks.spawn(Kind::Worker, "deliver", run);
    }

    fn told(&self, endpoint: &str, acts: Vec<Act>) {
        let host = format!("{endpoint}.example.com");
        self.script.acts.lock().unwrap().entry(host).or_default().extend(acts);
    }

    /// Owes delivery `number` to `endpoint`, due `due_ms` after the start.
    async fn owe(&self, number: u32, endpoint: &str, due_ms: i64) {
        let due_at = later(due_ms);
        let new = NewDelivery { due_at, ..delivery(number, endpoint) };
        planned(&*self.store, number, vec![new]).await;
        self.deliverer.bell.ring();
    }

    /// The same for an event of `room`, whose deliveries go in order.
    async fn owe_in_room(&self, number: u32, endpoint: &str, room: &str) {
        let new_event = NewEvent { lane: Some(room.to_owned()), ..event(number) };
        self.store.append(new_event).await.unwrap();
        let lane = Some(crate::store::lane(None, "prod", room));
        let new = NewDelivery { lane, due_at: START, ..delivery(number, endpoint) };
        let claim = claim_event(&*self.store).await;
        self.store.record_plans(START, vec![plan(&claim, vec![new])]).await.unwrap();
        self.deliverer.bell.ring();
    }

    async fn attempts(&self, number: u32) -> Vec<AttemptRecord> {
        self.store.attempts(delivery(number, "").id).await.unwrap()
    }

    async fn delivery(&self, number: u32) -> StoredDelivery {
        stored(&*self.store, delivery(number, "").id).await
    }

    async fn until_state(&self, number: u32, state: State) {
        for _ in 0..PATIENCE_S {
            if self.delivery(number).await.state == state {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{number} is {:?}, not {state:?}", self.delivery(number).await.state);
    }

    /// Until what is recorded has given its place back.
    async fn settled(&self) {
        self.until("idle", || self.deliverer.in_flight.requests.load(Ordering::SeqCst) == 0).await;
    }

    async fn until(&self, what: &str, come: impl Fn() -> bool) {
        for _ in 0..PATIENCE_S {
            if come() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    /// When each request to `endpoint` left, in milliseconds after the start.
    fn sent_ms(&self, endpoint: &str) -> Vec<i64> {
        let host = format!("{endpoint}.example.com");
        let sent = self.script.sent.lock().unwrap();
        let ours = sent.iter().filter(|(_, outgoing)| outgoing.url.host() == Some(&host));
        ours.map(|(at, _)| at.millis_since(START)).collect()
    }

    fn last_sent(&self) -> Outgoing {
        self.script.sent.lock().unwrap().last().unwrap().1.clone()
    }

    fn active(&self, endpoint: &str) -> usize {
        let host = format!("{endpoint}.example.com");
        self.script.active.lock().unwrap().get(&host).copied().unwrap_or(0)
    }
}
