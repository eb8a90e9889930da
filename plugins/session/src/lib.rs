//! Adds to `participant_left` when the participant joined, when it left and how long it was there.
//!
//! A session is one participant sid: whoever comes back under the same identity has another. The
//! state keeps the earliest time of joining and the first time of leaving that were seen, for
//! some days, so events may come twice, late or in another order and say the same. An event that says
//! itself when its participant joined needs no `participant_joined` before it.

use livekit_webhook_plugin::prelude::*;
use livekit_webhook_plugin::state;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a session is remembered that has not ended.
const OPEN_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long one is remembered that has: events may be seen again.
const ENDED_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Longest sid, in bytes. LiveKit's have 15.
const SID_BYTES_MAX: usize = 128;
/// How often somebody else may be first before the event is tried again later.
const SWAPS_MAX: usize = 8;

/// What is known of a session, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    #[serde(skip_serializing_if = "Option::is_none")]
    joined_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_ms: Option<i64>,
}

#[enrich]
fn session(event: &Event) -> Result<Vec<(String, String)>, Failure> {
    let Some((sid, seen)) = seen(event) else { return Ok(Vec::new()) };
    let known = remember(&format!("session/{sid}"), &seen)?;
    Ok(if event.kind() == "participant_left" { attributes(&known) } else { Vec::new() })
}

/// The sid, and what this event alone says of its session.
fn seen(event: &Event) -> Option<(String, Session)> {
    let participant = event.participant()?;
    let sid = participant.sid().filter(|sid| (1..=SID_BYTES_MAX).contains(&sid.len()))?;
    let created_ms = i64::try_from(event.created_at_ms()).ok().filter(|ms| *ms > 0);
    let joined_ms = participant.joined_at_unix_ms().filter(|ms| *ms > 0);
    let session = match event.kind().as_str() {
        "participant_joined" => Session { joined_ms: joined_ms.or(created_ms), left_ms: None },
        "participant_left" => Session { joined_ms, left_ms: created_ms },
        _ => return None,
    };
    Some((sid.to_owned(), session))
}

/// Adds what was seen to what is known, whoever else does the same.
fn remember(key: &str, seen: &Session) -> Result<Session, Failure> {
    for _ in 0..SWAPS_MAX {
        let entry = state::entry(key)?;
        // What cannot be read is of no use to anybody, and written over.
        let known = entry.as_ref().map(|entry| serde_json::from_slice(&entry.value));
        let known: Option<Session> = known.and_then(Result::ok);
        let both = known.clone().unwrap_or_default().with(seen);
        if known.as_ref() == Some(&both) {
            return Ok(both);
        }
        let value = serde_json::to_vec(&both).map_err(|error| Failure::Other(error.to_string()))?;
        let version = entry.map(|entry| entry.version);
        let kept = if both.left_ms.is_some() { ENDED_KEPT } else { OPEN_KEPT };
        match state::swap(key, version, value, Some(kept)) {
            Ok(Some(_)) => return Ok(both),
            Ok(None) => {}
            // What is known is still true; only the next event will not know it.
            Err(state::Error::Full(text)) => {
                warn!("a session is not remembered: {text}");
                return Ok(both);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Retry(None))
}

fn attributes(session: &Session) -> Vec<(String, String)> {
    let seconds = |ms: i64| ms.div_euclid(1_000).to_string();
    // Two machines tell the two times: a session is never shorter than nothing.
    let duration_ms = session.left_ms.zip(session.joined_ms);
    let duration_ms = duration_ms.map(|(left, joined)| left.saturating_sub(joined).max(0));
    let named = [
        ("session.joined_at", session.joined_ms.map(seconds)),
        ("session.left_at", session.left_ms.map(seconds)),
        ("session.duration_s", duration_ms.map(seconds)),
    ];
    let given = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

// === impl Session ===

impl Session {
    /// The earliest of each.
    fn with(self, seen: &Self) -> Self {
        let earliest = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
        Self {
            joined_ms: earliest(self.joined_ms, seen.joined_ms),
            left_ms: earliest(self.left_ms, seen.left_ms),
        }
    }
}

#[cfg(test)]
mod tests;
