//! Steps 7 to 9: claim, send, record.
//!
//! The cast: the *worker* ([`Deliverer::run`]) claims what is due, for each endpoint as much as it has free places, so
//! one slow endpoint never delays another; each claimed delivery becomes one task with one *attempt* ([`attempt`]); the
//! *recorder* ([`record`]) writes what came of it, many at once.
//!
//! Guarantee: at-least-once. A crash repeats at most the attempts in flight, because a claim ends with its lease and
//! nothing else marks a delivery as sent. Non-guarantee: the lease is not needed for correctness, the compare-and-set on
//! its fence is.

mod attempt;
pub mod connector;
pub mod hyper_transport;
mod record;
pub mod transport;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::{AttemptResult, Claim, DueDelivery, Quota, Store};
use crate::tasks::{Bell, Kind, Stop, Tasks};
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_core::id::EventId;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;
use transport::Transport;

/// A lease is this much longer than the attempt's own deadline, in milliseconds.
pub const LEASE_MARGIN_MS: i64 = 30_000;
/// How often the worker looks without being woken.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the stage works with.
pub struct Deliverer {
    /// By name. A delivery to a name that is gone becomes a dead letter.
    pub endpoints: HashMap<String, Place>,
    /// Attempts in flight over all endpoints.
    pub in_flight_max: usize,
    /// Where deliveries are.
    pub store: Arc<dyn Store>,
    /// How requests leave.
    pub transport: Arc<dyn Transport>,
    /// Timestamps.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub entropy: Arc<Entropy>,
    /// Wakes the worker.
    pub bell: Bell,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Attempts in flight now.
    pub in_flight: AtomicUsize,
}

/// An endpoint and how many of its deliveries are under way.
pub struct Place {
    /// As configured.
    pub endpoint: Endpoint,
    /// Attempts in flight.
    pub in_flight: AtomicUsize,
    /// It answered 410: nothing is sent any more until the host is started again.
    pub gone: AtomicBool,
}

/// A finished attempt on its way to the recorder.
struct Ended {
    result: AttemptResult,
    event: EventId,
    endpoint: String,
}

// === impl Place ===

impl Place {
    /// Nothing in flight.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, in_flight: AtomicUsize::new(0), gone: AtomicBool::new(false) }
    }
}

// === impl Deliverer ===

impl Deliverer {
    /// Claims and sends until `stop`, then returns; attempts under way go on ([`Kind::Attempt`]), and the recorder ends
    /// after the last of them.
    pub async fn run(self: Arc<Self>, tasks: Tasks, stop: Stop) {
        // Never full: an attempt holds a place of `in_flight_max` until it is recorded.
        let (sender, receiver) = mpsc::channel(self.in_flight_max.max(1));
        let recorder = self.clone();
        tasks.spawn(Kind::Worker, "record", async move { recorder.record(receiver).await });
        while !stop.is_given() {
            match self.round(&tasks, &sender).await {
                Ok(0) => self.wait(stop.clone()).await,
                Ok(_) => {}
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "delivery waits for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Until the bell, the next due time or the idle wait, whichever comes first.
    async fn wait(&self, mut stop: Stop) {
        let due = self.store.next_due().await.ok().flatten();
        let limit = due.map_or(IDLE_WAIT, |due| {
            let millis = due.millis_since(self.clock.now());
            // What is due but has no free place waits for the bell that each record rings.
            let millis = u64::try_from(millis).ok().filter(|millis| *millis > 0);
            millis.map_or(IDLE_WAIT, Duration::from_millis).min(IDLE_WAIT)
        });
        tokio::select! {
            () = self.bell.wait(limit) => {}
            () = stop.given() => {}
        }
    }

    /// Claims once and starts what it got. Tells how many.
    async fn round(
        self: &Arc<Self>,
        tasks: &Tasks,
        sender: &mpsc::Sender<Ended>,
    ) -> Result<usize, crate::store::Error> {
        let quotas = self.quotas();
        if quotas.is_empty() {
            return Ok(0);
        }
        let lease_ms = LEASE_MARGIN_MS.saturating_add(self.attempt_timeout_ms_max());
        let claims = self.store.claim_due(self.clock.now(), lease_ms, quotas).await?;
        let count = claims.len();
        for claim in claims {
            self.start(claim, tasks, sender.clone());
        }
        Ok(count)
    }

    /// Free places, within the host's own limit.
    fn quotas(&self) -> Vec<Quota> {
        let mut free = self.in_flight_max.saturating_sub(self.in_flight.load(Ordering::SeqCst));
        let mut places: Vec<&Place> = self.endpoints.values().collect();
        // The emptiest first: when the host's limit is short, nobody keeps it to himself.
        places.sort_by_key(|place| place.in_flight.load(Ordering::SeqCst));
        let mut quotas = Vec::with_capacity(places.len());
        for (waiting, place) in places.iter().enumerate() {
            let endpoint = &place.endpoint;
            let used = place.in_flight.load(Ordering::SeqCst);
            let fair = free.div_ceil(places.len() - waiting);
            let slots = endpoint.in_flight_max().saturating_sub(used).min(fair);
            if slots > 0 {
                free -= slots;
                quotas.push(Quota { endpoint: endpoint.name.to_string(), slots });
            }
        }
        quotas
    }

    fn attempt_timeout_ms_max(&self) -> i64 {
        self.endpoints.values().map(|place| place.endpoint.attempt_timeout_ms()).max().unwrap_or(0)
    }

    fn start(
        self: &Arc<Self>,
        claim: Claim<DueDelivery>,
        tasks: &Tasks,
        sender: mpsc::Sender<Ended>,
    ) {
        self.take_place(&claim.item.delivery.endpoint);
        let deliverer = self.clone();
        tasks.spawn(Kind::Attempt, "attempt", async move {
            let event = claim.item.delivery.event;
            let endpoint = claim.item.delivery.endpoint.clone();
            let result = deliverer.attempt(claim).await;
            // The recorder outlives every sender.
            let _ = sender.send(Ended { result, event, endpoint }).await;
        });
    }

    fn take_place(&self, endpoint: &str) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.metrics.in_flight.inc();
        if let Some(place) = self.endpoints.get(endpoint) {
            place.in_flight.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn free_place(&self, endpoint: &str) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.metrics.in_flight.dec();
        if let Some(place) = self.endpoints.get(endpoint) {
            place.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests;
