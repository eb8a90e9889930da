//! What a gateway's store holds, read beside the gateway by a reader of the same library.
//!
//! The gateway is another process, so nothing here can be told of a change: the reader looks again
//! and again.

use anyhow::Context as _;
use livekit_webhook::store::postgres::{Address, PostgresStore};
use livekit_webhook::store::sqlite::SqliteStore;
use livekit_webhook::store::{
    AttemptRecord, DeliveryFilter, Depth, EventFilter, Quarantined, ReplayState, Store,
    StoredDelivery, StoredEvent, StoredReplay,
};
use livekit_webhook_core::delivery::{DeadReason, State};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Between two looks.
const POLL: Duration = Duration::from_millis(10);
/// Rows read at once; a story has fewer.
const ROWS_MAX: usize = 1_000;

/// The reader.
pub struct Ledger(Box<dyn Store>);

// === impl Ledger ===

impl Ledger {
    /// Opens the store at `path` for reading.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(Box::new(SqliteStore::open_reader(path).context("reading the store")?)))
    }

    /// Opens the database at `url` for reading.
    ///
    /// # Errors
    /// When there is none.
    pub async fn postgres(url: &str) -> anyhow::Result<Self> {
        let address = Address::parse(url, Path::new(""))?;
        let store = PostgresStore::open_reader(&address).await.context("reading the store")?;
        Ok(Self(Box::new(store)))
    }

    /// All deliveries to `endpoint`, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn deliveries(&self, endpoint: &str) -> anyhow::Result<Vec<StoredDelivery>> {
        let endpoint = Some(endpoint.to_owned());
        let filter = DeliveryFilter { endpoint, limit: ROWS_MAX, ..DeliveryFilter::default() };
        Ok(self.0.deliveries(filter).await?)
    }

    /// All events, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn events(&self) -> anyhow::Result<Vec<StoredEvent>> {
        Ok(self.0.events(EventFilter { limit: ROWS_MAX, ..Default::default() }).await?)
    }

    /// All attempts of a delivery, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn attempts(&self, delivery: &StoredDelivery) -> anyhow::Result<Vec<AttemptRecord>> {
        Ok(self.0.attempts(delivery.id).await?)
    }

    /// All that is in quarantine, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn quarantined(&self) -> anyhow::Result<Vec<Quarantined>> {
        Ok(self.0.quarantined(ROWS_MAX).await?)
    }

    /// How much is waiting.
    ///
    /// # Errors
    /// The store's.
    pub async fn depth(&self) -> anyhow::Result<Depth> {
        Ok(self.0.depth().await?)
    }

    /// What the store finds wrong with itself, in words.
    ///
    /// # Errors
    /// The store's.
    pub async fn findings(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.0.check().await?.into_iter().map(|finding| finding.0).collect())
    }

    /// Waits until the only replay is in this state, and gives it.
    ///
    /// # Errors
    /// When it is not within `bound`.
    pub async fn wait_replay(
        &self,
        state: ReplayState,
        bound: Duration,
    ) -> anyhow::Result<StoredReplay> {
        let reached = async {
            loop {
                match self.0.replays(ROWS_MAX).await?.as_slice() {
                    [replay] if replay.state == state => return Ok(replay.clone()),
                    [_] => tokio::time::sleep(POLL).await,
                    replays => anyhow::bail!("not one replay: {replays:?}"),
                }
            }
        };
        timeout(bound, reached).await.with_context(|| format!("the replay is not {state:?}"))?
    }

    /// Waits until every event has its plan and nothing is owed to anybody.
    ///
    /// # Errors
    /// When that is not so within `bound`; says what there is.
    pub async fn wait_drained(&self, bound: Duration) -> anyhow::Result<()> {
        let drained = async {
            loop {
                let depth = self.depth().await?;
                if depth.unplanned == 0 && depth.pending == 0 {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match timeout(bound, drained).await {
            Ok(drained) => drained,
            Err(_) => anyhow::bail!("not drained after {bound:?}: {:?}", self.depth().await?),
        }
    }

    /// Waits until `count` deliveries to `endpoint` have found their end, and gives all there are.
    ///
    /// # Errors
    /// When they have not within `bound`; says what there is.
    pub async fn wait_ended(
        &self,
        endpoint: &str,
        count: usize,
        bound: Duration,
    ) -> anyhow::Result<Vec<StoredDelivery>> {
        let enough = async {
            loop {
                let rows = self.deliveries(endpoint).await?;
                if rows.iter().filter(|row| row.state != State::Pending).count() >= count {
                    return anyhow::Ok(rows);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        match timeout(bound, enough).await {
            Ok(rows) => rows,
            Err(_) => {
                let rows = self.deliveries(endpoint).await?;
                anyhow::bail!("not {count} ended deliveries to {endpoint}: {rows:#?}")
            }
        }
    }

    /// Waits until the only delivery to `endpoint` has so many attempts on record.
    ///
    /// # Errors
    /// When it has not within `bound`.
    pub async fn wait_attempts(
        &self,
        endpoint: &str,
        attempts: u32,
        bound: Duration,
    ) -> anyhow::Result<StoredDelivery> {
        let recorded = async {
            loop {
                match self.deliveries(endpoint).await?.as_slice() {
                    [row] if row.attempts >= attempts => return Ok(row.clone()),
                    [] | [_] => tokio::time::sleep(POLL).await,
                    rows => anyhow::bail!("{endpoint}: more than one delivery: {rows:#?}"),
                }
            }
        };
        timeout(bound, recorded).await.context("no such attempt")?
    }

    /// Waits for the only dead letter of `endpoint` and gives it with its reason.
    ///
    /// # Errors
    /// When there is none within `bound`, or more, or something else ended.
    pub async fn wait_dead(
        &self,
        endpoint: &str,
        bound: Duration,
    ) -> anyhow::Result<(StoredDelivery, DeadReason)> {
        let rows = self.wait_ended(endpoint, 1, bound).await?;
        match rows.as_slice() {
            [row] => match row.state {
                State::Dead(reason) => Ok((row.clone(), reason)),
                other => anyhow::bail!("{endpoint}: {other:?}, no dead letter"),
            },
            rows => anyhow::bail!("{endpoint}: more than one delivery: {rows:#?}"),
        }
    }
}
