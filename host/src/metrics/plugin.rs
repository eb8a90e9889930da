//! Metrics of plugins.

use super::own::{Own, RequestLabel, text};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Labels of a plugin call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabel {
    /// Configured plugin.
    pub plugin: String,
    /// `ok`, the kind of fault, `shut`: it was not called, or `called`: a shadow was.
    pub outcome: &'static str,
    /// `stable`, `canary` or `shadow`.
    pub role: &'static str,
}

/// One label, `plugin`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NameLabel {
    /// Configured plugin.
    pub plugin: String,
}

/// Labels of what became of a plugin's new version, or of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    /// Configured plugin.
    pub plugin: String,
    /// A word.
    pub result: &'static str,
}

/// Labels of a change of a plugin's breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BreakerLabel {
    /// Configured plugin.
    pub plugin: String,
    /// `open`, `reopened` (a probe failed), `closed` or `quarantined`.
    pub to: &'static str,
}

/// All of them.
#[derive(Default)]
pub struct PluginMetrics {
    /// Calls.
    pub calls: Family<CallLabel, Counter>,
    /// CPU of all calls.
    pub cpu_seconds: Family<NameLabel, Counter<f64, AtomicU64>>,
    /// The most memory an instance had.
    pub memory_peak_bytes: Family<NameLabel, Gauge>,
    /// New versions: `done`, `refused`, `held`, `rolled_back`.
    pub reloads: Family<ResultLabel, Counter>,
    /// Breakers of what serves: 0 closed, 1 open, 2 quarantined.
    pub breaker: Family<NameLabel, Gauge>,
    /// Their changes.
    pub breaker_changes: Family<BreakerLabel, Counter>,
    /// Calls of shadows: `same`, `different`, `skipped`.
    pub shadows: Family<ResultLabel, Counter>,
    /// Trap capsules: `written`, `full`, `failed`.
    pub capsules: Family<ResultLabel, Counter>,
    /// What plugins asked from outside.
    requests: Family<RequestLabel, Counter>,
    values_dropped: Family<NameLabel, Counter>,
    log_lines_dropped: Family<NameLabel, Counter>,
    /// By plugin.
    own: Mutex<BTreeMap<String, Arc<Own>>>,
}

// === impl PluginMetrics ===

impl PluginMetrics {
    #[rustfmt::skip]
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("plugin_calls", "Plugin calls, by outcome and by the part the version plays", self.calls.clone());
        r.register_with_unit("plugin_cpu", "CPU that plugins used", Unit::Seconds, self.cpu_seconds.clone());
        r.register_with_unit("plugin_memory_peak", "The most memory an instance had", Unit::Bytes, self.memory_peak_bytes.clone());
        r.register("plugin_reloads", "New versions of plugins, by what became of them", self.reloads.clone());
        r.register("plugin_breaker", "Breakers of plugins: 0 closed, 1 open, 2 quarantined", self.breaker.clone());
        r.register("plugin_breaker_changes", "Changes of plugins' breakers, by the new state", self.breaker_changes.clone());
        r.register("plugin_shadow_calls", "Calls of shadow versions, by how they compare", self.shadows.clone());
        r.register("plugin_capsules", "Capsules of poison events, by what became of them", self.capsules.clone());
        r.register("plugin_requests", "What plugins asked from outside, by interface and outcome", self.requests.clone());
        r.register("plugin_values_dropped", "Values of plugins' own numbers that were not taken", self.values_dropped.clone());
        r.register("plugin_log_lines_dropped", "Lines of plugins' logs that were not written", self.log_lines_dropped.clone());
    }

    /// The numbers that `plugin` keeps itself: the same for all its versions.
    pub fn own(&self, plugin: &str) -> Arc<Own> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let label = NameLabel { plugin: plugin.to_owned() };
            let values = self.values_dropped.get_or_create(&label).clone();
            let lines = self.log_lines_dropped.get_or_create(&label).clone();
            Arc::new(Own::new(plugin, values, lines, self.requests.clone()))
        };
        own.entry(plugin.to_owned()).or_insert_with(new).clone()
    }

    /// Writes those of all plugins.
    pub(super) fn write_own(&self, out: &mut String, prefix: &str) -> fmt::Result {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).clone();
        text::write(out, prefix, &own)
    }

    /// Counts what a call took.
    pub fn used(&self, plugin: &str, cpu: Duration, memory_bytes: u64) {
        let label = NameLabel { plugin: plugin.to_owned() };
        self.cpu_seconds.get_or_create(&label).inc_by(cpu.as_secs_f64());
        let bytes = i64::try_from(memory_bytes).unwrap_or(i64::MAX);
        let peak = self.memory_peak_bytes.get_or_create(&label);
        if bytes > peak.get() {
            peak.set(bytes);
        }
    }
}
