//! One request: a delivery, or the members of a batch, from their claims to their results.

use super::attempt::Tried;
use super::place::{Held, Place};
use super::{Deliverer, Ended, Member};
use crate::metrics::EndpointLabel;
use crate::store::{AttemptRecord, AttemptResult, Claim, Claimed, DueDelivery, Timings};
use crate::tasks::Panicked;
use bytes::Bytes;
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::batch::{self, BatchId};
use livekit_webhook_core::delivery::{DeadReason, Next, after_attempt};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;
use tracing::error;

/// Bytes of a response kept for each member of a batch, at least.
const RESPONSE_BYTES_KEPT_MIN: usize = 256;

/// What goes out together.
pub(super) struct Request {
    pub endpoint: String,
    pub members: Vec<Claim<DueDelivery>>,
}

/// What one attempt came to, for all its members.
struct Verdict {
    outcome: Outcome,
    record: AttemptRecord,
    now: Timestamp,
    next: Next,
    batch: Option<BatchId>,
}

impl Deliverer {
    /// Parts claims into requests. What must not or cannot go now is given back: an endpoint whose
    /// gate closed since the store was asked, and what is too much for one body.
    pub(super) fn group(&self, claims: Vec<Claim<DueDelivery>>) -> (Vec<Request>, Vec<Claimed>) {
        let now = self.clock.now();
        let mut requests: Vec<Request> = Vec::new();
        let mut rest = Vec::new();
        for claim in claims {
            let endpoint = &claim.item.delivery.endpoint;
            let place = self.endpoints.get(endpoint);
            let Some(place) = place.filter(|p| !matches!(p.gate(now), Gate::Closed(_))) else {
                rest.push(claimed(&claim));
                continue;
            };
            let is_grouped = place.endpoint.traffic.order.batching().is_some();
            match requests.last_mut() {
                Some(last) if is_grouped && last.holds(&claim) => last.members.push(claim),
                _ => {
                    let endpoint = endpoint.clone();
                    requests.push(Request { endpoint, members: vec![claim] });
                }
            }
        }
        for request in &mut requests {
            let lengths = request.members.iter().map(|claim| claim.item.body.len());
            let fitting = batch::fitting(lengths);
            rest.extend(request.members.drain(fitting..).map(|claim| claimed(&claim)));
        }
        (requests, rest)
    }

    /// One attempt, whatever happens in it, and what follows for each member.
    pub(super) async fn end(self: &Arc<Self>, request: Request, held: Held) -> Ended {
        let results = match self.endpoints.get(&request.endpoint) {
            Some(place) => match crate::tasks::caught(self.make(place, &request.members)).await {
                Ok(results) => results,
                Err(panicked) => self.broken_down(place, &request.members, &panicked),
            },
            // A claim for an endpoint nobody configured is given back by `group`.
            None => Vec::new(),
        };
        Ended { results, endpoint: request.endpoint, held }
    }

    async fn make(&self, place: &Place, members: &[Claim<DueDelivery>]) -> Vec<Member> {
        let began_at = self.clock.now();
        let batching = place.endpoint.traffic.order.batching();
        let mut results = Vec::with_capacity(members.len());
        let mut live = Vec::with_capacity(members.len());
        for claim in members {
            match unsendable(place, &claim.item, batching.is_some(), began_at) {
                Some((reason, note)) => results.push(dead(claim, reason, note)),
                None => live.push(claim),
            }
        }
        let Some(first) = live.first() else { return results };
        let (due, batch) = match batching {
            None => (first.item.clone(), None),
            Some(_) => {
                let (due, batch) = joined(first, &live);
                let label = EndpointLabel { endpoint: place.name().to_owned() };
                self.metrics.batch_events.get_or_create(&label).observe(live.len() as f64);
                (due, Some(batch))
            }
        };
        let Tried { outcome, record, policy } = self.attempt(place, &due).await;
        let (now, dice) = (self.clock.now(), self.entropy.dice());
        let next = after_attempt(&policy, record.number, &outcome, now, dice);
        let verdict = Verdict { outcome, record, now, next, batch };
        let kept = response_bytes_kept(live.len(), &verdict.record);
        for claim in live {
            results.push(self.result(place, claim, &verdict, kept));
        }
        self.heed(place, &verdict.outcome).await;
        results
    }

    fn result(
        &self,
        place: &Place,
        claim: &Claim<DueDelivery>,
        verdict: &Verdict,
        response_bytes: usize,
    ) -> Member {
        let delivery = &claim.item.delivery;
        let mut record = verdict.record.clone();
        record.number = delivery.attempts + 1;
        record.response_start.truncate(response_bytes);
        let note = record.error.clone();
        if verdict.next == Next::Delivered && delivery.replay.is_none() {
            let lag_ms = verdict.now.millis_since(claim.item.received_at).max(0);
            let label = EndpointLabel { endpoint: place.name().to_owned() };
            let lag = self.metrics.delivery_lag_seconds.get_or_create(&label);
            lag.observe(lag_ms as f64 / 1_000.0);
        }
        let leaves_lane = delivery.lane.is_some()
            && place.endpoint.traffic.order.leaves_lane(record.number, verdict.next);
        let result = AttemptResult {
            delivery: delivery.id,
            fence: claim.fence,
            attempt: Some(record),
            next: verdict.next,
            batch: verdict.batch.filter(|_| matches!(verdict.next, Next::RetryAt(_))),
            leaves_lane,
            note,
        };
        Member { event: delivery.event, result }
    }

    /// An attempt that panicked counts as one, so that what breaks every time ends as a dead letter
    /// that can be seen, and not in a loop. It says nothing about the endpoint.
    fn broken_down(
        &self,
        place: &Place,
        members: &[Claim<DueDelivery>],
        panicked: &Panicked,
    ) -> Vec<Member> {
        self.metrics.attempt_panics.inc();
        let (endpoint, now) = (place.name(), self.clock.now());
        let number =
            members.iter().map(|claim| claim.item.delivery.attempts + 1).max().unwrap_or(1);
        let outcome = Outcome::Failed(ErrorClass::Internal);
        let dice = self.entropy.dice();
        let next = after_attempt(&place.endpoint.policy, number, &outcome, now, dice);
        let text = format!("the attempt broke down: {panicked}");
        let record = AttemptRecord {
            number,
            started_at: now,
            duration_ms: 0,
            outcome: outcome.clone(),
            timings: Timings::default(),
            address: None,
            host: self.host.clone(),
            request_headers: String::new(),
            response_headers: String::new(),
            response_start: Bytes::new(),
            error: Some(text),
        };
        let batch = place.endpoint.traffic.order.batching().map(|_| id_of(members.iter()));
        let verdict = Verdict { outcome, record, now, next, batch };
        let result = |claim: &Claim<DueDelivery>| {
            let (event_id, delivery_id) = (claim.item.delivery.event, claim.item.delivery.id);
            error!(%event_id, %delivery_id, endpoint, %panicked, "the attempt broke down");
            self.result(place, claim, &verdict, 0)
        };
        members.iter().map(result).collect()
    }
}

// === impl Request ===

impl Request {
    /// All members, to be given back.
    pub(super) fn into_claimed(self) -> Vec<Claimed> {
        self.members.iter().map(claimed).collect()
    }

    /// Whether the store gave `claim` as one more member of this request.
    fn holds(&self, claim: &Claim<DueDelivery>) -> bool {
        self.members.last().is_some_and(|last| {
            last.item.request == claim.item.request
                && last.item.delivery.endpoint == claim.item.delivery.endpoint
        })
    }
}

fn claimed(claim: &Claim<DueDelivery>) -> Claimed {
    Claimed::Delivery(claim.item.delivery.id, claim.fence)
}

fn id_of<'a>(members: impl Iterator<Item = &'a Claim<DueDelivery>>) -> BatchId {
    BatchId::of(members.map(|claim| claim.item.delivery.webhook_id.as_str()))
}

/// Why a delivery is given up without a request.
fn unsendable(
    place: &Place,
    due: &DueDelivery,
    is_grouped: bool,
    now: Timestamp,
) -> Option<(DeadReason, &'static str)> {
    // A replay is asked for by an operator who knows how old the event is.
    let born_at = match due.delivery.replay {
        Some(_) => due.delivery.created_at,
        None => due.received_at,
    };
    if place.endpoint.policy.schedule.is_expired(now.millis_since(born_at)) {
        return Some((DeadReason::Expired, "older than the endpoint's max_age"));
    }
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(&due.body).is_ok();
    if is_grouped && !is_json() {
        // One body that is none would make the whole array unreadable.
        return Some((
            DeadReason::Plugin,
            "a plugin made a body that is not JSON, no batch can hold it",
        ));
    }
    None
}

fn dead(claim: &Claim<DueDelivery>, reason: DeadReason, note: &str) -> Member {
    let result = AttemptResult {
        delivery: claim.item.delivery.id,
        fence: claim.fence,
        attempt: None,
        next: Next::Dead(reason),
        batch: None,
        leaves_lane: false,
        note: Some(note.to_owned()),
    };
    Member { event: claim.item.delivery.event, result }
}

/// A batch as if it were one delivery: what an attempt needs to know of it. It has one head, so
/// what was planned with headers of its own (for another endpoint, or before this one had batches)
/// goes without them.
fn joined(first: &Claim<DueDelivery>, members: &[&Claim<DueDelivery>]) -> (DueDelivery, BatchId) {
    let id = id_of(members.iter().copied());
    let body = batch::body(members.iter().map(|claim| claim.item.body.as_ref()));
    let mut due = DueDelivery { body: body.into(), ..first.item.clone() };
    let attempts = members.iter().map(|claim| claim.item.delivery.attempts);
    due.delivery.attempts = attempts.max().unwrap_or_default();
    due.delivery.webhook_id = id.to_string();
    due.delivery.headers = DeliveryHeaders::default();
    (due, id)
}

/// A response is kept with every member; together they keep about as much as one would alone.
fn response_bytes_kept(members: usize, record: &AttemptRecord) -> usize {
    let share = super::transport::RESPONSE_BYTES_KEPT / members.max(1);
    record.response_start.len().min(share.max(RESPONSE_BYTES_KEPT_MIN))
}
