//! The embedded store: one SQLite file.
//!
//! The cast: one *writer* thread that turns whatever is queued into one transaction ([`writer`]); a
//! few *readers* on blocking threads beside it; *leases* in memory, since the file has one owner.
//! The owner holds a lock on `FILE.lock` while it serves; command-line readers open the file beside
//! it, without the lock and for reading only.
//!
//! Guarantee: an acknowledged write is in the log and synced (`synchronous=FULL`), so it survives a
//! kill -9 and, if the disk keeps its word, a power cut. A failed write changes nothing, in the
//! file or in memory, and the store goes on. Not promised: leases across a restart (they are
//! released, the workers being gone), and more than one machine.

use super::leases::Leases;
use super::{
    Appended, AttemptRecord, AttemptResult, Claim, Claimed, DeliveryFilter, Depth, Due, Error,
    EventFilter, Fence, NewEvent, Plan, Quarantined, Quota, Recorded, Store, StoredDelivery,
    StoredEvent,
};
use async_trait::async_trait;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::Connection;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, mpsc};

mod claim;
mod open;
mod read;
mod rows;
mod schema;
mod write;
mod writer;

pub use open::{OpenError, Options};

use write::{Effects, Scope};
use writer::{Command, Kind, QUEUE_BYTES_MAX, Queued};

/// Connections that read at the same time.
pub const READERS_MAX: usize = 4;

/// A store in one file. Dropping it writes what is queued, as [`Store::close`] does.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    /// `None` when closed or opened for reading.
    queue: Mutex<Option<mpsc::Sender<Queued>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    is_reader: bool,
}

/// What the writer, the claims and the gauges share.
struct Shared {
    dedupe_window_ms: i64,
    events: Mutex<Leases<EventId>>,
    deliveries: Mutex<Leases<DeliveryId>>,
    /// High bits: how often the file was opened, so that no fence is ever used twice.
    fence: AtomicU64,
    /// Body bytes in the queue.
    queued_bytes: AtomicUsize,
    /// Unplanned, pending, dead, quarantined: as committed.
    counters: [AtomicI64; 4],
}

/// Idle connections, and leave to use them.
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

/// A write to a store that was opened for reading.
#[derive(Debug, thiserror::Error)]
#[error("the store was opened for reading only")]
struct ReadOnly;

// === impl Shared ===

impl Shared {
    fn events(&self) -> MutexGuard<'_, Leases<EventId>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliveries(&self) -> MutexGuard<'_, Leases<DeliveryId>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fence(&self) -> Fence {
        Fence(self.fence.fetch_add(1, Ordering::Relaxed))
    }

    /// After the commit.
    fn apply(&self, effects: &Effects) {
        let deltas = [effects.unplanned, effects.pending, effects.dead, effects.quarantined];
        for (counter, delta) in self.counters.iter().zip(deltas) {
            counter.fetch_add(delta, Ordering::Relaxed);
        }
        let mut events = self.events();
        effects.events.iter().for_each(|&id| events.finish(id));
        drop(events);
        let mut deliveries = self.deliveries();
        effects.deliveries.iter().for_each(|&id| deliveries.finish(id));
    }

    /// After a rollback.
    fn take_back(&self, effects: &Effects) {
        let mut events = self.events();
        effects.events.iter().for_each(|&id| events.unsettle(id));
        drop(events);
        let mut deliveries = self.deliveries();
        effects.deliveries.iter().for_each(|&id| deliveries.unsettle(id));
    }
}

// === impl SqliteStore ===

impl SqliteStore {
    fn queue(&self) -> Result<mpsc::Sender<Queued>, Error> {
        if self.is_reader {
            return Err(Error::Unavailable(Box::new(ReadOnly)));
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clone().ok_or(Error::Closed)
    }

    /// Queues a command of ingest, or says that the queue is full.
    async fn offer<T, F>(&self, kind: Kind, bytes: usize, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let queue = self.queue()?;
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (queued, result) = Command::queued(kind, bytes, run);
        let sent = if before > 0 && before.saturating_add(bytes) > QUEUE_BYTES_MAX {
            Err(Error::Full)
        } else {
            queue.try_send(queued).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::Full,
                mpsc::error::TrySendError::Closed(_) => Error::Closed,
            })
        };
        if let Err(error) = sent {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        result.await.map_err(|_| Error::Closed)?
    }

    /// Queues a command of a worker, which waits for its place: it makes room, and workers are few.
    async fn send<T, F>(&self, kind: Kind, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let (queued, result) = Command::queued(kind, 0, run);
        self.queue()?.send(queued).await.map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?
    }

    /// Runs `query` on a reader, on a blocking thread. Dropped while it waits, it does nothing;
    /// later it finishes.
    async fn read<T, F>(&self, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permits = Arc::clone(&self.readers.permits);
        let permit = permits.acquire_owned().await.map_err(|_| Error::Closed)?;
        let readers = Arc::clone(&self.readers);
        let run = move || {
            let mut conn = readers.take()?;
            let result = query(&mut conn);
            readers.put_back(conn);
            drop(permit);
            result.map_err(|error| read::failure(Arc::new(error)))
        };
        tokio::task::spawn_blocking(run).await.map_err(|error| Error::Unavailable(error.into()))?
    }

    /// Claims need the owner: readers have no leases.
    fn owner(&self) -> Result<Arc<Shared>, Error> {
        self.queue().map(|_| Arc::clone(&self.shared))
    }
}

// === impl Readers ===

impl Readers {
    fn take(&self) -> Result<Connection, Error> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(Error::Closed)
    }

    /// A closed pool keeps none.
    fn put_back(&self, conn: Connection) {
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }

    fn close(&self) {
        self.permits.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl SqliteStore {
    /// Lets the writer finish its queue and end. Blocks until it has.
    fn finish(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.readers.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.finish();
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, event: NewEvent) -> Result<Appended, Error> {
        self.offer(Kind::Append, event.body.len(), move |scope| write::append(scope, &event)).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<(), Error> {
        self.offer(Kind::Quarantine, item.body.len(), move |scope| write::quarantine(scope, &item))
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
        self.send(Kind::Plan, move |scope| write::plans(scope, now, &plans)).await
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
        self.send(Kind::Attempt, move |scope| write::attempts(scope, now, &results)).await
    }

    async fn release(&self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let shared = self.owner()?;
        for claim in claimed {
            match claim {
                Claimed::Event(_, fence) => shared.events().release(fence),
                Claimed::Delivery(_, fence) => shared.deliveries().release(fence),
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
        let (before, limit) = (filter.before, filter.limit);
        self.read(move |conn| read::events(conn, before, limit)).await
    }

    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error> {
        self.read(move |conn| read::deliveries(conn, &filter)).await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error> {
        self.read(move |conn| read::attempts(conn, delivery)).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error> {
        self.read(move |conn| read::quarantined(conn, limit)).await
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let [unplanned, pending, dead, quarantined] = if self.is_reader {
            self.read(|conn| read::depth(conn)).await?
        } else {
            self.queue()?;
            self.shared.counters.each_ref().map(|counter| counter.load(Ordering::Relaxed))
        };
        let count = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Depth {
            unplanned: count(unplanned),
            pending: count(pending),
            dead: count(dead),
            quarantined: count(quarantined),
        })
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

#[cfg(test)]
mod tests;
