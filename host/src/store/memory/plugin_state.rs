//! State of plugins.

use super::tables::Tables;
use crate::store::plugin_state::{
    Change, Changed, Entry, Next, PAGE_MAX, Page, Space, Stored, Usage, decide, weight,
};
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;

/// One plugin's for one source. It stays when it is empty: no version is given twice.
#[derive(Debug, Default)]
pub struct SpaceRows {
    pub keys: BTreeMap<String, Stored>,
    usage: Usage,
    last_version: u64,
}

impl Tables {
    pub fn plugin_state(&self, now: Timestamp, space: &Space, key: &str) -> Option<Entry> {
        let stored = self.plugin_state.get(space)?.keys.get(key)?;
        stored.is_live(now).then(|| stored.entry.clone())
    }

    pub fn change_plugin_state(&mut self, now: Timestamp, change: &Change) -> Changed {
        self.plugin_state.entry(change.space.clone()).or_default().change(now, change)
    }

    pub fn plugin_state_keys(&self, now: Timestamp, page: &Page) -> Vec<String> {
        let Some(rows) = self.plugin_state.get(&page.space) else { return Vec::new() };
        let behind = |key: &str| page.after.as_deref().is_none_or(|after| key > after);
        let found = rows.keys.iter().filter(|(key, stored)| {
            key.starts_with(&page.prefix) && behind(key) && stored.is_live(now)
        });
        found.map(|(key, _)| key.clone()).take(page.limit.clamp(1, PAGE_MAX)).collect()
    }

    /// Removes keys whose time is over; how many.
    pub fn prune_plugin_state(&mut self, now: Timestamp, limit: usize) -> u64 {
        let mut left = limit;
        for rows in self.plugin_state.values_mut() {
            left -= rows.remove_expired(now, left);
        }
        (limit - left) as u64
    }

    /// Whether it was new.
    pub fn import_plugin_state(&mut self, space: Space, key: String, stored: Stored) -> bool {
        let rows = self.plugin_state.entry(space).or_default();
        if rows.keys.contains_key(&key) {
            return false;
        }
        rows.usage.keys += 1;
        rows.usage.bytes += weight(&key, &stored.entry.value);
        rows.last_version = rows.last_version.max(stored.entry.version);
        rows.keys.insert(key, stored);
        true
    }
}

// === impl SpaceRows ===

impl SpaceRows {
    fn change(&mut self, now: Timestamp, change: &Change) -> Changed {
        let stored = self.keys.get(&change.key);
        let mut next = decide(change, stored, self.usage, now);
        if let Next::NeedsRoom(_) = next {
            self.remove_expired(now, usize::MAX);
            next = decide(change, self.keys.get(&change.key), self.usage, now);
        }
        match next {
            Next::Write { value, expires_at, usage, sum } => {
                self.last_version += 1;
                let version = self.last_version;
                let entry = Entry { value, version };
                self.keys.insert(change.key.clone(), Stored { entry, expires_at });
                self.usage = usage;
                sum.map_or(Changed::Set(version), Changed::Sum)
            }
            Next::Remove { usage, was_there } => {
                self.keys.remove(&change.key);
                self.usage = usage;
                Changed::Deleted(was_there)
            }
            Next::Leave(changed) => changed,
            Next::NeedsRoom(refusal) => Changed::Refused(refusal),
        }
    }

    fn remove_expired(&mut self, now: Timestamp, limit: usize) -> usize {
        let over = self.keys.iter().filter(|(_, stored)| !stored.is_live(now));
        let over: Vec<String> = over.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &over {
            if let Some(stored) = self.keys.remove(key) {
                self.usage.keys -= 1;
                self.usage.bytes -= weight(key, &stored.entry.value);
            }
        }
        over.len()
    }

    pub fn bytes(&self) -> u64 {
        self.usage.bytes
    }

    /// Whether the sums are those of the rows, and no version is ahead of the last.
    pub fn is_whole(&self) -> bool {
        let bytes = self.keys.iter().map(|(key, stored)| weight(key, &stored.entry.value)).sum();
        let usage = Usage { keys: self.keys.len() as u64, bytes };
        let last = self.keys.values().map(|stored| stored.entry.version).max();
        usage == self.usage && last.is_none_or(|last| last <= self.last_version)
    }
}
