use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;

#[test]
fn presets_keep_the_limits() {
    let default = Schedule::default();
    assert_eq!(Schedule::new(default.steps_ms.clone(), None), Ok(default.clone()));
    assert_eq!(default.attempts_max(), 10);
    let realtime = Schedule::preset("realtime").unwrap();
    assert_eq!(Schedule::new(realtime.steps_ms.clone(), realtime.max_age_ms), Ok(realtime.clone()));
    assert_eq!(realtime.attempts_max(), 6);
    assert!(realtime.is_expired(60_001) && !realtime.is_expired(60_000));
    assert!(!default.is_expired(i64::MAX));
    assert_eq!(Schedule::preset("soon"), None);
}

#[test]
fn limits_are_refused_just_past_them() {
    assert_eq!(Schedule::new(vec![], None), Err(Error::Steps(0)));
    assert!(Schedule::new(vec![0; 32], None).is_ok());
    assert_eq!(Schedule::new(vec![0; 33], None), Err(Error::Steps(33)));
    assert!(Schedule::new(vec![STEP_MS_MAX; 14], None).is_ok());
    let mut over = vec![STEP_MS_MAX; 14];
    over.push(1);
    assert_eq!(Schedule::new(over, None), Err(Error::Total(TOTAL_MS_MAX + 1)));
    let step_ms = STEP_MS_MAX + 1;
    assert_eq!(Schedule::new(vec![0, step_ms], None), Err(Error::Step { index: 2, step_ms }));
    assert_eq!(Schedule::new(vec![-1], None), Err(Error::Step { index: 1, step_ms: -1 }));
    assert_eq!(Schedule::new(vec![0], Some(0)), Err(Error::MaxAge(0)));
    assert!(Schedule::new(vec![0], Some(1)).is_ok());
}

#[test]
fn waits_follow_the_steps() {
    let schedule = Schedule::default();
    assert_eq!(schedule.wait_ms(0, None, 0.9), Some(0));
    assert_eq!(schedule.wait_ms(1, None, 0.0), Some(4_000));
    assert_eq!(schedule.wait_ms(1, None, 0.5), Some(5_000));
    assert_eq!(schedule.wait_ms(2, None, 1.0), Some(360_000));
    assert_eq!(schedule.wait_ms(10, None, 0.5), None);
    assert_eq!(schedule.wait_ms(u32::MAX, None, 0.5), None);
    // 1 s with the least jitter would be 0.8 s.
    assert_eq!(Schedule::realtime().wait_ms(1, None, 0.0), Some(1_000));
    assert_eq!(Schedule::new(vec![0, 0], None).unwrap().wait_ms(1, None, 0.5), Some(1_000));
}

#[test]
fn hints_only_lengthen() {
    let schedule = Schedule::default();
    assert_eq!(schedule.wait_ms(1, Some(120_000), 0.0), Some(120_000));
    assert_eq!(schedule.wait_ms(1, Some(120_000), 1.0), Some(132_000));
    assert_eq!(schedule.wait_ms(1, Some(10), 0.5), Some(5_000));
    assert_eq!(schedule.wait_ms(1, Some(-9), 0.5), Some(5_000));
    assert_eq!(schedule.wait_ms(1, Some(i64::MAX), 0.0), Some(HINT_MS_MAX));
    assert_eq!(schedule.wait_ms(10, Some(1), 0.5), None);
}

proptest! {
    #[test]
    fn every_wait_is_inside_its_bounds(
        made in 1u32..10, hint in proptest::option::of(0i64..200_000_000), dice in 0.0f64..1.0,
    ) {
        let schedule = Schedule::default();
        let wait = schedule.wait_ms(made, hint, dice).unwrap();
        let step = schedule.steps_ms[made as usize];
        let asked = hint.unwrap_or(0).min(HINT_MS_MAX);
        prop_assert!(wait >= (step * 8 / 10).max(asked).max(1_000));
        prop_assert!(wait <= (step * 12 / 10 + 1).max(asked * 11 / 10 + 1).max(1_000));
    }

    #[test]
    fn no_text_breaks_the_hint(text in ".{0,80}", now in any::<i64>()) {
        if let Some(ms) = hint::parse(&text, Timestamp::from_millis(now)) {
            prop_assert!(ms >= 0);
        }
    }
}

/// 1994-11-06 08:49:37, the example of RFC 9110.
const RFC_DATE_S: i64 = 784_111_777;

#[track_caller]
fn check_hint(value: &str, expect: Option<i64>) {
    let now = Timestamp::from_millis(RFC_DATE_S * 1000 - 60_000);
    assert_eq!(hint::parse(value, now), expect, "{value:?}");
}

#[test]
fn hints_in_every_form() {
    check_hint("120", Some(120_000));
    check_hint(" 0 ", Some(0));
    check_hint("99999999999999999999", Some(i64::MAX));
    check_hint("Sun, 06 Nov 1994 08:49:37 GMT", Some(60_000));
    check_hint("Sunday, 06-Nov-94 08:49:37 GMT", Some(60_000));
    check_hint("Sun Nov  6 08:49:37 1994", Some(60_000));
    check_hint("Sun, 06 Nov 1994 08:48:36 GMT", None);
    check_hint("Thu, 01 Jan 1970 00:00:00 GMT", None);
    // 2094 would be more than fifty years ahead of 1994 only in part: 44 is ahead, 45 is behind.
    check_hint("Sunday, 06-Nov-93 08:49:37 GMT", None);
}

#[test]
fn other_values_are_no_hint() {
    for value in [
        "",
        "-1",
        "1.5",
        "+5",
        "1e3",
        "soon",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "١٢",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        "Sun Foo  6 08:49:37 1994",
    ] {
        check_hint(value, None);
    }
}

#[test]
fn dates_across_leap_days() {
    let epoch = Timestamp::default();
    let at = |text| hint::parse(text, epoch).unwrap() / 1000;
    assert_eq!(at("Fri, 02 Jan 1970 00:00:00 GMT"), 86_400);
    assert_eq!(at("Tue, 29 Feb 2000 00:00:00 GMT"), 951_782_400);
    assert_eq!(at("Wed, 01 Mar 2000 00:00:00 GMT"), 951_868_800);
    assert_eq!(at("Mon, 01 Mar 2100 00:00:00 GMT"), 4_107_542_400);
}
