//! The port to durable storage, and the rows that cross it. Stages meet here and nowhere else.
//!
//! Two promises every adapter keeps, proved by one conformance suite:
//! - what [`Store::append`] has acknowledged survives a kill -9 (committed *and* synced);
//! - what is claimed belongs to one worker until its lease ends, and what is recorded under a stale
//!   [`Fence`] changes nothing. The lease saves work; correctness needs only the compare-and-set.
//!
//! Calls take the time as an argument. A future that is dropped may leave its write done or not
//! done, never half.

use async_trait::async_trait;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;

mod leases;
mod row;

pub mod limits;
pub mod memory;
pub mod sqlite;

#[cfg(test)]
pub mod conformance;

#[cfg(test)]
mod tests;

pub use row::{
    Appended, AttemptRecord, AttemptResult, Claim, DeliveryFilter, Depth, DueDelivery, Fence,
    NewDelivery, NewEvent, Plan, PlanNext, PlanState, Quarantined, Quota, Recorded, Status,
    StoredDelivery, StoredEvent,
};

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Try again later: busy, full disk, connection lost.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The write queue is at its limit.
    #[error("the store's write queue is full")]
    Full,
    /// Closed by shutdown.
    #[error("the store is closed")]
    Closed,
    /// A bug or a damaged file: somebody must look.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

/// Durable storage in domain words.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes one event durable. Many callers at once share one sync (group commit).
    ///
    /// # Errors
    /// Then nothing is acknowledged; the event may or may not be stored.
    async fn append(&self, event: NewEvent) -> Result<Appended, Error>;

    /// Keeps what cannot become an event.
    async fn quarantine(&self, item: Quarantined) -> Result<(), Error>;

    /// Claims up to `limit` events that wait for a plan, oldest first, within [`limits`].
    async fn claim_unplanned(
        &self,
        now: Timestamp,
        lease_ms: i64,
        limit: usize,
    ) -> Result<Vec<Claim<StoredEvent>>, Error>;

    /// Writes plans, all in one transaction. One result each, in order.
    async fn record_plans(&self, now: Timestamp, plans: Vec<Plan>) -> Result<Vec<Recorded>, Error>;

    /// Claims due deliveries, for each endpoint up to its slots, oldest due first, within
    /// [`limits`].
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Vec<Claim<DueDelivery>>, Error>;

    /// Writes attempts and what follows them, all in one transaction. One result each, in order.
    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error>;

    /// Gives claims back unused (shutdown).
    async fn release(&self, fences: Vec<Fence>) -> Result<(), Error>;

    /// When the next delivery to one of `endpoints` falls due that is under no lease, ended ones
    /// included. A hint.
    async fn next_due(&self, endpoints: Vec<String>) -> Result<Option<Timestamp>, Error>;

    /// Deliveries owed to each endpoint that any are owed to, by its name.
    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error>;

    /// Events, newest first, older than `before`.
    async fn events(
        &self,
        before: Option<EventId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Error>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error>;

    /// All attempts of a delivery, oldest first.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error>;

    /// Quarantined bodies, newest first.
    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error>;

    /// How much is waiting.
    async fn depth(&self) -> Result<Depth, Error>;

    /// Finishes what is queued and closes. Later calls answer [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}
