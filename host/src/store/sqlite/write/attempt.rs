//! Attempts and what follows them, and giving up.

use super::Scope;
use crate::store::sqlite::rows::state_columns;
use crate::store::{AttemptRecord, AttemptResult, Owed, Recorded};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{DeadReason, Next, State};
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, Result, Row, params};

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
    let settled = scope.shared.flights().settle(result.delivery, result.fence);
    let Some((endpoint, lane)) = settled else {
        return Ok(Recorded::Stale);
    };
    scope.effects.deliveries.push(result.delivery);
    let (changed, leaves_lane) = match result.next {
        Next::Delivered => (end(scope, now, result, State::Delivered)?, true),
        Next::Dead(reason) => (end(scope, now, result, State::Dead(reason))?, true),
        Next::RetryAt(at) => (try_again(scope, now, result, at)?, result.leaves_lane),
    };
    if changed == 0 {
        return Ok(Recorded::Stale);
    }
    if let Some(lane) = lane.filter(|_| leaves_lane) {
        scope.effects.lanes.delivery(&lane, endpoint);
    }
    if let Some(attempt) = &result.attempt {
        insert_attempt(scope.conn, result.delivery, attempt)?;
    }
    Ok(Recorded::Done)
}

fn end(
    scope: &mut Scope<'_>,
    now: Timestamp,
    result: &AttemptResult,
    state: State,
) -> Result<usize> {
    let (status, dead_reason) = state_columns(state);
    let sql = "UPDATE deliveries SET status = ?2, dead_reason = ?3, \
         attempts = coalesce(?4, attempts), updated_at = ?5, note = ?6 \
         WHERE id = ?1 AND status = 0";
    let changed = scope.conn.prepare_cached(sql)?.execute(params![
        result.delivery.to_bytes(),
        status,
        dead_reason,
        result.attempt.as_ref().map(|attempt| attempt.number),
        now.as_millis(),
        result.note,
    ])?;
    if changed > 0 {
        scope.effects.pending -= 1;
        scope.effects.dead += i64::from(state != State::Delivered);
    }
    Ok(changed)
}

fn try_again(
    scope: &Scope<'_>,
    now: Timestamp,
    result: &AttemptResult,
    at: Timestamp,
) -> Result<usize> {
    let sql = "UPDATE deliveries SET due_at = ?2, batch = ?3, attempts = coalesce(?4, attempts), \
         updated_at = ?5, note = ?6, lane = iif(?7, NULL, lane), held = iif(?7, 0, held) \
         WHERE id = ?1 AND status = 0";
    scope.conn.prepare_cached(sql)?.execute(params![
        result.delivery.to_bytes(),
        at.as_millis(),
        result.batch.map(|batch| batch.0),
        result.attempt.as_ref().map(|attempt| attempt.number),
        now.as_millis(),
        result.note,
        result.leaves_lane,
    ])
}

pub fn insert_attempt(
    conn: &Connection,
    delivery: DeliveryId,
    attempt: &AttemptRecord,
) -> Result<usize> {
    let (status, retry_after_ms, error_class) = match attempt.outcome {
        Outcome::Answered { status, retry_after_ms } => (Some(status), retry_after_ms, None),
        Outcome::Failed(class) => (None, None, Some(class.as_str())),
    };
    let sql = "INSERT INTO attempts (delivery, number, started_at, duration_ms, status, \
         retry_after_ms, error_class, address, response_start, error, dns_ms, connect_ms, tls_ms, \
         first_byte_ms, host, request_headers, response_headers) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
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
        attempt.timings.dns_ms,
        attempt.timings.connect_ms,
        attempt.timings.tls_ms,
        attempt.timings.first_byte_ms,
        attempt.host,
        attempt.request_headers,
        attempt.response_headers,
    ])
}

/// What one step of giving up looks at, by what is meant. Held deliveries come last: an index of
/// their own has them.
const OWED_TO_ENDPOINT: [&str; 2] = [
    "SELECT d.id, d.endpoint, d.lane FROM deliveries d INDEXED BY deliveries_due \
     WHERE d.endpoint = (SELECT id FROM endpoints WHERE name = ?1) AND d.status = 0 AND d.held = 0",
    "SELECT d.id, d.endpoint, d.lane FROM deliveries d INDEXED BY deliveries_held \
     WHERE d.endpoint = (SELECT id FROM endpoints WHERE name = ?1) AND d.status = 0 AND d.held = 1",
];
const OWED_OF_REPLAY: &str = "SELECT d.id, d.endpoint, d.lane FROM deliveries d \
     INDEXED BY deliveries_replay_owed WHERE d.replay = ?1 AND d.status = 0";
const OWED_ONE: &str =
    "SELECT d.id, d.endpoint, d.lane FROM deliveries d WHERE d.id = ?1 AND d.status = 0";

type Found = (DeliveryId, i64, Option<String>);

/// Makes dead letters of what is owed and under no claim.
pub fn give_up(
    scope: &mut Scope<'_>,
    now: Timestamp,
    owed: &Owed,
    reason: DeadReason,
    note: &str,
    limit: usize,
) -> Result<u64> {
    let mut found = Vec::new();
    match owed {
        Owed::Endpoint(name) => {
            for sql in OWED_TO_ENDPOINT {
                unclaimed(scope, now, sql, name, limit, &mut found)?;
            }
        }
        Owed::Replay(id) => {
            unclaimed(scope, now, OWED_OF_REPLAY, id.to_bytes(), limit, &mut found)?
        }
        Owed::Delivery(id) => unclaimed(scope, now, OWED_ONE, id.to_bytes(), limit, &mut found)?,
    }
    let sql = "UPDATE deliveries SET status = 2, dead_reason = ?2, updated_at = ?3, note = ?4 \
         WHERE id = ?1 AND status = 0";
    let mut statement = scope.conn.prepare_cached(sql)?;
    for (id, endpoint, lane) in &found {
        statement.execute(params![id.to_bytes(), reason.as_str(), now.as_millis(), note])?;
        if let Some(lane) = lane {
            scope.effects.lanes.delivery(lane, *endpoint);
        }
        scope.effects.pending -= 1;
        scope.effects.dead += 1;
    }
    Ok(found.len() as u64)
}

/// What is under no claim, kept from claims until the commit.
fn unclaimed(
    scope: &mut Scope<'_>,
    now: Timestamp,
    sql: &str,
    which: impl rusqlite::ToSql,
    limit: usize,
    found: &mut Vec<Found>,
) -> Result<()> {
    let mut statement = scope.conn.prepare_cached(sql)?;
    let mut rows = statement.query([which])?;
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        let one = read_found(row)?;
        let fence = scope.shared.next_fence();
        if scope.shared.flights().close(one.0, fence, now) {
            // A lease that has ended does not bring it back.
            scope.effects.deliveries.push(one.0);
            found.push(one);
        }
    }
    Ok(())
}

fn read_found(row: &Row<'_>) -> Result<Found> {
    Ok((DeliveryId::from_bytes(row.get(0)?), row.get(1)?, row.get(2)?))
}
