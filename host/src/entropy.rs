//! The one place that rolls dice: ids and jitter, from one seed.

use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::{Mutex, PoisonError};

/// A seeded generator, shared by all stages. A given seed and order of calls gives the same ids
/// again.
pub struct Entropy(Mutex<StdRng>);

impl Entropy {
    /// From a seed that is printed or kept, for the simulation.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// From the operating system.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn system() -> Result<Self, getrandom::Error> {
        Ok(Self::seeded(getrandom::u64()?))
    }

    /// A number in `0.0..1.0`.
    pub fn dice(&self) -> f64 {
        self.rng(|rng| rng.random())
    }

    /// A new event id.
    pub fn event_id(&self, now: Timestamp) -> EventId {
        EventId::new(now.as_millis(), self.rng(|rng| rng.random()))
    }

    /// A new delivery id.
    pub fn delivery_id(&self, now: Timestamp) -> DeliveryId {
        DeliveryId::new(now.as_millis(), self.rng(|rng| rng.random()))
    }

    /// A new replay id.
    pub fn replay_id(&self, now: Timestamp) -> ReplayId {
        ReplayId::new(now.as_millis(), self.rng(|rng| rng.random()))
    }

    /// A new id of a sealed secret.
    pub fn secret_id(&self, now: Timestamp) -> SecretId {
        SecretId::new(now.as_millis(), self.rng(|rng| rng.random()))
    }

    fn rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes that nobody can guess, straight from the operating system: for secrets and nonces. The
/// seed of [`Entropy`] is too short for those.
///
/// # Errors
/// When the system has no randomness to give.
pub fn unguessable<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
