//! State of plugins. Whoever changes a key locks its space's row first, so changes of a space follow
//! each other, on whatever host.

use super::connect::{execute, one, query};
use super::fault::Fault;
use super::types::{big, count, encode, maybe_time};
use crate::store::plugin_state::{
    Change, Changed, Entry, Next, PAGE_MAX, Page, Space, Stored, Usage, What, decide, end_of,
    weight,
};
use bytes::Bytes;
use deadpool_postgres::{GenericClient, Transaction};
use livekit_webhook_core::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Most spaces that one step of retention locks.
const STEP_SPACES: i64 = 16;

/// A space as it is now, locked.
struct Locked {
    id: i32,
    usage: Usage,
    version: u64,
}

pub async fn get(
    client: &impl GenericClient,
    now: Timestamp,
    space: &Space,
    key: &str,
) -> Result<Option<Entry>, Fault> {
    let sql = "SELECT s.value, s.version, s.expires_at FROM plugin_state s \
         JOIN plugin_spaces p ON p.id = s.space \
         WHERE p.plugin = $1 AND p.source = $2 AND s.key = $3";
    let (plugin, source) = (encode(&space.plugin), encode(&space.source));
    let rows = query(client, sql, &[&plugin, &source, &key.as_bytes()]).await?;
    let found = rows.first().map(|row| stored(row, 0)).transpose()?;
    Ok(found.filter(|stored| stored.is_live(now)).map(|stored| stored.entry))
}

pub async fn keys(
    client: &impl GenericClient,
    now: Timestamp,
    page: &Page,
) -> Result<Vec<String>, Fault> {
    let sql = "SELECT s.key FROM plugin_state s JOIN plugin_spaces p ON p.id = s.space \
         WHERE p.plugin = $1 AND p.source = $2 AND s.key >= $3 AND s.key < $4 \
         AND ($5::BYTEA IS NULL OR s.key > $5) \
         AND (s.expires_at IS NULL OR s.expires_at > $6) ORDER BY s.key LIMIT $7";
    // The later of the two is where the index is entered.
    let from = page.after.as_deref().unwrap_or_default().max(&page.prefix);
    let after = page.after.as_deref().map(str::as_bytes);
    let rows = query(
        client,
        sql,
        &[
            &encode(&page.space.plugin),
            &encode(&page.space.source),
            &from.as_bytes(),
            &end_of(&page.prefix),
            &after,
            &now.as_millis(),
            &big(page.limit.clamp(1, PAGE_MAX)),
        ],
    )
    .await?;
    rows.iter().map(|row| key(row, 0)).collect()
}

pub async fn change(
    tx: &Transaction<'_>,
    now: Timestamp,
    change: &Change,
) -> Result<Changed, Fault> {
    let mut space = match lock(tx, &change.space).await? {
        Some(space) => space,
        None if change.what == What::Delete => return Ok(Changed::Deleted(false)),
        None => make(tx, &change.space).await?,
    };
    let found = find(tx, space.id, &change.key).await?;
    let mut next = decide(change, found.as_ref(), space.usage, now);
    if let Next::NeedsRoom(_) = next {
        remove_expired(tx, &mut space, now, i64::MAX).await?;
        let found = find(tx, space.id, &change.key).await?;
        next = decide(change, found.as_ref(), space.usage, now);
    }
    match next {
        Next::Write { value, expires_at, usage, sum } => {
            let version = space.version.saturating_add(1);
            let stored = Stored { entry: Entry { value, version }, expires_at };
            write(tx, space.id, &change.key, &stored, true).await?;
            save(tx, &Locked { usage, version, ..space }).await?;
            Ok(sum.map_or(Changed::Set(version), Changed::Sum))
        }
        Next::Remove { usage, was_there } => {
            let sql = "DELETE FROM plugin_state WHERE space = $1 AND key = $2";
            execute(tx, sql, &[&space.id, &change.key.as_bytes()]).await?;
            save(tx, &Locked { usage, ..space }).await?;
            Ok(Changed::Deleted(was_there))
        }
        Next::Leave(changed) => Ok(changed),
        Next::NeedsRoom(refusal) => Ok(Changed::Refused(refusal)),
    }
}

/// Removes at most `limit` keys whose time is over; how many. A space that somebody else has locked
/// is left for another time.
pub async fn prune(tx: &Transaction<'_>, now: Timestamp, limit: i64) -> Result<u64, Fault> {
    let sql = "SELECT p.id, p.keys, p.bytes, p.version FROM plugin_spaces p \
         WHERE (SELECT s.space FROM plugin_state s WHERE s.space = p.id \
         AND s.expires_at IS NOT NULL AND s.expires_at <= $1 LIMIT 1) IS NOT NULL \
         ORDER BY p.id LIMIT $2 FOR UPDATE SKIP LOCKED";
    let mut removed = 0;
    for row in query(tx, sql, &[&now.as_millis(), &STEP_SPACES]).await? {
        let left = limit.saturating_sub(removed);
        if left > 0 {
            removed += remove_expired(tx, &mut locked(&row)?, now, left).await?;
        }
    }
    Ok(removed.unsigned_abs())
}

/// A row of a copy. Whether it was new.
pub async fn import(
    tx: &Transaction<'_>,
    space: &Space,
    key: &str,
    stored: &Stored,
) -> Result<bool, Fault> {
    let space = match lock(tx, space).await? {
        Some(space) => space,
        None => make(tx, space).await?,
    };
    if !write(tx, space.id, key, stored, false).await? {
        return Ok(false);
    }
    let Usage { keys, bytes } = space.usage;
    let usage = Usage { keys: keys + 1, bytes: bytes + weight(key, &stored.entry.value) };
    let version = space.version.max(stored.entry.version);
    save(tx, &Locked { usage, version, ..space }).await?;
    Ok(true)
}

/// Rows of a copy behind a space's number and a key.
pub async fn export(
    client: &impl GenericClient,
    behind: (i32, &[u8]),
) -> Result<Vec<(i32, Space, String, Stored)>, Fault> {
    let sql = "SELECT s.space, p.plugin, p.source, s.key, s.value, s.version, s.expires_at \
         FROM plugin_state s JOIN plugin_spaces p ON p.id = s.space \
         WHERE (s.space, s.key) > ($1, $2) ORDER BY s.space, s.key LIMIT 256";
    let rows = query(client, sql, &[&behind.0, &behind.1]).await?;
    let read = |row: &Row| {
        let plugin = super::types::text(row, 1)?;
        let space = Space { plugin, source: super::types::text(row, 2)? };
        Ok((row.try_get(0)?, space, key(row, 3)?, stored(row, 4)?))
    };
    rows.iter().map(read).collect()
}

/// Bytes of all spaces.
pub async fn bytes(client: &impl GenericClient) -> Result<u64, Fault> {
    let sql = "SELECT coalesce(sum(bytes), 0)::BIGINT FROM plugin_spaces";
    count(&one(client, sql, &[]).await?, 0)
}

async fn lock(tx: &Transaction<'_>, space: &Space) -> Result<Option<Locked>, Fault> {
    let sql = "SELECT id, keys, bytes, version FROM plugin_spaces \
         WHERE plugin = $1 AND source = $2 FOR UPDATE";
    let rows = query(tx, sql, &[&encode(&space.plugin), &encode(&space.source)]).await?;
    rows.first().map(locked).transpose()
}

/// Another host may make it at the same time: then this waits for it.
async fn make(tx: &Transaction<'_>, space: &Space) -> Result<Locked, Fault> {
    let sql = "INSERT INTO plugin_spaces (plugin, source) VALUES ($1, $2) \
         ON CONFLICT (plugin, source) DO NOTHING";
    execute(tx, sql, &[&encode(&space.plugin), &encode(&space.source)]).await?;
    let made = lock(tx, space).await?;
    made.ok_or_else(|| Fault::Damaged("a plugin's space is gone".to_owned()))
}

fn locked(row: &Row) -> Result<Locked, Fault> {
    let usage = Usage { keys: count(row, 1)?, bytes: count(row, 2)? };
    Ok(Locked { id: row.try_get(0)?, usage, version: count(row, 3)? })
}

async fn save(tx: &Transaction<'_>, space: &Locked) -> Result<(), Fault> {
    let sql = "UPDATE plugin_spaces SET keys = $2, bytes = $3, version = $4 WHERE id = $1";
    let Locked { id, usage, version } = space;
    let [keys, bytes, version] = [usage.keys, usage.bytes, *version].map(u64::cast_signed);
    execute(tx, sql, &[id, &keys, &bytes, &version]).await?;
    Ok(())
}

async fn find(tx: &Transaction<'_>, space: i32, key: &str) -> Result<Option<Stored>, Fault> {
    let sql = "SELECT value, version, expires_at FROM plugin_state WHERE space = $1 AND key = $2";
    let rows = query(tx, sql, &[&space, &key.as_bytes()]).await?;
    rows.first().map(|row| stored(row, 0)).transpose()
}

/// Whether anything was written.
async fn write(
    tx: &Transaction<'_>,
    space: i32,
    key: &str,
    stored: &Stored,
    replaces: bool,
) -> Result<bool, Fault> {
    let conflict = match replaces {
        true => {
            "DO UPDATE SET version = excluded.version, expires_at = excluded.expires_at, \
             value = excluded.value"
        }
        false => "DO NOTHING",
    };
    let sql = format!(
        "INSERT INTO plugin_state (space, key, version, expires_at, value) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (space, key) {conflict}"
    );
    let Stored { entry, expires_at } = stored;
    let expires_at = expires_at.map(Timestamp::as_millis);
    let version = entry.version.cast_signed();
    let key = key.as_bytes();
    let values: [&(dyn ToSql + Sync); 5] = [&space, &key, &version, &expires_at, &&*entry.value];
    Ok(execute(tx, &sql, &values).await? == 1)
}

async fn remove_expired(
    tx: &Transaction<'_>,
    space: &mut Locked,
    now: Timestamp,
    limit: i64,
) -> Result<i64, Fault> {
    let sql = "DELETE FROM plugin_state WHERE space = $1 AND key = ANY (ARRAY ( \
         SELECT key FROM plugin_state WHERE space = $1 AND expires_at IS NOT NULL \
         AND expires_at <= $2 ORDER BY expires_at LIMIT $3)) \
         RETURNING octet_length(key) + octet_length(value)";
    let rows = query(tx, sql, &[&space.id, &now.as_millis(), &limit]).await?;
    for row in &rows {
        let bytes: i32 = row.try_get(0)?;
        space.usage.keys = space.usage.keys.saturating_sub(1);
        space.usage.bytes = space.usage.bytes.saturating_sub(u64::from(bytes.unsigned_abs()));
    }
    if !rows.is_empty() {
        save(tx, space).await?;
    }
    Ok(big(rows.len()))
}

/// Value, version and time, from column `at` on.
fn stored(row: &Row, at: usize) -> Result<Stored, Fault> {
    let value = Bytes::copy_from_slice(row.try_get(at)?);
    let entry = Entry { value, version: count(row, at + 1)? };
    Ok(Stored { entry, expires_at: maybe_time(row, at + 2)? })
}

fn key(row: &Row, column: usize) -> Result<String, Fault> {
    let key: Vec<u8> = row.try_get(column)?;
    String::from_utf8(key).map_err(|_| Fault::Damaged("a plugin's key is no UTF-8".to_owned()))
}
