//! The small writes of operators and of replays.

use super::{Scope, endpoint_id};
use crate::store::{
    EndpointHealth, Recorded, ReplayDelivery, ReplayState, ReplayStep, SealedSecret, StoredReplay,
    lane, selection,
};
use livekit_webhook_core::health::{Breaker, Health};
use livekit_webhook_core::id::{ReplayId, SecretId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

pub fn record_health(scope: &mut Scope<'_>, health: &EndpointHealth) -> Result<Recorded> {
    let number = endpoint_id(scope, &health.endpoint)?;
    let version = health.version.cast_signed();
    let changed = write_health(scope.conn, number, &health.health, version, version + 1)?;
    Ok(recorded(changed))
}

/// If the stored version is `from`, it is `to` afterwards.
pub fn write_health(
    conn: &Connection,
    number: i64,
    health: &Health,
    from: i64,
    to: i64,
) -> Result<usize> {
    let (open_until, periods, successes) = match health.breaker {
        Breaker::Closed => (None, 0, 0),
        Breaker::Open { until, periods, successes } => (Some(until), periods, successes),
    };
    let sql = "UPDATE endpoints SET version = ?3, open_until = ?4, open_periods = ?5, \
         open_successes = ?6, paused_until = ?7, disabled_reason = ?8, disabled_at = ?9, \
         failing_since = ?10, failing_last = ?11, failing_attempts = ?12 \
         WHERE id = ?1 AND version = ?2";
    conn.prepare_cached(sql)?.execute(params![
        number,
        from,
        to,
        open_until.map(Timestamp::as_millis),
        periods,
        successes,
        health.paused_until.map(Timestamp::as_millis),
        health.disabled.map(|disabled| disabled.reason.as_str()),
        health.disabled.map(|disabled| disabled.at.as_millis()),
        health.failing.map(|failing| failing.since.as_millis()),
        health.failing.map(|failing| failing.last.as_millis()),
        health.failing.map_or(0, |failing| failing.attempts),
    ])
}

pub fn create_replay(conn: &Connection, replay: &StoredReplay) -> Result<usize> {
    let sql = "INSERT INTO replays (id, selection, rate_milli, created_at, updated_at, state, \
         cursor, planned, skipped, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![
        replay.id.to_bytes(),
        selection::to_text(&replay.selection),
        replay.rate_milli,
        replay.created_at.as_millis(),
        replay.updated_at.as_millis(),
        replay.state.as_str(),
        replay.cursor.map(|cursor| cursor.to_bytes()),
        replay.planned.cast_signed(),
        replay.skipped.cast_signed(),
        replay.note,
    ])
}

pub fn change_replay(
    conn: &Connection,
    now: Timestamp,
    replay: ReplayId,
    from: ReplayState,
    to: ReplayState,
) -> Result<Recorded> {
    let sql = "UPDATE replays SET state = ?3, updated_at = ?4 WHERE id = ?1 AND state = ?2";
    let values = params![replay.to_bytes(), from.as_str(), to.as_str(), now.as_millis()];
    Ok(recorded(conn.prepare_cached(sql)?.execute(values)?))
}

pub fn record_replay(scope: &mut Scope<'_>, now: Timestamp, step: &ReplayStep) -> Result<Recorded> {
    let sql = "UPDATE replays SET cursor = ?3, skipped = skipped + ?4, updated_at = ?5, \
         state = iif(?6, 'done', state) WHERE id = ?1 AND cursor IS ?2 AND state = 'running'";
    let changed = scope.conn.prepare_cached(sql)?.execute(params![
        step.replay.to_bytes(),
        step.from.map(|event| event.to_bytes()),
        step.to.map(|event| event.to_bytes()),
        step.skipped.cast_signed(),
        now.as_millis(),
        step.is_done,
    ])?;
    if changed == 0 {
        return Ok(Recorded::Stale);
    }
    let mut planned = 0;
    for delivery in &step.deliveries {
        planned += plan_again(scope, now, step.replay, delivery)?;
    }
    let sql = "UPDATE replays SET planned = planned + ?2 WHERE id = ?1";
    scope.conn.prepare_cached(sql)?.execute(params![step.replay.to_bytes(), planned])?;
    scope.effects.pending += planned;
    Ok(Recorded::Done)
}

/// How many: none, when retention has taken what was to be repeated.
fn plan_again(
    scope: &mut Scope<'_>,
    now: Timestamp,
    replay: ReplayId,
    delivery: &ReplayDelivery,
) -> Result<i64> {
    let sql = "SELECT e.source, e.lane FROM deliveries d JOIN events e ON e.id = d.event \
         WHERE d.id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found: Option<(String, Option<String>)> =
        scope.conn.prepare_cached(sql)?.query_row([delivery.of.to_bytes()], read).optional()?;
    let Some((source, key)) = found else {
        return Ok(0);
    };
    let key = key.filter(|_| delivery.is_ordered);
    let lane = key.map(|key| lane(Some(replay), &source, &key));
    let endpoint = endpoint_id(scope, &delivery.endpoint)?;
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, body, status, \
         dead_reason, due_at, attempts, created_at, updated_at, note, lane, held, sequence, \
         replay, headers) SELECT ?1, event, ?3, webhook_id, kind, body, 0, NULL, ?4, 0, ?5, ?5, \
         NULL, ?6, ?7, sequence, ?8, headers FROM deliveries WHERE id = ?2";
    scope.conn.prepare_cached(sql)?.execute(params![
        delivery.id.to_bytes(),
        delivery.of.to_bytes(),
        endpoint,
        delivery.due_at.as_millis(),
        now.as_millis(),
        lane,
        lane.is_some(),
        replay.to_bytes(),
    ])?;
    if let Some(lane) = lane {
        scope.effects.lanes.delivery(&lane, endpoint);
    }
    Ok(1)
}

pub fn put_secret(conn: &Connection, secret: &SealedSecret) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO secrets (id, endpoint, key_id, sealed, created_at, \
         expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    conn.prepare_cached(sql)?.execute(params![
        secret.id.to_bytes(),
        secret.endpoint,
        secret.key_id,
        &*secret.sealed,
        secret.created_at.as_millis(),
        secret.expires_at.map(Timestamp::as_millis),
    ])?;
    Ok(())
}

pub fn remove_secret(conn: &Connection, id: SecretId) -> Result<Recorded> {
    let sql = "DELETE FROM secrets WHERE id = ?1";
    Ok(recorded(conn.prepare_cached(sql)?.execute([id.to_bytes()])?))
}

fn recorded(changed: usize) -> Recorded {
    if changed > 0 { Recorded::Done } else { Recorded::Stale }
}
