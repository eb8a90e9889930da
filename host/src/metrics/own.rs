//! A plugin's own numbers: counters and observations under bounded names, and what is counted of
//! the plugin beside them.
//!
//! They belong to the plugin and not to a version of it: versions that take each other's place, and
//! a canary, go on with the same ones, so that no counter goes backwards but by a restart. A shadow
//! and a fixture have others, which nobody is shown.
//!
//! Guarantee: whatever a plugin counts, it neither fills our memory with series nor makes the page
//! unreadable. Past a limit a value is dropped and the drop counted; what could clash is told apart
//! by [`text`]. Non-guarantee: a series that no version counts any more stays until the restart, and
//! keeps its place.

pub mod text;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Series (a name with its labels) of one plugin.
pub const SERIES_MAX: usize = 256;
/// Labels of one series.
pub const LABELS_MAX: usize = 4;
/// Bytes of a name, of a label's name and of a label's value.
pub const NAME_BYTES_MAX: usize = 64;

/// Labels of what a plugin asked from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabel {
    /// Configured plugin.
    pub plugin: String,
    /// `http`, `state` or `livekit`.
    pub interface: &'static str,
    /// `ok`, or why there is no answer.
    pub outcome: &'static str,
}

/// What a series holds: two kinds under one name are two series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A counter.
    Counted,
    /// How many values, and their sum.
    Observed,
}

/// A name and its labels, sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// Of its value.
    pub kind: Kind,
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Pairs of name and value, each name once.
    pub labels: Vec<(String, String)>,
}

/// What a series holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A counter.
    Count(u64),
    /// Observations: how many, and their sum.
    Observed {
        /// How many.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

/// The numbers of one plugin.
#[derive(Debug, Default)]
pub struct Own {
    plugin: String,
    series: Mutex<BTreeMap<Series, Value>>,
    /// Values that were not taken.
    pub values_dropped: Counter,
    /// Lines of its log that were not written.
    pub log_lines_dropped: Counter,
    requests: Family<RequestLabel, Counter>,
}

// === impl Own ===

impl Own {
    /// Those of `plugin`, shown with these.
    pub fn new(
        plugin: &str,
        values_dropped: Counter,
        log_lines_dropped: Counter,
        requests: Family<RequestLabel, Counter>,
    ) -> Self {
        let (plugin, series) = (plugin.to_owned(), Mutex::default());
        Self { plugin, series, values_dropped, log_lines_dropped, requests }
    }

    /// Adds to a counter.
    pub fn count(&self, name: &str, delta: u64, labels: Vec<(String, String)>) {
        self.update(Kind::Counted, name, labels, |value| {
            if let Value::Count(count) = value {
                *count = count.saturating_add(delta);
            }
        });
    }

    /// Records one value.
    pub fn observe(&self, name: &str, observed: f64, labels: Vec<(String, String)>) {
        if !observed.is_finite() {
            self.values_dropped.inc();
            return;
        }
        self.update(Kind::Observed, name, labels, |value| {
            if let Value::Observed { count, sum } = value {
                *count = count.saturating_add(1);
                *sum += observed;
            }
        });
    }

    /// Counts something it asked from outside.
    pub fn asked(&self, interface: &'static str, outcome: &'static str) {
        let label = RequestLabel { plugin: self.plugin.clone(), interface, outcome };
        self.requests.get_or_create(&label).inc();
    }

    /// How often it asked that, with that outcome.
    pub fn asked_so_far(&self, interface: &'static str, outcome: &'static str) -> u64 {
        let label = RequestLabel { plugin: self.plugin.clone(), interface, outcome };
        self.requests.get(&label).map_or(0, |counter| counter.get())
    }

    /// Everything, sorted by series.
    pub fn snapshot(&self) -> Vec<(Series, Value)> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.iter().map(|(series, value)| (series.clone(), *value)).collect()
    }

    fn update(
        &self,
        kind: Kind,
        name: &str,
        mut labels: Vec<(String, String)>,
        change: impl FnOnce(&mut Value),
    ) {
        labels.sort();
        if !is_name(name) || labels.len() > LABELS_MAX || !are_labels(&labels) {
            self.values_dropped.inc();
            return;
        }
        let series = Series { kind, name: name.to_owned(), labels };
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SERIES_MAX && !all.contains_key(&series) {
            self.values_dropped.inc();
            return;
        }
        change(all.entry(series).or_insert(match kind {
            Kind::Counted => Value::Count(0),
            Kind::Observed => Value::Observed { count: 0, sum: 0.0 },
        }));
    }
}

/// Each name once: a page with a label twice is refused whole by who reads it.
fn are_labels(sorted: &[(String, String)]) -> bool {
    let is_once = sorted.windows(2).all(|pair| match pair {
        [(first, _), (second, _)] => first != second,
        _ => true,
    });
    let is_value = |value: &str| value.len() <= NAME_BYTES_MAX && !value.contains(char::is_control);
    is_once && sorted.iter().all(|(name, value)| is_name(name) && is_value(value))
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
