//! Ports that answer from a tape. Nothing outside is asked.

use super::{Tape, convert, each_text, marks};
use crate::plugin::gate::Secret;
use crate::plugin::gate::stand_in::{Place, StandIns};
use crate::plugin::outside::{
    Fetch, FetchError, FetchRequest, FetchResponse, KeyValue, LiveKit, LiveKitError, Outside,
    Question, Space, StateError,
};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

struct Player {
    tape: Tape,
    marks: StandIns,
}

pub fn ports(tape: Tape, secrets: &BTreeMap<String, Secret>) -> Outside {
    let player = Arc::new(Player { tape, marks: marks(secrets) });
    Outside { fetch: player.clone(), state: player.clone(), livekit: player }
}

// === impl Player ===

impl Player {
    /// The answer, as it came before marks were put into it.
    fn next(&self, port: &str, asked: String) -> Result<Value, String> {
        let answer = self.tape.next(port, &self.marks.take_out_of_text(asked))?;
        let reveal = |text: &str| {
            let put = self.marks.put(Bytes::copy_from_slice(text.as_bytes()), Place::Plain);
            put.map_or_else(String::new, |put| String::from_utf8_lossy(&put).into_owned())
        };
        Ok(each_text(&answer, &reveal))
    }

    fn state(&self, asked: String) -> Result<Value, StateError> {
        convert::to_state(self.next("state", asked))
    }
}

#[async_trait]
impl Fetch for Player {
    async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, FetchError> {
        let answer = self.next("fetch", convert::request(&request));
        convert::to_response(&answer.map_err(FetchError::Unreachable)?)
    }
}

#[async_trait]
impl KeyValue for Player {
    async fn get(&self, _: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        let found = self.state(format!("get {key}"))?;
        let version = found["version"].as_u64();
        Ok(version.map(|version| (convert::to_bytes(&found["value"]), version)))
    }

    async fn set(
        &self,
        _: &Space,
        key: &str,
        _: Option<Option<u64>>,
        _: Bytes,
        _: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        Ok(self.state(format!("set {key}"))?.as_u64())
    }

    async fn delete(&self, _: &Space, key: &str) -> Result<bool, StateError> {
        Ok(self.state(format!("delete {key}"))?.as_bool().unwrap_or_default())
    }

    async fn add(
        &self,
        _: &Space,
        key: &str,
        delta: i64,
        _: Option<Duration>,
    ) -> Result<i64, StateError> {
        Ok(self.state(format!("add {delta} to {key}"))?.as_i64().unwrap_or_default())
    }

    async fn keys(
        &self,
        _: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let found = self.state(format!("keys {prefix} after {}", after.unwrap_or_default()))?;
        Ok(serde_json::from_value(found).unwrap_or_default())
    }
}

#[async_trait]
impl LiveKit for Player {
    async fn ask(&self, source: &str, question: Question) -> Result<Option<Bytes>, LiveKitError> {
        convert::to_told(self.next("livekit", convert::question(source, &question)))
    }
}
