//! The tables, and how an older database becomes a newer one. Forward only.
//!
//! They stand in a PostgreSQL schema of their own, `livekit_webhook`, so that a database may serve
//! others too. Hosts that start together take turns: the first brings the schema to its version,
//! the others find it there.

use super::OpenError;
use super::connect::{Conn, one, query};
use super::fault::Fault;
use deadpool_postgres::GenericClient;

/// One entry per version; a released one is never edited.
const MIGRATIONS: [&str; 3] =
    [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// The version this binary writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

/// The oldest server this was written for.
pub const SERVER_MIN: i32 = 140_000;

/// The number that all hosts lock while they look at the schema: any, but always the same.
const TURN: i64 = 0x6c6b_7768;

/// Brings the database to [`VERSION`], all steps in one transaction.
pub async fn migrate(conn: &mut Conn) -> Result<(), OpenError> {
    let tx = conn.begin().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&TURN]).await.map_err(Fault::from)?;
    let found = version(&tx).await?;
    if found < VERSION {
        create(&tx).await?;
    }
    let mut done = found;
    for (version, sql) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        tx.batch_execute(sql).await.map_err(Fault::from)?;
        done = version;
    }
    if done != found {
        let sql = "UPDATE schema_version SET version = $1";
        tx.execute(sql, &[&done]).await.map_err(Fault::from)?;
    }
    Ok(tx.commit().await.map_err(Fault::from)?)
}

/// The schema and the table that says how old it is. Whoever may not create schemas can be given an
/// empty one of this name.
async fn create(client: &impl GenericClient) -> Result<(), Fault> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'livekit_webhook')";
    if !one(client, sql, &[]).await?.try_get::<_, bool>(0)? {
        client.batch_execute("CREATE SCHEMA livekit_webhook").await?;
    }
    let sql = "CREATE TABLE IF NOT EXISTS livekit_webhook.schema_version ( \
         version BIGINT NOT NULL); \
         INSERT INTO livekit_webhook.schema_version \
         SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM livekit_webhook.schema_version)";
    Ok(client.batch_execute(sql).await?)
}

/// The database's version, 0 when there is nothing yet; refused when it is from the future.
pub async fn version(client: &impl GenericClient) -> Result<i64, OpenError> {
    let sql = "SELECT to_regclass('livekit_webhook.schema_version') IS NOT NULL";
    if !one(client, sql, &[]).await?.try_get::<_, bool>(0).map_err(Fault::from)? {
        return Ok(0);
    }
    let sql = "SELECT version FROM livekit_webhook.schema_version";
    let rows = query(client, sql, &[]).await?;
    let found = match rows.first() {
        Some(row) => row.try_get(0).map_err(Fault::from)?,
        None => 0,
    };
    if !(0..=VERSION).contains(&found) {
        return Err(OpenError::Newer { found, known: VERSION });
    }
    Ok(found)
}

/// What the server itself must be. Tells whether it syncs to disk.
pub async fn judge_server(client: &impl GenericClient) -> Result<bool, OpenError> {
    let sql = "SELECT current_setting('server_version_num')::INT, \
         current_setting('server_version'), \
         current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', \
         current_setting('server_encoding')";
    let row = one(client, sql, &[]).await?;
    let column = |error| OpenError::from(Fault::from(error));
    if row.try_get::<_, i32>(0).map_err(column)? < SERVER_MIN {
        let found = row.try_get(1).map_err(column)?;
        return Err(OpenError::OldServer { found });
    }
    let encoding: String = row.try_get(3).map_err(column)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { found: encoding });
    }
    row.try_get(2).map_err(column)
}
