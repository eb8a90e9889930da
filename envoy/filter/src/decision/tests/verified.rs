//! What becomes of a request once its body is known to be LiveKit's, and of the rules by path.

use super::*;

fn end(policy: &Policy, memory: &Memory, now_ms: u64) -> (Decision, Action) {
    let mut decision = reading(policy, BODY);
    let action = decision.end(policy, BODY, now_ms, memory);
    (decision, action)
}

fn repeat(action: &Action) -> Option<Repeat> {
    match action {
        Action::Forward(facts) | Action::Ack(facts) => Some(facts.repeat),
        _ => None,
    }
}

#[test]
fn a_duplicate_is_acknowledged_only_after_the_host_took_the_first() {
    let (policy, memory) = (shielded(Mode::Ack), Memory::default());
    let (mut first, action) = end(&policy, &memory, NOW_MS);
    assert_eq!(repeat(&action), Some(Repeat::No));
    assert!(first.is_reserved());
    // Meanwhile the same again: LiveKit is to try later.
    assert_eq!(end(&policy, &memory, NOW_MS).1, Action::Refuse(Refusal::InFlight));
    assert_eq!(first.answered(&policy, Some(503), NOW_MS, &memory), Some(Settled::Released));
    let (mut second, action) = end(&policy, &memory, NOW_MS);
    assert_eq!(repeat(&action), Some(Repeat::No));
    assert_eq!(second.answered(&policy, Some(204), NOW_MS, &memory), Some(Settled::Confirmed));
    assert_eq!(second.answered(&policy, None, NOW_MS, &memory), None);
    let (third, action) = end(&policy, &memory, NOW_MS);
    assert!(matches!(action, Action::Ack(_)) && !third.is_reserved());
    assert_eq!(repeat(&action), Some(Repeat::Delivered));
}

#[test]
fn an_observed_duplicate_is_marked_and_forwarded() {
    for policy in [shielded(Mode::Observe), shadowed(shielded(Mode::Ack))] {
        let memory = Memory::default();
        let (mut first, _) = end(&policy, &memory, NOW_MS);
        let action = end(&policy, &memory, NOW_MS).1;
        assert!(matches!(&action, Action::Forward(_)));
        assert_eq!(repeat(&action), Some(Repeat::InFlight));
        first.answered(&policy, Some(200), NOW_MS, &memory);
        let action = end(&policy, &memory, NOW_MS).1;
        assert!(matches!(&action, Action::Forward(_)));
        assert_eq!(repeat(&action), Some(Repeat::Delivered));
    }
}

#[test]
fn a_key_over_its_rate_is_refused_and_its_reservation_released() {
    let mut policy = shielded(Mode::Ack);
    policy.rate = Some(Rate { requests_per_s: 1, burst: 1 });
    let memory = Memory::default();
    let (mut first, _) = end(&policy, &memory, NOW_MS);
    first.answered(&policy, None, NOW_MS, &memory);
    let (second, action) = end(&policy, &memory, NOW_MS);
    assert_eq!(action, Action::Refuse(Refusal::RateLimited { wait_s: 1 }));
    assert!(!second.is_reserved());
    // A second later the bucket has one, and the event is new: nothing was swallowed.
    assert_eq!(repeat(&end(&policy, &memory, NOW_MS + 1_000).1), Some(Repeat::No));
    let policy = shadowed(policy);
    let Action::Forward(facts) = end(&policy, &Memory::default(), NOW_MS).1 else { panic!() };
    assert_eq!(facts.excused, None);
}

#[test]
fn what_is_filtered_uses_up_nothing() {
    let mut policy = policy("track_*", &[], OnFiltered::Ack);
    policy.dedupe.mode = Mode::Ack;
    policy.rate = Some(Rate { requests_per_s: 1, burst: 1 });
    let memory = Memory::default();
    assert!(matches!(end(&policy, &memory, NOW_MS).1, Action::Ack(_)));
    assert!(memory.0.borrow().is_empty());
}

#[test]
fn shadow_mode_refuses_nothing_and_says_what_it_would() {
    let policy = shadowed(policy("track_*", &[], OnFiltered::Ack));
    let mut decision = Decision::default();
    let action = decision.head(&policy, &head("a.b"), NOW_MS);
    assert!(matches!(action, Action::Excuse(Refusal::Token(Rejection::Parts { .. }))));
    assert_eq!(decision.part(&policy, 1_000), Action::Continue);
    assert_eq!(decision.end(&policy, b"x", NOW_MS, &Memory::default()), Action::Continue);
    let mut decision = reading(&policy, BODY);
    assert_eq!(decision.part(&policy, 101), Action::Excuse(Refusal::BodyTooLarge));
    let action = reading(&policy, BODY).end(&policy, b"x", NOW_MS, &Memory::default());
    assert_eq!(action, Action::Excuse(Refusal::Token(Rejection::ShaMismatch)));
    let Action::Forward(facts) = end(&policy, &Memory::default(), NOW_MS).1 else { panic!() };
    assert!(facts.filtered);
    let action = Decision::default().give_up(&policy, Refusal::NotHeld);
    assert_eq!(action, Action::Excuse(Refusal::NotHeld));
}

#[test]
fn a_route_has_its_own_keys_events_and_mode() {
    let mut policy = every();
    let route = |path: &str, rules| Route { path: path.to_owned(), rules: Rc::new(rules) };
    let other_key = Rules { keys: vec!["other".to_owned()], ..rules("*", &[], OnFiltered::Ack) };
    let shadow = Rules { shadow: true, ..rules("*", &[], OnFiltered::Ack) };
    policy.routes = vec![
        route("/other", other_key),
        route("/tracks", rules("track_*", &[], OnFiltered::Ack)),
        route("/try", shadow),
    ];
    let token = token(BODY);
    let run = |path: &'static str| {
        let mut decision = Decision::default();
        let head = Head { path: path.as_bytes(), ..head(&token) };
        match decision.head(&policy, &head, NOW_MS) {
            Action::Hold => decision.end(&policy, b"x", NOW_MS, &Memory::default()),
            action => action,
        }
    };
    let unknown = Rejection::UnknownKey { api_key: "APIkey".to_owned() };
    assert_eq!(run("/other/x"), Action::Refuse(Refusal::Token(unknown)));
    assert_eq!(run("/try"), Action::Excuse(Refusal::Token(Rejection::ShaMismatch)));
    assert_eq!(run("/"), Action::Refuse(Refusal::Token(Rejection::ShaMismatch)));
    assert_eq!(run("/%74ry"), Action::Refuse(Refusal::Path));
    let mut decision = Decision::default();
    decision.head(&policy, &Head { path: b"/tracks", ..head(&token) }, NOW_MS);
    assert!(matches!(decision.end(&policy, BODY, NOW_MS, &Memory::default()), Action::Ack(_)));
}
