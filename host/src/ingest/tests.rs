//! Ingest over real loopback sockets, with a client that writes bytes: what no HTTP library would
//! send can be sent too.

mod answers;
mod connections;
mod rates;
mod refusals;
mod trouble;

use super::*;
use crate::clock::ManualClock;
use crate::metrics::{AnswerLabel, ReasonLabel};
use crate::store::StoredEvent;
use crate::store::memory::MemoryStore;
use crate::tasks::{Stopper, stop};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::sign::authorization;
use livekit_webhook_wire::verify::{Rules, Verifier};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KEY: &str = "APIabc";
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW_S: i64 = 1_700_000_000;
/// A bound for what must happen, long enough for any machine.
const SOON: Duration = Duration::from_secs(60);
const BODY: &str =
    r#"{"event":"room_started","id":"EV_1","createdAt":"1699999999","room":{"name":"demo"}}"#;

/// The stage, serving.
struct Stage {
    address: SocketAddr,
    store: Arc<MemoryStore>,
    clock: ManualClock,
    metrics: Arc<Metrics>,
    bell: Bell,
    tasks: Tasks,
    stopper: Stopper,
}

/// An answer, read to the end of its connection.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

fn options() -> Options {
    Options {
        body_bytes_max: 100_000,
        body_bytes_in_flight_max: 1_000_000,
        body_timeout: SOON,
        answer_timeout: SOON,
        header_timeout: SOON,
        connections_max: 16,
        on_unverified: OnUnverified::Reject,
        quarantine_max: 2,
        source_rate: None,
        peer_rate: None,
    }
}

fn keys() -> KeyRing {
    let mut keys = KeyRing::new();
    keys.insert(KEY, SECRET).unwrap();
    keys
}

async fn stage() -> Stage {
    stage_with(options(), keys(), &[]).await
}

async fn stage_with(options: Options, keys: KeyRing, events: &[&str]) -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let store = Arc::new(MemoryStore::new(24 * 3_600_000));
    let clock = ManualClock::at(Timestamp::from_millis(NOW_S * 1_000));
    let (metrics, bell, tasks) = (Arc::new(Metrics::new()), Bell::new(), Tasks::new());
    let events = events.iter().map(|glob| Glob::parse(glob).unwrap()).collect();
    let source = Source { name: "prod".to_owned(), events };
    let ingest = Ingest::new(
        options,
        Known {
            verifier: Verifier::new(keys, Rules::default()),
            sources: HashMap::from([(KEY.to_owned(), source)]),
        },
        store.clone(),
        Arc::new(clock.clone()),
        Arc::new(Entropy::seeded(1)),
        bell.clone(),
        metrics.clone(),
    );
    let (stopper, stop) = stop();
    let serving = serve(listener, Arc::new(ingest), tasks.clone(), stop);
    tasks.spawn(Kind::Serve, "ingest", serving);
    Stage { address, store, clock, metrics, bell, tasks, stopper }
}

fn token(body: &[u8]) -> String {
    authorization(KEY, SECRET, body, NOW_S)
}

/// A POST with these further header lines.
fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn signed(body: &[u8]) -> Vec<u8> {
    post("/webhook", &format!("Authorization: {}\r\n", token(body)), body)
}

/// A signed POST whose body comes in chunks of `size` bytes.
fn chunked(body: &[u8], size: usize) -> Vec<Vec<u8>> {
    let token = token(body);
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let mut pieces = vec![head.into_bytes()];
    pieces.extend(body.chunks(size).map(chunk));
    pieces.push(b"0\r\n\r\n".to_vec());
    pieces
}

/// Reads an answer until the connection ends. A reset after the answer counts as an end.
async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let head = head.to_ascii_lowercase();
    assert!(!head.contains("retry-after"), "LiveKit would obey it: {head}");
    Reply { status, head, body: body.to_owned() }
}

// === impl Stage ===

impl Stage {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        read_reply(&mut stream).await
    }

    async fn events(&self) -> Vec<StoredEvent> {
        self.store
            .events(crate::store::EventFilter { limit: 1_000, ..Default::default() })
            .await
            .unwrap()
    }

    fn answers(&self, answer: &'static str) -> u64 {
        self.metrics.ingest_answers.get_or_create(&AnswerLabel { answer }).get()
    }

    fn refused(&self, reason: &'static str) -> u64 {
        self.metrics.ingest_refused.get_or_create(&ReasonLabel { reason }).get()
    }
}

// === impl Reply ===

impl Reply {
    #[track_caller]
    fn is(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        if code.is_empty() {
            assert_eq!(self.body, "");
            return;
        }
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["code"], code, "{self:?}");
        assert_eq!(problem["status"], status);
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
    }

    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|one| one == line)
    }
}
