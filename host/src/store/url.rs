//! Where a store is, as people write it.

use super::postgres;
use std::fmt;
use std::path::{Path, PathBuf};

/// A store's place and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// `sqlite:FILE`: one host.
    Sqlite(PathBuf),
    /// `postgres://…`: any number of hosts.
    Postgres(Box<postgres::Address>),
}

/// What would be right.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither of the two.
    #[error(
        "expected sqlite: and a file, such as sqlite:livekit-webhook.db, or \
         postgres://USER@HOST/DATABASE"
    )]
    Unknown,
    /// A database that cannot be meant.
    #[error(transparent)]
    Postgres(#[from] postgres::UrlError),
}

// === impl Url ===

impl Url {
    /// Reads a URL; files are relative to `folder`.
    ///
    /// # Errors
    /// [`Error`], which shows no password.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, Error> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Box::new(postgres::Address::parse(text, folder)?)));
        }
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(folder.join(path))),
            _ => Err(Error::Unknown),
        }
    }
}

/// Without the password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests;
