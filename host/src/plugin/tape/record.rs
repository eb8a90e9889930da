//! Ports that pass on, and keep what was said.

use super::{Entry, Tape, convert, mark};
use crate::plugin::gate::Secret;
use crate::plugin::outside::{
    Fetch, FetchError, FetchRequest, FetchResponse, KeyValue, LiveKit, LiveKitError, Outside,
    Question, Space, StateError,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

struct Recorder {
    tape: Tape,
    outside: Outside,
    /// Values, as text, and what is written in their place.
    secrets: Vec<(String, String)>,
}

pub fn ports(tape: Tape, outside: &Outside, secrets: &BTreeMap<String, Secret>) -> Outside {
    let text = |(name, secret): (&String, &Secret)| {
        let value = std::str::from_utf8(secret.reveal()).ok().filter(|text| !text.is_empty())?;
        Some((value.to_owned(), mark(name)))
    };
    let secrets = secrets.iter().filter_map(text).collect();
    let recorder = Arc::new(Recorder { tape, outside: outside.clone(), secrets });
    Outside { fetch: recorder.clone(), state: recorder.clone(), livekit: recorder }
}

// === impl Recorder ===

impl Recorder {
    fn keep(&self, port: &str, asked: &str, answer: &Value) {
        let (asked, answer) = (self.hide(asked), self.hide_all(answer));
        self.tape.keep(Entry { port: port.to_owned(), asked, answer });
    }

    fn hide(&self, text: &str) -> String {
        let hidden = self.secrets.iter();
        hidden.fold(text.to_owned(), |text, (value, mark)| text.replace(value, mark))
    }

    fn hide_all(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.hide(text).into(),
            Value::Array(items) => items.iter().map(|item| self.hide_all(item)).collect(),
            Value::Object(members) => {
                let members = members.iter();
                members.map(|(name, value)| (name.clone(), self.hide_all(value))).collect()
            }
            other => other.clone(),
        }
    }
}

#[async_trait]
impl Fetch for Recorder {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let asked = convert::request(&request);
        let answer = self.outside.fetch.fetch(request).await;
        self.keep("fetch", &asked, &convert::response(&answer));
        answer
    }
}

#[async_trait]
impl KeyValue for Recorder {
    async fn get(&self, space: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        let answer = self.outside.state.get(space, key).await;
        let value = |found: &Option<(Bytes, u64)>| {
            found.as_ref().map_or(
                Value::Null,
                |(value, version)| json!({ "value": convert::bytes(value), "version": version }),
            )
        };
        self.keep("state", &format!("get {key}"), &convert::state(&answer, value));
        answer
    }

    async fn set(
        &self,
        space: &Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        let answer = self.outside.state.set(space, key, expected, value, ttl).await;
        self.keep(
            "state",
            &format!("set {key}"),
            &convert::state(&answer, |version| json!(version)),
        );
        answer
    }

    async fn delete(&self, space: &Space, key: &str) -> Result<bool, StateError> {
        let answer = self.outside.state.delete(space, key).await;
        self.keep("state", &format!("delete {key}"), &convert::state(&answer, |was| json!(was)));
        answer
    }

    async fn add(
        &self,
        space: &Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        let answer = self.outside.state.add(space, key, delta, ttl).await;
        let asked = format!("add {delta} to {key}");
        self.keep("state", &asked, &convert::state(&answer, |sum| json!(sum)));
        answer
    }

    async fn keys(
        &self,
        space: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let answer = self.outside.state.keys(space, prefix, after).await;
        let asked = format!("keys {prefix} after {}", after.unwrap_or_default());
        self.keep("state", &asked, &convert::state(&answer, |keys| json!(keys)));
        answer
    }
}

#[async_trait]
impl LiveKit for Recorder {
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError> {
        let asked = convert::question(source, &question);
        let answer = self.outside.livekit.ask(source, question).await;
        self.keep("livekit", &asked, &convert::told(&answer));
        answer
    }
}
