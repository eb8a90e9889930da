//! Who gets which deliveries, and when.

use super::faults::Rule;
use super::tables::Tables;
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::requests::{self, Request, Waiting};
use crate::store::{Claim, Claimed, Due, DueDelivery, Fence, Quota, StoredDelivery, StoredEvent};
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// What an endpoint may get now.
struct Room {
    requests: usize,
    /// When it may get more, if it is time alone that keeps it from it.
    opens_at: Option<Timestamp>,
}

impl Tables {
    pub fn claim_due(&mut self, now: Timestamp, lease_ms: i64, quotas: &[Quota]) -> Due {
        let mut due = Due::default();
        let mut bytes = ClaimBytes::default();
        let mut number = 0;
        for quota in quotas {
            let room = self.room(quota, now);
            let waiting = self.waiting(&quota.endpoint, now);
            let requests = requests::group(waiting, quota.batching, now);
            if let Some(opens_at) = room.opens_at {
                let ready_at = requests.iter().map(|request| request.ready_at).min();
                let next_at = ready_at.map(|ready_at| ready_at.max(opens_at));
                let next_at = next_at.filter(|next_at| *next_at > now);
                due.next_at = due.next_at.into_iter().chain(next_at).min();
            }
            let ready = requests.iter().filter(|request| request.ready_at <= now);
            let mut taken = 0;
            let mut is_full = false;
            for request in ready.take(room.requests) {
                let count = due.claims.len() + request.members.len();
                is_full = count > CLAIM_MAX || !bytes.fits(request.body_bytes);
                if is_full {
                    break;
                }
                due.claims.extend(self.claim(request, number, now.plus_millis(lease_ms)));
                number += 1;
                taken += 1;
            }
            self.charge(quota, now, taken);
            if is_full {
                break;
            }
        }
        if !due.claims.is_empty() {
            due.next_at = None;
        }
        due
    }

    pub fn release(&mut self, claim: Claimed) {
        match claim {
            Claimed::Event(_, fence) => self.event_leases.release(fence),
            Claimed::Delivery(_, fence) => self.delivery_leases.release(fence),
        }
    }

    /// What is left of every limit of the endpoint.
    fn room(&self, quota: &Quota, now: Timestamp) -> Room {
        let health = self.healths.get(&quota.endpoint).map(|stored| stored.health.clone());
        let health = health.filter(|_| !self.breaks(Rule::Gate));
        let (in_flight_max, mut opens_at) = match health.unwrap_or_default().gate(now) {
            Gate::Open => (quota.in_flight_max, now),
            Gate::Probe => (quota.in_flight_max.min(1), now),
            Gate::Closed(Some(until)) => (0, until),
            Gate::Closed(None) => return Room { requests: 0, opens_at: None },
        };
        let is_closed = opens_at > now;
        let mut free = in_flight_max.saturating_sub(self.in_flight(&quota.endpoint, now));
        if self.breaks(Rule::InFlight) {
            free = quota.slots;
        }
        let mut requests = free.min(quota.slots);
        if requests == 0 && !is_closed {
            return Room { requests, opens_at: None };
        }
        if let Some(rate) = quota.rate.filter(|_| !self.breaks(Rule::Rate)) {
            let state = self.rates.get(&quota.endpoint).copied().unwrap_or_default();
            requests = rate.grant(state, now, requests).requests;
            opens_at = opens_at.max(rate.next_at(state, now));
        }
        Room { requests, opens_at: Some(opens_at) }
    }

    /// Requests under a claim. One with several members counts once, until the last is recorded.
    fn in_flight(&self, endpoint: &str, now: Timestamp) -> usize {
        let owed = self.pending().filter(|stored| stored.endpoint == endpoint);
        let claimed = owed.filter(|stored| !self.delivery_leases.is_free(stored.id, now));
        let rows = claimed.filter_map(|stored| self.deliveries.get(&stored.id));
        rows.filter_map(|row| row.request).collect::<HashSet<Fence>>().len()
    }

    fn charge(&mut self, quota: &Quota, now: Timestamp, requests: usize) {
        if let (Some(rate), 1..) = (quota.rate, requests) {
            let state = self.rates.entry(quota.endpoint.clone()).or_default();
            *state = rate.grant(*state, now, requests).state;
        }
    }

    fn claim(
        &mut self,
        request: &Request,
        number: u32,
        expires_at: Timestamp,
    ) -> Vec<Claim<DueDelivery>> {
        let mut claims = Vec::with_capacity(request.members.len());
        let first = Fence(self.last_fence + 1);
        for &id in &request.members {
            let fence = self.next_fence();
            let Some(item) = self.due(id, number) else { continue };
            self.delivery_leases.claim(id, fence, expires_at);
            if let Some(row) = self.deliveries.get_mut(&id) {
                row.request = Some(first);
            }
            claims.push(Claim { fence, item });
        }
        claims
    }

    fn due(&self, id: DeliveryId, request: u32) -> Option<DueDelivery> {
        let row = self.deliveries.get(&id)?;
        let event = &self.events.get(&row.stored.event)?.stored.event;
        let body = row.body.as_ref().unwrap_or(&event.body).clone();
        let delivery = row.stored.clone();
        Some(DueDelivery { delivery, body, received_at: event.received_at, request })
    }

    /// What is owed to `endpoint`.
    fn waiting(&self, endpoint: &str, now: Timestamp) -> Vec<Waiting> {
        let heads = self.heads(endpoint, now);
        let owed = self.pending().filter(|stored| stored.endpoint == endpoint);
        let waiting = owed.map(|stored| {
            let is_head = stored.lane.as_deref().is_none_or(|lane| {
                (heads.get(lane) == Some(&stored.id) || self.breaks(Rule::Lane))
                    && !self.waits_for_a_plan(stored)
            });
            Waiting {
                id: stored.id,
                due_at: stored.due_at,
                attempts: stored.attempts,
                batch: stored.batch,
                body_bytes: self.body_bytes(stored),
                is_free: is_head && self.delivery_leases.is_free(stored.id, now),
            }
        });
        waiting.collect()
    }

    /// The first that is owed, for each lane of `endpoint` that has nothing under way.
    fn heads(&self, endpoint: &str, now: Timestamp) -> HashMap<&str, DeliveryId> {
        let mut first: HashMap<&str, (i64, DeliveryId)> = HashMap::new();
        let mut busy = HashSet::new();
        for stored in self.pending().filter(|stored| stored.endpoint == endpoint) {
            let Some(lane) = stored.lane.as_deref() else { continue };
            let place = (stored.sequence.unwrap_or(0), stored.id);
            let head = first.entry(lane).or_insert(place);
            *head = place.min(*head);
            if !self.delivery_leases.is_free(stored.id, now) {
                busy.insert(lane);
            }
        }
        first.retain(|lane, _| !busy.contains(lane));
        first.into_iter().map(|(lane, (_, id))| (lane, id)).collect()
    }

    /// Whether an earlier event of its lane may still get a delivery to its endpoint.
    fn waits_for_a_plan(&self, stored: &StoredDelivery) -> bool {
        let Some(event) = self.events.get(&stored.event).map(|row| &row.stored) else {
            return false;
        };
        let is_earlier = |other: &StoredEvent| {
            other.event.source == event.event.source
                && other.event.lane == event.event.lane
                && other.sequence < event.sequence
                && !other.settled.contains(&stored.endpoint)
        };
        stored.replay.is_none()
            && !self.breaks(Rule::PlanBefore)
            && self.unplanned().any(|row| is_earlier(&row.stored))
    }

    fn body_bytes(&self, stored: &StoredDelivery) -> usize {
        let own = self.deliveries.get(&stored.id).and_then(|row| row.body.as_ref());
        let event = self.events.get(&stored.event).map(|row| &row.stored.event.body);
        own.or(event).map_or(0, bytes::Bytes::len)
    }
}
