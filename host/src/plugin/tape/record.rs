//! Ports that pass on, and keep what was said.

use super::{Entry, Tape, convert, each_text, marks};
use crate::plugin::gate::Secret;
use crate::plugin::gate::stand_in::StandIns;
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
    marks: StandIns,
}

pub fn ports(tape: Tape, outside: &Outside, secrets: &BTreeMap<String, Secret>) -> Outside {
    let recorder = Arc::new(Recorder { tape, outside: outside.clone(), marks: marks(secrets) });
    Outside { fetch: recorder.clone(), state: recorder.clone(), livekit: recorder }
}

// === impl Recorder ===

impl Recorder {
    fn keep(&self, port: &str, asked: &str, answer: &Value) {
        let hide = |text: &str| self.marks.take_out_of_text(text.to_owned());
        let (asked, answer) = (hide(asked), each_text(answer, &hide));
        self.tape.keep(Entry { port: port.to_owned(), asked, answer });
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
