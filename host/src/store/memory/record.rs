//! What came of deliveries.

use super::faults::Rule;
use super::tables::Tables;
use crate::store::{AttemptResult, EndpointHealth, Owed, Recorded};
use livekit_webhook_core::delivery::{DeadReason, Next, State};
use livekit_webhook_core::time::Timestamp;

impl Tables {
    pub fn record_attempt(&mut self, now: Timestamp, result: AttemptResult) -> Recorded {
        let is_current = self.delivery_leases.is_current(result.delivery, result.fence);
        if !is_current && !self.breaks(Rule::Fence) {
            return Recorded::Stale;
        }
        self.delivery_leases.finish(result.delivery);
        let Some(row) = self.deliveries.get_mut(&result.delivery) else {
            return Recorded::Stale;
        };
        match result.next {
            Next::Delivered => row.stored.state = State::Delivered,
            Next::Dead(reason) => row.stored.state = State::Dead(reason),
            Next::RetryAt(at) => {
                row.stored.due_at = at;
                row.stored.batch = result.batch;
                if result.leaves_lane {
                    row.stored.lane = None;
                }
            }
        }
        if row.stored.state != State::Pending {
            self.pending.remove(&result.delivery);
        }
        row.stored.updated_at = now;
        row.stored.note = result.note;
        if let Some(attempt) = result.attempt {
            row.stored.attempts = attempt.number;
            row.attempts.push(attempt);
        }
        Recorded::Done
    }

    pub fn give_up(
        &mut self,
        now: Timestamp,
        owed: &Owed,
        reason: DeadReason,
        note: &str,
        limit: usize,
    ) -> u64 {
        let Self { deliveries, delivery_leases, .. } = self;
        let chosen = deliveries.values_mut().map(|row| &mut row.stored).filter(|stored| {
            let is_meant = match owed {
                Owed::Endpoint(name) => stored.endpoint == *name,
                Owed::Replay(id) => stored.replay == Some(*id),
                Owed::Delivery(id) => stored.id == *id,
            };
            is_meant && stored.state == State::Pending && delivery_leases.is_free(stored.id, now)
        });
        let ids = chosen.take(limit).map(|stored| {
            stored.state = State::Dead(reason);
            stored.note = Some(note.to_owned());
            stored.updated_at = now;
            stored.id
        });
        let ids: Vec<_> = ids.collect();
        // A lease that has ended does not bring it back.
        ids.iter().for_each(|id| delivery_leases.finish(*id));
        self.pending.retain(|id| !ids.contains(id));
        ids.len() as u64
    }

    pub fn record_health(&mut self, mut health: EndpointHealth) -> Recorded {
        let version = self.healths.get(&health.endpoint).map_or(0, |stored| stored.version);
        if version != health.version {
            return Recorded::Stale;
        }
        health.version += 1;
        self.healths.insert(health.endpoint.clone(), health);
        Recorded::Done
    }
}
