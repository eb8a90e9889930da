//! What was seen, and whether it may be.

use super::world::{Clocks, World};
use crate::deliver::transport::Outgoing;
use crate::store::memory::MemoryStore;
use crate::store::{PlanState, StoredDelivery, StoredEvent};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::health::Gate;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Default)]
pub struct Ledger {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    hash: DefaultHasher,
    last_request: u64,
    /// Requests under way.
    flights: BTreeMap<u64, Flight>,
    made: BTreeMap<DeliveryId, Made>,
    /// When requests began, by endpoint, in true milliseconds.
    pub begun: BTreeMap<String, Vec<i64>>,
    /// Since when a version of an endpoint's health is known.
    healths: BTreeMap<String, (u64, i64)>,
    /// How deliveries ended.
    ended: BTreeMap<DeliveryId, State>,
    /// Events and the endpoints at which a delivery of theirs has ended.
    pub ended_at: BTreeSet<(EventId, String)>,
    /// Acknowledged events by their number: the body, and the id of the first.
    pub acknowledged: BTreeMap<u64, (String, EventId)>,
    /// Requests that were repeated because a crash cut them off.
    pub repeats: u32,
    pub requests: u32,
    pub crashes: u32,
}

struct Flight {
    host: usize,
    endpoint: String,
    deliveries: Vec<DeliveryId>,
    lane: Option<String>,
}

/// The requests made for one delivery.
#[derive(Default)]
struct Made {
    requests: u32,
    /// Those that a crash kept from being recorded.
    excused: u32,
    /// The host that made the last one.
    host: usize,
    statuses: BTreeSet<u16>,
}

// === impl Ledger ===

impl Ledger {
    pub fn tell(&mut self, at_ms: i64, line: String) {
        let line = format!("{at_ms:>8} {line}");
        line.hash(&mut self.hash);
        self.trace.push(line);
    }

    pub fn accuse(&mut self, at_ms: i64, line: String) {
        self.tell(at_ms, format!("!! {line}"));
        self.violations.push(line);
    }

    pub fn hash(&self) -> u64 {
        self.hash.clone().finish()
    }

    pub fn statuses(&self, delivery: DeliveryId) -> BTreeSet<u16> {
        self.made.get(&delivery).map(|made| made.statuses.clone()).unwrap_or_default()
    }

    pub fn landed(&mut self, number: u64) {
        self.flights.remove(&number);
    }

    /// What `host` had under way, or had not recorded yet, may be repeated once.
    pub fn crashed(&mut self, host: usize, store: &MemoryStore) {
        self.crashes += 1;
        self.flights.retain(|_, flight| flight.host != host);
        store.look(|tables| {
            for (id, made) in self.made.iter_mut().filter(|(_, made)| made.host == host) {
                let recorded = tables.deliveries.get(id).map_or(0, |row| row.stored.attempts);
                let lost = made.requests.saturating_sub(made.excused + recorded);
                made.excused += lost;
                self.repeats += lost;
            }
        });
    }

    /// Notes since when all can know an endpoint's health.
    fn observe_healths(&mut self, at_ms: i64, store: &MemoryStore) {
        store.look(|tables| {
            for (name, health) in &tables.healths {
                let known = self.healths.entry(name.clone()).or_insert((0, at_ms));
                if known.0 != health.version {
                    *known = (health.version, at_ms);
                }
            }
        });
    }

    /// Notes what has ended, and that it stays so.
    pub fn observe_ends(&mut self, at_ms: i64, store: &MemoryStore, forgets: bool) {
        self.observe_healths(at_ms, store);
        let mut changed = Vec::new();
        store.look(|tables| {
            for row in tables.deliveries.values().filter(|row| row.stored.state != State::Pending) {
                let stored = &row.stored;
                self.ended.entry(stored.id).or_insert(stored.state);
                self.ended_at.insert((stored.event, stored.endpoint.clone()));
            }
            for (id, state) in &self.ended {
                let now = tables.deliveries.get(id).map(|row| row.stored.state);
                if now.map_or(!forgets, |now| now != *state) {
                    changed.push(*id);
                }
            }
        });
        for id in changed {
            self.accuse(at_ms, format!("{id} had ended and changed"));
        }
    }
}

/// A host begins a request: everything that can be known of it is checked now.
pub fn begin(world: &Arc<World>, host: usize, now: Timestamp, outgoing: &Outgoing) -> u64 {
    let at_ms = world.elapsed_ms();
    let endpoint = outgoing.url.host().unwrap().to_owned();
    let attempt: u32 = outgoing.headers["webhook-attempt"].to_str().unwrap().parse().unwrap();
    let mut ledger = world.ledger();
    let ledger = &mut *ledger;
    ledger.observe_healths(at_ms, &world.store);
    let bodies = bodies(&outgoing.body);
    let mut wrong = Vec::new();
    let mut deliveries = Vec::new();
    let mut lane = None;
    let strict = world.clocks != Clocks::Wild;
    world.store.look(|tables| {
        let events: Vec<&StoredEvent> = tables.events.values().map(|row| &row.stored).collect();
        for body in &bodies {
            let Some(event) = find_event(&events, body) else {
                wrong.push(format!("{endpoint}: {body} is no event"));
                continue;
            };
            let rows = tables.deliveries.values().map(|row| &row.stored);
            let rows = rows.filter(|d| d.event == event && d.endpoint == endpoint);
            let Some(row) = rows.max_by_key(|d| (d.state == State::Pending, d.id)) else {
                wrong.push(format!("{endpoint}: {body} is not planned"));
                continue;
            };
            if row.state != State::Pending {
                wrong.push(format!("{endpoint}: a request for {body}, which has ended"));
            }
            deliveries.push(row.id);
            let made = ledger.made.entry(row.id).or_default();
            let unrecorded = made.requests.saturating_sub(made.excused + row.attempts);
            if strict && unrecorded > 0 {
                wrong.push(format!("{endpoint}: {body} is repeated before it is recorded"));
            }
            if strict && bodies.len() == 1 && attempt != row.attempts + 1 {
                wrong.push(format!("{endpoint}: {body} has attempt {attempt} for its next"));
            }
            made.requests += 1;
            made.host = host;
            if row.lane.is_some() {
                lane.clone_from(&row.lane);
                let all = tables.deliveries.values().map(|row| &row.stored);
                wrong.extend(is_out_of_order(row, all, &events));
            }
        }
        let health = tables.healths.get(&endpoint);
        let known_since = ledger.healths.get(&endpoint).map_or(at_ms, |(_, since)| *since);
        let gate = health.map_or(Gate::Open, |health| health.health.gate(now));
        let others = ledger.flights.values().filter(|other| other.endpoint == endpoint);
        let others = others.count();
        if known_since < at_ms && matches!(gate, Gate::Closed(_)) {
            wrong.push(format!("{endpoint}: a request while the gate is closed: {health:?}"));
        }
        if strict && known_since < at_ms && gate == Gate::Probe && others > 0 {
            wrong.push(format!("{endpoint}: {} probes", others + 1));
        }
        if strict && others >= world.endpoint(&endpoint).in_flight_max() {
            wrong.push(format!("{endpoint}: {} requests in flight", others + 1));
        }
    });
    let same_lane = |other: &&Flight| other.endpoint == endpoint && other.lane == lane;
    if strict && lane.is_some() && ledger.flights.values().any(|flight| same_lane(&flight)) {
        wrong.push(format!("{endpoint}: two requests of {lane:?} at once"));
    }
    wrong.into_iter().for_each(|line| ledger.accuse(at_ms, line));
    ledger.begun.entry(endpoint.clone()).or_default().push(at_ms);
    ledger.last_request += 1;
    ledger.requests += 1;
    let number = ledger.last_request;
    ledger.tell(at_ms, format!("host {host} {endpoint} #{number} attempt {attempt} {bodies:?}"));
    ledger.flights.insert(number, Flight { host, endpoint, deliveries, lane });
    number
}

/// It was answered, or failed with status 0.
pub fn finish(world: &World, number: u64, status: u16) {
    let at_ms = world.elapsed_ms();
    let mut ledger = world.ledger();
    let ledger = &mut *ledger;
    ledger.observe_healths(at_ms, &world.store);
    ledger.tell(at_ms, format!("#{number} {status}"));
    let Some(flight) = ledger.flights.get(&number) else { return };
    for id in &flight.deliveries {
        ledger.made.entry(*id).or_default().statuses.insert(status);
    }
}

/// What the endpoint reads: one body, or an array of them.
fn bodies(body: &[u8]) -> Vec<String> {
    match serde_json::from_slice(body).unwrap() {
        serde_json::Value::Array(bodies) => bodies.iter().map(ToString::to_string).collect(),
        one => vec![one.to_string()],
    }
}

fn find_event(events: &[&StoredEvent], body: &str) -> Option<EventId> {
    let found = events.iter().find(|event| event.event.body == body.as_bytes());
    found.map(|event| event.event.id)
}

/// Nothing earlier of its lane may be owed, or still get a plan.
fn is_out_of_order<'a>(
    row: &StoredDelivery,
    all: impl Iterator<Item = &'a StoredDelivery>,
    events: &[&StoredEvent],
) -> Option<String> {
    let (endpoint, id) = (&row.endpoint, row.id);
    for other in all.filter(|other| other.endpoint == *endpoint && other.lane == row.lane) {
        let is_earlier = (other.sequence, other.id) < (row.sequence, row.id);
        if is_earlier && other.state == State::Pending {
            return Some(format!("{endpoint}: {id} out of order, {} is owed", other.id));
        }
    }
    let event = events.iter().find(|event| event.event.id == row.event)?;
    let is_earlier = |other: &&&StoredEvent| {
        other.event.source == event.event.source
            && other.event.lane == event.event.lane
            && other.sequence < event.sequence
            && other.plan == PlanState::Unplanned
            && !other.settled.contains(endpoint)
    };
    let earlier = events.iter().find(is_earlier).filter(|_| row.replay.is_none())?;
    let number = &earlier.event.dedupe_key;
    Some(format!("{endpoint}: {id} before an earlier event is planned, {number}"))
}

/// No more requests in any span than the rate allows.
pub fn check_rates(world: &World) {
    if world.clocks != Clocks::Same || world.has_forgotten.load(Ordering::SeqCst) {
        return;
    }
    let begun: HashMap<String, Vec<i64>> = world.ledger().begun.clone().into_iter().collect();
    for endpoint in &world.endpoints {
        let Some(rate) = endpoint.traffic.rate else { continue };
        let begun = begun.get(endpoint.name.as_str()).cloned().unwrap_or_default();
        for (index, from_ms) in begun.iter().enumerate() {
            for (count, to_ms) in (1..).zip(&begun[index..]) {
                let seconds = (to_ms - from_ms) as f64 / 1_000.0;
                let most = f64::from(rate.burst()) + rate.per_second() * seconds + 0.01;
                if f64::from(count) > most {
                    let name = &endpoint.name;
                    world.accuse(format!("{name}: {count} in {seconds} s, more than the rate"));
                    return;
                }
            }
        }
    }
}
