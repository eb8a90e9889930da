//! Ports with nothing behind them: every question gets the answer that nobody is there.

use crate::plugin::outside::{KeyValue, LiveKit, LiveKitError, Question, Space, StateError};
use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// Neither state nor LiveKit.
pub struct Absent;

fn no_state<T>() -> Result<T, StateError> {
    Err(StateError::Unavailable("this host has no state for plugins".to_owned()))
}

#[async_trait]
impl KeyValue for Absent {
    async fn get(&self, _: &Space, _: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        no_state()
    }

    async fn set(
        &self,
        _: &Space,
        _: &str,
        _: Option<Option<u64>>,
        _: Bytes,
        _: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        no_state()
    }

    async fn delete(&self, _: &Space, _: &str) -> Result<bool, StateError> {
        no_state()
    }

    async fn add(
        &self,
        _: &Space,
        _: &str,
        _: i64,
        _: Option<Duration>,
    ) -> Result<i64, StateError> {
        no_state()
    }

    async fn keys(&self, _: &Space, _: &str, _: Option<&str>) -> Result<Vec<String>, StateError> {
        no_state()
    }
}

#[async_trait]
impl LiveKit for Absent {
    async fn ask(&self, source: &str, _: Question) -> Result<Option<Bytes>, LiveKitError> {
        Err(LiveKitError::NoServer(source.to_owned()))
    }
}
