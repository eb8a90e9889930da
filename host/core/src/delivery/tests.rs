use super::*;
use crate::attempt::{ClientErrors, ErrorClass};
use crate::retry::Schedule;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_ms: None }
}

#[track_caller]
fn check(client_errors: ClientErrors, made: u32, outcome: Outcome, expect: Next) {
    let policy = Policy { schedule: Schedule::default(), client_errors };
    assert_eq!(after_attempt(&policy, made, &outcome, NOW, 0.5), expect);
}

#[test]
fn what_follows() {
    use ClientErrors::{Final, Retry};
    check(Retry, 1, answered(204), Next::Delivered);
    check(Retry, 1, answered(500), Next::RetryAt(NOW.plus_millis(5_000)));
    check(Retry, 2, answered(301), Next::RetryAt(NOW.plus_millis(300_000)));
    check(Retry, 10, answered(500), Next::Dead(DeadReason::Exhausted));
    check(Retry, 10, answered(200), Next::Delivered);
    check(Retry, 1, answered(404), Next::RetryAt(NOW.plus_millis(5_000)));
    check(Final, 1, answered(404), Next::Dead(DeadReason::Refused));
    check(Final, 1, answered(429), Next::RetryAt(NOW.plus_millis(5_000)));
    check(Retry, 1, answered(410), Next::Dead(DeadReason::Gone));
    let refused = Outcome::Failed(ErrorClass::AddressRefused);
    check(Retry, 1, refused, Next::Dead(DeadReason::AddressRefused));
    let hinted = Outcome::Answered { status: 503, retry_after_ms: Some(60_000) };
    check(Retry, 1, hinted, Next::RetryAt(NOW.plus_millis(63_000)));
    let unhinted = Outcome::Answered { status: 404, retry_after_ms: Some(60_000) };
    check(Retry, 1, unhinted, Next::RetryAt(NOW.plus_millis(5_000)));
    check(Retry, 0, answered(500), Next::RetryAt(NOW.plus_millis(5_000)));
}

#[test]
fn words_go_both_ways() {
    for reason in DeadReason::ALL {
        assert_eq!(DeadReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(DeadReason::parse(""), None);
}

proptest! {
    /// However the endpoint answers, a delivery ends after as many attempts as the schedule has.
    #[test]
    fn every_delivery_ends(statuses in prop::collection::vec(0u16..600, 64), dice in 0.0f64..1.0) {
        let policy = Policy::default();
        let mut now = NOW;
        for (made, status) in (1..).zip(statuses) {
            match after_attempt(&policy, made, &answered(status), now, dice) {
                Next::RetryAt(at) => {
                    prop_assert!(at.millis_since(now) >= 1_000);
                    now = at;
                }
                Next::Delivered | Next::Dead(_) => return Ok(()),
            }
            prop_assert!(made < policy.schedule.attempts_max());
        }
    }
}
