//! How much each endpoint may claim now: free places, shared fairly, and none where the gate is
//! closed.

use super::place::Place;
use super::{Deliverer, IN_FLIGHT_BYTES_MAX};
use crate::store::{Claim, DueDelivery, Quota};
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::share::{Want, share};
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::Ordering;

/// What one claim may ask for.
pub(super) struct Quotas {
    /// For the store.
    pub quotas: Vec<Quota>,
    /// Endpoints had a place to offer and were given none: it is their turn in the next round.
    pub is_partial: bool,
    /// When a gate that is closed here opens.
    pub opens_at: Option<Timestamp>,
}

impl Deliverer {
    /// Free places, within the host's own limits.
    pub(super) fn quotas(&self) -> Quotas {
        let mut found = Quotas { quotas: Vec::new(), is_partial: false, opens_at: None };
        if self.in_flight.bytes.load(Ordering::SeqCst) >= IN_FLIGHT_BYTES_MAX {
            return found;
        }
        let free =
            self.in_flight_max.saturating_sub(self.in_flight.requests.load(Ordering::SeqCst));
        let now = self.clock.now();
        let mut places = Vec::with_capacity(self.endpoints.len());
        let mut wants = Vec::with_capacity(self.endpoints.len());
        for place in self.endpoints.values() {
            if !self.can_sign(place, now) {
                continue;
            }
            let (slots_max, opens_at) = slots_max(place, now);
            found.opens_at = earlier(found.opens_at, opens_at);
            let used = place.used();
            let is_hungry = place.is_hungry.load(Ordering::SeqCst);
            wants.push(Want { used, free: slots_max.saturating_sub(used), is_hungry });
            places.push(place);
        }
        let turn = self.in_flight.turn.fetch_add(1, Ordering::SeqCst);
        for ((place, want), slots) in places.into_iter().zip(&wants).zip(share(free, &wants, turn))
        {
            if slots > 0 {
                found.quotas.push(quota(place, slots));
            } else if want.free > 0 {
                found.is_partial = true;
            }
        }
        // Without a single free place nobody has a turn.
        found.is_partial &= !found.quotas.is_empty();
        found
    }

    /// Whether there is a secret, where they are kept in the store; the one that comes rings the
    /// bell.
    fn can_sign(&self, place: &Place, now: Timestamp) -> bool {
        let endpoint = &place.endpoint;
        !endpoint.signs_with_stored() || self.secrets.has(endpoint.name.as_str(), now)
    }

    /// Remembers who took all that he was offered.
    pub(super) fn note_hunger(&self, quotas: &[Quota], claims: &[Claim<DueDelivery>]) {
        let mut taken: HashMap<&str, usize> = HashMap::new();
        let mut last = None;
        for claim in claims {
            let delivery = &claim.item.delivery;
            let this = (delivery.endpoint.as_str(), claim.item.request);
            let place = self.endpoints.get(this.0);
            let is_grouped = place.is_some_and(|p| p.endpoint.traffic.order.batching().is_some());
            if !is_grouped || last != Some(this) {
                *taken.entry(this.0).or_default() += 1;
            }
            last = Some(this);
        }
        for quota in quotas {
            let is_hungry = taken.get(quota.endpoint.as_str()).is_some_and(|n| *n >= quota.slots);
            if let Some(place) = self.endpoints.get(&quota.endpoint) {
                place.is_hungry.store(is_hungry, Ordering::SeqCst);
            }
        }
    }
}

/// Most requests to an endpoint at once, by its health, and when a closed gate opens.
fn slots_max(place: &Place, now: Timestamp) -> (usize, Option<Timestamp>) {
    match place.gate(now) {
        Gate::Open => (place.endpoint.in_flight_max(), None),
        Gate::Probe => (1, None),
        Gate::Closed(until) => (0, until),
    }
}

fn quota(place: &Place, slots: usize) -> Quota {
    let endpoint = &place.endpoint;
    Quota {
        endpoint: endpoint.name.to_string(),
        slots,
        in_flight_max: endpoint.in_flight_max(),
        rate: endpoint.traffic.rate,
        batching: endpoint.traffic.order.batching(),
    }
}

/// The earlier of two times, `None` being never.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
