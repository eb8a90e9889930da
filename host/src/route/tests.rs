//! The stage over the memory store, with the real plugins.

mod headers;
mod lanes;
mod matching;
mod plugins;

use super::*;
use crate::clock::ManualClock;
use crate::store::conformance::{event, later};
use crate::store::memory::MemoryStore;
use crate::store::{DeliveryFilter, NewEvent, PlanState, StoredDelivery};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::endpoint::{AttributeHeaders, Name};
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_wire::glob::Glob;

struct Stage {
    router: Arc<Router>,
    store: Arc<MemoryStore>,
    clock: ManualClock,
    tasks: Tasks,
}

/// To `endpoint`, from `sources`, these event types; all rooms, no plugins.
fn subscriber(endpoint: &str, sources: &[&str], events: &[&str]) -> Subscriber {
    let endpoint = Name::parse(endpoint).unwrap();
    let sources = sources.iter().map(ToString::to_string).collect();
    let events = events.iter().map(|glob| Glob::parse(glob).unwrap()).collect();
    let subscription = Subscription::new(endpoint, sources, events, Vec::new(), Vec::new());
    let subscription = subscription.unwrap();
    Subscriber {
        subscription,
        chain: Vec::new(),
        first_wait_ms: 0,
        is_ordered: false,
        attribute_headers: AttributeHeaders::default(),
    }
}

fn stage(subscribers: Vec<Subscriber>) -> Stage {
    let store = Arc::new(MemoryStore::new(3_600_000));
    let clock = ManualClock::at(later(1_000));
    let router = Router {
        routing: Routing::new(subscribers),
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Entropy::seeded(3)),
        bell: Bell::new(),
        deliver: Bell::new(),
        metrics: Arc::new(Metrics::new()),
        shares: 2,
    };
    Stage { router: Arc::new(router), store, clock, tasks: Tasks::new() }
}

// === impl Stage ===

impl Stage {
    async fn append(&self, event: NewEvent) {
        self.store.append(event).await.unwrap();
    }

    async fn round(&self) -> Result<usize, crate::store::Error> {
        self.router.round(&self.tasks).await
    }

    /// The event's plan, and its note.
    async fn plan(&self, number: u32) -> (PlanState, Option<String>) {
        let stored = self.store.event(event(number).id).await.unwrap().unwrap();
        (stored.plan, stored.note)
    }

    /// Oldest first.
    async fn deliveries(&self, number: u32) -> Vec<StoredDelivery> {
        let filter =
            DeliveryFilter { event: Some(event(number).id), limit: 1_000, ..Default::default() };
        let mut found = self.store.deliveries(filter).await.unwrap();
        found.sort_by(|a, b| (&a.endpoint, &a.webhook_id).cmp(&(&b.endpoint, &b.webhook_id)));
        found
    }

    async fn endpoints(&self, number: u32) -> Vec<String> {
        self.deliveries(number).await.into_iter().map(|delivery| delivery.endpoint).collect()
    }

    /// What would be sent.
    async fn body(&self, endpoint: &str) -> bytes::Bytes {
        let quota = crate::store::Quota {
            endpoint: endpoint.to_owned(),
            slots: 1,
            in_flight_max: 1_000,
            rate: None,
            batching: None,
        };
        let due = self.store.claim_due(later(999_999), 1, vec![quota]).await.unwrap();
        due.claims[0].item.body.clone()
    }
}
