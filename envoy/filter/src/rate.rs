//! How much of one key's traffic the host gets: a token bucket that all workers share.
//!
//! Only what is about to be forwarded is counted. What is over the limit is answered 429, which
//! LiveKit repeats; it obeys `retry-after`, so that is never more than [`WAIT_MAX_S`].

use crate::proxy::SharedData;

/// Longest wait that is asked for, in seconds. LiveKit gives an event up after some 15 s.
pub const WAIT_MAX_S: u64 = 5;

/// How often a bucket is tried when other workers write it at the same time. Then the request
/// passes: a limit is no reason to lose an event.
const TRIES_MAX: usize = 8;

const ABSENT: u32 = u32::MAX;

/// What one key may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a second, over time.
    pub requests_per_s: u32,
    /// Requests at once.
    pub burst: u32,
}

/// Thousandths of requests that are left, and when that was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    left: u64,
    at_ms: u64,
}

// === impl Rate ===

impl Rate {
    /// Takes one request of `api_key`.
    ///
    /// # Errors
    /// In how many seconds there will be one.
    pub fn take(&self, shared: &impl SharedData, api_key: &str, now_ms: u64) -> Result<(), u64> {
        let key = format!("r{api_key}");
        for _ in 0..TRIES_MAX {
            let (old, cas) = match shared.shared(&key) {
                None => (None, ABSENT),
                Some((value, cas)) => (Bucket::read(&value), cas),
            };
            let filled = self.filled(old, now_ms);
            let Some(left) = filled.left.checked_sub(1_000) else {
                let lacking = 1_000_u64.saturating_sub(filled.left);
                let wait_s = lacking.div_ceil(u64::from(self.requests_per_s.max(1)) * 1_000);
                return Err(wait_s.clamp(1, WAIT_MAX_S));
            };
            if shared.share(&key, &Bucket { left, ..filled }.write(), cas) {
                break;
            }
        }
        Ok(())
    }

    fn filled(&self, bucket: Option<Bucket>, now_ms: u64) -> Bucket {
        let full = u64::from(self.burst) * 1_000;
        let left = bucket.map_or(full, |bucket| {
            // A thousandth of a request a millisecond and request a second.
            let since_ms = now_ms.saturating_sub(bucket.at_ms);
            let gained = since_ms.saturating_mul(u64::from(self.requests_per_s));
            bucket.left.saturating_add(gained).min(full)
        });
        // A clock that goes back must not fill the bucket again when it returns.
        let at_ms = bucket.map_or(now_ms, |bucket| bucket.at_ms.max(now_ms));
        Bucket { left, at_ms }
    }
}

// === impl Bucket ===

impl Bucket {
    fn read(value: &[u8]) -> Option<Self> {
        let (left, at_ms) = value.split_first_chunk::<8>()?;
        let at_ms = at_ms.first_chunk::<8>()?;
        Some(Self { left: u64::from_le_bytes(*left), at_ms: u64::from_le_bytes(*at_ms) })
    }

    fn write(self) -> Vec<u8> {
        [self.left.to_le_bytes(), self.at_ms.to_le_bytes()].concat()
    }
}

#[cfg(test)]
mod tests;
