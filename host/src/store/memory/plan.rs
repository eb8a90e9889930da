//! Events that wait for a plan.

use super::tables::{DeliveryRow, Tables};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{Claim, Plan, PlanNext, PlanState, Recorded, StoredDelivery, StoredEvent};
use livekit_webhook_core::time::Timestamp;

impl Tables {
    pub fn claim_unplanned(
        &mut self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Vec<Claim<StoredEvent>> {
        let mut waiting: Vec<_> = self
            .unplanned()
            .filter(|row| row.plan_at <= now)
            .map(|row| (row.plan_at, row.stored.event.id))
            .filter(|(_, id)| self.event_leases.is_free(*id, now))
            .collect();
        waiting.sort_unstable();
        waiting.truncate(limit.min(CLAIM_MAX));
        let mut claims = Vec::new();
        let mut bytes = ClaimBytes::default();
        for (_, id) in waiting {
            let Some(item) = self.events.get(&id).map(|row| row.stored.clone()) else { continue };
            if !bytes.fits(item.event.body.len()) {
                break;
            }
            let fence = self.next_fence();
            self.event_leases.claim(id, fence, now.plus_millis(lease_ms));
            claims.push(Claim { fence, item });
        }
        claims
    }

    pub fn record_plan(&mut self, now: Timestamp, plan: Plan) -> Recorded {
        if !self.event_leases.is_current(plan.event, plan.fence) {
            return Recorded::Stale;
        }
        self.event_leases.finish(plan.event);
        let Some(row) = self.events.get_mut(&plan.event) else {
            return Recorded::Stale;
        };
        let deliveries = match plan.next {
            PlanNext::Again { at, note, deliveries, settled } => {
                row.plan_at = at;
                row.stored.plan_attempts += 1;
                row.stored.note = Some(note);
                row.stored.settled = settled;
                deliveries
            }
            PlanNext::Planned { deliveries, note } => {
                row.stored.plan = PlanState::Planned;
                self.unplanned.remove(&plan.event);
                row.stored.note = note;
                deliveries
            }
        };
        let sequence = row.stored.sequence;
        for new in deliveries {
            let stored = StoredDelivery {
                id: new.id,
                event: plan.event,
                endpoint: new.endpoint,
                webhook_id: new.webhook_id,
                kind: new.kind,
                headers: new.headers,
                state: new.state,
                due_at: new.due_at,
                attempts: 0,
                lane: new.lane,
                sequence,
                batch: None,
                replay: None,
                created_at: now,
                updated_at: now,
                note: new.note,
            };
            let attempts = Vec::new();
            let row = DeliveryRow { stored, body: new.body, attempts, request: None };
            self.insert_delivery(row);
        }
        Recorded::Done
    }
}
