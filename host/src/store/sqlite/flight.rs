//! What is under way, for claims: leases on deliveries, and what follows from them for an endpoint:
//! requests in flight, lanes in flight, the state of its rate. All in the owner's memory, under one
//! lock, since a file has one owner.
//!
//! A request counts as in flight until the last of its members is recorded or given back, or until
//! its lease ends. The lease itself stays past its end, so that a late record finds its fence.

use crate::store::Fence;
use crate::store::leases::Leases;
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::rate::RateState;
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Everything that is under way.
#[derive(Debug, Default)]
pub struct Flights {
    leases: Leases<DeliveryId>,
    by_delivery: HashMap<DeliveryId, Flight>,
    by_endpoint: HashMap<i64, Sky>,
    /// Ends of the leases that still count.
    ends: BTreeSet<(Timestamp, DeliveryId)>,
}

/// One claimed delivery.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Number of its endpoint.
    pub endpoint: i64,
    /// The first fence of its request.
    pub request: Fence,
    /// Its lane.
    pub lane: Option<Arc<str>>,
    /// End of its lease.
    pub expires_at: Timestamp,
}

/// What is under way to one endpoint.
#[derive(Debug, Default)]
struct Sky {
    /// How many members of each request.
    requests: HashMap<Fence, usize>,
    /// How many deliveries of each lane: one, unless a lease has ended and its record comes late.
    lanes: HashMap<Arc<str>, usize>,
    rate: RateState,
}

// === impl Flights ===

impl Flights {
    /// Lets go of what no longer counts at `now`. A claim begins with it.
    pub fn expire(&mut self, now: Timestamp) {
        let ended: Vec<_> = self
            .ends
            .iter()
            .take_while(|(end, _)| *end <= now)
            // A record on its way keeps everybody off.
            .filter(|(_, id)| self.leases.is_free(*id, now))
            .copied()
            .collect();
        for (end, id) in ended {
            self.ends.remove(&(end, id));
            if let Some(flight) = self.by_delivery.get(&id).cloned() {
                self.land(&flight);
            }
        }
    }

    /// Whether nobody holds the delivery at `now`, nor another of its lane.
    pub fn is_free(
        &self,
        id: DeliveryId,
        endpoint: i64,
        lane: Option<&str>,
        now: Timestamp,
    ) -> bool {
        let sky = self.by_endpoint.get(&endpoint);
        let is_busy = |lane: &str| sky.is_some_and(|sky| sky.lanes.contains_key(lane));
        self.leases.is_free(id, now) && !lane.is_some_and(is_busy)
    }

    /// Requests in flight to an endpoint.
    pub fn in_flight(&self, endpoint: i64) -> usize {
        self.by_endpoint.get(&endpoint).map_or(0, |sky| sky.requests.len())
    }

    /// Where an endpoint's rate stands.
    pub fn rate(&self, endpoint: i64) -> RateState {
        self.by_endpoint.get(&endpoint).map_or_else(RateState::default, |sky| sky.rate)
    }

    /// Moves an endpoint's rate.
    pub fn set_rate(&mut self, endpoint: i64, rate: RateState) {
        self.by_endpoint.entry(endpoint).or_default().rate = rate;
    }

    /// Gives a delivery to whoever gets `fence`.
    pub fn claim(&mut self, id: DeliveryId, fence: Fence, flight: Flight) {
        self.forget(id);
        self.leases.claim(id, fence, flight.expires_at);
        let sky = self.by_endpoint.entry(flight.endpoint).or_default();
        *sky.requests.entry(flight.request).or_default() += 1;
        if let Some(lane) = &flight.lane {
            *sky.lanes.entry(Arc::clone(lane)).or_default() += 1;
        }
        self.ends.insert((flight.expires_at, id));
        self.by_delivery.insert(id, flight);
    }

    /// The claim's endpoint and lane, if `fence` is its current one and unused. Until
    /// [`Flights::finish`] or [`Flights::unsettle`] nobody else gets it.
    pub fn settle(&mut self, id: DeliveryId, fence: Fence) -> Option<(i64, Option<Arc<str>>)> {
        if !self.leases.settle(id, fence) {
            return None;
        }
        self.by_delivery.get(&id).map(|flight| (flight.endpoint, flight.lane.clone()))
    }

    /// Keeps everybody off a delivery that nobody holds at `now`, as [`Flights::settle`] does.
    pub fn close(&mut self, id: DeliveryId, fence: Fence, now: Timestamp) -> bool {
        if !self.leases.is_free(id, now) {
            return false;
        }
        self.forget(id);
        self.leases.claim(id, fence, now);
        self.leases.settle(id, fence)
    }

    /// The write failed: the claim is as it was.
    pub fn unsettle(&mut self, id: DeliveryId) {
        self.leases.unsettle(id);
    }

    /// The write is done: the claim ends.
    pub fn finish(&mut self, id: DeliveryId) {
        self.leases.finish(id);
        self.forget(id);
    }

    /// Ends a claim unused. A stale fence, or one whose record is on its way, is ignored.
    pub fn release(&mut self, id: DeliveryId, fence: Fence) {
        if self.leases.is_current(id, fence) {
            self.finish(id);
        }
    }

    fn forget(&mut self, id: DeliveryId) {
        if let Some(flight) = self.by_delivery.remove(&id)
            && self.ends.remove(&(flight.expires_at, id))
        {
            self.land(&flight);
        }
    }

    fn land(&mut self, flight: &Flight) {
        let Some(sky) = self.by_endpoint.get_mut(&flight.endpoint) else {
            return;
        };
        less_one(&mut sky.requests, &flight.request);
        if let Some(lane) = &flight.lane {
            less_one(&mut sky.lanes, lane);
        }
    }
}

fn less_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
