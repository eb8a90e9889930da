//! What a story asks a server beside the gateway.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use anyhow::{Context as _, Result};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{NoTls, Row};

/// How long a connection or a statement may take. Only a broken run waits so long.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A connection.
pub struct Client(tokio_postgres::Client);

/// A database of one test, dropped with the value.
#[derive(Debug)]
pub struct Database {
    url: String,
    admin_url: String,
    name: String,
}

// === impl Client ===

impl Client {
    /// Connects, without TLS.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(url: &str) -> Result<Self> {
        let connect = tokio_postgres::connect(url, NoTls);
        let (client, connection) = timeout(ANSWER_MAX, connect).await.context("connecting")??;
        tokio::spawn(async move {
            // Its error is told to whoever waits for an answer, too.
            let _ = connection.await;
        });
        Ok(Self(client))
    }

    /// Runs statements whose answer does not matter.
    ///
    /// # Errors
    /// PostgreSQL's.
    pub async fn batch(&self, sql: &str) -> Result<()> {
        timeout(ANSWER_MAX, self.0.batch_execute(sql)).await.context(sql.to_owned())??;
        Ok(())
    }

    /// The rows of a statement.
    ///
    /// # Errors
    /// PostgreSQL's.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Row>> {
        Ok(timeout(ANSWER_MAX, self.0.query(sql, &[])).await.context(sql.to_owned())??)
    }

    /// The first column of the first row of a statement.
    ///
    /// # Errors
    /// PostgreSQL's, and when there is none.
    pub async fn value<T>(&self, sql: &str) -> Result<T>
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let rows = self.rows(sql).await?;
        Ok(rows.first().with_context(|| format!("no row: {sql}"))?.try_get(0)?)
    }
}

// === impl Database ===

impl Database {
    pub(super) fn new(url: String, admin_url: String, name: String) -> Self {
        Self { url, admin_url, name }
    }

    /// Where it is, over TCP.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn client(&self) -> Result<Client> {
        Client::connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = self.admin_url.clone();
        // A test's runtime may be ending, and `drop` cannot wait in it.
        let forget = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { Client::connect(&url).await?.batch(&sql).await })
        };
        // A server that is gone has taken its databases along.
        let _ = std::thread::spawn(forget).join();
    }
}
