//! An outside that misbehaves, for plugins that reach: slow, huge, failing, lying. One mood at a
//! time; what a mood is not about answers as it should.

use crate::plugin::fixture::played::Played;
use crate::plugin::outside::{
    Fetch, FetchError, FetchRequest, FetchResponse, KEYS_PAGE, KeyValue, LiveKit, LiveKitError,
    Outside, Question, Space, StateError,
};
use crate::plugin::permission::{Permissions, StateAccess};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How late a slow answer is. Few enough that a torture ends, many enough that others run meanwhile.
const LATE: Duration = Duration::from_millis(30);
/// Nesting of deep answers.
const DEPTH: usize = 10_000;
/// An answer of state or LiveKit that is large, in bytes.
const LARGE_BYTES: usize = 64 * 1024;

/// What is wrong outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing.
    Well,
    /// Statuses of failure, and no answer at all.
    HttpErrors,
    /// Bodies that are not what anybody asked for.
    HttpBodies,
    /// Headers that nobody foresaw.
    HttpHeaders,
    /// The largest answer there may be.
    HttpHuge,
    /// Late, or too late.
    HttpSlow,
    /// No state to be had.
    StateErrors,
    /// Values of somebody else, and changes that others make first.
    StateOdd,
    /// No LiveKit to be had.
    LiveKitErrors,
    /// Answers of another shape.
    LiveKitOdd,
}

/// All three ports.
pub struct Hostile {
    /// What is wrong, and in which way.
    now: Mutex<(Mood, usize)>,
    /// Whether anybody asked.
    asked: AtomicBool,
    state: Played,
}

// === impl Mood ===

impl Mood {
    /// What can go wrong for a plugin with these permissions.
    pub fn of(asked: &Permissions) -> Vec<Self> {
        let mut moods = Vec::new();
        if !asked.http.is_empty() {
            moods.extend([
                Self::HttpErrors,
                Self::HttpBodies,
                Self::HttpHeaders,
                Self::HttpHuge,
                Self::HttpSlow,
            ]);
        }
        if asked.state != StateAccess::None {
            moods.extend([Self::StateErrors, Self::StateOdd]);
        }
        if !asked.livekit.is_empty() {
            moods.extend([Self::LiveKitErrors, Self::LiveKitOdd]);
        }
        moods
    }

    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "all is well",
            Self::HttpErrors => "http: errors",
            Self::HttpBodies => "http: bodies",
            Self::HttpHeaders => "http: headers",
            Self::HttpHuge => "http: huge",
            Self::HttpSlow => "http: slow",
            Self::StateErrors => "state: errors",
            Self::StateOdd => "state: odd values",
            Self::LiveKitErrors => "livekit: errors",
            Self::LiveKitOdd => "livekit: odd",
        }
    }

    /// What it is about.
    pub fn door(self) -> Option<&'static str> {
        self.name().split_once(':').map(|(door, _)| door)
    }

    /// In how many ways.
    pub fn ways(self) -> usize {
        match self {
            Self::Well => 1,
            Self::HttpErrors => STATUSES.len() + 4,
            Self::HttpBodies => bodies().len(),
            Self::HttpHeaders => 3,
            Self::HttpHuge | Self::HttpSlow => 2,
            Self::StateErrors | Self::LiveKitErrors => 3,
            Self::StateOdd => values().len(),
            Self::LiveKitOdd => answers().len(),
        }
    }
}

/// That a plugin may meet and will not like.
const STATUSES: [u16; 8] = [204, 301, 400, 401, 404, 429, 500, 503];

fn bodies() -> Vec<Bytes> {
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let texts = ["", " ", "null", "0", "[]", "\"text\"", "{", "{\"a\":1,\"a\":2}", "<html></html>"];
    let mut bodies: Vec<_> = texts.into_iter().map(Bytes::from).collect();
    bodies.extend([Bytes::from_static(b"\xff\xfe\0\x01"), Bytes::from(deep)]);
    bodies
}

fn values() -> Vec<Bytes> {
    let texts = ["", "null", "[]", "{\"joined_ms\":\"x\"}", "-1", "99999999999999999999999"];
    let mut values: Vec<_> = texts.into_iter().map(Bytes::from).collect();
    values.extend([Bytes::from_static(b"\xff\xfe\0"), Bytes::from("9".repeat(LARGE_BYTES))]);
    values
}

fn answers() -> Vec<Option<Bytes>> {
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(LARGE_BYTES));
    let texts = ["", "null", "0", "[]", "{}", "[null]", "{\"name\":0}", "no JSON", &deep, &large];
    let answers = texts.into_iter().map(|text| Some(Bytes::from(text.to_owned())));
    answers.chain([None]).collect()
}

// === impl Hostile ===

impl Hostile {
    /// In good mood.
    pub fn new() -> Arc<Self> {
        let (now, asked) = (Mutex::new((Mood::Well, 0)), AtomicBool::new(false));
        Arc::new(Self { now, asked, state: Played::default() })
    }

    /// From now on this is wrong, in this way.
    pub fn be(&self, mood: Mood, way: usize) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = (mood, way);
    }

    /// Whether anybody met what is wrong since this was asked last.
    pub fn was_met(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// As the gateway's ports.
    pub fn outside(self: Arc<Self>) -> Outside {
        Outside { fetch: self.clone(), state: self.clone(), livekit: self }
    }

    fn now(&self) -> (Mood, usize) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, when `door` is asked.
    fn asked(&self, door: &str) -> (Mood, usize) {
        let now = self.now();
        if now.0.door() == Some(door) {
            self.asked.store(true, Ordering::Relaxed);
        }
        now
    }

    /// The value that state has for everybody, or why there is none. `None`: ask the real one.
    fn state(&self) -> Option<Result<Bytes, StateError>> {
        let (mood, way) = self.asked("state");
        match (mood, way) {
            (Mood::StateErrors, 0) => Some(Err(StateError::Unavailable("torture".to_owned()))),
            (Mood::StateErrors, 1) => Some(Err(StateError::Full("torture".to_owned()))),
            (Mood::StateErrors, _) => Some(Err(StateError::Invalid("torture".to_owned()))),
            (Mood::StateOdd, way) => values().into_iter().nth(way).map(Ok),
            _ => None,
        }
    }
}

fn answer(status: u16, headers: &[(&str, String)], body: Bytes) -> FetchResponse {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    FetchResponse { status, headers: headers.collect(), body }
}

/// Headers of a server that means no good, within what the gate lets through.
fn headers(way: usize, bytes_max: usize) -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    match way {
        0 => vec![("x", "y".repeat(bytes_max.saturating_sub(1)))],
        1 => vec![("set-cookie", String::new()); bytes_max / "set-cookie".len()],
        _ => vec![
            ("content-type", text(";;;=,")),
            ("content-type", text("text/html; charset=\u{fffd}")),
            ("content-length", text("-1")),
            ("retry-after", text("99999999999999999999")),
            ("date", text("never")),
            ("location", text("//[::]:0/\t")),
        ],
    }
}

#[async_trait]
impl Fetch for Hostile {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let (mood, way) = self.asked("http");
        let json = || [("content-type", "application/json".to_owned())];
        let well = || answer(200, &json(), Bytes::from_static(b"{}"));
        let timed_out = || {
            let timeout_ms = request.timeout.as_millis();
            FetchError::TimedOut(u64::try_from(timeout_ms).unwrap_or(u64::MAX))
        };
        match mood {
            Mood::HttpErrors => match STATUSES.get(way) {
                Some(status) => Ok(answer(*status, &json(), Bytes::from_static(b"{}"))),
                None => Err(match way - STATUSES.len() {
                    0 => FetchError::Unreachable("torture".to_owned()),
                    1 => FetchError::AddressRefused("torture".to_owned()),
                    2 => FetchError::TooLarge { what: "body", max: request.response_bytes_max },
                    _ => timed_out(),
                }),
            },
            Mood::HttpBodies => {
                let body = bodies().into_iter().nth(way).unwrap_or_default();
                Ok(answer(200, &json(), body))
            }
            Mood::HttpHeaders => {
                let headers = headers(way, request.header_bytes_max);
                Ok(answer(200, &headers, Bytes::from_static(b"{}")))
            }
            Mood::HttpHuge => {
                let room = request.response_bytes_max;
                let text = "x".repeat(room.saturating_sub(8));
                let body =
                    if way == 0 { "x".repeat(room) } else { json!({ "a": text }).to_string() };
                Ok(answer(200, &json(), Bytes::from(body)))
            }
            Mood::HttpSlow => {
                tokio::time::sleep(LATE.min(request.timeout)).await;
                if way == 0 { Ok(well()) } else { Err(timed_out()) }
            }
            _ => Ok(well()),
        }
    }
}

#[async_trait]
impl KeyValue for Hostile {
    async fn get(&self, space: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        match self.state() {
            Some(value) => value.map(|value| Some((value, u64::MAX))),
            None => self.state.get(space, key).await,
        }
    }

    async fn set(
        &self,
        space: &Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        match self.state() {
            // Somebody else is always first.
            Some(odd) => odd.map(|_| expected.is_none().then_some(u64::MAX)),
            None => self.state.set(space, key, expected, value, ttl).await,
        }
    }

    async fn delete(&self, space: &Space, key: &str) -> Result<bool, StateError> {
        match self.state() {
            Some(odd) => odd.map(|_| false),
            None => self.state.delete(space, key).await,
        }
    }

    async fn add(
        &self,
        space: &Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        match self.state() {
            Some(odd) => odd.map(|_| i64::MIN),
            None => self.state.add(space, key, delta, ttl).await,
        }
    }

    async fn keys(
        &self,
        space: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        match self.state() {
            // There is always another page.
            Some(odd) => odd.map(|_| vec![format!("{prefix}\u{202e}\0"); KEYS_PAGE]),
            None => self.state.keys(space, prefix, after).await,
        }
    }
}

#[async_trait]
impl LiveKit for Hostile {
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError> {
        let well = match &question {
            Question::Room(name) => json!({ "sid": "RM_torture", "name": name }),
            Question::Participant { identity, .. } => {
                json!({ "sid": "PA_torture", "identity": identity })
            }
            Question::Participants(_) | Question::Egress(_) => json!([]),
        };
        match self.asked("livekit") {
            (Mood::LiveKitErrors, 0) => Err(LiveKitError::NoServer(source.to_owned())),
            (Mood::LiveKitErrors, 1) => Err(LiveKitError::TooLarge { max: LARGE_BYTES }),
            (Mood::LiveKitErrors, _) => Err(LiveKitError::Unavailable("torture".to_owned())),
            (Mood::LiveKitOdd, way) => Ok(answers().into_iter().nth(way).flatten()),
            _ => Ok(Some(Bytes::from(well.to_string()))),
        }
    }
}
