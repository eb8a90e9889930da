//! The tasks that write what ingest brings.
//!
//! Each takes everything that waits in the queue, up to a limit, runs it in one transaction and
//! then answers all: the more callers, the fewer commits each of them costs. While one task waits
//! for its commit, the next one collects. A batch that fails because of what is in it is run again
//! one by one, so that a bad command harms nobody; a batch that fails because of the server fails
//! whole, and whoever sent an event sends it again.

use super::connect::{OPERATION_MAX, within};
use super::counters::{self, Delta};
use super::fault::Fault;
use super::{Shared, append};
use crate::crash::Written;
use crate::store::{Appended, Error, NewEvent, Quarantined};
use deadpool_postgres::Transaction;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Most commands of one transaction.
pub const BATCH_COMMANDS_MAX: usize = 512;
/// Most body bytes of one transaction; the command that passes it is still in.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commands that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_COMMANDS_MAX: usize = 4_096;
/// Body bytes that may wait. Over it, appends are answered with [`Error::Full`].
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long closing waits for what is queued.
pub const CLOSE_MAX: Duration = Duration::from_secs(20);

/// What ingest brings.
pub enum Command {
    Append(NewEvent),
    Quarantine(Quarantined),
}

/// A command and who waits for it.
struct Queued {
    command: Command,
    reply: oneshot::Sender<Result<Appended, Error>>,
}

/// Where commands wait. Closed, it takes no more; what is in it is still written.
pub struct Queue {
    sender: std::sync::Mutex<Option<mpsc::Sender<Queued>>>,
    /// Body bytes that wait or are being written.
    bytes: Arc<AtomicUsize>,
}

/// One task.
pub struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Mutex<mpsc::Receiver<Queued>>>,
    bytes: Arc<AtomicUsize>,
}

/// A failure that a whole batch shares.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the batch was not written")]
struct Together(#[source] Arc<Fault>);

// === impl Command ===

impl Command {
    /// Body bytes, for the limits.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Append(event) => event.body.len(),
            Self::Quarantine(item) => item.body.len(),
        }
    }
}

// === impl Queue ===

impl Queue {
    /// A queue, and so many tasks that empty it.
    pub fn with_writers(shared: &Arc<Shared>, count: usize) -> (Self, Vec<Writer>) {
        let (sender, receiver) = mpsc::channel(QUEUE_COMMANDS_MAX);
        let (queue, bytes) = (Arc::new(Mutex::new(receiver)), Arc::default());
        let writer = |_| Writer {
            shared: Arc::clone(shared),
            queue: Arc::clone(&queue),
            bytes: Arc::clone(&bytes),
        };
        let writers = (0..count).map(writer).collect();
        (Self { sender: std::sync::Mutex::new(Some(sender)), bytes }, writers)
    }

    /// Queues a command and waits for its end, or says that the queue is full.
    pub async fn offer(&self, command: Command) -> Result<Appended, Error> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(Error::Closed)?;
        let bytes = command.bytes();
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let sent = if before > 0 && before.saturating_add(bytes) > QUEUE_BYTES_MAX {
            Err(Error::Full)
        } else {
            sender.try_send(Queued { command, reply }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Error::Full,
                mpsc::error::TrySendError::Closed(_) => Error::Closed,
            })
        };
        // Held while it waits, it would keep the queue open past its closing.
        drop(sender);
        if let Err(error) = sent {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Takes no more.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

// === impl Writer ===

impl Writer {
    /// Until the store is closed and the queue is empty.
    pub async fn run(self) {
        while let Some(batch) = self.collect().await {
            let bytes: usize = batch.iter().map(|queued| queued.command.bytes()).sum();
            self.write(batch).await;
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    async fn collect(&self) -> Option<Vec<Queued>> {
        let mut queue = self.queue.lock().await;
        let first = queue.recv().await?;
        let mut bytes = first.command.bytes();
        let mut batch = vec![first];
        while batch.len() < BATCH_COMMANDS_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(next) = queue.try_recv() else { break };
            bytes += next.command.bytes();
            batch.push(next);
        }
        Some(batch)
    }

    async fn write(&self, batch: Vec<Queued>) {
        let commands: Vec<&Command> = batch.iter().map(|queued| &queued.command).collect();
        match self.transact(&commands).await {
            Ok(answers) => {
                for (queued, answer) in batch.into_iter().zip(answers) {
                    answered(queued, Ok(answer));
                }
            }
            Err(fault) if batch.len() == 1 || !fault.is_of_the_statement() => {
                let fault = Arc::new(fault);
                for queued in batch {
                    answered(queued, Err(together(&fault)));
                }
            }
            Err(_) => {
                for queued in batch {
                    let answers = self.transact(&[&queued.command]).await;
                    let answer = answers.map(|mut answers| answers.pop());
                    let answer = answer.map(|answer| answer.unwrap_or(Appended::Stored));
                    answered(queued, answer.map_err(Error::from));
                }
            }
        }
    }

    /// One transaction. One answer each, in order.
    async fn transact(&self, commands: &[&Command]) -> Result<Vec<Appended>, Fault> {
        let mut conn = self.shared.connections.get().await?;
        let result = within(OPERATION_MAX, async {
            pass(commands, 0);
            let tx = conn.begin().await?;
            let answers = self.run_all(&tx, commands).await?;
            pass(commands, 1);
            tx.commit().await?;
            pass(commands, 2);
            Ok(answers)
        })
        .await;
        conn.settle(result)
    }

    async fn run_all(
        &self,
        tx: &Transaction<'_>,
        commands: &[&Command],
    ) -> Result<Vec<Appended>, Fault> {
        let (mut events, mut items) = (Vec::new(), Vec::new());
        for command in commands {
            match command {
                Command::Append(event) => events.push(event),
                Command::Quarantine(item) => items.push(item),
            }
        }
        let mut delta = Delta::default();
        let appended =
            append::events(tx, self.shared.dedupe_window_ms, &events, &mut delta).await?;
        append::quarantine(tx, &items, &mut delta).await?;
        // Last, because whoever else has the same share waits from here to the commit.
        counters::add(tx, delta).await?;
        let mut appended = appended.into_iter();
        let answer = |command: &&Command| match command {
            Command::Append(_) => appended.next().unwrap_or(Appended::Stored),
            Command::Quarantine(_) => Appended::Stored,
        };
        Ok(commands.iter().map(answer).collect())
    }
}

fn answered(queued: Queued, answer: Result<Appended, Error>) {
    // Whoever asked may be gone; the write stands all the same.
    let _ = queued.reply.send(answer);
}

fn together(fault: &Arc<Fault>) -> Error {
    match &**fault {
        Fault::Closed => Error::Closed,
        fault if fault.is_of_the_statement() => Error::Damaged(crate::causes::line(fault)),
        _ => Error::Unavailable(Box::new(Together(Arc::clone(fault)))),
    }
}

/// Passes the crash points of whatever is written.
fn pass(commands: &[&Command], boundary: usize) {
    let is_append = |command: &&Command| matches!(command, Command::Append(_));
    if commands.iter().any(is_append) {
        Written::Append.pass(boundary);
    }
    if !commands.iter().all(is_append) {
        Written::Quarantine.pass(boundary);
    }
}
