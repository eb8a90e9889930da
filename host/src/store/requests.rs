//! How the deliveries that wait for one endpoint become requests. Pure, and the same for every
//! adapter: what is read differs, what is made of it must not.

use livekit_webhook_core::batch::{self, BatchId, Batching};
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;

/// A delivery that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: DeliveryId,
    /// When its next attempt is due.
    pub due_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// The batch it is bound to.
    pub batch: Option<BatchId>,
    /// Length of its body.
    pub body_bytes: usize,
    /// Whether nothing but time keeps it: it is under no claim, and the first of its lane.
    pub is_free: bool,
}

/// Deliveries that go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// When it may go.
    pub ready_at: Timestamp,
    /// By id, so that a batch that is tried again has the same body.
    pub members: Vec<DeliveryId>,
    /// Length of all bodies.
    pub body_bytes: usize,
    /// For the order of requests: when the oldest member is due, and which it is.
    oldest: (Timestamp, DeliveryId),
}

/// The requests that `waiting` makes, oldest due first. Those that may go have a `ready_at` up to
/// `now`; the others tell when to look again.
///
/// Without batching every delivery is a request. With it, those that are bound go with the others
/// of their batch, whole or not at all, when the first of them is due. Those that are not bound make
/// batches of `events_max` while so many wait; the rest goes when its oldest is due. A first
/// attempt waits for a batch from [`Batching::wait_ms`] before it is due.
pub fn group(waiting: Vec<Waiting>, batching: Option<Batching>, now: Timestamp) -> Vec<Request> {
    let mut requests = Vec::new();
    match batching {
        None => {
            let free = waiting.into_iter().filter(|waiting| waiting.is_free);
            requests.extend(free.filter_map(|waiting| request(&[waiting])));
        }
        Some(batching) => {
            let mut bound: BTreeMap<BatchId, Vec<Waiting>> = BTreeMap::new();
            let mut unbound = Vec::new();
            for waiting in waiting {
                match waiting.batch {
                    Some(batch) => bound.entry(batch).or_default().push(waiting),
                    None if waiting.is_free => unbound.push(waiting),
                    None => {}
                }
            }
            let whole = bound.values().filter(|members| members.iter().all(|w| w.is_free));
            requests.extend(whole.filter_map(|members| request(members)));
            requests.extend(batches(unbound, batching, now));
        }
    }
    requests.sort_unstable_by_key(|request| request.oldest);
    requests
}

fn batches(unbound: Vec<Waiting>, batching: Batching, now: Timestamp) -> Vec<Request> {
    let fills_until = now.plus_millis(batching.wait_ms());
    let fills = |w: &Waiting| w.due_at <= now || (w.attempts == 0 && w.due_at <= fills_until);
    let (mut pool, later): (Vec<_>, Vec<_>) = unbound.into_iter().partition(fills);
    pool.sort_unstable_by_key(|w| (w.due_at, w.id));
    let mut requests: Vec<_> = later.into_iter().filter_map(|w| request(&[w])).collect();
    let mut rest = &pool[..];
    while let Some(first) = rest.first() {
        let is_full = rest.len() >= batching.events_max();
        let lengths = rest.iter().take(batching.events_max()).map(|w| w.body_bytes);
        let (members, behind) = rest.split_at(batch::fitting(lengths).min(rest.len()));
        let ready_at = if is_full { first.due_at.min(now) } else { first.due_at };
        requests.extend(request(members).map(|batch| Request { ready_at, ..batch }));
        rest = behind;
    }
    requests
}

fn request(members: &[Waiting]) -> Option<Request> {
    let oldest = members.iter().map(|w| (w.due_at, w.id)).min()?;
    let mut ids: Vec<_> = members.iter().map(|w| w.id).collect();
    ids.sort_unstable();
    let body_bytes = members.iter().map(|w| w.body_bytes).sum();
    Some(Request { ready_at: oldest.0, members: ids, body_bytes, oldest })
}
