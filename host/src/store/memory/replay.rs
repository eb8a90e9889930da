//! Replays.

use super::faults::Rule;
use super::tables::{DeliveryRow, Tables};
use crate::store::{
    Recorded, ReplayDelivery, ReplayState, ReplayStep, StoredDelivery, StoredReplay, lane,
};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{EventId, ReplayId};
use livekit_webhook_core::replay::{Candidate, Fate, Selection};
use livekit_webhook_core::time::Timestamp;
use std::ops::Bound;

impl Tables {
    pub fn candidates(
        &self,
        selection: &Selection,
        after: Option<EventId>,
        limit: usize,
    ) -> (Vec<Candidate>, Option<EventId>) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let limit = limit.max(1);
        let mut rows = self.events.range((from, Bound::Unbounded));
        let seen: Vec<_> = rows.by_ref().take(limit).collect();
        let go_on = rows.next().and(seen.last()).map(|(id, _)| **id);
        let candidates = seen.iter().map(|(id, row)| {
            let event = &row.stored.event;
            Candidate {
                event: **id,
                source: event.source.clone(),
                kind: event.kind.clone(),
                room: event.room.clone(),
                received_at: event.received_at,
                deliveries: self.fates(**id),
            }
        });
        (candidates.filter(|candidate| selection.matches(candidate)).collect(), go_on)
    }

    fn fates(&self, event: EventId) -> Vec<Fate> {
        let rows = self.deliveries.values().map(|row| &row.stored);
        let of_event = rows.filter(|stored| stored.event == event);
        let fate = |stored: &StoredDelivery| Fate {
            id: stored.id,
            endpoint: stored.endpoint.clone(),
            webhook_id: stored.webhook_id.clone(),
            state: stored.state,
        };
        of_event.map(fate).collect()
    }

    pub fn create_replay(&mut self, replay: StoredReplay) {
        self.replays.entry(replay.id).or_insert(replay);
    }

    pub fn record_replay(&mut self, now: Timestamp, step: ReplayStep) -> Recorded {
        let is_here = self.replays.get(&step.replay).is_some_and(|replay| {
            replay.state == ReplayState::Running && replay.cursor == step.from
        });
        if !is_here && !self.breaks(Rule::Step) {
            return Recorded::Stale;
        }
        let planned = step.deliveries.into_iter();
        let planned = planned.filter_map(|new| self.plan_again(now, step.replay, new)).count();
        if let Some(replay) = self.replays.get_mut(&step.replay) {
            replay.cursor = step.to;
            replay.planned += planned as u64;
            replay.skipped += step.skipped;
            replay.updated_at = now;
            if step.is_done {
                replay.state = ReplayState::Done;
            }
        }
        Recorded::Done
    }

    /// `None`: retention has taken what was to be repeated.
    fn plan_again(&mut self, now: Timestamp, replay: ReplayId, new: ReplayDelivery) -> Option<()> {
        let of = self.deliveries.get(&new.of)?;
        let event = &self.events.get(&of.stored.event)?.stored.event;
        let key = event.lane.as_deref().filter(|_| new.is_ordered);
        let stored = StoredDelivery {
            id: new.id,
            endpoint: new.endpoint,
            state: State::Pending,
            due_at: new.due_at,
            attempts: 0,
            lane: key.map(|key| lane(Some(replay), &event.source, key)),
            batch: None,
            replay: Some(replay),
            created_at: now,
            updated_at: now,
            note: None,
            ..of.stored.clone()
        };
        let row =
            DeliveryRow { stored, body: of.body.clone(), attempts: Vec::new(), request: None };
        self.insert_delivery(row);
        Some(())
    }

    pub fn change_replay(
        &mut self,
        now: Timestamp,
        id: ReplayId,
        from: ReplayState,
        to: ReplayState,
    ) -> Recorded {
        match self.replays.get_mut(&id) {
            Some(replay) if replay.state == from => {
                replay.state = to;
                replay.updated_at = now;
                Recorded::Done
            }
            _ => Recorded::Stale,
        }
    }
}
