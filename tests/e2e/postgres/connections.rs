//! How a store comes to its database, and comes back to it.

use super::{OPTIONS, address};
use anyhow::{Result, ensure};
use livekit_webhook::store::conformance::{
    START, claim_due, delivery, event, headers, laned, planned, stored,
};
use livekit_webhook::store::postgres::{OpenError, PostgresStore};
use livekit_webhook::store::{Appended, Error, NewDelivery, NewEvent, Retention, Store};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_tests::postgres::{Client, PASSWORD, Postgres, Setup, USER};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_store_goes_on_when_its_server_is_back() -> Result<()> {
    let mut server = Postgres::start(&Setup::default()).await?;
    let store = PostgresStore::open(&address(&server.url(USER))?, &OPTIONS).await?;
    ensure!(store.append(event(1)).await? == Appended::Stored);
    for number in [2, 3] {
        if number == 2 {
            server.stop().await?
        } else {
            server.kill_9().await?
        }
        let refused = store.append(event(number)).await;
        ensure!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        ensure!(matches!(store.depth().await, Err(Error::Unavailable(_))));
        server.restart().await?;
        ensure!(store.append(event(number)).await? == Appended::Stored);
        ensure!(store.depth().await?.unplanned == u64::from(number));
    }
    store.close().await?;
    Ok(())
}

#[tokio::test]
async fn hosts_that_start_together_make_one_schema() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let mut opening = JoinSet::new();
    for number in 1..=6 {
        let address = address(database.url())?;
        opening.spawn(async move {
            let store = PostgresStore::open(&address, &OPTIONS).await?;
            Ok::<_, anyhow::Error>(store.append(event(number)).await?)
        });
    }
    for appended in opening.join_all().await {
        ensure!(appended? == Appended::Stored);
    }
    let client = database.client().await?;
    let versions = "SELECT count(*) FROM livekit_webhook.schema_version";
    ensure!(client.value::<i64>(versions).await? == 1);

    // A newer binary was here: whoever does not know its schema leaves it alone.
    client.batch("UPDATE livekit_webhook.schema_version SET version = 99").await?;
    let newer = PostgresStore::open(&address(database.url())?, &OPTIONS).await;
    ensure!(matches!(newer.err(), Some(OpenError::Newer { found: 99, .. })));
    let newer = PostgresStore::open_reader(&address(database.url())?).await;
    ensure!(matches!(newer.err(), Some(OpenError::Newer { found: 99, .. })));
    Ok(())
}

/// An event and what is owed of it, another in a lane, and a lane without any, as version 2 left
/// them: an event weighs 600 bytes, a delivery 500.
const VERSION_2: &str = "
    CREATE TABLE schema_version (version BIGINT NOT NULL);
    INSERT INTO schema_version VALUES (2);
    INSERT INTO events (id, source, dedupe_key, kind, received_at, api_key, body, body_sha256, is_first)
        VALUES ('00000000-0000-0000-0000-000000000001', 's', 'k', 'room_started', 1, 'a', '{}',
            sha256('{}'), true);
    INSERT INTO plans (event, state, plan_at, is_bare)
        VALUES ('00000000-0000-0000-0000-000000000001', 1, 1, false);
    INSERT INTO endpoints (name) VALUES ('a');
    INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, due_at, is_held, created_at, updated_at)
        SELECT '00000000-0000-0000-0000-000000000002', e.id, n.id, 'wh_1', 'room_started', 0, 1, false, 1, 1
        FROM events e, endpoints n;
    INSERT INTO events (id, source, dedupe_key, kind, lane, received_at, api_key, body, body_sha256, is_first)
        VALUES ('00000000-0000-0000-0000-000000000003', 's', 'l', 'room_started', 'r', 9, 'a', '{}',
            sha256('{}'), true);
    INSERT INTO plans (event, state, plan_at, lane, sequence, is_bare)
        VALUES ('00000000-0000-0000-0000-000000000003', 1, 1, 's/r', 4, true);
    INSERT INTO lanes VALUES ('s', 'r', 5), ('s', 'gone', 7);
    UPDATE counters SET pending = 1, bytes = 2 * 600 + 2 * 2 + 500 WHERE share = 0;";

const IN_USE: &str = "SELECT count(*) FROM livekit_webhook.lanes \
     WHERE key = 'r' AND sequence = 5 AND used_at = 9 AND events = 1 AND idle_since IS NULL";
const MIGRATED_AT: &str = "SELECT idle_since FROM livekit_webhook.lanes \
     WHERE key = 'gone' AND sequence = 7 AND used_at = idle_since AND events = 0";

#[tokio::test]
async fn a_database_of_version_2_is_brought_up() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let client = database.client().await?;
    client.batch("CREATE SCHEMA livekit_webhook; SET search_path = livekit_webhook").await?;
    client.batch(include_str!("../../../host/src/store/postgres/schema/1.sql")).await?;
    client.batch(include_str!("../../../host/src/store/postgres/schema/2.sql")).await?;
    client.batch(VERSION_2).await?;
    let older = PostgresStore::open_reader(&address(database.url())?).await;
    ensure!(matches!(older.err(), Some(OpenError::Older { found: 2, .. })));

    let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
    let claims = claim_due(&store, START, "a", 9).await;
    ensure!(claims.len() == 1 && claims[0].item.delivery.headers.is_empty(), "{claims:?}");
    ensure!(claims[0].item.body == "{}");
    planned(&store, 1, vec![NewDelivery { headers: headers(), ..delivery(1, "a") }]).await;
    ensure!(stored(&store, delivery(1, "a").id).await.headers == headers());
    ensure!(store.check().await? == []);

    // What is in use is counted; what is not in use by now is kept from now on.
    ensure!(client.value::<i64>(IN_USE).await? == 1);
    let migrated_at = Timestamp::from_millis(client.value(MIGRATED_AT).await?);
    ensure!(migrated_at > START.plus_millis(365 * 24 * 3_600_000), "{migrated_at:?}");
    let retention = Retention { delivered_ms: i64::MAX, ..Retention::default() };
    for (kept_ms, expect) in [(retention.lanes_ms - 1, 0), (retention.lanes_ms, 1)] {
        let now = migrated_at.plus_millis(kept_ms);
        ensure!(store.prune(now, &retention, 9).await?.lanes == expect);
    }
    ensure!(store.check().await? == []);
    store.close().await?;
    Ok(())
}

/// Looks at what the server counts, 10 ms apart.
const TELLS_MAX: u32 = 3_000;

/// The counter of a lane changes with every event, and no index with it.
#[tokio::test]
async fn a_place_costs_no_entry_in_an_index() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
    for number in 1..=20 {
        store.append(laned(number, "r")).await?;
    }
    store.close().await?;
    let client = database.client().await?;
    // The server's processes tell what they did at their end.
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'lanes'";
    for _ in 0..TELLS_MAX {
        if client.value::<i64>(updates).await? == 19 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let in_place = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'lanes'";
    ensure!(client.value::<i64>(in_place).await? == 19);
    Ok(())
}

#[tokio::test]
async fn a_reader_reads_and_makes_nothing() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let nothing = PostgresStore::open_reader(&address(database.url())?).await;
    ensure!(matches!(nothing.err(), Some(OpenError::Older { found: 0, .. })));
    let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
    store.append(event(1)).await?;
    let reader = PostgresStore::open_reader(&address(database.url())?).await?;
    ensure!(reader.event(event(1).id).await?.is_some());
    ensure!(matches!(reader.append(event(2)).await, Err(Error::Unavailable(_))));
    ensure!(reader.claim_unplanned(event(9).received_at, 1, 1).await.is_err());
    Ok(())
}

#[tokio::test]
async fn tls_proves_who_the_server_is_when_asked() -> Result<()> {
    let server = Postgres::start(&Setup::default().tls()).await?;
    let url = server.url(USER);
    let authority = server.authority().display().to_string();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
         WHERE a.application_name = 'livekit-webhook' AND s.ssl";
    for (options, is_encrypted) in [
        (format!("?sslmode=verify-full&sslrootcert={authority}"), true),
        ("?sslmode=require".to_owned(), true),
        (String::new(), true),
        ("?sslmode=disable".to_owned(), false),
    ] {
        let store = PostgresStore::open(&address(&format!("{url}{options}"))?, &OPTIONS).await?;
        ensure!(store.append(event(1)).await.is_ok());
        let found: i64 = Client::connect(&url).await?.value(encrypted).await?;
        ensure!((found > 0) == is_encrypted, "{options}: {found} connections with TLS");
        store.close().await?;
        drop(store);
        let open =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'livekit-webhook'";
        let client = Client::connect(&url).await?;
        while client.value::<i64>(open).await? > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    // The system's authorities do not know it.
    let stranger = format!("{url}?sslmode=verify-full");
    ensure!(PostgresStore::open(&address(&stranger)?, &OPTIONS).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_password_may_come_apart_from_the_url_and_is_never_shown() -> Result<()> {
    let server = Postgres::shared().await?;
    let database = server.database().await?;
    let bare = format!("postgres://{USER}@127.0.0.1:{}/{}", server.port(), database.name());
    let address = address(&bare)?;
    let refused = PostgresStore::open(&address.clone().with_password(b"wrong"), &OPTIONS).await;
    let words = format!("{:?}", refused.err());
    ensure!(words.contains("password authentication failed"), "{words}");
    ensure!(!words.contains("wrong"), "{words}");
    PostgresStore::open(&address.with_password(PASSWORD.as_bytes()), &OPTIONS).await?;
    Ok(())
}

#[tokio::test]
async fn commits_wait_for_the_disk_whatever_the_database_says() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let client = database.client().await?;
    let name = database.name();
    client.batch(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await?;
    let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
    // Told by the connection that appends, from inside its transaction.
    client
        .batch(
            "CREATE TABLE told (setting TEXT); \
             CREATE FUNCTION tell() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO public.told VALUES (current_setting('synchronous_commit')); \
             RETURN NEW; END $$; \
             CREATE TRIGGER tell AFTER INSERT ON livekit_webhook.events \
             FOR EACH STATEMENT EXECUTE FUNCTION tell()",
        )
        .await?;
    store.append(event(1)).await?;
    let ours: String = database.client().await?.value("SHOW synchronous_commit").await?;
    ensure!(ours == "off", "the database's own setting is {ours}");
    ensure!(client.value::<String>("SELECT setting FROM told").await? == "on");
    Ok(())
}

#[tokio::test]
async fn texts_that_postgresql_cannot_hold_come_back_as_they_were() -> Result<()> {
    let database = Postgres::shared().await?.database().await?;
    let store = PostgresStore::open(&address(database.url())?, &OPTIONS).await?;
    let odd = "a\0b\u{10fffd}0";
    let event = NewEvent {
        room: Some(odd.to_owned()),
        lane: Some(odd.to_owned()),
        dedupe_key: odd.to_owned(),
        ..event(1)
    };
    ensure!(store.append(event.clone()).await? == Appended::Stored);
    ensure!(store.append(event.clone()).await? == Appended::Duplicate { of: event.id });
    let stored = store.event(event.id).await?;
    ensure!(stored.is_some_and(|stored| stored.event == event));
    Ok(())
}
