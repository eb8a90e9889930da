use super::*;
use proptest::prelude::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_burst_goes_at_once_and_then_one_an_interval() {
    let rate = Rate::new(10.0, 3).unwrap();
    let first = rate.grant(RateState::default(), at(1_000), 5);
    assert_eq!(first.requests, 3);
    assert_eq!(rate.grant(first.state, at(1_000), 5).requests, 0);
    assert_eq!(rate.next_at(first.state, at(1_000)), at(1_100));
    assert_eq!(rate.grant(first.state, at(1_099), 5).requests, 0);
    assert_eq!(rate.grant(first.state, at(1_100), 5).requests, 1);
    assert_eq!(rate.grant(first.state, at(9_000), 5).requests, 3);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 10_001.0] {
        assert!(Rate::new(per_second, 1).is_err(), "{per_second}");
    }
    assert_eq!(Rate::new(1.0, 0), Err(Error::Burst(0)));
    assert_eq!(Rate::new(1.0, BURST_MAX + 1), Err(Error::Burst(BURST_MAX + 1)));
}

proptest! {
    /// The guarantee of the module, over any pattern of asking.
    #[test]
    fn no_window_has_more_than_burst_and_rate(
        per_second in 0.1..200.0_f64,
        burst in 1..50_u32,
        asks in prop::collection::vec((0..500_i64, 0..80_usize), 1..60),
    ) {
        let rate = Rate::new(per_second, burst).unwrap();
        let (mut state, mut now_ms) = (RateState::default(), 1_700_000_000_000_i64);
        let mut granted: Vec<(i64, usize)> = Vec::new();
        for (wait_ms, wanted) in asks {
            now_ms += wait_ms;
            let grant = rate.grant(state, at(now_ms), wanted);
            prop_assert!(grant.requests <= wanted);
            state = grant.state;
            granted.push((now_ms, grant.requests));
            let next = rate.next_at(state, at(now_ms));
            prop_assert!(rate.grant(state, next, 1).requests == 1);
        }
        for (index, (from_ms, _)) in granted.iter().enumerate() {
            for (to_ms, _) in &granted[index..] {
                let within = granted.iter().filter(|(ms, _)| (from_ms..=to_ms).contains(&ms));
                let sum: usize = within.map(|(_, requests)| requests).sum();
                let seconds = (to_ms - from_ms) as f64 / 1_000.0;
                // The interval is whole microseconds: at 200 a second that is one part in 10,000.
                let most = f64::from(burst) + per_second * seconds * 1.000_2 + 0.001;
                prop_assert!(sum as f64 <= most, "{sum} > {most}");
            }
        }
    }
}

#[test]
fn nothing_is_charged_for_nothing() {
    let rate = Rate::new(1.0, 2).unwrap();
    let state = RateState(7);
    assert_eq!(rate.grant(state, at(1_000), 0), Grant { requests: 0, state });
    let empty = rate.grant(state, at(1_000), 2).state;
    assert_eq!(rate.grant(empty, at(1_000), 2), Grant { requests: 0, state: empty });
}

#[test]
fn a_rate_says_what_it_was_made_of() {
    for (per_second, burst) in [(PER_SECOND_MAX, BURST_MAX), (1.0, 1), (PER_SECOND_MIN, 3)] {
        let rate = Rate::new(per_second, burst).unwrap();
        assert!((rate.per_second() / per_second - 1.0).abs() < 1e-6, "{rate:?}");
        assert_eq!(rate.burst(), burst);
    }
}

#[test]
fn hosts_whose_clocks_differ_grant_no_more() {
    let rate = Rate::new(1.0, 3).unwrap();
    let ahead = rate.grant(RateState::default(), at(60_000), 3);
    assert_eq!(ahead.requests, 3);
    // The one behind waits for the one ahead.
    let behind = rate.grant(ahead.state, at(0), 3);
    assert_eq!(behind.requests, 0);
    assert_eq!(rate.next_at(behind.state, at(0)), at(61_000));
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for rate in [Rate::new(PER_SECOND_MIN, BURST_MAX), Rate::new(PER_SECOND_MAX, 1)] {
        let rate = rate.unwrap();
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            for state in [i64::MIN, 0, i64::MAX] {
                let grant = rate.grant(RateState(state), at(ms), usize::MAX);
                assert!(grant.requests <= rate.burst() as usize);
                let _ = rate.next_at(grant.state, at(ms));
            }
        }
    }
}

proptest! {
    /// Who comes when he is told to is not sent away, and not a millisecond too late.
    #[test]
    fn next_at_is_exact(
        per_second in 0.1..500.0_f64,
        burst in 1..20_u32,
        waits in prop::collection::vec(0..3_000_i64, 1..40),
    ) {
        let rate = Rate::new(per_second, burst).unwrap();
        let (mut state, mut now_ms) = (RateState::default(), 1_700_000_000_000_i64);
        for wait_ms in waits {
            now_ms += wait_ms;
            state = rate.grant(state, at(now_ms), 3).state;
            let next = rate.next_at(state, at(now_ms));
            prop_assert!(next >= at(now_ms));
            prop_assert_eq!(rate.grant(state, next, 1).requests, 1);
            if next > at(now_ms) {
                prop_assert_eq!(rate.grant(state, next.plus_millis(-1), 1).requests, 0);
            }
        }
    }
}
