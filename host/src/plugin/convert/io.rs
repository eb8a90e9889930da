//! What an `enrich` or `action` guest may ask of us besides. These wait, and each can be denied.

use crate::plugin::instance::State;
use crate::plugin::world::livekit_webhook::plugin::{http, livekit, secrets, state};

/// Until the gate lets anything pass.
const DENIED: &str = "nothing is granted";

impl http::Host for State {
    async fn send(
        &mut self,
        _request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::Error>> {
        Ok(Err(http::Error::Denied(DENIED.to_owned())))
    }
}

impl secrets::Host for State {
    fn stand_in(&mut self, _name: String) -> wasmtime::Result<Option<String>> {
        Ok(None)
    }
}

impl state::Host for State {
    async fn get(
        &mut self,
        _key: String,
    ) -> wasmtime::Result<Result<Option<state::Entry>, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }

    async fn set(
        &mut self,
        _key: String,
        _value: Vec<u8>,
        _ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<u64, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }

    async fn swap(
        &mut self,
        _key: String,
        _expected: Option<u64>,
        _value: Vec<u8>,
        _ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<Option<u64>, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }

    async fn delete(&mut self, _key: String) -> wasmtime::Result<Result<bool, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }

    async fn add(
        &mut self,
        _key: String,
        _delta: i64,
        _ttl_ms: Option<u64>,
    ) -> wasmtime::Result<Result<i64, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }

    async fn keys(
        &mut self,
        _prefix: String,
        _after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, state::Error>> {
        Ok(Err(state::Error::Denied(DENIED.to_owned())))
    }
}

impl livekit::Host for State {
    async fn get_room(
        &mut self,
        _room: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, livekit::Error>> {
        Ok(Err(livekit::Error::Denied(DENIED.to_owned())))
    }

    async fn list_participants(
        &mut self,
        _room: String,
    ) -> wasmtime::Result<Result<Vec<u8>, livekit::Error>> {
        Ok(Err(livekit::Error::Denied(DENIED.to_owned())))
    }

    async fn get_participant(
        &mut self,
        _room: String,
        _identity: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, livekit::Error>> {
        Ok(Err(livekit::Error::Denied(DENIED.to_owned())))
    }

    async fn list_egress(
        &mut self,
        _room: String,
    ) -> wasmtime::Result<Result<Vec<u8>, livekit::Error>> {
        Ok(Err(livekit::Error::Denied(DENIED.to_owned())))
    }
}
