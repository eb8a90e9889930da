use super::*;
use proptest::prelude::*;

#[test]
fn seconds_round_down() {
    for (millis, secs) in [(0, 0), (999, 0), (1_000, 1), (-1, -1), (-1_000, -1), (-1_001, -2)] {
        assert_eq!(Timestamp::from_millis(millis).as_secs(), secs, "{millis}");
    }
}

#[test]
fn the_ends_of_the_range_hold() {
    let last = Timestamp::from_millis(i64::MAX);
    let first = Timestamp::from_millis(i64::MIN);
    assert_eq!(last.plus_millis(1), last);
    assert_eq!(first.plus_millis(-1), first);
    assert_eq!(last.millis_since(first), i64::MAX);
}

#[test]
fn times_print_as_rfc_3339() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (951_827_696_789, "2000-02-29T12:34:56.789Z"),
        (1_795_435_200_000, "2026-11-23T12:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Timestamp::from_millis(millis).to_string(), text);
    }
    // The ends of the range print something and do not overflow.
    assert!(Timestamp::from_millis(i64::MAX).to_string().ends_with('Z'));
    assert!(Timestamp::from_millis(i64::MIN).to_string().ends_with('Z'));
}

proptest! {
    #[test]
    fn a_date_is_that_of_its_days(days in -4_000_000i64..4_000_000) {
        let (year, month, day) = date_of_days(days);
        prop_assert_eq!(days_from_epoch(year, month, day), days);
        prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
    }

    #[test]
    fn later_and_since_agree(start in -1i64 << 60..1 << 60, span in -1i64 << 60..1 << 60) {
        let start = Timestamp::from_millis(start);
        prop_assert_eq!(start.plus_millis(span).millis_since(start), span);
        prop_assert_eq!(start.plus_millis(span) > start, span > 0);
    }
}

#[test]
fn days_count_leap_years() {
    for (date, days) in [
        ((1970, 1, 1), 0),
        ((1969, 12, 31), -1),
        ((2000, 2, 29), 11_016),
        ((2000, 3, 1), 11_017),
        ((2100, 3, 1), 47_541),
        ((2026, 11, 23), 20_780),
    ] {
        assert_eq!(days_from_epoch(date.0, date.1, date.2), days, "{date:?}");
    }
}
