//! State of plugins: keys and values that outlive the event, one space for each plugin and source.
//!
//! [`decide`] says what a change makes of what is there. It is pure and the same for every adapter:
//! an adapter reads the row and the space's sums, asks, and writes what it is told, all in one
//! transaction that nobody else's change of the space is in.
//!
//! A space remembers the last version it gave, so that no version comes twice, not even after the
//! key was removed. A key whose time is over is not there, whether its row is removed yet or not;
//! its room is free for the next that needs it.

use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Keys of one space, by default.
pub const KEYS_MAX: u64 = 10_000;
/// Bytes of one space's keys and values, by default: 16 MiB.
pub const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most keys that a configuration may allow a space. Those whose time is over go in one transaction
/// when there is no room, and that may not take long.
pub const KEYS_CAP: u64 = 100_000;
/// Most bytes that a configuration may allow a space: 256 MiB.
pub const BYTES_CAP: u64 = 256 * 1024 * 1024;
/// Most keys of one page.
pub const PAGE_MAX: usize = 1_000;

/// Whose state it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    /// The plugin's configured name.
    pub plugin: String,
    /// The source's configured name.
    pub source: String,
}

/// What a space may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Keys.
    pub keys_max: u64,
    /// Bytes of all keys and values.
    pub bytes_max: u64,
}

/// A value that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it was set.
    pub value: Bytes,
    /// Another after every change.
    pub version: u64,
}

/// A key as it is stored, its time over or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value and its version.
    pub entry: Entry,
    /// From then on it is not there. `None`: for ever there.
    pub expires_at: Option<Timestamp>,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub space: Space,
    /// At most [`KEY_BYTES_MAX`] bytes.
    pub key: String,
    /// What happens to it.
    pub what: What,
    /// What the space may hold. What is there already stays when it is more, and may get smaller.
    pub limits: Limits,
}

/// What happens to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It gets a value.
    Set {
        /// At most [`VALUE_BYTES_MAX`] bytes.
        value: Bytes,
        /// From then on it is not there.
        expires_at: Option<Timestamp>,
        /// Only if this is what is there now.
        only: Only,
    },
    /// A decimal number is added to: 0 where there is none.
    Add {
        /// So much.
        delta: i64,
        /// For a key that is not there yet; one that is keeps its time.
        expires_at: Option<Timestamp>,
    },
    /// It goes.
    Delete,
}

/// The condition of [`What::Set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Whatever is there.
    Always,
    /// The key has no value.
    Absent,
    /// The value has this version.
    Version(u64),
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The value has this version now.
    Set(u64),
    /// This is the sum.
    Sum(i64),
    /// Whether it was there.
    Deleted(bool),
    /// Nothing: somebody else was first.
    Stale,
    /// Nothing, by this rule.
    Refused(Refusal),
}

/// A rule that a change breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is too long.
    #[error("the key has more than {KEY_BYTES_MAX} bytes")]
    Key,
    /// The value is too long.
    #[error("the value has more than {VALUE_BYTES_MAX} bytes")]
    Value,
    /// There is no number to add to.
    #[error("the value is no decimal number of 64 bits")]
    NoNumber,
    /// The sum is none.
    #[error("the sum is over what 64 bits hold")]
    Overflow,
    /// No room for one more key.
    #[error("no more than {0} keys")]
    Keys(u64),
    /// No room for so many bytes.
    #[error("no more than {0} bytes of keys and values")]
    Bytes(u64),
}

/// What the rows of a space add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Keys.
    pub keys: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
}

/// A key to be read: whose, which, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Whose.
    pub space: Space,
    /// Keys that begin with it.
    pub prefix: String,
    /// Keys behind this one, by their bytes.
    pub after: Option<String>,
    /// At most, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

/// What an adapter has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Write this value under the space's next version, with these sums, and answer.
    Write {
        /// The value.
        value: Bytes,
        /// From then on it is not there.
        expires_at: Option<Timestamp>,
        /// Of the space, afterwards.
        usage: Usage,
        /// `None`: with the version.
        sum: Option<i64>,
    },
    /// Remove the row, and answer.
    Remove {
        /// Of the space, afterwards.
        usage: Usage,
        /// Whether it was there.
        was_there: bool,
    },
    /// Answer.
    Leave(Changed),
    /// Remove the rows of the space whose time is over and ask again; the second time, answer.
    NeedsRoom(Refusal),
}

/// What `change` makes of the row that is stored under its key, at `now`.
pub fn decide(change: &Change, stored: Option<&Stored>, usage: Usage, now: Timestamp) -> Next {
    let Change { key, what, limits, .. } = change;
    let refused = |refusal| Next::Leave(Changed::Refused(refusal));
    if key.len() > KEY_BYTES_MAX {
        return refused(Refusal::Key);
    }
    let live = stored.filter(|stored| stored.is_live(now));
    let (value, expires_at, sum) = match what {
        What::Set { value, .. } if value.len() > VALUE_BYTES_MAX => return refused(Refusal::Value),
        What::Set { value, expires_at, only } => {
            let version = live.map(|live| live.entry.version);
            let holds = match only {
                Only::Always => true,
                Only::Absent => version.is_none(),
                Only::Version(expected) => version == Some(*expected),
            };
            if !holds {
                return Next::Leave(Changed::Stale);
            }
            (value.clone(), *expires_at, None)
        }
        What::Add { delta, expires_at } => {
            let number = live.map_or(Some(0), |live| number(&live.entry.value));
            let Some(number) = number else { return refused(Refusal::NoNumber) };
            let Some(sum) = number.checked_add(*delta) else { return refused(Refusal::Overflow) };
            let expires_at = live.map_or(*expires_at, |live| live.expires_at);
            (Bytes::from(sum.to_string()), expires_at, Some(sum))
        }
        What::Delete => {
            let Some(stored) = stored else { return Next::Leave(Changed::Deleted(false)) };
            let usage = usage.without(key, stored);
            return Next::Remove { usage, was_there: live.is_some() };
        }
    };
    let without = stored.map_or(usage, |stored| usage.without(key, stored));
    let with = Usage {
        keys: without.keys.saturating_add(1),
        bytes: without.bytes.saturating_add(weight(key, &value)),
    };
    if with.keys > limits.keys_max && with.keys > usage.keys {
        return Next::NeedsRoom(Refusal::Keys(limits.keys_max));
    }
    if with.bytes > limits.bytes_max && with.bytes > usage.bytes {
        return Next::NeedsRoom(Refusal::Bytes(limits.bytes_max));
    }
    Next::Write { value, expires_at, usage: with, sum }
}

/// What a key weighs against [`Limits::bytes_max`].
pub fn weight(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

/// Where a prefix ends: the first bytes that are behind all that begin with it. No text has the byte
/// that stands behind all texts.
pub fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        None => end.push(u8::MAX),
    }
    end
}

/// Decimal, with or without a sign.
fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { keys_max: KEYS_MAX, bytes_max: BYTES_MAX }
    }
}

// === impl Stored ===

impl Stored {
    /// Whether it is there at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

// === impl Usage ===

impl Usage {
    fn without(self, key: &str, stored: &Stored) -> Self {
        Self {
            keys: self.keys.saturating_sub(1),
            bytes: self.bytes.saturating_sub(weight(key, &stored.entry.value)),
        }
    }
}

#[cfg(test)]
mod tests;
