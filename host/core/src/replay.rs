//! What a replay sends again: the selection, and the decision for each event.
//!
//! A replay goes over stored events in order of arrival. For each it looks at what is owed or was
//! delivered already ([`Fate`]) and plans new deliveries ([`Selection::plan`]) with the same
//! `webhook-id` and the payload that was planned then. Guarantee: an endpoint that has the event, or
//! is still owed it, gets nothing unless the operator says so. And what died of its plugin is not
//! sent again: it has no payload, and the event's own bytes are what the plugin was to change.

use crate::delivery::{DeadReason, State};
use crate::id::{DeliveryId, EventId};
use crate::time::Timestamp;
use livekit_webhook_wire::glob::Glob;

pub mod pace;

/// Most ids of one selection.
pub const IDS_MAX: usize = 1_000;
/// Most patterns of one kind.
pub const PATTERNS_MAX: usize = 100;

/// Which events, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// These events only; empty: any.
    pub events: Vec<EventId>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Event types; empty: any.
    pub kinds: Vec<Glob>,
    /// Room names; empty: any. An event without a room matches none.
    pub rooms: Vec<Glob>,
    /// Of this source.
    pub source: Option<String>,
    /// Deliveries of this endpoint.
    pub endpoint: Option<String>,
    /// Deliveries in this state.
    pub status: Option<ReplayStatus>,
    /// Dead letters with this reason.
    pub reason: Option<DeadReason>,
    /// Send to this endpoint instead of the one each delivery was for.
    pub to: Option<String>,
    /// Also what was delivered or is still owed.
    pub include_succeeded: bool,
}

/// The state a delivery must be in to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplayStatus {
    /// Delivered; implies `include_succeeded`.
    Delivered,
    /// A dead letter.
    Dead,
}

/// An event as a replay sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The event.
    pub event: EventId,
    /// Its source.
    pub source: String,
    /// Its type.
    pub kind: String,
    /// Its room.
    pub room: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its deliveries, replays included, oldest first.
    pub deliveries: Vec<Fate>,
}

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// The delivery.
    pub id: DeliveryId,
    /// Its endpoint.
    pub endpoint: String,
    /// Its `webhook-id`.
    pub webhook_id: String,
    /// Where it stands.
    pub state: State,
}

/// One delivery to be planned again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// Whose payload and `webhook-id` it takes.
    pub of: DeliveryId,
    /// Where to.
    pub endpoint: String,
}

/// What a replay makes of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// To be planned.
    pub again: Vec<Again>,
    /// Selected, but delivered or owed already, or without a payload.
    pub skipped: usize,
}

// === impl Selection ===

impl Selection {
    /// Whether the event itself is selected.
    pub fn matches(&self, candidate: &Candidate) -> bool {
        let any = |globs: &[Glob], text: Option<&str>| {
            globs.is_empty() || text.is_some_and(|text| globs.iter().any(|glob| glob.matches(text)))
        };
        (self.events.is_empty() || self.events.contains(&candidate.event))
            && self.since.is_none_or(|since| candidate.received_at >= since)
            && self.until.is_none_or(|until| candidate.received_at < until)
            && self.source.as_ref().is_none_or(|source| *source == candidate.source)
            && any(&self.kinds, Some(&candidate.kind))
            && any(&self.rooms, candidate.room.as_deref())
    }

    /// What is sent again of `candidate`, one delivery for each `webhook-id` and endpoint.
    pub fn plan(&self, candidate: &Candidate) -> Planned {
        let mut planned = Planned::default();
        if !self.matches(candidate) {
            return planned;
        }
        let mut done: Vec<(&str, &str)> = Vec::new();
        for fate in &candidate.deliveries {
            let to = self.to.as_deref().unwrap_or(&fate.endpoint);
            if !self.selects(fate) || done.contains(&(to, &fate.webhook_id)) {
                continue;
            }
            if fate.state == State::Dead(DeadReason::Plugin) {
                planned.skipped += 1;
                continue;
            }
            done.push((to, &fate.webhook_id));
            let has_it = candidate.deliveries.iter().any(|other| {
                other.endpoint == to
                    && other.webhook_id == fate.webhook_id
                    && !matches!(other.state, State::Dead(_))
            });
            if has_it && !self.repeats() {
                planned.skipped += 1;
            } else {
                planned.again.push(Again { of: fate.id, endpoint: to.to_owned() });
            }
        }
        planned
    }

    fn selects(&self, fate: &Fate) -> bool {
        let state = match (self.status, fate.state) {
            (None, _) | (Some(ReplayStatus::Delivered), State::Delivered) => true,
            (Some(ReplayStatus::Dead), State::Dead(_)) => true,
            (Some(_), _) => false,
        };
        let reason = match (self.reason, fate.state) {
            (None, _) => true,
            (Some(wanted), State::Dead(reason)) => wanted == reason,
            (Some(_), _) => false,
        };
        state && reason && self.endpoint.as_ref().is_none_or(|name| *name == fate.endpoint)
    }

    fn repeats(&self) -> bool {
        self.include_succeeded || self.status == Some(ReplayStatus::Delivered)
    }
}

#[cfg(test)]
mod tests;
