//! The one thread that writes.
//!
//! It takes everything that waits in the queue, up to a limit, runs it in one transaction, syncs
//! once and then answers all: the more callers, the fewer syncs each of them costs. A batch in
//! which a command fails is rolled back and its commands are run again, each alone, so that a bad
//! one harms nobody. Savepoints would do the same at a price paid by every good batch.
//!
//! The thread owns the connection and the lock beside the file. It ends when the store is closed or
//! dropped, after it has written all that was queued.

use super::write::{Effects, Scope};
use super::{Shared, read};
use crate::crash;
use crate::store::Error;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

/// Most commands of one transaction.
pub const BATCH_COMMANDS_MAX: usize = 512;
/// Most body bytes of one transaction; the command that passes it is still in.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commands that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_COMMANDS_MAX: usize = 4_096;
/// Body bytes that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The thread's own.
pub struct Writer {
    pub conn: Connection,
    pub shared: Arc<Shared>,
    pub queue: mpsc::Receiver<Queued>,
    pub endpoints: HashMap<String, i64>,
    /// Held until the thread ends.
    pub lock: File,
}

/// What a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Append,
    Quarantine,
    Plan,
    Attempt,
    Replay,
    /// All that nobody waits for on the way of an event.
    Upkeep,
}

/// A command and the bytes it holds.
pub struct Queued {
    pub kind: Kind,
    pub work: Box<dyn Work>,
    pub bytes: usize,
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
        kind: Kind,
        bytes: usize,
        run: F,
    ) -> (Queued, oneshot::Receiver<Result<T, Error>>) {
        let (reply, result) = oneshot::channel();
        (Queued { kind, work: Box::new(Self { run, result: None, reply }), bytes }, result)
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

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Append, Self::Quarantine, Self::Plan, Self::Attempt, Self::Replay, Self::Upkeep];

    /// Names of [`crash::POINTS`]: before the transaction, before and after its commit.
    pub const fn points(self) -> [&'static str; 3] {
        match self {
            Self::Append => ["append.begin.before", "append.commit.before", "append.commit.after"],
            Self::Quarantine => {
                ["quarantine.begin.before", "quarantine.commit.before", "quarantine.commit.after"]
            }
            Self::Plan => ["plan.begin.before", "plan.commit.before", "plan.commit.after"],
            Self::Attempt => {
                ["attempt.begin.before", "attempt.commit.before", "attempt.commit.after"]
            }
            Self::Replay => ["replay.begin.before", "replay.commit.before", "replay.commit.after"],
            Self::Upkeep => ["upkeep.begin.before", "upkeep.commit.before", "upkeep.commit.after"],
        }
    }

    /// Passes the points of whatever `batch` writes, once for each kind.
    fn pass(batch: &[Queued], boundary: usize) {
        for kind in Self::ALL {
            if batch.iter().any(|queued| queued.kind == kind) {
                crash::point(kind.points()[boundary]);
            }
        }
    }
}

// === impl Writer ===

impl Writer {
    /// The thread's body.
    pub fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let mut bytes = first.bytes;
            let mut batch = vec![first];
            while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX {
                let Ok(next) = self.queue.try_recv() else {
                    break;
                };
                bytes += next.bytes;
                batch.push(next);
            }
            self.commit(batch);
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        // Best effort: the next open does the same.
        let _ = self.conn.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.conn);
        drop(self.lock);
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
        Kind::pass(batch, 0);
        // Dropped without a commit, it rolls back.
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut scope =
            Scope { conn: &tx, shared: &self.shared, endpoints: &mut self.endpoints, effects };
        for queued in batch.iter_mut() {
            queued.work.run(&mut scope)?;
        }
        save_counters(&tx, effects)?;
        Kind::pass(batch, 1);
        tx.commit()?;
        Kind::pass(batch, 2);
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
