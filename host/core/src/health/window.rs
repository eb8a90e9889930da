//! The last minute of one endpoint's results, in one host's memory.

use crate::time::Timestamp;

/// What the breaker looks at, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Results below which no ratio is taken.
pub const RESULTS_MIN: u32 = 10;
/// Connection-level failures in a row that open a breaker by themselves.
pub const CONNECTION_FAILURES_MAX: u32 = 5;
/// Parts of the window: what leaves it leaves in sixths.
const BUCKETS: i64 = 6;
const BUCKET_MS: i64 = WINDOW_MS / BUCKETS;

/// Results of the last minute, in six buckets.
#[derive(Clone, Debug, Default)]
pub struct Window {
    buckets: [Bucket; BUCKETS as usize],
    connection_failures: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Number of the bucket since the epoch.
    number: i64,
    results: u32,
    failures: u32,
}

// === impl Window ===

impl Window {
    /// Counts one result.
    pub fn count(&mut self, now: Timestamp, is_failure: bool, is_connection_failure: bool) {
        let number = now.as_millis().div_euclid(BUCKET_MS);
        let index = number.rem_euclid(BUCKETS) as usize;
        if let Some(bucket) = self.buckets.get_mut(index) {
            if bucket.number != number {
                *bucket = Bucket { number, results: 0, failures: 0 };
            }
            bucket.results = bucket.results.saturating_add(1);
            bucket.failures = bucket.failures.saturating_add(u32::from(is_failure));
        }
        self.connection_failures = match is_connection_failure {
            true => self.connection_failures.saturating_add(1),
            false => 0,
        };
    }

    /// Whether the breaker opens: half of at least ten results failed, or five connections in a row
    /// did not come up.
    pub fn is_over_limit(&self, now: Timestamp) -> bool {
        let newest = now.as_millis().div_euclid(BUCKET_MS);
        let recent = |bucket: &&Bucket| (newest - BUCKETS + 1..=newest).contains(&bucket.number);
        let (mut results, mut failures) = (0_u32, 0_u32);
        for bucket in self.buckets.iter().filter(recent) {
            results = results.saturating_add(bucket.results);
            failures = failures.saturating_add(bucket.failures);
        }
        let is_ratio = results >= RESULTS_MIN && failures.saturating_mul(2) >= results;
        is_ratio || self.connection_failures >= CONNECTION_FAILURES_MAX
    }

    /// Forgets everything: a new period begins.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
