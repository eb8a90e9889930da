//! What a call has used of its CPU budget, and whether its deadline has passed.
//!
//! The time of each poll of the call is added up: a call that waits is not charged, one that
//! computes is. At each tick of the engine the running guest comes back and is stopped if it is
//! over. A guest that runs is looked at every tick, so a longer gap is time in which the machine
//! ran something else; of it, [`GAP_MAX`] is charged. The same place looks at the wall clock, since
//! a runtime with one busy thread may be late to fire its timers.
//!
//! Non-guarantee: on a machine so busy that the ticks themselves come late, a guest may use more
//! than its budget. The deadline ends it then.

use super::engine::TICK;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is charged at most from one look to the next: two ticks.
const GAP_MAX: Duration = Duration::from_millis(2 * TICK.as_millis() as u64);

/// Why a guest was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Over its CPU budget.
    Cpu {
        /// The budget in milliseconds.
        limit_ms: u64,
    },
    /// Past its deadline.
    Wall {
        /// From the start of the call, in milliseconds.
        limit_ms: u64,
    },
}

/// The account of one call. Shared by the future that is charged and the tick that looks.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Account>);

#[derive(Debug)]
struct Account {
    started: Instant,
    wall_ms: u64,
    /// CPU charged until the last look, in this stretch.
    spent_ns: AtomicU64,
    /// And in those before it.
    before_ns: AtomicU64,
    /// What may be charged.
    budget_ms: AtomicU64,
    /// The last look, or the start of the poll that runs now, after `started`.
    looked_ns: AtomicU64,
}

// === impl Meter ===

impl Meter {
    /// An account that starts now, with a deadline `wall` after `started`.
    pub fn new(started: Instant, wall: Duration, budget: Duration) -> Self {
        Self(Arc::new(Account {
            started,
            wall_ms: millis(wall),
            spent_ns: AtomicU64::new(0),
            before_ns: AtomicU64::new(0),
            budget_ms: AtomicU64::new(millis(budget)),
            looked_ns: AtomicU64::new(0),
        }))
    }

    /// When the call ends at the latest.
    pub fn deadline(&self) -> Instant {
        self.0.started + Duration::from_millis(self.0.wall_ms)
    }

    /// Starts the next stretch of the same call, with a budget of its own.
    pub fn restart(&self, budget: Duration) {
        self.look();
        self.0.budget_ms.store(millis(budget), Ordering::Relaxed);
        let spent_ns = self.0.spent_ns.swap(0, Ordering::Relaxed);
        self.0.before_ns.fetch_add(spent_ns, Ordering::Relaxed);
    }

    /// All CPU that was charged.
    pub fn spent(&self) -> Duration {
        let spent_ns = self.0.spent_ns.load(Ordering::Relaxed);
        Duration::from_nanos(self.0.before_ns.load(Ordering::Relaxed).saturating_add(spent_ns))
    }

    /// Runs `future` and charges its polls.
    ///
    /// # Cancel safety
    /// As safe as `future`.
    pub async fn charge<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.0.looked_ns.store(self.now_ns(), Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            self.look();
            polled
        })
        .await
    }

    /// What to do at a tick, within a poll: stop for a reason, or go on.
    pub fn verdict(&self) -> Option<Stop> {
        let limit_ms = self.0.budget_ms.load(Ordering::Relaxed);
        if self.look() > limit_ms.saturating_mul(1_000_000) {
            return Some(Stop::Cpu { limit_ms });
        }
        let limit_ms = self.0.wall_ms;
        (millis(self.0.started.elapsed()) > limit_ms).then_some(Stop::Wall { limit_ms })
    }

    /// Charges what ran since the last look, and gives what is charged in all, in nanoseconds.
    fn look(&self) -> u64 {
        let now_ns = self.now_ns();
        let gap_ns = now_ns.saturating_sub(self.0.looked_ns.swap(now_ns, Ordering::Relaxed));
        let charged_ns = gap_ns.min(nanos(GAP_MAX));
        self.0.spent_ns.fetch_add(charged_ns, Ordering::Relaxed).saturating_add(charged_ns)
    }

    fn now_ns(&self) -> u64 {
        nanos(self.0.started.elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(budget_ms: u64) -> Meter {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        Meter::new(long_ago, Duration::from_secs(3600), Duration::from_millis(budget_ms))
    }

    /// As if `gap` had passed since the last look.
    fn pass(meter: &Meter, gap: Duration) {
        let looked_ns = meter.now_ns().saturating_sub(nanos(gap));
        meter.0.looked_ns.store(looked_ns, Ordering::Relaxed);
    }

    #[test]
    fn a_gap_of_many_ticks_is_charged_as_two() {
        let meter = meter(50);
        pass(&meter, 3 * GAP_MAX);
        assert_eq!(meter.look(), nanos(GAP_MAX));
        assert_eq!(meter.verdict(), None);
    }

    #[test]
    fn ticks_add_up_to_the_budget() {
        let meter = meter(3);
        pass(&meter, GAP_MAX);
        assert_eq!(meter.verdict(), None);
        pass(&meter, GAP_MAX);
        assert_eq!(meter.verdict(), Some(Stop::Cpu { limit_ms: 3 }));
        meter.restart(Duration::from_millis(3));
        assert_eq!(meter.verdict(), None);
        assert!(meter.spent() >= 2 * GAP_MAX, "earlier stretches are remembered");
    }
}
