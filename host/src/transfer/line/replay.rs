//! Replays.

use super::{Wrong, parsed, unknown};
use crate::store::{ReplayState, StoredReplay};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::replay::{ReplayStatus, Selection as Selected};
use livekit_webhook_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    id: String,
    selection: Selection,
    rate_milli: u32,
    state: String,
    cursor: Option<String>,
    planned: u64,
    skipped: u64,
    created_at_ms: i64,
    updated_at_ms: i64,
    note: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    events: Vec<String>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    kinds: Vec<String>,
    rooms: Vec<String>,
    source: Option<String>,
    endpoint: Option<String>,
    status: Option<String>,
    reason: Option<String>,
    to: Option<String>,
    include_succeeded: bool,
}

pub fn line(replay: &StoredReplay) -> Replay {
    Replay {
        id: replay.id.to_string(),
        selection: selection_line(&replay.selection),
        rate_milli: replay.rate_milli,
        state: replay.state.as_str().to_owned(),
        cursor: replay.cursor.map(|event| event.to_string()),
        planned: replay.planned,
        skipped: replay.skipped,
        created_at_ms: replay.created_at.as_millis(),
        updated_at_ms: replay.updated_at.as_millis(),
        note: replay.note.clone(),
    }
}

pub fn record(line: Replay) -> Result<StoredReplay, Wrong> {
    Ok(StoredReplay {
        id: parsed(&line.id)?,
        selection: selection(line.selection)?,
        rate_milli: line.rate_milli,
        created_at: Timestamp::from_millis(line.created_at_ms),
        updated_at: Timestamp::from_millis(line.updated_at_ms),
        state: ReplayState::parse(&line.state).ok_or_else(|| unknown("state", &line.state))?,
        cursor: line.cursor.as_deref().map(parsed).transpose()?,
        planned: line.planned,
        skipped: line.skipped,
        note: line.note,
    })
}

fn selection_line(of: &Selected) -> Selection {
    Selection {
        events: of.events.iter().map(ToString::to_string).collect(),
        since_ms: of.since.map(Timestamp::as_millis),
        until_ms: of.until.map(Timestamp::as_millis),
        kinds: of.kinds.iter().map(|glob| glob.as_str().to_owned()).collect(),
        rooms: of.rooms.iter().map(|glob| glob.as_str().to_owned()).collect(),
        source: of.source.clone(),
        endpoint: of.endpoint.clone(),
        status: of.status.map(|status| crate::view::replay_status(status).to_owned()),
        reason: of.reason.map(|reason| reason.as_str().to_owned()),
        to: of.to.clone(),
        include_succeeded: of.include_succeeded,
    }
}

fn selection(line: Selection) -> Result<Selected, Wrong> {
    let status = match line.status.as_deref() {
        None => None,
        Some("delivered") => Some(ReplayStatus::Delivered),
        Some("dead") => Some(ReplayStatus::Dead),
        Some(word) => return Err(unknown("status", word)),
    };
    let reason = |word: &str| DeadReason::parse(word).ok_or_else(|| unknown("reason", word));
    Ok(Selected {
        events: line.events.iter().map(|event| parsed(event)).collect::<Result<_, _>>()?,
        since: line.since_ms.map(Timestamp::from_millis),
        until: line.until_ms.map(Timestamp::from_millis),
        kinds: line.kinds.iter().map(|glob| parsed(glob)).collect::<Result<_, _>>()?,
        rooms: line.rooms.iter().map(|glob| parsed(glob)).collect::<Result<_, _>>()?,
        source: line.source,
        endpoint: line.endpoint,
        status,
        reason: line.reason.as_deref().map(reason).transpose()?,
        to: line.to,
        include_succeeded: line.include_succeeded,
    })
}
