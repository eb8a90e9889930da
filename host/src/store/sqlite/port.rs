//! The port, call by call: who runs it, and where.

use super::{Role, Scope, SqliteStore, candidates, check, claim, export, pages, read, write};
use crate::crash::Written;
use crate::store::plugin_state::{Change, Changed, Entry, Page, Space};
use crate::store::{
    Appended, AttemptRecord, AttemptResult, Claim, Claimed, CopyCursor, DeliveryFilter, Depth, Due,
    EndpointHealth, Error, EventFilter, Finding, NewEvent, Oldest, Owed, Plan, Pruned, Quarantined,
    Quota, Record, Recorded, ReplayState, ReplayStep, Retention, SealedSecret, Store,
    StoredDelivery, StoredEvent, StoredReplay,
};
use async_trait::async_trait;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::replay::{Candidate, Selection};
use livekit_webhook_core::time::Timestamp;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Most rows of each kind that one step of upkeep changes: the writer belongs to others, too.
const STEP_MAX: usize = 4_096;

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.offer(Written::Append, event.body.len(), move |scope| write::append(scope, &event))
            .await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.offer(Written::Quarantine, item.body.len(), move |scope| {
            write::quarantine(scope, &item)
        })
        .await
    }

    async fn claim_unplanned(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim<StoredEvent>>, Error> {
        let shared = self.owner()?;
        self.read(move |conn| claim::unplanned(conn, &shared, now, lease_ms, limit)).await
    }

    async fn record_plans(&self, now: Timestamp, plans: Vec<Plan>) -> Result<Vec<Recorded>, Error> {
        self.send(Written::Plan, move |scope| write::plans(scope, now, &plans)).await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Due, Error> {
        let shared = self.owner()?;
        self.read(move |conn| claim::due(conn, &shared, now, lease_ms, &quotas)).await
    }

    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error> {
        self.send(Written::Attempt, move |scope| write::attempts(scope, now, &results)).await
    }

    async fn release(&self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let shared = self.owner()?;
        for claim in claimed {
            match claim {
                Claimed::Event(_, fence) => shared.events().release(fence),
                Claimed::Delivery(id, fence) => shared.flights().release(id, fence),
            }
        }
        Ok(())
    }

    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error> {
        self.read(|conn| read::pending_by_endpoint(conn)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error> {
        self.read(move |conn| read::event(conn, id)).await
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, Error> {
        self.read(move |conn| pages::events(conn, &filter)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        self.read(move |conn| pages::deliveries(conn, &filter)).await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        self.read(move |conn| read::attempts(conn, delivery)).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        self.read(move |conn| read::quarantined(conn, limit)).await
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let [unplanned, pending, dead, quarantined] = if self.role == Role::Owner {
            self.owner()?.counters.each_ref().map(|counter| counter.load(Ordering::Relaxed))
        } else {
            self.read(|conn| read::depth(conn)).await?
        };
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Depth {
            unplanned: count(unplanned),
            pending: count(pending),
            dead: count(dead),
            quarantined: count(quarantined),
        })
    }

    async fn oldest(&self, now: Timestamp) -> Result<Oldest, Error> {
        self.read(move |conn| read::oldest(conn, now)).await
    }

    async fn healths(&self) -> Result<Vec<EndpointHealth>, Error> {
        self.read(|conn| read::healths(conn)).await
    }

    async fn record_health(&self, health: EndpointHealth) -> Result<Recorded, Error> {
        self.operate(move |scope| write::record_health(scope, &health)).await
    }

    async fn give_up(
        &self,
        now: Timestamp,
        owed: Owed,
        reason: DeadReason,
        note: String,
        limit: usize,
    ) -> Result<u64, Error> {
        let run = move |scope: &mut Scope<'_>| {
            write::give_up(scope, now, &owed, reason, &note, limit.clamp(1, STEP_MAX))
        };
        self.send(Written::Upkeep, run).await
    }

    async fn candidates(
        &self,
        selection: &Selection,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<EventId>), Error> {
        let selection = selection.clone();
        self.read(move |conn| candidates::candidates(conn, &selection, after, limit)).await
    }

    async fn create_replay(&self, replay: StoredReplay) -> Result<(), Error> {
        self.operate(move |scope| write::create_replay(scope.conn, &replay).map(drop)).await
    }

    async fn replays(&self, limit: usize) -> Result<Vec<StoredReplay>, Error> {
        self.read(move |conn| read::replays(conn, limit)).await
    }

    async fn record_replay(&self, now: Timestamp, step: ReplayStep) -> Result<Recorded, Error> {
        self.send(Written::Replay, move |scope| write::record_replay(scope, now, &step)).await
    }

    async fn change_replay(
        &self,
        now: Timestamp,
        replay: ReplayId,
        from: ReplayState,
        to: ReplayState,
    ) -> Result<Recorded, Error> {
        self.operate(move |scope| write::change_replay(scope.conn, now, replay, from, to)).await
    }

    async fn secrets(&self) -> Result<Vec<SealedSecret>, Error> {
        self.read(|conn| read::secrets(conn)).await
    }

    async fn put_secret(&self, secret: SealedSecret) -> Result<(), Error> {
        self.operate(move |scope| write::put_secret(scope.conn, &secret)).await
    }

    async fn remove_secret(&self, id: SecretId) -> Result<Recorded, Error> {
        self.operate(move |scope| write::remove_secret(scope.conn, id)).await
    }

    async fn plugin_state(
        &self,
        now: Timestamp,
        space: &Space,
        key: &str,
    ) -> Result<Option<Entry>, Error> {
        let (space, key) = (space.clone(), key.to_owned());
        self.read(move |conn| read::plugin_state(conn, now, &space, &key)).await
    }

    async fn change_plugin_state(&self, now: Timestamp, change: Change) -> Result<Changed, Error> {
        let run = move |scope: &mut Scope<'_>| write::plugin_state::change(scope, now, &change);
        self.send(Written::State, run).await
    }

    async fn plugin_state_keys(&self, now: Timestamp, page: Page) -> Result<Vec<String>, Error> {
        self.read(move |conn| read::plugin_state_keys(conn, now, &page)).await
    }

    async fn prune(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<Pruned, Error> {
        let retention = *retention;
        let run = move |scope: &mut Scope<'_>| {
            write::prune(scope, now, &retention, limit.clamp(1, STEP_MAX))
        };
        self.send(Written::Upkeep, run).await
    }

    async fn size_bytes(&self) -> Result<u64, Error> {
        self.read(|conn| read::size_bytes(conn)).await
    }

    async fn check(&self) -> Result<Vec<Finding>, Error> {
        self.read(check::check).await
    }

    async fn vacuum(&self) -> Result<(), Error> {
        self.compact().await
    }

    async fn export(
        &self,
        after: Option<CopyCursor>,
    ) -> Result<(Vec<Record>, Option<CopyCursor>), Error> {
        self.read(move |conn| export::export(conn, after.as_ref())).await
    }

    async fn import(&self, records: Vec<Record>) -> Result<u64, Error> {
        self.send(Written::Upkeep, move |scope| write::import(scope, &records)).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.readers.permits.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let join = move || thread.join().map_err(|_| "the writer panicked");
            let joined = tokio::task::spawn_blocking(join).await;
            let joined = joined.map_err(|error| Error::Unavailable(error.into()))?;
            joined.map_err(|words| Error::Damaged(words.to_owned()))?;
        }
        self.readers.close();
        Ok(())
    }
}
