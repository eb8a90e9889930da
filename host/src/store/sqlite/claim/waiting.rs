//! What waits for an endpoint, read as far as a claim can use it, and grouped to requests.

use super::{Flights, Place, lane};
use crate::store::limits::CLAIM_MAX;
use crate::store::requests::{self, Waiting};
use livekit_webhook_core::batch::{BatchId, Batching};
use livekit_webhook_core::id::DeliveryId;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, Result, params};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The index alone answers it: owed to one endpoint and first in its lane, oldest due first.
pub const DUE: &str = "SELECT due_at, id, lane, batch FROM deliveries INDEXED BY deliveries_due \
     WHERE endpoint = ?1 AND status = 0 AND held = 0 AND due_at <= ?2 ORDER BY due_at, id";

/// What else is bound to the same batch.
pub const BATCH: &str = "SELECT id, due_at, lane, held FROM deliveries INDEXED BY deliveries_batch \
     WHERE batch = ?1 AND status = 0 AND endpoint = ?2 ORDER BY id";

/// Attempts and the length of the body, of which nothing is read.
pub const WEIGHT: &str = "SELECT d.attempts, length(b.bytes) FROM deliveries d \
     JOIN events e ON e.id = d.event JOIN bodies b ON b.id = coalesce(d.body, e.body) \
     WHERE d.id = ?1";

/// Of a request: a delivery and its lane.
pub type Member = (DeliveryId, Option<Arc<str>>);

/// Up to `limit` requests that may go at `now`, oldest due first.
pub fn ready(
    tx: &Connection,
    flights: &Flights,
    place: &Place<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Vec<Member>>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let Some(batching) = place.quota.batching else {
        let singles = singles(tx, flights, place, now, now, limit.min(CLAIM_MAX + 1))?;
        return Ok(singles.into_iter().map(|(_, member)| vec![member]).collect());
    };
    let (waiting, lanes) = pool(tx, flights, place, batching, now, limit)?;
    let requests = requests::group(waiting, Some(batching), now).into_iter();
    let ready = requests.filter(|request| request.ready_at <= now);
    let with_lane = |id| (id, lanes.get(&id).cloned());
    Ok(ready.map(|request| request.members.into_iter().map(with_lane).collect()).collect())
}

/// When the first request is ready, of what nobody holds.
pub fn first_ready_at(
    tx: &Connection,
    flights: &Flights,
    place: &Place<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let Some(batching) = place.quota.batching else {
        let ever = Timestamp::from_millis(i64::MAX);
        let first = singles(tx, flights, place, now, ever, 1)?;
        return Ok(first.first().map(|(due_at, _)| *due_at));
    };
    let (waiting, _) = pool(tx, flights, place, batching, now, 1)?;
    let requests = requests::group(waiting, Some(batching), now).into_iter();
    Ok(requests.map(|request| request.ready_at).min())
}

/// The first `limit` deliveries due by `until` that nobody holds.
fn singles(
    tx: &Connection,
    flights: &Flights,
    place: &Place<'_>,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, Member)>> {
    let mut statement = tx.prepare_cached(DUE)?;
    let mut found = statement.query(params![place.number, until.as_millis()])?;
    let mut singles = Vec::new();
    while singles.len() < limit
        && let Some(row) = found.next()?
    {
        let id = DeliveryId::from_bytes(row.get(1)?);
        let lane = lane(row, 2)?;
        if flights.is_free(id, place.number, lane.as_deref(), now) {
            singles.push((super::rows::time(row, 0)?, (id, lane)));
        }
    }
    Ok(singles)
}

/// The lanes of those that have one.
type Lanes = HashMap<DeliveryId, Arc<str>>;

/// What `limit` requests can be made of, with the lanes of those that have one. Reading ends with
/// the first that is due too late for any batch, and once so many are free that `limit` are full.
fn pool(
    tx: &Connection,
    flights: &Flights,
    place: &Place<'_>,
    batching: Batching,
    now: Timestamp,
    limit: usize,
) -> Result<(Vec<Waiting>, Lanes)> {
    let fills_until = now.plus_millis(batching.wait_ms());
    // One claim brings no more than this, whatever the limit.
    let enough = limit.saturating_mul(batching.events_max()).min(CLAIM_MAX + batching.events_max());
    let (mut waiting, mut lanes, mut seen) = (Vec::new(), HashMap::new(), HashSet::new());
    let (mut free, mut batches) = (0, 0);
    let mut statement = tx.prepare_cached(DUE)?;
    let mut found = statement.query(params![place.number, i64::MAX])?;
    while free < enough
        // Once so many bound batches are ready, only what was found before can go first.
        && (batches < limit || free > 0)
        && let Some(row) = found.next()?
    {
        let due_at = super::rows::time(row, 0)?;
        if let Some(batch) = row.get::<_, Option<[u8; 16]>>(3)? {
            if batches < limit && seen.insert(batch) {
                let members = bound(tx, flights, place, now, batch)?;
                batches += usize::from(due_at <= now && !members.is_empty());
                for (member, lane) in members {
                    lanes.extend(lane.map(|lane| (member.id, lane)));
                    waiting.push(member);
                }
            }
        } else {
            let id = DeliveryId::from_bytes(row.get(1)?);
            let lane = lane(row, 2)?;
            if flights.is_free(id, place.number, lane.as_deref(), now) {
                let (attempts, body_bytes) = weight(tx, id)?;
                free += usize::from(due_at <= now || attempts == 0);
                let is_free = true;
                waiting.push(Waiting { id, due_at, attempts, batch: None, body_bytes, is_free });
                lanes.extend(lane.map(|lane| (id, lane)));
            }
        }
        if due_at > fills_until {
            break;
        }
    }
    Ok((waiting, lanes))
}

/// All members of a batch, or none of them while one is under way.
fn bound(
    tx: &Connection,
    flights: &Flights,
    place: &Place<'_>,
    now: Timestamp,
    batch: [u8; 16],
) -> Result<Vec<(Waiting, Option<Arc<str>>)>> {
    let mut members = Vec::new();
    let mut statement = tx.prepare_cached(BATCH)?;
    let mut found = statement.query(params![batch, place.number])?;
    while let Some(row) = found.next()? {
        let id = DeliveryId::from_bytes(row.get(0)?);
        let due_at = super::rows::time(row, 1)?;
        let lane = lane(row, 2)?;
        let is_held: bool = row.get(3)?;
        if is_held || !flights.is_free(id, place.number, lane.as_deref(), now) {
            return Ok(Vec::new());
        }
        let (attempts, body_bytes) = weight(tx, id)?;
        let batch = Some(BatchId(batch));
        members.push((Waiting { id, due_at, attempts, batch, body_bytes, is_free: true }, lane));
    }
    Ok(members)
}

fn weight(tx: &Connection, id: DeliveryId) -> Result<(u32, usize)> {
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?));
    let (attempts, bytes) = tx.prepare_cached(WEIGHT)?.query_row([id.to_bytes()], read)?;
    Ok((attempts, usize::try_from(bytes).unwrap_or(0)))
}
