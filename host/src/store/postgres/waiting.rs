//! What waits at an endpoint: the rows that a claim locks and groups into requests.

use super::connect::query;
use super::fault::Fault;
use super::types::{Id, big, time};
use crate::store::Quota;
use crate::store::limits::CLAIM_MAX;
use crate::store::requests::Waiting;
use deadpool_postgres::Transaction;
use livekit_webhook_core::batch::BatchId;
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeSet;
use tokio_postgres::Row;

/// The first delivery of endpoint `n` that nobody holds at `$1`. Leases are looked up row by row:
/// as a join they could make the server sort everything that is owed.
pub const FIRST: &str = "SELECT d.due_at FROM deliveries d WHERE d.endpoint = n.id \
     AND d.status = 0 AND NOT d.is_held AND coalesce((SELECT c.leased_until FROM claims c \
     WHERE c.delivery = d.id), 0) <= $1 ORDER BY d.due_at, d.id LIMIT 1";

/// Whether a whole batch waits at endpoint `n`.
pub const IS_FULL: &str = "q.members > 0 AND EXISTS (SELECT 1 FROM (SELECT d.id \
     FROM deliveries d WHERE d.endpoint = n.id AND d.status = 0 AND NOT d.is_held \
     AND d.due_at <= q.until AND coalesce((SELECT c.leased_until FROM claims c \
     WHERE c.delivery = d.id), 0) <= $1 ORDER BY d.due_at, d.id \
     OFFSET greatest(q.members - 1, 0) LIMIT 1) last)";

/// The oldest due of each endpoint that nobody holds, up to its own limit.
pub const OLDEST: &str = "SELECT d.id, d.due_at, d.attempts, d.batch, \
     coalesce((SELECT octet_length(b.bytes) FROM bodies b WHERE b.delivery = d.id), \
     (SELECT octet_length(e.body) FROM events e WHERE e.id = d.event), 0), true, q.place \
     FROM unnest($1::INT[], $2::BIGINT[], $3::BIGINT[]) WITH ORDINALITY \
     AS q(endpoint, until, most, place) \
     CROSS JOIN LATERAL (SELECT d.id, d.event, d.due_at, d.attempts, d.batch FROM deliveries d \
     WHERE d.endpoint = q.endpoint AND d.status = 0 AND NOT d.is_held AND d.due_at <= q.until \
     AND coalesce((SELECT c.leased_until FROM claims c WHERE c.delivery = d.id), 0) <= $4 \
     ORDER BY d.due_at, d.id LIMIT q.most FOR UPDATE SKIP LOCKED) d";

/// All that is owed of some batches.
const BOUND: &str = "SELECT d.id, d.due_at, d.attempts, d.batch, \
     coalesce((SELECT octet_length(b.bytes) FROM bodies b WHERE b.delivery = d.id), \
     (SELECT octet_length(e.body) FROM events e WHERE e.id = d.event), 0), \
     NOT d.is_held AND coalesce((SELECT c.leased_until FROM claims c \
     WHERE c.delivery = d.id), 0) <= $2 \
     FROM deliveries d WHERE d.batch = ANY ($1) AND d.status = 0 ORDER BY d.id";

/// What of it nobody is about to change.
const LOCK_BOUND: &str = "SELECT d.id FROM deliveries d WHERE d.id = ANY ($1) \
     AND d.batch = ANY ($2) AND d.status + 0 = 0 FOR UPDATE SKIP LOCKED";

/// Where to look, how far ahead and for how many.
pub struct Waits {
    pub endpoint: i32,
    pub until: i64,
    pub most: usize,
}

/// Until when what is due is of interest: a first attempt may go early to fill a batch.
pub fn until(quota: &Quota, now: Timestamp) -> i64 {
    let wait_ms = quota.batching.map_or(0, |batching| batching.wait_ms());
    now.plus_millis(wait_ms).as_millis()
}

/// Rows that are enough for so many requests. One batch more, because what is bound stands among
/// what is not.
pub fn most(quota: &Quota, requests: usize) -> usize {
    match quota.batching {
        None => requests,
        Some(batching) => requests.saturating_add(1).saturating_mul(batching.events_max()),
    }
}

/// Locks the oldest of each endpoint, within the limit of one claim. What somebody else has locked
/// is about to change and is passed over.
pub async fn lock(
    tx: &Transaction<'_>,
    now: Timestamp,
    waits: Vec<Waits>,
) -> Result<Vec<Vec<Waiting>>, Fault> {
    let mut found = vec![Vec::new(); waits.len()];
    let endpoints: Vec<i32> = waits.iter().map(|waits| waits.endpoint).collect();
    let until: Vec<i64> = waits.iter().map(|waits| waits.until).collect();
    let mut room = 2 * CLAIM_MAX;
    let mut limits = Vec::with_capacity(waits.len());
    for waits in &waits {
        let most = waits.most.min(room);
        room -= most;
        limits.push(big(most));
    }
    for row in query(tx, OLDEST, &[&endpoints, &until, &limits, &now.as_millis()]).await? {
        let place = usize::try_from(row.try_get::<_, i64>(6)? - 1).unwrap_or(usize::MAX);
        if let Some(found) = found.get_mut(place) {
            found.push(waiting(&row)?);
        }
    }
    Ok(found)
}

/// With the other members of every batch that any of them is bound to.
pub async fn with_bound(
    tx: &Transaction<'_>,
    now: Timestamp,
    mut found: Vec<Waiting>,
) -> Result<Vec<Waiting>, Fault> {
    let batches: BTreeSet<Id> =
        found.iter().filter_map(|waiting| Some(Id(waiting.batch?.0))).collect();
    if batches.is_empty() {
        return Ok(found);
    }
    found.retain(|waiting| waiting.batch.is_none());
    let batches: Vec<Id> = batches.into_iter().collect();
    let bound = query(tx, BOUND, &[&batches, &now.as_millis()]).await?;
    let bound: Vec<Waiting> = bound.iter().map(waiting).collect::<Result<_, _>>()?;
    let ids: Vec<Id> = bound.iter().map(|waiting| Id(waiting.id.to_bytes())).collect();
    let rows = query(tx, LOCK_BOUND, &[&ids, &batches]).await?;
    let locked: BTreeSet<Id> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    found.extend(bound.into_iter().map(|waiting| Waiting {
        is_free: waiting.is_free && locked.contains(&Id(waiting.id.to_bytes())),
        ..waiting
    }));
    Ok(found)
}

fn waiting(row: &Row) -> Result<Waiting, Fault> {
    Ok(Waiting {
        id: DeliveryId::from_bytes(row.try_get::<_, Id>(0)?.0),
        due_at: time(row, 1)?,
        attempts: row.try_get::<_, i32>(2)?.unsigned_abs(),
        batch: row.try_get::<_, Option<Id>>(3)?.map(|id| BatchId(id.0)),
        body_bytes: usize::try_from(row.try_get::<_, i32>(4)?).unwrap_or(0),
        is_free: row.try_get(5)?,
    })
}
