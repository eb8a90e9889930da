//! What is asked of the store by people: pages of events, deliveries and the rest, newest first.

use super::Status;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::time::Timestamp;

/// Most rows of one page.
pub const PAGE_MAX: usize = 1_000;

/// Events to read, newest first. Everything given must hold; texts are compared whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this source.
    pub source: Option<String>,
    /// Of this type.
    pub kind: Option<String>,
    /// Of this room.
    pub room: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Older than this one (cursor).
    pub before: Option<EventId>,
    /// At most, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

/// Deliveries to read, newest first. Everything given must hold; texts are compared whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this endpoint.
    pub endpoint: Option<String>,
    /// Of this event.
    pub event: Option<EventId>,
    /// In this state.
    pub status: Option<Status>,
    /// Dead letters with this reason.
    pub reason: Option<DeadReason>,
    /// Of this type, as sent.
    pub kind: Option<String>,
    /// Of events of this source.
    pub source: Option<String>,
    /// Of events of this room.
    pub room: Option<String>,
    /// Planned by this replay.
    pub replay: Option<ReplayId>,
    /// Planned at or after.
    pub since: Option<Timestamp>,
    /// Planned before.
    pub until: Option<Timestamp>,
    /// Older than this one (cursor).
    pub before: Option<DeliveryId>,
    /// At most, 1 to [`PAGE_MAX`].
    pub limit: usize,
}

/// What is owed and shall be owed no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    /// Everything owed to this endpoint.
    Endpoint(String),
    /// What this replay planned.
    Replay(ReplayId),
    /// This one.
    Delivery(DeliveryId),
}
