//! State whose store is opened after the plugins are loaded: a plugin that does not load must leave
//! no store behind.

use super::state::StoredState;
use crate::plugin::outside::{KeyValue, Space, StateError};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::OnceLock;
use std::time::Duration;

/// Answers that it is not available until it is given a store.
#[derive(Default)]
pub struct LateState(OnceLock<StoredState>);

// === impl LateState ===

impl LateState {
    /// From now on, this. The first one stays.
    pub fn give(&self, state: StoredState) {
        let _ = self.0.set(state);
    }

    fn there(&self) -> Result<&StoredState, StateError> {
        let none = || StateError::Unavailable("the gateway is starting".to_owned());
        self.0.get().ok_or_else(none)
    }
}

#[async_trait]
impl KeyValue for LateState {
    async fn get(&self, space: &Space, key: &str) -> Result<Option<(Bytes, u64)>, StateError> {
        self.there()?.get(space, key).await
    }

    async fn set(
        &self,
        space: &Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        self.there()?.set(space, key, expected, value, ttl).await
    }

    async fn delete(&self, space: &Space, key: &str) -> Result<bool, StateError> {
        self.there()?.delete(space, key).await
    }

    async fn add(
        &self,
        space: &Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        self.there()?.add(space, key, delta, ttl).await
    }

    async fn keys(
        &self,
        space: &Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        self.there()?.keys(space, prefix, after).await
    }
}
