//! [`KeyValue`] over the store: what plugins keep is as durable as events, and shared by all hosts.
//!
//! Guarantee: an answer is committed and synced, and every operation is atomic over all hosts.
//! Non-guarantee: that the clocks of hosts agree when a time is over.

use crate::clock::Clock;
use crate::plugin::outside::{self, KEYS_PAGE, KeyValue, StateError};
use crate::store::plugin_state::{Change, Changed, Limits, Only, Page, Refusal, Space, What};
use crate::store::{self, Store};
use async_trait::async_trait;
use bytes::Bytes;
use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// State in the store.
pub struct StoredState {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

// === impl StoredState ===

impl StoredState {
    /// Keeps at most `limits` for each plugin and source.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { store, clock, limits }
    }

    async fn change(
        &self,
        space: &outside::Space,
        key: &str,
        what: impl FnOnce(Timestamp) -> What + Send,
    ) -> Result<Changed, StateError> {
        let now = self.clock.now();
        let what = what(now);
        let change = Change { space: of(space), key: key.to_owned(), what, limits: self.limits };
        match self.store.change_plugin_state(now, change).await.map_err(failed)? {
            Changed::Refused(refusal) => Err(refused(refusal)),
            changed => Ok(changed),
        }
    }
}

#[async_trait]
impl KeyValue for StoredState {
    async fn get(
        &self,
        space: &outside::Space,
        key: &str,
    ) -> Result<Option<(Bytes, u64)>, StateError> {
        let found = self.store.plugin_state(self.clock.now(), &of(space), key).await;
        Ok(found.map_err(failed)?.map(|entry| (entry.value, entry.version)))
    }

    async fn set(
        &self,
        space: &outside::Space,
        key: &str,
        expected: Option<Option<u64>>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StateError> {
        let only = match expected {
            None => Only::Always,
            Some(None) => Only::Absent,
            Some(Some(version)) => Only::Version(version),
        };
        let what = |now| What::Set { value, expires_at: over_at(now, ttl), only };
        match self.change(space, key, what).await? {
            Changed::Set(version) => Ok(Some(version)),
            Changed::Stale => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    async fn delete(&self, space: &outside::Space, key: &str) -> Result<bool, StateError> {
        match self.change(space, key, |_| What::Delete).await? {
            Changed::Deleted(was_there) => Ok(was_there),
            other => Err(unexpected(&other)),
        }
    }

    async fn add(
        &self,
        space: &outside::Space,
        key: &str,
        delta: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, StateError> {
        let what = |now| What::Add { delta, expires_at: over_at(now, ttl) };
        match self.change(space, key, what).await? {
            Changed::Sum(sum) => Ok(sum),
            other => Err(unexpected(&other)),
        }
    }

    async fn keys(
        &self,
        space: &outside::Space,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, StateError> {
        let page = Page {
            space: of(space),
            prefix: prefix.to_owned(),
            after: after.map(str::to_owned),
            limit: KEYS_PAGE,
        };
        self.store.plugin_state_keys(self.clock.now(), page).await.map_err(failed)
    }
}

fn of(space: &outside::Space) -> Space {
    Space { plugin: space.plugin.clone(), source: space.source.clone() }
}

/// A time that is longer than time itself is for ever.
fn over_at(now: Timestamp, ttl: Option<Duration>) -> Option<Timestamp> {
    let millis = ttl.and_then(|ttl| i64::try_from(ttl.as_millis()).ok())?;
    Some(now.plus_millis(millis))
}

fn refused(refusal: Refusal) -> StateError {
    match refusal {
        Refusal::Keys(_) | Refusal::Bytes(_) => StateError::Full(refusal.to_string()),
        _ => StateError::Invalid(refusal.to_string()),
    }
}

/// A plugin is told what follows, not how the store is made.
fn failed(error: store::Error) -> StateError {
    tracing::warn!(error = &error as &dyn std::error::Error, "a plugin's state was not reached");
    StateError::Unavailable(error.to_string())
}

fn unexpected(changed: &Changed) -> StateError {
    StateError::Unavailable(format!("the store answered {changed:?}"))
}

#[cfg(test)]
mod tests;
