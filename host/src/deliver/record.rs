//! Writes what came of attempts, as many at once as have ended.

use super::{Deliverer, Ended, STORE_PAUSE};
use crate::metrics::DeadLabel;
use crate::store::{AttemptResult, Recorded};
use livekit_webhook_core::delivery::Next;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Results written in one transaction.
const BATCH_MAX: usize = 512;
/// How often a batch is tried before its leases are left to end. Its deliveries are then attempted again.
const TRIES_MAX: u32 = 50;

impl Deliverer {
    /// Records until every sender is gone.
    pub(super) async fn record(self: Arc<Self>, mut ended: mpsc::Receiver<Ended>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
            let (results, endpoints): (Vec<AttemptResult>, Vec<String>) =
                batch.drain(..).map(|ended| (ended.result, ended.endpoint)).unzip();
            self.write(&results, &endpoints).await;
            for endpoint in &endpoints {
                self.free_place(endpoint);
            }
            self.bell.ring();
        }
    }

    async fn write(&self, results: &[AttemptResult], endpoints: &[String]) {
        for _ in 0..TRIES_MAX {
            let now = self.clock.now();
            match self.store.record_attempts(now, results.to_vec()).await {
                Ok(recorded) => return self.tell(results, endpoints, &recorded),
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "results wait for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
        error!(results = results.len(), "results given up, their deliveries will be attempted again");
    }

    fn tell(&self, results: &[AttemptResult], endpoints: &[String], recorded: &[Recorded]) {
        for ((result, endpoint), recorded) in results.iter().zip(endpoints).zip(recorded) {
            let delivery_id = result.delivery;
            if *recorded == Recorded::Stale {
                warn!(%delivery_id, endpoint, "the result came too late, another worker has the delivery");
                continue;
            }
            let attempt = result.attempt.as_ref().map(|attempt| attempt.number);
            match result.next {
                Next::Delivered => info!(%delivery_id, endpoint, attempt, "delivered"),
                Next::RetryAt(at) => {
                    let note = result.note.as_deref();
                    info!(%delivery_id, endpoint, attempt, at_ms = at.as_millis(), note, "attempt failed");
                }
                Next::Dead(reason) => {
                    let reason = reason.as_str();
                    let label = DeadLabel { endpoint: endpoint.clone(), reason };
                    self.metrics.dead.get_or_create(&label).inc();
                    let note = result.note.as_deref();
                    warn!(%delivery_id, endpoint, attempt, reason, note, "dead letter");
                }
            }
        }
    }
}
