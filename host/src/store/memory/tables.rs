//! The rows.

use super::faults::Rule;
use super::plugin_state::SpaceRows;
use crate::store::leases::Leases;
use crate::store::plugin_state::Space;
use crate::store::{
    Appended, AttemptRecord, Depth, EndpointHealth, Fence, NewEvent, Oldest, PlanState,
    Quarantined, SealedSecret, StoredDelivery, StoredEvent, StoredReplay,
};
use bytes::Bytes;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::rate::RateState;
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Default)]
pub struct Tables {
    pub events: BTreeMap<EventId, EventRow>,
    pub deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    /// Those that are owed.
    pub pending: BTreeSet<DeliveryId>,
    /// Those without a plan.
    pub unplanned: BTreeSet<EventId>,
    pub quarantine: BTreeMap<EventId, Quarantined>,
    pub replays: BTreeMap<ReplayId, StoredReplay>,
    pub healths: BTreeMap<String, EndpointHealth>,
    pub secrets: BTreeMap<SecretId, SealedSecret>,
    /// The counter of each source and lane.
    pub lanes: BTreeMap<(String, String), LaneRow>,
    pub plugin_state: BTreeMap<Space, SpaceRows>,
    pub rates: HashMap<String, RateState>,
    pub event_leases: Leases<EventId>,
    pub delivery_leases: Leases<DeliveryId>,
    pub last_fence: u64,
    pub is_closed: bool,
    pub broken: Option<Rule>,
}

#[derive(Debug)]
pub struct EventRow {
    pub stored: StoredEvent,
    pub plan_at: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct LaneRow {
    /// The last sequence given.
    pub last: i64,
    /// When the last event arrived.
    pub used_at: Timestamp,
}

#[derive(Debug)]
pub struct DeliveryRow {
    pub stored: StoredDelivery,
    /// `None`: the event's own.
    pub body: Option<Bytes>,
    pub attempts: Vec<AttemptRecord>,
    /// The claim's request it went with the last time.
    pub request: Option<Fence>,
}

// === impl Tables ===

impl Tables {
    pub fn breaks(&self, rule: Rule) -> bool {
        self.broken == Some(rule)
    }

    pub fn next_fence(&mut self) -> Fence {
        self.last_fence += 1;
        Fence(self.last_fence)
    }

    pub fn append(&mut self, event: NewEvent, window_ms: i64) -> Appended {
        let since = event.received_at.plus_millis(-window_ms);
        let mut answer = Appended::Stored;
        for known in self.events.values().map(|row| &row.stored) {
            let of = known.event.id;
            let same_key = known.event.dedupe_key == event.dedupe_key
                && known.event.source == event.source
                && known.event.received_at > since;
            if same_key && known.event.body_sha256 == event.body_sha256 {
                return Appended::Duplicate { of };
            }
            if same_key && answer == Appended::Stored && known.plan != PlanState::Conflict {
                answer = Appended::Conflict { of };
            }
        }
        let is_new = answer == Appended::Stored;
        let plan = if is_new { PlanState::Unplanned } else { PlanState::Conflict };
        let sequence = event.lane.clone().filter(|_| is_new).map(|lane| {
            let row = self.lanes.entry((event.source.clone(), lane)).or_default();
            row.last += 1;
            row.used_at = row.used_at.max(event.received_at);
            row.last
        });
        if self.breaks(Rule::Stored) {
            return answer;
        }
        let plan_at = event.received_at;
        let (settled, note) = (Vec::new(), None);
        let stored = StoredEvent { event, sequence, plan, plan_attempts: 0, settled, note };
        self.insert_event(EventRow { stored, plan_at });
        answer
    }

    pub fn pending_by_endpoint(&self) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for stored in self.pending() {
            *counts.entry(&stored.endpoint).or_default() += 1;
        }
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    pub fn depth(&self) -> Depth {
        let states = self.deliveries.values().map(|row| row.stored.state);
        Depth {
            unplanned: self.unplanned.len() as u64,
            pending: self.pending.len() as u64,
            dead: states.filter(|state| matches!(state, State::Dead(_))).count() as u64,
            quarantined: self.quarantine.len() as u64,
        }
    }

    pub fn oldest(&self, now: Timestamp) -> Oldest {
        let due = self.pending().map(|stored| stored.due_at).filter(|due_at| *due_at <= now);
        let rows = self.deliveries.values().map(|row| &row.stored);
        let dead = rows.filter(|stored| matches!(stored.state, State::Dead(_)));
        Oldest { due_at: due.min(), dead_at: dead.map(|stored| stored.updated_at).min() }
    }

    /// What is owed, by id.
    pub fn pending(&self) -> impl Iterator<Item = &StoredDelivery> {
        let rows = self.pending.iter().filter_map(|id| self.deliveries.get(id));
        rows.map(|row| &row.stored)
    }

    /// Events without a plan, by id.
    pub fn unplanned(&self) -> impl Iterator<Item = &EventRow> {
        self.unplanned.iter().filter_map(|id| self.events.get(id))
    }

    pub fn insert_event(&mut self, row: EventRow) {
        let id = row.stored.event.id;
        if row.stored.plan == PlanState::Unplanned {
            self.unplanned.insert(id);
        }
        self.events.insert(id, row);
    }

    pub fn insert_delivery(&mut self, row: DeliveryRow) {
        let id = row.stored.id;
        if row.stored.state == State::Pending {
            self.pending.insert(id);
        }
        self.deliveries.insert(id, row);
    }
}
