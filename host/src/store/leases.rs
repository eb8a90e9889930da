//! Who has claimed what, for adapters whose file or memory has one owner.
//!
//! Leases live in memory only: a claim costs no write, and a restart releases everything, which is
//! right because the workers are gone with it. A fence stays current past the end of its lease
//! until somebody else claims: a late record is better than a repeated attempt.
//!
//! A record is *settled* while its write is on the way to the disk. A settled lease does not
//! expire, so nobody can claim what is about to change.

use super::Fence;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;

/// The leases on one kind of thing.
#[derive(Debug)]
pub struct Leases<K> {
    by_key: HashMap<K, Lease>,
    by_fence: HashMap<Fence, K>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    fence: Fence,
    expires_at: Timestamp,
    is_settled: bool,
}

impl<K> Default for Leases<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), by_fence: HashMap::new() }
    }
}

// === impl Leases ===

impl<K: Copy + Eq + Hash> Leases<K> {
    /// Whether nobody holds it at `now`.
    pub fn is_free(&self, key: K, now: Timestamp) -> bool {
        self.by_key.get(&key).is_none_or(|lease| !lease.is_settled && lease.expires_at <= now)
    }

    /// Gives it to whoever gets `fence`; an older fence on it becomes stale.
    pub fn claim(&mut self, key: K, fence: Fence, expires_at: Timestamp) {
        let lease = Lease { fence, expires_at, is_settled: false };
        if let Some(old) = self.by_key.insert(key, lease) {
            self.by_fence.remove(&old.fence);
        }
        self.by_fence.insert(fence, key);
    }

    /// Whether `fence` is the current one of `key`, without settling it.
    pub fn is_current(&self, key: K, fence: Fence) -> bool {
        self.by_key.get(&key).is_some_and(|lease| lease.fence == fence && !lease.is_settled)
    }

    /// Keeps everybody off until [`Leases::finish`] or [`Leases::unsettle`]. False when the fence
    /// is stale, or when it has been used already.
    pub fn settle(&mut self, key: K, fence: Fence) -> bool {
        match self.by_key.get_mut(&key) {
            Some(lease) if lease.fence == fence && !lease.is_settled => {
                lease.is_settled = true;
                true
            }
            _ => false,
        }
    }

    /// The write failed: the claim is as it was.
    pub fn unsettle(&mut self, key: K) {
        if let Some(lease) = self.by_key.get_mut(&key) {
            lease.is_settled = false;
        }
    }

    /// The write is done: the claim ends.
    pub fn finish(&mut self, key: K) {
        if let Some(lease) = self.by_key.remove(&key) {
            self.by_fence.remove(&lease.fence);
        }
    }

    /// Ends a claim unused. A stale fence, or one whose record is on its way, is ignored.
    pub fn release(&mut self, fence: Fence) {
        let Some(key) = self.by_fence.get(&fence).copied() else {
            return;
        };
        if self.is_current(key, fence) {
            self.finish(key);
        }
    }

    /// Whether there is a lease on it, expired or not.
    pub fn has(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }
}
