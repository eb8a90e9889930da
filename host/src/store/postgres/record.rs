//! What came of deliveries.
//!
//! Locks are taken in one order everywhere: lanes, then deliveries by id, then claims. So a record
//! that comes late and a claim that takes over never wait for each other in a ring.

use super::connect::{execute, query};
use super::counters::{ATTEMPT_BYTES, Delta};
use super::fault::Fault;
use super::plan::fence_column;
use super::types::{Id, big, encode, int, maybe, maybe_text};
use super::{lane, rows};
use crate::store::{AttemptRecord, AttemptResult, Fence, Owed, Recorded};
use deadpool_postgres::Transaction;
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{DeadReason, Next, State};
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Writes results. One answer each, in order.
pub async fn attempts(
    tx: &Transaction<'_>,
    now: Timestamp,
    results: &[AttemptResult],
    delta: &mut Delta,
) -> Result<Vec<Recorded>, Fault> {
    let ids: Vec<Id> = results.iter().map(|result| Id(result.delivery.to_bytes())).collect();
    let lanes = lanes(tx, &ids, results).await?;
    lane::lock(tx, &lanes).await?;
    lock(tx, &ids).await?;
    let current = end_claims(tx, results).await?;
    let mut used = HashSet::new();
    let mut done = Vec::new();
    let mut recorded = Vec::with_capacity(results.len());
    for result in results {
        let is_current = current.contains(&(result.delivery, result.fence));
        if is_current && used.insert(result.delivery) {
            done.push(result);
            recorded.push(Recorded::Done);
        } else {
            recorded.push(Recorded::Stale);
        }
    }
    update(tx, now, &done).await?;
    for result in &done {
        match result.next {
            Next::RetryAt(_) => {}
            Next::Delivered => delta.pending -= 1,
            Next::Dead(_) => {
                delta.pending -= 1;
                delta.dead += 1;
            }
        }
    }
    insert(tx, &done, delta).await?;
    lane::let_go(tx, &lanes).await?;
    Ok(recorded)
}

/// Lanes that will have another first.
async fn lanes(
    tx: &Transaction<'_>,
    ids: &[Id],
    results: &[AttemptResult],
) -> Result<BTreeSet<String>, Fault> {
    let sql = "SELECT id, lane FROM deliveries WHERE id = ANY ($1) AND lane IS NOT NULL";
    let mut by_id: BTreeMap<DeliveryId, String> = BTreeMap::new();
    for row in query(tx, sql, &[&ids]).await? {
        if let Some(lane) = maybe_text(&row, 1)? {
            by_id.insert(DeliveryId::from_bytes(rows::id(&row, 0)?), lane);
        }
    }
    let stays =
        |result: &&AttemptResult| matches!(result.next, Next::RetryAt(_)) && !result.leaves_lane;
    let going = results.iter().filter(|result| !stays(result));
    Ok(going.filter_map(|result| by_id.get(&result.delivery).cloned()).collect())
}

async fn lock(tx: &Transaction<'_>, ids: &[Id]) -> Result<(), Fault> {
    let sql = "SELECT FROM deliveries WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
    query(tx, sql, &[&ids]).await?;
    Ok(())
}

/// Ends the claims whose fences are current; tells which. What is under a claim is owed.
async fn end_claims(
    tx: &Transaction<'_>,
    results: &[AttemptResult],
) -> Result<HashSet<(DeliveryId, Fence)>, Fault> {
    let ids: Vec<Id> = results.iter().map(|result| Id(result.delivery.to_bytes())).collect();
    let fences: Vec<i64> = results.iter().map(|result| fence_column(result.fence)).collect();
    let sql = "DELETE FROM claims c USING unnest($1::UUID[], $2::BIGINT[]) AS r(id, fence) \
         WHERE c.delivery = r.id AND c.fence = r.fence RETURNING c.delivery, c.fence";
    let mut current = HashSet::new();
    for row in query(tx, sql, &[&ids, &fences]).await? {
        let fence = Fence(row.try_get::<_, i64>(1)?.unsigned_abs());
        current.insert((DeliveryId::from_bytes(rows::id(&row, 0)?), fence));
    }
    Ok(current)
}

async fn update(
    tx: &Transaction<'_>,
    now: Timestamp,
    done: &[&AttemptResult],
) -> Result<(), Fault> {
    if done.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id> = done.iter().map(|result| Id(result.delivery.to_bytes())).collect();
    let (mut statuses, mut reasons, mut due) = (Vec::new(), Vec::new(), Vec::new());
    for result in done {
        let (state, due_at) = match result.next {
            Next::Delivered => (State::Delivered, None),
            Next::RetryAt(at) => (State::Pending, Some(at.as_millis())),
            Next::Dead(reason) => (State::Dead(reason), None),
        };
        let (status, reason) = rows::state_columns(state);
        statuses.push(status);
        reasons.push(reason);
        due.push(due_at);
    }
    let numbers: Vec<Option<i32>> =
        done.iter().map(|result| result.attempt.as_ref().map(|made| int(made.number))).collect();
    let batches: Vec<Option<Id>> =
        done.iter().map(|result| result.batch.map(|batch| Id(batch.0))).collect();
    let leaves: Vec<bool> = done.iter().map(|result| result.leaves_lane).collect();
    let notes: Vec<_> = done.iter().map(|result| maybe(result.note.as_ref())).collect();
    let sql = "UPDATE deliveries d SET status = r.status, dead_reason = r.reason, \
         due_at = coalesce(r.due_at, d.due_at), attempts = coalesce(r.number, d.attempts), \
         batch = CASE WHEN r.status = 0 THEN r.batch ELSE d.batch END, \
         lane = CASE WHEN r.status = 0 AND r.leaves THEN NULL ELSE d.lane END, \
         is_held = false, updated_at = $9, note = r.note \
         FROM unnest($1::UUID[], $2::SMALLINT[], $3::TEXT[], $4::BIGINT[], $5::INT[], $6::UUID[], \
         $7::BOOL[], $8::TEXT[]) AS r(id, status, reason, due_at, number, batch, leaves, note) \
         WHERE d.id = r.id AND d.status + 0 = 0";
    let now = now.as_millis();
    let changed = execute(
        tx,
        sql,
        &[&ids, &statuses, &reasons, &due, &numbers, &batches, &leaves, &notes, &now],
    )
    .await?;
    if changed != done.len() as u64 {
        return Err(Fault::Damaged("a delivery under a claim was not owed".to_owned()));
    }
    Ok(())
}

/// A column of attempts.
fn column<'a, T>(
    made: &[(DeliveryId, &'a AttemptRecord)],
    get: impl Fn(&'a AttemptRecord) -> T,
) -> Vec<T> {
    made.iter().map(|(_, attempt)| get(attempt)).collect()
}

async fn insert(
    tx: &Transaction<'_>,
    done: &[&AttemptResult],
    delta: &mut Delta,
) -> Result<(), Fault> {
    let made: Vec<(DeliveryId, &AttemptRecord)> = done
        .iter()
        .filter_map(|result| Some((result.delivery, result.attempt.as_ref()?)))
        .collect();
    if made.is_empty() {
        return Ok(());
    }
    records(tx, &made, delta).await?;
    Ok(())
}

/// Keeps attempts; what is known already is left as it is. Tells how many were new.
pub async fn records(
    tx: &Transaction<'_>,
    made: &[(DeliveryId, &AttemptRecord)],
    delta: &mut Delta,
) -> Result<u64, Fault> {
    let ids: Vec<Id> = made.iter().map(|(delivery, _)| Id(delivery.to_bytes())).collect();
    let status = |attempt: &AttemptRecord| match attempt.outcome {
        Outcome::Answered { status, .. } => Some(i32::from(status)),
        Outcome::Failed(_) => None,
    };
    let hint = |attempt: &AttemptRecord| match attempt.outcome {
        Outcome::Answered { retry_after_ms, .. } => retry_after_ms,
        Outcome::Failed(_) => None,
    };
    let class = |attempt: &AttemptRecord| match attempt.outcome {
        Outcome::Answered { .. } => None,
        Outcome::Failed(class) => Some(class.as_str()),
    };
    let sql = "INSERT INTO attempts (delivery, number, started_at, duration_ms, status, \
         retry_after_ms, error_class, dns_ms, connect_ms, tls_ms, first_byte_ms, address, host, \
         request_headers, response_headers, response_start, error) \
         SELECT * FROM unnest($1::UUID[], $2::INT[], $3::BIGINT[], $4::BIGINT[], $5::INT[], \
         $6::BIGINT[], $7::TEXT[], $8::BIGINT[], $9::BIGINT[], $10::BIGINT[], $11::BIGINT[], \
         $12::TEXT[], $13::TEXT[], $14::TEXT[], $15::TEXT[], $16::BYTEA[], $17::TEXT[]) \
         ON CONFLICT DO NOTHING RETURNING octet_length(request_headers) \
         + octet_length(response_headers) + octet_length(response_start)";
    let new = query(
        tx,
        sql,
        &[
            &ids,
            &column(made, |attempt| int(attempt.number)),
            &column(made, |attempt| attempt.started_at.as_millis()),
            &column(made, |attempt| attempt.duration_ms),
            &column(made, status),
            &column(made, hint),
            &column(made, class),
            &column(made, |attempt| attempt.timings.dns_ms),
            &column(made, |attempt| attempt.timings.connect_ms),
            &column(made, |attempt| attempt.timings.tls_ms),
            &column(made, |attempt| attempt.timings.first_byte_ms),
            &column(made, |attempt| maybe(attempt.address.as_ref())),
            &column(made, |attempt| maybe(attempt.host.as_ref())),
            &column(made, |attempt| encode(&attempt.request_headers)),
            &column(made, |attempt| encode(&attempt.response_headers)),
            &column(made, |attempt| &*attempt.response_start),
            &column(made, |attempt| maybe(attempt.error.as_ref())),
        ],
    )
    .await?;
    for row in &new {
        delta.bytes += i64::from(row.try_get::<_, i32>(0)?) + ATTEMPT_BYTES;
    }
    Ok(new.len() as u64)
}

/// Makes dead letters of what is owed and under no claim, at most `limit`.
pub async fn give_up(
    tx: &Transaction<'_>,
    now: Timestamp,
    owed: &Owed,
    reason: DeadReason,
    note: &str,
    limit: usize,
    delta: &mut Delta,
) -> Result<u64, Fault> {
    let (which, id, name) = match owed {
        Owed::Endpoint(name) => (
            "d.endpoint = (SELECT n.id FROM endpoints n WHERE n.name = $2) AND $1::UUID IS NULL",
            None,
            Some(encode(name)),
        ),
        Owed::Replay(id) => ("d.replay = $1 AND $2::TEXT IS NULL", Some(Id(id.to_bytes())), None),
        Owed::Delivery(id) => ("d.id = $1 AND $2::TEXT IS NULL", Some(Id(id.to_bytes())), None),
    };
    let free = "coalesce((SELECT c.leased_until FROM claims c WHERE c.delivery = d.id), 0)";
    let sql = format!(
        "SELECT d.id, d.lane FROM deliveries d WHERE {which} AND d.status = 0 AND {free} <= $3 \
         ORDER BY d.id LIMIT $4"
    );
    let found = query(tx, &sql, &[&id, &name, &now.as_millis(), &big(limit)]).await?;
    let ids: Vec<Id> = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let mut lanes = BTreeSet::new();
    for row in &found {
        lanes.extend(maybe_text(row, 1)?);
    }
    lane::lock(tx, &lanes).await?;
    lock(tx, &ids).await?;
    // Looked at again under the locks: somebody may have claimed or recorded it meanwhile.
    let sql = format!(
        "UPDATE deliveries d SET status = 2, dead_reason = $2, note = $3, updated_at = $4, \
         is_held = false WHERE d.id = ANY ($1) AND d.status + 0 = 0 AND {free} <= $4 RETURNING d.id"
    );
    let values = (reason.as_str(), encode(note), now.as_millis());
    let rows = query(tx, &sql, &[&ids, &values.0, &values.1, &values.2]).await?;
    let ids: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    // A lease that has ended does not bring it back.
    execute(tx, "DELETE FROM claims WHERE delivery = ANY ($1)", &[&ids]).await?;
    lane::let_go(tx, &lanes).await?;
    delta.pending -= big(ids.len());
    delta.dead += big(ids.len());
    Ok(ids.len() as u64)
}
