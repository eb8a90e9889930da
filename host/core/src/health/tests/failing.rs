//! Long times without a success.

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// Fails every `every_ms` from 0 until `until_ms`, without a breaker in the way.
fn failing(every_ms: i64, until_ms: i64) -> Health {
    let mut endpoint = Endpoint::default();
    let mut ms = 0;
    while ms <= until_ms {
        endpoint.ended(&answered(404), at(ms));
        ms += every_ms;
    }
    endpoint.health
}

fn disabled(health: &Health) -> Option<DisabledReason> {
    health.disabled.map(|disabled| disabled.reason)
}

#[test]
fn a_disabled_endpoint_gets_nothing() {
    for reason in DisabledReason::ALL {
        let disabled = Some(Disabled { reason, at: at(1) });
        let health = Health { disabled, ..Health::default() };
        assert_eq!(health.gate(at(i64::MAX / 2)), Gate::Closed(None));
    }
}

#[test]
fn a_410_disables_at_once() {
    let mut endpoint = Endpoint::default();
    endpoint.ended(&answered(410), at(5));
    let gone = Some(Disabled { reason: DisabledReason::Gone, at: at(5) });
    assert_eq!(endpoint.health.disabled, gone);
    // What was under way does not enable it, and the first reason stays.
    endpoint.many(3, 200, at(6)).many(1, 410, at(7));
    assert_eq!(endpoint.health.disabled, gone);
}

#[test]
fn five_days_without_a_success_disable() {
    for (every_ms, until_ms, expect) in [
        (HOUR_MS, FAILING_MS_MAX - 1, None),
        (HOUR_MS, FAILING_MS_MAX, Some(DisabledReason::Failing)),
        // 20 attempts, the last one on the fifth day.
        (FAILING_MS_MAX / 19 + 1, FAILING_MS_MAX, Some(DisabledReason::Failing)),
        // 19 are too few, however long it takes.
        (FAILING_MS_MAX / 18, FAILING_MS_MAX, None),
        (10 * DAY_MS, 180 * DAY_MS, None),
    ] {
        // The last step must not be lost to rounding.
        let health = failing(every_ms, until_ms + if every_ms == HOUR_MS { 0 } else { 100 });
        assert_eq!(disabled(&health), expect, "every {every_ms} until {until_ms}");
    }
}

#[test]
fn a_success_begins_again() {
    let mut endpoint = Endpoint { health: failing(HOUR_MS, 4 * DAY_MS), ..Endpoint::default() };
    endpoint.ended(&answered(200), at(4 * DAY_MS + 1));
    assert_eq!(endpoint.health.failing, None);
    for hour in 0..=24 {
        endpoint.ended(&answered(404), at(4 * DAY_MS + 2 + hour * HOUR_MS));
    }
    assert_eq!(disabled(&endpoint.health), None);
    let failing = endpoint.health.failing.unwrap();
    assert_eq!((failing.since, failing.attempts), (at(4 * DAY_MS + 2), 25));
}

#[test]
fn a_policy_can_do_without_it() {
    let policy = HealthPolicy { breaker: true, auto_disable: false };
    let mut health = Health::default();
    for day in 0..100 {
        let mut window = Window::default();
        health = health.after(policy, &mut window, &answered(404), at(day * DAY_MS), 0.0);
    }
    assert_eq!(health.disabled, None);
    let mut window = Window::default();
    let gone = health.after(policy, &mut window, &answered(410), at(0), 0.0);
    assert_eq!(disabled(&gone), Some(DisabledReason::Gone));
}

/// As the recorder does it: what is not worth a write is kept and compared with what was written.
fn warnings(every_ms: i64, until_ms: i64) -> (Vec<i64>, u32) {
    let (mut written, mut health) = (Health::default(), Health::default());
    let (mut warnings, mut writes) = (Vec::new(), 0);
    for step in 0..=until_ms / every_ms {
        let mut window = Window::default();
        let now = at(step * every_ms);
        health = health.after(POLICY, &mut window, &answered(404), now, 0.0);
        warnings.extend(written.warning(&health));
        if written.is_worth_writing(&health) {
            (written, writes) = (health.clone(), writes + 1);
        }
    }
    (warnings, writes)
}

#[test]
fn warnings_come_once() {
    let [first, second] = WARN_MS;
    assert_eq!(warnings(HOUR_MS, first - 1).0, [0_i64; 0]);
    assert_eq!(warnings(HOUR_MS, first).0, [first]);
    assert_eq!(warnings(HOUR_MS, 4 * DAY_MS).0, [first, second]);
    assert_eq!(warnings(60_000, 4 * DAY_MS).0, [first, second]);
    // Both at once are one: the one that says more.
    assert_eq!(warnings(10 * DAY_MS, 20 * DAY_MS).0, [second]);
    // And counting is cheap.
    let (_, writes) = warnings(60_000, DAY_MS);
    assert!(writes <= 24 * 60 / FAILING_ATTEMPTS_STEP + 3, "{writes}");
}

#[test]
fn every_host_hears_of_what_matters_and_not_of_each_attempt() {
    let mut endpoint = Endpoint::default();
    let well = endpoint.health.clone();
    endpoint.ended(&answered(200), at(0));
    assert!(!well.is_worth_writing(&endpoint.health));
    endpoint.ended(&answered(404), at(1));
    assert!(well.is_worth_writing(&endpoint.health));
    let first = endpoint.health.clone();
    endpoint.many(FAILING_ATTEMPTS_STEP as usize - 1, 404, at(2));
    assert!(!first.is_worth_writing(&endpoint.health));
    endpoint.ended(&answered(404), at(3));
    assert!(first.is_worth_writing(&endpoint.health));
    let failing = endpoint.health.clone();
    endpoint.ended(&answered(200), at(4));
    assert!(failing.is_worth_writing(&endpoint.health));
    let well = endpoint.health.clone();
    endpoint.ended(&wait(429, 5_000), at(5));
    let paused = endpoint.health.clone();
    assert!(well.is_worth_writing(&paused));
    endpoint.ended(&wait(429, 1_000), at(6));
    assert!(!paused.is_worth_writing(&endpoint.health));
}
