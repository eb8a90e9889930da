//! Which adapter a URL means, and how verbs open it: to read, beside the hosts, or alone.

use crate::config::Config;
use crate::store::Store;
use crate::store::postgres::{self, Address, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Connections of one verb.
const CONNECTIONS_MAX: usize = 4;

/// Where a store is. Prints without the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Url {
    /// `sqlite:FILE`
    Sqlite(PathBuf),
    /// `postgres://…`
    Postgres(String),
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is there.
    #[error("there is no store {0}: check the path; `serve` or `store migrate` makes one")]
    Missing(Url),
    /// A host serves from it.
    #[error("a host serves from {0}: stop it first, this needs the store for itself")]
    InUse(Url),
    /// The file does not open.
    #[error("cannot open the store {url}")]
    Sqlite {
        /// As given.
        url: Url,
        /// What to do about it.
        source: sqlite::OpenError,
    },
    /// The database does not open.
    #[error("cannot open the store {url}")]
    Postgres {
        /// As given.
        url: Url,
        /// What to do about it.
        source: postgres::OpenError,
    },
}

/// Reads a store's URL.
///
/// # Errors
/// What would be right.
pub fn parse(text: &str) -> Result<Url, String> {
    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    match text.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Url::Sqlite(PathBuf::from(path))),
        None if is_postgres => match Address::parse(text) {
            Ok(_) => Ok(Url::Postgres(text.to_owned())),
            Err(error) => Err(error.to_string()),
        },
        _ => Err("expected sqlite:FILE or postgres://USER@HOST/DATABASE".to_owned()),
    }
}

/// The store that a configuration names.
pub fn of(config: &Config) -> Url {
    Url::Sqlite(config.store.path.clone())
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
            Ok(Arc::new(store.map_err(|source| sqlite_failed(url, source))?))
        }
        Url::Postgres(text) => {
            let store = PostgresStore::open_reader(text).await;
            Ok(Arc::new(store.map_err(|source| postgres_failed(url, source))?))
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
            Ok(Arc::new(store.map_err(|source| sqlite_failed(url, source))?))
        }
        Url::Postgres(_) => {
            // Refuses another schema, which a verb must not change under the hosts.
            drop(open_to_read(url).await?);
            open_alone(url).await
        }
    }
}

/// Opens a store, makes it when it is not there, and brings it to this binary's schema. No host may
/// serve from an embedded one.
///
/// # Errors
/// [`Error`].
pub async fn open_alone(url: &Url) -> Result<Arc<dyn Store>, Error> {
    match url {
        Url::Sqlite(path) => {
            let store = SqliteStore::open(path, &sqlite::Options::default());
            Ok(Arc::new(store.map_err(|source| sqlite_failed(url, source))?))
        }
        Url::Postgres(text) => {
            let connections_max = CONNECTIONS_MAX;
            let options = postgres::Options { connections_max, ..postgres::Options::default() };
            let store = PostgresStore::open(text, &options).await;
            Ok(Arc::new(store.map_err(|source| postgres_failed(url, source))?))
        }
    }
}

/// Opens a store that is copied. No host may serve from an embedded one; it is brought to this
/// binary's schema first.
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

fn there(path: &Path) -> Result<(), Error> {
    if path.exists() { Ok(()) } else { Err(Error::Missing(Url::Sqlite(path.to_owned()))) }
}

fn sqlite_failed(url: &Url, source: sqlite::OpenError) -> Error {
    match source {
        sqlite::OpenError::InUse(_) => Error::InUse(url.clone()),
        source => Error::Sqlite { url: url.clone(), source },
    }
}

fn postgres_failed(url: &Url, source: postgres::OpenError) -> Error {
    Error::Postgres { url: url.clone(), source }
}

// === impl Url ===

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(text) => match Address::parse(text) {
                Ok(address) => f.write_str(&address.place()),
                Err(_) => f.write_str("postgres://[redacted]"),
            },
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_print_no_password() {
        for (text, shown) in [
            ("sqlite:a/b.db", "sqlite:a/b.db"),
            ("postgres://u:hush@h:5433/db", "postgres://h:5433/db"),
            ("postgresql://u:hush@h/db", "postgres://h:5432/db"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
        for text in ["", "sqlite:", "a.db", "mysql://h/db", "postgres://u:hush@/db?sslmode=what"] {
            let refused = parse(text).unwrap_err();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }
}
