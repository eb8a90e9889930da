//! What this host knows of an endpoint's health, and how it comes to the store and back.
//!
//! Mechanism: the end of an attempt applies its outcome here at once, so that this host sends
//! nothing more to an endpoint it knows to be closed; then it writes what every host must know, by
//! compare-and-set, *before* its result is recorded, because the record lets the next request go.
//! When another host or an operator was faster, both changes are merged.
//!
//! Guarantee: with one host, a probe is one request and a 410 is the last one. Non-guarantee: when
//! the store does not take the write, results are recorded without it; this host keeps to what it
//! knows, and writes it later.

use super::Deliverer;
use super::place::Place;
use crate::metrics::{BreakerLabel, DisabledLabel, EndpointLabel};
use crate::store::{EndpointHealth, Error, Recorded};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::health::{Breaker, Gate, Health, HealthPolicy, Window};
use livekit_webhook_core::time::Timestamp;
use tracing::{error, info, warn};

/// How often a write that lost against another host is merged and tried again. The watch goes on
/// where this ends.
const TRIES_MAX: u32 = 4;

/// One endpoint's health in this host's memory.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// As it was last read or written, at `version`.
    stored: Health,
    version: u64,
    /// With what came since.
    now: Health,
    window: Window,
}

/// A step from one health to another.
pub(super) struct Change {
    before: Health,
    after: Health,
}

// === impl Known ===

impl Known {
    pub(super) fn health(&self) -> &Health {
        &self.now
    }

    /// What an attempt makes of it.
    fn apply(
        &mut self,
        policy: HealthPolicy,
        outcome: &Outcome,
        now: Timestamp,
        dice: f64,
    ) -> Change {
        let after = self.now.after(policy, &mut self.window, outcome, now, dice);
        let before = std::mem::replace(&mut self.now, after.clone());
        Change { before, after }
    }

    /// What has to be written.
    fn unsaved(&self, endpoint: &str) -> Option<EndpointHealth> {
        let endpoint = endpoint.to_owned();
        let unsaved = self.stored.is_worth_writing(&self.now);
        unsaved.then(|| EndpointHealth {
            endpoint,
            health: self.now.clone(),
            version: self.version,
        })
    }

    /// It was written; what came meanwhile is still to be written.
    fn saved(&mut self, written: EndpointHealth) {
        if self.version == written.version {
            self.stored = written.health;
            self.version += 1;
        }
    }

    /// Takes over what was read, if it is newer.
    pub(super) fn absorb(&mut self, read: EndpointHealth) -> Option<Change> {
        if read.version <= self.version {
            return None;
        }
        let merged = self.stored.merged(&self.now, &read.health);
        if merged.breaker != self.now.breaker {
            // A new period began elsewhere; what was counted here belongs to the old one.
            self.window.clear();
        }
        (self.stored, self.version) = (read.health, read.version);
        let before = std::mem::replace(&mut self.now, merged.clone());
        Some(Change { before, after: merged })
    }
}

// === impl Deliverer ===

impl Deliverer {
    /// Applies an attempt's outcome and writes what it changed.
    pub(super) async fn heed(&self, place: &Place, outcome: &Outcome) {
        let (now, dice) = (self.clock.now(), self.entropy.dice());
        let policy = place.endpoint.traffic.health;
        let change = place.known().apply(policy, outcome, now, dice);
        self.count_change(place, &change);
        self.tell_change(place, &change, now);
        if let Err(error) = self.save(place).await {
            self.metrics.store_errors.inc();
            let endpoint = place.name();
            let error = &error as &dyn std::error::Error;
            warn!(endpoint, error, "the endpoint's health waits for the store");
        }
    }

    /// Writes an endpoint's health until the store has it or others are faster each time.
    ///
    /// # Errors
    /// The store's. What is unsaved stays so.
    ///
    /// # Cancel safety
    /// A write that was done but not heard of comes back by the next read.
    pub(super) async fn save(&self, place: &Place) -> Result<(), Error> {
        if place.known().unsaved(place.name()).is_none() {
            return Ok(());
        }
        let _one_at_a_time = place.saving.lock().await;
        for _ in 0..TRIES_MAX {
            let Some(unsaved) = place.known().unsaved(place.name()) else { return Ok(()) };
            match self.store.record_health(unsaved.clone()).await? {
                Recorded::Done => place.known().saved(unsaved),
                Recorded::Stale => self.refresh().await?,
            }
        }
        Ok(())
    }

    /// Reads every endpoint's health and takes over what is new.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn refresh(&self) -> Result<(), Error> {
        let read = self.store.healths().await?;
        let now = self.clock.now();
        for health in read {
            let Some(place) = self.endpoints.get(&health.endpoint) else { continue };
            let change = place.known().absorb(health);
            if let Some(change) = change {
                self.tell_change(place, &change, now);
                self.bell.ring();
            }
        }
        Ok(())
    }

    /// Counts what this host brought about; what others did they count themselves.
    fn count_change(&self, place: &Place, change: &Change) {
        let Change { before, after } = change;
        let endpoint = || place.name().to_owned();
        let moved = |to| BreakerLabel { endpoint: endpoint(), to };
        match (before.breaker, after.breaker) {
            (Breaker::Closed, Breaker::Closed) => {}
            (Breaker::Open { .. }, Breaker::Closed) => {
                self.metrics.breaker_changes.get_or_create(&moved("closed")).inc();
            }
            (Breaker::Closed, Breaker::Open { .. }) => {
                self.metrics.breaker_changes.get_or_create(&moved("open")).inc();
            }
            (Breaker::Open { periods, .. }, Breaker::Open { periods: next, .. }) => {
                if next > periods {
                    self.metrics.breaker_changes.get_or_create(&moved("reopened")).inc();
                }
            }
        }
        if after.paused_until > before.paused_until {
            self.metrics.pauses.get_or_create(&EndpointLabel { endpoint: endpoint() }).inc();
        }
        if let (None, Some(disabled)) = (before.disabled, after.disabled) {
            let label = DisabledLabel { endpoint: endpoint(), reason: disabled.reason.as_str() };
            self.metrics.disablings.get_or_create(&label).inc();
        }
    }

    fn tell_change(&self, place: &Place, change: &Change, now: Timestamp) {
        let Change { before, after } = change;
        let endpoint = place.name();
        match (before.breaker, after.breaker) {
            (Breaker::Open { .. }, Breaker::Closed) => info!(endpoint, "breaker closed"),
            (was, Breaker::Open { until, periods, .. }) if is_earlier(was, periods) => {
                let until_ms = until.as_millis();
                warn!(endpoint, until_ms, periods, "breaker opened, deliveries wait");
            }
            _ => {}
        }
        if let Some(until) = after.paused_until.filter(|_| after.paused_until > before.paused_until)
        {
            let until_ms = until.as_millis();
            info!(endpoint, until_ms, "paused, deliveries wait");
        }
        match (before.disabled, after.disabled) {
            (None, Some(disabled)) => {
                let reason = disabled.reason.as_str();
                error!(
                    endpoint,
                    reason, "endpoint disabled, what is owed to it becomes dead letters"
                );
            }
            (Some(_), None) => info!(endpoint, "endpoint enabled"),
            _ => {}
        }
        if let Some(failing_ms) = before.warning(after) {
            let attempts = after.failing.map(|failing| failing.attempts);
            error!(endpoint, failing_ms, attempts, "no success for so long, it will be disabled");
        }
        self.show(place, now);
    }

    /// Sets an endpoint's gauges.
    pub(super) fn show(&self, place: &Place, now: Timestamp) {
        let label = EndpointLabel { endpoint: place.name().to_owned() };
        let health = place.known().health().clone();
        let breaker = match (health.breaker, health.gate(now)) {
            (Breaker::Closed, _) => 0,
            (Breaker::Open { until, .. }, _) if until > now => 1,
            (Breaker::Open { .. }, Gate::Open | Gate::Probe | Gate::Closed(_)) => 2,
        };
        let paused = health.paused_until.is_some_and(|until| until > now);
        let failing_s = health.failing.map_or(0, |failing| now.millis_since(failing.since) / 1_000);
        self.metrics.breaker.get_or_create(&label).set(breaker);
        self.metrics.paused.get_or_create(&label).set(i64::from(paused));
        self.metrics.disabled.get_or_create(&label).set(i64::from(health.disabled.is_some()));
        self.metrics.failing_seconds.get_or_create(&label).set(failing_s.max(0));
    }
}

/// Whether a breaker in its `periods`-th period has gone on from `was`.
fn is_earlier(was: Breaker, periods: u32) -> bool {
    match was {
        Breaker::Closed => true,
        Breaker::Open { periods: before, .. } => before < periods,
    }
}
