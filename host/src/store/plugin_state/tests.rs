use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LIMITS: Limits = Limits { keys_max: 2, bytes_max: 10 };

fn change(what: What) -> Change {
    let space = Space { plugin: "session".to_owned(), source: "prod".to_owned() };
    Change { space, key: "k".to_owned(), what, limits: LIMITS }
}

fn set(value: &'static str, only: Only) -> Change {
    let value = Bytes::from_static(value.as_bytes());
    change(What::Set { value, expires_at: None, only })
}

fn stored(value: &'static str, expires_at: Option<i64>) -> Stored {
    let entry = Entry { value: Bytes::from_static(value.as_bytes()), version: 7 };
    Stored { entry, expires_at: expires_at.map(Timestamp::from_millis) }
}

fn usage(keys: u64, bytes: u64) -> Usage {
    Usage { keys, bytes }
}

#[test]
fn the_end_of_a_time_is_not_in_it() {
    assert!(stored("", Some(1_001)).is_live(NOW));
    assert!(!stored("", Some(1_000)).is_live(NOW));
    assert!(stored("", None).is_live(Timestamp::from_millis(i64::MAX)));
}

#[test]
fn what_is_too_much_may_still_get_smaller() {
    let there = stored("123456789", None);
    let shrunk = decide(&set("1234567", Only::Always), Some(&there), usage(9, 90), NOW);
    assert!(matches!(shrunk, Next::Write { usage, .. } if usage == super::tests::usage(9, 88)));
    let grown = decide(&set("1234567890", Only::Always), Some(&there), usage(9, 90), NOW);
    assert_eq!(grown, Next::NeedsRoom(Refusal::Bytes(10)));
    let one_more = decide(&set("", Only::Always), None, usage(2, 2), NOW);
    assert_eq!(one_more, Next::NeedsRoom(Refusal::Keys(2)));
}

#[test]
fn a_row_whose_time_is_over_counts_until_it_is_written_over() {
    let over = stored("1234", Some(500));
    let next = decide(&set("12", Only::Absent), Some(&over), usage(2, 10), NOW);
    assert!(matches!(next, Next::Write { usage, .. } if usage == super::tests::usage(2, 8)));
    let next = decide(&set("12", Only::Version(7)), Some(&over), usage(2, 10), NOW);
    assert_eq!(next, Next::Leave(Changed::Stale));
    let next = decide(&change(What::Delete), Some(&over), usage(2, 10), NOW);
    assert_eq!(next, Next::Remove { usage: usage(1, 5), was_there: false });
}

#[test]
fn only_numbers_are_added_to() {
    let add = |delta| change(What::Add { delta, expires_at: None });
    for text in ["", "x", "1.0", " 1", "9223372036854775808"] {
        let there = stored(text, None);
        let next = decide(&add(1), Some(&there), usage(1, 9), NOW);
        assert_eq!(next, Next::Leave(Changed::Refused(Refusal::NoNumber)), "{text}");
    }
    let most = stored("9223372036854775807", None);
    let next = decide(&add(1), Some(&most), usage(1, 9), NOW);
    assert_eq!(next, Next::Leave(Changed::Refused(Refusal::Overflow)));
}

#[test]
fn the_end_of_a_prefix_is_behind_everything_with_it() {
    for prefix in ["", "a", "a%_", "\u{10ffff}", "é"] {
        let end = end_of(prefix);
        for more in ["", "\0", "z", "\u{10ffff}\u{10ffff}"] {
            assert!(format!("{prefix}{more}").as_bytes() < &end[..], "{prefix:?} {more:?}");
        }
    }
    assert!(b"b"[..] >= end_of("a")[..]);
}
