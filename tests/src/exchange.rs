//! One request and its answer, and the events that stories send.
//!
//! Events are LiveKit's (the samples of `host/wire`), signed as LiveKit signs them. Every request
//! has a connection of its own, so that no story depends on what another left behind.

use crate::livekit::raw::{self, Manner};
use anyhow::Context as _;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::sample::{self, Sample};
use livekit_webhook_wire::sign;
use std::net::SocketAddr;
use std::time::Duration;

/// The key that stories sign with.
pub const API_KEY: &str = "APIstories";
/// Its secret.
pub const SECRET: &str = "the-secret-of-the-stories-000000001";
/// The longest that a story waits for anything. Only a failing story waits so long.
pub const BOUND: Duration = Duration::from_secs(30);

/// An answer, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

// === impl Reply ===

impl Reply {
    /// Reads the bytes of an answer.
    ///
    /// # Errors
    /// When they are none.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) =
            text.split_once("\r\n\r\n").with_context(|| format!("no answer: {text:?}"))?;
        let status = raw::status(bytes).with_context(|| format!("no status: {head:?}"))?;
        Ok(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> Option<String> {
        let problem: serde_json::Value = serde_json::from_str(&self.body).ok()?;
        problem.get("code")?.as_str().map(str::to_owned)
    }
}

/// Unix time, in seconds.
pub fn now_s() -> i64 {
    SystemClock.now().as_secs()
}

/// The body of one of LiveKit's events.
///
/// # Panics
/// When LiveKit sends no such event.
#[expect(clippy::expect_used, reason = "a story that names no event is wrong")]
pub fn event(kind: &str, room: &str, id: &str) -> String {
    let sample = Sample { room, identity: "alice", event_id: id, now_s: now_s(), seed: 1 };
    sample::body(kind, &sample).expect("one of LiveKit's events")
}

/// LiveKit's token over `body`, by the key of the stories.
pub fn token(body: &str) -> String {
    token_at(body, now_s())
}

/// The same, signed at that time.
pub fn token_at(body: &str, now_s: i64) -> String {
    sign::authorization(API_KEY, SECRET.as_bytes(), body.as_bytes(), now_s)
}

/// Posts `body` to `/webhook`, signed by the key of the stories.
///
/// # Errors
/// When there is no connection or no answer.
pub async fn post(to: SocketAddr, body: &str) -> anyhow::Result<Reply> {
    post_as(to, &token(body), body).await
}

/// Posts `body` to `/webhook` with this token.
///
/// # Errors
/// As [`post`].
pub async fn post_as(to: SocketAddr, authorization: &str, body: &str) -> anyhow::Result<Reply> {
    let headers = [("Authorization", authorization), ("Content-Type", "application/webhook+json")];
    exchange(to, &raw::request("/webhook", &headers, body.as_bytes())).await
}

/// A page.
///
/// # Errors
/// As [`post`].
pub async fn get(to: SocketAddr, path: &str) -> anyhow::Result<Reply> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    exchange(to, request.as_bytes()).await
}

/// Any bytes, at once; reads until the other side closes.
///
/// # Errors
/// As [`post`].
pub async fn exchange(to: SocketAddr, bytes: &[u8]) -> anyhow::Result<Reply> {
    Reply::parse(&raw::send(to, bytes, Manner::Whole, BOUND).await?)
}
