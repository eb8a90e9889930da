use super::*;
use proptest::prelude::*;

#[test]
fn times_read_as_rfc_3339_says() {
    #[track_caller]
    fn check(ms: u64, expect: &str) {
        assert_eq!(rfc3339_ms(ms), expect);
    }
    check(0, "1970-01-01T00:00:00Z");
    check(951_782_400_000, "2000-02-29T00:00:00Z");
    check(1_709_251_199_999, "2024-02-29T23:59:59.999Z");
    check(4_107_542_400_000, "2100-03-01T00:00:00Z");
    check(1_795_466_065_137, "2026-11-23T20:34:25.137Z");
}

#[test]
fn nanoseconds_have_the_digits_they_need() {
    assert_eq!(rfc3339_ns(1_000_000_001), "1970-01-01T00:00:01.000000001Z");
    assert_eq!(rfc3339_ns(1_000_500_000), "1970-01-01T00:00:01.000500Z");
    assert_eq!(rfc3339_ns(1_500_000_000), "1970-01-01T00:00:01.500Z");
    assert_eq!(rfc3339_ns(-1), "1969-12-31T23:59:59.999999999Z");
}

proptest! {
    #[test]
    fn any_number_has_a_text(ms: u64, ns: i64) {
        prop_assert!(rfc3339_ms(ms).ends_with('Z'));
        prop_assert!(rfc3339_ns(ns).ends_with('Z'));
    }

    #[test]
    fn later_times_have_later_texts(a in 0..4_000_000_000_u64, b in 0..4_000_000_000_u64) {
        prop_assert_eq!(a < b, rfc3339_ms(a * 1000) < rfc3339_ms(b * 1000));
    }
}
