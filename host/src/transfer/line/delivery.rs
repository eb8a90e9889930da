//! Deliveries and their attempts.

use super::{Wrong, base64, bytes, parsed, unknown};
use crate::store::{AttemptRecord, Record, StoredDelivery, Timings};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::batch::BatchId;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    id: String,
    event: String,
    endpoint: String,
    webhook_id: String,
    kind: String,
    status: String,
    reason: Option<String>,
    due_at_ms: i64,
    attempts: u32,
    lane: Option<String>,
    sequence: Option<i64>,
    batch: Option<String>,
    replay: Option<String>,
    created_at_ms: i64,
    updated_at_ms: i64,
    note: Option<String>,
    body: Option<String>,
    /// `name: value`, one a line. Written only where there are any: without them older binaries
    /// read the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    headers: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    delivery: String,
    number: u32,
    started_at_ms: i64,
    duration_ms: i64,
    status: Option<u16>,
    retry_after_ms: Option<i64>,
    error_class: Option<String>,
    error: Option<String>,
    dns_ms: Option<i64>,
    connect_ms: Option<i64>,
    tls_ms: Option<i64>,
    first_byte_ms: Option<i64>,
    address: Option<String>,
    host: Option<String>,
    request_headers: String,
    response_headers: String,
    response_start: String,
}

pub fn line(delivery: &StoredDelivery, body: Option<String>) -> Delivery {
    Delivery {
        id: delivery.id.to_string(),
        event: delivery.event.to_string(),
        endpoint: delivery.endpoint.clone(),
        webhook_id: delivery.webhook_id.clone(),
        kind: delivery.kind.clone(),
        status: crate::view::status(delivery.state).to_owned(),
        reason: crate::view::reason(delivery.state).map(str::to_owned),
        due_at_ms: delivery.due_at.as_millis(),
        attempts: delivery.attempts,
        lane: delivery.lane.clone(),
        sequence: delivery.sequence,
        batch: delivery.batch.map(|batch| base64(&batch.0)),
        replay: delivery.replay.map(|replay| replay.to_string()),
        created_at_ms: delivery.created_at.as_millis(),
        updated_at_ms: delivery.updated_at.as_millis(),
        note: delivery.note.clone(),
        body,
        headers: delivery.headers.to_text(),
    }
}

pub fn record(line: Delivery) -> Result<Record, Wrong> {
    let state = match (line.status.as_str(), line.reason.as_deref()) {
        ("pending", None) => State::Pending,
        ("delivered", None) => State::Delivered,
        ("dead", Some(word)) => {
            State::Dead(DeadReason::parse(word).ok_or_else(|| unknown("reason", word))?)
        }
        (status, _) => return Err(unknown("status", status)),
    };
    let batch = match line.batch {
        None => None,
        Some(text) => {
            let bytes = bytes(&text)?;
            Some(BatchId(bytes[..].try_into().map_err(|_| "a batch has 16 bytes")?))
        }
    };
    let delivery = StoredDelivery {
        id: parsed(&line.id)?,
        event: parsed(&line.event)?,
        endpoint: line.endpoint,
        webhook_id: line.webhook_id,
        kind: line.kind,
        headers: DeliveryHeaders::from_text(line.headers.as_deref())
            .map_err(|error| error.to_string())?,
        state,
        due_at: Timestamp::from_millis(line.due_at_ms),
        attempts: line.attempts,
        lane: line.lane,
        sequence: line.sequence,
        batch,
        replay: line.replay.as_deref().map(parsed).transpose()?,
        created_at: Timestamp::from_millis(line.created_at_ms),
        updated_at: Timestamp::from_millis(line.updated_at_ms),
        note: line.note,
    };
    let body = line.body.as_deref().map(bytes).transpose()?;
    Ok(Record::Delivery { delivery, body })
}

pub fn attempt_line(delivery: String, attempt: &AttemptRecord) -> Attempt {
    let (status, retry_after_ms, error_class) = match &attempt.outcome {
        Outcome::Answered { status, retry_after_ms } => (Some(*status), *retry_after_ms, None),
        Outcome::Failed(class) => (None, None, Some(class.as_str().to_owned())),
    };
    Attempt {
        delivery,
        number: attempt.number,
        started_at_ms: attempt.started_at.as_millis(),
        duration_ms: attempt.duration_ms,
        status,
        retry_after_ms,
        error_class,
        error: attempt.error.clone(),
        dns_ms: attempt.timings.dns_ms,
        connect_ms: attempt.timings.connect_ms,
        tls_ms: attempt.timings.tls_ms,
        first_byte_ms: attempt.timings.first_byte_ms,
        address: attempt.address.clone(),
        host: attempt.host.clone(),
        request_headers: attempt.request_headers.clone(),
        response_headers: attempt.response_headers.clone(),
        response_start: base64(&attempt.response_start),
    }
}

pub fn attempt_record(line: Attempt) -> Result<Record, Wrong> {
    let outcome = match (line.status, line.error_class.as_deref()) {
        (Some(status), None) => Outcome::Answered { status, retry_after_ms: line.retry_after_ms },
        (None, Some(word)) => {
            Outcome::Failed(ErrorClass::parse(word).ok_or_else(|| unknown("error_class", word))?)
        }
        _ => return Err("an attempt has either a status or an error_class".to_owned()),
    };
    let timings = Timings {
        dns_ms: line.dns_ms,
        connect_ms: line.connect_ms,
        tls_ms: line.tls_ms,
        first_byte_ms: line.first_byte_ms,
    };
    let attempt = AttemptRecord {
        number: line.number,
        started_at: Timestamp::from_millis(line.started_at_ms),
        duration_ms: line.duration_ms,
        outcome,
        timings,
        address: line.address,
        host: line.host,
        request_headers: line.request_headers,
        response_headers: line.response_headers,
        response_start: bytes(&line.response_start)?,
        error: line.error,
    };
    Ok(Record::Attempt { delivery: parsed(&line.delivery)?, attempt })
}
