//! Every task has a kind, and the kind says what its end means and what shutdown does with it.
//! Nobody else spawns.
//!
//! Mechanism: [`Tasks::spawn`] counts a task under its [`Kind`] until it ends; [`Tasks::idle`]
//! waits for a count of zero, which is how shutdown goes through the stages in order. A [`Bell`]
//! wakes a worker and carries no data: what is to be done stands in the store. Non-guarantee: an
//! aborted task runs no further line; only [`Kind::Attempt`] is ever aborted.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tracing::error;

/// Characters kept of a panic's words.
const PANIC_CHARS_MAX: usize = 500;

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A listener. Its end before shutdown stops the host.
    Serve,
    /// One client connection. Its panic is logged; shutdown lets it finish.
    Connection,
    /// An operator's connection. Its panic is logged; shutdown does not wait for it.
    Visit,
    /// A stage's loop (route, deliver, record). Its end before shutdown stops the host.
    Worker,
    /// One planning step or one attempt. Its panic is logged; shutdown waits for it up to the
    /// grace, then aborts it: its lease is released and it is made again.
    Attempt,
}

const KINDS: usize = 5;

impl Kind {
    const fn index(self) -> usize {
        match self {
            Self::Serve => 0,
            Self::Connection => 1,
            Self::Worker => 2,
            Self::Attempt => 3,
            Self::Visit => 4,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Connection => "connection",
            Self::Worker => "worker",
            Self::Attempt => "attempt",
            Self::Visit => "visit",
        }
    }

    const fn is_critical(self) -> bool {
        matches!(self, Self::Serve | Self::Worker)
    }
}

/// All tasks of one host.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    running: [AtomicUsize; KINDS],
    ended: Notify,
    attempts: Mutex<Vec<AbortHandle>>,
    #[cfg(test)]
    all: Mutex<Vec<AbortHandle>>,
    stopping: std::sync::atomic::AtomicBool,
    lost: Notify,
}

/// Counts a task out, however it ends.
struct Guard {
    inner: Arc<Inner>,
    kind: Kind,
    name: &'static str,
    returned: bool,
}

// === impl Tasks ===

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` as a task of `kind`. `name` is constant text for the log.
    pub fn spawn(
        &self,
        kind: Kind,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        self.0.running[kind.index()].fetch_add(1, Ordering::SeqCst);
        let guard = Guard { inner: self.0.clone(), kind, name, returned: false };
        let task = async move {
            // Named whole: a capture of one field would leave the guard behind, to be dropped at
            // once.
            let mut guard = guard;
            future.await;
            guard.returned = true;
        };
        #[expect(clippy::disallowed_methods, reason = "this is the file the ban points to")]
        let handle = tokio::spawn(task);
        #[cfg(test)]
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner).push(handle.abort_handle());
        if kind == Kind::Attempt {
            let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            // Keeps the list as long as what runs: finished handles leave as new ones come.
            if attempts.len() >= 2 * (self.running(Kind::Attempt) + 8) {
                attempts.retain(|attempt| !attempt.is_finished());
            }
            attempts.push(handle.abort_handle());
        }
    }

    /// How many tasks of `kind` run.
    pub fn running(&self, kind: Kind) -> usize {
        self.0.running[kind.index()].load(Ordering::SeqCst)
    }

    /// Waits until no task of `kind` runs, at most `limit`. Tells whether that came true.
    ///
    /// # Cancel safety
    /// Safe: it only watches.
    pub async fn idle(&self, kind: Kind, limit: Duration) -> bool {
        let empty = async {
            loop {
                let ended = self.0.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if self.running(kind) == 0 {
                    return;
                }
                ended.await;
            }
        };
        tokio::time::timeout(limit, empty).await.is_ok()
    }

    /// From now on the end of a critical task is expected.
    pub fn begin_shutdown(&self) {
        self.0.stopping.store(true, Ordering::SeqCst);
    }

    /// Ends what is left of [`Kind::Attempt`].
    pub fn abort_attempts(&self) {
        let mut attempts = self.0.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for attempt in attempts.drain(..) {
            attempt.abort();
        }
    }

    /// What kill -9 does: no task runs a further line.
    #[cfg(test)]
    pub fn kill(&self) {
        self.begin_shutdown();
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.drain(..).for_each(|task| task.abort());
    }

    /// Resolves when a listener or a worker ended that should not have.
    pub async fn critical_end(&self) {
        self.0.lost.notified().await;
    }
}

// === impl Guard ===

impl Drop for Guard {
    fn drop(&mut self) {
        self.inner.running[self.kind.index()].fetch_sub(1, Ordering::SeqCst);
        self.inner.ended.notify_waiters();
        let stopping = self.inner.stopping.load(Ordering::SeqCst);
        if !self.returned && !stopping {
            error!(kind = self.kind.name(), name = self.name, "task did not finish");
        }
        if self.kind.is_critical() && !stopping {
            error!(kind = self.kind.name(), name = self.name, "the host cannot go on without it");
            self.inner.lost.notify_one();
        }
    }
}

/// The words of a panic.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Panicked(String);

/// Runs `future`; its panic becomes an error, so that what waits for its end hears of it. What the
/// future held is dropped with it, and nothing is shared with it but through locks.
///
/// # Errors
/// [`Panicked`].
pub async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(move |context| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(context));
        match std::panic::catch_unwind(poll) {
            Ok(poll) => poll.map(Ok),
            Err(payload) => Poll::Ready(Err(Panicked(words(&*payload)))),
        }
    })
    .await
}

fn words(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("panic").chars().take(PANIC_CHARS_MAX).collect()
}

/// Wakes one worker. Ringing twice before it wakes is ringing once.
#[derive(Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Not rung.
    pub fn new() -> Self {
        Self::default()
    }

    /// There may be something to do.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for a ring, at most `limit`.
    ///
    /// # Cancel safety
    /// A ring that came stays for the next wait.
    pub async fn wait(&self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.0.notified()).await;
    }
}

/// The sending end of a stop signal.
pub struct Stopper(watch::Sender<bool>);

/// Tells a loop to end. Cheap to clone.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A stop signal that has not been given.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Gives the signal. It stays given.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the signal was given.
    pub fn is_given(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal; a dropped [`Stopper`] counts as one.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn given(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

#[cfg(test)]
mod tests;
