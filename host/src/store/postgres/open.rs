//! Opening a database: its server, its version, and the tasks that serve it.

use super::connect::{Address, Connections, OPERATION_MAX, within};
use super::endpoint::Endpoints;
use super::fault::Fault;
use super::hint::Hints;
use super::unreleased::Unreleased;
use super::writer::Queue;
use super::{PostgresStore, Shared, connect, schema, tls};
use crate::tasks::{Kind, Tasks};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tracing::warn;

/// How long the same event key is looked for, in milliseconds: 24 hours.
const DEDUPE_WINDOW_MS: i64 = 24 * 60 * 60 * 1_000;
/// Connections of one host unless configured.
pub const CONNECTIONS_DEFAULT: usize = 16;
/// Tasks that write events. Each has one transaction under way, so that one batch is collected
/// while others are synced.
const WRITERS: usize = 3;
/// One in so many connections may be changing plugins' state.
const STATE_SHARE: usize = 4;

/// What may be set.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the same event key is looked for, in milliseconds. Default 24 hours.
    pub dedupe_window_ms: i64,
    /// Most connections of this host, beside the one that hints use.
    pub connections_max: usize,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No TLS.
    #[error("no TLS for the store")]
    Tls(#[from] tls::Error),
    /// The server cannot be reached or refuses us.
    #[error("cannot use the database: {}", crate::causes::line(.0))]
    Server(Fault),
    /// The server does not know what is needed.
    #[error("PostgreSQL {found} is too old: version 14 or newer is needed")]
    OldServer {
        /// Its version.
        found: String,
    },
    /// Not every text could be kept.
    #[error("the database's encoding is {found}: it must be UTF8")]
    Encoding {
        /// The database's.
        found: String,
    },
    /// A newer binary wrote it.
    #[error(
        "the database has schema version {found}, this binary knows up to {known}: use a newer one"
    )]
    Newer {
        /// In the database.
        found: i64,
        /// In this binary.
        known: i64,
    },
    /// A reader cannot change the database.
    #[error(
        "the database has schema version {found}, expected {known}: let the server open it once"
    )]
    Older {
        /// In the database.
        found: i64,
        /// In this binary.
        known: i64,
    },
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { dedupe_window_ms: DEDUPE_WINDOW_MS, connections_max: CONNECTIONS_DEFAULT }
    }
}

// === impl OpenError ===

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Server(fault)
    }
}

// === impl PostgresStore ===

impl PostgresStore {
    /// Opens the database at `address`, beside any number of other hosts, and brings it to this
    /// binary's schema.
    ///
    /// # Errors
    /// [`OpenError`], none of which shows the password.
    pub async fn open(address: &Address, options: &Options) -> Result<Self, OpenError> {
        let connections = Connections::new(address, options.connections_max)?;
        let mut conn = connections.get().await?;
        let opened = within(OPERATION_MAX, async { Ok(migrate(&mut conn).await) }).await?;
        let syncs = opened?;
        let _ = conn.settle(Ok(()));
        if !syncs {
            warn!(
                "the PostgreSQL server does not sync (fsync or full_page_writes is off): an \
                   acknowledged event may be lost when its machine fails"
            );
        }
        let shared = Arc::new(shared(connections, options));
        let tasks = Tasks::new();
        let (queue, writers) = Queue::with_writers(&shared, WRITERS);
        for writer in writers {
            tasks.spawn(Kind::Worker, "store-writer", writer.run());
        }
        let hints = Hints::new();
        tasks.spawn(Kind::Worker, "store-hints", hints.clone().run(address.clone()));
        let unreleased = Unreleased::default();
        let state_writes = Semaphore::new((options.connections_max / STATE_SHARE).max(1));
        Ok(Self { shared, queue, hints, tasks, unreleased, state_writes, is_reader: false })
    }

    /// Opens the database at `address` for reading. Writes and claims answer
    /// [`Error::Unavailable`](crate::store::Error::Unavailable).
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_reader(address: &Address) -> Result<Self, OpenError> {
        let options = Options { connections_max: 2, ..Options::default() };
        let connections = Connections::new(address, options.connections_max)?;
        let conn = connections.get().await?;
        let found = schema::version(conn.client()?).await?;
        let _ = conn.settle(Ok(()));
        if found < schema::VERSION {
            return Err(OpenError::Older { found, known: schema::VERSION });
        }
        let shared = Arc::new(shared(connections, &options));
        let (queue, _) = Queue::with_writers(&shared, 0);
        let (hints, tasks, unreleased) = (Hints::new(), Tasks::new(), Unreleased::default());
        let state_writes = Semaphore::new(1);
        Ok(Self { shared, queue, hints, tasks, unreleased, state_writes, is_reader: true })
    }
}

async fn migrate(conn: &mut connect::Conn) -> Result<bool, OpenError> {
    let syncs = schema::judge_server(conn.client()?).await?;
    schema::migrate(conn).await?;
    Ok(syncs)
}

fn shared(connections: Connections, options: &Options) -> Shared {
    Shared {
        connections,
        dedupe_window_ms: options.dedupe_window_ms,
        endpoints: Endpoints::default(),
    }
}
