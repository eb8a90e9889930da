//! How what is stored looks as JSON: the one form of the command line and of whoever else asks.
//!
//! Names are stable and the same as everywhere else. Times are RFC 3339 in UTC with milliseconds,
//! spans are whole milliseconds (`…_ms`), what is not there is `null`. No secret is in any of them.

use crate::operate::{Dead, Overview};
use crate::replay::ask::Preview;
use crate::store::{
    AttemptRecord, EndpointHealth, Quarantined, SealedSecret, StoredDelivery, StoredEvent,
    StoredReplay,
};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::health::Breaker;
use livekit_webhook_core::replay::{ReplayStatus, Selection};
use livekit_webhook_core::signature::StandardSecret;
use livekit_webhook_core::time::Timestamp;
use serde_json::{Value, json};

use crate::store::PlanState;
use crate::vault::rotate;

/// An event without its bytes.
pub fn event(stored: &StoredEvent) -> Value {
    let event = &stored.event;
    json!({
        "id": event.id.to_string(),
        "source": event.source,
        "kind": event.kind,
        "room": event.room,
        "received_at": event.received_at.to_string(),
        "created_at": time(event.created_at),
        "dedupe_key": event.dedupe_key,
        "api_key": event.api_key,
        "lane": event.lane,
        "sequence": stored.sequence,
        "plan": plan(stored.plan),
        "plan_attempts": stored.plan_attempts,
        "settled": stored.settled,
        "note": stored.note,
        "body_bytes": event.body.len(),
        "body_sha256": hex(&event.body_sha256),
    })
}

/// How far an event is, in a word.
pub fn plan(plan: PlanState) -> &'static str {
    match plan {
        PlanState::Unplanned => "unplanned",
        PlanState::Planned => "planned",
        PlanState::Conflict => "conflict",
    }
}

/// A delivery.
pub fn delivery(delivery: &StoredDelivery) -> Value {
    json!({
        "id": delivery.id.to_string(),
        "event": delivery.event.to_string(),
        "endpoint": delivery.endpoint,
        "webhook_id": delivery.webhook_id,
        "kind": delivery.kind,
        "status": status(delivery.state),
        "reason": reason(delivery.state),
        "attempts": delivery.attempts,
        "due_at": (delivery.state == State::Pending).then(|| delivery.due_at.to_string()),
        "lane": delivery.lane,
        "sequence": delivery.sequence,
        "batch": delivery.batch.map(|batch| batch.to_string()),
        "replay": delivery.replay.map(|replay| replay.to_string()),
        "created_at": delivery.created_at.to_string(),
        "updated_at": delivery.updated_at.to_string(),
        "note": delivery.note,
        "headers": delivery.headers.lines().collect::<Vec<_>>(),
    })
}

/// A delivery's state, in a word.
pub fn status(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Delivered => "delivered",
        State::Dead(_) => "dead",
    }
}

/// Why a dead letter is one.
pub fn reason(state: State) -> Option<&'static str> {
    match state {
        State::Dead(reason) => Some(reason.as_str()),
        _ => None,
    }
}

/// An attempt.
pub fn attempt(attempt: &AttemptRecord) -> Value {
    let (status, retry_after_ms, error_class) = match &attempt.outcome {
        Outcome::Answered { status, retry_after_ms } => (Some(*status), *retry_after_ms, None),
        Outcome::Failed(class) => (None, None, Some(class.as_str())),
    };
    let timings = &attempt.timings;
    json!({
        "number": attempt.number,
        "started_at": attempt.started_at.to_string(),
        "duration_ms": attempt.duration_ms,
        "status": status,
        "retry_after_ms": retry_after_ms,
        "error_class": error_class,
        "error": attempt.error,
        "dns_ms": timings.dns_ms,
        "connect_ms": timings.connect_ms,
        "tls_ms": timings.tls_ms,
        "first_byte_ms": timings.first_byte_ms,
        "address": attempt.address,
        "host": attempt.host,
        "request_headers": lines(&attempt.request_headers),
        "response_headers": lines(&attempt.response_headers),
        "response_start": String::from_utf8_lossy(&attempt.response_start),
        "response_start_bytes": attempt.response_start.len(),
    })
}

/// What could not become an event, without its bytes.
pub fn quarantined(item: &Quarantined) -> Value {
    json!({
        "id": item.id.to_string(),
        "source": item.source,
        "reason": item.reason,
        "received_at": item.received_at.to_string(),
        "body_bytes": item.body.len(),
    })
}

/// A replay.
pub fn replay(replay: &StoredReplay) -> Value {
    json!({
        "id": replay.id.to_string(),
        "state": replay.state.as_str(),
        "rate": f64::from(replay.rate_milli) / 1_000.0,
        "planned": replay.planned,
        "skipped": replay.skipped,
        "cursor": replay.cursor.map(|event| event.to_string()),
        "created_at": replay.created_at.to_string(),
        "updated_at": replay.updated_at.to_string(),
        "note": replay.note,
        "selection": selection(&replay.selection),
    })
}

/// What a replay sends again.
pub fn selection(selection: &Selection) -> Value {
    json!({
        "events": selection.events.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "since": time(selection.since),
        "until": time(selection.until),
        "kinds": selection.kinds.iter().map(|glob| glob.as_str()).collect::<Vec<_>>(),
        "rooms": selection.rooms.iter().map(|glob| glob.as_str()).collect::<Vec<_>>(),
        "source": selection.source,
        "endpoint": selection.endpoint,
        "status": selection.status.map(replay_status),
        "reason": selection.reason.map(|reason| reason.as_str()),
        "to": selection.to,
        "include_succeeded": selection.include_succeeded,
    })
}

/// The word of a replay's `status`.
pub fn replay_status(status: ReplayStatus) -> &'static str {
    match status {
        ReplayStatus::Delivered => "delivered",
        ReplayStatus::Dead => "dead",
    }
}

/// What a replay would do.
pub fn preview(preview: &Preview) -> Value {
    let first = preview.first.iter().map(|first| {
        json!({
            "event": first.event.to_string(),
            "kind": first.kind,
            "room": first.room,
            "received_at": first.received_at.to_string(),
            "endpoint": first.endpoint,
            "status": status(first.was),
            "reason": reason(first.was),
        })
    });
    json!({
        "dry_run": true,
        "events": preview.events,
        "planned": preview.planned.values().sum::<u64>(),
        "by_endpoint": preview.planned,
        "skipped": preview.skipped,
        "is_whole": preview.is_whole,
        "first": first.collect::<Vec<_>>(),
    })
}

/// An endpoint: what is configured and how it does.
pub fn endpoint(overview: &Overview, now: Timestamp) -> Value {
    let mut value = json!({
        "endpoint": overview.name,
        "url": overview.url,
        "is_configured": overview.url.is_some(),
        "pending": overview.pending,
    });
    merge(&mut value, health(&overview.health, now));
    value
}

fn health(of: &EndpointHealth, now: Timestamp) -> Value {
    let health = &of.health;
    let (breaker, open_until) = match health.breaker {
        Breaker::Closed => ("closed", None),
        Breaker::Open { until, .. } if until > now => ("open", Some(until)),
        Breaker::Open { .. } => ("probing", None),
    };
    json!({
        "state": crate::operate::state(health, now),
        "breaker": breaker,
        "open_until": time(open_until),
        "paused_until": time(health.paused_until.filter(|until| *until > now)),
        "disabled_reason": health.disabled.map(|disabled| disabled.reason.as_str()),
        "disabled_at": time(health.disabled.map(|disabled| disabled.at)),
        "failing_since": time(health.failing.map(|failing| failing.since)),
        "failing_attempts": health.failing.map(|failing| failing.attempts),
    })
}

/// Dead letters of one endpoint with one reason.
pub fn dead(dead: &Dead) -> Value {
    json!({
        "endpoint": dead.endpoint,
        "reason": dead.reason.as_str(),
        "count": dead.count,
        "oldest_at": dead.oldest_at.to_string(),
        "newest_at": dead.newest_at.to_string(),
    })
}

/// A sealed secret, without what is sealed.
pub fn secret(row: &SealedSecret, now: Timestamp) -> Value {
    json!({
        "id": row.id.to_string(),
        "endpoint": row.endpoint,
        "key_id": row.key_id,
        "is_live": rotate::is_live(row, now),
        "created_at": row.created_at.to_string(),
        "expires_at": time(row.expires_at),
    })
}

/// A rotation: the one place where a secret is shown.
pub fn rotated(endpoint: &str, rotated: &rotate::Rotated) -> Value {
    let retired = rotated.retired.iter().map(
        |(id, expires_at)| json!({ "id": id.to_string(), "expires_at": expires_at.to_string() }),
    );
    json!({
        "endpoint": endpoint,
        "id": rotated.id.to_string(),
        "secret": shown(&rotated.secret),
        "public_key": rotated.secret.public_key(),
        "retired": retired.collect::<Vec<_>>(),
    })
}

fn shown(secret: &StandardSecret) -> String {
    secret.reveal()
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
