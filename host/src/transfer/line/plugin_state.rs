//! A key of a plugin's state.

use super::{Wrong, base64, bytes};
use crate::store::Record;
use crate::store::plugin_state::{Entry, Space, Stored};
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    plugin: String,
    source: String,
    key: String,
    value: String,
    version: u64,
    expires_at_ms: Option<i64>,
}

pub fn line(space: &Space, key: &str, stored: &Stored) -> Key {
    Key {
        plugin: space.plugin.clone(),
        source: space.source.clone(),
        key: key.to_owned(),
        value: base64(&stored.entry.value),
        version: stored.entry.version,
        expires_at_ms: stored.expires_at.map(Timestamp::as_millis),
    }
}

pub fn record(line: Key) -> Result<Record, Wrong> {
    let Key { plugin, source, key, value, version, expires_at_ms } = line;
    let entry = Entry { value: bytes(&value)?, version };
    let stored = Stored { entry, expires_at: expires_at_ms.map(Timestamp::from_millis) };
    Ok(Record::PluginState { space: Space { plugin, source }, key, stored })
}
