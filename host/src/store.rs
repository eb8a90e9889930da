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
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId, SecretId};
use livekit_webhook_core::replay::{Candidate, Selection};
use livekit_webhook_core::time::Timestamp;

mod filter;
mod leases;
mod replay;
mod requests;
mod row;
mod selection;
mod upkeep;

pub mod limits;
pub mod memory;
pub mod plugin_state;
pub mod postgres;
pub mod sqlite;
pub mod url;

#[cfg(any(test, debug_assertions))]
pub mod conformance;

#[cfg(test)]
mod tests;

pub use filter::{DeliveryFilter, EventFilter, Owed, PAGE_MAX};
pub use replay::{ReplayDelivery, ReplayState, ReplayStep, StoredReplay};
pub use row::{
    Appended, AttemptRecord, AttemptResult, Claim, Depth, Due, DueDelivery, EndpointHealth, Fence,
    NewDelivery, NewEvent, Oldest, Plan, PlanNext, PlanState, Quarantined, Quota, Recorded, Status,
    StoredDelivery, StoredEvent, Timings, lane,
};
pub use upkeep::{CopyCursor, Finding, Pruned, Record, Retention, SealedSecret};

/// What a claim was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// An event to be planned.
    Event(EventId, Fence),
    /// A delivery to be sent.
    Delivery(DeliveryId, Fence),
}

/// What another host may have written. Carries no data: whoever hears it looks for himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Events wait for a plan.
    Events,
    /// Deliveries may be due, or an endpoint's health or a replay has changed.
    Deliveries,
}

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
    /// [`limits`], and what all hosts share: in-flight limit (a request counts until the last of
    /// its members is recorded, released or its lease ends), rate (charged for what is claimed, and
    /// not given back), health ([`livekit_webhook_core::health::Health::gate`]).
    ///
    /// In a lane of an endpoint only the first that is owed is given, by its event's sequence and
    /// then by its id, even when it is not due and a later one is; one at a time over all hosts;
    /// and not before every earlier event of the same source and lane is planned or has settled
    /// that endpoint. A replay's lanes wait for no plan; where hosts' clocks differ one of a smaller
    /// sequence may come late to them: it waits for what was let go before it.
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_ms: i64,
        quotas: Vec<Quota>,
    ) -> Result<Due, Error>;

    /// Writes attempts and what follows them, all in one transaction. One result each, in order.
    async fn record_attempts(
        &self,
        now: Timestamp,
        results: Vec<AttemptResult>,
    ) -> Result<Vec<Recorded>, Error>;

    /// Gives claims back unused (shutdown). A stale one is ignored.
    async fn release(&self, claimed: Vec<Claimed>) -> Result<(), Error>;

    /// Waits for a hint that another host wrote something. A store with one host never has one.
    async fn hint(&self) -> Hint {
        std::future::pending().await
    }

    /// The health of every endpoint that has one, by name.
    async fn healths(&self) -> Result<Vec<EndpointHealth>, Error>;

    /// Writes an endpoint's health if it is still at `health.version`, which counts up then.
    async fn record_health(&self, health: EndpointHealth) -> Result<Recorded, Error>;

    /// Makes dead letters with `reason` of at most `limit` deliveries that are owed and under no
    /// claim. Tells how many; call again until there are none. A lease that has ended is no claim,
    /// and its fence is stale afterwards.
    async fn give_up(
        &self,
        now: Timestamp,
        owed: Owed,
        reason: DeadReason,
        note: String,
        limit: usize,
    ) -> Result<u64, Error>;

    /// Deliveries owed to each endpoint that any are owed to, by its name.
    async fn pending_by_endpoint(&self) -> Result<Vec<(String, u64)>, Error>;

    /// One event.
    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, Error>;

    /// Events, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Vec<StoredEvent>, Error>;

    /// Deliveries, newest first.
    async fn deliveries(&self, filter: DeliveryFilter) -> Result<Vec<StoredDelivery>, Error>;

    /// All attempts of a delivery, oldest first.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptRecord>, Error>;

    /// Quarantined bodies, newest first.
    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, Error>;

    /// How much is waiting.
    async fn depth(&self) -> Result<Depth, Error>;

    /// What has waited for the longest at `now`, for gauges. Reads no more than the first row of an
    /// index.
    async fn oldest(&self, now: Timestamp) -> Result<Oldest, Error>;

    /// Events after `after` in order of arrival with the fate of their deliveries, at most `limit`
    /// of them, for a replay. May leave out what `selection` does not match, and looks at a bounded
    /// number of rows: the second value is where to go on, `None` at the end.
    async fn candidates(
        &self,
        selection: &Selection,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<EventId>), Error>;

    /// Keeps a new replay. One with the same id is left as it is.
    async fn create_replay(&self, replay: StoredReplay) -> Result<(), Error>;

    /// Replays, newest first.
    async fn replays(&self, limit: usize) -> Result<Vec<StoredReplay>, Error>;

    /// Plans one step's deliveries and moves the cursor, if it is still where the step began. What
    /// repeats a delivery that is gone is left out, and not counted as planned.
    async fn record_replay(&self, now: Timestamp, step: ReplayStep) -> Result<Recorded, Error>;

    /// Changes a replay's state from `from` to `to`; whether that makes sense is the caller's
    /// business. `Stale`: it was in another, or there is none.
    async fn change_replay(
        &self,
        now: Timestamp,
        replay: ReplayId,
        from: ReplayState,
        to: ReplayState,
    ) -> Result<Recorded, Error>;

    /// Sealed secrets of all endpoints, newest first.
    async fn secrets(&self) -> Result<Vec<SealedSecret>, Error>;

    /// Keeps a secret; one with the same id is replaced (sealed again under another key).
    async fn put_secret(&self, secret: SealedSecret) -> Result<(), Error>;

    /// Removes a secret. `Stale`: there is none.
    async fn remove_secret(&self, id: SecretId) -> Result<Recorded, Error>;

    /// What a plugin keeps under a key, unless its time is over at `now`.
    async fn plugin_state(
        &self,
        now: Timestamp,
        space: &plugin_state::Space,
        key: &str,
    ) -> Result<Option<plugin_state::Entry>, Error>;

    /// Changes a key of a plugin's state, as [`plugin_state::decide`] says. Changes of one space
    /// happen one after the other, on whatever host. What is answered is committed and synced.
    async fn change_plugin_state(
        &self,
        now: Timestamp,
        change: plugin_state::Change,
    ) -> Result<plugin_state::Changed, Error>;

    /// Keys of a plugin's state whose time is not over at `now`, in the order of their bytes.
    async fn plugin_state_keys(
        &self,
        now: Timestamp,
        page: plugin_state::Page,
    ) -> Result<Vec<String>, Error>;

    /// One step of retention: removes at most `limit` rows of each kind, of events, deliveries,
    /// quarantined bodies, counters of lanes and keys of plugins whose time is over. When it says
    /// that there is no more, another step at that time would remove nothing.
    async fn prune(
        &self,
        now: Timestamp,
        retention: &Retention,
        limit: usize,
    ) -> Result<Pruned, Error>;

    /// Bytes of what is stored, without what is free.
    async fn size_bytes(&self) -> Result<u64, Error>;

    /// Looks whether what is stored is whole and agrees with itself. Reads everything.
    async fn check(&self) -> Result<Vec<Finding>, Error>;

    /// Gives free space back to the system. Takes as long as it takes; writes wait.
    async fn vacuum(&self) -> Result<(), Error>;

    /// Reads rows for a copy, within [`limits`]; `None`: that was the end.
    async fn export(
        &self,
        after: Option<CopyCursor>,
    ) -> Result<(Vec<Record>, Option<CopyCursor>), Error>;

    /// Writes rows of a copy in one transaction. What is here already is left as it is, so that a
    /// copy can be begun again. Tells how many were new.
    async fn import(&self, records: Vec<Record>) -> Result<u64, Error>;

    /// Finishes what is queued and closes. Later calls answer [`Error::Closed`].
    async fn close(&self) -> Result<(), Error>;
}
