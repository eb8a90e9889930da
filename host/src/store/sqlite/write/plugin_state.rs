//! State of plugins. The one writer makes changes of a space follow each other.

use super::Scope;
use crate::store::plugin_state::{
    Change, Changed, Next, Space, Stored, Usage, What, decide, weight,
};
use crate::store::sqlite::read::stored_state;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Keys of a space whose time is over, as rows.
pub const EXPIRED: &str = "SELECT rowid FROM plugin_state INDEXED BY plugin_state_expiry \
     WHERE space = ?1 AND expires_at IS NOT NULL AND expires_at <= ?2 LIMIT ?3";

/// A space as it is now.
struct Now {
    id: i64,
    usage: Usage,
    version: u64,
}

pub fn change(scope: &mut Scope<'_>, now: Timestamp, change: &Change) -> Result<Changed> {
    let conn = scope.conn;
    let mut space = match space(conn, &change.space)? {
        Some(space) => space,
        None if change.what == What::Delete => return Ok(Changed::Deleted(false)),
        None => insert_space(conn, &change.space)?,
    };
    let stored = stored_state(conn, space.id, &change.key)?;
    let mut next = decide(change, stored.as_ref(), space.usage, now);
    if let Next::NeedsRoom(_) = next {
        remove_expired(conn, &mut space, now, i64::MAX)?;
        let stored = stored_state(conn, space.id, &change.key)?;
        next = decide(change, stored.as_ref(), space.usage, now);
    }
    match next {
        Next::Write { value, expires_at, usage, sum } => {
            let version = space.version.saturating_add(1);
            let sql = "INSERT INTO plugin_state (space, key, version, expires_at, value) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 version = excluded.version, expires_at = excluded.expires_at, \
                 value = excluded.value";
            conn.prepare_cached(sql)?.execute(params![
                space.id,
                change.key.as_bytes(),
                version.cast_signed(),
                expires_at.map(Timestamp::as_millis),
                &value[..],
            ])?;
            save(conn, &Now { usage, version, ..space })?;
            Ok(sum.map_or(Changed::Set(version), Changed::Sum))
        }
        Next::Remove { usage, was_there } => {
            let sql = "DELETE FROM plugin_state WHERE space = ?1 AND key = ?2";
            conn.prepare_cached(sql)?.execute(params![space.id, change.key.as_bytes()])?;
            save(conn, &Now { usage, ..space })?;
            Ok(Changed::Deleted(was_there))
        }
        Next::Leave(changed) => Ok(changed),
        Next::NeedsRoom(refusal) => Ok(Changed::Refused(refusal)),
    }
}

/// Removes at most `limit` keys whose time is over, of all spaces; how many.
pub fn prune(conn: &Connection, now: Timestamp, limit: u64) -> Result<u64> {
    let sql = "SELECT id, keys, bytes, version FROM plugin_spaces ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let spaces: Vec<Now> = statement.query_map([], read_space)?.collect::<Result<_>>()?;
    let mut removed = 0;
    for mut space in spaces {
        let left = limit.saturating_sub(removed);
        if left == 0 {
            break;
        }
        removed += remove_expired(conn, &mut space, now, left.cast_signed())?;
    }
    Ok(removed)
}

/// A row of a copy. Whether it was new.
pub fn import(conn: &Connection, space: &Space, key: &str, stored: &Stored) -> Result<bool> {
    let found = match self::space(conn, space)? {
        Some(space) => space,
        None => insert_space(conn, space)?,
    };
    let entry = &stored.entry;
    let sql = "INSERT INTO plugin_state (space, key, version, expires_at, value) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let is_new = conn.prepare_cached(sql)?.execute(params![
        found.id,
        key.as_bytes(),
        entry.version.cast_signed(),
        stored.expires_at.map(Timestamp::as_millis),
        &entry.value[..],
    ])? > 0;
    if is_new {
        let usage = Usage {
            keys: found.usage.keys + 1,
            bytes: found.usage.bytes + weight(key, &entry.value),
        };
        save(conn, &Now { usage, version: found.version.max(entry.version), ..found })?;
    }
    Ok(is_new)
}

fn space(conn: &Connection, space: &Space) -> Result<Option<Now>> {
    let sql =
        "SELECT id, keys, bytes, version FROM plugin_spaces WHERE plugin = ?1 AND source = ?2";
    let values = [&space.plugin, &space.source];
    conn.prepare_cached(sql)?.query_row(values, read_space).optional()
}

fn read_space(row: &rusqlite::Row<'_>) -> Result<Now> {
    let count = |column| row.get::<_, i64>(column).map(|value| value.try_into().unwrap_or(0));
    let usage = Usage { keys: count(1)?, bytes: count(2)? };
    Ok(Now { id: row.get(0)?, usage, version: count(3)? })
}

fn insert_space(conn: &Connection, space: &Space) -> Result<Now> {
    let sql = "INSERT INTO plugin_spaces (plugin, source) VALUES (?1, ?2)";
    let id = conn.prepare_cached(sql)?.insert([&space.plugin, &space.source])?;
    Ok(Now { id, usage: Usage::default(), version: 0 })
}

fn save(conn: &Connection, space: &Now) -> Result<()> {
    let sql = "UPDATE plugin_spaces SET keys = ?2, bytes = ?3, version = ?4 WHERE id = ?1";
    let Now { id, usage, version } = space;
    let [keys, bytes, version] = [usage.keys, usage.bytes, *version].map(u64::cast_signed);
    conn.prepare_cached(sql)?.execute(params![id, keys, bytes, version])?;
    Ok(())
}

fn remove_expired(conn: &Connection, space: &mut Now, now: Timestamp, limit: i64) -> Result<u64> {
    let sql = format!(
        "DELETE FROM plugin_state WHERE rowid IN ({EXPIRED}) \
         RETURNING length(key) + length(value)"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let values = params![space.id, now.as_millis(), limit];
    let mut removed = Usage::default();
    for bytes in statement.query_map(values, |row| row.get::<_, i64>(0))? {
        removed.keys += 1;
        removed.bytes += u64::try_from(bytes?).unwrap_or(0);
    }
    if removed.keys > 0 {
        space.usage.keys = space.usage.keys.saturating_sub(removed.keys);
        space.usage.bytes = space.usage.bytes.saturating_sub(removed.bytes);
        save(conn, space)?;
    }
    Ok(removed.keys)
}
