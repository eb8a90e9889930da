//! LiveKit's part: signs an act's event as LiveKit would, or not quite, and posts it to the edge.

use super::ANSWER_MAX;
use super::acts::{Act, Way};
use super::system::{API_KEY, SECRET};
use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_wire::sample::{self, Sample};
use livekit_webhook_wire::sign;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The room of the demo.
pub const ROOM: &str = "standup";
/// Its participant.
const IDENTITY: &str = "alice";
/// How old an expired token is, in seconds; LiveKit's live five minutes.
const EXPIRED_S: i64 = 3_600;

/// An event as it leaves.
#[derive(Clone, Debug)]
pub struct Sent {
    /// LiveKit's id.
    pub event_id: String,
    /// The bytes.
    pub body: String,
    /// The token.
    authorization: String,
}

/// What the edge answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// `code` of the problem details, or nothing.
    pub code: String,
    /// From the request to the last byte.
    pub took: Duration,
}

/// Posts to one address over connections that are kept.
pub struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
}

// === impl Sent ===

impl Sent {
    /// The event of act `number`; `first` is the event of the first act.
    ///
    /// # Errors
    /// When there is no such type of event.
    pub fn of(act: &Act, number: usize, first: Option<&Sent>) -> anyhow::Result<Self> {
        let now_s = SystemClock.now().as_secs();
        let event_id = sample::id("EV_", now_s.unsigned_abs(), &number.to_string());
        let event = Sample { room: ROOM, identity: IDENTITY, event_id: &event_id, now_s, seed: 1 };
        let mut body = sample::body(act.kind, &event).context(act.kind)?;
        let mut event_id = event_id.clone();
        if act.way == Way::Again {
            let first = first.context("there is no event to repeat")?;
            (event_id, body) = (first.event_id.clone(), first.body.clone());
        }
        let (secret, signed_s) = match act.way {
            Way::Forged => ("a-guessed-secret", now_s),
            Way::Expired => (SECRET, now_s - EXPIRED_S),
            _ => (SECRET, now_s),
        };
        let authorization =
            sign::authorization(API_KEY, secret.as_bytes(), body.as_bytes(), signed_s);
        if act.way == Way::Tampered {
            body = body.replacen(IDENTITY, "malic", 1);
        }
        Ok(Self { event_id, body, authorization })
    }
}

// === impl Sender ===

impl Sender {
    /// To the webhook path at `edge`.
    pub fn new(edge: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, url: format!("http://{edge}/webhook") }
    }

    /// One request, one answer.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub async fn send(&self, sent: &Sent) -> anyhow::Result<Reply> {
        let request = Request::post(&self.url)
            .header(AUTHORIZATION, &sent.authorization)
            .header(CONTENT_TYPE, "application/webhook+json")
            .header(USER_AGENT, "LiveKit")
            .body(Full::new(Bytes::from(sent.body.clone())))?;
        let began = Instant::now();
        let exchange = async {
            let (head, body) = self.client.request(request).await?.into_parts();
            anyhow::Ok((head, body.collect().await?.to_bytes()))
        };
        let (head, body) = tokio::time::timeout(ANSWER_MAX, exchange)
            .await
            .with_context(|| format!("the edge has not answered within {ANSWER_MAX:?}"))??;
        let took = began.elapsed();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, code, took })
    }
}
