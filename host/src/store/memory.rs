//! The store in memory, for unit tests and the simulation.
//!
//! The same answers as the other adapters, nothing kept past the process. It can be told to fail:
//! [`MemoryStore::fail_next`] refuses the next writes before they happen,
//! [`MemoryStore::fill_next`] because the queue is full, [`MemoryStore::hang_next`] never answers
//! them, and [`MemoryStore::lose_next_answers`] does them and then says that it could not, which is
//! what a lost connection looks like.

use super::{
    Appended, AttemptRecord, AttemptResult, Claim, Claimed, DeliveryFilter, Depth, Due, Error,
    EventFilter, NewEvent, PAGE_MAX, Plan, Quarantined, Quota, Recorded, Status, Store,
    StoredDelivery, StoredEvent,
};
use async_trait::async_trait;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod tables;

use tables::Tables;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    dedupe_window_ms: i64,
    state: Mutex<Tables>,
}

/// A fault that a test asked for.
#[derive(Debug, thiserror::Error)]
#[error("injected fault")]
struct Injected;

// === impl MemoryStore ===

impl MemoryStore {
    /// An empty store that looks for the same event key over `dedupe_window_ms`.
    pub fn new(dedupe_window_ms: i64) -> Self {
        Self { dedupe_window_ms, state: Mutex::default() }
    }

    /// The next `count` writes answer [`Error::Unavailable`] and change nothing.
    pub fn fail_next(&self, count: u32) {
        self.tables().failures = count;
    }

    /// The next `count` writes answer [`Error::Full`] and change nothing.
    pub fn fill_next(&self, count: u32) {
        self.tables().full = count;
    }

    /// The next `count` writes never answer and change nothing.
    pub fn hang_next(&self, count: u32) {
        self.tables().hangs = count;
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
        if tables.is_closed { Err(Error::Closed) } else { Ok(tables) }
    }

    async fn write<T>(&self, change: impl FnOnce(&mut Tables) -> T + Send) -> Result<T, Error> {
        let hangs = take_one(&mut self.open()?.hangs);
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut tables = self.open()?;
        if take_one(&mut tables.full) {
            return Err(Error::Full);
        }
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

fn fits(filter: &DeliveryFilter, delivery: &StoredDelivery) -> bool {
    let status = match delivery.state {
        State::Pending => Status::Pending,
        State::Delivered => Status::Delivered,
        State::Dead(_) => Status::Dead,
    };
    filter.endpoint.as_ref().is_none_or(|endpoint| *endpoint == delivery.endpoint)
        && filter.event.is_none_or(|event| event == delivery.event)
        && filter.status.is_none_or(|wanted| wanted == status)
        && filter.before.is_none_or(|before| delivery.id < before)
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.write(|tables| tables.append(event, self.dedupe_window_ms)).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.write(|tables| {
            tables.quarantine.insert(item.id, item);
        })
        .await
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
        let record = |tables: &mut Tables| {
            plans.into_iter().map(|plan| tables.record_plan(now, plan)).collect()
        };
        self.write(record).await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Due, Error> {
        Ok(self.open()?.claim_due(now, lease_ms, &quotas))
    }

    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error> {
        self.write(|tables| {
            results.into_iter().map(|result| tables.record_attempt(now, result)).collect()
        })
        .await
    }

    async fn release(&self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let mut tables = self.open()?;
        for claim in claimed {
            match claim {
                Claimed::Event(_, fence) => tables.event_leases.release(fence),
                Claimed::Delivery(_, fence) => tables.delivery_leases.release(fence),
            }
        }
        Ok(())
    }

    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error> {
        Ok(self.open()?.pending_by_endpoint())
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        Ok(self.open()?.events.get(&id).map(|row| row.stored.clone()))
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, Error> {
        let (before, limit) = (filter.before, filter.limit);
        let tables = self.open()?;
        let newest_first = tables.events.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| before.is_none_or(|id| stored.event.id < id));
        Ok(page.take(limit.clamp(1, PAGE_MAX)).cloned().collect())
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        let tables = self.open()?;
        let newest_first = tables.deliveries.values().rev().map(|row| &row.stored);
        let page = newest_first.filter(|stored| fits(&filter, stored));
        Ok(page.take(filter.limit.clamp(1, PAGE_MAX)).cloned().collect())
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        let tables = self.open()?;
        let row = tables.deliveries.get(&delivery);
        Ok(row.map(|row| row.attempts.clone()).unwrap_or_default())
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        let tables = self.open()?;
        let newest_first = tables.quarantine.values().rev();
        Ok(newest_first.take(limit.clamp(1, PAGE_MAX)).cloned().collect())
    }

    async fn depth(&self) -> Result<Depth, Error> {
        Ok(self.open()?.depth())
    }

    async fn close(&self) -> Result<(), Error> {
        self.tables().is_closed = true;
        Ok(())
    }
}
