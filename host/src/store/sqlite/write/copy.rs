//! Rows of another store.

use super::attempt::insert_attempt;
use super::small::{create_replay, put_secret, write_health};
use super::{Scope, endpoint_id, insert_body, plugin_state};
use crate::store::sqlite::rows::{plan_column, state_columns};
use crate::store::{NewEvent, PlanState, Quarantined, Record, StoredDelivery, StoredEvent};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, Result, params};

/// Tells how many were new.
pub fn import(scope: &mut Scope<'_>, records: &[Record]) -> Result<u64> {
    let mut new = 0;
    for record in records {
        new += u64::from(import_one(scope, record)?);
    }
    Ok(new)
}

/// Whether it was new.
fn import_one(scope: &mut Scope<'_>, record: &Record) -> Result<bool> {
    match record {
        Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note } => {
            let stored = StoredEvent {
                event: event.clone(),
                sequence: *sequence,
                plan: *plan,
                plan_attempts: *plan_attempts,
                settled: settled.clone(),
                note: note.clone(),
            };
            import_event(scope, &stored, *plan_at)
        }
        Record::Delivery { delivery, body } => import_delivery(scope, delivery, body.as_deref()),
        Record::Attempt { delivery, attempt } => {
            let sql = "SELECT NOT EXISTS \
                 (SELECT 1 FROM attempts WHERE delivery = ?1 AND number = ?2) \
                 AND EXISTS (SELECT 1 FROM deliveries WHERE id = ?1)";
            let values = params![delivery.to_bytes(), attempt.number];
            let is_new = scope.conn.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            if is_new {
                insert_attempt(scope.conn, *delivery, attempt)?;
            }
            Ok(is_new)
        }
        Record::Quarantined(item) => import_quarantined(scope, item),
        Record::Health(health) => {
            let number = endpoint_id(scope, &health.endpoint)?;
            let version = health.version.cast_signed();
            Ok(write_health(scope.conn, number, &health.health, 0, version)? > 0)
        }
        Record::Replay(replay) => Ok(create_replay(scope.conn, replay)? > 0),
        Record::Secret(secret) => {
            let is_new =
                is_new(scope, "SELECT 1 FROM secrets WHERE id = ?1", secret.id.to_bytes())?;
            if is_new {
                put_secret(scope.conn, secret)?;
            }
            Ok(is_new)
        }
        Record::PluginState { space, key, stored } => {
            plugin_state::import(scope.conn, space, key, stored)
        }
        Record::Lane { source, key, sequence, used_at } => {
            let sql = "SELECT NOT EXISTS (SELECT 1 FROM lanes WHERE source = ?1 AND key = ?2)";
            let is_new =
                scope.conn.prepare_cached(sql)?.query_row([source, key], |row| row.get(0))?;
            import_lane(scope.conn, (source, key), *sequence, *used_at, 0)?;
            Ok(is_new)
        }
    }
}

/// Adds to a lane's counter. Never back: of two that are stored none may get the same place.
fn import_lane(
    conn: &Connection,
    (source, key): (&str, &str),
    sequence: i64,
    used_at: Timestamp,
    events: i64,
) -> Result<()> {
    let sql = "INSERT INTO lanes (source, key, last, used_at, events) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO UPDATE SET last = max(last, excluded.last), \
         used_at = max(used_at, excluded.used_at), events = events + excluded.events";
    let values = params![source, key, sequence, used_at.as_millis(), events];
    conn.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn import_event(scope: &mut Scope<'_>, stored: &StoredEvent, plan_at: Timestamp) -> Result<bool> {
    let NewEvent { id, received_at, .. } = stored.event;
    if !is_new(scope, "SELECT 1 FROM events WHERE id = ?1", id.to_bytes())? {
        return Ok(false);
    }
    let event = &stored.event;
    let body = insert_body(scope.conn, &event.body)?;
    let sql = "INSERT INTO events (id, source, dedupe_key, kind, room, lane, created_at, \
         received_at, api_key, body, body_sha256, plan, plan_at, plan_attempts, settled, note, \
         sequence) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
    scope.conn.prepare_cached(sql)?.execute(params![
        id.to_bytes(),
        event.source,
        event.dedupe_key,
        event.kind,
        event.room,
        event.lane,
        event.created_at.map(Timestamp::as_millis),
        received_at.as_millis(),
        event.api_key,
        body,
        event.body_sha256,
        plan_column(stored.plan),
        plan_at.as_millis(),
        stored.plan_attempts,
        stored.settled.join(","),
        stored.note,
        stored.sequence,
    ])?;
    if let (Some(key), Some(sequence)) = (&event.lane, stored.sequence) {
        import_lane(scope.conn, (&event.source, key), sequence, received_at, 1)?;
    }
    scope.effects.unplanned += i64::from(stored.plan == PlanState::Unplanned);
    Ok(true)
}

fn import_delivery(
    scope: &mut Scope<'_>,
    delivery: &StoredDelivery,
    body: Option<&[u8]>,
) -> Result<bool> {
    if !is_new(scope, "SELECT 1 FROM deliveries WHERE id = ?1", delivery.id.to_bytes())? {
        return Ok(false);
    }
    let endpoint = endpoint_id(scope, &delivery.endpoint)?;
    let body = match body {
        Some(body) => Some(insert_body(scope.conn, body)?),
        None => None,
    };
    let (status, dead_reason) = state_columns(delivery.state);
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, body, status, \
         dead_reason, due_at, attempts, created_at, updated_at, note, lane, held, sequence, batch, \
         replay, headers) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
         ?15, ?16, ?17, ?18, ?19)";
    scope.conn.prepare_cached(sql)?.execute(params![
        delivery.id.to_bytes(),
        delivery.event.to_bytes(),
        endpoint,
        delivery.webhook_id,
        delivery.kind,
        body,
        status,
        dead_reason,
        delivery.due_at.as_millis(),
        delivery.attempts,
        delivery.created_at.as_millis(),
        delivery.updated_at.as_millis(),
        delivery.note,
        delivery.lane,
        delivery.lane.is_some(),
        delivery.sequence,
        delivery.batch.map(|batch| batch.0),
        delivery.replay.map(|replay| replay.to_bytes()),
        delivery.headers.to_text(),
    ])?;
    if let Some(lane) = &delivery.lane {
        scope.effects.lanes.delivery(lane, endpoint);
    }
    match delivery.state {
        State::Pending => scope.effects.pending += 1,
        State::Dead(_) => scope.effects.dead += 1,
        State::Delivered => {}
    }
    Ok(true)
}

fn import_quarantined(scope: &mut Scope<'_>, item: &Quarantined) -> Result<bool> {
    let is_new = is_new(scope, "SELECT 1 FROM quarantine WHERE id = ?1", item.id.to_bytes())?;
    if is_new {
        super::quarantine(scope, item)?;
    }
    Ok(is_new)
}

fn is_new(scope: &Scope<'_>, sql: &str, id: [u8; 16]) -> Result<bool> {
    Ok(!scope.conn.prepare_cached(sql)?.exists([id])?)
}
