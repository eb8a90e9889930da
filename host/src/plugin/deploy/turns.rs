//! How what serves changes: by a new version, by a breaker, by an operator.

use super::folder::Why;
use super::{Digest, Role, Serving, Slot, Version};
use crate::metrics::plugin::{BreakerLabel, NameLabel, ResultLabel};
use livekit_webhook_core::plugin::{Change, State, is_rolled_back};
use livekit_webhook_core::time::Timestamp;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{error, info};

// === impl Slot ===

impl Slot {
    /// Lets `version` serve from now on.
    pub fn swap(&self, version: Arc<Version>) {
        self.change(|serving| {
            let before = std::mem::replace(&mut serving.stable, version);
            // The same component with another configuration is no way back.
            if before.digest() != serving.stable.digest() {
                serving.before = Some(before);
            }
        });
        self.show();
    }

    /// What serves when a young version fails.
    pub fn set_before(&self, version: Arc<Version>) {
        self.change(|serving| serving.before = Some(version));
    }

    /// Lets a version serve so many percent of rooms, or none. One that has made way is none.
    pub fn set_canary(&self, canary: Option<(Arc<Version>, u8)>) {
        self.change(|serving| {
            // Asked in here, where nobody can be rolled back.
            serving.canary = canary.filter(|(version, _)| !version.is_rolled_back());
        });
    }

    /// Lets a version be compared, or none.
    pub fn set_shadow(&self, shadow: Option<Arc<Version>>) {
        self.change(|serving| serving.shadow = shadow);
    }

    /// Ends quarantine and rest of what serves.
    pub fn release(&self) {
        self.serving().stable.release();
        self.show();
    }

    /// What must not serve any more, once.
    pub fn take_fallen(&self) -> Vec<(Digest, Why)> {
        std::mem::take(&mut *lock(&self.fallen))
    }

    /// Where the breaker of what serves stands, in a word.
    pub fn breaker_word(&self) -> &'static str {
        match self.serving().stable.state() {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::Quarantined => "quarantined",
        }
    }

    /// Tells what became of a breaker, and goes back to the version before when that helps.
    pub(super) fn changed(&self, version: &Version, role: Role, change: Change, now: Timestamp) {
        let (plugin, digest) = (&self.name, version.digest().short());
        let to = match change {
            Change::Opened { until, periods } => {
                let until_ms = until.as_millis();
                error!(plugin, digest, periods, until_ms, "plugin rests after many faults");
                if periods == 1 { "open" } else { "reopened" }
            }
            Change::Closed => {
                info!(plugin, digest, "plugin is well again");
                "closed"
            }
            Change::Quarantined => {
                error!(plugin, digest, "plugin quarantined: it is not called until it is released");
                "quarantined"
            }
        };
        let label = BreakerLabel { plugin: plugin.clone(), to };
        self.ground.metrics.plugins.breaker_changes.get_or_create(&label).inc();
        if matches!(change, Change::Opened { .. } | Change::Quarantined) {
            let is_back = self.go_back(version, role, now);
            if is_back || change == Change::Quarantined {
                let why = if is_back { Why::RolledBack } else { Why::Quarantined };
                lock(&self.fallen).push((version.digest(), why));
            }
        }
        self.show();
        self.ground.bell.ring();
    }

    /// Automatic rollback: from a canary, or from a young version to a predecessor that was well.
    /// Whether there was one.
    fn go_back(&self, version: &Version, role: Role, now: Timestamp) -> bool {
        let mut serving = self.serving.write().unwrap_or_else(PoisonError::into_inner);
        let is_canary = role == Role::Canary;
        let before = if is_canary { Some(&serving.stable) } else { serving.before.as_ref() };
        let before = before.filter(|before| before.digest() != version.digest()).cloned();
        let is_well = before.as_ref().is_some_and(|before| before.is_well());
        let Some(before) =
            before.filter(|_| is_rolled_back(is_canary, version.since(), is_well, now))
        else {
            return false;
        };
        if is_canary {
            serving.canary = None;
        } else if serving.stable.digest() == version.digest() {
            serving.stable = before.clone();
            serving.before = None;
        } else {
            return false;
        }
        version.set_rolled_back();
        let (plugin, from, to) = (&self.name, version.digest().short(), before.digest().short());
        error!(plugin, from, to, is_canary, "plugin rolled back: the version before serves again");
        self.count_reload("rolled_back");
        true
    }

    /// Counts what became of a new version.
    pub fn count_reload(&self, result: &'static str) {
        let label = ResultLabel { plugin: self.name.clone(), result };
        self.ground.metrics.plugins.reloads.get_or_create(&label).inc();
    }

    /// The breaker of what serves, for the metrics.
    pub(super) fn show(&self) {
        let state = match self.serving().stable.state() {
            State::Closed { .. } => 0,
            State::Open { .. } => 1,
            State::Quarantined => 2,
        };
        let label = NameLabel { plugin: self.name.clone() };
        self.ground.metrics.plugins.breaker.get_or_create(&label).set(state);
    }

    fn change(&self, change: impl FnOnce(&mut Serving)) {
        change(&mut self.serving.write().unwrap_or_else(PoisonError::into_inner));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
