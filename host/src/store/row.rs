//! What crosses the port: events, plans, deliveries and attempts as they are written and read.

use bytes::Bytes;
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::batch::{BatchId, Batching};
use livekit_webhook_core::delivery::{Next, State};
use livekit_webhook_core::endpoint::DeliveryHeaders;
use livekit_webhook_core::health::Health;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::rate::Rate;
use livekit_webhook_core::time::Timestamp;

/// An authentic event, about to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Given by ingest.
    pub id: EventId,
    /// Configured name of the LiveKit project.
    pub source: String,
    /// LiveKit's event id, else `sha256:` and the body's hash in hex. Unique per source within the
    /// dedupe window.
    pub dedupe_key: String,
    /// `room_started`, …: open set.
    pub kind: String,
    /// Room name, when the event has one.
    pub room: Option<String>,
    /// LiveKit's ordering key.
    pub lane: Option<String>,
    /// `createdAt` of the event.
    pub created_at: Option<Timestamp>,
    /// When the last byte arrived.
    pub received_at: Timestamp,
    /// The API key that signed.
    pub api_key: String,
    /// As received, to the byte.
    pub body: Bytes,
    /// SHA-256 of `body`.
    pub body_sha256: [u8; 32],
}

/// What became of an append. All three mean: committed and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// New.
    Stored,
    /// The same key and body are here already.
    Duplicate {
        /// The first one.
        of: EventId,
    },
    /// The same key with another body: stored beside the first, marked, not planned.
    Conflict {
        /// The first one.
        of: EventId,
    },
}

/// Something we must not lose though it cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Given by ingest.
    pub id: EventId,
    /// The source, when a key told it.
    pub source: Option<String>,
    /// A stable word: `body_too_large`, `not_an_object`, …
    pub reason: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// As received, cut at the body limit.
    pub body: Bytes,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// What was appended.
    pub event: NewEvent,
    /// Place in its lane of its source, counted from 1 in the transaction of the append, and never
    /// used twice. `None`: it has no lane, or is a conflict.
    pub sequence: Option<i64>,
    /// Whether its deliveries are planned, not yet, or never will be.
    pub plan: PlanState,
    /// How often planning began and failed.
    pub plan_attempts: u32,
    /// Endpoints whose part of the plan is decided while the rest is planned again.
    pub settled: Vec<String>,
    /// Why it was filtered or failed, in words, for the operator.
    pub note: Option<String>,
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanState {
    /// Waits for its plan.
    Unplanned,
    /// Its deliveries (none, perhaps) are in the store.
    Planned,
    /// A conflict: kept, never planned.
    Conflict,
}

/// The compare-and-set token of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence(pub u64);

/// Something claimed by one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<T> {
    /// Goes back with the record.
    pub fence: Fence,
    /// What was claimed.
    pub item: T,
}

/// A delivery to be written with its event's plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Given by the planner.
    pub id: DeliveryId,
    /// Configured name.
    pub endpoint: String,
    /// The receiver's key for dropping repeats; the same on every attempt and replay. Unique with
    /// `endpoint` per event.
    pub webhook_id: String,
    /// The event type sent, a plugin may have changed it.
    pub kind: String,
    /// What to send, or `None` for the event's own bytes.
    pub body: Option<Bytes>,
    /// What its endpoint gets of the event's attributes.
    pub headers: DeliveryHeaders,
    /// The ordering lane at its endpoint; `None`: in no order. See [`lane`].
    pub lane: Option<String>,
    /// When the first attempt is due.
    pub due_at: Timestamp,
    /// `Pending`, or `Dead(Plugin)` when the plan itself failed for this endpoint.
    pub state: State,
    /// Why it is dead from the start.
    pub note: Option<String>,
}

/// What to do with a claimed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The event.
    pub event: EventId,
    /// Of its claim.
    pub fence: Fence,
    /// What follows.
    pub next: PlanNext,
}

/// What follows planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanNext {
    /// Written with the event's new state in one transaction.
    Planned {
        /// May be empty.
        deliveries: Vec<NewDelivery>,
        /// Why there are none, or what plugins said.
        note: Option<String>,
    },
    /// Plan the rest at that time (a plugin asked for it). What is decided is written now.
    Again {
        /// Not before.
        at: Timestamp,
        /// Why.
        note: String,
        /// Of the endpoints that are settled since the last time.
        deliveries: Vec<NewDelivery>,
        /// All endpoints that need no plan any more. See [`StoredEvent::settled`].
        settled: Vec<String>,
    },
}

/// A delivery, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Its event.
    pub event: EventId,
    /// Configured name.
    pub endpoint: String,
    /// See [`NewDelivery::webhook_id`].
    pub webhook_id: String,
    /// The event type sent.
    pub kind: String,
    /// See [`NewDelivery::headers`]. Never changed, and the same for a replay.
    pub headers: DeliveryHeaders,
    /// Where it stands.
    pub state: State,
    /// When the next attempt is due.
    pub due_at: Timestamp,
    /// Attempts made.
    pub attempts: u32,
    /// Its lane; `None` also when it has left it. What ends keeps it. See [`NewDelivery::lane`].
    pub lane: Option<String>,
    /// Its event's sequence, in a lane or not.
    pub sequence: Option<i64>,
    /// Bound to others, with which it is tried again. What ends keeps it.
    pub batch: Option<BatchId>,
    /// The replay that planned it.
    pub replay: Option<ReplayId>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Words for the operator.
    pub note: Option<String>,
}

/// A claimed delivery with all that an attempt needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// The row.
    pub delivery: StoredDelivery,
    /// What to send: the plugin's bytes or the event's own.
    pub body: Bytes,
    /// When the event arrived, for `max_age` and for the lag metric.
    pub received_at: Timestamp,
    /// Members of one request have the same number; it means nothing beyond the claim. Without
    /// batching every delivery has its own.
    pub request: u32,
}

/// How many deliveries of one endpoint may be claimed now. What is shared by all hosts is counted
/// by the store: claims in flight over all of them, the rate, the health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Configured name.
    pub endpoint: String,
    /// Requests this host has places for.
    pub slots: usize,
    /// Most requests in flight over all hosts.
    pub in_flight_max: usize,
    /// Requests per second over all hosts.
    pub rate: Option<Rate>,
    /// How events are grouped. A batch counts as one request.
    ///
    /// Deliveries that are bound to a batch go whole or not at all, when the first of them is due.
    /// Those that are not bound go as batches of `events_max` while so many wait, else when their
    /// oldest is due, and take the others along: those that are due, and first attempts from
    /// `wait_ms` before they are due. [`livekit_webhook_core::batch::fitting`] limits the bytes.
    /// Bound and unbound ones are never mixed. Without batching a bound one goes alone.
    pub batching: Option<Batching>,
}

/// What a claim of due deliveries brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// For each endpoint the oldest due first; the members of a request stand together, by id, so
    /// that a batch that is tried again has the same body.
    pub claims: Vec<Claim<DueDelivery>>,
    /// When the same call may bring more, if nothing is written before: the next delivery falls
    /// due, a pause or an open breaker ends, the rate allows one. `None`: not before something is
    /// written, or a lease ends. Never a time that has come. Only told when `claims` is empty, and a
    /// hint: it may be early.
    pub next_at: Option<Timestamp>,
}

/// One endpoint's health with the version it was read at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Configured name.
    pub endpoint: String,
    /// What all hosts know.
    pub health: Health,
    /// For the compare-and-set of [`super::Store::record_health`]. 0: never written.
    pub version: u64,
}

/// One attempt, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Counted from 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the time went.
    pub timings: Timings,
    /// The address dialled.
    pub address: Option<String>,
    /// Which host made it.
    pub host: Option<String>,
    /// What was sent, one `name: value` a line, secrets redacted.
    pub request_headers: String,
    /// What came back, likewise.
    pub response_headers: String,
    /// First bytes of the response body, at most 16 KiB.
    pub response_start: Bytes,
    /// The error in words.
    pub error: Option<String>,
}

/// Parts of an attempt, in milliseconds from the end of the part before. `None`: there was no such
/// part, because a connection was reused or the attempt ended earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// Resolving the name.
    pub dns_ms: Option<i64>,
    /// The TCP handshake.
    pub connect_ms: Option<i64>,
    /// The TLS handshake.
    pub tls_ms: Option<i64>,
    /// From the request to the head of the answer.
    pub first_byte_ms: Option<i64>,
}

/// The end of a claimed delivery's attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptResult {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Of its claim.
    pub fence: Fence,
    /// `None` when no request was made (expired, endpoint gone).
    pub attempt: Option<AttemptRecord>,
    /// What follows.
    pub next: Next,
    /// On [`Next::RetryAt`]: the batch it belongs to from now on, `None`: none.
    pub batch: Option<BatchId>,
    /// On [`Next::RetryAt`]: it leaves its lane, which goes on without it (`skip_after`).
    pub leaves_lane: bool,
    /// Words for the operator.
    pub note: Option<String>,
}

/// Whether a record took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Written.
    Done,
    /// The fence was stale: another worker has it. Nothing was changed.
    Stale,
}

/// A delivery's state without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Owed.
    Pending,
    /// Done.
    Delivered,
    /// Stopped.
    Dead,
}

/// How much is waiting; for gauges and for the queue limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Events without a plan.
    pub unplanned: u64,
    /// Deliveries owed.
    pub pending: u64,
    /// Dead letters.
    pub dead: u64,
    /// Quarantined bodies.
    pub quarantined: u64,
}

/// What has waited for the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Oldest {
    /// Since when the delivery that is owed and has been due for the longest is due. `None`: none
    /// is due.
    pub due_at: Option<Timestamp>,
    /// When the oldest dead letter ended. `None`: there is none.
    pub dead_at: Option<Timestamp>,
}

/// The lane of an event at an endpoint: its source and LiveKit's ordering key, so that rooms of the
/// same name in two projects do not wait for each other. A replay has lanes of its own.
pub fn lane(replay: Option<ReplayId>, source: &str, key: &str) -> String {
    match replay {
        None => format!("{source}/{key}"),
        Some(replay) => format!("{replay}/{source}/{key}"),
    }
}
