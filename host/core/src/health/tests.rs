use super::*;
use proptest::prelude::*;

mod failing;

const POLICY: HealthPolicy = HealthPolicy { breaker: true, auto_disable: true };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_ms: None }
}

fn wait(status: u16, retry_after_ms: i64) -> Outcome {
    Outcome::Answered { status, retry_after_ms: Some(retry_after_ms) }
}

/// One endpoint on one host.
#[derive(Default)]
struct Endpoint {
    health: Health,
    window: Window,
}

impl Endpoint {
    fn ended(&mut self, outcome: &Outcome, now: Timestamp) -> &mut Self {
        self.health = self.health.after(POLICY, &mut self.window, outcome, now, 0.0);
        self
    }

    fn many(&mut self, count: usize, status: u16, now: Timestamp) -> &mut Self {
        (0..count).for_each(|_| _ = self.ended(&answered(status), now));
        self
    }

    fn is_open(&self) -> bool {
        self.health.breaker != Breaker::Closed
    }
}

/// An endpoint whose breaker has just opened, at `now`.
fn opened(now: Timestamp) -> Endpoint {
    let mut endpoint = Endpoint::default();
    endpoint.many(10, 500, now);
    endpoint
}

#[test]
fn half_of_ten_results_open_the_breaker() {
    for (successes, failures, opens) in
        [(0, 9, false), (0, 10, true), (5, 5, true), (6, 5, false), (6, 6, true), (100, 99, false)]
    {
        let mut endpoint = Endpoint::default();
        endpoint.many(successes, 200, at(0)).many(failures, 503, at(1));
        assert_eq!(endpoint.is_open(), opens, "{successes} {failures}");
    }
}

#[test]
fn what_counts_as_a_failure() {
    let failures = [
        answered(429),
        answered(500),
        answered(599),
        Outcome::Failed(ErrorClass::Timeout),
        Outcome::Failed(ErrorClass::Io),
        Outcome::Failed(ErrorClass::Protocol),
    ];
    for outcome in &failures {
        let mut endpoint = Endpoint::default();
        (0..10).for_each(|_| _ = endpoint.ended(outcome, at(0)));
        assert!(endpoint.is_open(), "{outcome:?}");
    }
    // The endpoint is alive, whatever it thinks of what it gets.
    for status in [200, 204, 301, 400, 401, 404, 408, 422] {
        let mut endpoint = Endpoint::default();
        assert!(!endpoint.many(30, status, at(0)).is_open(), "{status}");
    }
}

#[test]
fn five_connections_that_fail_in_a_row_open_it() {
    for class in [ErrorClass::Dns, ErrorClass::Connect, ErrorClass::Tls] {
        let failed = Outcome::Failed(class);
        let mut endpoint = Endpoint::default();
        (0..4).for_each(|_| _ = endpoint.ended(&failed, at(0)));
        assert!(!endpoint.is_open());
        endpoint.ended(&answered(200), at(1));
        (0..4).for_each(|_| _ = endpoint.ended(&failed, at(2)));
        // Eight of nine, but not in a row and not yet ten.
        assert!(!endpoint.is_open(), "{class:?}");
        assert!(endpoint.ended(&failed, at(3)).is_open());
    }
}

#[test]
fn what_is_older_than_a_minute_does_not_count() {
    let mut endpoint = Endpoint::default();
    endpoint.many(9, 500, at(0));
    endpoint.many(1, 500, at(window::WINDOW_MS + 10_000));
    assert!(!endpoint.is_open());
    endpoint.many(9, 500, at(window::WINDOW_MS + 10_000));
    assert!(endpoint.is_open());
}

#[test]
fn what_is_our_own_doing_says_nothing() {
    says_nothing(ErrorClass::AddressRefused);
    says_nothing(ErrorClass::Internal);
}

fn says_nothing(class: ErrorClass) {
    let refused = Outcome::Failed(class);
    let mut endpoint = Endpoint::default();
    (0..50).for_each(|_| _ = endpoint.ended(&refused, at(0)));
    assert_eq!(endpoint.health, Health::default());
    // It is no probe either, and breaks no row.
    let mut endpoint = opened(at(0));
    let before = endpoint.health.clone();
    endpoint.ended(&refused, at(OPEN_MS)).ended(&refused, at(OPEN_MS));
    assert_eq!(endpoint.health, before);
    let connect = Outcome::Failed(ErrorClass::Connect);
    let mut endpoint = Endpoint::default();
    (0..4).for_each(|_| _ = endpoint.ended(&connect, at(0)).ended(&refused, at(0)));
    assert!(endpoint.ended(&connect, at(0)).is_open());
}

#[test]
fn while_it_is_open_nothing_goes_and_then_one_at_a_time() {
    let endpoint = opened(at(0));
    let until = at(OPEN_MS);
    assert_eq!(endpoint.health.gate(at(0)), Gate::Closed(Some(until)));
    assert_eq!(endpoint.health.gate(until.plus_millis(-1)), Gate::Closed(Some(until)));
    assert_eq!(endpoint.health.gate(until), Gate::Probe);
    assert_eq!(endpoint.health.gate(at(i64::MAX / 2)), Gate::Probe);
}

#[test]
fn what_was_under_way_when_it_opened_changes_nothing() {
    for status in [200, 500] {
        let mut endpoint = opened(at(0));
        let before = endpoint.health.breaker;
        endpoint.many(20, status, at(OPEN_MS - 1));
        assert_eq!(endpoint.health.breaker, before, "{status}");
    }
}

#[test]
fn two_successes_close_it() {
    let mut endpoint = opened(at(0));
    endpoint.many(1, 200, at(OPEN_MS));
    assert_eq!(endpoint.health.gate(at(OPEN_MS)), Gate::Probe);
    endpoint.many(1, 204, at(OPEN_MS + 1));
    assert_eq!(endpoint.health.gate(at(OPEN_MS + 1)), Gate::Open);
    // What was before counts no more.
    assert!(!endpoint.many(9, 500, at(OPEN_MS + 2)).is_open());
    assert!(endpoint.many(1, 500, at(OPEN_MS + 2)).is_open());
}

#[test]
fn a_failed_probe_doubles_the_period_up_to_a_quarter_of_an_hour() {
    let mut endpoint = opened(at(0));
    let mut now = at(0);
    for seconds in [30, 60, 120, 240, 480, 900, 900, 900] {
        let Breaker::Open { until, successes: 0, .. } = endpoint.health.breaker else {
            panic!("{:?}", endpoint.health.breaker)
        };
        assert_eq!(until.millis_since(now), seconds * 1_000);
        now = until;
        // A success alone does not begin again from the first period.
        endpoint.many(1, 200, now).many(1, 503, now);
    }
}

#[test]
fn a_policy_can_do_without_a_breaker() {
    let policy = HealthPolicy { breaker: false, auto_disable: true };
    let (mut health, mut window) = (Health::default(), Window::default());
    for _ in 0..100 {
        health = health.after(policy, &mut window, &answered(500), at(0), 0.5);
    }
    assert_eq!(health.gate(at(0)), Gate::Open);
}

#[test]
fn a_receiver_can_pause_its_endpoint_for_an_hour_at_most() {
    let hour_ms = 3_600_000;
    for (outcome, pause_ms) in [
        (wait(429, 7_000), Some(7_000)),
        (wait(503, 7_000), Some(7_000)),
        (wait(429, hour_ms), Some(hour_ms)),
        (wait(429, i64::MAX), Some(hour_ms)),
        (wait(429, 0), None),
        (wait(429, i64::MIN), None),
        (wait(500, 7_000), None),
        (wait(413, 7_000), None),
        (wait(200, 7_000), None),
        (answered(429), None),
    ] {
        let mut endpoint = Endpoint::default();
        endpoint.ended(&outcome, at(0));
        let until = pause_ms.map(at);
        assert_eq!(endpoint.health.paused_until, until, "{outcome:?}");
        let gate = until.map_or(Gate::Open, |until| Gate::Closed(Some(until)));
        assert_eq!(endpoint.health.gate(at(0)), gate);
        assert_eq!(endpoint.health.gate(at(hour_ms)), Gate::Open);
    }
}

#[test]
fn a_pause_is_not_shortened_and_is_forgotten_when_it_is_over() {
    let mut endpoint = Endpoint::default();
    endpoint.ended(&wait(503, 9_000), at(0)).ended(&wait(503, 1_000), at(1));
    assert_eq!(endpoint.health.paused_until, Some(at(9_000)));
    endpoint.ended(&answered(200), at(2));
    assert_eq!(endpoint.health.paused_until, Some(at(9_000)));
    endpoint.ended(&answered(200), at(9_000));
    assert_eq!(endpoint.health.paused_until, None);
}

#[test]
fn the_later_of_pause_and_period_decides() {
    let mut endpoint = opened(at(0));
    endpoint.ended(&wait(503, OPEN_MS + 5), at(0));
    assert_eq!(endpoint.health.gate(at(1)), Gate::Closed(Some(at(OPEN_MS + 5))));
    assert_eq!(endpoint.health.gate(at(OPEN_MS + 5)), Gate::Probe);
}

#[test]
fn words_are_read_back() {
    for reason in DisabledReason::ALL {
        assert_eq!(DisabledReason::parse(reason.as_str()), Some(reason));
    }
    assert_eq!(DisabledReason::parse("tired"), None);
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let status = prop::sample::select(vec![200_u16, 204, 301, 404, 408, 429, 500, 503]);
    prop_oneof![
        (status, prop::option::of(-5_000..5_000_000_i64))
            .prop_map(|(status, retry_after_ms)| Outcome::Answered { status, retry_after_ms }),
        prop::sample::select(ErrorClass::ALL.to_vec()).prop_map(Outcome::Failed),
    ]
}

proptest! {
    /// Whatever comes in whatever order: periods and pauses have their bounds, and who waits for
    /// the gate gets through it.
    #[test]
    fn a_closed_gate_opens_in_time(
        results in prop::collection::vec((any_outcome(), 0..400_000_i64, 0.0..1.0_f64), 1..200),
    ) {
        let (mut health, mut window, mut now) = (Health::default(), Window::default(), at(0));
        for (outcome, wait_ms, dice) in results {
            now = now.plus_millis(wait_ms);
            let before = health.clone();
            health = health.after(POLICY, &mut window, &outcome, now, dice);
            if let Breaker::Open { until, periods, successes } = health.breaker {
                prop_assert!(periods >= 1 && successes < PROBES);
                if health.breaker != before.breaker && successes == 0 {
                    let period_ms = until.millis_since(now);
                    let shortest = OPEN_MS as f64 * (1.0 - OPEN_JITTER) - 1.0;
                    prop_assert!(period_ms as f64 >= shortest && period_ms <= OPEN_MS_MAX);
                }
            }
            if let Gate::Closed(Some(until)) = health.gate(now) {
                prop_assert!(until > now && until.millis_since(now) <= PAUSE_MS_MAX);
                prop_assert!(!matches!(health.gate(until), Gate::Closed(_)));
            }
            // Nothing that other hosts must know is kept from them.
            if before.gate(now) != health.gate(now) {
                let pause_ended = before.paused_until.is_some_and(|until| until <= now);
                prop_assert!(before.is_worth_writing(&health) || pause_ended);
            }
        }
    }
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
