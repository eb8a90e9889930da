//! The replay shield: a fixed ring of slots that all workers share.
//!
//! Mechanism: a request that is about to be forwarded *reserves* the slot its fingerprint falls
//! into; a 2xx from the host *confirms* it, any other end *releases* it. Reserving compares and
//! swaps, so of concurrent replays over all workers exactly one wins.
//!
//! Guarantee: an event is only called a duplicate when an identical body under the same key, for
//! the same authority and path, was answered 2xx within the window. LiveKit sends one event to
//! several URLs and repeats what was not answered 2xx: neither is ever swallowed.
//! Non-guarantee: two fingerprints in one slot let the later one through, and a restart of Envoy
//! forgets. The host's own dedupe is the durable one.

use livekit_webhook_wire::body_hash::BodyHash;

use crate::proxy::SharedData;

/// How often a slot is tried when others write it at the same time. Then the request passes.
const TRIES_MAX: usize = 8;

/// No value ever has this number, so setting with it inserts only what is not there.
const ABSENT: u32 = u32::MAX;

const VALUE_BYTES: usize = 25;

/// What becomes of duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is remembered.
    Off,
    /// Duplicates are counted and forwarded.
    Observe,
    /// Duplicates are answered 200 here.
    Ack,
}

/// The ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// What becomes of duplicates.
    pub mode: Mode,
    /// How many slots.
    pub slots: u32,
    /// How long a delivered event is remembered, in milliseconds.
    pub window_ms: u64,
    /// How long a reservation lasts without an answer, in milliseconds.
    pub pending_ms: u64,
}

/// Whose identity a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16], u32);

/// A slot that is ours until it is confirmed, released or expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    fingerprint: Fingerprint,
    expires_ms: u64,
}

/// What the ring says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not before: ours to forward.
    New(Reservation),
    /// Delivered within the window.
    Delivered,
    /// On its way to the host right now.
    InFlight,
    /// Another event holds the slot: forward, unremembered.
    Collision,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Empty = 0,
    Pending = 1,
    Delivered = 2,
}

struct Slot {
    fingerprint: [u8; 16],
    state: State,
    expires_ms: u64,
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Of a verified body on its way to one place.
    pub fn of(authority: &[u8], path: &[u8], api_key: &str, body_sha256: &[u8; 32]) -> Self {
        let mut hash = BodyHash::new();
        for part in [authority, path, api_key.as_bytes()] {
            // Lengths first: no two lists of parts read alike.
            hash.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            hash.update(part);
        }
        hash.update(body_sha256);
        let digest = hash.finish();
        let mut slot = [0; 16];
        slot.iter_mut().zip(digest).for_each(|(own, byte)| *own = byte);
        let [a, b, c, d, ..] = digest;
        Self(slot, u32::from_le_bytes([a, b, c, d]))
    }

    fn key(&self, ring: &Ring) -> String {
        format!("d{}", self.1.checked_rem(ring.slots).unwrap_or(0))
    }
}

// === impl Ring ===

impl Ring {
    /// Asks whether `fingerprint` was seen, and reserves its slot when it was not.
    pub fn reserve(&self, shared: &impl SharedData, of: Fingerprint, now_ms: u64) -> Seen {
        let key = of.key(self);
        let expires_ms = now_ms.saturating_add(self.pending_ms);
        let ours = Slot { fingerprint: of.0, state: State::Pending, expires_ms };
        for _ in 0..TRIES_MAX {
            let cas = match shared.shared(&key) {
                None => ABSENT,
                Some((value, cas)) => match Slot::read(&value, now_ms) {
                    None => cas,
                    Some(slot) if slot.fingerprint != of.0 => return Seen::Collision,
                    Some(slot) if slot.state == State::Delivered => return Seen::Delivered,
                    Some(_) => return Seen::InFlight,
                },
            };
            if shared.share(&key, &ours.write(), cas) {
                return Seen::New(Reservation { fingerprint: of, expires_ms });
            }
        }
        Seen::Collision
    }

    /// The host has taken it.
    pub fn confirm(&self, shared: &impl SharedData, of: Reservation, now_ms: u64) -> bool {
        let expires_ms = now_ms.saturating_add(self.window_ms);
        self.replace(shared, of, State::Delivered, expires_ms)
    }

    /// The host has not taken it: the next try is a new one.
    pub fn release(&self, shared: &impl SharedData, of: Reservation) -> bool {
        self.replace(shared, of, State::Empty, 0)
    }

    /// Writes our slot, unless it is no longer ours.
    fn replace(
        &self,
        shared: &impl SharedData,
        of: Reservation,
        state: State,
        expires_ms: u64,
    ) -> bool {
        let key = of.fingerprint.key(self);
        let Some((value, cas)) = shared.shared(&key) else {
            return false;
        };
        let ours = Slot::read(&value, 0).is_some_and(|slot| {
            slot.fingerprint == of.fingerprint.0
                && slot.state == State::Pending
                && slot.expires_ms == of.expires_ms
        });
        let slot = Slot { fingerprint: of.fingerprint.0, state, expires_ms };
        ours && shared.share(&key, &slot.write(), cas)
    }
}

// === impl Slot ===

impl Slot {
    /// What is in force at `now_ms`. `None`: free to take, also when it cannot be read.
    fn read(value: &[u8], now_ms: u64) -> Option<Self> {
        let (fingerprint, rest) = value.split_first_chunk::<16>()?;
        let (state, rest) = rest.split_first()?;
        let expires_ms = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        let state = match state {
            1 => State::Pending,
            2 => State::Delivered,
            _ => return None,
        };
        (expires_ms > now_ms).then_some(Self { fingerprint: *fingerprint, state, expires_ms })
    }

    fn write(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(VALUE_BYTES);
        value.extend_from_slice(&self.fingerprint);
        value.push(self.state as u8);
        value.extend_from_slice(&self.expires_ms.to_le_bytes());
        value
    }
}

#[cfg(test)]
mod tests;
