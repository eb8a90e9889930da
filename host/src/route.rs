//! Steps 5 and 6: match subscriptions, run plugins, plan deliveries.
//!
//! Mechanism: the worker claims events that wait for a plan, plans each (plugins run outside any
//! transaction), and writes all plans of a round in one transaction. It takes no input: start-up,
//! recovery and the happy path read the store.
//!
//! Guarantee: an endpoint's part of a plan is written whole, once; a crash before the write plans
//! it again. An endpoint whose plugin asks for later holds up no other. Non-guarantee: a plugin may
//! see an event more than once.

mod chain;
mod plan;

pub use plan::{Routing, Subscriber};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::{Claim, Claimed, Plan, PlanNext, Recorded, Store, StoredEvent};
use crate::tasks::{Bell, Kind, Stop, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Events of one round.
pub const ROUND_EVENTS_MAX: usize = 256;
/// How long a claimed event belongs to this worker. Longer than a chain of slow plugins.
pub const LEASE_MS: i64 = 120_000;
/// How often the worker looks without being woken.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the worker works with.
pub struct Router {
    /// Subscriptions and their plugins.
    pub routing: Routing,
    /// Where events are.
    pub store: Arc<dyn Store>,
    /// Due times.
    pub clock: Arc<dyn Clock>,
    /// Delivery ids.
    pub entropy: Arc<Entropy>,
    /// Wakes this worker.
    pub bell: Bell,
    /// Wakes the next stage.
    pub deliver: Bell,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Events planned side by side: one share a core.
    pub shares: usize,
}

// === impl Router ===

impl Router {
    /// Plans until `stop`. What is claimed then is finished first.
    pub async fn run(self: Arc<Self>, tasks: Tasks, stop: Stop) {
        while !stop.is_given() {
            match self.round(&tasks).await {
                Ok(0) => self.wait(stop.clone()).await,
                Ok(_) => {}
                Err(error) => {
                    self.metrics.store_errors.inc();
                    warn!(error = &error as &dyn std::error::Error, "planning waits for the store");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    async fn wait(&self, mut stop: Stop) {
        tokio::select! {
            () = self.bell.wait(IDLE_WAIT) => {}
            () = stop.given() => {}
        }
    }

    /// Claims, plans and records once. Tells how many events it planned.
    ///
    /// # Errors
    /// The store's. The claims then end with their lease, or are retried by the next round.
    async fn round(self: &Arc<Self>, tasks: &Tasks) -> Result<usize, crate::store::Error> {
        let now = self.clock.now();
        let claims = self.store.claim_unplanned(now, LEASE_MS, ROUND_EVENTS_MAX).await?;
        if claims.is_empty() {
            return Ok(0);
        }
        let count = claims.len();
        let claimed = |claim: &Claim<StoredEvent>| Claimed::Event(claim.item.event.id, claim.fence);
        let claimed: Vec<_> = claims.iter().map(claimed).collect();
        let plans = self.plan_all(claims, tasks).await;
        let now = self.clock.now();
        match self.store.record_plans(now, plans.clone()).await {
            Ok(recorded) => self.tell(&plans, &recorded),
            Err(error) => {
                // Given back, they are planned again at once when the store is well, not when the
                // lease ends.
                let _ = self.store.release(claimed).await;
                return Err(error);
            }
        }
        self.deliver.ring();
        Ok(count)
    }

    /// Plans side by side: plugins are CPU work, so each core gets a share.
    async fn plan_all(
        self: &Arc<Self>,
        claims: Vec<Claim<StoredEvent>>,
        tasks: &Tasks,
    ) -> Vec<Plan> {
        let count = claims.len();
        let share = count.div_ceil(self.shares.max(1));
        if count <= share || !self.routing.has_plugins() {
            return self.plan_share(claims).await;
        }
        let (sender, mut receiver) = mpsc::channel(self.shares.max(1));
        let mut claims = claims.into_iter();
        loop {
            let part: Vec<_> = claims.by_ref().take(share).collect();
            if part.is_empty() {
                break;
            }
            let (router, sender) = (self.clone(), sender.clone());
            tasks.spawn(Kind::Attempt, "plan", async move {
                let plans = router.plan_share(part).await;
                // The receiver lives until all senders are gone.
                let _ = sender.send(plans).await;
            });
        }
        drop(sender);
        let mut plans = Vec::with_capacity(count);
        while let Some(mut part) = receiver.recv().await {
            plans.append(&mut part);
        }
        plans
    }

    async fn plan_share(&self, claims: Vec<Claim<StoredEvent>>) -> Vec<Plan> {
        let mut plans = Vec::with_capacity(claims.len());
        for claim in claims {
            let next = self.plan(&claim.item).await;
            plans.push(Plan { event: claim.item.event.id, fence: claim.fence, next });
        }
        plans
    }

    fn tell(&self, plans: &[Plan], recorded: &[Recorded]) {
        for (plan, recorded) in plans.iter().zip(recorded) {
            if *recorded == Recorded::Stale {
                warn!(event_id = %plan.event, "the plan came too late, another worker has the event");
                continue;
            }
            let deliveries = match &plan.next {
                PlanNext::Planned { deliveries, note } => {
                    debug!(event_id = %plan.event, deliveries = deliveries.len(), note, "planned");
                    deliveries
                }
                PlanNext::Again { at, note, deliveries, .. } => {
                    let at_ms = at.as_millis();
                    warn!(event_id = %plan.event, at_ms, note, "the rest is planned again later");
                    deliveries
                }
            };
            for delivery in deliveries {
                let endpoint = delivery.endpoint.clone();
                self.metrics
                    .planned
                    .get_or_create(&crate::metrics::EndpointLabel { endpoint })
                    .inc();
            }
        }
    }
}

#[cfg(test)]
mod tests;
