//! Rows to domain values and back. The only file that knows the columns' codes.

use crate::store::plugin_state::{Entry, Stored};
use crate::store::{
    AttemptRecord, EndpointHealth, NewEvent, PlanState, Quarantined, ReplayState, SealedSecret,
    Status, StoredDelivery, StoredEvent, StoredReplay, Timings, selection,
};
use bytes::Bytes;
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::batch::BatchId;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Failing, Health};
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Result, Row};

/// What [`event`] reads, in its order.
pub const EVENT: &str = "SELECT e.id, e.source, e.dedupe_key, e.kind, e.room, e.lane, \
     e.created_at, e.received_at, e.api_key, b.bytes, e.body_sha256, e.plan, e.plan_attempts, \
     e.note, e.settled, \
     e.sequence FROM events e JOIN bodies b ON b.id = e.body";

/// What [`delivery`] reads, in its order. The third is the endpoint's name.
macro_rules! delivery_columns {
    ($endpoint:literal) => {
        concat!(
            "d.id, d.event, ",
            $endpoint,
            ", d.webhook_id, d.kind, d.status, d.dead_reason, d.due_at, d.attempts, \
             d.created_at, d.updated_at, d.note, d.lane, d.sequence, d.batch, d.replay, \
             d.headers"
        )
    };
}
pub(super) use delivery_columns;

/// Columns of [`EVENT`].
pub const EVENT_WIDTH: usize = 16;
/// Columns of [`ATTEMPT`].
pub const ATTEMPT_WIDTH: usize = 16;
/// Columns of [`delivery_columns`].
pub const DELIVERY_WIDTH: usize = 17;

/// What [`attempt`] reads, in its order.
pub const ATTEMPT: &str = "SELECT number, started_at, duration_ms, status, retry_after_ms, \
     error_class, address, response_start, error, dns_ms, connect_ms, tls_ms, first_byte_ms, host, \
     request_headers, response_headers FROM attempts";

/// What [`quarantined`] reads, in its order.
pub const QUARANTINED: &str = "SELECT q.id, q.source, q.reason, q.received_at, b.bytes \
     FROM quarantine q JOIN bodies b ON b.id = q.body";

/// What [`health`] reads, in its order.
pub const HEALTH: &str = "SELECT id, name, version, open_until, open_periods, open_successes, \
     paused_until, disabled_reason, disabled_at, failing_since, failing_last, failing_attempts \
     FROM endpoints";

/// What [`replay`] reads, in its order.
pub const REPLAY: &str = "SELECT id, selection, rate_milli, created_at, updated_at, state, cursor, \
     planned, skipped, note FROM replays";

/// What [`secret`] reads, in its order.
pub const SECRET: &str = "SELECT id, endpoint, key_id, sealed, created_at, expires_at FROM secrets";

pub fn event(row: &Row<'_>) -> Result<StoredEvent> {
    Ok(StoredEvent {
        event: NewEvent {
            id: EventId::from_bytes(row.get(0)?),
            source: row.get(1)?,
            dedupe_key: row.get(2)?,
            kind: row.get(3)?,
            room: row.get(4)?,
            lane: row.get(5)?,
            created_at: maybe_time(row, 6)?,
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
        sequence: row.get(15)?,
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
        headers: headers(row, 16)?,
        state: state(row, 5)?,
        due_at: time(row, 7)?,
        attempts: row.get(8)?,
        lane: row.get(12)?,
        sequence: row.get(13)?,
        batch: row.get::<_, Option<[u8; 16]>>(14)?.map(BatchId),
        replay: row.get::<_, Option<[u8; 16]>>(15)?.map(ReplayId::from_bytes),
        created_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        note: row.get(11)?,
    })
}

/// NULL: none.
fn headers(row: &Row<'_>, column: usize) -> Result<DeliveryHeaders> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    DeliveryHeaders::from_text(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// `status` and, behind it, `dead_reason`.
pub fn state(row: &Row<'_>, column: usize) -> Result<State> {
    Ok(match row.get(column)? {
        0 => State::Pending,
        1 => State::Delivered,
        2 => State::Dead(word(row, column + 1, DeadReason::parse)?),
        other => return Err(unknown(column, other)),
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
        timings: Timings {
            dns_ms: row.get(9)?,
            connect_ms: row.get(10)?,
            tls_ms: row.get(11)?,
            first_byte_ms: row.get(12)?,
        },
        address: row.get(6)?,
        host: row.get(13)?,
        request_headers: row.get(14)?,
        response_headers: row.get(15)?,
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

/// The endpoint's number stands in the first column, which is not read here.
pub fn health(row: &Row<'_>) -> Result<EndpointHealth> {
    let breaker = match maybe_time(row, 3)? {
        None => Breaker::Closed,
        Some(until) => Breaker::Open { until, periods: row.get(4)?, successes: row.get(5)? },
    };
    let disabled = match maybe_time(row, 8)? {
        None => None,
        Some(at) => Some(Disabled { reason: word(row, 7, DisabledReason::parse)?, at }),
    };
    let failing = match maybe_time(row, 9)? {
        None => None,
        Some(since) => Some(Failing { since, last: time(row, 10)?, attempts: row.get(11)? }),
    };
    Ok(EndpointHealth {
        endpoint: row.get(1)?,
        version: count(row, 2)?,
        health: Health { breaker, paused_until: maybe_time(row, 6)?, disabled, failing },
    })
}

pub fn replay(row: &Row<'_>) -> Result<StoredReplay> {
    let selection = selection::from_text(row.get_ref(1)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, error.into()))?;
    Ok(StoredReplay {
        id: ReplayId::from_bytes(row.get(0)?),
        selection,
        rate_milli: row.get(2)?,
        created_at: time(row, 3)?,
        updated_at: time(row, 4)?,
        state: word(row, 5, ReplayState::parse)?,
        cursor: row.get::<_, Option<[u8; 16]>>(6)?.map(EventId::from_bytes),
        planned: count(row, 7)?,
        skipped: count(row, 8)?,
        note: row.get(9)?,
    })
}

pub fn secret(row: &Row<'_>) -> Result<SealedSecret> {
    Ok(SealedSecret {
        id: SecretId::from_bytes(row.get(0)?),
        endpoint: row.get(1)?,
        key_id: row.get(2)?,
        sealed: bytes(row, 3)?,
        created_at: time(row, 4)?,
        expires_at: maybe_time(row, 5)?,
    })
}

/// A number that is never negative.
fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}

pub fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

pub fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// Copied once, out of SQLite's page.
pub fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

/// Value, version and time of a key of a plugin, from column `at` on.
pub fn stored_state(row: &Row<'_>, at: usize) -> Result<Stored> {
    let value = Bytes::from(row.get::<_, Vec<u8>>(at)?);
    let version = row.get::<_, i64>(at + 1)?.cast_unsigned();
    let expires_at = row.get::<_, Option<i64>>(at + 2)?.map(Timestamp::from_millis);
    Ok(Stored { entry: Entry { value, version }, expires_at })
}

/// A key of a plugin: text, as bytes.
pub fn state_key(row: &Row<'_>, column: usize) -> Result<String> {
    let key: Vec<u8> = row.get(column)?;
    String::from_utf8(key).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, error.into())
    })
}

/// `status` and `dead_reason` of a state.
pub fn state_columns(state: State) -> (i64, Option<&'static str>) {
    match state {
        State::Pending => (0, None),
        State::Delivered => (1, None),
        State::Dead(reason) => (2, Some(reason.as_str())),
    }
}

/// `plan` of an event.
pub fn plan_column(plan: PlanState) -> i64 {
    match plan {
        PlanState::Unplanned => 0,
        PlanState::Planned => 1,
        PlanState::Conflict => 2,
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
