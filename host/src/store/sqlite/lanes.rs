//! Order: which delivery of a lane may be claimed.
//!
//! Of the deliveries that one endpoint is owed in one lane the first, by sequence, is its *head*;
//! all others are *held*, and so is the head while an earlier event of the lane has no plan for the
//! endpoint yet. What is held is not in the index of what is due: a lane of a million costs a claim
//! nothing. The writer keeps it so: whatever may move a head names the lane, and before the commit
//! each named lane is put in order once.

use super::write::Scope;
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::collections::BTreeSet;

/// Lanes that a transaction has to put in order.
#[derive(Default)]
pub struct Touched {
    /// Lane and endpoint: something came or went.
    lanes: BTreeSet<(String, i64)>,
    /// Lanes of events that got (part of) their plan, at every endpoint.
    planned: BTreeSet<String>,
    /// Whether anything was owed in any lane when the transaction began to plan.
    is_any_owed: Option<bool>,
}

/// Whether anything is owed in any lane.
pub const ANY: &str = "SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_lane \
     WHERE status = 0 AND lane IS NOT NULL)";

/// The next endpoint that something is owed to in a lane.
pub const ENDPOINTS: &str = "SELECT min(endpoint) FROM deliveries INDEXED BY deliveries_lane \
     WHERE lane = ?1 AND endpoint > ?2 AND status = 0";

/// What is owed in a lane and held, or not, first in order.
pub const OWED: &str = "SELECT id, sequence FROM deliveries INDEXED BY deliveries_lane \
     WHERE lane = ?1 AND endpoint = ?2 AND held = ?3 AND status = 0 ORDER BY sequence, id";

/// Whether an event before `?2` in the lane has no plan for the endpoint yet. The lane of a replay
/// is none of an event's.
pub const BLOCKED: &str = "SELECT EXISTS (SELECT 1 FROM events INDEXED BY events_lane \
     WHERE plan = 0 AND sequence IS NOT NULL AND source || '/' || lane = ?1 AND sequence < ?2 \
     AND instr(',' || settled || ',', \
     ',' || (SELECT name FROM endpoints WHERE id = ?3) || ',') = 0)";

// === impl Touched ===

impl Touched {
    /// A delivery came to the lane, or left it.
    pub fn delivery(&mut self, lane: &str, endpoint: i64) {
        self.lanes.insert((lane.to_owned(), endpoint));
    }

    /// An event got its plan, or part of it: what came after it may go now.
    pub fn event(&mut self, conn: &Connection, id: [u8; 16]) -> Result<()> {
        let is_any_owed = match self.is_any_owed {
            Some(known) => known,
            None => conn.prepare_cached(ANY)?.query_row([], |row| row.get(0))?,
        };
        self.is_any_owed = Some(is_any_owed);
        if is_any_owed {
            let sql = "SELECT source || '/' || lane FROM events WHERE id = ?1";
            let lane: Option<String> =
                conn.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
            self.planned.extend(lane);
        }
        Ok(())
    }
}

/// Puts every lane in order that was touched. The last thing before a commit.
pub fn put_in_order(scope: &mut Scope<'_>) -> Result<()> {
    let Touched { mut lanes, planned, .. } = std::mem::take(&mut scope.effects.lanes);
    for lane in planned {
        let mut last = -1;
        let mut statement = scope.conn.prepare_cached(ENDPOINTS)?;
        while let Some(endpoint) =
            statement.query_row(params![lane, last], |row| row.get::<_, Option<i64>>(0))?
        {
            lanes.insert((lane.clone(), endpoint));
            last = endpoint;
        }
    }
    lanes.iter().try_for_each(|(lane, endpoint)| settle(scope.conn, lane, *endpoint))
}

/// Lets the head go, unless it is blocked, and holds all others. What was let go before stays the
/// head, also when one with a smaller sequence comes late (to a replay's lane, where hosts' clocks
/// differ): it may be under way, and the lane has one at a time.
fn settle(conn: &Connection, lane: &str, endpoint: i64) -> Result<()> {
    let mut statement = conn.prepare_cached(OWED)?;
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(1)?, row.get(0)?));
    let first_held: Option<(Option<i64>, [u8; 16])> =
        statement.query_row(params![lane, endpoint, 1], read).optional()?;
    let free = statement.query_map(params![lane, endpoint, 0], read)?;
    let free: Vec<(Option<i64>, [u8; 16])> = free.collect::<Result<_>>()?;
    let Some(head) = free.iter().copied().min().or(first_held) else {
        return Ok(());
    };
    let is_blocked = is_blocked(conn, lane, endpoint, head.0)?;
    let goes = |place| place == head && !is_blocked;
    let mut hold = conn.prepare_cached("UPDATE deliveries SET held = ?2 WHERE id = ?1")?;
    for (_, id) in free.iter().filter(|place| !goes(**place)) {
        hold.execute(params![id, 1])?;
    }
    if let Some((_, id)) = first_held.filter(|place| goes(*place)) {
        hold.execute(params![id, 0])?;
    }
    Ok(())
}

fn is_blocked(conn: &Connection, lane: &str, endpoint: i64, sequence: Option<i64>) -> Result<bool> {
    let values = params![lane, sequence.unwrap_or(0), endpoint];
    conn.prepare_cached(BLOCKED)?.query_row(values, |row| row.get(0))
}

/// Whether all that is owed in a lane is held, though its head is not blocked.
pub fn is_stuck(conn: &Connection, lane: &str, endpoint: i64) -> Result<bool> {
    let mut statement = conn.prepare_cached(OWED)?;
    if statement.exists(params![lane, endpoint, 0])? {
        return Ok(false);
    }
    let head = statement.query_row(params![lane, endpoint, 1], |row| row.get(1)).optional()?;
    head.map_or(Ok(false), |sequence| Ok(!is_blocked(conn, lane, endpoint, sequence)?))
}
