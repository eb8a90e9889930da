//! Rows to domain values and back. The only file that knows the columns' codes.

use super::fault::Fault;
use super::types::{Id, maybe_text, maybe_time, text, time};
use crate::store::{
    AttemptRecord, NewEvent, PlanState, Quarantined, SealedSecret, Status, StoredDelivery,
    StoredEvent, Timings,
};
use bytes::Bytes;
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::batch::BatchId;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use tokio_postgres::Row;

/// What [`event`] reads, in its order.
pub const EVENT: &str = "SELECT e.id, e.source, e.dedupe_key, e.kind, e.room, e.lane, \
     e.created_at, e.received_at, e.api_key, e.body, e.body_sha256, p.state, p.attempts, p.note, p.settled, \
     p.sequence, p.plan_at FROM events e JOIN plans p ON p.event = e.id";

/// What [`delivery`] reads, in its order.
pub const DELIVERY: &str = "SELECT d.id, d.event, n.name, d.webhook_id, d.kind, d.status, \
     d.dead_reason, d.due_at, d.attempts, d.lane, d.sequence, d.batch, d.replay, d.created_at, \
     d.updated_at, d.note, d.headers FROM deliveries d JOIN endpoints n ON n.id = d.endpoint";

/// Columns of [`DELIVERY`].
pub const DELIVERY_COLUMNS: usize = 17;

/// What [`attempt`] reads, in its order.
pub const ATTEMPT: &str = "SELECT a.number, a.started_at, a.duration_ms, a.status, \
     a.retry_after_ms, a.error_class, a.dns_ms, a.connect_ms, a.tls_ms, a.first_byte_ms, \
     a.address, a.host, a.request_headers, a.response_headers, a.response_start, a.error, \
     a.delivery FROM attempts a";

/// What [`quarantined`] reads, in its order.
pub const QUARANTINED: &str =
    "SELECT q.id, q.source, q.reason, q.received_at, q.body FROM quarantine q";

/// What [`secret`] reads, in its order.
pub const SECRET: &str =
    "SELECT s.id, s.endpoint, s.key_id, s.sealed, s.created_at, s.expires_at FROM secrets s";

pub fn event(row: &Row) -> Result<StoredEvent, Fault> {
    Ok(StoredEvent {
        event: NewEvent {
            id: EventId::from_bytes(id(row, 0)?),
            source: text(row, 1)?,
            dedupe_key: text(row, 2)?,
            kind: text(row, 3)?,
            room: maybe_text(row, 4)?,
            lane: maybe_text(row, 5)?,
            created_at: maybe_time(row, 6)?,
            received_at: time(row, 7)?,
            api_key: text(row, 8)?,
            body: bytes(row, 9)?,
            body_sha256: row.try_get::<_, &[u8]>(10)?.try_into().unwrap_or_default(),
        },
        plan: match row.try_get(11)? {
            0_i16 => PlanState::Unplanned,
            1 => PlanState::Planned,
            2 => PlanState::Conflict,
            other => return Err(unknown(&other.to_string())),
        },
        plan_attempts: row.try_get::<_, i32>(12)?.unsigned_abs(),
        note: maybe_text(row, 13)?,
        settled: names(&text(row, 14)?),
        sequence: row.try_get(15)?,
    })
}

/// The names in a column of names. A name has no comma.
fn names(column: &str) -> Vec<String> {
    column.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

pub fn delivery(row: &Row) -> Result<StoredDelivery, Fault> {
    Ok(StoredDelivery {
        id: DeliveryId::from_bytes(id(row, 0)?),
        event: EventId::from_bytes(id(row, 1)?),
        endpoint: text(row, 2)?,
        webhook_id: text(row, 3)?,
        kind: text(row, 4)?,
        headers: headers(row, 16)?,
        state: state(row.try_get(5)?, row.try_get(6)?)?,
        due_at: time(row, 7)?,
        attempts: row.try_get::<_, i32>(8)?.unsigned_abs(),
        lane: maybe_text(row, 9)?,
        sequence: row.try_get(10)?,
        batch: row.try_get::<_, Option<Id>>(11)?.map(|id| BatchId(id.0)),
        replay: row.try_get::<_, Option<Id>>(12)?.map(|id| ReplayId::from_bytes(id.0)),
        created_at: time(row, 13)?,
        updated_at: time(row, 14)?,
        note: maybe_text(row, 15)?,
    })
}

/// NULL: none. What is in it is never what PostgreSQL cannot hold.
fn headers(row: &Row, column: usize) -> Result<DeliveryHeaders, Fault> {
    let text = row.try_get::<_, Option<&str>>(column)?;
    DeliveryHeaders::from_text(text).map_err(|error| Fault::Damaged(error.to_string()))
}

/// `status` and `dead_reason` as a state.
pub fn state(status: i16, reason: Option<&str>) -> Result<State, Fault> {
    match (status, reason) {
        (0, _) => Ok(State::Pending),
        (1, _) => Ok(State::Delivered),
        (2, Some(word)) => DeadReason::parse(word).map(State::Dead).ok_or_else(|| unknown(word)),
        (other, _) => Err(unknown(&other.to_string())),
    }
}

pub fn attempt(row: &Row) -> Result<AttemptRecord, Fault> {
    let outcome = match row.try_get::<_, Option<i32>>(3)? {
        Some(status) => Outcome::Answered {
            status: u16::try_from(status).map_err(|_| unknown(&status.to_string()))?,
            retry_after_ms: row.try_get(4)?,
        },
        None => {
            let word: &str = row.try_get(5)?;
            Outcome::Failed(ErrorClass::parse(word).ok_or_else(|| unknown(word))?)
        }
    };
    Ok(AttemptRecord {
        number: row.try_get::<_, i32>(0)?.unsigned_abs(),
        started_at: time(row, 1)?,
        duration_ms: row.try_get(2)?,
        outcome,
        timings: Timings {
            dns_ms: row.try_get(6)?,
            connect_ms: row.try_get(7)?,
            tls_ms: row.try_get(8)?,
            first_byte_ms: row.try_get(9)?,
        },
        address: maybe_text(row, 10)?,
        host: maybe_text(row, 11)?,
        request_headers: text(row, 12)?,
        response_headers: text(row, 13)?,
        response_start: bytes(row, 14)?,
        error: maybe_text(row, 15)?,
    })
}

pub fn quarantined(row: &Row) -> Result<Quarantined, Fault> {
    Ok(Quarantined {
        id: EventId::from_bytes(id(row, 0)?),
        source: maybe_text(row, 1)?,
        reason: text(row, 2)?,
        received_at: time(row, 3)?,
        body: bytes(row, 4)?,
    })
}

pub fn secret(row: &Row) -> Result<SealedSecret, Fault> {
    Ok(SealedSecret {
        id: SecretId::from_bytes(id(row, 0)?),
        endpoint: text(row, 1)?,
        key_id: text(row, 2)?,
        sealed: bytes(row, 3)?,
        created_at: time(row, 4)?,
        expires_at: maybe_time(row, 5)?,
    })
}

pub fn id(row: &Row, column: usize) -> Result<[u8; 16], Fault> {
    Ok(row.try_get::<_, Id>(column)?.0)
}

/// Copied once, out of the connection's buffer.
pub fn bytes(row: &Row, column: usize) -> Result<Bytes, Fault> {
    Ok(Bytes::copy_from_slice(row.try_get(column)?))
}

/// `status` and `dead_reason` of a state.
pub fn state_columns(state: State) -> (i16, Option<&'static str>) {
    match state {
        State::Pending => (0, None),
        State::Delivered => (1, None),
        State::Dead(reason) => (2, Some(reason.as_str())),
    }
}

/// `status` of a filter.
pub fn status_column(status: Status) -> i16 {
    match status {
        Status::Pending => 0,
        Status::Delivered => 1,
        Status::Dead => 2,
    }
}

/// `state` of a plan.
pub fn plan_column(plan: PlanState) -> i16 {
    match plan {
        PlanState::Unplanned => 0,
        PlanState::Planned => 1,
        PlanState::Conflict => 2,
    }
}

pub fn unknown(word: &str) -> Fault {
    Fault::Damaged(format!("unknown word `{word}`"))
}
