//! [`LiveKit`] by four calls of its server API, as protobuf over Twirp, through the port [`Fetch`].
//!
//! Not through `livekit-api`: its HTTP client cannot be told to ignore the environment's proxies,
//! to follow no redirect and to bound what it reads. The requests are four small messages, which
//! [`call`] makes from the same definitions (`livekit-protocol`).
//!
//! An answer is kept for [`FRESH`], a failure for [`FAILED_FRESH`]: many events of one room come at
//! once and ask the same. Whoever asks what is being asked waits for that answer; when the one who
//! asked first gives up, the next one asks. Every request has a token of its own that allows this
//! question and lives for a minute. What is kept is bounded ([`ENTRIES_MAX`], [`KEPT_BYTES_MAX`]),
//! and so are requests under way to one server ([`REQUESTS_MAX`]) and the time of a question
//! ([`TIMEOUT`]), waiting included.
//!
//! Guarantee: no key, secret or token is in an answer, an error or the log. Non-guarantee: that an
//! answer is as new as the event that asked.

use crate::clock::Clock;
use crate::plugin::outside::{Fetch, LiveKit, LiveKitError, Question};
use async_trait::async_trait;
use bytes::Bytes;
use kept::Kept;
use livekit_webhook_core::endpoint::EndpointUrl;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

mod call;
mod json;
mod kept;

/// Longest answer, as it comes and as JSON, in bytes: 1 MiB.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long an answer is kept.
pub const FRESH: Duration = Duration::from_secs(2);
/// How long a failure is kept.
pub const FAILED_FRESH: Duration = Duration::from_millis(500);
/// Longest time of a question.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Most answers that are kept.
pub const ENTRIES_MAX: usize = 1_024;
/// Most bytes of answers that are kept: 16 MiB.
pub const KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most requests under way to one server.
pub const REQUESTS_MAX: usize = 16;
/// Longest name of a room or a participant, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

/// The LiveKit servers of all sources that name one.
pub struct LiveKitServers {
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
    kept: Kept,
}

/// A source's server, and the key its webhooks are signed with.
pub struct Server {
    url: EndpointUrl,
    api_key: String,
    secret: Vec<u8>,
    places: Semaphore,
}

// === impl Server ===

impl Server {
    /// The server at `url`, of which only scheme, host and port are used.
    pub fn new(url: EndpointUrl, api_key: &str, secret: &[u8]) -> Self {
        let (api_key, secret) = (api_key.to_owned(), secret.to_vec());
        Self { url, api_key, secret, places: Semaphore::new(REQUESTS_MAX) }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url.authority()).finish_non_exhaustive()
    }
}

// === impl LiveKitServers ===

impl LiveKitServers {
    /// Asks through `fetch`, which decides what may be dialled: give it one that may reach the
    /// operator's own network.
    pub fn new(
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        servers: BTreeMap<String, Server>,
    ) -> Self {
        let asked = Self { fetch, clock, servers: Mutex::default(), kept: Kept::default() };
        asked.replace(servers);
        asked
    }

    /// Takes other servers and keys, by the sources' names, for every question from now on. What was
    /// answered before is forgotten.
    pub fn replace(&self, servers: BTreeMap<String, Server>) {
        let servers = servers.into_iter().map(|(source, server)| (source, Arc::new(server)));
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers.collect();
        self.kept.clear();
    }

    fn server(&self, source: &str) -> Option<Arc<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }

    async fn request(&self, server: &Server, question: &Question) -> kept::Answer {
        // Only closed semaphores refuse, and nobody closes this one.
        let _place = server.places.acquire().await.map_err(|_| unavailable("the gateway stops"))?;
        let now_s = self.clock.now().as_secs();
        call::answer(&*self.fetch, server, question, now_s).await
    }
}

#[async_trait]
impl LiveKit for LiveKitServers {
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError> {
        let server = self.server(source);
        let server = server.ok_or_else(|| LiveKitError::NoServer(source.to_owned()))?;
        if names(&question).into_iter().any(|name| name.len() > NAME_BYTES_MAX) {
            return Err(unavailable("the name is too long"));
        }
        let key = (source.to_owned(), question.clone());
        let asked = self.kept.get_or(key, || self.request(&server, &question));
        let late = || unavailable(&format!("no answer within {} ms", TIMEOUT.as_millis()));
        tokio::time::timeout(TIMEOUT, asked).await.unwrap_or_else(|_| Err(late()))
    }
}

impl fmt::Debug for LiveKitServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveKitServers").finish_non_exhaustive()
    }
}

fn names(question: &Question) -> Vec<&str> {
    match question {
        Question::Room(room) | Question::Participants(room) | Question::Egress(room) => vec![room],
        Question::Participant { room, identity } => vec![room, identity],
    }
}

fn unavailable(text: &str) -> LiveKitError {
    LiveKitError::Unavailable(text.to_owned())
}

#[cfg(test)]
mod tests;
