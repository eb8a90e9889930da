//! Retention, size and order.

use super::plugin_state::SpaceRows;
use super::tables::Tables;
use crate::store::{Finding, PlanState, Pruned, Retention};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What a row is taken to weigh beside its body, in bytes.
const ROW_BYTES: u64 = 256;

impl Tables {
    pub fn prune(&mut self, now: Timestamp, retention: &Retention, limit: usize) -> Pruned {
        let limit = limit.max(1);
        let mut pruned = Pruned::default();
        self.prune_by_age(now, retention, limit, &mut pruned);
        if let Some(bytes_max) = retention.bytes_max {
            self.prune_by_size(bytes_max, limit, &mut pruned);
        }
        pruned.lanes = self.prune_lanes(now, retention.lanes_ms, limit);
        pruned.plugin_state = self.prune_plugin_state(now, limit);
        pruned.is_more = pruned.most() >= limit as u64;
        pruned
    }

    fn prune_by_age(
        &mut self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
        pruned: &mut Pruned,
    ) {
        let is_over = |at: Timestamp, keep_ms: i64| now.millis_since(at) >= keep_ms;
        let rows = self.deliveries.values().map(|row| &row.stored);
        let over = rows.filter(|stored| match stored.state {
            State::Pending => false,
            State::Delivered => is_over(stored.updated_at, retention.delivered_ms),
            State::Dead(_) => is_over(stored.updated_at, retention.dead_ms),
        });
        let over: Vec<_> = over.map(|stored| stored.id).take(limit).collect();
        over.iter().for_each(|id| self.remove_delivery(*id));
        pruned.deliveries += over.len() as u64;

        let pointed_at: BTreeSet<_> =
            self.deliveries.values().map(|row| row.stored.event).collect();
        let rows = self.events.values().map(|row| &row.stored);
        let over = rows.filter(|stored| {
            stored.plan != PlanState::Unplanned
                && is_over(stored.event.received_at, retention.delivered_ms)
                && !pointed_at.contains(&stored.event.id)
        });
        let over: Vec<_> = over.map(|stored| stored.event.id).take(limit).collect();
        over.iter().for_each(|id| drop(self.events.remove(id)));
        pruned.events += over.len() as u64;

        let rows = self.quarantine.values();
        let over = rows.filter(|item| is_over(item.received_at, retention.quarantined_ms));
        let over: Vec<_> = over.map(|item| item.id).take(limit).collect();
        over.iter().for_each(|id| drop(self.quarantine.remove(id)));
        pruned.quarantined += over.len() as u64;
    }

    /// The oldest events of which everything is delivered, one after the other.
    fn prune_by_size(&mut self, bytes_max: u64, limit: usize, pruned: &mut Pruned) {
        while pruned.events < limit as u64 && self.size_bytes() > bytes_max {
            let Some((event, deliveries)) = self.oldest_delivered() else { return };
            for id in deliveries {
                if pruned.deliveries >= limit as u64 {
                    return;
                }
                self.remove_delivery(id);
                pruned.deliveries += 1;
            }
            self.events.remove(&event);
            pruned.events += 1;
        }
    }

    /// Counters of lanes, after all events of this step are gone.
    fn prune_lanes(&mut self, now: Timestamp, keep_ms: i64, limit: usize) -> u64 {
        let rows = self.events.values().map(|row| &row.stored);
        let placed = rows.filter(|stored| stored.sequence.is_some());
        let in_use: BTreeSet<_> = placed
            .filter_map(|stored| Some((stored.event.source.clone(), stored.event.lane.clone()?)))
            .collect();
        let rows = self.lanes.iter().filter(|(lane, _)| !in_use.contains(*lane));
        let over = rows.filter(|(_, row)| now.millis_since(row.used_at) >= keep_ms);
        let over: BTreeSet<_> = over.map(|(lane, _)| lane.clone()).take(limit).collect();
        self.lanes.retain(|lane, _| !over.contains(lane));
        over.len() as u64
    }

    fn oldest_delivered(&self) -> Option<(EventId, Vec<DeliveryId>)> {
        let mut of_event: BTreeMap<EventId, Vec<DeliveryId>> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for stored in self.deliveries.values().map(|row| &row.stored) {
            of_event.entry(stored.event).or_default().push(stored.id);
            if stored.state != State::Delivered {
                kept.insert(stored.event);
            }
        }
        let rows = self.events.iter();
        let planned = rows.filter(|(_, row)| row.stored.plan != PlanState::Unplanned);
        let oldest = planned.map(|(id, _)| *id).find(|id| !kept.contains(id))?;
        Some((oldest, of_event.remove(&oldest).unwrap_or_default()))
    }

    fn remove_delivery(&mut self, id: DeliveryId) {
        self.deliveries.remove(&id);
    }

    pub fn size_bytes(&self) -> u64 {
        let events = self.events.values().map(|row| row.stored.event.body.len());
        let deliveries = self.deliveries.values();
        let own = deliveries.map(|row| {
            let headers = row.stored.headers.to_text();
            row.body.as_ref().map_or(0, bytes::Bytes::len) + headers.map_or(0, |text| text.len())
        });
        let quarantine = self.quarantine.values().map(|item| item.body.len());
        let rows = events.chain(own).chain(quarantine).map(|bytes| bytes as u64 + ROW_BYTES);
        rows.chain(self.plugin_state.values().map(SpaceRows::bytes)).sum()
    }

    pub fn check(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut places = BTreeSet::new();
        for stored in self.events.values().map(|row| &row.stored) {
            let (id, source) = (stored.event.id, &stored.event.source);
            let (Some(key), Some(sequence)) = (&stored.event.lane, stored.sequence) else {
                continue;
            };
            let lane = (source.clone(), key.clone());
            if self.lanes.get(&lane).is_none_or(|row| row.last < sequence) {
                findings.push(Finding(format!("{id} is ahead of its lane's last sequence")));
            }
            if !places.insert((lane, sequence)) {
                findings.push(Finding(format!("{id} shares its place in its lane")));
            }
        }
        for stored in self.deliveries.values().map(|row| &row.stored) {
            let id = stored.id;
            if !self.events.contains_key(&stored.event) {
                findings.push(Finding(format!("{id} has no event")));
            }
            if stored.replay.is_some_and(|replay| !self.replays.contains_key(&replay)) {
                findings.push(Finding(format!("{id} has no replay")));
            }
            if stored.state != State::Pending && self.delivery_leases.has(id) {
                findings.push(Finding(format!("{id} has ended and is under a claim")));
            }
        }
        for (space, rows) in &self.plugin_state {
            if !rows.is_whole() {
                findings.push(Finding(format!("{space:?} counts other keys than there are")));
            }
        }
        findings
    }
}
