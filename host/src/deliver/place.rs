//! An endpoint with what this host has under way to it, and everything that is under way at all.

use super::Deliverer;
use super::health::Known;
use crate::store::{Claim, Claimed, DueDelivery, Fence};
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An endpoint and how many of its requests are under way.
pub struct Place {
    /// As configured.
    pub endpoint: Endpoint,
    /// Requests in flight.
    pub in_flight: AtomicUsize,
    /// It took every place it was given the last time.
    pub is_hungry: AtomicBool,
    /// One write of its health at a time.
    pub(super) saving: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

/// What is under way in this host.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Requests.
    pub requests: AtomicUsize,
    /// Bytes of their bodies.
    pub bytes: AtomicUsize,
    /// Whose turn it is when places are short.
    pub(super) turn: AtomicUsize,
    claims: Mutex<HashMap<DeliveryId, Fence>>,
}

/// The place of one request. Dropped, it is free again, however the request ended.
pub(super) struct Held {
    deliverer: Arc<Deliverer>,
    endpoint: String,
    body_bytes: usize,
}

// === impl Place ===

impl Place {
    /// Nothing in flight, nothing known.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            in_flight: AtomicUsize::new(0),
            is_hungry: AtomicBool::new(true),
            saving: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Its configured name.
    pub(super) fn name(&self) -> &str {
        self.endpoint.name.as_str()
    }

    pub(super) fn used(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything may be sent, as far as this host knows. The store's gate is the authority;
    /// this one closes a few milliseconds earlier, and holds while the store does not answer.
    pub(super) fn gate(&self, now: Timestamp) -> Gate {
        self.known().health().gate(now)
    }
}

// === impl InFlight ===

impl InFlight {
    fn claims(&self) -> MutexGuard<'_, HashMap<DeliveryId, Fence>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These claims have had their record, or never will.
    pub(super) fn forget(&self, deliveries: impl IntoIterator<Item = DeliveryId>) {
        let mut claims = self.claims();
        for delivery in deliveries {
            claims.remove(&delivery);
        }
    }

    /// Takes out what is left: claims of attempts that were cut off.
    pub(super) fn take_left(&self) -> Vec<Claimed> {
        let left = self.claims().drain().collect::<Vec<_>>();
        left.into_iter().map(|(delivery, fence)| Claimed::Delivery(delivery, fence)).collect()
    }
}

// === impl Held ===

impl Held {
    /// Takes a place for a request with these members.
    pub(super) fn take(
        deliverer: &Arc<Deliverer>,
        place: &Place,
        members: &[Claim<DueDelivery>],
    ) -> Self {
        let body_bytes = members.iter().map(|claim| claim.item.body.len()).sum();
        let all = &deliverer.in_flight;
        all.claims().extend(members.iter().map(|claim| (claim.item.delivery.id, claim.fence)));
        all.requests.fetch_add(1, Ordering::SeqCst);
        all.bytes.fetch_add(body_bytes, Ordering::SeqCst);
        place.in_flight.fetch_add(1, Ordering::SeqCst);
        deliverer.metrics.in_flight.inc();
        let endpoint = place.name().to_owned();
        Self { deliverer: deliverer.clone(), endpoint, body_bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let all = &self.deliverer.in_flight;
        all.requests.fetch_sub(1, Ordering::SeqCst);
        all.bytes.fetch_sub(self.body_bytes, Ordering::SeqCst);
        self.deliverer.metrics.in_flight.dec();
        if let Some(place) = self.deliverer.endpoints.get(&self.endpoint) {
            place.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
