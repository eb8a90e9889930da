//! The engines: what compiled code looks like, where instances live, and the clock that interrupts
//! them.
//!
//! There are two kinds of compiled code. Nearly every component runs on *lean*; one that uses the
//! component model's async builtins runs on *full*, where an empty call costs three times as much.
//! The full one is made when the first component needs it. Both are set up in `engine/settings.rs`.
//!
//! Instances come from a pool of memory that is mapped once, so that a fresh one for each event
//! costs microseconds. A machine that does not give the address space gets them on demand: slower,
//! with the same limits. While a call runs, a thread ticks every millisecond (`engine/ticker.rs`);
//! at a tick, running wasm comes back to the host, which charges its CPU (see [`super::meter`]).
//!
//! Non-guarantee: a tick does not interrupt a host function, nor one long copy within the guest's
//! memory.

pub(super) mod settings;
mod ticker;

use super::budget::Budget;
use super::compile::{Compiler, Setup};
use super::warm::{self, WARM_MAX};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ticker::{Running, Ticker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// How often running wasm is interrupted to be charged.
pub const TICK: Duration = Duration::from_millis(1);
/// Instances that exist at once in this process, over all plugins. Further calls wait within their
/// deadline.
pub const INSTANCES_MAX: u32 = 128;

/// What a component's code was compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Without the component model's async builtins.
    Lean,
    /// With them.
    Full,
}

/// Shared by all plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wish: Wish,
    lean: Machine,
    full: OnceLock<Machine>,
    compiler: Compiler,
}

/// What the two kinds have in common.
#[derive(Clone)]
struct Wish {
    pooled: bool,
    metered: bool,
    places: Arc<Semaphore>,
    warm_places: Arc<Semaphore>,
    warm: Arc<warm::Pools>,
    budget: Arc<Budget>,
}

/// One kind of the engine, with its share in what all plugins of this process have together. Cheap
/// to clone.
#[derive(Clone)]
pub(super) struct Machine {
    inner: wasmtime::Engine,
    kind: Kind,
    wish: Wish,
    ticker: Ticker,
}

/// The right to have one instance. The engine ticks while it lives.
pub(super) struct Place<'a> {
    _running: Running<'a>,
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

// === impl Kind ===

impl Kind {
    /// Both, the one that is tried first first.
    pub const ALL: [Self; 2] = [Self::Lean, Self::Full];

    /// For names of files and for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lean => "lean",
            Self::Full => "full",
        }
    }
}

// === impl Engine ===

impl Engine {
    /// Starts the engine and its ticking thread.
    ///
    /// # Errors
    /// When the machine is not one the engine has code for, or gives no thread.
    pub fn new() -> Result<Self, Error> {
        Self::start(true, false, Setup::default())
    }

    /// As a gateway runs it: what it compiles, it compiles and keeps as `setup` says.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn serving(setup: Setup) -> Result<Self, Error> {
        Self::start(true, false, setup)
    }

    /// The same without a pool.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn on_demand() -> Result<Self, Error> {
        Self::start(false, false, Setup::default())
    }

    /// One that counts fuel besides: the same work costs the same number on every machine. A call
    /// takes about a fifth longer. For tests of plugins.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn metered() -> Result<Self, Error> {
        Self::metering(Setup::default())
    }

    /// The same, which compiles as `setup` says.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn metering(setup: Setup) -> Result<Self, Error> {
        Self::start(false, true, setup)
    }

    /// A metered one beside this one, for a short time: it compiles as this one does, in turn with it
    /// and keeping nothing on disk, and its instances share the bound on memory.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn metered_beside(&self) -> Result<Self, Error> {
        let budget = self.0.wish.budget.clone();
        Self::assemble(Wish::new(false, true, budget), self.0.compiler.beside())
    }

    /// Whether instances come from a pool.
    pub fn pooled(&self) -> bool {
        self.0.lean.wish.pooled
    }

    /// Memory that all instances have together, and may have.
    pub fn budget(&self) -> &Budget {
        &self.0.wish.budget
    }

    /// The engine of this kind. Makes the full one when it is asked for first.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub(super) fn machine(&self, kind: Kind) -> Result<&Machine, Error> {
        let Shared { wish, lean, full, .. } = &*self.0;
        match (kind, full.get()) {
            (Kind::Lean, _) => Ok(lean),
            (Kind::Full, Some(machine)) => Ok(machine),
            (Kind::Full, None) => {
                let machine = Machine::start(kind, wish)?;
                Ok(full.get_or_init(|| machine))
            }
        }
    }

    /// How it comes to code.
    pub(super) fn compiler(&self) -> &Compiler {
        &self.0.compiler
    }

    fn start(pooled: bool, metered: bool, setup: Setup) -> Result<Self, Error> {
        let wish = Wish::new(pooled, metered, Arc::new(Budget::of_this_machine()));
        Self::assemble(wish, Compiler::new(setup))
    }

    fn assemble(wish: Wish, compiler: Compiler) -> Result<Self, Error> {
        let lean = Machine::start(Kind::Lean, &wish)?;
        Ok(Self(Arc::new(Shared { wish, lean, full: OnceLock::new(), compiler })))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("pooled", &self.pooled()).finish_non_exhaustive()
    }
}

// === impl Wish ===

impl Wish {
    fn new(pooled: bool, metered: bool, budget: Arc<Budget>) -> Self {
        Self {
            pooled,
            metered,
            places: Arc::new(Semaphore::new(INSTANCES_MAX as usize)),
            warm_places: Arc::new(Semaphore::new(WARM_MAX as usize)),
            warm: Arc::default(),
            budget,
        }
    }
}

// === impl Machine ===

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Machine {
    /// The engine itself, to compile and to link.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether its code counts fuel.
    pub fn metered(&self) -> bool {
        self.wish.metered
    }

    /// Memory that all instances have together.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.wish.budget
    }

    /// Those who keep instances.
    pub fn warm(&self) -> &warm::Pools {
        &self.wish.warm
    }

    /// The right to keep one instance; `None` when there are enough.
    pub fn warm_place(&self) -> Option<OwnedSemaphorePermit> {
        self.wish.warm_places.clone().try_acquire_owned().ok()
    }

    /// Waits until another instance may exist, and keeps the engine ticking for it. `None` never
    /// comes while the engine lives.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn place(&self) -> Option<Place<'_>> {
        let permit = self.wish.places.acquire().await.ok()?;
        Some(Place { _running: self.ticker.run(), _permit: permit })
    }

    fn start(kind: Kind, wish: &Wish) -> Result<Self, Error> {
        let mut wish = wish.clone();
        let made = |pooled| wasmtime::Engine::new(&settings::config(kind, wish.metered, pooled));
        let inner = match made(wish.pooled) {
            Ok(inner) => inner,
            Err(error) if wish.pooled => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no address space for a pool of plugin instances; they are made on demand"
                );
                let inner = made(false).map_err(Error::Unsupported)?;
                wish.pooled = false;
                inner
            }
            Err(error) => return Err(Error::Unsupported(error)),
        };
        let ticker = Ticker::start(&inner, &wish.warm).map_err(Error::Ticker)?;
        Ok(Self { inner, kind, wish, ticker })
    }
}
