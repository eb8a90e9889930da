//! Which adapter a URL means, and how verbs open it: beside the hosts, or alone.

use crate::config::Config;
use crate::store::Store;
use crate::store::sqlite::{self, SqliteStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// `sqlite:FILE`
    Sqlite(PathBuf),
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there.
    #[error(
        "there is no store {}: check the path; `serve` or `store migrate` makes one",
        path.display()
    )]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// A host serves from it.
    #[error(
        "a host serves from {}: stop it first, this needs the store for itself", path.display()
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
}

/// Reads a store's URL.
///
/// # Errors
/// What would be right.
pub fn parse(text: &str) -> Result<Url, String> {
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Url::Sqlite(PathBuf::from(path))),
        _ => Err("expected sqlite: and a file, such as sqlite:livekit-webhook.db".to_owned()),
    }
}

/// The store that a configuration names.
pub fn of(config: &Config) -> Url {
    Url::Sqlite(config.store.path.clone())
}

/// Opens a store beside the hosts that serve from it.
///
/// # Errors
/// [`Error`].
pub async fn open_beside(url: &Url) -> Result<Arc<dyn Store>, Error> {
    let Url::Sqlite(path) = url;
    there(path)?;
    let store = SqliteStore::open_reader(path).map_err(|source| failed(path, source))?;
    Ok(Arc::new(store))
}

/// Opens a store for oneself, makes it when it is not there, and brings it to this binary's schema.
///
/// # Errors
/// [`Error`].
pub async fn open_alone(url: &Url) -> Result<Arc<dyn Store>, Error> {
    let Url::Sqlite(path) = url;
    let store = SqliteStore::open(path, &sqlite::Options::default());
    Ok(Arc::new(store.map_err(|source| failed(path, source))?))
}

/// The same, for a store that is read and must be there.
///
/// # Errors
/// [`Error`].
pub async fn open_source(url: &Url) -> Result<Arc<dyn Store>, Error> {
    let Url::Sqlite(path) = url;
    there(path)?;
    open_alone(url).await
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
