//! Clocks and dice of WASI: those of the event, and the machine's where they are granted.

use crate::clock::{Clock as _, SystemClock};
use crate::entropy::unguessable;
use crate::plugin::permission::Random;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng, TryRng};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The wall clock of an event: it stands.
#[derive(Clone, Debug)]
pub struct Now(Arc<AtomicU64>);

/// The monotonic clock of an event: every look moves it, so that a guest that compares two looks
/// sees time pass.
#[derive(Debug, Default)]
pub struct Steps(AtomicU64);

/// The machine's wall clock, to the millisecond.
#[derive(Debug)]
pub struct Machine;

/// Since the first use of WASI, to the microsecond.
#[derive(Debug)]
pub struct Elapsed(Instant);

/// One generator, shared by all that WASI calls random.
#[derive(Clone)]
pub struct Dice {
    random: Random,
    rng: Arc<Mutex<StdRng>>,
}

// === impl Now ===

impl Now {
    /// Stands at this time.
    pub fn new(created_at_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(created_at_ms)))
    }

    /// Stands at another.
    pub fn set(&self, created_at_ms: u64) {
        self.0.store(created_at_ms, Ordering::Relaxed);
    }
}

impl HostWallClock for Now {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

// === impl Steps ===

impl HostMonotonicClock for Steps {
    fn resolution(&self) -> u64 {
        super::STEP_NS
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(super::STEP_NS, Ordering::Relaxed)
    }
}

// === impl Machine ===

impl HostWallClock for Machine {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        let now_ms = SystemClock.now().as_millis();
        Duration::from_millis(u64::try_from(now_ms).unwrap_or_default())
    }
}

// === impl Elapsed ===

impl Default for Elapsed {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Elapsed {
    fn resolution(&self) -> u64 {
        1000
    }

    fn now(&self) -> u64 {
        let elapsed_us = u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX);
        elapsed_us.saturating_mul(1000)
    }
}

// === impl Dice ===

impl Dice {
    /// Seeded from names, or from the machine when that is granted.
    pub fn new(plugin: &str, event: &str, random: Random) -> Self {
        let rng = StdRng::from_seed(seed(plugin, event, random));
        Self { random, rng: Arc::new(Mutex::new(rng)) }
    }

    /// As new, for another event.
    pub fn renew(&self, plugin: &str, event: &str) {
        self.with(|rng| *rng = StdRng::from_seed(seed(plugin, event, self.random)));
    }

    /// A seed for the guest's own generators.
    pub fn seed(&self) -> u128 {
        self.with(|rng| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.with(Rng::next_u32))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.with(Rng::next_u64))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.with(|rng| rng.fill_bytes(bytes));
        Ok(())
    }
}

fn seed(plugin: &str, event: &str, random: Random) -> [u8; 32] {
    let named = || {
        let mut hash = Sha256::new();
        hash.update(plugin.as_bytes());
        hash.update([0]);
        hash.update(event.as_bytes());
        hash.finalize().into()
    };
    match random {
        Random::Seeded => named(),
        // A machine without randomness could not have made the event's id either.
        Random::System => unguessable().unwrap_or_else(|_| named()),
    }
}
