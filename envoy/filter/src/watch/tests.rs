use super::*;

#[test]
fn a_request_that_waits_too_long_is_named_once() {
    let mut watch = Watch::default();
    watch.held(1, 1_000);
    watch.held(2, 1_500);
    assert!(watch.overdue(2_999).is_empty());
    assert_eq!(watch.overdue(3_000), [1]);
    assert!(watch.overdue(3_400).is_empty());
    assert_eq!(watch.overdue(9_000), [2]);
}

#[test]
fn one_body_callback_proves_the_flag_for_good() {
    let mut watch = Watch::default();
    watch.held(1, 0);
    watch.progressed();
    watch.held(2, 0);
    assert!(watch.overdue(u64::MAX).is_empty());
}

#[test]
fn a_request_that_is_gone_is_forgotten_and_a_clock_may_go_back() {
    let mut watch = Watch::default();
    watch.held(1, 5_000);
    watch.held(2, 5_000);
    watch.ended(1);
    assert!(watch.overdue(0).is_empty());
    assert_eq!(watch.overdue(7_000), [2]);
}

#[test]
fn no_more_than_the_limit_are_watched() {
    let mut watch = Watch::default();
    for context_id in 0..2_000 {
        watch.held(context_id, 0);
    }
    assert_eq!(watch.overdue(WAIT_MAX_MS).len(), WATCHED_MAX);
}
