//! Which adapter a URL means, and how it is opened: to serve, to read, beside the hosts, or alone.

use crate::config::{self, Config};
use crate::store::Store;
use crate::store::postgres::{self, Address, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::url::{self, Url};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connections of one verb.
const CONNECTIONS_MAX: usize = 4;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there.
    #[error(
        "there is no store sqlite:{}: check the path; `serve` or `store migrate` makes one",
        path.display()
    )]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// A host serves from it.
    #[error(
        "a host serves from sqlite:{}: stop it first, this needs the store for itself",
        path.display()
    )]
    InUse {
        /// As given.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot open the store {}", path.display())]
    Sqlite {
        /// As given.
        path: PathBuf,
        /// What to do about it.
        source: sqlite::OpenError,
    },
    /// A database that cannot be reached or used.
    #[error("cannot open the store {place}")]
    Postgres {
        /// As given, without the password.
        place: String,
        /// What to do about it.
        source: postgres::OpenError,
    },
}

/// Reads a store's URL from the command line.
///
/// # Errors
/// What would be right.
pub fn parse(text: &str) -> Result<Url, url::Error> {
    Url::parse(text, Path::new(""))
}

/// The store that a configuration names.
pub fn of(config: &Config) -> Url {
    config.store.url.clone()
}

/// Opens the store of a configuration to serve from it.
///
/// # Errors
/// [`Error`].
pub async fn open(config: &config::Store) -> Result<Arc<dyn Store>, Error> {
    let window_ms = config.dedupe_window.as_millis();
    let dedupe_window_ms = i64::try_from(window_ms).unwrap_or(i64::MAX);
    match &config.url {
        Url::Sqlite(path) => {
            let options = sqlite::Options { dedupe_window_ms };
            let store = SqliteStore::open(path, &options);
            Ok(Arc::new(store.map_err(|source| Error::Sqlite { path: path.clone(), source })?))
        }
        Url::Postgres(address) => {
            let connections_max = config.connections_max;
            shared(address, &postgres::Options { dedupe_window_ms, connections_max }).await
        }
    }
}

/// Opens a store to read from it. Takes no lock, changes nothing.
///
/// # Errors
/// [`Error`].
pub async fn open_to_read(url: &Url) -> Result<Arc<dyn Store>, Error> {
    match url {
        Url::Sqlite(path) => {
            there(path)?;
            let store = SqliteStore::open_reader(path);
            Ok(Arc::new(store.map_err(|source| failed(path, source))?))
        }
        Url::Postgres(address) => {
            let store = PostgresStore::open_reader(address).await;
            Ok(Arc::new(store.map_err(|source| unusable(address, source))?))
        }
    }
}

/// Opens a store for the small writes of an operator, beside the hosts that serve from it. It must
/// have this binary's schema.
///
/// # Errors
/// [`Error`].
pub async fn open_beside(url: &Url) -> Result<Arc<dyn Store>, Error> {
    match url {
        Url::Sqlite(path) => {
            there(path)?;
            let store = SqliteStore::open_beside(path, &sqlite::Options::default());
            Ok(Arc::new(store.map_err(|source| failed(path, source))?))
        }
        Url::Postgres(_) => {
            // Refuses another schema, which a verb must not change under the hosts.
            drop(open_to_read(url).await?);
            open_alone(url).await
        }
    }
}

/// Opens a store for oneself, makes it when it is not there, and brings it to this binary's schema.
/// Of a database no host is kept out.
///
/// # Errors
/// [`Error`].
pub async fn open_alone(url: &Url) -> Result<Arc<dyn Store>, Error> {
    match url {
        Url::Sqlite(path) => {
            let store = SqliteStore::open(path, &sqlite::Options::default());
            Ok(Arc::new(store.map_err(|source| failed(path, source))?))
        }
        Url::Postgres(address) => {
            let connections_max = CONNECTIONS_MAX;
            let options = postgres::Options { connections_max, ..postgres::Options::default() };
            shared(address, &options).await
        }
    }
}

/// The same, for a store that is read and must be there.
///
/// # Errors
/// [`Error`].
pub async fn open_source(url: &Url) -> Result<Arc<dyn Store>, Error> {
    match url {
        Url::Sqlite(path) => {
            there(path)?;
            open_alone(url).await
        }
        Url::Postgres(_) => open_to_read(url).await,
    }
}

async fn shared(address: &Address, options: &postgres::Options) -> Result<Arc<dyn Store>, Error> {
    let store = PostgresStore::open(address, options).await;
    Ok(Arc::new(store.map_err(|source| unusable(address, source))?))
}

fn there(path: &Path) -> Result<(), Error> {
    if path.exists() { Ok(()) } else { Err(Error::Missing { path: path.to_owned() }) }
}

fn failed(path: &Path, source: sqlite::OpenError) -> Error {
    let path = path.to_owned();
    match source {
        sqlite::OpenError::InUse(_) => Error::InUse { path },
        source => Error::Sqlite { path, source },
    }
}

fn unusable(address: &Address, source: postgres::OpenError) -> Error {
    Error::Postgres { place: address.to_string(), source }
}
