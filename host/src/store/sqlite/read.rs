//! Reading beside the writer: a few connections, each used by one blocking thread at a time.

use super::rows;
use crate::store::plugin_state::{Entry, PAGE_MAX as PLUGIN_PAGE_MAX, Page, Space, Stored, end_of};
use crate::store::{
    EndpointHealth, Error, Oldest, PAGE_MAX, Quarantined, SealedSecret, StoredEvent, StoredReplay,
};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, params};
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

/// An id is made when its row is, give or take the clocks of two hosts and the time that work
/// takes, so a range of time is a range of ids, wider by this at both ends, in milliseconds.
const ID_SLACK_MS: i64 = 24 * 3_600_000;

/// Milliseconds that an id has room for.
const ID_MS_MAX: i64 = 0xffff_ffff_ffff;

/// No id of a row of that time or a later one is smaller.
pub fn id_from(at: Timestamp) -> [u8; 16] {
    let ms = at.plus_millis(-ID_SLACK_MS).as_millis();
    EventId::new(ms.clamp(0, ID_MS_MAX), 0).to_bytes()
}

/// No id of a row of that time or an earlier one is as great.
pub fn id_until(at: Timestamp) -> [u8; 16] {
    let ms = at.plus_millis(ID_SLACK_MS).as_millis();
    if ms > ID_MS_MAX { [0xff; 16] } else { EventId::new(ms.max(0), 0).to_bytes() }
}

pub fn pending_by_endpoint(conn: &Connection) -> Result<Vec<(String, u64)>> {
    let sql = "SELECT n.name, sum(p.count) FROM (\
         SELECT endpoint, count(*) AS count FROM deliveries INDEXED BY deliveries_due \
         WHERE status = 0 AND held = 0 GROUP BY endpoint UNION ALL \
         SELECT endpoint, count(*) FROM deliveries INDEXED BY deliveries_held \
         WHERE status = 0 AND held = 1 GROUP BY endpoint) p \
         JOIN endpoints n ON n.id = p.endpoint GROUP BY n.id ORDER BY n.name";
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

/// When the first delivery of each endpoint is due, and when the first dead letter ended: the first
/// row of an index each.
pub const OLDEST: &str = "SELECT (SELECT min(due_at) FROM (\
     SELECT (SELECT min(due_at) FROM deliveries INDEXED BY deliveries_due \
     WHERE endpoint = n.id AND status = 0 AND held = 0) AS due_at FROM endpoints n UNION ALL \
     SELECT (SELECT min(due_at) FROM deliveries INDEXED BY deliveries_held \
     WHERE endpoint = n.id AND status = 0 AND held = 1) FROM endpoints n)), \
     (SELECT min(updated_at) FROM deliveries INDEXED BY deliveries_dead WHERE status = 2)";

pub fn oldest(conn: &Connection, now: Timestamp) -> Result<Oldest> {
    conn.prepare_cached(OLDEST)?.query_row([], |row| {
        let due_at = rows::maybe_time(row, 0)?.filter(|due_at| *due_at <= now);
        Ok(Oldest { due_at, dead_at: rows::maybe_time(row, 1)? })
    })
}

pub fn healths(conn: &Connection) -> Result<Vec<EndpointHealth>> {
    let sql = format!("{} WHERE version > 0 ORDER BY name", rows::HEALTH);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([], rows::health)?.collect()
}

pub fn replays(conn: &Connection, limit: usize) -> Result<Vec<StoredReplay>> {
    let sql = format!("{} ORDER BY id DESC LIMIT ?1", rows::REPLAY);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([page(limit)], rows::replay)?.collect()
}

pub fn secrets(conn: &Connection) -> Result<Vec<SealedSecret>> {
    let sql = format!("{} ORDER BY created_at DESC, id DESC", rows::SECRET);
    let mut statement = conn.prepare_cached(&sql)?;
    statement.query_map([], rows::secret)?.collect()
}

/// A key of a space, its time over or not.
pub fn stored_state(conn: &Connection, space: i64, key: &str) -> Result<Option<Stored>> {
    let sql = "SELECT value, version, expires_at FROM plugin_state WHERE space = ?1 AND key = ?2";
    let values = params![space, key.as_bytes()];
    conn.prepare_cached(sql)?.query_row(values, |row| rows::stored_state(row, 0)).optional()
}

pub fn plugin_state(
    conn: &Connection,
    now: Timestamp,
    space: &Space,
    key: &str,
) -> Result<Option<Entry>> {
    let Some(number) = space_number(conn, space)? else { return Ok(None) };
    let stored = stored_state(conn, number, key)?;
    Ok(stored.filter(|stored| stored.is_live(now)).map(|stored| stored.entry))
}

/// Keys of a space from one on to another, without what is before a third and what is over.
pub const STATE_KEYS: &str = "SELECT key FROM plugin_state WHERE space = ?1 AND key >= ?2 \
     AND key < ?3 AND (?4 IS NULL OR key > ?4) AND (expires_at IS NULL OR expires_at > ?5) \
     ORDER BY key LIMIT ?6";

pub fn plugin_state_keys(conn: &Connection, now: Timestamp, page: &Page) -> Result<Vec<String>> {
    let Some(number) = space_number(conn, &page.space)? else { return Ok(Vec::new()) };
    let limit = page.limit.clamp(1, PLUGIN_PAGE_MAX) as i64;
    // The later of the two is where the index is entered.
    let from = page.after.as_deref().unwrap_or_default().max(&page.prefix);
    let after = page.after.as_deref().map(str::as_bytes);
    let (from, end) = (from.as_bytes(), end_of(&page.prefix));
    let mut statement = conn.prepare_cached(STATE_KEYS)?;
    let values = params![number, from, end, after, now.as_millis(), limit];
    statement.query_map(values, |row| rows::state_key(row, 0))?.collect()
}

fn space_number(conn: &Connection, space: &Space) -> Result<Option<i64>> {
    let sql = "SELECT id FROM plugin_spaces WHERE plugin = ?1 AND source = ?2";
    let values = [&space.plugin, &space.source];
    conn.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()
}

/// Pages in use. The log beside the file is not counted: it has a limit of its own.
pub fn size_bytes(conn: &Connection) -> Result<u64> {
    let pragma = |name: &str| -> Result<i64> {
        conn.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
    };
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(pages.saturating_mul(pragma("page_size")?).unsigned_abs())
}

pub fn page(limit: usize) -> i64 {
    i64::try_from(limit.clamp(1, PAGE_MAX)).unwrap_or(1)
}
