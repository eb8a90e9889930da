//! A record as a line of JSON, and back. The one place that knows both.
//!
//! Times are milliseconds since the epoch, bytes are base64, ids are written as everywhere. A line
//! with a member that is not known is refused: a newer binary wrote it, and to leave the member out
//! would lose something.

use crate::store::Record;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

mod delivery;
mod endpoint;
mod event;
mod plugin_state;
mod replay;

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// The first.
    LivekitWebhookExport {
        version: u32,
        exported_at_ms: i64,
    },
    /// The last.
    End {
        records: u64,
    },
    Event(Box<event::Event>),
    Delivery(Box<delivery::Delivery>),
    Attempt(Box<delivery::Attempt>),
    Quarantined(event::Quarantine),
    Health(Box<endpoint::Health>),
    Replay(Box<replay::Replay>),
    Secret(endpoint::Secret),
    Lane {
        source: String,
        key: String,
        sequence: i64,
        /// What an older program wrote does not say it: the lane is kept by its events alone.
        #[serde(default)]
        used_at_ms: i64,
    },
    PluginState(Box<plugin_state::Key>),
}

/// What is wrong with a line, in words.
pub type Wrong = String;

/// The line of a record.
pub fn line(record: &Record) -> Line {
    match record {
        Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note } => {
            let planning = (*sequence, *plan, *plan_at, *plan_attempts);
            Line::Event(Box::new(event::line(event, planning, settled, note)))
        }
        Record::Delivery { delivery, body } => {
            let body = body.as_ref().map(|body| base64(body));
            Line::Delivery(Box::new(delivery::line(delivery, body)))
        }
        Record::Attempt { delivery, attempt } => {
            Line::Attempt(Box::new(delivery::attempt_line(delivery.to_string(), attempt)))
        }
        Record::Quarantined(item) => Line::Quarantined(event::quarantine_line(item)),
        Record::Health(health) => Line::Health(Box::new(endpoint::health_line(health))),
        Record::Replay(replay) => Line::Replay(Box::new(replay::line(replay))),
        Record::Secret(secret) => Line::Secret(endpoint::secret_line(secret)),
        Record::Lane { source, key, sequence, used_at } => {
            let (source, key, used_at_ms) = (source.clone(), key.clone(), used_at.as_millis());
            Line::Lane { source, key, sequence: *sequence, used_at_ms }
        }
        Record::PluginState { space, key, stored } => {
            Line::PluginState(Box::new(plugin_state::line(space, key, stored)))
        }
    }
}

/// The record of a line; `None` for the first and the last.
pub fn record(line: Line) -> Result<Option<Record>, Wrong> {
    Ok(Some(match line {
        Line::LivekitWebhookExport { .. } | Line::End { .. } => return Ok(None),
        Line::Event(line) => event::record(*line)?,
        Line::Delivery(line) => delivery::record(*line)?,
        Line::Attempt(line) => delivery::attempt_record(*line)?,
        Line::Quarantined(line) => event::quarantine_record(line)?,
        Line::Health(line) => Record::Health(endpoint::health_record(*line)?),
        Line::Replay(line) => Record::Replay(replay::record(*line)?),
        Line::Secret(line) => Record::Secret(endpoint::secret_record(line)?),
        Line::Lane { source, key, sequence, used_at_ms } => {
            let used_at = Timestamp::from_millis(used_at_ms);
            Record::Lane { source, key, sequence, used_at }
        }
        Line::PluginState(line) => plugin_state::record(*line)?,
    }))
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn bytes(text: &str) -> Result<Bytes, Wrong> {
    STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("not base64: {error}"))
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Wrong>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

fn unknown(member: &str, word: &str) -> Wrong {
    format!("{member} = {word:?} is not known to this binary")
}

#[cfg(test)]
mod tests;
