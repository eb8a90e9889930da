//! PostgreSQL: the servers that tests start, and the store that hosts share.

use anyhow::{Result, ensure};
use livekit_webhook::store::Store;
use livekit_webhook::store::conformance::WINDOW_MS;
use livekit_webhook::store::postgres::{Address, Options, PostgresStore};
use livekit_webhook_tests::postgres::{Database, Postgres};
use std::path::Path;
use std::sync::Arc;

mod conformance;
mod connections;
mod servers;
mod sharing;

/// As the conformance suite expects it.
const OPTIONS: Options = Options { dedupe_window_ms: WINDOW_MS, connections_max: 6 };

fn address(url: &str) -> Result<Address> {
    Ok(Address::parse(url, Path::new(""))?)
}

/// Several stores on one new database.
struct Opened {
    stores: Vec<Arc<dyn Store>>,
    _database: Database,
}

async fn open(count: usize) -> Result<Opened> {
    let database = Postgres::shared().await?.database().await?;
    let mut stores = Vec::new();
    for _ in 0..count {
        let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
        stores.push(Arc::new(store) as Arc<dyn Store>);
    }
    Ok(Opened { stores, _database: database })
}

impl Opened {
    /// Whatever they did, what is stored agrees with itself.
    async fn close(self) -> Result<()> {
        let findings = self.stores[0].check().await?;
        ensure!(findings.is_empty(), "{findings:#?}");
        for store in &self.stores {
            store.close().await?;
        }
        Ok(())
    }
}
