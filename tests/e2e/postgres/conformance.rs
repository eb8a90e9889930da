//! The rules that every store keeps, on PostgreSQL.

use super::{OPTIONS, address};
use anyhow::Result;
use livekit_webhook::store::Store;
use livekit_webhook::store::conformance;
use livekit_webhook::store::postgres::PostgresStore;
use livekit_webhook_tests::postgres::Postgres;
use std::sync::Arc;

/// As a database is before the first event.
const EMPTY: &str = "DO $$ DECLARE name TEXT; BEGIN \
     FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' \
     AND relnamespace = to_regnamespace('livekit_webhook') \
     AND relname NOT IN ('schema_version', 'counters') \
     LOOP EXECUTE 'DELETE FROM livekit_webhook.' || name; END LOOP; \
     IF to_regclass('livekit_webhook.counters') IS NOT NULL THEN \
     UPDATE livekit_webhook.counters SET unplanned = 0, pending = 0, dead = 0, quarantined = 0, \
     bytes = 0; END IF; END $$";

#[tokio::test]
async fn postgres_conforms() -> Result<()> {
    let server = Postgres::shared().await?;
    // At most two at once. Emptied between two cases: to make and drop hundreds of tables costs the
    // server more than the cases.
    let databases = [server.database().await?, server.database().await?];
    for case in conformance::cases() {
        let mut next = databases.iter();
        let mut open = async || {
            let database = next.next().unwrap();
            database.client().await.unwrap().batch(EMPTY).await.unwrap();
            let address = address(database.url()).unwrap();
            let store = PostgresStore::open(&address, &OPTIONS).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        };
        case.run(&mut open).await;
    }
    Ok(())
}
