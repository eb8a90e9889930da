//! Retention, in steps of a bounded size.
//!
//! What has ended is found by an index over the time of its end. Events are found with the last of
//! their deliveries; those that never had one, and what goes for want of space, by a walk over all
//! events from the oldest on, a bounded number of rows a step. Where a walk stands is remembered
//! between steps, and it starts again from the beginning once it has reached its end, so what a
//! restart forgets is time, not rows.

use super::{Scope, plugin_state};
use crate::store::sqlite::read;
use crate::store::{Pruned, Retention};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Most events that one walk looks at in one step.
const WALK_MAX: i64 = 4_096;

/// Where the walks stand: the last event looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Walks {
    by_age: Option<[u8; 16]>,
    by_size: Option<[u8; 16]>,
}

/// What ended with one status by a time, oldest first.
pub const DELIVERED: &str = "SELECT id, event FROM deliveries INDEXED BY deliveries_delivered \
     WHERE status = 1 AND updated_at <= ?1 ORDER BY updated_at, id LIMIT ?2";
/// The same for dead letters.
pub const DEAD: &str = "SELECT id, event FROM deliveries INDEXED BY deliveries_dead \
     WHERE status = 2 AND updated_at <= ?1 ORDER BY updated_at, id LIMIT ?2";

/// Counters of lanes that nothing is stored of, last used by a time, oldest first.
pub const IDLE: &str = "SELECT source, key FROM lanes INDEXED BY lanes_idle \
     WHERE events = 0 AND used_at <= ?1 ORDER BY used_at LIMIT ?2";

const WALK: &str = "SELECT id, plan != 0 AND received_at <= ?3 FROM events \
     WHERE id > ?1 AND id < ?4 ORDER BY id LIMIT ?2";

struct Step<'a, 'b> {
    scope: &'a mut Scope<'b>,
    limit: u64,
    pruned: Pruned,
}

pub fn prune(
    scope: &mut Scope<'_>,
    now: Timestamp,
    retention: &Retention,
    limit: usize,
) -> Result<Pruned> {
    let limit = limit.max(1) as u64;
    let mut walks = *scope.shared.walks();
    let mut step = Step { scope, limit, pruned: Pruned::default() };
    let ended_by = |keep_ms: i64| now.plus_millis(keep_ms.saturating_neg());
    step.ended(DELIVERED, ended_by(retention.delivered_ms), ended_by(retention.delivered_ms))?;
    step.ended(DEAD, ended_by(retention.dead_ms), ended_by(retention.delivered_ms))?;
    step.bare_events(ended_by(retention.delivered_ms), &mut walks)?;
    step.quarantined(ended_by(retention.quarantined_ms))?;
    if let Some(bytes_max) = retention.bytes_max {
        step.oversize(bytes_max, &mut walks)?;
    }
    step.lanes(ended_by(retention.lanes_ms))?;
    let mut pruned = step.pruned;
    pruned.plugin_state = plugin_state::prune(scope.conn, now, limit)?;
    pruned.is_more = pruned.is_more || pruned.most() >= limit;
    *scope.shared.walks() = walks;
    Ok(pruned)
}

// === impl Step ===

impl Step<'_, '_> {
    /// Deliveries that ended by then, and their events if nothing else points at them and they are
    /// old enough.
    fn ended(&mut self, sql: &str, by: Timestamp, received_by: Timestamp) -> Result<()> {
        let left = self.limit.saturating_sub(self.pruned.deliveries);
        let mut statement = self.scope.conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![by.as_millis(), left.cast_signed()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let over: Vec<([u8; 16], [u8; 16])> = rows.collect::<Result<_>>()?;
        for (delivery, event) in over {
            self.delivery(delivery)?;
            if self.pruned.events < self.limit && is_over(self.scope.conn, event, received_by)? {
                self.event(event)?;
            }
        }
        Ok(())
    }

    /// Events without deliveries.
    fn bare_events(&mut self, by: Timestamp, walks: &mut Walks) -> Result<()> {
        let rows = self.walk(walks.by_age, by)?;
        let is_end = (rows.len() as i64) < WALK_MAX;
        for (id, is_old) in rows {
            if self.pruned.events >= self.limit {
                return Ok(());
            }
            if is_old && has_none(self.scope.conn, ANY_DELIVERY, id)? {
                self.event(id)?;
            }
            walks.by_age = Some(id);
        }
        if is_end {
            walks.by_age = None;
        }
        self.pruned.is_more |= !is_end;
        Ok(())
    }

    fn quarantined(&mut self, by: Timestamp) -> Result<()> {
        let sql = "SELECT id, body FROM quarantine WHERE id < ?3 AND received_at <= ?1 ORDER BY id \
             LIMIT ?2";
        let mut statement = self.scope.conn.prepare_cached(sql)?;
        let values = params![by.as_millis(), self.limit.cast_signed(), read::id_until(by)];
        let rows = statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let over: Vec<([u8; 16], i64)> = rows.collect::<Result<_>>()?;
        for (id, body) in over {
            self.scope
                .conn
                .prepare_cached("DELETE FROM quarantine WHERE id = ?1")?
                .execute([id])?;
            remove_body(self.scope.conn, body)?;
            self.scope.effects.quarantined -= 1;
            self.pruned.quarantined += 1;
        }
        Ok(())
    }

    /// The oldest events of which everything is delivered, until the rest fits.
    fn oversize(&mut self, bytes_max: u64, walks: &mut Walks) -> Result<()> {
        if read::size_bytes(self.scope.conn)? <= bytes_max {
            walks.by_size = None;
            return Ok(());
        }
        let rows = self.walk(walks.by_size, Timestamp::from_millis(i64::MAX))?;
        let is_end = (rows.len() as i64) < WALK_MAX;
        for (id, is_planned) in rows {
            if self.pruned.events >= self.limit || self.pruned.deliveries >= self.limit {
                return Ok(());
            }
            if is_planned && has_none(self.scope.conn, UNDELIVERED, id)? {
                self.deliveries_of(id)?;
                self.event(id)?;
                if read::size_bytes(self.scope.conn)? <= bytes_max {
                    return Ok(());
                }
            }
            walks.by_size = Some(id);
        }
        if is_end {
            walks.by_size = None;
        }
        self.pruned.is_more |= !is_end;
        Ok(())
    }

    /// Events from the oldest on, each with whether it has its plan and came by then.
    fn walk(&self, after: Option<[u8; 16]>, by: Timestamp) -> Result<Vec<([u8; 16], bool)>> {
        let mut statement = self.scope.conn.prepare_cached(WALK)?;
        let after = after.unwrap_or_default();
        let values = params![after, WALK_MAX, by.as_millis(), read::id_until(by)];
        statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn deliveries_of(&mut self, event: [u8; 16]) -> Result<()> {
        let sql = "SELECT id FROM deliveries INDEXED BY deliveries_event WHERE event = ?1";
        let mut statement = self.scope.conn.prepare_cached(sql)?;
        let ids: Vec<[u8; 16]> =
            statement.query_map([event], |row| row.get(0))?.collect::<Result<_>>()?;
        ids.into_iter().try_for_each(|id| self.delivery(id))
    }

    /// A delivery that has ended, with its attempts and a body of its own that no replay shares.
    fn delivery(&mut self, id: [u8; 16]) -> Result<()> {
        let conn = self.scope.conn;
        let sql = "DELETE FROM deliveries WHERE id = ?1 RETURNING status, body";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get(1)?));
        let (status, body): (_, Option<i64>) = conn.prepare_cached(sql)?.query_row([id], read)?;
        conn.prepare_cached("DELETE FROM attempts WHERE delivery = ?1")?.execute([id])?;
        if let Some(body) = body {
            let sql = "SELECT 1 FROM deliveries INDEXED BY deliveries_body WHERE body = ?1";
            if !conn.prepare_cached(sql)?.exists([body])? {
                remove_body(conn, body)?;
            }
        }
        self.scope.effects.dead -= i64::from(status == 2);
        self.pruned.deliveries += 1;
        Ok(())
    }

    fn event(&mut self, id: [u8; 16]) -> Result<()> {
        let sql = "DELETE FROM events WHERE id = ?1 \
             RETURNING body, source, iif(sequence IS NULL, NULL, lane)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let (body, source, lane): (i64, String, Option<String>) =
            self.scope.conn.prepare_cached(sql)?.query_row([id], read)?;
        if let Some(key) = lane {
            let sql = "UPDATE lanes SET events = events - 1 WHERE source = ?1 AND key = ?2";
            self.scope.conn.prepare_cached(sql)?.execute([source, key])?;
        }
        self.pruned.events += 1;
        remove_body(self.scope.conn, body)
    }

    /// Counters of lanes of which nothing is stored, after all events of this step are gone.
    fn lanes(&mut self, used_by: Timestamp) -> Result<()> {
        let sql = format!("DELETE FROM lanes WHERE (source, key) IN ({IDLE})");
        let values = params![used_by.as_millis(), self.limit.cast_signed()];
        self.pruned.lanes = self.scope.conn.prepare_cached(&sql)?.execute(values)? as u64;
        Ok(())
    }
}

const ANY_DELIVERY: &str = "SELECT 1 FROM deliveries INDEXED BY deliveries_event WHERE event = ?1";
const UNDELIVERED: &str =
    "SELECT 1 FROM deliveries INDEXED BY deliveries_event WHERE event = ?1 AND status != 1";

fn has_none(conn: &Connection, sql: &str, event: [u8; 16]) -> Result<bool> {
    Ok(!conn.prepare_cached(sql)?.exists([event])?)
}

/// Whether the event is of no more use to anybody.
fn is_over(conn: &Connection, event: [u8; 16], received_by: Timestamp) -> Result<bool> {
    let sql = "SELECT plan != 0 AND received_at <= ?2 FROM events WHERE id = ?1";
    let is_old = conn
        .prepare_cached(sql)?
        .query_row(params![event, received_by.as_millis()], |row| row.get(0))
        .optional()?;
    Ok(is_old.unwrap_or(false) && has_none(conn, ANY_DELIVERY, event)?)
}

fn remove_body(conn: &Connection, body: i64) -> Result<()> {
    conn.prepare_cached("DELETE FROM bodies WHERE id = ?1")?.execute([body])?;
    Ok(())
}
