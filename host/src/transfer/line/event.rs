//! Events and what is in quarantine.

use super::{Wrong, base64, bytes, parsed, unknown};
use crate::store::{NewEvent, PlanState, Quarantined, Record};
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    id: String,
    source: String,
    dedupe_key: String,
    kind: String,
    room: Option<String>,
    lane: Option<String>,
    created_at_ms: Option<i64>,
    received_at_ms: i64,
    api_key: String,
    body: String,
    body_sha256: String,
    sequence: Option<i64>,
    plan: String,
    plan_at_ms: i64,
    plan_attempts: u32,
    settled: Vec<String>,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    id: String,
    source: Option<String>,
    reason: String,
    received_at_ms: i64,
    body: String,
}

/// Planning: sequence, how far, when again, how often it began.
pub type Planning = (Option<i64>, PlanState, Timestamp, u32);

pub fn line(
    event: &NewEvent,
    (sequence, plan, plan_at, plan_attempts): Planning,
    settled: &[String],
    note: &Option<String>,
) -> Event {
    Event {
        id: event.id.to_string(),
        source: event.source.clone(),
        dedupe_key: event.dedupe_key.clone(),
        kind: event.kind.clone(),
        room: event.room.clone(),
        lane: event.lane.clone(),
        created_at_ms: event.created_at.map(Timestamp::as_millis),
        received_at_ms: event.received_at.as_millis(),
        api_key: event.api_key.clone(),
        body: base64(&event.body),
        body_sha256: base64(&event.body_sha256),
        sequence,
        plan: crate::view::plan(plan).to_owned(),
        plan_at_ms: plan_at.as_millis(),
        plan_attempts,
        settled: settled.to_vec(),
        note: note.clone(),
    }
}

pub fn record(line: Event) -> Result<Record, Wrong> {
    let body_sha256 = bytes(&line.body_sha256)?;
    let body_sha256 = body_sha256[..].try_into().map_err(|_| "body_sha256 has 32 bytes")?;
    let plan = [PlanState::Unplanned, PlanState::Planned, PlanState::Conflict]
        .into_iter()
        .find(|plan| crate::view::plan(*plan) == line.plan)
        .ok_or_else(|| unknown("plan", &line.plan))?;
    Ok(Record::Event {
        event: NewEvent {
            id: parsed(&line.id)?,
            source: line.source,
            dedupe_key: line.dedupe_key,
            kind: line.kind,
            room: line.room,
            lane: line.lane,
            created_at: line.created_at_ms.map(Timestamp::from_millis),
            received_at: Timestamp::from_millis(line.received_at_ms),
            api_key: line.api_key,
            body: bytes(&line.body)?,
            body_sha256,
        },
        sequence: line.sequence,
        plan,
        plan_at: Timestamp::from_millis(line.plan_at_ms),
        plan_attempts: line.plan_attempts,
        settled: line.settled,
        note: line.note,
    })
}

pub fn quarantine_line(item: &Quarantined) -> Quarantine {
    Quarantine {
        id: item.id.to_string(),
        source: item.source.clone(),
        reason: item.reason.clone(),
        received_at_ms: item.received_at.as_millis(),
        body: base64(&item.body),
    }
}

pub fn quarantine_record(line: Quarantine) -> Result<Record, Wrong> {
    Ok(Record::Quarantined(Quarantined {
        id: parsed(&line.id)?,
        source: line.source,
        reason: line.reason,
        received_at: Timestamp::from_millis(line.received_at_ms),
        body: bytes(&line.body)?,
    }))
}
