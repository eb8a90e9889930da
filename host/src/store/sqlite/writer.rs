//! The one thread that writes.
//!
//! It takes everything that waits in the queue, up to a limit, runs it in one transaction, syncs
//! once and then answers all: the more callers, the fewer syncs each of them costs. A batch in
//! which a command fails is rolled back and its commands are run again, each alone, so that a bad
//! one harms nobody. Savepoints would do the same at a price paid by every good batch.
//!
//! A batch of nothing but plans and attempts is committed without a sync of its own: a kill -9
//! takes nothing from it, and a power cut takes the end of the log, which any later sync makes
//! safe. One comes with the next other batch, or when [`SYNC_DELAY_MS`] have passed.
//!
//! The thread owns the connection and the lock beside the file. It ends when the store is closed or
//! dropped, after it has written all that was queued.

use super::write::{Effects, Scope};
use super::{Shared, lanes, read};
use crate::crash::Written;
use crate::store::Error;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Most commands of one transaction.
pub const BATCH_COMMANDS_MAX: usize = 512;
/// Most body bytes of one transaction; the command that passes it is still in.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commands that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_COMMANDS_MAX: usize = 4_096;
/// Body bytes that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Longest time for which a power cut may take recorded plans and attempts, in milliseconds. They
/// are made again then; nothing that was acknowledged to a sender is lost.
pub const SYNC_DELAY_MS: u64 = 100;

/// The thread's own.
pub struct Writer {
    conn: Connection,
    shared: Arc<Shared>,
    queue: Receiver<Message>,
    endpoints: HashMap<String, i64>,
    /// The write-ahead log, for syncs between commits.
    log: File,
    /// Since when something is committed and not synced.
    unsynced_since: Option<Instant>,
    /// A sync of the log failed: what it holds may not be on the disk, though it can be read.
    is_doubtful: bool,
    /// Whether the connection syncs at every commit, as it was last told.
    syncs: bool,
    /// The owner's, held until the thread ends.
    lock: Option<File>,
}

/// What the thread is asked to do.
pub enum Message {
    /// In a transaction with others.
    Write(Queued),
    /// Outside of any.
    Vacuum(oneshot::Sender<Result<(), Error>>),
}

/// A command and the bytes it holds.
pub struct Queued {
    pub kind: Written,
    pub work: Box<dyn Work>,
    pub bytes: usize,
    /// In the queue; given back when the command is answered.
    _place: OwnedSemaphorePermit,
}

/// Something to do inside a transaction, and somebody who waits for it.
pub trait Work: Send {
    /// May be called twice, after a rollback.
    fn run(&mut self, scope: &mut Scope<'_>) -> rusqlite::Result<()>;

    /// Called once, after the commit or after the last failure.
    fn answer(self: Box<Self>, outcome: Result<(), Error>);
}

/// The only [`Work`]: a function and the place for its result.
pub struct Command<T, F> {
    run: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

// === impl Command ===

impl<T, F> Command<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
{
    /// A command of `bytes` body bytes, and where its result arrives.
    pub fn queued(
        kind: Written,
        bytes: usize,
        place: OwnedSemaphorePermit,
        run: F,
    ) -> (Message, oneshot::Receiver<Result<T, Error>>) {
        let (reply, result) = oneshot::channel();
        let work = Box::new(Self { run, result: None, reply });
        (Message::Write(Queued { kind, work, bytes, _place: place }), result)
    }
}

impl<T, F> Work for Command<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Scope<'_>) -> rusqlite::Result<T> + Send + 'static,
{
    fn run(&mut self, scope: &mut Scope<'_>) -> rusqlite::Result<()> {
        self.result = Some((self.run)(scope)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Error>) {
        let never_run = || Error::Damaged("a command was answered before it was run".to_owned());
        let Self { result, reply, .. } = *self;
        // Whoever asked may be gone; the write stands all the same.
        let _ = reply.send(outcome.and_then(|()| result.ok_or_else(never_run)));
    }
}

// === impl Writer ===

impl Writer {
    /// Ready to run, with an owner's `lock` or beside one.
    pub fn new(
        conn: Connection,
        shared: Arc<Shared>,
        queue: Receiver<Message>,
        log: File,
        lock: Option<File>,
    ) -> Self {
        let (endpoints, unsynced_since) = (HashMap::new(), None);
        let (is_doubtful, syncs) = (false, true);
        Self { conn, shared, queue, endpoints, log, unsynced_since, is_doubtful, syncs, lock }
    }

    /// The thread's body.
    pub fn run(mut self) {
        while let Some(first) = self.next() {
            match first {
                Message::Write(first) => self.write(first),
                Message::Vacuum(reply) => self.vacuum(reply),
            }
        }
        self.sync();
        if self.lock.is_some() {
            // Best effort: the next open does the same.
            let _ = self.conn.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
        }
        drop(self.conn);
        drop(self.lock);
    }

    /// The next message. While nothing comes, what waits for a sync gets it in time.
    fn next(&mut self) -> Option<Message> {
        if let Some(since) = self.unsynced_since {
            let left = Duration::from_millis(SYNC_DELAY_MS).saturating_sub(since.elapsed());
            match self.queue.recv_timeout(left) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.sync(),
            }
        }
        self.queue.recv().ok()
    }

    /// Gathers what else waits, up to the limits, and commits it.
    fn write(&mut self, first: Queued) {
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        let mut vacuum = None;
        while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX && vacuum.is_none() {
            match self.queue.try_recv() {
                Ok(Message::Write(next)) => {
                    bytes += next.bytes;
                    batch.push(next);
                }
                Ok(Message::Vacuum(reply)) => vacuum = Some(reply),
                Err(_) => break,
            }
        }
        self.commit(batch);
        self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(reply) = vacuum {
            self.vacuum(reply);
        }
    }

    fn vacuum(&mut self, reply: oneshot::Sender<Result<(), Error>>) {
        let done = self.conn.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        let _ = reply.send(done.map_err(|error| read::failure(Arc::new(error))));
    }

    /// Makes safe what was committed without a sync. If the disk refuses, [`Writer::settle`] mends
    /// it before anything else is committed.
    fn sync(&mut self) {
        if self.unsynced_since.take().is_some() && self.log.sync_data().is_err() {
            self.is_doubtful = true;
        }
    }

    /// After a failed sync the kernel may have dropped pages of the log that it still shows, and a
    /// power cut would take them and all that was appended behind them. So the log is copied into
    /// the database and begun anew, or nothing more is committed.
    fn settle(&mut self) -> rusqlite::Result<()> {
        if !self.is_doubtful {
            return Ok(());
        }
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = self.conn.query_row(sql, [], |row| row.get(0))?;
        if busy != 0 {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            let text = "the log could not be synced, and a reader keeps it from being copied";
            return Err(rusqlite::Error::SqliteFailure(busy, Some(text.to_owned())));
        }
        self.is_doubtful = false;
        Ok(())
    }

    /// A batch is synced with its commit, unless all of it can wait, and has not waited long.
    fn set_syncs(&mut self, batch: &[Queued]) -> rusqlite::Result<()> {
        let waits =
            batch.iter().all(|queued| matches!(queued.kind, Written::Plan | Written::Attempt));
        let delay = Duration::from_millis(SYNC_DELAY_MS);
        let is_late = self.unsynced_since.is_some_and(|since| since.elapsed() >= delay);
        let syncs = !waits || is_late;
        if syncs != self.syncs {
            let level = if syncs { "FULL" } else { "NORMAL" };
            self.conn.execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.syncs = syncs;
        }
        Ok(())
    }

    fn commit(&mut self, mut batch: Vec<Queued>) {
        match self.attempt(&mut batch) {
            Ok(()) => batch.into_iter().for_each(|queued| queued.work.answer(Ok(()))),
            Err(error) if batch.len() == 1 || is_everybodys(&error) => {
                let error = Arc::new(error);
                for queued in batch {
                    queued.work.answer(Err(read::failure(Arc::clone(&error))));
                }
            }
            Err(_) => {
                for queued in batch {
                    let mut alone = [queued];
                    let outcome = self.attempt(&mut alone);
                    let [queued] = alone;
                    let outcome = outcome.map_err(|error| read::failure(Arc::new(error)));
                    queued.work.answer(outcome);
                }
            }
        }
    }

    /// Runs a batch in one transaction. What it changed in memory is kept or taken back with it.
    fn attempt(&mut self, batch: &mut [Queued]) -> rusqlite::Result<()> {
        let mut effects = Effects::default();
        match self.transact(batch, &mut effects) {
            Ok(()) => {
                self.unsynced_since = match self.syncs {
                    true => None,
                    false => self.unsynced_since.or_else(|| Some(Instant::now())),
                };
                self.shared.apply(&effects);
                Ok(())
            }
            Err(error) => {
                self.endpoints.clear();
                self.shared.take_back(&effects);
                Err(error)
            }
        }
    }

    fn transact(&mut self, batch: &mut [Queued], effects: &mut Effects) -> rusqlite::Result<()> {
        self.settle()?;
        self.set_syncs(batch)?;
        pass(batch, 0);
        // Dropped without a commit, it rolls back.
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut scope =
            Scope { conn: &tx, shared: &self.shared, endpoints: &mut self.endpoints, effects };
        for queued in batch.iter_mut() {
            queued.work.run(&mut scope)?;
        }
        lanes::put_in_order(&mut scope)?;
        save_counters(&tx, effects)?;
        pass(batch, 1);
        tx.commit()?;
        pass(batch, 2);
        Ok(())
    }
}

fn save_counters(conn: &Connection, effects: &Effects) -> rusqlite::Result<()> {
    let Effects { unplanned, pending, dead, quarantined, .. } = *effects;
    if [unplanned, pending, dead, quarantined] == [0; 4] {
        return Ok(());
    }
    let sql = "UPDATE store SET unplanned = unplanned + ?1, pending = pending + ?2, \
         dead = dead + ?3, quarantined = quarantined + ?4";
    conn.prepare_cached(sql)?.execute(params![unplanned, pending, dead, quarantined])?;
    Ok(())
}

/// Whether the next command would fail in the same way: disk, memory, lock.
fn is_everybodys(error: &rusqlite::Error) -> bool {
    let codes = [
        ErrorCode::DiskFull,
        ErrorCode::SystemIoFailure,
        ErrorCode::CannotOpen,
        ErrorCode::ReadOnly,
        ErrorCode::OutOfMemory,
        ErrorCode::DatabaseBusy,
        ErrorCode::DatabaseCorrupt,
        ErrorCode::NotADatabase,
    ];
    error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
}

/// Passes the points of whatever `batch` writes, once for each kind.
fn pass(batch: &[Queued], boundary: usize) {
    for kind in Written::ALL {
        if batch.iter().any(|queued| queued.kind == kind) {
            kind.pass(boundary);
        }
    }
}

#[cfg(test)]
mod tests;
