//! Writes what came of attempts, as many at once as have ended.

use super::{Deliverer, Ended, Member, STORE_PAUSE};
use crate::metrics::DeadLabel;
use crate::store::{AttemptResult, Error, Recorded};
use livekit_webhook_core::delivery::Next;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Requests taken up at once.
const REQUESTS_MAX: usize = 512;
/// Results from which on a transaction takes no further request. One of a batch is never split.
const RESULTS_MAX: usize = 1_024;
/// How often a write is tried that the store calls damage. Then its leases are left to end, and its
/// deliveries are attempted again.
const TRIES_MAX: u32 = 5;

impl Deliverer {
    /// Records until every sender is gone, then gives back what was cut off.
    pub(super) async fn record(self: Arc<Self>, mut ended: mpsc::Receiver<Ended>) {
        let mut taken = Vec::with_capacity(REQUESTS_MAX);
        while ended.recv_many(&mut taken, REQUESTS_MAX).await > 0 {
            let mut taken = taken.drain(..).peekable();
            while taken.peek().is_some() {
                let mut results = 0;
                let mut batch = Vec::new();
                while let Some(ended) = taken.next_if(|_| results < RESULTS_MAX) {
                    results += ended.results.len();
                    batch.push(ended);
                }
                self.write(&batch).await;
                let results = batch.iter().flat_map(|ended| &ended.results);
                self.in_flight.forget(results.map(|member| member.result.delivery));
                // Their places are free from here on.
                drop(batch);
                self.bell.ring();
            }
        }
        let left = self.in_flight.take_left();
        if !left.is_empty() {
            warn!(deliveries = left.len(), "claims of attempts that were cut off are given back");
            // Else they end with their leases.
            let _ = self.store.release(left).await;
        }
    }

    async fn write(&self, batch: &[Ended]) {
        let results: Vec<AttemptResult> =
            batch.iter().flat_map(|ended| &ended.results).map(|m| m.result.clone()).collect();
        let mut failures = 0;
        while failures < TRIES_MAX {
            let now = self.clock.now();
            match self.store.record_attempts(now, results.clone()).await {
                Ok(recorded) => {
                    let all = batch.iter().flat_map(|ended| {
                        ended.results.iter().map(|member| (ended.endpoint.as_str(), member))
                    });
                    return all.zip(recorded).for_each(|((endpoint, member), recorded)| {
                        self.tell(endpoint, member, recorded);
                    });
                }
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "results wait for the store");
                    failures += match error {
                        // Giving up would send again what was delivered. Waiting is bounded by the
                        // places that these results hold: without them the worker claims nothing
                        // more. Shutdown closes the store.
                        Error::Unavailable(_) | Error::Full => 0,
                        Error::Closed => TRIES_MAX,
                        _ => 1,
                    };
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        error!(
            results = results.len(),
            "results given up, their deliveries will be attempted again"
        );
    }

    fn tell(&self, endpoint: &str, member: &Member, recorded: Recorded) {
        let Member { event: event_id, result } = member;
        let delivery_id = result.delivery;
        if recorded == Recorded::Stale {
            self.metrics.results_stale.inc();
            warn!(%event_id, %delivery_id, endpoint, "the result came too late, another worker has it");
            return;
        }
        let attempt = result.attempt.as_ref().map(|attempt| attempt.number);
        let note = result.note.as_deref();
        match result.next {
            Next::Delivered => info!(%event_id, %delivery_id, endpoint, attempt, "delivered"),
            Next::RetryAt(at) => {
                let (at_ms, leaves_lane) = (at.as_millis(), result.leaves_lane);
                info!(%event_id, %delivery_id, endpoint, attempt, at_ms, leaves_lane, note, "attempt failed");
            }
            Next::Dead(reason) => {
                let reason = reason.as_str();
                let label = DeadLabel { endpoint: endpoint.to_owned(), reason };
                self.metrics.dead.get_or_create(&label).inc();
                warn!(%event_id, %delivery_id, endpoint, attempt, reason, note, "dead letter");
            }
        }
    }
}
