//! Looks after endpoints that get nothing: takes over what other hosts and operators wrote, writes
//! what could not be written before, and ends what waits in vain.
//!
//! Guarantee: what is owed to a disabled endpoint becomes dead letters within seconds, also what is
//! planned later; what is older than its `max_age` expires also while the endpoint is paused.
//! Non-guarantee: without a `max_age` a delivery waits as long as its endpoint is closed; the gauge
//! `oldest_due_seconds` tells, and auto-disable ends it.

use super::Deliverer;
use super::place::Place;
use crate::metrics::{DeadLabel, EndpointLabel};
use crate::store::{DeliveryFilter, Error, Owed, Status};
use crate::tasks::Stop;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// From one look to the next.
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// Dead letters made in one transaction.
const STEP: usize = 500;
/// Such steps for one endpoint in one look.
const STEPS_MAX: usize = 8;
/// Deliveries of one endpoint that expire in one look.
const EXPIRED_MAX: usize = 100;
/// Rest after a look that found nothing owed to a disabled endpoint.
const REST: Duration = Duration::from_secs(5);
/// From one count of what waits to the next; it reads every row that is owed.
const COUNT_WAIT: Duration = Duration::from_secs(15);

/// When what is done next.
#[derive(Default)]
struct Diary {
    /// Disabled endpoints that nothing was owed to.
    rests_until: HashMap<String, Instant>,
    counted_at: Option<Instant>,
}

impl Deliverer {
    /// Looks once a second and whenever another host wrote something, until `stop`.
    pub(super) async fn watch(self: Arc<Self>, mut stop: Stop) {
        let mut diary = Diary::default();
        while !stop.is_given() {
            if let Err(error) = self.look(&mut diary).await {
                self.metrics.store_errors.inc();
                let error = &error as &dyn std::error::Error;
                warn!(error, "looking after the endpoints waits for the store");
            }
            tokio::select! {
                () = self.hints.wait(LOOK_WAIT) => {}
                () = stop.given() => {}
            }
        }
    }

    async fn look(&self, diary: &mut Diary) -> Result<(), Error> {
        self.refresh().await?;
        let now = self.clock.now();
        let mut is_any_closed = false;
        for place in self.endpoints.values() {
            self.save(place).await?;
            self.show(place, now);
            match place.gate(now) {
                Gate::Closed(None) => self.give_up_all(place, now, diary).await?,
                Gate::Closed(Some(_)) => {
                    is_any_closed = true;
                    self.expire(place, now).await?;
                }
                Gate::Open | Gate::Probe => {}
            }
        }
        if diary.counted_at.is_none_or(|at| at.elapsed() >= COUNT_WAIT) {
            diary.counted_at = Some(Instant::now());
            self.count_deferred(is_any_closed, now).await?;
            self.tell_oldest(now).await?;
        }
        Ok(())
    }

    /// Makes dead letters of what is owed to a disabled endpoint.
    async fn give_up_all(
        &self,
        place: &Place,
        now: Timestamp,
        diary: &mut Diary,
    ) -> Result<(), Error> {
        let endpoint = place.name();
        if diary.rests_until.get(endpoint).is_some_and(|until| Instant::now() < *until) {
            return Ok(());
        }
        let disabled = place.known().health().disabled;
        let Some(disabled) = disabled else { return Ok(()) };
        let word = disabled.reason.as_str();
        let note = format!("the endpoint is disabled ({word})");
        let reason = DeadReason::EndpointDisabled;
        let mut dead = 0;
        for _ in 0..STEPS_MAX {
            let owed = Owed::Endpoint(endpoint.to_owned());
            let step = self.store.give_up(now, owed, reason, note.clone(), STEP).await?;
            dead += step;
            if step < STEP as u64 {
                diary.rests_until.insert(endpoint.to_owned(), Instant::now() + REST);
                break;
            }
        }
        self.count_dead(endpoint, reason, dead);
        Ok(())
    }

    /// Ends what is due, waits for a closed gate and is too old already.
    async fn expire(&self, place: &Place, now: Timestamp) -> Result<(), Error> {
        let Some(max_age_ms) = place.endpoint.policy.schedule.max_age_ms() else { return Ok(()) };
        let filter = DeliveryFilter {
            endpoint: Some(place.name().to_owned()),
            status: Some(Status::Pending),
            until: Some(now.plus_millis(-max_age_ms)),
            limit: EXPIRED_MAX,
            ..DeliveryFilter::default()
        };
        let old = self.store.deliveries(filter).await?;
        let mut dead = 0;
        for delivery in old.into_iter().filter(|delivery| delivery.due_at <= now) {
            let note = "older than the endpoint's max_age, which was paused".to_owned();
            let owed = Owed::Delivery(delivery.id);
            dead += self.store.give_up(now, owed, DeadReason::Expired, note, 1).await?;
        }
        self.count_dead(place.name(), DeadReason::Expired, dead);
        Ok(())
    }

    fn count_dead(&self, endpoint: &str, reason: DeadReason, dead: u64) {
        if dead > 0 {
            let reason = reason.as_str();
            let label = DeadLabel { endpoint: endpoint.to_owned(), reason };
            self.metrics.dead.get_or_create(&label).inc_by(dead);
            warn!(endpoint, reason, deliveries = dead, "dead letters");
        }
    }

    /// Counts what waits for a gate, if any is closed.
    async fn count_deferred(&self, is_any_closed: bool, now: Timestamp) -> Result<(), Error> {
        let owed = match is_any_closed {
            true => self.store.pending_by_endpoint().await?,
            false => Vec::new(),
        };
        let owed: HashMap<String, u64> = owed.into_iter().collect();
        for place in self.endpoints.values() {
            let is_closed = matches!(place.gate(now), Gate::Closed(Some(_)));
            let waiting = owed.get(place.name()).filter(|_| is_closed).copied().unwrap_or(0);
            let label = EndpointLabel { endpoint: place.name().to_owned() };
            let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
            self.metrics.deferred.get_or_create(&label).set(waiting);
        }
        Ok(())
    }

    async fn tell_oldest(&self, now: Timestamp) -> Result<(), Error> {
        let oldest = self.store.oldest(now).await?;
        let age_s = |at: Option<Timestamp>| at.map_or(0, |at| now.millis_since(at).max(0) / 1_000);
        self.metrics.oldest_due_seconds.set(age_s(oldest.due_at));
        self.metrics.oldest_dead_letter_seconds.set(age_s(oldest.dead_at));
        Ok(())
    }
}
