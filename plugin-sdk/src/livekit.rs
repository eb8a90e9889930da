//! Questions to the LiveKit server of the event's source. Only `#[enrich]` and `#[action]` functions
//! may ask. Answers are JSON in the shape of webhook bodies, at most a few seconds old.
//!
//! ```
//! use livekit_webhook_plugin::prelude::*;
//! use livekit_webhook_plugin::{livekit, native};
//!
//! #[enrich]
//! fn size(event: &Event) -> Result<Vec<(String, String)>, Failure> {
//!     let room = livekit::room(&event.room_name().unwrap_or_default())?;
//!     let there = room.map_or(0, |room| room["numParticipants"].as_u64().unwrap_or(0));
//!     Ok(vec![("participants".to_owned(), there.to_string())])
//! }
//!
//! native::set_livekit("get-room", serde_json::json!({ "name": "demo", "numParticipants": 3 }));
//! let event = Event::from_json(r#"{"event":"room_started","room":{"name":"demo"}}"#).unwrap();
//! assert_eq!(size(&event).unwrap()[0].1, "3");
//! ```

use crate::Failure;
use serde_json::Value;

/// Why there is no answer.
///
/// `?` turns it into a [`Failure`], as with [`crate::http::Error`]; [`Error::text`] is what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted, or the source has no server configured. It will not work later.
    Denied(String),
    /// The server cannot be reached, or does not answer in time. Later it may.
    Unavailable(String),
    /// The answer is over a limit.
    TooLarge(String),
    /// Anything else.
    Other(String),
}

/// One room, or `None` when it is not there any more.
///
/// # Errors
/// See [`Error`]; so for all of these.
pub fn room(name: &str) -> Result<Option<Value>, Error> {
    one(host::get_room(name)?)
}

/// The participants of a room, none when the room is gone.
///
/// # Errors
/// See [`Error`].
pub fn participants(room: &str) -> Result<Vec<Value>, Error> {
    parsed(&host::list_participants(room)?)
}

/// One participant, or `None` when they left.
///
/// # Errors
/// See [`Error`].
pub fn participant(room: &str, identity: &str) -> Result<Option<Value>, Error> {
    one(host::get_participant(room, identity)?)
}

/// The egresses of a room, ended ones too.
///
/// # Errors
/// See [`Error`].
pub fn egress(room: &str) -> Result<Vec<Value>, Error> {
    parsed(&host::list_egress(room)?)
}

fn one(json: Option<Vec<u8>>) -> Result<Option<Value>, Error> {
    json.map(|json| parsed(&json)).transpose()
}

fn parsed<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|error| Error::Other(format!("the answer: {error}")))
}

// === impl Error ===

impl Error {
    /// What went wrong.
    pub fn text(&self) -> String {
        match self {
            Self::Denied(text) => format!("denied: {text}"),
            Self::Unavailable(text) | Self::TooLarge(text) | Self::Other(text) => text.clone(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(_) => Self::Reject(error.text()),
            Error::Unavailable(_) => Self::Retry(None),
            Error::TooLarge(_) | Error::Other(_) => Self::Other(error.text()),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
use crate::native::outside as host;

#[cfg(target_arch = "wasm32")]
mod host {
    use super::Error;
    use crate::bindings::base::livekit_webhook::plugin::livekit;

    pub fn get_room(room: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(livekit::get_room(room)?)
    }

    pub fn list_participants(room: &str) -> Result<Vec<u8>, Error> {
        Ok(livekit::list_participants(room)?)
    }

    pub fn get_participant(room: &str, identity: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(livekit::get_participant(room, identity)?)
    }

    pub fn list_egress(room: &str) -> Result<Vec<u8>, Error> {
        Ok(livekit::list_egress(room)?)
    }

    impl From<livekit::Error> for Error {
        fn from(error: livekit::Error) -> Self {
            match error {
                livekit::Error::Denied(text) => Self::Denied(text),
                livekit::Error::Unavailable(text) => Self::Unavailable(text),
                livekit::Error::TooLarge(text) => Self::TooLarge(text),
                livekit::Error::Other(text) => Self::Other(text),
            }
        }
    }
}
