//! The store in memory, for unit tests and the simulation.
//!
//! The same answers as the other adapters, nothing kept past the process. It can be told to fail:
//! [`MemoryStore::fail_next`] and the like for the next writes, [`MemoryStore::set_script`] for any
//! call.

use super::plugin_state::{Change, Changed, Entry, Page, Space};
use super::{
    Appended, AttemptRecord, AttemptResult, Claim, Claimed, CopyCursor, DeliveryFilter, Depth, Due,
    EndpointHealth, Error, EventFilter, Finding, NewEvent, Oldest, Owed, PAGE_MAX, Plan, Pruned,
    Quarantined, Quota, Record, Recorded, ReplayState, ReplayStep, Retention, SealedSecret, Store,
    StoredDelivery, StoredEvent, StoredReplay,
};
use async_trait::async_trait;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::replay::{Candidate, Selection};
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod claim;
mod copy;
mod faults;
mod plan;
mod plugin_state;
mod read;
mod record;
mod replay;
mod tables;
mod upkeep;

pub use faults::{Call, Fault, Rule, Script};

use faults::Faults;
use tables::Tables;

/// A store in memory.
pub struct MemoryStore {
    dedupe_window_ms: i64,
    state: Mutex<Tables>,
    faults: Mutex<Faults>,
}

/// A fault that a test asked for.
#[derive(Debug, thiserror::Error)]
#[error("injected fault")]
struct Injected;

// === impl MemoryStore ===

impl MemoryStore {
    /// An empty store that looks for the same event key over `dedupe_window_ms`.
    pub fn new(dedupe_window_ms: i64) -> Self {
        Self { dedupe_window_ms, state: Mutex::default(), faults: Mutex::default() }
    }

    /// The next `count` writes answer [`Error::Unavailable`] and change nothing.
    pub fn fail_next(&self, count: u32) {
        self.faults().next_writes(Fault::Unavailable, count);
    }

    /// The next `count` writes answer [`Error::Full`] and change nothing.
    pub fn fill_next(&self, count: u32) {
        self.faults().next_writes(Fault::Full, count);
    }

    /// The next `count` writes never answer and change nothing.
    pub fn hang_next(&self, count: u32) {
        self.faults().next_writes(Fault::Hang, count);
    }

    /// The next `count` writes are done, and answer [`Error::Unavailable`] all the same.
    pub fn lose_next_answers(&self, count: u32) {
        self.faults().next_writes(Fault::LostAnswer, count);
    }

    /// From now on `script` decides what goes wrong.
    pub fn set_script(&self, script: Script) {
        self.faults().set_script(script);
    }

    /// From now on the store breaks `rule`, for tests of those who would notice.
    pub fn break_rule(&self, rule: Rule) {
        self.tables().broken = Some(rule);
    }

    /// Looks at the rows without a fault in the way.
    #[cfg(test)]
    #[cfg(test)]
    pub(crate) fn look<T>(&self, see: impl FnOnce(&Tables) -> T) -> T {
        see(&self.tables())
    }

    /// What the restart of a host does to a store of its own: claims and rates are forgotten.
    pub fn restart(&self) {
        let mut tables = self.tables();
        tables.event_leases = Default::default();
        tables.delivery_leases = Default::default();
        tables.rates = HashMap::new();
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, Tables>, Error> {
        let tables = self.tables();
        if tables.is_closed { Err(Error::Closed) } else { Ok(tables) }
    }

    async fn call<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut Tables) -> T + Send,
    ) -> Result<T, Error> {
        drop(self.open()?);
        let fault = self.faults().next(call);
        match fault {
            Some(Fault::Hang) => std::future::pending::<()>().await,
            Some(Fault::Full) => return Err(Error::Full),
            Some(Fault::Unavailable) => return Err(Error::Unavailable(Injected.into())),
            Some(Fault::Slow(wait)) => tokio::time::sleep(wait).await,
            Some(Fault::LostAnswer | Fault::SlowAnswer(_)) | None => {}
        }
        let answer = act(&mut *self.open()?);
        match fault {
            Some(Fault::LostAnswer) => return Err(Error::Unavailable(Injected.into())),
            Some(Fault::SlowAnswer(wait)) => tokio::time::sleep(wait).await,
            _ => {}
        }
        Ok(answer)
    }

    async fn write<T>(&self, act: impl FnOnce(&mut Tables) -> T + Send) -> Result<T, Error> {
        self.call(Call::Write, act).await
    }

    async fn read<T>(&self, look: impl FnOnce(&Tables) -> T + Send) -> Result<T, Error> {
        self.call(Call::Read, |tables| look(tables)).await
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.write(|tables| tables.append(event, self.dedupe_window_ms)).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.write(|tables| drop(tables.quarantine.insert(item.id, item))).await
    }

    async fn claim_unplanned(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim<StoredEvent>>, Error> {
        self.call(Call::Claim, |tables| tables.claim_unplanned(now, lease_ms, limit)).await
    }

    async fn record_plans(&self, now: Timestamp, plans: Vec<Plan>) -> Result<Vec<Recorded>, Error> {
        self.write(|tables| plans.into_iter().map(|plan| tables.record_plan(now, plan)).collect())
            .await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Due, Error> {
        self.call(Call::Claim, |tables| tables.claim_due(now, lease_ms, &quotas)).await
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
        self.call(Call::Claim, |tables| claimed.into_iter().for_each(|claim| tables.release(claim)))
            .await
    }

    async fn healths(&self) -> Result<Vec<EndpointHealth>, Error> {
        self.read(|tables| tables.healths.values().cloned().collect()).await
    }

    async fn record_health(&self, health: EndpointHealth) -> Result<Recorded, Error> {
        self.write(|tables| tables.record_health(health)).await
    }

    async fn give_up(
        &self,
        now: Timestamp,
        owed: Owed,
        reason: DeadReason,
        note: String,
        limit: usize,
    ) -> Result<u64, Error> {
        self.write(|tables| tables.give_up(now, &owed, reason, &note, limit)).await
    }

    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error> {
        self.read(Tables::pending_by_endpoint).await
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        self.read(|tables| tables.events.get(&id).map(|row| row.stored.clone())).await
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, Error> {
        self.read(|tables| tables.events(&filter)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        self.read(|tables| tables.deliveries(&filter)).await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        let attempts = |tables: &Tables| {
            tables.deliveries.get(&delivery).map(|row| row.attempts.clone()).unwrap_or_default()
        };
        self.read(attempts).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        self.read(|tables| tables.quarantine.values().rev().take(limit).cloned().collect()).await
    }

    async fn depth(&self) -> Result<Depth, Error> {
        self.read(Tables::depth).await
    }

    async fn oldest(&self, now: Timestamp) -> Result<Oldest, Error> {
        self.read(|tables| tables.oldest(now)).await
    }

    async fn candidates(
        &self,
        selection: &Selection,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<EventId>), Error> {
        self.read(|tables| tables.candidates(selection, after, limit)).await
    }

    async fn create_replay(&self, replay: StoredReplay) -> Result<(), Error> {
        self.write(|tables| tables.create_replay(replay)).await
    }

    async fn replays(&self, limit: usize) -> Result<Vec<StoredReplay>, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        self.read(|tables| tables.replays.values().rev().take(limit).cloned().collect()).await
    }

    async fn record_replay(&self, now: Timestamp, step: ReplayStep) -> Result<Recorded, Error> {
        self.write(|tables| tables.record_replay(now, step)).await
    }

    async fn change_replay(
        &self,
        now: Timestamp,
        replay: ReplayId,
        from: ReplayState,
        to: ReplayState,
    ) -> Result<Recorded, Error> {
        self.write(|tables| tables.change_replay(now, replay, from, to)).await
    }

    async fn secrets(&self) -> Result<Vec<SealedSecret>, Error> {
        self.read(Tables::secrets).await
    }

    async fn put_secret(&self, secret: SealedSecret) -> Result<(), Error> {
        self.write(|tables| drop(tables.secrets.insert(secret.id, secret))).await
    }

    async fn remove_secret(&self, id: SecretId) -> Result<Recorded, Error> {
        let remove = |tables: &mut Tables| match tables.secrets.remove(&id) {
            Some(_) => Recorded::Done,
            None => Recorded::Stale,
        };
        self.write(remove).await
    }

    async fn plugin_state(
        &self,
        now: Timestamp,
        space: &Space,
        key: &str,
    ) -> Result<Option<Entry>, Error> {
        self.read(|tables| tables.plugin_state(now, space, key)).await
    }

    async fn change_plugin_state(&self, now: Timestamp, change: Change) -> Result<Changed, Error> {
        self.write(|tables| tables.change_plugin_state(now, &change)).await
    }

    async fn plugin_state_keys(&self, now: Timestamp, page: Page) -> Result<Vec<String>, Error> {
        self.read(|tables| tables.plugin_state_keys(now, &page)).await
    }

    async fn prune(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<Pruned, Error> {
        self.write(|tables| tables.prune(now, retention, limit)).await
    }

    async fn size_bytes(&self) -> Result<u64, Error> {
        self.read(Tables::size_bytes).await
    }

    async fn check(&self) -> Result<Vec<Finding>, Error> {
        self.read(Tables::check).await
    }

    async fn vacuum(&self) -> Result<(), Error> {
        self.write(|_| ()).await
    }

    async fn export(
        &self,
        after: Option<CopyCursor>,
    ) -> Result<(Vec<Record>, Option<CopyCursor>), Error> {
        self.read(|tables| tables.export(after.as_ref())).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<u64, Error> {
        let import = |tables: &mut Tables| {
            records.into_iter().map(|record| u64::from(tables.import(record))).sum()
        };
        self.write(import).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.tables().is_closed = true;
        Ok(())
    }
}
