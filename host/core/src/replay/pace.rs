//! How fast a replay goes: so many deliveries planned per second, counted in thousandths.
//!
//! The time of the last step stands in the store with the replay, so that several hosts keep one
//! rate without talking to each other: whoever takes the next step sees how long ago the last one
//! was.

use crate::time::Timestamp;

/// Slowest rate, in thousandths of a delivery per second: one in 100 seconds.
pub const RATE_MILLI_MIN: u32 = 10;
/// Fastest rate: 10,000 deliveries per second.
pub const RATE_MILLI_MAX: u32 = 10_000_000;
/// Rate unless given: 50 deliveries per second.
pub const RATE_MILLI_DEFAULT: u32 = 50_000;
/// What was not used counts for so long, in milliseconds: a host that was away does not catch up.
const UNUSED_MS_MAX: i64 = 1_000;

/// Deliveries that may be planned at `now` when everything up to `since` is used up.
pub fn allowance(rate_milli: u32, since: Timestamp, now: Timestamp) -> usize {
    let interval_ms = interval_ms(rate_milli).ceil() as i64;
    let unused_ms = now.millis_since(since).clamp(0, UNUSED_MS_MAX.max(interval_ms));
    let deliveries = unused_ms.saturating_mul(i64::from(rate_milli)) / 1_000_000;
    usize::try_from(deliveries).unwrap_or(0)
}

/// When a delivery is due that has `ahead` others of its step before it.
pub fn due_at(rate_milli: u32, ahead: usize, now: Timestamp) -> Timestamp {
    now.plus_millis((interval_ms(rate_milli) * ahead as f64) as i64)
}

/// From one delivery to the next, in milliseconds.
fn interval_ms(rate_milli: u32) -> f64 {
    1_000_000.0 / f64::from(rate_milli.clamp(RATE_MILLI_MIN, RATE_MILLI_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Timestamp = Timestamp::from_millis(1_795_435_200_000);

    #[track_caller]
    fn check(rate_milli: u32, after_ms: i64, expected: usize) {
        assert_eq!(allowance(rate_milli, START, START.plus_millis(after_ms)), expected);
    }

    #[test]
    fn what_was_not_used_is_forgotten_after_a_second() {
        check(50_000, 0, 0);
        check(50_000, 19, 0);
        check(50_000, 20, 1);
        check(50_000, 1_000, 50);
        check(50_000, 3_600_000, 50);
        check(50_000, -5_000, 0);
        check(10_000_000, 100, 1_000);
    }

    #[test]
    fn a_slow_rate_comes_to_one_delivery_in_the_end() {
        check(100, 9_999, 0);
        check(100, 10_000, 1);
        check(100, 3_600_000, 1);
        check(RATE_MILLI_MIN, 100_000, 1);
    }

    proptest! {
        #[test]
        fn no_second_gets_more_than_the_rate(
            rate_milli in RATE_MILLI_MIN..=RATE_MILLI_MAX,
            waits in proptest::collection::vec(1i64..2_000, 1..50),
        ) {
            let (mut now, mut since, mut total) = (START, START, 0);
            for wait in waits {
                now = now.plus_millis(wait);
                let granted = allowance(rate_milli, since, now);
                if granted > 0 {
                    since = now;
                }
                total += granted;
            }
            let most = now.millis_since(START) as f64 * f64::from(rate_milli) / 1e6;
            prop_assert!(total as f64 <= most + 1e-6, "{total} of {most}");
        }

        #[test]
        fn what_a_step_plans_is_due_within_its_share(
            rate_milli in RATE_MILLI_MIN..=RATE_MILLI_MAX, ahead in 0usize..10_000,
        ) {
            let wait_ms = due_at(rate_milli, ahead, START).millis_since(START);
            let exact = ahead as f64 * 1e6 / f64::from(rate_milli);
            prop_assert!((wait_ms as f64 - exact).abs() <= 1.0, "{wait_ms} {exact}");
        }
    }
}
