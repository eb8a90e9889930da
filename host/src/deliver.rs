//! Steps 7 to 9: claim, send, record.
//!
//! The cast: the *worker* ([`Deliverer::run`]) claims what is due, for each endpoint as much as it
//! has free places, so one slow endpoint never delays another; each claimed delivery becomes one
//! task with one *attempt* ([`attempt`]); the *recorder* ([`record`]) writes what came of it, many
//! at once.
//!
//! Guarantee: at-least-once. A crash repeats at most the attempts in flight, because a claim ends
//! with its lease and nothing else marks a delivery as sent. Non-guarantee: the lease is not needed
//! for correctness, the compare-and-set on its fence is.
//!
//! What is owed to an endpoint that is no longer configured waits, since a slip in the
//! configuration must not make dead letters: it is told at the start, counted in the gauge
//! `deliveries_waiting_unconfigured`, and goes on when the endpoint is back.

mod attempt;
pub mod connector;
pub mod hyper_transport;
mod record;
pub mod token;
pub mod transport;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::{AttemptResult, Claim, Claimed, Due, DueDelivery, Quota, Store};
use crate::tasks::{Bell, Kind, Stop, Tasks};
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;
use transport::Transport;

/// A lease is this much longer than the attempt's own deadline, in milliseconds.
pub const LEASE_MARGIN_MS: i64 = 30_000;
/// Bytes of bodies in flight from which on nothing more is claimed. What one claim brings comes on
/// top: [`crate::store::limits::CLAIM_BYTES_MAX`].
pub const IN_FLIGHT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How often the worker looks without being woken.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Shortest wait between two looks that found nothing, against a store whose hint and claims
/// disagree.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the stage works with.
pub struct Deliverer {
    /// By name. What is owed to any other name waits.
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
    /// Bytes of their bodies.
    pub in_flight_bytes: AtomicUsize,
}

/// An endpoint and how many of its deliveries are under way.
pub struct Place {
    /// As configured.
    pub endpoint: Endpoint,
    /// Attempts in flight.
    pub in_flight: AtomicUsize,
    /// It answered 410: nothing is sent any more, and what is owed to it becomes a dead letter as
    /// it falls due. Known to this process only: after a restart one attempt is made, and the
    /// endpoint may answer 410 again.
    pub gone: AtomicBool,
}

/// A finished attempt on its way to the recorder.
struct Ended {
    result: AttemptResult,
    event: EventId,
    endpoint: String,
    body_bytes: usize,
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
    /// Claims and sends until `stop`, then returns; attempts under way go on ([`Kind::Attempt`]),
    /// and the recorder ends after the last of them.
    pub async fn run(self: Arc<Self>, tasks: Tasks, stop: Stop) {
        // Never full: an attempt holds a place of `in_flight_max` until it is recorded.
        let (sender, receiver) = mpsc::channel(self.in_flight_max.max(1));
        let recorder = self.clone();
        tasks.spawn(Kind::Worker, "record", async move { recorder.record(receiver).await });
        self.tell_unconfigured().await;
        while !stop.is_given() {
            match self.round(&tasks, &stop, &sender).await {
                Ok((0, next_at)) => self.wait(next_at, stop.clone()).await,
                Ok(_) => {}
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "delivery waits for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Says what waits for an endpoint that nobody configured.
    async fn tell_unconfigured(&self) {
        let owed = match self.store.pending_by_endpoint().await {
            Ok(owed) => owed,
            Err(error) => {
                self.metrics.store_errors.inc();
                return warn!(error = &error as &dyn std::error::Error, "cannot count what waits");
            }
        };
        let mut waiting = 0;
        for (endpoint, pending) in owed {
            if !self.endpoints.contains_key(&endpoint) {
                waiting += pending;
                warn!(endpoint, pending, "deliveries wait for an endpoint that is not configured");
            }
        }
        self.metrics.waiting_unconfigured.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Until the bell, the next due time or the idle wait, whichever comes first. Only endpoints
    /// with a free place count: what is due but has none waits for the bell that each record rings,
    /// and must not hide what falls due elsewhere.
    async fn wait(&self, next_at: Option<Timestamp>, mut stop: Stop) {
        let limit = next_at.map_or(IDLE_WAIT, |due| {
            let millis = due.millis_since(self.clock.now());
            let until_due = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
            until_due.clamp(WAIT_MIN, IDLE_WAIT)
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
        stop: &Stop,
        sender: &mpsc::Sender<Ended>,
    ) -> Result<(usize, Option<Timestamp>), crate::store::Error> {
        let quotas = self.quotas();
        if quotas.is_empty() {
            return Ok((0, None));
        }
        let lease_ms = LEASE_MARGIN_MS.saturating_add(self.attempt_timeout_ms_max());
        let Due { claims, next_at } =
            self.store.claim_due(self.clock.now(), lease_ms, quotas).await?;
        if stop.is_given() {
            // The signal came while the store was asked: nothing new is begun after it.
            let claimed = claims.iter();
            let claimed =
                claimed.map(|claim| Claimed::Delivery(claim.item.delivery.id, claim.fence));
            self.store.release(claimed.collect()).await?;
            return Ok((0, None));
        }
        let count = claims.len();
        for claim in claims {
            self.start(claim, tasks, sender.clone());
        }
        Ok((count, next_at))
    }

    /// Free places, within the host's own limits.
    fn quotas(&self) -> Vec<Quota> {
        if self.in_flight_bytes.load(Ordering::SeqCst) >= IN_FLIGHT_BYTES_MAX {
            return Vec::new();
        }
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
                quotas.push(Quota {
                    endpoint: endpoint.name.to_string(),
                    slots,
                    in_flight_max: endpoint.in_flight_max(),
                    rate: None,
                    batching: None,
                });
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
        let body_bytes = claim.item.body.len();
        self.take_place(&claim.item.delivery.endpoint, body_bytes);
        let deliverer = self.clone();
        tasks.spawn(Kind::Attempt, "attempt", async move {
            let event = claim.item.delivery.event;
            let endpoint = claim.item.delivery.endpoint.clone();
            // A quota names a configured endpoint, so there is always a place; a lease without one
            // would end by itself.
            let Some(place) = deliverer.endpoints.get(&endpoint) else { return };
            let result = deliverer.attempt(place, claim).await;
            // The recorder outlives every sender.
            let _ = sender.send(Ended { result, event, endpoint, body_bytes }).await;
        });
    }

    fn take_place(&self, endpoint: &str, body_bytes: usize) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        self.in_flight_bytes.fetch_add(body_bytes, Ordering::SeqCst);
        self.metrics.in_flight.inc();
        if let Some(place) = self.endpoints.get(endpoint) {
            place.in_flight.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn free_place(&self, endpoint: &str, body_bytes: usize) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.in_flight_bytes.fetch_sub(body_bytes, Ordering::SeqCst);
        self.metrics.in_flight.dec();
        if let Some(place) = self.endpoints.get(endpoint) {
            place.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests;
