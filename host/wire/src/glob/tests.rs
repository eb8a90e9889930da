//! The matcher against a naive one that tries everything.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, name: &str, expect: bool) {
    assert_eq!(Glob::parse(pattern).unwrap().matches(name), expect, "{pattern} on {name}");
}

#[test]
fn matches_the_whole_name() {
    check("room_started", "room_started", true);
    check("room_started", "room_started2", false);
    check("room_*", "room_", true);
    check("room_*", "participant_joined", false);
    check("*", "", true);
    check("*_ended", "egress_ended", true);
    check("prod-*-eu", "prod-7-eu", true);
    check("prod-*-eu", "prod-eu", false);
    check("a*b*c", "a-b-b-c", true);
    check("a*a", "a", false);
    check("**", "anything", true);
    check("ä*ü", "äöü", true);
}

#[test]
fn refuses_what_is_over_a_limit() {
    assert_eq!(Glob::parse(""), Err(Error::Empty));
    assert_eq!(Glob::parse(&"x".repeat(257)), Err(Error::TooLong(257)));
    assert_eq!(Glob::parse("*********"), Err(Error::TooManyStars(9)));
    assert_eq!(Glob::parse("********").unwrap().as_str(), "********");
}

/// Tries every length for every star.
fn naive(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|skip| naive(rest, &name[skip..])),
        Some((first, rest)) => name.first() == Some(first) && naive(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_matcher(pattern in "[abé*]{1,8}", name in "[abé]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let expected = naive(&chars(&pattern), &chars(&name));
        prop_assert_eq!(Glob::parse(&pattern).unwrap().matches(&name), expected);
    }

    #[test]
    fn never_panics(pattern in ".*", name in ".*") {
        if let Ok(glob) = Glob::parse(&pattern) {
            let _ = glob.matches(&name);
        }
    }
}
