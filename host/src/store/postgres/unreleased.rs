//! Claims that could not be given back because the server was away.
//!
//! The next claim tries again, so that they need not wait for the end of their leases when the
//! server is back. Kept in memory only: after a restart of the host the leases end.

use crate::store::Claimed;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most of them; of more the leases end.
const CLAIMS_MAX: usize = 10_000;

/// The claims.
#[derive(Default)]
pub struct Unreleased(Mutex<Vec<Claimed>>);

// === impl Unreleased ===

impl Unreleased {
    pub fn add(&self, claimed: Vec<Claimed>) {
        let mut all = self.all();
        let room = CLAIMS_MAX.saturating_sub(all.len());
        all.extend(claimed.into_iter().take(room));
    }

    pub fn take(&self) -> Vec<Claimed> {
        std::mem::take(&mut *self.all())
    }

    fn all(&self) -> MutexGuard<'_, Vec<Claimed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
