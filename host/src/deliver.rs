//! Steps 7 to 9: claim, send, record.
//!
//! The cast: the *worker* ([`Deliverer::run`]) claims what is due, for each endpoint as much as it
//! has free places ([`quota`]), so one slow endpoint never delays another; what goes out together
//! ([`request`]: a delivery, or a batch) becomes one task with one *attempt* ([`attempt`]), whose
//! outcome the endpoint's *health* heeds first ([`health`]); the *recorder* ([`record`]) writes what
//! came of it, many at once; the *watch* ([`watch`]) looks after endpoints that get nothing.
//!
//! Guarantee: at-least-once. A crash repeats at most the attempts in flight, because a claim ends
//! with its lease and nothing else marks a delivery as sent. Non-guarantee: the lease is not needed
//! for correctness, the compare-and-set on its fence is.
//!
//! What is owed to an endpoint that is no longer configured waits, since a slip in the
//! configuration must not make dead letters: it is told at the start, counted in the gauge
//! `deliveries_waiting_unconfigured`, and goes on when the endpoint is back.

mod quota;

mod request;

mod attempt;

mod health;

mod record;

mod watch;

mod place;

pub mod transport;

pub mod token;

pub mod hyper_transport;

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::{AttemptResult, Due, Store};
use crate::tasks::{Bell, Kind, Stop, Tasks};
use crate::vault::Live;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;
use place::Held;
use request::Request;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;
use transport::Transport;

pub use place::{InFlight, Place};

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
    pub endpoints: BTreeMap<String, Place>,
    /// Requests in flight over all endpoints.
    pub in_flight_max: usize,
    /// What the attempt log calls this host.
    pub host: Option<String>,
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
    /// Wakes the watch: another host may have changed an endpoint's health.
    pub hints: Bell,
    /// Secrets that are kept in the store. An endpoint that signs with them and has none waits.
    pub secrets: Live,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What is under way.
    pub in_flight: InFlight,
}

/// A finished attempt on its way to the recorder.
struct Ended {
    endpoint: String,
    results: Vec<Member>,
    /// Free when this is dropped.
    #[expect(dead_code, reason = "held for its drop")]
    held: Held,
}

/// What an attempt came to for one of its deliveries.
struct Member {
    event: EventId,
    result: AttemptResult,
}

/// What a round came to.
struct Round {
    /// Deliveries claimed.
    claims: usize,
    /// Some endpoints had no turn, see [`quota::Quotas::is_partial`].
    is_partial: bool,
    /// When another may bring something, see [`Due::next_at`].
    next_at: Option<Timestamp>,
}

// === impl Deliverer ===

impl Deliverer {
    /// Claims and sends until `stop`, then returns; attempts under way go on ([`Kind::Attempt`]),
    /// and the recorder ends after the last of them.
    pub async fn run(self: Arc<Self>, tasks: Tasks, stop: Stop) {
        // Never full: an attempt holds a place of `in_flight_max` until it is recorded.
        let (sender, receiver) = mpsc::channel(self.in_flight_max.max(1));
        let (recorder, watch) = (self.clone(), self.clone().watch(stop.clone()));
        tasks.spawn(Kind::Worker, "record", async move { recorder.record(receiver).await });
        tasks.spawn(Kind::Worker, "watch", watch);
        self.tell_unconfigured().await;
        let mut next_at = None;
        let mut partial_rounds = 0;
        while !stop.is_given() {
            match self.round(&tasks, &stop, &sender).await {
                Ok(round) if round.claims > 0 => (next_at, partial_rounds) = (None, 0),
                Ok(round) => {
                    next_at = quota::earlier(next_at, round.next_at);
                    partial_rounds += 1;
                    // Each round gives at least one endpoint its turn.
                    if !round.is_partial || partial_rounds >= self.endpoints.len() {
                        self.wait(next_at, stop.clone()).await;
                        (next_at, partial_rounds) = (None, 0);
                    }
                }
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

    /// Claims once and starts what it got.
    async fn round(
        self: &Arc<Self>,
        tasks: &Tasks,
        stop: &Stop,
        sender: &mpsc::Sender<Ended>,
    ) -> Result<Round, crate::store::Error> {
        let quota::Quotas { quotas, is_partial, opens_at } = self.quotas();
        if quotas.is_empty() {
            return Ok(Round { claims: 0, is_partial, next_at: opens_at });
        }
        let lease_ms = LEASE_MARGIN_MS.saturating_add(self.attempt_timeout_ms_max());
        let offered = quotas.clone();
        let Due { claims, next_at } =
            self.store.claim_due(self.clock.now(), lease_ms, quotas).await?;
        self.note_hunger(&offered, &claims);
        let count = claims.len();
        let (mut requests, mut rest) = self.group(claims);
        let is_stopped = stop.is_given();
        if is_stopped {
            // The signal came while the store was asked: nothing new is begun after it.
            rest.extend(requests.drain(..).flat_map(Request::into_claimed));
        }
        for request in requests {
            self.start(request, tasks, sender.clone());
        }
        if !rest.is_empty() {
            self.store.release(rest).await?;
        }
        let claims = if is_stopped { 0 } else { count };
        Ok(Round { claims, is_partial, next_at: quota::earlier(next_at, opens_at) })
    }

    fn attempt_timeout_ms_max(&self) -> i64 {
        self.endpoints.values().map(|place| place.endpoint.attempt_timeout_ms()).max().unwrap_or(0)
    }

    fn start(self: &Arc<Self>, request: Request, tasks: &Tasks, sender: mpsc::Sender<Ended>) {
        // `group` lets nothing pass for an endpoint that is not configured.
        let Some(place) = self.endpoints.get(&request.endpoint) else { return };
        let held = Held::take(self, place, &request.members);
        let deliverer = self.clone();
        tasks.spawn(Kind::Attempt, "attempt", async move {
            let ended = deliverer.end(request, held).await;
            // The recorder outlives every sender.
            let _ = sender.send(ended).await;
        });
    }
}

#[cfg(test)]
mod tests;
