//! The shared store: one PostgreSQL database, any number of hosts.
//!
//! The cast: a few *writer* tasks that turn what ingest brings into shared commits ([`writer`]); a
//! bounded *pool* of connections for all other calls, each a short transaction; *claims* as rows
//! with a lease and a fence ([`claim`]); *lanes* that hold back whoever is not first ([`lane`]);
//! *hints* between hosts ([`hint`]), which nothing depends on.
//!
//! Guarantee: an acknowledged write is committed with `synchronous_commit` on, so it survives a
//! kill -9 of any host and of the server, and, with a synchronous standby, the loss of the primary.
//! What is recorded under a stale fence changes nothing. No transaction is open while an HTTP
//! request is made. A lost connection is [`Error::Unavailable`](super::Error::Unavailable), and the
//! next call gets a new one, from the server of the URL that takes writes. Not promised: that hosts
//! whose clocks differ by more than a lease's margin never send a delivery twice.
//!
//! The server is 14 or newer, and reached directly or through a pooler in session mode.

use super::{Claimed, Error};
use crate::crash::Written;
use crate::tasks::Tasks;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

mod append;
mod call;
mod claim;
mod connect;
mod copy;
mod counters;
mod endpoint;
mod fault;
mod hint;
mod lane;
mod open;
mod places;
mod plan;
mod plugin_state;
mod port;
mod prune;
mod read;
mod record;
mod replay;
mod rows;
mod schema;
mod tls;
mod types;
mod unreleased;
mod upkeep;
mod waiting;
mod writer;

pub use connect::{Address, UrlError};
pub use open::{CONNECTIONS_DEFAULT, OpenError, Options};
pub use tls::{Error as TlsError, Trust};

use call::{read, write};
use connect::{Connections, OPERATION_MAX, within};
use counters::Delta;
use endpoint::Endpoints;
use hint::Hints;
use unreleased::Unreleased;
use writer::Queue;

/// A store in a database that others may share.
pub struct PostgresStore {
    shared: Arc<Shared>,
    queue: Queue,
    hints: Hints,
    tasks: Tasks,
    unreleased: Unreleased,
    /// Connections that changes of plugins' state may have: they wait for each other inside the
    /// database, and all else must go on meanwhile.
    state_writes: Semaphore,
    is_reader: bool,
}

/// What the calls and the writers share.
struct Shared {
    connections: Connections,
    dedupe_window_ms: i64,
    endpoints: Endpoints,
}

// === impl PostgresStore ===

impl PostgresStore {
    fn writable(&self) -> Result<(), Error> {
        match self.is_reader {
            true => Err(Error::Unavailable(Box::new(fault::ReadOnly))),
            false => Ok(()),
        }
    }

    /// Numbers for the endpoints that a write names.
    async fn numbers(&self, names: Vec<&str>) -> Result<HashMap<String, i32>, Error> {
        self.writable()?;
        read!(self, |client| self.shared.endpoints.numbers(client, names))
    }

    async fn give_back(&self, claimed: &[Claimed]) -> Result<(), Error> {
        write!(self, Upkeep, |tx, _delta| claim::release(tx, claimed));
        Ok(())
    }

    /// What an earlier call could not. A failure says that there is nothing to claim from, either.
    async fn release_rest(&self) -> Result<(), Error> {
        let rest = self.unreleased.take();
        if rest.is_empty() {
            return Ok(());
        }
        let released = self.give_back(&rest).await;
        if released.is_err() {
            self.unreleased.add(rest);
        }
        released
    }

    fn stop(&self) {
        self.tasks.begin_shutdown();
        self.queue.close();
        self.hints.stop();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop();
    }
}
