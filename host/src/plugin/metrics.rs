//! Numbers of guests: counters and observations under bounded names.
//!
//! A plugin cannot fill our memory with series: past the limits a value is dropped and the drop
//! counted. Nothing shows them yet: `/metrics` has none of a guest's own numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Series (a name with its labels) of one plugin.
pub const SERIES_MAX: usize = 256;
/// Labels of one series.
pub const LABELS_MAX: usize = 4;
/// Bytes of a name, of a label's name and of a label's value.
pub const NAME_BYTES_MAX: usize = 64;

/// A name and its labels, sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Pairs of name and value.
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

/// All series of one plugin.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Series, Value>>,
    dropped: AtomicU64,
}

// === impl Metrics ===

impl Metrics {
    /// Adds to a counter.
    pub fn count(&self, name: &str, delta: u64, labels: Vec<(String, String)>) {
        self.update(name, labels, Value::Count(0), |value| match value {
            Value::Count(count) => {
                *count = count.saturating_add(delta);
                true
            }
            Value::Observed { .. } => false,
        });
    }

    /// Records one value.
    pub fn observe(&self, name: &str, observed: f64, labels: Vec<(String, String)>) {
        let none = Value::Observed { count: 0, sum: 0.0 };
        self.update(name, labels, none, |value| match value {
            Value::Observed { count, sum } if observed.is_finite() => {
                *count = count.saturating_add(1);
                *sum += observed;
                true
            }
            Value::Count(_) | Value::Observed { .. } => false,
        });
    }

    /// Everything, sorted by series.
    pub fn snapshot(&self) -> Vec<(Series, Value)> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.iter().map(|(series, value)| (series.clone(), *value)).collect()
    }

    /// Values that were not taken.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn update(
        &self,
        name: &str,
        mut labels: Vec<(String, String)>,
        none: Value,
        change: impl FnOnce(&mut Value) -> bool,
    ) {
        labels.sort();
        let named = is_name(name)
            && labels.len() <= LABELS_MAX
            && labels.iter().all(|(name, value)| is_name(name) && value.len() <= NAME_BYTES_MAX);
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let series = Series { name: name.to_owned(), labels };
        let taken = named
            && (all.contains_key(&series) || all.len() < SERIES_MAX)
            && change(all.entry(series).or_insert(none));
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
