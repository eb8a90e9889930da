//! What the writer does inside its transaction. Each function may run twice: when a batch fails,
//! every command of it is run again alone. What it changes in memory is therefore kept in [`Scope`]
//! until the commit.

use super::Shared;
use super::rows::state_columns;
use crate::store::{
    Appended, AttemptRecord, AttemptResult, NewDelivery, NewEvent, Plan, PlanNext, Quarantined,
    Recorded,
};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{Next, State};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::collections::HashMap;

/// A transaction under way, and what follows from it once it is committed.
pub struct Scope<'a> {
    pub conn: &'a Connection,
    pub shared: &'a Shared,
    pub endpoints: &'a mut HashMap<String, i64>,
    pub effects: &'a mut Effects,
}

/// Changes outside the file that wait for the commit.
#[derive(Default)]
pub struct Effects {
    pub unplanned: i64,
    pub pending: i64,
    pub dead: i64,
    pub quarantined: i64,
    pub events: Vec<EventId>,
    pub deliveries: Vec<DeliveryId>,
}

pub fn append(scope: &mut Scope<'_>, event: &NewEvent) -> Result<Appended> {
    let answer = known(scope, event)?;
    if let Appended::Duplicate { .. } = answer {
        return Ok(answer);
    }
    let body = insert_body(scope.conn, &event.body)?;
    let plan = i64::from(answer != Appended::Stored) * 2;
    let sql = "INSERT INTO events (id, source, dedupe_key, kind, room, lane, created_at, received_at, \
         api_key, body, body_sha256, plan, plan_at, plan_attempts, settled, note) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?8, 0, '', NULL)";
    scope.conn.prepare_cached(sql)?.execute(params![
        event.id.to_bytes(),
        event.source,
        event.dedupe_key,
        event.kind,
        event.room,
        event.lane,
        event.created_at.map(Timestamp::as_millis),
        event.received_at.as_millis(),
        event.api_key,
        body,
        event.body_sha256,
        plan,
    ])?;
    if answer == Appended::Stored {
        scope.effects.unplanned += 1;
    }
    Ok(answer)
}

/// Looks at every event under the same key within the window: the same body makes a duplicate, of
/// whichever event has it; else the first proper one makes a conflict. So a conflict that is sent
/// again is stored once.
fn known(scope: &Scope<'_>, event: &NewEvent) -> Result<Appended> {
    let since = event.received_at.plus_millis(-scope.shared.dedupe_window_ms);
    let sql = "SELECT id, body_sha256, plan FROM events INDEXED BY events_key \
         WHERE dedupe_key = ?1 AND source = ?2 AND received_at > ?3 ORDER BY id";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![event.dedupe_key, event.source, since.as_millis()])?;
    let mut answer = Appended::Stored;
    while let Some(row) = rows.next()? {
        let of = EventId::from_bytes(row.get(0)?);
        if row.get::<_, [u8; 32]>(1)? == event.body_sha256 {
            return Ok(Appended::Duplicate { of });
        }
        if answer == Appended::Stored && row.get::<_, i64>(2)? != 2 {
            answer = Appended::Conflict { of };
        }
    }
    Ok(answer)
}

pub fn quarantine(scope: &mut Scope<'_>, item: &Quarantined) -> Result<()> {
    let body = insert_body(scope.conn, &item.body)?;
    let sql = "INSERT INTO quarantine (id, source, reason, received_at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5)";
    scope.conn.prepare_cached(sql)?.execute(params![
        item.id.to_bytes(),
        item.source,
        item.reason,
        item.received_at.as_millis(),
        body,
    ])?;
    scope.effects.quarantined += 1;
    Ok(())
}

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
            let sql = "UPDATE events SET plan_at = ?2, plan_attempts = plan_attempts + 1, note = ?3, \
                 settled = ?4 WHERE id = ?1 AND plan = 0";
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
    for delivery in deliveries {
        insert_delivery(scope, now, plan.event, delivery)?;
    }
    Ok(Recorded::Done)
}

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
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, body, status, \
         dead_reason, due_at, attempts, created_at, updated_at, note) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0, ?10, ?10, ?11)";
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
    ])?;
    match delivery.state {
        State::Pending => scope.effects.pending += 1,
        State::Dead(_) => scope.effects.dead += 1,
        State::Delivered => {}
    }
    Ok(())
}

pub fn attempts(
    scope: &mut Scope<'_>,
    now: Timestamp,
    results: &[AttemptResult],
) -> Result<Vec<Recorded>> {
    results.iter().map(|result| record_attempt(scope, now, result)).collect()
}

fn record_attempt(
    scope: &mut Scope<'_>,
    now: Timestamp,
    result: &AttemptResult,
) -> Result<Recorded> {
    if !scope.shared.deliveries().settle(result.delivery, result.fence) {
        return Ok(Recorded::Stale);
    }
    scope.effects.deliveries.push(result.delivery);
    let (state, due_at) = match result.next {
        Next::Delivered => (State::Delivered, None),
        Next::RetryAt(at) => (State::Pending, Some(at.as_millis())),
        Next::Dead(reason) => (State::Dead(reason), None),
    };
    let (status, dead_reason) = state_columns(state);
    let sql = "UPDATE deliveries SET status = ?2, dead_reason = ?3, due_at = coalesce(?4, due_at), \
         attempts = coalesce(?5, attempts), updated_at = ?6, note = ?7 WHERE id = ?1 AND status = 0";
    let changed = scope.conn.prepare_cached(sql)?.execute(params![
        result.delivery.to_bytes(),
        status,
        dead_reason,
        due_at,
        result.attempt.as_ref().map(|attempt| attempt.number),
        now.as_millis(),
        result.note,
    ])?;
    if changed == 0 {
        return Ok(Recorded::Stale);
    }
    match state {
        State::Pending => {}
        State::Delivered => scope.effects.pending -= 1,
        State::Dead(_) => {
            scope.effects.pending -= 1;
            scope.effects.dead += 1;
        }
    }
    if let Some(attempt) = &result.attempt {
        insert_attempt(scope.conn, result.delivery, attempt)?;
    }
    Ok(Recorded::Done)
}

fn insert_attempt(conn: &Connection, delivery: DeliveryId, attempt: &AttemptRecord) -> Result<()> {
    let (status, retry_after_ms, error_class) = match attempt.outcome {
        Outcome::Answered { status, retry_after_ms } => (Some(status), retry_after_ms, None),
        Outcome::Failed(class) => (None, None, Some(class.as_str())),
    };
    let sql = "INSERT INTO attempts (delivery, number, started_at, duration_ms, status, \
         retry_after_ms, error_class, address, response_start, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    conn.prepare_cached(sql)?.execute(params![
        delivery.to_bytes(),
        attempt.number,
        attempt.started_at.as_millis(),
        attempt.duration_ms,
        status,
        retry_after_ms,
        error_class,
        attempt.address,
        &*attempt.response_start,
        attempt.error,
    ])?;
    Ok(())
}

fn insert_body(conn: &Connection, body: &[u8]) -> Result<i64> {
    conn.prepare_cached("INSERT INTO bodies (bytes) VALUES (?1)")?.insert(params![body])
}

/// Endpoints are few and stay: their numbers are kept at hand.
fn endpoint_id(scope: &mut Scope<'_>, name: &str) -> Result<i64> {
    if let Some(&id) = scope.endpoints.get(name) {
        return Ok(id);
    }
    let found = scope
        .conn
        .prepare_cached("SELECT id FROM endpoints WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            scope.conn.prepare_cached("INSERT INTO endpoints (name) VALUES (?1)")?.insert([name])?
        }
    };
    scope.endpoints.insert(name.to_owned(), id);
    Ok(id)
}
