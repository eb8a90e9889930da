//! The one place that reads the wall clock.

use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Wall time, for stored facts. Durations come from tokio's monotonic clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the file the ban points to")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's clock, moved by the milliseconds that stand in a file. So a test moves the time of
/// a whole process, in steps and in both directions; builds for production have no such clock.
///
/// A file that is missing or unreadable moves nothing. It is read each time.
#[cfg(debug_assertions)]
#[derive(Clone, Debug)]
pub struct MovedClock(pub std::path::PathBuf);

#[cfg(debug_assertions)]
impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        SystemClock.now().plus_millis(text.trim().parse().unwrap_or(0))
    }
}

/// A clock that stands still until it is advanced. For tests and the simulation.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Standing at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.as_millis())))
    }

    /// Moves on by `millis`.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
