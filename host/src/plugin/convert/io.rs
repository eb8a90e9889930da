//! What an `enrich` or `action` guest may ask of us besides. These wait, and each can be denied.
//! The gate decides; here is only which of its words are which of the contract's.

use crate::plugin::gate::{self, Gate};
use crate::plugin::instance::State;
use crate::plugin::outside::{FetchResponse, Question};
use crate::plugin::world::livekit_webhook::plugin::{http, livekit, secrets, state};
use bytes::Bytes;
use std::time::Duration;

/// An empty list.
const NONE: &[u8] = b"[]";

impl http::Host for State {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::Error>> {
        let http::Request { method, url, headers, body, timeout_ms } = request;
        let timeout = timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let request = gate::http::Request { method, url, headers, body: body.into(), timeout };
        let answer = match self.gate.pass_to("http") {
            Ok(pass) => pass.send(request).await.map_err(http::Error::from),
            Err(reason) => Err(http::Error::Denied(reason)),
        };
        Ok(answer.map(|FetchResponse { status, headers, body }| http::Response {
            status,
            headers,
            body: body.into(),
        }))
    }
}

impl secrets::Host for State {
    fn stand_in(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.gate.stand_in(&name))
    }
}

impl state::Host for State {
    async fn get(
        &mut self,
        key: String,
    ) -> wasmtime::Result<Result<Option<state::Entry>, state::Error>> {
        let found = match self.gate.pass_to("state") {
            Ok(pass) => pass.get(&key).await.map_err(state::Error::from),
            Err(reason) => Err(state::Error::Denied(reason)),
        };
        let entry = |(value, version): (Bytes, u64)| state::Entry { value: value.into(), version };
        Ok(found.map(|found| found.map(entry)))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<u64, state::Error>> {
        let set = match self.gate.pass_to("state") {
            Ok(pass) => pass.set(&key, None, value.into(), ttl_ms).await.map_err(Into::into),
            Err(reason) => Err(state::Error::Denied(reason)),
        };
        let nobody = || state::Error::Other("the store gave no version".to_owned());
        Ok(set.and_then(|version| version.ok_or_else(nobody)))
    }

    async fn swap(
        &mut self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<Option<u64>, state::Error>> {
        Ok(match self.gate.pass_to("state") {
            Ok(pass) => {
                pass.set(&key, Some(expected), value.into(), ttl_ms).await.map_err(Into::into)
            }
            Err(reason) => Err(state::Error::Denied(reason)),
        })
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<bool, state::Error>> {
        Ok(match self.gate.pass_to("state") {
            Ok(pass) => pass.delete(&key).await.map_err(Into::into),
            Err(reason) => Err(state::Error::Denied(reason)),
        })
    }

    async fn add(
        &mut self,
        key: String,
        delta: i64,
        ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<i64, state::Error>> {
        Ok(match self.gate.pass_to("state") {
            Ok(pass) => pass.add(&key, delta, ttl_ms).await.map_err(Into::into),
            Err(reason) => Err(state::Error::Denied(reason)),
        })
    }

    async fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, state::Error>> {
        Ok(match self.gate.pass_to("state") {
            Ok(pass) => pass.keys(&prefix, after.as_deref()).await.map_err(Into::into),
            Err(reason) => Err(state::Error::Denied(reason)),
        })
    }
}

impl livekit::Host for State {
    async fn get_room(
        &mut self,
        room: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, livekit::Error>> {
        Ok(ask(&self.gate, Question::Room(room)).await)
    }

    async fn list_participants(
        &mut self,
        room: String,
    ) -> wasmtime::Result<Result<Vec<u8>, livekit::Error>> {
        let list = ask(&self.gate, Question::Participants(room)).await;
        Ok(list.map(|list| list.unwrap_or_else(|| NONE.to_vec())))
    }

    async fn get_participant(
        &mut self,
        room: String,
        identity: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, livekit::Error>> {
        Ok(ask(&self.gate, Question::Participant { room, identity }).await)
    }

    async fn list_egress(
        &mut self,
        room: String,
    ) -> wasmtime::Result<Result<Vec<u8>, livekit::Error>> {
        let list = ask(&self.gate, Question::Egress(room)).await;
        Ok(list.map(|list| list.unwrap_or_else(|| NONE.to_vec())))
    }
}

async fn ask(gate: &Gate, question: Question) -> Result<Option<Vec<u8>>, livekit::Error> {
    let pass = gate.pass_to("livekit").map_err(livekit::Error::Denied)?;
    let answer = pass.ask(question).await?;
    Ok(answer.map(Into::into))
}

impl From<gate::http::Error> for http::Error {
    fn from(error: gate::http::Error) -> Self {
        use gate::http::Error;
        match error {
            Error::Denied(text) | Error::AddressRefused(text) => Self::Denied(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::TimedOut(text) => Self::TimedOut(text),
            Error::Unreachable(text) => Self::Unreachable(text),
            Error::RequestTooLarge(text) | Error::ResponseTooLarge(text) => Self::TooLarge(text),
            Error::TooMany(text) => Self::TooMany(text),
        }
    }
}

impl From<gate::state::Error> for state::Error {
    fn from(error: gate::state::Error) -> Self {
        use gate::state::Error;
        match error {
            Error::Denied(text) => Self::Denied(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::Full(text) => Self::Full(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::TooMany(text) => Self::Other(text),
        }
    }
}

impl From<gate::livekit::Error> for livekit::Error {
    fn from(error: gate::livekit::Error) -> Self {
        use gate::livekit::Error;
        match error {
            Error::Denied(text) => Self::Denied(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::TooLarge(text) => Self::TooLarge(text),
            Error::Other(text) => Self::Other(text),
        }
    }
}
