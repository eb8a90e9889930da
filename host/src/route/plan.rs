//! One event to its plan.

use super::Router;
use super::chain::{self, Part, Verdict};
use crate::plugin::Input;
use crate::plugin::deploy::Slot;
use crate::store::{NewDelivery, NewEvent, PlanNext, StoredEvent, lane};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::AttributeHeaders;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_wire::envelope::Envelope;
use std::sync::Arc;

/// How often planning may begin again before a dead letter is made of it.
pub const PLAN_ATTEMPTS_MAX: u32 = 10;
/// The same for an event that waits for a plugin that fails or rests. Such a wait is none of the
/// event's doing, and is at most ten minutes long.
pub const PLAN_WAITS_MAX: u32 = 200;
/// Longest wait a plugin may ask for, in milliseconds.
pub const PLAN_AGAIN_MS_MAX: i64 = 3_600_000;

/// A subscription with its plugins.
pub struct Subscriber {
    /// Endpoint and patterns.
    pub subscription: Subscription,
    /// Its plugins, in order.
    pub chain: Vec<Arc<Slot>>,
    /// Wait before the first attempt at its endpoint, in milliseconds.
    pub first_wait_ms: i64,
    /// Its endpoint wants the events of a room in order.
    pub is_ordered: bool,
    /// Attributes that its endpoint gets as headers.
    pub attribute_headers: AttributeHeaders,
}

/// All subscriptions, in the order of the configuration.
#[derive(Default)]
pub struct Routing {
    subscribers: Vec<Subscriber>,
}

// === impl Routing ===

impl Routing {
    /// Over `subscribers`; for one endpoint the first that matches an event decides.
    pub fn new(subscribers: Vec<Subscriber>) -> Self {
        Self { subscribers }
    }

    /// Whether any chain has a plugin.
    pub fn has_plugins(&self) -> bool {
        self.subscribers.iter().any(|subscriber| !subscriber.chain.is_empty())
    }

    /// Those that match, one for each endpoint.
    fn matching(&self, source: &str, kind: &str, room: Option<&str>) -> Vec<&Subscriber> {
        let mut matching: Vec<&Subscriber> = Vec::new();
        for subscriber in &self.subscribers {
            let subscription = &subscriber.subscription;
            let endpoint = subscription.endpoint();
            let taken = matching.iter().any(|other| other.subscription.endpoint() == endpoint);
            if !taken && subscription.matches(source, kind, room) {
                matching.push(subscriber);
            }
        }
        matching
    }
}

// === impl Router ===

impl Router {
    /// What follows for `stored`. Plugins run here; nothing is written.
    pub(super) async fn plan(&self, stored: &StoredEvent) -> PlanNext {
        let event = &stored.event;
        let matching = self.routing.matching(&event.source, &event.kind, event.room.as_deref());
        if matching.is_empty() {
            let note = Some("no subscription matches".to_owned());
            return PlanNext::Planned { deliveries: Vec::new(), note };
        }
        let now = self.clock.now();
        let mut deliveries = Vec::new();
        let mut notes = Vec::new();
        let mut settled = stored.settled.clone();
        let mut again_at = None;
        for subscriber in matching {
            let endpoint = subscriber.subscription.endpoint().as_str();
            if stored.settled.iter().any(|name| name == endpoint) {
                continue;
            }
            let verdict = if subscriber.chain.is_empty() {
                Verdict::Deliver(vec![Part::unchanged(&event.kind)])
            } else {
                let allowed = &subscriber.attribute_headers;
                chain::run(&subscriber.chain, input(stored), endpoint, allowed).await
            };
            let attempts = stored.plan_attempts + 1;
            match verdict {
                Verdict::Deliver(parts) => {
                    for (number, part) in parts.into_iter().enumerate() {
                        deliveries.push(self.owed(event, subscriber, part, number, now));
                    }
                }
                Verdict::Drop { note } => notes.push(format!("{endpoint}: {note}")),
                Verdict::Again { after_ms, note } if attempts < PLAN_ATTEMPTS_MAX => {
                    let at = now.plus_millis(after_ms.clamp(0, PLAN_AGAIN_MS_MAX));
                    again_at = again_at.max(Some(at));
                    notes.push(format!("{endpoint}: {note}"));
                    continue;
                }
                Verdict::Wait { after_ms, note } if attempts < PLAN_WAITS_MAX => {
                    let at = now.plus_millis(after_ms.clamp(0, PLAN_AGAIN_MS_MAX));
                    again_at = again_at.max(Some(at));
                    notes.push(format!("{endpoint}: {note}"));
                    continue;
                }
                Verdict::Fail { note }
                | Verdict::Again { note, .. }
                | Verdict::Wait { note, .. } => {
                    notes.push(format!("{endpoint}: {note}"));
                    let part = Part::unchanged(&event.kind);
                    let mut dead = self.owed(event, subscriber, part, 0, now);
                    dead.state = State::Dead(DeadReason::Plugin);
                    dead.note = Some(note);
                    deliveries.push(dead);
                }
            }
            settled.push(endpoint.to_owned());
        }
        let note = notes.join("; ");
        match again_at {
            Some(at) => PlanNext::Again { at, note, deliveries, settled },
            None => PlanNext::Planned { deliveries, note: (!note.is_empty()).then_some(note) },
        }
    }

    fn owed(
        &self,
        event: &NewEvent,
        subscriber: &Subscriber,
        part: Part,
        number: usize,
        now: Timestamp,
    ) -> NewDelivery {
        NewDelivery {
            id: self.entropy.delivery_id(now),
            endpoint: subscriber.subscription.endpoint().to_string(),
            webhook_id: webhook_id(event.id, number),
            kind: part.kind,
            body: part.body,
            headers: part.headers,
            lane: lane_of(event, subscriber),
            due_at: now.plus_millis(subscriber.first_wait_ms),
            state: State::Pending,
            note: None,
        }
    }
}

/// An event that LiveKit gives no ordering key has no lane: it waits for nobody.
fn lane_of(event: &NewEvent, subscriber: &Subscriber) -> Option<String> {
    let key = event.lane.as_deref().filter(|_| subscriber.is_ordered)?;
    Some(lane(None, &event.source, key))
}

/// Stable over attempts and replays: planning the same event again gives the same ids.
fn webhook_id(event: EventId, number: usize) -> String {
    if number == 0 { event.to_string() } else { format!("{event}.{number}") }
}

fn input(stored: &StoredEvent) -> Input {
    let event = &stored.event;
    // Ingest read the envelope from these bytes already; only the identity is not a column.
    let envelope = Envelope::parse(&event.body).unwrap_or_default();
    let created_at = event.created_at.unwrap_or(event.received_at);
    Input {
        id: event.id.to_string(),
        kind: event.kind.clone(),
        source: event.source.clone(),
        created_at_ms: u64::try_from(created_at.as_millis()).unwrap_or_default(),
        attempt: stored.plan_attempts + 1,
        room_name: event.room.clone(),
        participant_identity: envelope.participant_identity,
        attributes: Vec::new(),
        body: event.body.clone(),
    }
}
