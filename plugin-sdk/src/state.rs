//! Keys and values that outlive the event: durable, shared by all hosts, one space for each plugin
//! and source. Only `#[enrich]` and `#[action]` functions may use them.
//!
//! A plugin may see an event again, so what it does here should come to the same when it is done
//! twice; [`swap`] tells when somebody else was first.
//!
//! ```
//! use livekit_webhook_plugin::prelude::*;
//! use livekit_webhook_plugin::state;
//!
//! #[enrich]
//! fn number(event: &Event) -> Result<Vec<(String, String)>, Failure> {
//!     let key = format!("events/{}", event.room_name().unwrap_or_default());
//!     let nth = state::add(&key, 1)?;
//!     Ok(vec![("nth".to_owned(), nth.to_string())])
//! }
//!
//! let event = Event::from_json(r#"{"event":"room_started","room":{"name":"demo"}}"#).unwrap();
//! assert_eq!(number(&event).unwrap()[0].1, "1");
//! assert_eq!(number(&event).unwrap()[0].1, "2");
//! ```

use crate::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A value and its version, which every change makes another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it was set.
    pub value: Vec<u8>,
    /// For [`swap`].
    pub version: u64,
}

/// Why it was not done.
///
/// `?` turns it into a [`Failure`], as with [`crate::http::Error`]; [`Error::text`] is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted. It will not work later.
    Denied(String),
    /// A key or a value is over its limit, or the value is none that can be added to.
    Invalid(String),
    /// The plugin's space is full.
    Full(String),
    /// The store cannot be reached. Later it may.
    Unavailable(String),
    /// Anything else.
    Other(String),
}

/// The value of a key.
///
/// # Errors
/// See [`Error`]; so for all of these.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(entry(key)?.map(|entry| entry.value))
}

/// The value of a key, which [`set_json`] set.
///
/// # Errors
/// Also [`Error::Invalid`] when it is no `T`.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let Some(value) = get(key)? else { return Ok(None) };
    let value = serde_json::from_slice(&value);
    value.map(Some).map_err(|error| Error::Invalid(format!("the value of {key}: {error}")))
}

/// The value of a key and its version.
///
/// # Errors
/// See [`Error`].
pub fn entry(key: &str) -> Result<Option<Entry>, Error> {
    host::get(key)
}

/// Sets a value for ever; gives its version.
///
/// # Errors
/// See [`Error`].
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<u64, Error> {
    host::set(key, value.as_ref(), None)
}

/// Sets a value for so long.
///
/// # Errors
/// See [`Error`].
pub fn set_for(key: &str, value: impl AsRef<[u8]>, time: Duration) -> Result<u64, Error> {
    host::set(key, value.as_ref(), Some(millis(time)))
}

/// Sets a value as JSON, for ever or for so long.
///
/// # Errors
/// Also [`Error::Invalid`] when it cannot be JSON.
pub fn set_json(key: &str, value: &impl Serialize, time: Option<Duration>) -> Result<u64, Error> {
    let value = serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))?;
    host::set(key, &value, time.map(millis))
}

/// Sets a value if the key still has the version `expected`, or still no value when that is `None`.
/// Gives the new version, or `None` when somebody else was first.
///
/// # Errors
/// See [`Error`].
pub fn swap(
    key: &str,
    expected: Option<u64>,
    value: impl AsRef<[u8]>,
    time: Option<Duration>,
) -> Result<Option<u64>, Error> {
    host::swap(key, expected, value.as_ref(), time.map(millis))
}

/// Adds to a decimal number, 0 when there is none, and gives the sum.
///
/// # Errors
/// Also [`Error::Invalid`] when the value is no number.
pub fn add(key: &str, delta: i64) -> Result<i64, Error> {
    host::add(key, delta, None)
}

/// The same; a number that was not there is kept for so long.
///
/// # Errors
/// As [`add`].
pub fn add_for(key: &str, delta: i64, time: Duration) -> Result<i64, Error> {
    host::add(key, delta, Some(millis(time)))
}

/// Removes a key; says whether it was there.
///
/// # Errors
/// See [`Error`].
pub fn delete(key: &str) -> Result<bool, Error> {
    host::delete(key)
}

/// At most 100 keys with this prefix in the order of their bytes, after one of them when given.
///
/// # Errors
/// See [`Error`].
pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
    host::keys(prefix, after)
}

/// At least one: nothing is kept for no time.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

// === impl Error ===

impl Error {
    /// What went wrong.
    pub fn text(&self) -> String {
        match self {
            Self::Denied(text) => format!("denied: {text}"),
            Self::Invalid(text)
            | Self::Full(text)
            | Self::Unavailable(text)
            | Self::Other(text) => text.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(_) | Error::Invalid(_) => Self::Reject(error.text()),
            Error::Unavailable(_) => Self::Retry(None),
            Error::Full(_) | Error::Other(_) => Self::Other(error.text()),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::native::outside as host;

#[cfg(target_arch = "wasm32")]
mod host {
    use super::{Entry, Error};
    use crate::bindings::base::livekit_webhook::plugin::state;

    pub fn get(key: &str) -> Result<Option<Entry>, Error> {
        let found = state::get(key)?;
        Ok(found.map(|state::Entry { value, version }| Entry { value, version }))
    }

    pub fn set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<u64, Error> {
        Ok(state::set(key, value, ttl_ms)?)
    }

    pub fn swap(
        key: &str,
        expected: Option<u64>,
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<Option<u64>, Error> {
        Ok(state::swap(key, expected, value, ttl_ms)?)
    }

    pub fn add(key: &str, delta: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
        Ok(state::add(key, delta, ttl_ms)?)
    }

    pub fn delete(key: &str) -> Result<bool, Error> {
        Ok(state::delete(key)?)
    }

    pub fn keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        Ok(state::keys(prefix, after)?)
    }

    impl From<state::Error> for Error {
        fn from(error: state::Error) -> Self {
            match error {
                state::Error::Denied(text) => Self::Denied(text),
                state::Error::Invalid(text) => Self::Invalid(text),
                state::Error::Full(text) => Self::Full(text),
                state::Error::Unavailable(text) => Self::Unavailable(text),
                state::Error::Other(text) => Self::Other(text),
            }
        }
    }
}
