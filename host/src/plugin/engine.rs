//! The one engine: what compiled code looks like, where instances live, and the clock that
//! interrupts them.
//!
//! Instances come from a pool of memory that is mapped once, so that a fresh one for each event
//! costs microseconds. A machine that does not give the address space gets them on demand: slower,
//! with the same limits. While a call runs, a thread ticks every millisecond; at a tick, running
//! wasm comes back to the host, which charges its CPU (see [`super::meter`]). Without a call it
//! sleeps, so that an idle host costs nothing. It holds the engine weakly and ends when the last
//! plugin has let it go.
//!
//! Non-guarantee: a tick does not interrupt a host function, nor one long copy within the guest's
//! memory.

use super::limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often running wasm is interrupted to be charged.
pub const TICK: Duration = Duration::from_millis(1);
/// How often the sleeping thread looks whether its engine is still there.
const IDLE_LOOK: Duration = Duration::from_secs(1);
/// Instances that exist at once in this process, over all plugins. Further calls wait within their
/// deadline.
pub const INSTANCES_MAX: u32 = 128;
/// Memory that stays mapped in a free slot, in bytes: it is cleared instead of given back to the
/// kernel.
const MEMORY_KEEP_BYTES: usize = 1024 * 1024;
/// The same for tables.
const TABLE_KEEP_BYTES: usize = 64 * 1024;
/// The same for the stacks of fibers: without it every call gives its stack back to the kernel.
const STACK_KEEP_BYTES: usize = 64 * 1024;
/// Frames kept of a trap.
const FRAMES_MAX: usize = 20;

/// Shared by all plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: wasmtime::Engine,
    places: Arc<Semaphore>,
    /// Instances that exist now: the thread ticks while there are any.
    instances: Arc<AtomicUsize>,
    ticker: Thread,
    pooled: bool,
}

/// The right to have one instance. The engine ticks while it lives.
pub(super) struct Place<'a> {
    instances: &'a AtomicUsize,
    _permit: SemaphorePermit<'a>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine is not supported.
    #[error("the WebAssembly engine does not run on this machine")]
    Unsupported(#[source] wasmtime::Error),
    /// No thread for the ticks.
    #[error("no thread could be started for the plugins' clock")]
    Ticker(#[source] std::io::Error),
}

// === impl Engine ===

impl Engine {
    /// Starts the engine and its ticking thread.
    ///
    /// # Errors
    /// When the machine is not one the engine has code for, or gives no thread.
    pub fn new() -> Result<Self, Error> {
        match wasmtime::Engine::new(&config(Some(pool()))) {
            Ok(inner) => Self::start(inner, true),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no address space for a pool of plugin instances; they are made on demand"
                );
                Self::on_demand()
            }
        }
    }

    /// The same without a pool.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn on_demand() -> Result<Self, Error> {
        let inner = wasmtime::Engine::new(&config(None)).map_err(Error::Unsupported)?;
        Self::start(inner, false)
    }

    /// Whether instances come from a pool.
    pub fn pooled(&self) -> bool {
        self.pooled
    }

    /// The engine itself, to compile and to link.
    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Waits until another instance may exist, and keeps the engine ticking for it. `None` never
    /// comes while the engine lives.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn place(&self) -> Option<Place<'_>> {
        let permit = self.places.acquire().await.ok()?;
        if self.instances.fetch_add(1, Ordering::SeqCst) == 0 {
            self.ticker.unpark();
        }
        Some(Place { instances: &self.instances, _permit: permit })
    }

    fn start(inner: wasmtime::Engine, pooled: bool) -> Result<Self, Error> {
        let weak = inner.weak();
        let instances = Arc::new(AtomicUsize::new(0));
        let counted = instances.clone();
        let thread = std::thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    if counted.load(Ordering::SeqCst) == 0 {
                        // An instance that came since then has left its token: this returns at
                        // once.
                        std::thread::park_timeout(IDLE_LOOK);
                    } else {
                        std::thread::sleep(TICK);
                    }
                }
            })
            .map_err(Error::Ticker)?;
        let places = Arc::new(Semaphore::new(INSTANCES_MAX as usize));
        Ok(Self { inner, places, instances, ticker: thread.thread().clone(), pooled })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.instances.fetch_sub(1, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("pooled", &self.pooled).finish_non_exhaustive()
    }
}

/// Everything that decides what compiled code looks like is set here and nowhere else.
fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Nothing here is an `async func` of the component model; without it a call costs a third.
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK_BYTES)
        .async_stack_size(limits::ASYNC_STACK_BYTES)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(FRAMES_MAX));
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// Room for [`INSTANCES_MAX`] of the largest instance. This is address space, not memory.
fn pool() -> PoolingAllocationConfig {
    let warm_slots = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(INSTANCES_MAX * limits::CORE_INSTANCES_MAX)
        .total_memories(INSTANCES_MAX * limits::MEMORIES_MAX)
        .total_tables(INSTANCES_MAX * limits::TABLES_MAX)
        .total_stacks(INSTANCES_MAX)
        .max_core_instances_per_component(limits::CORE_INSTANCES_MAX)
        .max_memories_per_component(limits::MEMORIES_MAX)
        .max_tables_per_component(limits::TABLES_MAX)
        .max_component_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_core_instance_size(limits::INSTANCE_BYTES_MAX)
        .max_memory_size(usize::try_from(limits::MEMORY_BYTES.cap).unwrap_or(usize::MAX))
        .table_elements(usize::try_from(limits::TABLE_ELEMENTS.cap).unwrap_or(usize::MAX))
        .max_unused_warm_slots(u32::try_from(warm_slots).unwrap_or(u32::MAX))
        .linear_memory_keep_resident(MEMORY_KEEP_BYTES)
        .table_keep_resident(TABLE_KEEP_BYTES)
        .async_stack_keep_resident(STACK_KEEP_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}
