//! Where PostgreSQL is, how a connection to it begins, and who may have one.

use super::fault::Fault;
use super::tls;
use deadpool_postgres::{
    GenericClient, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
    Transaction,
};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};

/// How long one operation may take, all its statements together. Over it, the connection is thrown
/// away: nobody knows what it is still doing.
pub const OPERATION_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take to come up, unless the URL says so.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long an operation waits for a free connection.
const POOL_WAIT_MAX: Duration = Duration::from_secs(5);
/// A silent connection is asked for a sign of life.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// What PostgreSQL does not confirm for so long was sent to nobody.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(30);

/// What every connection begins with. A commit waits for the disk even when database or user are
/// set otherwise; who wants more (`remote_apply`) keeps it. A limit that the server enforces stands
/// behind each of ours. A plan may not depend on bound values or on what the statistics happen to
/// say: every statement here goes through an index in the order it wants, and a plan that sorts a
/// backlog instead would be a claim that costs as much as what waits. (For the same reason "is
/// there none" is written as a subquery that finds one, which is never turned into a join, and a
/// condition that must not choose a partial index has `+ 0`.)
const SESSION: &str = "\
    SELECT set_config('search_path', 'livekit_webhook', false), \
        set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
            WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false), \
        set_config('statement_timeout', '10s', false), \
        set_config('lock_timeout', '5s', false), \
        set_config('idle_in_transaction_session_timeout', '15s', false), \
        set_config('default_transaction_isolation', 'read committed', false), \
        set_config('plan_cache_mode', 'force_generic_plan', false), \
        set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false), \
        set_config('enable_bitmapscan', 'off', false), \
        set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)";

/// A server's address with what it takes to get in. Neither `Debug` nor `Display` print the
/// password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    config: Config,
    tls: tls::Trust,
    shown: String,
}

/// Why a URL is none of PostgreSQL's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Not a URL, or an option nobody knows.
    #[error("expected postgres://USER@HOST/DATABASE: {0}")]
    Url(String),
    /// TLS in a way that cannot be had.
    #[error("sslmode={0}: must be disable, prefer, require or verify-full")]
    SslMode(String),
    /// Nowhere to go.
    #[error("the URL names no host")]
    Host,
}

/// A pool of connections.
#[derive(Clone)]
pub struct Connections(Pool);

/// A connection out of the pool. It goes back when [`Conn::settle`] has heard of a good end, else
/// it is thrown away: after an error, a timeout or a dropped future nobody knows its state.
pub struct Conn {
    object: Option<Object>,
    is_sound: bool,
}

// === impl Address ===

impl Address {
    /// `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?OPTION=VALUE`, as libpq reads it;
    /// files are relative to `folder`.
    ///
    /// # Errors
    /// [`UrlError`], which never shows the password.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, UrlError> {
        let shown = without_password(url);
        let (rest, options) = url.split_once('?').unwrap_or((url, ""));
        // Where such a URL's password ends, two readers could see differently.
        if rest.matches('@').count() > 1 {
            return Err(UrlError::Url("an @ in user or password is written %40".to_owned()));
        }
        let (mut mode, mut authority, mut others) = (None, None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => authority = Some(folder.join(decoded(value))),
                _ => others.push(option),
            }
        }
        let mut url = rest.to_owned();
        if !others.is_empty() {
            url = format!("{url}?{}", others.join("&"));
        }
        let mut config =
            Config::from_str(&url).map_err(|error| UrlError::Url(crate::causes::line(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlError::Host);
        }
        let (mode, is_verified) = match mode {
            None | Some("prefer") => (SslMode::Prefer, false),
            Some("disable") => (SslMode::Disable, false),
            // As libpq has it: whoever names an authority wants it asked.
            Some("require") => (SslMode::Require, authority.is_some()),
            Some("verify-full") => (SslMode::Require, true),
            Some(other) => return Err(UrlError::SslMode(other.to_owned())),
        };
        config.ssl_mode(mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        if config.get_application_name().is_none() {
            config.application_name("livekit-webhook");
        }
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.tcp_user_timeout(UNCONFIRMED_MAX);
        Ok(Self { config, tls: tls::Trust { is_verified, authority }, shown })
    }

    /// With this password in place of one in the URL.
    #[must_use]
    pub fn with_password(mut self, password: &[u8]) -> Self {
        self.config.password(password);
        self
    }

    /// As the driver takes it.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Whose certificates are believed.
    pub(super) fn tls(&self) -> &tls::Trust {
        &self.tls
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The URL with its password hidden, wherever it stands.
fn without_password(url: &str) -> String {
    let (rest, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    // A password may hold any character that its writer forgot to escape.
    let rest = match rest.rsplit_once('@') {
        Some((who, place)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:[redacted]@{place}"),
            None => format!("{who}@{place}"),
        },
        None => rest.to_owned(),
    };
    let option = |option: &str| match option.split_once('=') {
        Some(("password", _)) => "password=[redacted]".to_owned(),
        _ => option.to_owned(),
    };
    let options: Vec<String> =
        options.split('&').filter(|text| !text.is_empty()).map(option).collect();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{scheme}://{rest}{mark}{}", options.join("&"))
}

/// A value of a URL's query. What is no escape stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

// === impl Connections ===

impl Connections {
    /// At most `connections_max` connections, made when they are needed.
    ///
    /// # Errors
    /// When the authority's certificate cannot be used.
    pub fn new(address: &Address, connections_max: usize) -> Result<Self, tls::Error> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = tls::connector(&address.tls)?;
        let manager = Manager::from_config(address.config.clone(), tls, config);
        let pool = Pool::builder(manager)
            .max_size(connections_max)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT_MAX))
            .create_timeout(Some(OPERATION_MAX))
            .recycle_timeout(Some(OPERATION_MAX))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    client.simple_query(SESSION).await.map_err(HookError::Backend).map(drop)
                })
            }))
            .build();
        // The only way to fail is a timeout without a runtime, and there is one.
        pool.map(Self).map_err(|error| tls::Error::Settings(error.to_string()))
    }

    /// A connection.
    pub async fn get(&self) -> Result<Conn, Fault> {
        if self.0.is_closed() {
            return Err(Fault::Closed);
        }
        match self.0.get().await {
            Ok(object) => Ok(Conn { object: Some(object), is_sound: false }),
            Err(deadpool_postgres::PoolError::Closed) => Err(Fault::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// No connection is given any more.
    pub fn close(&self) {
        self.0.close();
    }
}

// === impl Conn ===

impl Conn {
    /// The client, for single statements.
    pub fn client(&self) -> Result<&Object, Fault> {
        self.object.as_ref().ok_or(Fault::Closed)
    }

    /// Begins a transaction. Dropped without a commit, it is rolled back.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let object = self.object.as_mut().ok_or(Fault::Closed)?;
        Ok(object.transaction().await?)
    }

    /// Hears how it went; after a good end the connection may be used again.
    pub fn settle<T>(mut self, result: Result<T, Fault>) -> Result<T, Fault> {
        self.is_sound = result.is_ok();
        result
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if let Some(object) = self.object.take().filter(|_| !self.is_sound) {
            drop(Object::take(object));
        }
    }
}

/// The end of an operation, or [`Fault::Slow`].
pub async fn within<T>(
    bound: Duration,
    operation: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    tokio::time::timeout(bound, operation).await.unwrap_or(Err(Fault::Slow))
}

/// The rows of a statement, which is prepared once on each connection.
pub async fn query(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.query(&statement, values).await?)
}

/// The number of rows that a statement changed.
pub async fn execute(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, Fault> {
    let statement = client.prepare_cached(sql).await?;
    Ok(client.execute(&statement, values).await?)
}

/// The first row of a statement that always has one.
pub async fn one(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Row, Fault> {
    let mut rows = query(client, sql, values).await?;
    rows.pop().ok_or_else(|| Fault::Damaged(format!("no row: {sql}")))
}

#[cfg(test)]
mod tests;
