//! From one store to another.

use super::tables::{DeliveryRow, EventRow, LaneRow, Tables};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{CopyCursor, Record, StoredEvent};
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use std::collections::btree_map::{BTreeMap, Entry};

impl Tables {
    pub fn export(&self, after: Option<&CopyCursor>) -> (Vec<Record>, Option<CopyCursor>) {
        let mut bytes = ClaimBytes::default();
        let mut page = Vec::new();
        let mut last = None;
        let rest = self.records().into_iter();
        for (key, record) in rest.filter(|(key, _)| after.is_none_or(|after| *key > after.0)) {
            if page.len() == CLAIM_MAX || !bytes.fits(body_bytes(&record)) {
                return (page, last.map(CopyCursor));
            }
            page.push(record);
            last = Some(key);
        }
        (page, None)
    }

    /// Everything, each under a key that sorts as the copy goes: nothing points ahead.
    fn records(&self) -> BTreeMap<Vec<u8>, Record> {
        let mut records = BTreeMap::new();
        let mut add = |kind: u8, key: &[u8], record| {
            records.insert([&[kind], key].concat(), record);
        };
        for ((source, key), LaneRow { last, used_at }) in &self.lanes {
            let (source, key, sequence, used_at) = (source.clone(), key.clone(), *last, *used_at);
            let place = [source.as_bytes(), &[0], key.as_bytes()].concat();
            add(0, &place, Record::Lane { source, key, sequence, used_at });
        }
        for (id, row) in &self.events {
            let StoredEvent { event, sequence, plan, plan_attempts, settled, note } =
                row.stored.clone();
            let plan_at = row.plan_at;
            let record =
                Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note };
            add(1, &id.to_bytes(), record);
        }
        for (id, replay) in &self.replays {
            add(2, &id.to_bytes(), Record::Replay(replay.clone()));
        }
        for (id, row) in &self.deliveries {
            let (delivery, body) = (row.stored.clone(), row.body.clone());
            add(3, &id.to_bytes(), Record::Delivery { delivery, body });
            for attempt in &row.attempts {
                let place = [&id.to_bytes()[..], &attempt.number.to_be_bytes()].concat();
                add(4, &place, Record::Attempt { delivery: *id, attempt: attempt.clone() });
            }
        }
        for (id, item) in &self.quarantine {
            add(5, &id.to_bytes(), Record::Quarantined(item.clone()));
        }
        for (name, health) in &self.healths {
            add(6, name.as_bytes(), Record::Health(health.clone()));
        }
        for (id, secret) in &self.secrets {
            add(7, &id.to_bytes(), Record::Secret(secret.clone()));
        }
        for (space, rows) in &self.plugin_state {
            for (key, stored) in &rows.keys {
                let (plugin, source) = (space.plugin.as_bytes(), space.source.as_bytes());
                let place = [plugin, &[0], source, &[0], key.as_bytes()].concat();
                let (space, key, stored) = (space.clone(), key.clone(), stored.clone());
                add(8, &place, Record::PluginState { space, key, stored });
            }
        }
        records
    }

    /// Whether it was new.
    pub fn import(&mut self, record: Record) -> bool {
        match record {
            Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note } => {
                let stored = StoredEvent { event, sequence, plan, plan_attempts, settled, note };
                let is_new = !self.events.contains_key(&stored.event.id);
                if is_new {
                    if let (Some(lane), Some(sequence)) = (&stored.event.lane, stored.sequence) {
                        let lane = (stored.event.source.clone(), lane.clone());
                        self.import_lane(lane, sequence, stored.event.received_at);
                    }
                    self.insert_event(EventRow { stored, plan_at });
                }
                is_new
            }
            Record::Lane { source, key, sequence, used_at } => {
                self.import_lane((source, key), sequence, used_at)
            }
            Record::Replay(replay) => insert(self.replays.entry(replay.id), replay),
            Record::Delivery { delivery, body } => {
                let (id, attempts) = (delivery.id, Vec::new());
                let row = DeliveryRow { stored: delivery, body, attempts, request: None };
                let is_new = !self.deliveries.contains_key(&id);
                if is_new {
                    self.insert_delivery(row);
                }
                is_new
            }
            Record::Attempt { delivery, attempt } => {
                let Some(row) = self.deliveries.get_mut(&delivery) else { return false };
                let is_new = row.attempts.iter().all(|known| known.number != attempt.number);
                if is_new {
                    row.attempts.push(attempt);
                    row.attempts.sort_by_key(|attempt| attempt.number);
                }
                is_new
            }
            Record::Quarantined(item) => insert(self.quarantine.entry(item.id), item),
            Record::Health(health) => insert(self.healths.entry(health.endpoint.clone()), health),
            Record::Secret(secret) => insert(self.secrets.entry(secret.id), secret),
            Record::PluginState { space, key, stored } => {
                self.import_plugin_state(space, key, stored)
            }
        }
    }

    /// Never back: of two that are stored none may get the same place.
    fn import_lane(&mut self, lane: (String, String), sequence: i64, used_at: Timestamp) -> bool {
        let is_new = !self.lanes.contains_key(&lane);
        let row = self.lanes.entry(lane).or_default();
        row.last = row.last.max(sequence);
        row.used_at = row.used_at.max(used_at);
        is_new
    }
}

fn insert<K: Ord, V>(entry: Entry<'_, K, V>, value: V) -> bool {
    let is_new = matches!(entry, Entry::Vacant(_));
    entry.or_insert(value);
    is_new
}

fn body_bytes(record: &Record) -> usize {
    match record {
        Record::Event { event, .. } => event.body.len(),
        Record::Delivery { body, .. } => body.as_ref().map_or(0, Bytes::len),
        Record::Attempt { attempt, .. } => attempt.response_start.len(),
        Record::Quarantined(item) => item.body.len(),
        Record::PluginState { stored, .. } => stored.entry.value.len(),
        Record::Health(_) | Record::Replay(_) | Record::Secret(_) | Record::Lane { .. } => 0,
    }
}
