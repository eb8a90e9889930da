//! Rows to domain values and back. The only file that knows the columns' codes.

use crate::store::{
    AttemptRecord, NewEvent, PlanState, Quarantined, Status, StoredDelivery, StoredEvent,
};
use bytes::Bytes;
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Result, Row};

/// What [`event`] reads, in its order.
pub const EVENT: &str = "SELECT e.id, e.source, e.dedupe_key, e.kind, e.room, e.lane, e.created_at, \
     e.received_at, e.api_key, b.bytes, e.body_sha256, e.plan, e.plan_attempts, e.note, e.settled \
     FROM events e JOIN bodies b ON b.id = e.body";

/// What [`delivery`] reads, in its order.
pub const DELIVERY: &str = "SELECT d.id, d.event, n.name, d.webhook_id, d.kind, d.status, \
     d.dead_reason, d.due_at, d.attempts, d.created_at, d.updated_at, d.note \
     FROM deliveries d JOIN endpoints n ON n.id = d.endpoint";

/// What [`attempt`] reads, in its order.
pub const ATTEMPT: &str = "SELECT number, started_at, duration_ms, status, retry_after_ms, \
     error_class, address, response_start, error FROM attempts";

/// What [`quarantined`] reads, in its order.
pub const QUARANTINED: &str = "SELECT q.id, q.source, q.reason, q.received_at, b.bytes \
     FROM quarantine q JOIN bodies b ON b.id = q.body";

pub fn event(row: &Row<'_>) -> Result<StoredEvent> {
    Ok(StoredEvent {
        event: NewEvent {
            id: EventId::from_bytes(row.get(0)?),
            source: row.get(1)?,
            dedupe_key: row.get(2)?,
            kind: row.get(3)?,
            room: row.get(4)?,
            lane: row.get(5)?,
            created_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
            received_at: time(row, 7)?,
            api_key: row.get(8)?,
            body: bytes(row, 9)?,
            body_sha256: row.get(10)?,
        },
        plan: match row.get(11)? {
            0 => PlanState::Unplanned,
            1 => PlanState::Planned,
            2 => PlanState::Conflict,
            other => return Err(unknown(11, other)),
        },
        sequence: None,
        plan_attempts: row.get(12)?,
        note: row.get(13)?,
        settled: names(row.get_ref(14)?.as_str()?),
    })
}

/// The names in a column of names. A name has no comma.
fn names(column: &str) -> Vec<String> {
    column.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

pub fn delivery(row: &Row<'_>) -> Result<StoredDelivery> {
    Ok(StoredDelivery {
        id: DeliveryId::from_bytes(row.get(0)?),
        event: EventId::from_bytes(row.get(1)?),
        endpoint: row.get(2)?,
        webhook_id: row.get(3)?,
        kind: row.get(4)?,
        state: match row.get(5)? {
            0 => State::Pending,
            1 => State::Delivered,
            2 => State::Dead(word(row, 6, DeadReason::parse)?),
            other => return Err(unknown(5, other)),
        },
        due_at: time(row, 7)?,
        attempts: row.get(8)?,
        lane: None,
        sequence: None,
        batch: None,
        replay: None,
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        note: row.get(11)?,
    })
}

pub fn attempt(row: &Row<'_>) -> Result<AttemptRecord> {
    let outcome = match row.get(3)? {
        Some(status) => Outcome::Answered { status, retry_after_ms: row.get(4)? },
        None => Outcome::Failed(word(row, 5, ErrorClass::parse)?),
    };
    Ok(AttemptRecord {
        number: row.get(0)?,
        started_at: time(row, 1)?,
        duration_ms: row.get(2)?,
        outcome,
        timings: crate::store::Timings::default(),
        address: row.get(6)?,
        host: None,
        request_headers: String::new(),
        response_headers: String::new(),
        response_start: bytes(row, 7)?,
        error: row.get(8)?,
    })
}

pub fn quarantined(row: &Row<'_>) -> Result<Quarantined> {
    Ok(Quarantined {
        id: EventId::from_bytes(row.get(0)?),
        source: row.get(1)?,
        reason: row.get(2)?,
        received_at: time(row, 3)?,
        body: bytes(row, 4)?,
    })
}

pub fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// Copied once, out of SQLite's page.
pub fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

/// `status` and `dead_reason` of a state.
pub fn state_columns(state: State) -> (i64, Option<&'static str>) {
    match state {
        State::Pending => (0, None),
        State::Delivered => (1, None),
        State::Dead(reason) => (2, Some(reason.as_str())),
    }
}

/// `status` of a filter.
pub fn status_column(status: Status) -> i64 {
    match status {
        Status::Pending => 0,
        Status::Delivered => 1,
        Status::Dead => 2,
    }
}

fn word<T>(row: &Row<'_>, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        let error = format!("unknown word `{text}`").into();
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error)
    })
}

fn unknown(column: usize, found: i64) -> rusqlite::Error {
    let error = Box::new(FromSqlError::OutOfRange(found));
    rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, error)
}
