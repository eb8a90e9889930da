//! Finds out that the proxy does not let us hold headers.
//!
//! Without `allow_on_headers_stop_iteration: true` Envoy stops the whole request when we hold its
//! head: the body callback never comes and the client hangs. The filter cannot read that flag, so
//! it measures: the first held request of a worker whose body callback comes proves the flag; one
//! whose callback does not come within [`WAIT_MAX_MS`] is reported by the tick.
//!
//! Non-guarantee: until the flag is proven, a client that sends its head and then nothing looks
//! the same. It gets the same answer, 503, and the log names both causes.

use std::collections::BTreeMap;

/// How long the first body callback of a worker may take, in milliseconds.
pub const WAIT_MAX_MS: u64 = 2_000;

/// Most requests watched at once. More are held all the same; these are enough to find out.
pub const WATCHED_MAX: usize = 1_024;

/// The held requests of one worker, by context id, until the flag is proven.
#[derive(Debug, Default)]
pub struct Watch {
    proven: bool,
    since_ms: BTreeMap<u32, u64>,
}

impl Watch {
    /// A head is held since `now_ms`.
    pub fn held(&mut self, context_id: u32, now_ms: u64) {
        if !self.proven && self.since_ms.len() < WATCHED_MAX {
            self.since_ms.insert(context_id, now_ms);
        }
    }

    /// Whether a held request has ever moved on.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// A body or trailers callback came for a held request: the flag is there.
    pub fn progressed(&mut self) {
        if !self.proven {
            self.proven = true;
            self.since_ms.clear();
        }
    }

    /// The request is gone.
    pub fn ended(&mut self, context_id: u32) {
        self.since_ms.remove(&context_id);
    }

    /// Those that have waited too long at `now_ms`. Each is named once.
    pub fn overdue(&mut self, now_ms: u64) -> Vec<u32> {
        let late = |since: &u64| now_ms.saturating_sub(*since) >= WAIT_MAX_MS;
        let overdue: Vec<u32> =
            self.since_ms.iter().filter(|(_, since)| late(since)).map(|(id, _)| *id).collect();
        self.since_ms.retain(|_, since| !late(since));
        overdue
    }
}

#[cfg(test)]
mod tests;
