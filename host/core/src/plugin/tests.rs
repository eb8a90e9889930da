use super::*;
use proptest::prelude::*;

const USUAL: Call = Call { is_probe: false, is_suspect: false };
const PROBE: Call = Call { is_probe: true, is_suspect: false };
const SUSPECT: Call = Call { is_probe: true, is_suspect: true };

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

fn calls(breaker: &mut Breaker, count: u32, is_fault: bool, now: Timestamp) {
    for _ in 0..count {
        breaker.after(USUAL, is_fault, now);
    }
}

/// A breaker that has just opened, at `now`.
fn opened(now: Timestamp) -> Breaker {
    let mut breaker = Breaker::default();
    calls(&mut breaker, CALLS_MIN, true, now);
    breaker
}

#[test]
fn half_of_ten_calls_and_five_faults_open_it() {
    for (well, faults, opens) in
        [(0, 9, false), (0, 10, true), (5, 5, true), (6, 5, false), (6, 6, true), (100, 99, false)]
    {
        let mut breaker = Breaker::default();
        calls(&mut breaker, well, false, at(0));
        calls(&mut breaker, faults, true, at(1));
        assert_eq!(!breaker.is_closed(), opens, "{well} {faults}");
    }
}

#[test]
fn faults_of_more_than_a_minute_ago_do_not_count() {
    let mut breaker = Breaker::default();
    calls(&mut breaker, 9, true, at(0));
    calls(&mut breaker, 1, true, at(WINDOW_MS + BUCKET_MS));
    assert!(breaker.is_closed());
}

#[test]
fn the_third_reopening_is_quarantine_until_it_is_released() {
    let mut breaker = opened(at(0));
    let mut now = at(0);
    for (periods, wait_ms) in [(1, 30_000), (2, 60_000), (3, 120_000)] {
        let until = now.plus_millis(wait_ms);
        assert_eq!(breaker.state(), State::Open { until, periods, probe: None });
        assert_eq!(breaker.admit(false, until.plus_millis(-1)), Admission::Wait(until));
        assert_eq!(breaker.admit(false, until), Admission::Probe);
        breaker.after(PROBE, true, until);
        now = until;
    }
    assert_eq!(breaker.state(), State::Quarantined);
    assert_eq!(breaker.admit(false, at(1 << 40)), Admission::Never);
    breaker.release();
    assert_eq!(breaker.admit(false, now), Admission::Go);
}

#[test]
fn a_probe_that_goes_well_closes_it_and_a_relapse_is_remembered() {
    let mut breaker = opened(at(0));
    assert_eq!(breaker.admit(false, at(OPEN_MS)), Admission::Probe);
    assert_eq!(breaker.after(PROBE, false, at(OPEN_MS)), Some(Change::Closed));
    let mut again = breaker.clone();
    calls(&mut again, CALLS_MIN, true, at(OPEN_MS + 1));
    assert!(matches!(again.state(), State::Open { periods: 2, .. }), "{again:?}");
    let later = at(OPEN_MS + RELAPSE_MS);
    calls(&mut breaker, CALLS_MIN, true, later);
    assert!(matches!(breaker.state(), State::Open { periods: 1, .. }), "{breaker:?}");
}

#[test]
fn there_is_one_probe_at_a_time_and_a_lost_one_is_made_again() {
    let mut breaker = opened(at(0));
    let due = at(OPEN_MS);
    assert_eq!(breaker.admit(false, due), Admission::Probe);
    assert_eq!(breaker.admit(false, due), Admission::Wait(due.plus_millis(PROBE_WAIT_MS)));
    breaker.abandon();
    assert_eq!(breaker.admit(false, due), Admission::Probe);
    assert_eq!(breaker.admit(false, due.plus_millis(PROBE_MS_MAX)), Admission::Probe);
}

#[test]
fn suspects_let_others_probe_first_and_prove_little() {
    let mut breaker = opened(at(0));
    let due = at(OPEN_MS);
    assert_eq!(breaker.admit(true, due), Admission::Wait(due.plus_millis(SUSPECT_MS)));
    let later = due.plus_millis(SUSPECT_MS);
    assert_eq!(breaker.admit(true, later), Admission::Probe);
    assert_eq!(breaker.after(SUSPECT, true, later), None);
    let until = later.plus_millis(OPEN_MS);
    assert_eq!(breaker.state(), State::Open { until, periods: 1, probe: None });
    assert_eq!(breaker.admit(true, until.plus_millis(SUSPECT_MS)), Admission::Probe);
    let change = breaker.after(SUSPECT, false, until.plus_millis(SUSPECT_MS));
    assert_eq!(change, Some(Change::Closed));
    let suspect = Call { is_probe: false, is_suspect: true };
    for _ in 0..100 {
        assert_eq!(breaker.after(suspect, true, until), None);
    }
    assert!(breaker.is_closed());
}

#[test]
fn a_call_that_began_before_it_opened_says_nothing() {
    let mut breaker = opened(at(0));
    assert_eq!(breaker.after(USUAL, false, at(OPEN_MS)), None);
    assert_eq!(breaker.after(USUAL, true, at(OPEN_MS)), None);
    assert!(matches!(breaker.state(), State::Open { periods: 1, .. }));
}

#[test]
fn a_clock_set_back_keeps_it_open_for_one_period_at_most() {
    let mut breaker = opened(at(0));
    let before = at(-86_400_000);
    assert_eq!(breaker.admit(false, before), Admission::Wait(before.plus_millis(OPEN_MS)));
}

#[test]
fn a_young_version_makes_way_for_one_that_was_well() {
    let (young, old) = (at(YOUNG_MS - 1), at(YOUNG_MS));
    for (is_canary, is_well, now, expect) in [
        (false, true, young, true),
        (false, true, old, false),
        (true, true, old, true),
        (false, false, young, false),
        (true, false, young, false),
    ] {
        assert_eq!(is_rolled_back(is_canary, at(0), is_well, now), expect);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(i64),
    Call { is_fault: bool },
    Abandon,
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => prop_oneof![0..2_000_i64, Just(OPEN_MS), Just(WINDOW_MS), 0..2 * RELAPSE_MS]
            .prop_map(Step::Pass),
        12 => proptest::bool::weighted(0.7).prop_map(|is_fault| Step::Call { is_fault }),
        1 => Just(Step::Abandon),
        1 => Just(Step::Release),
    ];
    prop::collection::vec(step, 0..300)
}

/// What an onlooker with a perfect memory knows.
#[derive(Default)]
struct Onlooker {
    /// Answers since the breaker closed last.
    answers: Vec<(Timestamp, bool)>,
    openings_in_a_row: u32,
    closed_at: Option<Timestamp>,
}

impl Onlooker {
    fn is_over(&self, now: Timestamp, span_ms: i64) -> bool {
        let recent = self.answers.iter().filter(|(at, _)| now.millis_since(*at) < span_ms);
        let (calls, faults) = recent
            .fold((0, 0), |(calls, faults), (_, fault)| (calls + 1, faults + u32::from(*fault)));
        calls >= CALLS_MIN && faults >= FAULTS_MIN && 2 * faults >= calls
    }

    fn check(&mut self, change: Option<Change>, breaker: &Breaker, now: Timestamp) {
        if let Some(Change::Opened { until, periods }) = change {
            self.openings_in_a_row += 1;
            assert_eq!(periods, self.openings_in_a_row);
            let wait_ms = until.millis_since(now);
            assert_eq!(wait_ms, OPEN_MS << (periods - 1));
        }
        if change == Some(Change::Quarantined) {
            assert_eq!(self.openings_in_a_row as usize, PERIODS_MS.len());
            assert_eq!(breaker.state(), State::Quarantined);
        }
        if change == Some(Change::Closed) {
            self.closed_at = Some(now);
        }
        if change.is_some() {
            self.answers.clear();
        }
    }
}

proptest! {
    #[test]
    fn it_opens_when_it_should_and_no_call_goes_while_it_is_open(steps in steps()) {
        let (mut breaker, mut onlooker, mut now) = (Breaker::default(), Onlooker::default(), at(0));
        for step in steps {
            match step {
                Step::Pass(ms) => now = now.plus_millis(ms),
                Step::Abandon => breaker.abandon(),
                Step::Release => {
                    breaker.release();
                    onlooker = Onlooker::default();
                }
                Step::Call { is_fault } => {
                    let before = breaker.state();
                    match breaker.admit(false, now) {
                        Admission::Go => {
                            let was_closed = matches!(before, State::Closed { .. });
                            prop_assert!(was_closed);
                            let relapsed = |at: Timestamp| now.millis_since(at) < RELAPSE_MS;
                            if !onlooker.closed_at.is_some_and(relapsed) {
                                onlooker.openings_in_a_row = 0;
                            }
                            onlooker.answers.push((now, is_fault));
                            let change = breaker.after(USUAL, is_fault, now);
                            // The window is between five sixths of its length and all of it.
                            if change.is_some() {
                                prop_assert!((WINDOW_MS - BUCKET_MS..=WINDOW_MS)
                                    .step_by(1_000)
                                    .any(|span_ms| onlooker.is_over(now, span_ms + 1_000)));
                            }
                            onlooker.check(change, &breaker, now);
                        }
                        Admission::Probe => {
                            let State::Open { until, .. } = before else {
                                panic!("a probe of {before:?}");
                            };
                            prop_assert!(until <= now);
                            let change = breaker.after(PROBE, is_fault, now);
                            let is_right = match change {
                                Some(Change::Closed) => !is_fault,
                                Some(_) => is_fault,
                                None => false,
                            };
                            prop_assert!(is_right);
                            onlooker.check(change, &breaker, now);
                        }
                        Admission::Wait(until) => prop_assert!(until > now),
                        Admission::Never => prop_assert_eq!(before, State::Quarantined),
                    }
                }
            }
        }
    }

    #[test]
    fn it_never_opens_on_few_faults(calls in prop::collection::vec((0..5_000_i64, prop::bool::ANY), 0..200)) {
        let (mut breaker, mut faults, mut now) = (Breaker::default(), 0, at(0));
        for (pass_ms, is_fault) in calls {
            now = now.plus_millis(pass_ms);
            let is_fault = is_fault && faults + 1 < FAULTS_MIN;
            faults += u32::from(is_fault);
            prop_assert_eq!(breaker.after(USUAL, is_fault, now), None);
        }
        prop_assert!(breaker.is_closed());
    }
}
