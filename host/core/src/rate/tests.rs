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
