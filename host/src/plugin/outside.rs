//! The world beyond the sandbox, as ports: what `enrich` and `action` plugins reach when they are
//! granted it. The gateway brings real ones, `plugin test` and `plugin replay` recorded ones.
//!
//! Limits, grants and secrets are not here: [`super::gate`] applies them before a port is asked.

use super::permission::{LiveKitFunction, Scheme};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// All ports of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Outside {
    /// HTTP.
    pub fetch: Arc<dyn Fetch>,
    /// State.
    pub state: Arc<dyn KeyValue>,
    /// LiveKit's server API.
    pub livekit: Arc<dyn LiveKit>,
}

/// Sends one request to an address that the policy of deliveries allows.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Sends `request` and reads the whole answer. Follows no redirect.
    ///
    /// # Errors
    /// See [`FetchError`].
    ///
    /// # Cancel safety
    /// Safe: the connection is given up. The request may have arrived.
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError>;
}

/// A request that grants and limits have passed, with its secrets in place.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// Connections are shared by requests of one pool only: a plugin's version and grant.
    pub pool: String,
    /// TLS or not.
    pub scheme: Scheme,
    /// A name in lower case without a trailing dot, or an address; IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// In upper case.
    pub method: String,
    /// With the query; begins with a slash.
    pub path: String,
    /// Checked; `host` is not among them.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Bytes,
    /// Until the whole answer is read.
    pub timeout: Duration,
    /// Most bytes of the answer's body, after decompression.
    pub response_bytes_max: usize,
    /// Most bytes of its headers.
    pub header_bytes_max: usize,
}

/// An answer of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchResponse {
    /// Such as 200.
    pub status: u16,
    /// Names in lower case; values that are no UTF-8 are left out.
    pub headers: Vec<(String, String)>,
    /// Decompressed.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// By the address policy.
    #[error("the address may not be dialled: {0}")]
    AddressRefused(String),
    /// Not in time.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// More than may be read.
    #[error("the response has more than {max} bytes of {what}")]
    TooLarge {
        /// Body or headers.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

/// The space of one plugin and source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Space {
    /// The plugin's configured name.
    pub plugin: String,
    /// The source's configured name.
    pub source: String,
}

/// Durable keys and values. Every operation is atomic.
#[async_trait]
pub trait KeyValue: Send + Sync {
    /// The value and its version.
    ///
    /// # Errors
    /// See [`StateError`].
    async fn get(&self, space: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError>;

    /// Sets a value whatever was there, or (`expected` given) only when its version is still that,
    /// `Some(None)` meaning that nothing is there. `Ok(None)` when somebody else was first.
    ///
    /// # Errors
    /// See [`StateError`].
    async fn set(
        &self,
        space: &Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StateError>;

    /// Removes a key; whether it was there.
    ///
    /// # Errors
    /// See [`StateError`].
    async fn delete(&self, space: &Space, key: &str) -> Result<bool, StateError>;

    /// Adds to a decimal number, and gives the sum.
    ///
    /// # Errors
    /// [`StateError::Invalid`] when there is no number, or the sum is none.
    async fn add(
        &self,
        space: &Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError>;

    /// At most [`KEYS_PAGE`] keys with this prefix, after one of them.
    ///
    /// # Errors
    /// See [`StateError`].
    async fn keys(
        &self,
        space: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError>;
}

/// Keys of one answer.
pub const KEYS_PAGE: usize = 100;

/// Why a state operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The value is no number, or the sum would be none.
    #[error("{0}")]
    Invalid(String),
    /// The space has no room.
    #[error("the plugin's state is full: {0}")]
    Full(String),
    /// The store cannot be reached.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// LiveKit's server API.
#[async_trait]
pub trait LiveKit: Send + Sync {
    /// Asks the server of `source`. `Ok(None)` when what was asked for is not there; lists are JSON
    /// arrays.
    ///
    /// # Errors
    /// See [`LiveKitError`].
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError>;
}

/// One question to a LiveKit server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// A room by its name.
    Room(String),
    /// The participants of a room.
    Participants(String),
    /// One participant of a room.
    Participant {
        /// The room's name.
        room: String,
        /// The participant's identity.
        identity: String,
    },
    /// The egresses of a room.
    Egress(String),
}

/// Why LiveKit gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveKitError {
    /// The source has no server configured.
    #[error("source {0} has no `server`: give its address in the gateway's configuration")]
    NoServer(String),
    /// Not reachable, not in time, or refused.
    #[error("the LiveKit server does not answer: {0}")]
    Unavailable(String),
    /// More than may be read.
    #[error("the answer has more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

// === impl Question ===

impl Question {
    /// Which function asks it.
    pub fn function(&self) -> LiveKitFunction {
        match self {
            Self::Room(_) => LiveKitFunction::GetRoom,
            Self::Participants(_) => LiveKitFunction::ListParticipants,
            Self::Participant { .. } => LiveKitFunction::GetParticipant,
            Self::Egress(_) => LiveKitFunction::ListEgress,
        }
    }
}

impl std::fmt::Debug for FetchRequest {
    /// Without path, headers and body: a secret may be in any of them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { method, scheme, host, port, .. } = self;
        write!(f, "{method} {scheme:?} {host}:{port}")
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").finish_non_exhaustive()
    }
}
