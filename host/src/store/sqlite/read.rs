//! Reading beside the writer: a few connections, each used by one blocking thread at a time.

use super::rows;
use crate::store::PAGE_MAX;
use crate::store::{DeliveryFilter, Error, Quarantined, StoredDelivery, StoredEvent};
use livekit_webhook_core::id::{DeliveryId, EventId};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, ToSql, params};
use std::sync::Arc;

/// SQLite's error, shared by all commands of a batch.
#[derive(Clone, Debug, thiserror::Error)]
#[error("sqlite")]
struct Source(#[source] Arc<rusqlite::Error>);

/// In the words of the port: damage is for somebody to look at, all else for trying again.
pub fn failure(error: Arc<rusqlite::Error>) -> Error {
    let is_damage = match &*error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::Unknown
        ),
        _ => true,
    };
    if is_damage {
        Error::Damaged(error.to_string())
    } else {
        Error::Unavailable(Box::new(Source(error)))
    }
}

pub fn pending_by_endpoint(conn: &Connection) -> Result<Vec<(String, u64)>> {
    let sql = "SELECT n.name, count(*) FROM deliveries d INDEXED BY deliveries_due \
         JOIN endpoints n ON n.id = d.endpoint WHERE d.status = 0 GROUP BY d.endpoint ORDER BY n.name";
    let mut statement = conn.prepare_cached(sql)?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
        .collect()
}

pub fn event(conn: &Connection, id: EventId) -> Result<Option<StoredEvent>> {
    conn.prepare_cached(&format!("{} WHERE e.id = ?1", rows::EVENT))?
        .query_row([id.to_bytes()], rows::event)
        .optional()
}

pub fn events(
    conn: &Connection,
    before: Option<EventId>,
    limit: usize,
) -> Result<Vec<StoredEvent>> {
    let before = before.map_or(LAST_ID, EventId::to_bytes);
    let sql = format!("{} WHERE e.id < ?1 ORDER BY e.id DESC LIMIT ?2", rows::EVENT);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map(params![before, page(limit)], rows::event)?.collect()
}

pub fn deliveries(conn: &Connection, filter: &DeliveryFilter) -> Result<Vec<StoredDelivery>> {
    let mut sql = format!("{} WHERE d.id < ?", rows::DELIVERY);
    let before = filter.before.map_or(LAST_ID, DeliveryId::to_bytes);
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(before)];
    if let Some(endpoint) = &filter.endpoint {
        sql += " AND d.endpoint = (SELECT id FROM endpoints WHERE name = ?)";
        values.push(Box::new(endpoint.clone()));
    }
    if let Some(event) = filter.event {
        sql += " AND d.event = ?";
        values.push(Box::new(event.to_bytes()));
    }
    if let Some(status) = filter.status {
        // Written out, so that the partial indexes apply.
        sql += &format!(" AND d.status = {}", rows::status_column(status));
    }
    sql += " ORDER BY d.id DESC LIMIT ?";
    values.push(Box::new(page(filter.limit)));
    let mut statement = conn.prepare_cached(&sql)?;
    let values = values.iter().map(|value| value.to_sql()).collect::<Result<Vec<_>>>()?;
    statement.query_map(rusqlite::params_from_iter(values), rows::delivery)?.collect()
}

pub fn attempts(
    conn: &Connection,
    delivery: DeliveryId,
) -> Result<Vec<crate::store::AttemptRecord>> {
    let sql = format!("{} WHERE delivery = ?1 ORDER BY number", rows::ATTEMPT);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([delivery.to_bytes()], rows::attempt)?.collect()
}

pub fn quarantined(conn: &Connection, limit: usize) -> Result<Vec<Quarantined>> {
    let sql = format!("{} ORDER BY q.id DESC LIMIT ?1", rows::QUARANTINED);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([page(limit)], rows::quarantined)?.collect()
}

pub fn depth(conn: &Connection) -> Result<[i64; 4]> {
    conn.prepare_cached("SELECT unplanned, pending, dead, quarantined FROM store")?
        .query_row([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
}

/// No id is greater: one with all bits set would need the last millisecond and the last dice.
const LAST_ID: [u8; 16] = [0xff; 16];

fn page(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, PAGE_MAX)).unwrap_or(1)
}
