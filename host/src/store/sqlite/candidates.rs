//! Events for a replay, in order of arrival, with the fate of their deliveries.

use super::{read, rows};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::replay::{Candidate, Fate, Selection};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

/// Most events that one call looks at.
const LOOK_MAX: i64 = 4_096;

pub const EVENTS: &str = "SELECT id, source, kind, room, received_at FROM events \
     WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";

const ONE: &str = "SELECT id, source, kind, room, received_at FROM events WHERE id = ?1";

pub const FATES: &str = "SELECT d.id, n.name, d.webhook_id, d.status, d.dead_reason \
     FROM deliveries d INDEXED BY deliveries_event JOIN endpoints n ON n.id = d.endpoint \
     WHERE d.event = ?1 ORDER BY d.id";

/// At most `limit` that `selection` matches, and where to go on, `None` at the end.
pub fn candidates(
    conn: &mut Connection,
    selection: &Selection,
    after: Option<EventId>,
    limit: usize,
) -> Result<(Vec<Candidate>, Option<EventId>)> {
    let tx = conn.transaction()?;
    let events = if selection.events.is_empty() {
        in_range(&tx, selection, after)?
    } else {
        by_id(&tx, selection, after)?
    };
    let is_end = (events.len() as i64) < LOOK_MAX;
    let mut last = None;
    let mut candidates = Vec::new();
    let mut statement = tx.prepare_cached(FATES)?;
    for mut candidate in events {
        if candidates.len() == limit.max(1) {
            return Ok((candidates, last));
        }
        last = Some(candidate.event);
        if selection.matches(&candidate) {
            let fates = statement.query_map([candidate.event.to_bytes()], fate)?;
            candidate.deliveries = fates.collect::<Result<_>>()?;
            candidates.push(candidate);
        }
    }
    Ok((candidates, last.filter(|_| !is_end)))
}

fn in_range(
    tx: &Connection,
    selection: &Selection,
    after: Option<EventId>,
) -> Result<Vec<Candidate>> {
    let since = selection.since.map(read::id_from).unwrap_or_default();
    let after = after.map(EventId::to_bytes).unwrap_or_default();
    let until = selection.until.unwrap_or(Timestamp::from_millis(i64::MAX));
    let values = params![since.max(after), read::id_until(until), LOOK_MAX];
    tx.prepare_cached(EVENTS)?.query_map(values, candidate)?.collect()
}

/// A selection names no more ids than one call may look at.
fn by_id(tx: &Connection, selection: &Selection, after: Option<EventId>) -> Result<Vec<Candidate>> {
    let mut ids: Vec<_> = selection.events.iter().filter(|id| Some(**id) > after).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut statement = tx.prepare_cached(ONE)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(statement.query_row([id.to_bytes()], candidate).optional()?);
    }
    Ok(found)
}

fn candidate(row: &Row<'_>) -> Result<Candidate> {
    Ok(Candidate {
        event: EventId::from_bytes(row.get(0)?),
        source: row.get(1)?,
        kind: row.get(2)?,
        room: row.get(3)?,
        received_at: rows::time(row, 4)?,
        deliveries: Vec::new(),
    })
}

fn fate(row: &Row<'_>) -> Result<Fate> {
    Ok(Fate {
        id: DeliveryId::from_bytes(row.get(0)?),
        endpoint: row.get(1)?,
        webhook_id: row.get(2)?,
        state: rows::state(row, 3)?,
    })
}
