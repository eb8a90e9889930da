//! What can go wrong with a statement, and what it means to who asked.

use crate::causes;
use crate::store::Error;
use deadpool_postgres::PoolError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// PostgreSQL's, or of the way there.
    #[error("PostgreSQL")]
    Server(#[from] tokio_postgres::Error),
    /// No connection was to be had.
    #[error("no connection to PostgreSQL")]
    Pool(#[from] PoolError),
    /// No answer in time.
    #[error("no answer from PostgreSQL in time")]
    Slow,
    /// What is stored cannot be read.
    #[error("{0}")]
    Damaged(String),
    /// The store is closed.
    #[error("closed")]
    Closed,
}

/// A write to a store that was opened for reading.
#[derive(Debug, thiserror::Error)]
#[error("the store was opened for reading only")]
pub struct ReadOnly;

// === impl Fault ===

impl Fault {
    /// Whether the statement itself is at fault: the same would fail again, others would not.
    pub fn is_of_the_statement(&self) -> bool {
        let code = match self {
            Self::Server(error) => error.code(),
            fault => return matches!(fault, Self::Damaged(_)),
        };
        // Data, constraints, syntax or privileges, and what must never happen. Without a code it
        // is about the way there.
        code.and_then(|code| code.code().get(..2))
            .is_some_and(|class| ["22", "23", "42", "XX"].contains(&class))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Closed => Self::Closed,
            Fault::Damaged(text) => Self::Damaged(text),
            fault if fault.is_of_the_statement() => Self::Damaged(causes::line(&fault)),
            fault => Self::Unavailable(Box::new(fault)),
        }
    }
}
