//! What the writer does inside its transaction. Each function may run twice: when a batch fails,
//! every command of it is run again alone. What it changes in memory is therefore kept in [`Scope`]
//! until the commit.

use super::Shared;
use super::lanes::Touched;
use super::rows::plan_column;
use crate::store::{Appended, NewEvent, PlanState, Quarantined};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::collections::HashMap;

mod attempt;
mod copy;
mod plan;
pub mod plugin_state;
pub mod prune;
mod small;

pub use attempt::{attempts, give_up};
pub use copy::import;
pub use plan::plans;
pub use prune::{Walks, prune};
pub use small::{
    change_replay, create_replay, put_secret, record_health, record_replay, remove_secret,
};

/// A transaction under way, and what follows from it once it is committed.
pub struct Scope<'a> {
    pub conn: &'a Connection,
    pub shared: &'a Shared,
    pub endpoints: &'a mut HashMap<String, i64>,
    pub effects: &'a mut Effects,
}

/// Changes outside the file that wait for the commit.
#[derive(Default)]
pub struct Effects {
    pub unplanned: i64,
    pub pending: i64,
    pub dead: i64,
    pub quarantined: i64,
    pub events: Vec<EventId>,
    pub deliveries: Vec<DeliveryId>,
    /// Put in order before the commit.
    pub lanes: Touched,
}

pub fn append(scope: &mut Scope<'_>, event: &NewEvent) -> Result<Appended> {
    let answer = known(scope, event)?;
    if let Appended::Duplicate { .. } = answer {
        return Ok(answer);
    }
    let body = insert_body(scope.conn, &event.body)?;
    let is_new = answer == Appended::Stored;
    let plan = if is_new { PlanState::Unplanned } else { PlanState::Conflict };
    let sequence = match &event.lane {
        Some(key) if is_new => Some(next_in_lane(scope.conn, key, event)?),
        _ => None,
    };
    let sql = "INSERT INTO events (id, source, dedupe_key, kind, room, lane, created_at, \
         received_at, api_key, body, body_sha256, plan, plan_at, plan_attempts, settled, note, \
         sequence) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?8, 0, '', NULL, ?13)";
    scope.conn.prepare_cached(sql)?.execute(params![
        event.id.to_bytes(),
        event.source,
        event.dedupe_key,
        event.kind,
        event.room,
        event.lane,
        event.created_at.map(Timestamp::as_millis),
        event.received_at.as_millis(),
        event.api_key,
        body,
        event.body_sha256,
        plan_column(plan),
        sequence,
    ])?;
    scope.effects.unplanned += i64::from(is_new);
    Ok(answer)
}

fn next_in_lane(conn: &Connection, key: &str, event: &NewEvent) -> Result<i64> {
    let sql = "INSERT INTO lanes (source, key, last, used_at, events) VALUES (?1, ?2, 1, ?3, 1) \
         ON CONFLICT DO UPDATE SET last = last + 1, events = events + 1, \
         used_at = max(used_at, excluded.used_at) RETURNING last";
    let values = params![event.source, key, event.received_at.as_millis()];
    conn.prepare_cached(sql)?.query_row(values, |row| row.get(0))
}

/// Looks at every event under the same key within the window: the same body makes a duplicate, of
/// whichever event has it; else the first proper one makes a conflict. So a conflict that is sent
/// again is stored once.
fn known(scope: &Scope<'_>, event: &NewEvent) -> Result<Appended> {
    let since = event.received_at.plus_millis(-scope.shared.dedupe_window_ms);
    let sql = "SELECT id, body_sha256, plan FROM events INDEXED BY events_key \
         WHERE dedupe_key = ?1 AND source = ?2 AND received_at > ?3 ORDER BY id";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![event.dedupe_key, event.source, since.as_millis()])?;
    let mut answer = Appended::Stored;
    while let Some(row) = rows.next()? {
        let of = EventId::from_bytes(row.get(0)?);
        if row.get::<_, [u8; 32]>(1)? == event.body_sha256 {
            return Ok(Appended::Duplicate { of });
        }
        if answer == Appended::Stored && row.get::<_, i64>(2)? != 2 {
            answer = Appended::Conflict { of };
        }
    }
    Ok(answer)
}

pub fn quarantine(scope: &mut Scope<'_>, item: &Quarantined) -> Result<()> {
    let body = insert_body(scope.conn, &item.body)?;
    let sql = "INSERT INTO quarantine (id, source, reason, received_at, body) \
         VALUES (?1, ?2, ?3, ?4, ?5)";
    scope.conn.prepare_cached(sql)?.execute(params![
        item.id.to_bytes(),
        item.source,
        item.reason,
        item.received_at.as_millis(),
        body,
    ])?;
    scope.effects.quarantined += 1;
    Ok(())
}

fn insert_body(conn: &Connection, body: &[u8]) -> Result<i64> {
    conn.prepare_cached("INSERT INTO bodies (bytes) VALUES (?1)")?.insert(params![body])
}

/// Endpoints are few and stay: their numbers are kept at hand.
fn endpoint_id(scope: &mut Scope<'_>, name: &str) -> Result<i64> {
    if let Some(&id) = scope.endpoints.get(name) {
        return Ok(id);
    }
    let found = scope
        .conn
        .prepare_cached("SELECT id FROM endpoints WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let id = match found {
        Some(id) => id,
        None => {
            scope.conn.prepare_cached("INSERT INTO endpoints (name) VALUES (?1)")?.insert([name])?
        }
    };
    scope.endpoints.insert(name.to_owned(), id);
    Ok(id)
}
