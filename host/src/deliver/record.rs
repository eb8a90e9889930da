//! Writes what came of attempts, as many at once as have ended.

use super::{Deliverer, Ended, STORE_PAUSE};
use crate::metrics::DeadLabel;
use crate::store::{AttemptResult, Error, Recorded};
use livekit_webhook_core::delivery::Next;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Results written in one transaction.
const BATCH_MAX: usize = 512;
/// How often a batch is tried that the store calls damage. Then its leases are left to end, and its
/// deliveries are attempted again.
const TRIES_MAX: u32 = 5;

impl Deliverer {
    /// Records until every sender is gone.
    pub(super) async fn record(self: Arc<Self>, mut ended: mpsc::Receiver<Ended>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.write(&batch).await;
            for ended in batch.drain(..) {
                self.free_place(&ended.endpoint, ended.body_bytes);
            }
            self.bell.ring();
        }
    }

    async fn write(&self, batch: &[Ended]) {
        let results: Vec<AttemptResult> = batch.iter().map(|ended| ended.result.clone()).collect();
        let mut failures = 0;
        while failures < TRIES_MAX {
            let now = self.clock.now();
            match self.store.record_attempts(now, results.clone()).await {
                Ok(recorded) => {
                    return batch.iter().zip(recorded).for_each(|(ended, r)| self.tell(ended, r));
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
        error!(results = batch.len(), "results given up, their deliveries will be attempted again");
    }

    fn tell(&self, ended: &Ended, recorded: Recorded) {
        let Ended { result, event: event_id, endpoint, .. } = ended;
        let delivery_id = result.delivery;
        if recorded == Recorded::Stale {
            warn!(%event_id, %delivery_id, endpoint, "the result came too late, another worker has it");
            return;
        }
        let attempt = result.attempt.as_ref().map(|attempt| attempt.number);
        let note = result.note.as_deref();
        match result.next {
            Next::Delivered => info!(%event_id, %delivery_id, endpoint, attempt, "delivered"),
            Next::RetryAt(at) => {
                let at_ms = at.as_millis();
                info!(%event_id, %delivery_id, endpoint, attempt, at_ms, note, "attempt failed");
            }
            Next::Dead(reason) => {
                let reason = reason.as_str();
                let label = DeadLabel { endpoint: endpoint.clone(), reason };
                self.metrics.dead.get_or_create(&label).inc();
                warn!(%event_id, %delivery_id, endpoint, attempt, reason, note, "dead letter");
            }
        }
    }
}
