//! Plans.

use super::{Scope, endpoint_id, insert_body};
use crate::store::sqlite::rows::state_columns;
use crate::store::{NewDelivery, Plan, PlanNext, Recorded};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Result, params};

pub fn plans(scope: &mut Scope<'_>, now: Timestamp, plans: &[Plan]) -> Result<Vec<Recorded>> {
    plans.iter().map(|plan| record_plan(scope, now, plan)).collect()
}

fn record_plan(scope: &mut Scope<'_>, now: Timestamp, plan: &Plan) -> Result<Recorded> {
    if !scope.shared.events().settle(plan.event, plan.fence) {
        return Ok(Recorded::Stale);
    }
    scope.effects.events.push(plan.event);
    let id = plan.event.to_bytes();
    let (changed, deliveries) = match &plan.next {
        PlanNext::Planned { note, deliveries } => {
            let sql = "UPDATE events SET plan = 1, note = ?2 WHERE id = ?1 AND plan = 0";
            (scope.conn.prepare_cached(sql)?.execute(params![id, note])?, deliveries)
        }
        PlanNext::Again { at, note, deliveries, settled } => {
            let sql = "UPDATE events SET plan_at = ?2, plan_attempts = plan_attempts + 1, \
                 note = ?3, settled = ?4 WHERE id = ?1 AND plan = 0";
            let values = params![id, at.as_millis(), note, settled.join(",")];
            (scope.conn.prepare_cached(sql)?.execute(values)?, deliveries)
        }
    };
    if changed == 0 {
        return Ok(Recorded::Stale);
    }
    if let PlanNext::Planned { .. } = &plan.next {
        scope.effects.unplanned -= 1;
    }
    scope.effects.lanes.event(scope.conn, id)?;
    for delivery in deliveries {
        insert_delivery(scope, now, plan.event, delivery)?;
    }
    Ok(Recorded::Done)
}

/// One in a lane is held until its lane is put in order.
fn insert_delivery(
    scope: &mut Scope<'_>,
    now: Timestamp,
    event: EventId,
    delivery: &NewDelivery,
) -> Result<()> {
    let endpoint = endpoint_id(scope, &delivery.endpoint)?;
    let body = match &delivery.body {
        Some(body) => Some(insert_body(scope.conn, body)?),
        None => None,
    };
    let (status, dead_reason) = state_columns(delivery.state);
    let lane = delivery.lane.as_deref();
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, body, status, \
         dead_reason, due_at, attempts, created_at, updated_at, note, lane, held, headers, \
         sequence) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?10, ?11, ?12, ?13, ?14, \
         (SELECT sequence FROM events WHERE id = ?2))";
    scope.conn.prepare_cached(sql)?.execute(params![
        delivery.id.to_bytes(),
        event.to_bytes(),
        endpoint,
        delivery.webhook_id,
        delivery.kind,
        body,
        status,
        dead_reason,
        delivery.due_at.as_millis(),
        now.as_millis(),
        delivery.note,
        lane,
        lane.is_some(),
        delivery.headers.to_text(),
    ])?;
    if let Some(lane) = lane {
        scope.effects.lanes.delivery(lane, endpoint);
    }
    match delivery.state {
        State::Pending => scope.effects.pending += 1,
        State::Dead(_) => scope.effects.dead += 1,
        State::Delivered => {}
    }
    Ok(())
}
