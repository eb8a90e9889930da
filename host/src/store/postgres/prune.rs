//! Retention, in small steps: each removes a bounded number of rows by an index, in a transaction
//! of its own.

use super::connect::query;
use super::counters;
use super::counters::{ATTEMPT_BYTES, DELIVERY_BYTES, Delta, EVENT_BYTES, QUARANTINED_BYTES};
use super::fault::Fault;
use super::places::{self, Gone};
use super::plugin_state;
use super::types::{Id, big, maybe_text, text};
use crate::store::{Pruned, Retention};
use deadpool_postgres::Transaction;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;

/// An id is made when its event arrives, give or take this, in milliseconds: so what is younger need
/// not be looked at.
const ID_SLACK_MS: i64 = 3_600_000;

/// An id that no event has that arrived until `millis`.
fn id_after(millis: i64) -> Id {
    Id(EventId::new(millis.saturating_add(ID_SLACK_MS).max(0), 0).to_bytes())
}

/// Removes what is old enough, then, when there is too much, what is delivered.
pub async fn step(
    tx: &Transaction<'_>,
    now: Timestamp,
    retention: &Retention,
    limit: usize,
    delta: &mut Delta,
) -> Result<Pruned, Fault> {
    let most = big(limit.max(1));
    let before = |keep_ms: i64| now.as_millis().saturating_sub(keep_ms);
    let (mut pruned, mut gone) = (Pruned::default(), Gone::default());
    let mut room = most;
    for (status, keep_ms) in [(1, retention.delivered_ms), (2, retention.dead_ms)] {
        // Written out, so that the partial indexes apply.
        let sql = format!(
            "SELECT id FROM deliveries WHERE status = {status} AND updated_at <= $1 \
             ORDER BY updated_at, id LIMIT $2 FOR UPDATE SKIP LOCKED"
        );
        let rows = query(tx, &sql, &[&before(keep_ms), &room]).await?;
        let ids: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        room -= big(ids.len());
        pruned.deliveries += ids.len() as u64;
        remove_deliveries(tx, &ids, status, delta).await?;
    }
    let sql = "SELECT p.event FROM plans p JOIN events e ON e.id = p.event \
         WHERE p.is_bare AND p.state <> 0 AND e.received_at <= $1 AND p.event < $3 \
         ORDER BY p.event LIMIT $2";
    let over = before(retention.delivered_ms);
    let rows = query(tx, sql, &[&over, &most, &id_after(over)]).await?;
    let ids: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    pruned.events += remove_events(tx, &ids, &mut gone, delta).await?;
    pruned.quarantined += quarantined(tx, before(retention.quarantined_ms), most, delta).await?;
    if let Some(bytes_max) = retention.bytes_max {
        for_space(tx, bytes_max, most, &mut pruned, &mut gone, delta).await?;
    }
    // After all events: whoever appends one has its key first, then the counter of its lane.
    gone.write(tx).await?;
    pruned.lanes = places::prune(tx, before(retention.lanes_ms), most).await?;
    // The last: plugins wait for the spaces that this locks.
    pruned.plugin_state = plugin_state::prune(tx, now, most).await?;
    pruned.is_more = pruned.most() >= limit.max(1) as u64;
    Ok(pruned)
}

/// Removes the oldest events of which everything is delivered, one after the other, until there is
/// no more than `bytes_max` or the step is full.
async fn for_space(
    tx: &Transaction<'_>,
    bytes_max: u64,
    most: i64,
    pruned: &mut Pruned,
    gone: &mut Gone,
    delta: &mut Delta,
) -> Result<(), Fault> {
    let stored = i64::try_from(counters::bytes(tx).await?).unwrap_or(i64::MAX);
    let allowed = i64::try_from(bytes_max).unwrap_or(i64::MAX);
    if stored.saturating_add(delta.bytes) <= allowed {
        return Ok(());
    }
    let sql = "SELECT c.event FROM ( \
         (SELECT p.event FROM plans p WHERE p.is_bare AND p.state <> 0 ORDER BY p.event LIMIT $1) \
         UNION \
         (SELECT o.event FROM (SELECT d.event FROM deliveries d WHERE d.status = 1 \
           ORDER BY d.updated_at, d.id LIMIT $1) o WHERE (SELECT k.id FROM deliveries k \
           WHERE k.event = o.event AND k.status <> 1 LIMIT 1) IS NULL \
           AND (SELECT p.state FROM plans p WHERE p.event = o.event) <> 0) \
         ) c ORDER BY c.event";
    // Looks a little further than it takes, past events that must stay.
    for row in query(tx, sql, &[&(most.saturating_mul(4))]).await? {
        let event: Id = row.try_get(0)?;
        let sql = "SELECT id FROM deliveries WHERE event = $1 FOR UPDATE";
        let rows = query(tx, sql, &[&event]).await?;
        let ids: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let is_full = pruned.events >= most.unsigned_abs()
            || pruned.deliveries + ids.len() as u64 > most.unsigned_abs();
        // An event with more deliveries than a step may remove goes all the same, alone.
        if is_full && pruned.events > 0 || stored.saturating_add(delta.bytes) <= allowed {
            return Ok(());
        }
        remove_deliveries(tx, &ids, 1, delta).await?;
        pruned.deliveries += ids.len() as u64;
        pruned.events += remove_events(tx, &[event], gone, delta).await?;
    }
    Ok(())
}

/// Removes deliveries that have ended, with all that is theirs.
async fn remove_deliveries(
    tx: &Transaction<'_>,
    ids: &[Id],
    status: i16,
    delta: &mut Delta,
) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let sums = [
        "DELETE FROM attempts WHERE delivery = ANY ($1) RETURNING octet_length(request_headers) \
         + octet_length(response_headers) + octet_length(response_start)",
        "DELETE FROM bodies WHERE delivery = ANY ($1) RETURNING octet_length(bytes)",
    ];
    for (sql, each) in sums.into_iter().zip([ATTEMPT_BYTES, 0]) {
        for row in query(tx, sql, &[&ids]).await? {
            delta.bytes -= i64::from(row.try_get::<_, i32>(0)?) + each;
        }
    }
    let sql = "DELETE FROM deliveries WHERE id = ANY ($1) \
         RETURNING event, coalesce(octet_length(headers), 0)";
    let rows = query(tx, sql, &[&ids]).await?;
    for row in &rows {
        delta.bytes -= i64::from(row.try_get::<_, i32>(1)?) + DELIVERY_BYTES;
    }
    if status == 2 {
        delta.dead -= big(rows.len());
    }
    let events: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let sql = "UPDATE plans p SET is_bare = true WHERE event = ANY ($1) \
         AND (SELECT d.id FROM deliveries d WHERE d.event = p.event LIMIT 1) IS NULL";
    query(tx, sql, &[&events]).await?;
    Ok(())
}

/// Removes events that nothing points at. One that a delivery was planned for meanwhile stays.
async fn remove_events(
    tx: &Transaction<'_>,
    ids: &[Id],
    gone: &mut Gone,
    delta: &mut Delta,
) -> Result<u64, Fault> {
    if ids.is_empty() {
        return Ok(0);
    }
    let sql = "DELETE FROM plans p WHERE p.event = ANY ($1) AND p.is_bare AND p.state <> 0 \
         AND (SELECT d.id FROM deliveries d WHERE d.event = p.event LIMIT 1) IS NULL \
         RETURNING p.event, p.sequence IS NOT NULL";
    let rows = query(tx, sql, &[&ids]).await?;
    let ids: Vec<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let placed: Vec<bool> = rows.iter().map(|row| row.try_get(1)).collect::<Result<_, _>>()?;
    let sql = "DELETE FROM events e USING unnest($1::UUID[], $2::BOOL[]) AS g(id, is_placed) \
         WHERE e.id = g.id \
         RETURNING octet_length(e.body), e.source, CASE WHEN g.is_placed THEN e.lane END";
    for row in query(tx, sql, &[&ids, &placed]).await? {
        delta.bytes -= i64::from(row.try_get::<_, i32>(0)?) + EVENT_BYTES;
        if let Some(key) = maybe_text(&row, 2)? {
            gone.add(text(&row, 1)?, key);
        }
    }
    Ok(ids.len() as u64)
}

async fn quarantined(
    tx: &Transaction<'_>,
    before: i64,
    most: i64,
    delta: &mut Delta,
) -> Result<u64, Fault> {
    let sql = "DELETE FROM quarantine WHERE id = ANY (ARRAY (SELECT id FROM quarantine \
         WHERE received_at <= $1 AND id < $3 ORDER BY id LIMIT $2)) RETURNING octet_length(body)";
    let rows = query(tx, sql, &[&before, &most, &id_after(before)]).await?;
    for row in &rows {
        delta.bytes -= i64::from(row.try_get::<_, i32>(0)?) + QUARANTINED_BYTES;
    }
    delta.quarantined -= big(rows.len());
    Ok(rows.len() as u64)
}
