//! The thread that makes running wasm look up.
//!
//! It ticks while calls run, and for a short time after the last one, so that calls that follow
//! each other do not have to wake it. Then it sleeps: an idle host costs nothing. About once a
//! second it throws away warm instances that nobody called. It holds its engine weakly and ends
//! when the last plugin has let that go.

use super::TICK;
use crate::plugin::warm::Pools;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// How often the sleeping thread looks whether its engine is still there.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// Ticks between two looks at warm instances, while it ticks.
const SWEEP_TICKS: u32 = 1000;
/// Ticks without a call until it sleeps.
const IDLE_TICKS: u32 = 50;

/// Its handle. Cheap to clone.
#[derive(Clone)]
pub struct Ticker {
    calls: Arc<Calls>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Calls {
    running: AtomicUsize,
    /// Set by the thread before it looks at `running` for the last time.
    asleep: AtomicBool,
}

/// One call that runs.
pub struct Running<'a>(&'a Calls);

// === impl Ticker ===

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the machine gives none.
    pub fn start(engine: &wasmtime::Engine, warm: &Arc<Pools>) -> io::Result<Self> {
        let warm = warm.clone();
        let weak = engine.weak();
        let calls = Arc::new(Calls::default());
        let counted = calls.clone();
        let named = std::thread::Builder::new().name("plugin-ticker".to_owned());
        let thread = named.spawn(move || {
            let (mut idle_ticks, mut ticks) = (0, 0);
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                idle_ticks = match counted.running.load(Ordering::SeqCst) {
                    0 => idle_ticks + 1,
                    _ => 0,
                };
                ticks = (ticks + 1) % SWEEP_TICKS;
                if ticks == 0 || idle_ticks > IDLE_TICKS {
                    warm.sweep();
                }
                if idle_ticks <= IDLE_TICKS {
                    std::thread::sleep(TICK);
                    continue;
                }
                // A call that comes from here on finds the flag and leaves a token; one that came
                // before is counted already.
                counted.asleep.store(true, Ordering::SeqCst);
                if counted.running.load(Ordering::SeqCst) == 0 {
                    std::thread::park_timeout(IDLE_LOOK);
                }
                counted.asleep.store(false, Ordering::SeqCst);
            }
        })?;
        Ok(Self { calls, thread: thread.thread().clone() })
    }

    /// Keeps it ticking while the result lives.
    pub fn run(&self) -> Running<'_> {
        self.calls.running.fetch_add(1, Ordering::SeqCst);
        if self.calls.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.calls)
    }
}

// === impl Running ===

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}
