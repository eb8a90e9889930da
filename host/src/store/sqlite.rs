//! The embedded store: one SQLite file.
//!
//! The cast: one *writer* thread that turns whatever is queued into one transaction ([`writer`]); a
//! few *readers* on blocking threads beside it; *flights* and leases in memory, since the file has
//! one owner. The owner holds a lock on `FILE.lock` while it serves.
//!
//! A command line works beside the owner. It reads everything, and it makes the small writes of an
//! operator (health, replays, secrets) in short transactions of its own, between those of the owner.
//! The owner keeps no copy of what they change: health is read with every claim, replays and secrets
//! are read when they are needed, counters do not count them. So nothing can be stale, and what
//! looks once a second learns of a change within a second. All else needs the owner, since only its
//! memory knows what is claimed. Where there is no owner, the command becomes it.
//!
//! Guarantee: an append is in the log and synced before it is acknowledged, so it survives a kill -9
//! and, if the disk keeps its word, a power cut; so does everything but plans and attempts. These
//! survive a kill -9 at once and a power cut after [`SYNC_DELAY_MS`] or the next append: what
//! is lost then is the end of the log, in order and whole, so some attempts are made again. A failed
//! write changes nothing, in the file or in memory, and the store goes on. Not promised: leases,
//! rates and requests in flight across a restart (the workers are gone), and more than one machine.

use super::leases::Leases;
use super::{Error, Fence};
use flight::Flights;
use livekit_webhook_core::id::EventId;
use rusqlite::Connection;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

mod candidates;
mod check;
mod claim;
mod export;
mod flight;
mod lanes;
mod open;
mod pages;
mod port;
mod read;
mod rows;
mod schema;
mod write;
mod writer;

pub use open::{OpenError, Options};
pub use writer::SYNC_DELAY_MS;

use crate::crash::Written;
use write::{Effects, Scope, Walks};
use writer::{Command, Message, QUEUE_BYTES_MAX};

/// Connections that read at the same time.
pub const READERS_MAX: usize = 4;

/// A store in one file. Dropping it writes what is queued, as [`Store::close`] does.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    /// `None` when closed or opened for reading.
    queue: Mutex<Option<Sender<Message>>>,
    /// Room in the queue, in commands.
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    role: Role,
}

/// What an opened file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Owner,
    /// Reading, and an operator's small writes, while another process owns the file.
    Beside,
    /// Reading.
    Reader,
}

/// What the writer, the claims and the gauges share.
struct Shared {
    dedupe_window_ms: i64,
    events: Mutex<Leases<EventId>>,
    flights: Mutex<Flights>,
    walks: Mutex<Walks>,
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

/// Something that only another role may do.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the store was opened for reading only")]
    ReadOnly,
    #[error("the file is owned by another process, and only the owner may do this")]
    NotOwner,
}

// === impl Shared ===

impl Shared {
    fn events(&self) -> MutexGuard<'_, Leases<EventId>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walks(&self) -> MutexGuard<'_, Walks> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut flights = self.flights();
        effects.deliveries.iter().for_each(|&id| flights.finish(id));
    }

    /// After a rollback.
    fn take_back(&self, effects: &Effects) {
        let mut events = self.events();
        effects.events.iter().for_each(|&id| events.unsettle(id));
        drop(events);
        let mut flights = self.flights();
        effects.deliveries.iter().for_each(|&id| flights.unsettle(id));
    }
}

// === impl SqliteStore ===

impl SqliteStore {
    /// What it was opened for.
    pub fn role(&self) -> Role {
        self.role
    }

    fn queue(&self, needed: Role) -> Result<Sender<Message>, Error> {
        let refused = match (self.role, needed) {
            (Role::Owner, _) | (Role::Beside, Role::Beside) => None,
            (Role::Beside, _) => Some(Refused::NotOwner),
            (Role::Reader, _) => Some(Refused::ReadOnly),
        };
        if let Some(refused) = refused {
            return Err(Error::Unavailable(Box::new(refused)));
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clone().ok_or(Error::Closed)
    }

    /// Queues a command of ingest, or says that the queue is full.
    async fn offer<T, F>(&self, kind: Written, bytes: usize, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let queue = self.queue(Role::Owner)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Full)?;
        let before = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_full = before > 0 && before.saturating_add(bytes) > QUEUE_BYTES_MAX;
        let (queued, result) = Command::queued(kind, bytes, place, run);
        if is_full || queue.send(queued).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(if is_full { Error::Full } else { Error::Closed });
        }
        result.await.map_err(|_| Error::Closed)?
    }

    /// Queues a command of a worker, which waits for its place: it makes room, and workers are few.
    async fn send<T, F>(&self, kind: Written, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.send_as(Role::Owner, kind, run).await
    }

    async fn send_as<T, F>(&self, needed: Role, kind: Written, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.queue(needed)?;
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (queued, result) = Command::queued(kind, 0, place, run);
        // Asked again: it may have been closed while this waited.
        self.queue(needed)?.send(queued).map_err(|_| Error::Closed)?;
        result.await.map_err(|_| Error::Closed)?
    }

    /// A small write of an operator, which may be beside the owner.
    async fn operate<T, F>(&self, run: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.send_as(Role::Beside, Written::Upkeep, run).await
    }

    async fn compact(&self) -> Result<(), Error> {
        let (reply, result) = oneshot::channel();
        self.queue(Role::Owner)?.send(Message::Vacuum(reply)).map_err(|_| Error::Closed)?;
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
        self.queue(Role::Owner).map(|_| Arc::clone(&self.shared))
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

#[cfg(test)]
mod tests;
