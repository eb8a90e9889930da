//! Several events in one request: how they are grouped, named and written.
//!
//! A batch's identity is the list of its members, so the same members make the same `webhook-id`
//! on every attempt, on any host, with nothing to remember. When an attempt fails, the members are
//! bound to each other in the store and tried again whole.

use sha2::{Digest, Sha256};

/// Most events of one request.
pub const EVENTS_MAX: usize = 1_000;
/// Longest wait for a batch to fill, in milliseconds.
pub const WAIT_MS_MAX: i64 = 60_000;
/// Largest body of a batch, in bytes. A single event may be larger and goes alone.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How an endpoint wants its events grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    events_max: usize,
    wait_ms: i64,
}

/// The identity of a batch: a hash over its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

/// What is wrong with a grouping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One is no batch, and a request has to end.
    #[error("batch.events_max = {0}: must be 2 to {EVENTS_MAX}")]
    Events(usize),
    /// Nobody waits for ever.
    #[error("batch.wait is {0} ms: must be 0 to {WAIT_MS_MAX} ms")]
    Wait(i64),
}

// === impl Batching ===

impl Batching {
    /// Up to `events_max` events, or what came within `wait_ms` of the first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(events_max: usize, wait_ms: i64) -> Result<Self, Error> {
        if !(2..=EVENTS_MAX).contains(&events_max) {
            return Err(Error::Events(events_max));
        }
        if !(0..=WAIT_MS_MAX).contains(&wait_ms) {
            return Err(Error::Wait(wait_ms));
        }
        Ok(Self { events_max, wait_ms })
    }

    /// Most events of one request.
    pub fn events_max(self) -> usize {
        self.events_max
    }

    /// Longest wait of the first event for others, in milliseconds.
    pub fn wait_ms(self) -> i64 {
        self.wait_ms
    }
}

// === impl BatchId ===

impl BatchId {
    /// Of members named by their `webhook-id`s, in order.
    pub fn of<'a>(webhook_ids: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for id in webhook_ids {
            hash.update(id.as_bytes());
            hash.update([0]);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(bytes)
    }
}

/// The `webhook-id` of a batch.
impl std::fmt::Display for BatchId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bat_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How many of the first bodies, given by their lengths in bytes, fit into one request: at least
/// one, at most what [`BODY_BYTES_MAX`] allows with brackets and commas.
pub fn fitting(lengths: impl IntoIterator<Item = usize>) -> usize {
    // Each body brings a comma or the closing bracket.
    let mut total = 1_usize;
    let mut count = 0;
    for length in lengths {
        total = total.saturating_add(length).saturating_add(1);
        if count > 0 && total > BODY_BYTES_MAX {
            break;
        }
        count += 1;
    }
    count
}

/// A JSON array of bodies that are JSON themselves, to the byte.
pub fn body<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut array = vec![b'['];
    for (index, body) in bodies.into_iter().enumerate() {
        if index > 0 {
            array.push(b',');
        }
        array.extend_from_slice(body);
    }
    array.push(b']');
    array
}

#[cfg(test)]
mod tests;
