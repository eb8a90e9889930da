//! What a call has used of its CPU budget, and whether its deadline has passed.
//!
//! The time of each poll of the call is added up: a call that waits is not charged, one that
//! computes is. At each tick of the engine the running guest comes back and is stopped if it is
//! over. The same place looks at the wall clock, since a runtime with one busy thread may be late
//! to fire its timers.
//!
//! Non-guarantee: the time of a poll includes what the kernel gave to other threads meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    /// CPU charged, without the poll that runs now.
    spent_ns: AtomicU64,
    /// What may be charged.
    budget_ms: AtomicU64,
    /// Start of the poll that runs now, after `started`, plus one; 0 between polls.
    poll_ns: AtomicU64,
}

// === impl Meter ===

impl Meter {
    /// An account that starts now, with a deadline `wall` after `started`.
    pub fn new(started: Instant, wall: Duration, budget: Duration) -> Self {
        Self(Arc::new(Account {
            started,
            wall_ms: millis(wall),
            spent_ns: AtomicU64::new(0),
            budget_ms: AtomicU64::new(millis(budget)),
            poll_ns: AtomicU64::new(0),
        }))
    }

    /// Starts the next stretch of the same call, with a budget of its own.
    pub fn restart(&self, budget: Duration) {
        self.0.budget_ms.store(millis(budget), Ordering::Relaxed);
        self.0.spent_ns.store(0, Ordering::Relaxed);
        if self.0.poll_ns.load(Ordering::Relaxed) != 0 {
            self.0.poll_ns.store(self.now_ns(), Ordering::Relaxed);
        }
    }

    /// Runs `future` and charges its polls.
    ///
    /// # Cancel safety
    /// As safe as `future`.
    pub async fn charge<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            self.0.poll_ns.store(self.now_ns(), Ordering::Relaxed);
            let polled = future.as_mut().poll(context);
            self.0.spent_ns.store(self.used_ns(), Ordering::Relaxed);
            self.0.poll_ns.store(0, Ordering::Relaxed);
            polled
        })
        .await
    }

    /// What to do at a tick: stop for a reason, or go on.
    pub fn verdict(&self) -> Option<Stop> {
        let limit_ms = self.0.budget_ms.load(Ordering::Relaxed);
        if self.used_ns() > limit_ms.saturating_mul(1_000_000) {
            return Some(Stop::Cpu { limit_ms });
        }
        let limit_ms = self.0.wall_ms;
        (millis(self.0.started.elapsed()) > limit_ms).then_some(Stop::Wall { limit_ms })
    }

    fn used_ns(&self) -> u64 {
        let spent = self.0.spent_ns.load(Ordering::Relaxed);
        match self.0.poll_ns.load(Ordering::Relaxed) {
            0 => spent,
            since => spent.saturating_add(self.now_ns().saturating_sub(since)),
        }
    }

    /// Since the start, plus one, so that it is never 0.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_nanos()).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
