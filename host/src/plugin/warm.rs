//! Instances that are used again, for plugins whose runtime takes long to start.
//!
//! By default every event gets a fresh instance, and isolation between events is a fact of the
//! structure. An operator may give it up for one plugin: what it then keeps in its memory, the next
//! event of the same source can see. Never that of another source.
//!
//! An instance is taken out of here before it is called and comes back only when the guest has
//! returned: one that trapped, was stopped or broke a limit is gone. It is also thrown away after a
//! number of calls, after a time without any, and when its memory has grown to more than
//! [`GROWTH_MAX`] times what it had when it was made. Every limit is renewed for each call.
//!
//! There are at most [`WARM_MAX`] in the process and as many for a plugin as it may run at once.
//! Past that the one that waited longest is thrown away: keeping is a saving, not a promise.

use super::instance::State;
use super::{Fault, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::Instance;

/// Instances that are kept in this process, over all plugins.
pub const WARM_MAX: u32 = 64;
/// How much its memory may have grown, as a multiple of what it began with.
pub const GROWTH_MAX: usize = 2;
/// Calls of one instance, when the operator does not say.
pub const CALLS_MAX: u32 = 500;
/// Milliseconds without a call, when the operator does not say.
pub const IDLE_MS: u64 = 30_000;

/// Whether a plugin's instances are used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// A fresh one for each event.
    #[default]
    Fresh,
    /// The same for events of one source.
    Warm {
        /// Calls of one instance.
        calls_max: u32,
        /// Milliseconds without a call until it is thrown away.
        idle_ms: u64,
    },
}

/// Those of one plugin.
#[derive(Debug)]
pub(super) struct Pool {
    calls_max: u32,
    idle: Duration,
    kept_max: usize,
    kept: Mutex<Vec<Kept>>,
}

/// One that waits for its next call.
pub(super) struct Kept {
    pub store: Store<State>,
    pub history: History,
    since: Instant,
}

/// What is known of an instance beside its store.
pub(super) struct History {
    pub instance: Instance,
    pub source: String,
    pub calls: u32,
    /// Memory it was made with, in bytes.
    pub begun_bytes: usize,
    /// Its place among [`WARM_MAX`].
    pub _permit: OwnedSemaphorePermit,
}

/// The pools of one process, so that somebody looks at those nobody calls any more.
#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<Vec<Weak<Pool>>>);

// === impl Instances ===

impl Instances {
    /// Warm, with the defaults.
    pub fn warm() -> Self {
        Self::Warm { calls_max: CALLS_MAX, idle_ms: IDLE_MS }
    }
}

// === impl Pool ===

impl Pool {
    /// `None` when instances are not used again.
    pub fn new(instances: Instances, kept_max: usize, pools: &Pools) -> Option<Arc<Self>> {
        let Instances::Warm { calls_max, idle_ms } = instances else {
            return None;
        };
        let idle = Duration::from_millis(idle_ms);
        let pool = Arc::new(Self { calls_max, idle, kept_max, kept: Mutex::default() });
        pools.add(&pool);
        Some(pool)
    }

    /// One of this source, the one that waited least.
    pub fn take(&self, source: &str) -> Option<Kept> {
        self.sweep();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.iter().rposition(|kept| kept.history.source == source)?;
        Some(kept.remove(newest))
    }

    /// Keeps one whose call has come back, unless it is used up.
    pub fn put(&self, store: Store<State>, history: History) {
        let grown = store.data().growth.memory_bytes();
        let grown_max = history.begun_bytes.saturating_mul(GROWTH_MAX);
        if history.calls >= self.calls_max || grown > grown_max {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(Kept { store, history, since: Instant::now() });
        let oldest = (kept.len() > self.kept_max).then(|| kept.remove(0));
        drop(kept);
        drop(oldest);
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Throws away what nobody called for too long.
    fn sweep(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // They are in the order in which they came.
        let idle = kept.iter().take_while(|kept| kept.since.elapsed() >= self.idle).count();
        let idle: Vec<_> = kept.drain(..idle).collect();
        drop(kept);
        drop(idle);
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("calls", &self.history.calls).finish_non_exhaustive()
    }
}

/// Whether the guest itself came to an end: with a result, or by saying that it has none.
pub(super) fn has_returned(result: &Result<Vec<Output>, Fault>) -> bool {
    matches!(result, Ok(_) | Err(Fault::Rejected(_) | Fault::Retry { .. } | Fault::Failed(_)))
}

// === impl Pools ===

impl Pools {
    /// Looks at all of them.
    pub fn sweep(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|pool| pool.strong_count() > 0);
        let pools: Vec<_> = known.iter().filter_map(Weak::upgrade).collect();
        drop(known);
        for pool in pools {
            pool.sweep();
        }
    }

    fn add(&self, pool: &Arc<Pool>) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push(Arc::downgrade(pool));
    }
}
