//! The store in memory, for unit tests and the simulation.
//!
//! The same answers as the other adapters, nothing kept past the process. It can be told to fail: [`MemoryStore::fail_next`]
//! refuses the next writes before they happen, [`MemoryStore::lose_next_answers`] does them and then says that it could
//! not, which is what a lost connection looks like.

use super::leases::Leases;
use super::{
    Appended, AttemptRecord, AttemptResult, Claim, DeliveryFilter, Depth, DueDelivery, Error,
    Fence, NewEvent, Plan, PlanNext, PlanState, Quarantined, Quota, Recorded, Status, Store,
    StoredDelivery, StoredEvent,
};
use async_trait::async_trait;
use bytes::Bytes;
use livekit_webhook_core::delivery::{Next, State};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most events or deliveries of one claim, most rows of one page.
const CLAIM_MAX: usize = 1_024;
const PAGE_MAX: usize = 1_000;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    dedupe_window_ms: i64,
    state: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    events: BTreeMap<EventId, EventRow>,
    deliveries: BTreeMap<DeliveryId, DeliveryRow>,
    quarantine: BTreeMap<EventId, Quarantined>,
    event_leases: Leases<EventId>,
    delivery_leases: Leases<DeliveryId>,
    last_fence: u64,
    is_closed: bool,
    failures: u32,
    lost_answers: u32,
}

#[derive(Debug)]
struct EventRow {
    stored: StoredEvent,
    plan_at: Timestamp,
}

#[derive(Debug)]
struct DeliveryRow {
    stored: StoredDelivery,
    body: Option<Bytes>,
    attempts: Vec<AttemptRecord>,
}

/// A fault that a test asked for.
#[derive(Debug, thiserror::Error)]
#[error("injected fault")]
struct Injected;

// === impl MemoryStore ===

impl MemoryStore {
    /// An empty store that looks for the same event key over `dedupe_window_ms`.
    pub fn new(dedupe_window_ms: i64) -> Self {
        Self {
            dedupe_window_ms,
            state: Mutex::default(),
        }
    }

    /// The next `count` writes answer [`Error::Unavailable`] and change nothing.
    pub fn fail_next(&self, count: u32) {
        self.tables().failures = count;
    }

    /// The next `count` writes are done, and answer [`Error::Unavailable`] all the same.
    pub fn lose_next_answers(&self, count: u32) {
        self.tables().lost_answers = count;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Tables>, Error> {
        let tables = self.tables();
        if tables.is_closed {
            Err(Error::Closed)
        } else {
            Ok(tables)
        }
    }

    fn write<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> Result<T, Error> {
        let mut tables = self.open()?;
        if take_one(&mut tables.failures) {
            return Err(Error::Unavailable(Injected.into()));
        }
        let answer = change(&mut tables);
        if take_one(&mut tables.lost_answers) {
            return Err(Error::Unavailable(Injected.into()));
        }
        Ok(answer)
    }
}

fn take_one(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

// === impl Tables ===

impl Tables {
    fn next_fence(&mut self) -> Fence {
        self.last_fence += 1;
        Fence(self.last_fence)
    }

    fn append(&mut self, event: NewEvent, window_ms: i64) -> Appended {
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
        let plan = if is_new {
            PlanState::Unplanned
        } else {
            PlanState::Conflict
        };
        let plan_at = event.received_at;
        let stored = StoredEvent {
            event,
            plan,
            plan_attempts: 0,
            note: None,
        };
        self.events
            .insert(stored.event.id, EventRow { stored, plan_at });
        answer
    }

    fn claim_unplanned(
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
        for (_, id) in waiting {
            let fence = self.next_fence();
            self.event_leases
                .claim(id, fence, now.plus_millis(lease_ms));
            claims.extend(self.events.get(&id).map(|row| Claim {
                fence,
                item: row.stored.clone(),
            }));
        }
        claims
    }

    fn record_plan(&mut self, now: Timestamp, plan: Plan) -> Recorded {
        if !self.event_leases.is_current(plan.event, plan.fence) {
            return Recorded::Stale;
        }
        self.event_leases.finish(plan.event);
        let Some(row) = self.events.get_mut(&plan.event) else {
            return Recorded::Stale;
        };
        match plan.next {
            PlanNext::Again { at, note } => {
                row.plan_at = at;
                row.stored.plan_attempts += 1;
                row.stored.note = Some(note);
            }
            PlanNext::Planned { deliveries, note } => {
                row.stored.plan = PlanState::Planned;
                row.stored.note = note;
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
                        created_at: now,
                        updated_at: now,
                        note: new.note,
                    };
                    let row = DeliveryRow {
                        stored,
                        body: new.body,
                        attempts: Vec::new(),
                    };
                    self.deliveries.insert(new.id, row);
                }
            }
        }
        Recorded::Done
    }

    fn claim_due(
        &mut self,
        now: Timestamp,
        lease_ms: i64,
        quotas: &[Quota],
    ) -> Vec<Claim<DueDelivery>> {
        let mut claims = Vec::new();
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
                let fence = self.next_fence();
                self.delivery_leases
                    .claim(id, fence, now.plus_millis(lease_ms));
                claims.extend(self.due(id).map(|item| Claim { fence, item }));
            }
        }
        claims
    }

    fn due(&self, id: DeliveryId) -> Option<DueDelivery> {
        let row = self.deliveries.get(&id)?;
        let event = &self.events.get(&row.stored.event)?.stored.event;
        Some(DueDelivery {
            delivery: row.stored.clone(),
            body: row.body.as_ref().unwrap_or(&event.body).clone(),
            received_at: event.received_at,
        })
    }

    fn record_attempt(&mut self, now: Timestamp, result: AttemptResult) -> Recorded {
        if !self
            .delivery_leases
            .is_current(result.delivery, result.fence)
        {
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

    fn next_due(&self) -> Option<Timestamp> {
        let events = self
            .events
            .iter()
            .filter(|(id, row)| {
                row.stored.plan == PlanState::Unplanned && !self.event_leases.has(**id)
            })
            .map(|(_, row)| row.plan_at);
        let deliveries = self
            .deliveries
            .iter()
            .filter(|(id, row)| {
                row.stored.state == State::Pending && !self.delivery_leases.has(**id)
            })
            .map(|(_, row)| row.stored.due_at);
        let leases = [
            self.event_leases.next_expiry(),
            self.delivery_leases.next_expiry(),
        ];
        events
            .chain(deliveries)
            .chain(leases.into_iter().flatten())
            .min()
    }

    fn depth(&self) -> Depth {
        let events = self.events.values().map(|row| row.stored.plan);
        let states = || self.deliveries.values().map(|row| row.stored.state);
        Depth {
            unplanned: events.filter(|plan| *plan == PlanState::Unplanned).count() as u64,
            pending: states().filter(|state| *state == State::Pending).count() as u64,
            dead: states()
                .filter(|state| matches!(state, State::Dead(_)))
                .count() as u64,
            quarantined: self.quarantine.len() as u64,
        }
    }
}

fn fits(filter: &DeliveryFilter, delivery: &StoredDelivery) -> bool {
    let status = match delivery.state {
        State::Pending => Status::Pending,
        State::Delivered => Status::Delivered,
        State::Dead(_) => Status::Dead,
    };
    filter
        .endpoint
        .as_ref()
        .is_none_or(|endpoint| *endpoint == delivery.endpoint)
        && filter.event.is_none_or(|event| event == delivery.event)
        && filter.status.is_none_or(|wanted| wanted == status)
        && filter.before.is_none_or(|before| delivery.id < before)
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.write(|tables| tables.append(event, self.dedupe_window_ms))
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.write(|tables| {
            tables.quarantine.insert(item.id, item);
        })
    }

    async fn claim_unplanned(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim<StoredEvent>>, Error> {
        Ok(self.open()?.claim_unplanned(now, lease_ms, limit))
    }

    async fn record_plans(&self, now: Timestamp, plans: Vec<Plan>) -> Result<Vec<Recorded>, Error> {
        self.write(|tables| {
            plans
                .into_iter()
                .map(|plan| tables.record_plan(now, plan))
                .collect()
        })
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Vec<Claim<DueDelivery>>, Error> {
        Ok(self.open()?.claim_due(now, lease_ms, &quotas))
    }

    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error> {
        self.write(|tables| {
            results
                .into_iter()
                .map(|result| tables.record_attempt(now, result))
                .collect()
        })
    }

    async fn release(&self, fences: Vec<Fence>) -> Result<(), Error> {
        let mut tables = self.open()?;
        for fence in fences {
            tables.event_leases.release(fence);
            tables.delivery_leases.release(fence);
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        Ok(self.open()?.next_due())
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        Ok(self.open()?.events.get(&id).map(|row| row.stored.clone()))
    }

    async fn events(
        &self,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Error> {
        let tables = self.open()?;
        let newest_first = tables.events.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| before.is_none_or(|id| stored.event.id < id));
        Ok(page.take(limit.clamp(1, PAGE_MAX)).cloned().collect())
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        let tables = self.open()?;
        let newest_first = tables.deliveries.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| fits(&filter, stored));
        Ok(page
            .take(filter.limit.clamp(1, PAGE_MAX))
            .cloned()
            .collect())
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        let tables = self.open()?;
        let row = tables.deliveries.get(&delivery);
        Ok(row.map(|row| row.attempts.clone()).unwrap_or_default())
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        let tables = self.open()?;
        let newest_first = tables.quarantine.values().rev();
        Ok(newest_first
            .take(limit.clamp(1, PAGE_MAX))
            .cloned()
            .collect())
    }

    async fn depth(&self) -> Result<Depth, Error> {
        Ok(self.open()?.depth())
    }

    async fn close(&self) -> Result<(), Error> {
        self.tables().is_closed = true;
        Ok(())
    }
}
