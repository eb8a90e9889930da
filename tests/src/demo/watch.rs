//! What became of an event, read from the host's store beside the host.

use anyhow::Context as _;
use livekit_webhook::store::sqlite::SqliteStore;
use livekit_webhook::store::{
    AttemptRecord, DeliveryFilter, EventFilter, PlanState, Store as _, StoredDelivery, StoredEvent,
};
use livekit_webhook_core::delivery::State;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);
/// Most rows of one look; the demo has far fewer.
const ROWS_MAX: usize = 1_000;

/// An event and everything owed because of it.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The event.
    pub stored: StoredEvent,
    /// Its deliveries in the order in which they were planned, each with its attempts.
    pub deliveries: Vec<(StoredDelivery, Vec<AttemptRecord>)>,
    /// Whether nothing is left to be done.
    pub is_over: bool,
}

/// The event with this id of LiveKit's, if it is there.
///
/// # Errors
/// When the store cannot be read.
pub async fn event(store: &SqliteStore, id: &str) -> anyhow::Result<Option<StoredEvent>> {
    let events = store.events(EventFilter { limit: ROWS_MAX, ..Default::default() }).await?;
    Ok(events.into_iter().find(|stored| stored.event.dedupe_key == id))
}

/// Waits until nothing is left to be done for this event, at most for `bound`; what there is then.
///
/// # Errors
/// When the store cannot be read, or the event is not in it.
pub async fn fate(store: &SqliteStore, id: &str, bound: Duration) -> anyhow::Result<Fate> {
    let began = Instant::now();
    loop {
        let fate = look(store, id).await?;
        if fate.is_over || began.elapsed() >= bound {
            return Ok(fate);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn look(store: &SqliteStore, id: &str) -> anyhow::Result<Fate> {
    let stored = event(store, id).await?.with_context(|| format!("{id} is not in the store"))?;
    let filter =
        DeliveryFilter { event: Some(stored.event.id), limit: ROWS_MAX, ..Default::default() };
    let mut rows = store.deliveries(filter).await?;
    rows.reverse();
    let mut is_over = stored.plan == PlanState::Planned;
    let mut deliveries = Vec::with_capacity(rows.len());
    for delivery in rows {
        is_over &= delivery.state != State::Pending;
        let attempts = store.attempts(delivery.id).await?;
        deliveries.push((delivery, attempts));
    }
    Ok(Fate { stored, deliveries, is_over })
}
