//! The rows, and what each call does to them.

use crate::store::leases::Leases;
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{
    Appended, AttemptRecord, AttemptResult, Claim, Depth, Due, DueDelivery, Fence, NewEvent, Plan,
    PlanNext, PlanState, Quarantined, Quota, Recorded, StoredDelivery, StoredEvent,
};
use bytes::Bytes;
use livekit_webhook_core::delivery::{Next, State};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub struct Tables {
    pub events: BTreeMap<EventId, EventRow>,
    pub deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    pub quarantine: BTreeMap<EventId, Quarantined>,
    pub event_leases: Leases<EventId>,
    pub delivery_leases: Leases<DeliveryId>,
    pub last_fence: u64,
    pub is_closed: bool,
    pub failures: u32,
    pub full: u32,
    pub hangs: u32,
    pub lost_answers: u32,
}

#[derive(Debug)]
pub struct EventRow {
    pub stored: StoredEvent,
    pub plan_at: Timestamp,
}

#[derive(Debug)]
pub struct DeliveryRow {
    pub stored: StoredDelivery,
    pub body: Option<Bytes>,
    pub attempts: Vec<AttemptRecord>,
}

// === impl Tables ===

impl Tables {
    fn next_fence(&mut self) -> Fence {
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
        let plan_at = event.received_at;
        let stored = StoredEvent {
            event,
            sequence: None,
            plan,
            plan_attempts: 0,
            settled: Vec::new(),
            note: None,
        };
        self.events.insert(stored.event.id, EventRow { stored, plan_at });
        answer
    }

    pub fn claim_unplanned(
        &mut self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Vec<Claim<StoredEvent>> {
        let mut waiting: Vec<_> = self
            .events
            .values()
            .filter(|row| row.stored.plan == PlanState::Unplanned && row.plan_at <= now)
            .map(|row| (row.plan_at, row.stored.event.id))
            .filter(|(_, id)| self.event_leases.is_free(*id, now))
            .collect();
        waiting.sort_unstable();
        waiting.truncate(limit.min(CLAIM_MAX));
        let mut claims = Vec::new();
        let mut bytes = ClaimBytes::default();
        for (_, id) in waiting {
            let Some(item) = self.events.get(&id).map(|row| row.stored.clone()) else { continue };
            if !bytes.fits(item.event.body.len()) {
                break;
            }
            let fence = self.next_fence();
            self.event_leases.claim(id, fence, now.plus_millis(lease_ms));
            claims.push(Claim { fence, item });
        }
        claims
    }

    pub fn record_plan(&mut self, now: Timestamp, plan: Plan) -> Recorded {
        if !self.event_leases.is_current(plan.event, plan.fence) {
            return Recorded::Stale;
        }
        self.event_leases.finish(plan.event);
        let Some(row) = self.events.get_mut(&plan.event) else {
            return Recorded::Stale;
        };
        let deliveries = match plan.next {
            PlanNext::Again { at, note, deliveries, settled } => {
                row.plan_at = at;
                row.stored.plan_attempts += 1;
                row.stored.note = Some(note);
                row.stored.settled = settled;
                deliveries
            }
            PlanNext::Planned { deliveries, note } => {
                row.stored.plan = PlanState::Planned;
                row.stored.note = note;
                deliveries
            }
        };
        for new in deliveries {
            let stored = StoredDelivery {
                id: new.id,
                event: plan.event,
                endpoint: new.endpoint,
                webhook_id: new.webhook_id,
                kind: new.kind,
                state: new.state,
                due_at: new.due_at,
                attempts: 0,
                lane: new.lane,
                sequence: None,
                batch: None,
                replay: None,
                created_at: now,
                updated_at: now,
                note: new.note,
            };
            let row = DeliveryRow { stored, body: new.body, attempts: Vec::new() };
            self.deliveries.insert(new.id, row);
        }
        Recorded::Done
    }

    pub fn claim_due(&mut self, now: Timestamp, lease_ms: i64, quotas: &[Quota]) -> Due {
        let mut claims = Vec::new();
        let mut bytes = ClaimBytes::default();
        for quota in quotas {
            let mut due: Vec<_> = self
                .deliveries
                .values()
                .map(|row| &row.stored)
                .filter(|stored| stored.endpoint == quota.endpoint)
                .filter(|stored| stored.state == State::Pending && stored.due_at <= now)
                .map(|stored| (stored.due_at, stored.id))
                .filter(|(_, id)| self.delivery_leases.is_free(*id, now))
                .collect();
            due.sort_unstable();
            due.truncate(quota.slots.min(CLAIM_MAX - claims.len()));
            for (_, id) in due {
                let Some(item) = self.due(id) else { continue };
                if !bytes.fits(item.body.len()) {
                    return Due { claims, next_at: None };
                }
                let fence = self.next_fence();
                self.delivery_leases.claim(id, fence, now.plus_millis(lease_ms));
                claims.push(Claim { fence, item });
            }
        }
        let names: Vec<_> = quotas.iter().map(|quota| quota.endpoint.clone()).collect();
        let next_at = self.next_due(&names).filter(|_| claims.is_empty());
        Due { claims, next_at }
    }

    fn due(&self, id: DeliveryId) -> Option<DueDelivery> {
        let row = self.deliveries.get(&id)?;
        let event = &self.events.get(&row.stored.event)?.stored.event;
        Some(DueDelivery {
            delivery: row.stored.clone(),
            body: row.body.as_ref().unwrap_or(&event.body).clone(),
            received_at: event.received_at,
            request: 0,
        })
    }

    pub fn record_attempt(&mut self, now: Timestamp, result: AttemptResult) -> Recorded {
        if !self.delivery_leases.is_current(result.delivery, result.fence) {
            return Recorded::Stale;
        }
        self.delivery_leases.finish(result.delivery);
        let Some(row) = self.deliveries.get_mut(&result.delivery) else {
            return Recorded::Stale;
        };
        match result.next {
            Next::Delivered => row.stored.state = State::Delivered,
            Next::RetryAt(at) => row.stored.due_at = at,
            Next::Dead(reason) => row.stored.state = State::Dead(reason),
        }
        row.stored.updated_at = now;
        row.stored.note = result.note;
        if let Some(attempt) = result.attempt {
            row.stored.attempts = attempt.number;
            row.attempts.push(attempt);
        }
        Recorded::Done
    }

    pub fn next_due(&self, endpoints: &[String]) -> Option<Timestamp> {
        let rows = self.deliveries.values().map(|row| &row.stored);
        rows.filter(|stored| stored.state == State::Pending)
            .filter(|stored| endpoints.contains(&stored.endpoint))
            .filter(|stored| !self.delivery_leases.has(stored.id))
            .map(|stored| stored.due_at)
            .min()
    }

    pub fn pending_by_endpoint(&self) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let rows = self.deliveries.values().map(|row| &row.stored);
        for stored in rows.filter(|stored| stored.state == State::Pending) {
            *counts.entry(&stored.endpoint).or_default() += 1;
        }
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
    }

    pub fn depth(&self) -> Depth {
        let events = self.events.values().map(|row| row.stored.plan);
        let states = || self.deliveries.values().map(|row| row.stored.state);
        Depth {
            unplanned: events.filter(|plan| *plan == PlanState::Unplanned).count() as u64,
            pending: states().filter(|state| *state == State::Pending).count() as u64,
            dead: states().filter(|state| matches!(state, State::Dead(_))).count() as u64,
            quarantined: self.quarantine.len() as u64,
        }
    }
}
