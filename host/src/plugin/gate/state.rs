//! A guest's state, as far as it is granted. The space is the plugin's own, of the event's source.

use super::Pass;
use super::count::DENIED;
use crate::plugin::learn::Use;
use crate::plugin::limits;
use crate::plugin::outside::{KeyValue, Space, StateError};
use crate::plugin::permission::StateAccess;
use bytes::Bytes;
use std::future::Future;
use std::time::Duration;

/// Longest a value is kept that is not kept for ever: a hundred years.
const TTL_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// As in the metrics.
const STATE: &str = "state";

/// Why it was not done. The texts are for the guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not granted.
    #[error("{0}")]
    Denied(String),
    /// Over a limit, or no number.
    #[error("{0}")]
    Invalid(String),
    /// The space has no room.
    #[error("{0}")]
    Full(String),
    /// The store cannot be reached.
    #[error("{0}")]
    Unavailable(String),
    /// One more than is allowed.
    #[error("{0}")]
    TooMany(String),
}

// === impl Error ===

impl Error {
    /// As in the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Denied(_) => DENIED,
            Self::Invalid(_) => "invalid",
            Self::Full(_) => "full",
            Self::Unavailable(_) => "unavailable",
            Self::TooMany(_) => "too_many",
        }
    }
}

// === impl Pass ===

impl Pass {
    /// The value of a key, and its version.
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, u64)>, Error> {
        let get = async {
            let (state, space) = self.open(StateAccess::Read)?;
            self.check_key(key)?;
            self.timed(state.get(&space, key)).await
        };
        self.counted(STATE, Error::word, get).await
    }

    /// Sets a value: whatever was there, or when its version is still `expected`.
    pub async fn set(
        &self,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl_ms: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        let set = async {
            let (state, space) = self.open(StateAccess::Write)?;
            self.check_key(key)?;
            let max = self.door.limits.size(limits::STATE_VALUE_BYTES);
            if value.len() > max {
                let bytes = value.len();
                let text = format!("the value has {bytes} bytes, at most {max} are allowed");
                return Err(Error::Invalid(text));
            }
            self.timed(state.set(&space, key, expected, value, ttl(ttl_ms)?)).await
        };
        self.counted(STATE, Error::word, set).await
    }

    /// Removes a key.
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        let delete = async {
            let (state, space) = self.open(StateAccess::Write)?;
            self.check_key(key)?;
            self.timed(state.delete(&space, key)).await
        };
        self.counted(STATE, Error::word, delete).await
    }

    /// Adds to a number.
    pub async fn add(&self, key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
        let add = async {
            let (state, space) = self.open(StateAccess::Write)?;
            self.check_key(key)?;
            self.timed(state.add(&space, key, delta, ttl(ttl_ms)?)).await
        };
        self.counted(STATE, Error::word, add).await
    }

    /// Keys with a prefix, after one of them.
    pub async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        let keys = async {
            let (state, space) = self.open(StateAccess::Read)?;
            for part in [Some(prefix), after].into_iter().flatten() {
                self.check_length(part)?;
            }
            self.timed(state.keys(&space, prefix, after)).await
        };
        self.counted(STATE, Error::word, keys).await
    }

    fn open(&self, wanted: StateAccess) -> Result<(&dyn KeyValue, Space), Error> {
        let granted = self.door.permissions.state;
        if granted < wanted {
            let (wanted, granted) = (wanted.as_str(), granted.as_str());
            return Err(Error::Denied(format!("state needs {wanted}, {granted} is granted")));
        }
        self.count(&self.state_operations, limits::STATE_OPERATIONS).map_err(Error::TooMany)?;
        self.learn(Use::State(wanted));
        match &self.door.outside {
            Some(outside) => Ok((outside.state.as_ref(), self.space())),
            None => Err(Error::Denied("there is nothing outside".to_owned())),
        }
    }

    fn check_key(&self, key: &str) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::Invalid("a key has at least 1 byte".to_owned()));
        }
        self.check_length(key)
    }

    fn check_length(&self, key: &str) -> Result<(), Error> {
        let max = self.door.limits.size(limits::STATE_KEY_BYTES);
        if key.len() > max {
            let text = format!("the key has {} bytes, at most {max} are allowed", key.len());
            return Err(Error::Invalid(text));
        }
        Ok(())
    }

    async fn timed<T>(
        &self,
        operation: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, Error> {
        let left = self.left();
        match tokio::time::timeout(left, operation).await {
            Ok(result) => result.map_err(Error::from),
            Err(_) => {
                let text = format!("the store did not answer within {} ms", left.as_millis());
                Err(Error::Unavailable(text))
            }
        }
    }
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        let text = error.to_string();
        match error {
            StateError::Invalid(_) => Self::Invalid(text),
            StateError::Full(_) => Self::Full(text),
            StateError::Unavailable(_) => Self::Unavailable(text),
        }
    }
}

fn ttl(ttl_ms: Option<u64>) -> Result<Option<Duration>, Error> {
    match ttl_ms {
        Some(0) => Err(Error::Invalid("a time to live has at least 1 ms".to_owned())),
        other => Ok(other.map(|ttl_ms| Duration::from_millis(ttl_ms).min(TTL_MAX))),
    }
}
