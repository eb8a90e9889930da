//! What was promised against what happened.
//!
//! Three witnesses who know nothing of each other: LiveKit's double knows what was answered 200,
//! the receivers know what came, the store knows what it recorded. A pure function hears them.

use livekit_webhook_core::delivery::State;
use std::collections::{BTreeMap, BTreeSet};

/// All that was seen of a run, after everything came to rest.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// LiveKit's ids of all events, in the order in which it has them.
    pub sent: Vec<String>,
    /// Of these, the ones that were answered 200.
    pub acknowledged: BTreeSet<String>,
    /// What LiveKit counts as delivered though we took nothing: any 4xx, any 3xx.
    pub mistaken: Vec<String>,
    /// Every endpoint is owed every event.
    pub endpoints: Vec<Endpoint>,
    /// How often the gateway died.
    pub kills: usize,
    /// What the store found wrong with itself.
    pub findings: Vec<String>,
}

/// One endpoint, seen from both sides.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// Configured name.
    pub name: String,
    /// Attempts that a kill can cut off.
    pub in_flight_max: usize,
    /// Whether a room's events must come in order.
    pub is_ordered: bool,
    /// In the order in which they came.
    pub requests: Vec<Request>,
    /// In the store.
    pub deliveries: Vec<Delivery>,
}

/// A request that a receiver got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// LiveKit's id, from the body.
    pub event: String,
    /// The room, from the body.
    pub room: String,
    /// The header.
    pub webhook_id: String,
}

/// A delivery as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// What it is sent under.
    pub webhook_id: String,
    /// How it ended.
    pub state: State,
    /// Attempts it counts.
    pub attempts: usize,
    /// Attempts on record.
    pub recorded: usize,
}

/// The outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Events answered 200.
    pub acknowledged: usize,
    /// Of these, missing at an endpoint.
    pub lost: usize,
    /// Requests that no record speaks of: cut off by a kill.
    pub repeated: usize,
    /// What the kills allow of these.
    pub repeated_max: usize,
    /// Everything that broke a promise.
    pub violations: Vec<String>,
}

/// Hears the witnesses.
pub fn judge(evidence: &Evidence) -> Verdict {
    let acknowledged = evidence.acknowledged.len();
    let mut verdict = Verdict { acknowledged, ..Verdict::default() };
    for text in &evidence.mistaken {
        verdict.violations.push(format!("LiveKit was told to forget: {text}"));
    }
    for finding in &evidence.findings {
        verdict.violations.push(format!("the store's own check: {finding}"));
    }
    for endpoint in &evidence.endpoints {
        verdict.hear(endpoint, evidence);
    }
    verdict
}

// === impl Verdict ===

impl Verdict {
    fn hear(&mut self, endpoint: &Endpoint, evidence: &Evidence) {
        let name = &endpoint.name;
        let mut requests = BTreeMap::<&str, usize>::new();
        let mut ids = BTreeMap::<&str, BTreeSet<&str>>::new();
        for request in &endpoint.requests {
            *requests.entry(&request.webhook_id).or_default() += 1;
            ids.entry(&request.event).or_default().insert(&request.webhook_id);
        }
        for event in &evidence.acknowledged {
            if !ids.contains_key(event.as_str()) {
                self.lost += 1;
                self.violations.push(format!("{name}: {event} was acknowledged and never came"));
            }
        }
        for (event, ids) in ids.iter().filter(|(_, ids)| ids.len() > 1) {
            self.violations.push(format!("{name}: {event} came under {} ids", ids.len()));
        }
        self.compare(endpoint, &requests, evidence.kills);
        if endpoint.is_ordered {
            self.in_order(endpoint, &evidence.sent);
        }
    }

    /// The receiver's word against the store's.
    fn compare(&mut self, endpoint: &Endpoint, requests: &BTreeMap<&str, usize>, kills: usize) {
        let name = &endpoint.name;
        let mut rows = BTreeSet::new();
        let mut repeated = 0;
        for row in &endpoint.deliveries {
            let id = row.webhook_id.as_str();
            let came = requests.get(id).copied().unwrap_or_default();
            if !rows.insert(id) {
                self.violations.push(format!("{name}: {id} is owed twice"));
            }
            if row.state != State::Delivered {
                self.violations.push(format!("{name}: {id} ended as {:?}", row.state));
            }
            if row.attempts != row.recorded {
                let (counted, on_record) = (row.attempts, row.recorded);
                let text = format!("{name}: {id} counts {counted} attempts, on record {on_record}");
                self.violations.push(text);
            }
            if row.recorded > came {
                let text = format!("{name}: {id} has {} attempts, {came} came", row.recorded);
                self.violations.push(text);
            }
            let unrecorded = came.saturating_sub(row.recorded);
            if unrecorded > kills {
                let text = format!("{name}: {id} was cut off {unrecorded} times by {kills} kills");
                self.violations.push(text);
            }
            repeated += unrecorded;
        }
        for id in requests.keys().filter(|id| !rows.contains(**id)) {
            self.violations.push(format!("{name}: {id} came and is not in the store"));
        }
        let most = kills * endpoint.in_flight_max;
        if repeated > most {
            self.violations.push(format!("{name}: {repeated} repeats, {most} were in flight"));
        }
        self.repeated += repeated;
        self.repeated_max += most;
    }

    /// Every room's events must come in LiveKit's order. A repeat may come only as long as nothing
    /// that follows it has come.
    fn in_order(&mut self, endpoint: &Endpoint, sent: &[String]) {
        let places = sent.iter().enumerate().map(|(place, event)| (event.as_str(), place));
        let places: BTreeMap<&str, usize> = places.collect();
        let mut last = BTreeMap::<&str, usize>::new();
        for Request { event, room, .. } in &endpoint.requests {
            let place = places.get(event.as_str()).copied().unwrap_or_default();
            let last = last.entry(room).or_default();
            if place < *last {
                let text = format!("{}: {event} came behind its successor", endpoint.name);
                self.violations.push(format!("{text} in {room}"));
            }
            *last = place.max(*last);
        }
    }
}

#[cfg(test)]
mod tests;
