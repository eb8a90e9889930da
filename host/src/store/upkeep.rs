//! What keeps a store in order: retention, sealed secrets, moving from one store to another.

use super::plugin_state::{Space, Stored};
use super::{
    AttemptRecord, EndpointHealth, NewEvent, PlanState, Quarantined, StoredDelivery, StoredReplay,
};
use bytes::Bytes;
use livekit_webhook_core::id::{DeliveryId, SecretId};
use livekit_webhook_core::time::Timestamp;

/// How long things are kept; something goes when it is that old. An event goes when no delivery
/// points at it any more and it arrived `delivered_ms` ago, unless it waits for its plan; a conflict
/// goes like a planned one. Attempts go with their delivery. An event that is gone is not found as
/// the first of a duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Delivered deliveries, in milliseconds since they ended.
    pub delivered_ms: i64,
    /// Dead letters, in milliseconds since they ended.
    pub dead_ms: i64,
    /// Quarantined bodies, in milliseconds since they arrived.
    pub quarantined_ms: i64,
    /// Counters of lanes, in milliseconds since the last event of the lane arrived. One goes only
    /// when no event that has a place in its lane is stored, so no two that are have the same; a
    /// lane of its name begins again at 1.
    pub lanes_ms: i64,
    /// Bytes of stored data ([`super::Store::size_bytes`]) above which the oldest events go early of
    /// which everything is delivered. What is owed or dead never goes for want of space.
    pub bytes_max: Option<u64>,
}

const DAY_MS: i64 = 24 * 3_600_000;

// === impl Retention ===

impl Default for Retention {
    /// 30 days for what was delivered or quarantined, 90 for dead letters and for counters of lanes,
    /// no limit by size.
    fn default() -> Self {
        Self {
            delivered_ms: 30 * DAY_MS,
            dead_ms: 90 * DAY_MS,
            quarantined_ms: 30 * DAY_MS,
            lanes_ms: 90 * DAY_MS,
            bytes_max: None,
        }
    }
}

/// What one step of retention removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events with their bodies.
    pub events: u64,
    /// Deliveries with their attempts.
    pub deliveries: u64,
    /// Quarantined bodies.
    pub quarantined: u64,
    /// Counters of lanes.
    pub lanes: u64,
    /// Keys of plugins whose time was over.
    pub plugin_state: u64,
    /// Whether there is more to remove now.
    pub is_more: bool,
}

/// A signing secret of an endpoint, sealed under one of the operator's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its id.
    pub id: SecretId,
    /// Configured name.
    pub endpoint: String,
    /// Which key sealed it.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub sealed: Bytes,
    /// When it was made; the newest signs first.
    pub created_at: Timestamp,
    /// From when on it signs no more. `None`: not decided.
    pub expires_at: Option<Timestamp>,
}

/// One row on its way from a store to another, in an order in which nothing points ahead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An event with its planning state.
    Event {
        /// As received.
        event: NewEvent,
        /// Its place in its lane.
        sequence: Option<i64>,
        /// How far it is.
        plan: PlanState,
        /// When it is planned (again).
        plan_at: Timestamp,
        /// How often planning began and failed.
        plan_attempts: u32,
        /// Endpoints whose part of the plan is decided.
        settled: Vec<String>,
        /// Words for the operator.
        note: Option<String>,
    },
    /// A delivery; `body` is `None` when it is the event's own.
    Delivery {
        /// The row.
        delivery: StoredDelivery,
        /// What a plugin made of the event.
        body: Option<Bytes>,
    },
    /// An attempt.
    Attempt {
        /// Of this delivery.
        delivery: DeliveryId,
        /// The row.
        attempt: AttemptRecord,
    },
    /// A quarantined body.
    Quarantined(Quarantined),
    /// An endpoint's health.
    Health(EndpointHealth),
    /// A replay.
    Replay(StoredReplay),
    /// A sealed secret.
    Secret(SealedSecret),
    /// The counter of a lane.
    Lane {
        /// The source.
        source: String,
        /// LiveKit's ordering key.
        key: String,
        /// The last one used.
        sequence: i64,
        /// When the last event of the lane arrived.
        used_at: Timestamp,
    },
    /// A key of a plugin's state, its time over or not.
    PluginState {
        /// Whose.
        space: Space,
        /// The key.
        key: String,
        /// Its value, version and time.
        stored: Stored,
    },
}

// === impl Pruned ===

impl Pruned {
    /// The most rows of one kind.
    pub fn most(&self) -> u64 {
        let Self { events, deliveries, quarantined, lanes, plugin_state, .. } = *self;
        events.max(deliveries).max(quarantined).max(lanes).max(plugin_state)
    }
}

/// Where a copy stands: the kind of row and the last one read, opaque to everybody but the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyCursor(pub Vec<u8>);

/// Something wrong with what is stored, in words, from [`super::Store::check`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);
