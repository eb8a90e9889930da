//! An outside that does what a test says and remembers what it was asked.

use crate::plugin::outside::{
    Fetch, FetchError, FetchRequest, FetchResponse, KEYS_PAGE, KeyValue, LiveKit, LiveKitError,
    Outside, Question, Space, StateError,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

type Answer = dyn Fn(&FetchRequest) -> Result<FetchResponse, FetchError> + Send + Sync;

/// HTTP by a script.
pub(crate) struct Script {
    answer: Box<Answer>,
    pub(crate) requests: Mutex<Vec<FetchRequest>>,
    /// Requests wait for it, if it is there.
    pub(crate) hold: Option<Notify>,
    pub(crate) under_way: AtomicUsize,
}

/// State in memory, for ever.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) Mutex<BTreeMap<(String, String), (Bytes, u64)>>);

/// Knows one room.
#[derive(Default)]
pub(crate) struct OneRoom(pub(crate) Mutex<Vec<(String, Question)>>);

/// An answer with nothing but a body.
pub(crate) fn says(body: &str) -> Result<FetchResponse, FetchError> {
    let body = Bytes::from(body.to_owned());
    Ok(FetchResponse { status: 200, headers: Vec::new(), body })
}

impl Script {
    pub(crate) fn new(
        answer: impl Fn(&FetchRequest) -> Result<FetchResponse, FetchError> + Send + Sync + 'static,
    ) -> Self {
        let (requests, under_way) = (Mutex::default(), AtomicUsize::new(0));
        Self { answer: Box::new(answer), requests, hold: None, under_way }
    }

    pub(crate) fn outside(self) -> (Arc<Self>, Outside) {
        let fetch = Arc::new(self);
        let state = Arc::new(Memory::default());
        let livekit = Arc::new(OneRoom::default());
        (fetch.clone(), Outside { fetch, state, livekit })
    }
}

#[async_trait]
impl Fetch for Script {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        self.requests.lock().unwrap().push(request.clone());
        self.under_way.fetch_add(1, Ordering::SeqCst);
        if let Some(hold) = &self.hold {
            hold.notified().await;
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        (self.answer)(&request)
    }
}

fn at(space: &Space, key: &str) -> (String, String) {
    (format!("{}/{}", space.plugin, space.source), key.to_owned())
}

#[async_trait]
impl KeyValue for Memory {
    async fn get(&self, space: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        Ok(self.0.lock().unwrap().get(&at(space, key)).cloned())
    }

    async fn set(
        &self,
        space: &Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        _: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        let mut values = self.0.lock().unwrap();
        let version = values.get(&at(space, key)).map(|(_, version)| *version);
        if expected.is_some_and(|expected| expected != version) {
            return Ok(None);
        }
        let next = version.unwrap_or_default() + 1;
        values.insert(at(space, key), (value, next));
        Ok(Some(next))
    }

    async fn delete(&self, space: &Space, key: &str) -> Result<bool, StateError> {
        Ok(self.0.lock().unwrap().remove(&at(space, key)).is_some())
    }

    async fn add(
        &self,
        space: &Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        let number = match self.get(space, key).await? {
            Some((value, _)) => String::from_utf8_lossy(&value).parse::<i64>().ok(),
            None => Some(0),
        };
        let sum = number.ok_or_else(|| StateError::Invalid(format!("{key} is no number")))? + delta;
        self.set(space, key, None, sum.to_string().into(), ttl).await?;
        Ok(sum)
    }

    async fn keys(
        &self,
        space: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let values = self.0.lock().unwrap();
        let mine = values.keys().filter(|(owner, _)| *owner == at(space, "").0);
        let keys = mine.map(|(_, key)| key.clone());
        let meant = keys.filter(|key| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        Ok(meant.take(KEYS_PAGE).collect())
    }
}

#[async_trait]
impl LiveKit for OneRoom {
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError> {
        self.0.lock().unwrap().push((source.to_owned(), question.clone()));
        Ok(match question {
            Question::Room(room) => Some(format!(r#"{{"name":"{room}"}}"#).into()),
            Question::Participants(_) | Question::Egress(_) => None,
            Question::Participant { .. } => None,
        })
    }
}
