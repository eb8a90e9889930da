use super::*;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_disabled_endpoint_gets_nothing() {
    let disabled = Some(Disabled { reason: DisabledReason::Gone, at: at(1) });
    let health = Health { disabled, ..Health::default() };
    assert_eq!(health.gate(at(i64::MAX)), Gate::Closed(None));
}

fn failing(since: i64, last: i64, attempts: u32) -> Option<Failing> {
    Some(Failing { since: at(since), last: at(last), attempts })
}

fn open_until(until: i64) -> Breaker {
    Breaker::Open { until: at(until), periods: 1, successes: 0 }
}

#[track_caller]
fn check_merge(base: &Health, ours: &Health, theirs: &Health, expect: &Health) {
    assert_eq!(&base.merged(ours, theirs), expect);
}

#[test]
fn what_only_one_host_changed_is_as_it_left_it() {
    let none = Health::default();
    let opened = Health { breaker: open_until(9), ..none.clone() };
    let paused = Health { paused_until: Some(at(7)), ..none.clone() };
    let both = Health { paused_until: Some(at(7)), ..opened.clone() };
    check_merge(&none, &opened, &paused, &both);
    check_merge(&none, &paused, &opened, &both);
    check_merge(&both, &both, &none, &none);
    // An operator's enable holds against a host that only went on counting.
    let disabled = Some(Disabled { reason: DisabledReason::Gone, at: at(1) });
    let gone = Health { disabled, failing: failing(1, 1, 1), ..none.clone() };
    let counted = Health { failing: failing(1, 2, 2), ..gone.clone() };
    let enabled = Health { failing: None, ..none.clone() };
    check_merge(&gone, &counted, &enabled, &Health { failing: None, ..none });
}

#[test]
fn where_both_changed_the_more_careful_wins() {
    let none = Health::default();
    let health = |breaker, paused: i64, failing| Health {
        breaker,
        paused_until: Some(at(paused)),
        failing,
        ..Health::default()
    };
    let ours = health(open_until(5), 8, failing(3, 6, 4));
    let theirs = health(open_until(9), 7, failing(2, 5, 3));
    check_merge(&none, &ours, &theirs, &health(open_until(9), 8, failing(2, 6, 7)));
    check_merge(&none, &theirs, &ours, &health(open_until(9), 8, failing(2, 6, 7)));
    let base = Health { breaker: open_until(1), failing: failing(1, 2, 3), ..none.clone() };
    let closed = Health { failing: None, ..none.clone() };
    let reopened = Health { breaker: open_until(9), failing: failing(1, 4, 5), ..none.clone() };
    let expect = Health { breaker: open_until(9), failing: None, ..none.clone() };
    check_merge(&base, &closed, &reopened, &expect);
    let by = |reason| Health { disabled: Some(Disabled { reason, at: at(1) }), ..none.clone() };
    let (gone, operator) = (by(DisabledReason::Gone), by(DisabledReason::Operator));
    check_merge(&none, &gone, &operator, &operator);
}
