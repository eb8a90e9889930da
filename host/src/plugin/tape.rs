//! What a call got from outside, on record, so that it can be repeated where nothing is outside.
//!
//! A [`Tape`] stands between the gate and the ports: recording, it passes every call on and keeps
//! question and answer; playing, it answers from what was kept, in the order of each port. The
//! values of secrets are replaced by a mark before anything is kept, in questions and in answers and
//! in every form in which the gate would know them.
//!
//! Non-guarantee: a tape is bounded. Past [`BYTES_MAX`] nothing more is kept, and a player answers
//! there that the tape has ended.

mod convert;
mod play;
mod record;

use super::gate::Secret;
use super::gate::stand_in::StandIns;
use super::outside::Outside;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Questions and answers of one tape, in bytes.
pub const BYTES_MAX: usize = 1024 * 1024;
/// Entries of one tape.
pub const ENTRIES_MAX: usize = 256;

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `fetch`, `state` or `livekit`.
    pub port: String,
    /// In words: `POST https://api.example.com:443/v1`, `get visits`.
    pub asked: String,
    /// As [`convert`] writes it.
    pub answer: Value,
}

/// Entries in the order in which they ended. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tape(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    entries: VecDeque<Entry>,
    bytes: usize,
}

// === impl Tape ===

impl Tape {
    /// With these entries, to be played.
    pub fn of(entries: Vec<Entry>) -> Self {
        Self(Arc::new(Mutex::new(Entries { entries: entries.into(), bytes: 0 })))
    }

    /// What was kept so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().cloned().collect()
    }

    /// Ports that record what passes them on to `outside`.
    pub fn record(&self, outside: &Outside, secrets: &BTreeMap<String, Secret>) -> Outside {
        record::ports(self.clone(), outside, secrets)
    }

    /// Ports that answer from this tape whoever has these secrets where it has marks.
    pub fn play(&self, secrets: &BTreeMap<String, Secret>) -> Outside {
        play::ports(self.clone(), secrets)
    }

    fn keep(&self, entry: Entry) {
        let mut kept = self.lock();
        let bytes = entry.asked.len() + entry.answer.to_string().len();
        if kept.entries.len() < ENTRIES_MAX && kept.bytes + bytes <= BYTES_MAX {
            kept.bytes += bytes;
            kept.entries.push_back(entry);
        } else {
            // Nothing after a gap: a player would answer with what belongs elsewhere.
            kept.bytes = BYTES_MAX;
        }
    }

    /// The answer to the next question of `port`, or what is wrong.
    fn next(&self, port: &str, asked: &str) -> Result<Value, String> {
        let mut kept = self.lock();
        let place = kept.entries.iter().position(|entry| entry.port == port);
        let Some(entry) = place.and_then(|place| kept.entries.remove(place)) else {
            return Err(format!("the tape has ended, and the plugin asks: {asked}"));
        };
        if entry.asked != asked {
            return Err(format!(
                "the tape has `{}` here, and the plugin asks: {asked}",
                entry.asked
            ));
        }
        Ok(entry.answer)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes as JSON: text as it is, anything else in base64.
pub fn bytes(bytes: &[u8]) -> Value {
    convert::bytes(bytes)
}

/// The reverse of [`bytes`].
pub fn to_bytes(value: &Value) -> bytes::Bytes {
    convert::to_bytes(value)
}

/// Marks in the place of secrets, and back.
fn marks(secrets: &BTreeMap<String, Secret>) -> StandIns {
    StandIns::marking(secrets, mark)
}

/// `value` with every text changed.
fn each_text(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(text).into(),
        Value::Array(items) => items.iter().map(|item| each_text(item, change)).collect(),
        Value::Object(members) => {
            let members = members.iter();
            members.map(|(name, value)| (name.clone(), each_text(value, change))).collect()
        }
        other => other.clone(),
    }
}

/// What stands for a secret's value on a tape, and is its value where a tape is played.
pub fn mark(name: &str) -> String {
    format!("secret-{name}")
}

#[cfg(test)]
mod tests;
