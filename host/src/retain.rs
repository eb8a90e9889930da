//! Retention: what is past its time goes, in small steps.
//!
//! Mechanism: now and then the worker asks the store to remove a few rows of each kind, again and
//! again until nothing is past its time. Between two steps it rests for a multiple of what the step
//! took, so that it never has more than a small share of the store, however slow that is.
//! Guarantee: what is owed is never removed. Several hosts may do this at once: what one has
//! removed the other does not find. Non-guarantee: that something goes at the moment its time is
//! over.

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::{Metrics, PrunedLabel};
use crate::store::{Error, Pruned, Retention, Store};
use crate::tasks::Stop;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// Rows of each kind that one step removes.
const STEP_ROWS_MAX: usize = 200;
/// Steps of one round; the rest waits for the next.
const ROUND_STEPS_MAX: usize = 10_000;
/// The rest after a step, in steps: at most a fifth of the time goes into it.
const REST_STEPS: u32 = 4;
/// Shortest rest between two steps.
const REST_MIN: Duration = Duration::from_millis(20);
/// Longest one.
const REST_MAX: Duration = Duration::from_secs(5);
/// From one round to the next. Moved by up to a tenth, so that hosts do not do it all at once.
const ROUND_WAIT: Duration = Duration::from_secs(60);

/// What the worker works with.
pub struct Retainer {
    /// How long things are kept.
    pub retention: Retention,
    /// Where they are.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// For the wait between rounds.
    pub entropy: Arc<Entropy>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

// === impl Retainer ===

impl Retainer {
    /// Removes what is past its time until `stop`. The step it is in is finished first.
    pub async fn run(self: Arc<Self>, mut stop: Stop) {
        while !stop.is_given() {
            match self.round(&mut stop).await {
                Ok(pruned) if pruned.most() == 0 => {}
                Ok(Pruned { events, deliveries, quarantined, lanes, plugin_state, is_more }) => {
                    info!(
                        events,
                        deliveries,
                        quarantined,
                        lanes,
                        plugin_state,
                        is_more,
                        "removed what is past its time"
                    );
                }
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(
                        error = &error as &dyn std::error::Error,
                        "retention waits for the store"
                    );
                }
            }
            rest(ROUND_WAIT.mul_f64(0.9 + 0.2 * self.entropy.dice()), &mut stop).await;
        }
    }

    /// Removes until nothing is left to remove. Tells what it was in all.
    async fn round(&self, stop: &mut Stop) -> Result<Pruned, Error> {
        let mut total = Pruned::default();
        for _ in 0..ROUND_STEPS_MAX {
            let began = Instant::now();
            let step = self.store.prune(self.clock.now(), &self.retention, STEP_ROWS_MAX).await?;
            self.count(&step);
            total.events += step.events;
            total.deliveries += step.deliveries;
            total.quarantined += step.quarantined;
            total.lanes += step.lanes;
            total.plugin_state += step.plugin_state;
            total.is_more = step.is_more;
            if !step.is_more || stop.is_given() {
                break;
            }
            rest((began.elapsed() * REST_STEPS).clamp(REST_MIN, REST_MAX), stop).await;
        }
        Ok(total)
    }

    fn count(&self, step: &Pruned) {
        let kinds = [
            ("events", step.events),
            ("deliveries", step.deliveries),
            ("quarantined", step.quarantined),
            ("lanes", step.lanes),
            ("plugin_state", step.plugin_state),
        ];
        for (kind, count) in kinds {
            if count > 0 {
                self.metrics.pruned.get_or_create(&PrunedLabel { kind }).inc_by(count);
            }
        }
    }
}

/// Until `limit` is over or `stop` is given.
async fn rest(limit: Duration, stop: &mut Stop) {
    let _ = tokio::time::timeout(limit, stop.given()).await;
}

#[cfg(test)]
mod tests;
