use std::cell::RefCell;
use std::collections::BTreeMap;

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::sign;
use livekit_webhook_wire::verify::{self, Verifier};
use proptest::arbitrary::any;
use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::dedupe::Ring;
use crate::policy::{Events, Route};
use crate::rate::Rate;

mod verified;

const NOW_S: i64 = 1_795_435_200;
const NOW_MS: u64 = 1_795_435_200_000;
const BODY: &[u8] = br#"{"event":"room_started","id":"EV_1"}"#;

/// What the workers share, without a proxy.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<String, (Vec<u8>, u32)>>);

impl SharedData for Memory {
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.0.borrow().get(key).cloned()
    }

    fn share(&self, key: &str, value: &[u8], cas: u32) -> bool {
        let mut values = self.0.borrow_mut();
        let old = values.get(key).map(|(_, number)| *number);
        let fits = cas == 0 || old.is_none_or(|number| number == cas);
        if fits {
            values.insert(key.to_owned(), (value.to_vec(), old.unwrap_or(0) + 1));
        }
        fits
    }
}

fn rules(include: &str, exclude: &[&str], on_filtered: OnFiltered) -> Rules {
    let glob = |text: &&str| Glob::parse(text).unwrap();
    let exclude = exclude.iter().map(glob).collect();
    Rules {
        shadow: false,
        keys: Vec::new(),
        events: Events { include: vec![glob(&include)], exclude, on_filtered },
    }
}

fn policy(include: &str, exclude: &[&str], on_filtered: OnFiltered) -> Policy {
    let mut keys = KeyRing::new();
    keys.insert("APIkey", b"secret").unwrap();
    Policy {
        verifier: Verifier::new(keys, verify::Rules::default()),
        body_bytes_max: 100,
        hold_headers: true,
        dedupe: Ring { mode: Mode::Off, slots: 64, window_ms: 900_000, pending_ms: 12_000 },
        rate: None,
        default: Rc::new(rules(include, exclude, on_filtered)),
        routes: Vec::new(),
    }
}

fn shielded(mode: Mode) -> Policy {
    let mut policy = every();
    policy.dedupe.mode = mode;
    policy
}

fn shadowed(mut policy: Policy) -> Policy {
    Rc::make_mut(&mut policy.default).shadow = true;
    policy
}

fn every() -> Policy {
    policy("*", &[], OnFiltered::Ack)
}

fn token(body: &[u8]) -> String {
    sign::authorization("APIkey", b"secret", body, NOW_S)
}

fn head(token: &str) -> Head<'_> {
    let authorization = vec![token.as_bytes()];
    Head { method: b"POST", path: b"/webhook", authorization, ..Head::default() }
}

/// A decision that has taken the head of a signed `body`.
fn reading(policy: &Policy, body: &[u8]) -> Decision {
    let mut decision = Decision::default();
    assert_eq!(decision.head(policy, &head(&token(body)), NOW_MS), Action::Hold);
    decision
}

#[track_caller]
fn check_refused(head: &Head<'_>, status: u32, code: &str) {
    let mut decision = Decision::default();
    let Action::Refuse(refusal) = decision.head(&every(), head, NOW_MS) else {
        panic!("not refused");
    };
    assert_eq!((refusal.status(), refusal.code()), (status, code));
    // What was refused stays refused.
    assert_eq!(decision.part(&every(), 1), Action::Hold);
    assert_eq!(decision.end(&every(), BODY, NOW_MS, &Memory::default()), Action::Hold);
    assert_eq!(decision.give_up(&every(), Refusal::NotHeld), Action::Hold);
}

#[test]
fn a_signed_body_is_forwarded_once_with_its_facts() {
    let mut decision = reading(&every(), BODY);
    assert_eq!(decision.part(&every(), 7), Action::Hold);
    let Action::Forward(facts) = decision.end(&every(), BODY, NOW_MS, &Memory::default()) else {
        panic!("not forwarded");
    };
    assert_eq!(facts.api_key, "APIkey");
    assert_eq!(facts.envelope.unwrap().event, "room_started");
    assert!(!facts.filtered);
    assert_eq!(decision.part(&every(), 9), Action::Continue);
    assert_eq!(decision.end(&every(), b"more", NOW_MS, &Memory::default()), Action::Continue);
}

#[test]
fn heads_of_a_wrong_form_are_refused_before_the_token_is_read() {
    let token = token(BODY);
    let good = head(&token);
    check_refused(&Head { method: b"GET", ..good.clone() }, 405, "method");
    check_refused(&Head { method: b"", ..good.clone() }, 405, "method");
    let encoded = Head { content_encoding: vec![b"identity", b"br"], ..good.clone() };
    check_refused(&encoded, 415, "content_encoding");
    for length in [&b"101"[..], b"99999999999999999999999"] {
        let large = Head { content_length: Some(length), ..good.clone() };
        check_refused(&large, 413, "body_too_large");
    }
    check_refused(&Head { authorization: vec![], ..good.clone() }, 401, "no_token");
    let twice = Head { authorization: vec![token.as_bytes(); 2], ..good };
    check_refused(&twice, 401, "multiple_tokens");
}

#[test]
fn a_body_is_counted_whatever_its_length_header_says() {
    let policy = every();
    let mut decision = reading(&policy, BODY);
    assert_eq!(decision.part(&policy, 100), Action::Hold);
    assert_eq!(decision.part(&policy, 101), Action::Refuse(Refusal::BodyTooLarge));
    let large = [b' '; 101];
    let mut decision = reading(&policy, &large);
    assert_eq!(
        decision.end(&policy, &large, NOW_MS, &Memory::default()),
        Action::Refuse(Refusal::BodyTooLarge)
    );
}

#[test]
fn another_body_is_refused_and_an_empty_one_must_be_signed_as_such() {
    let policy = every();
    for body in [&b""[..], b"{}", &BODY[1..]] {
        let action = reading(&policy, BODY).end(&policy, body, NOW_MS, &Memory::default());
        assert_eq!(action, Action::Refuse(Refusal::Token(Rejection::ShaMismatch)));
    }
    assert!(matches!(
        reading(&policy, b"").end(&policy, b"", NOW_MS, &Memory::default()),
        Action::Forward(_)
    ));
}

#[test]
fn an_authentic_body_that_cannot_be_read_is_forwarded() {
    let policy = policy("room_*", &["*"], OnFiltered::Ack);
    let Action::Forward(facts) =
        reading(&policy, b"not json").end(&policy, b"not json", NOW_MS, &Memory::default())
    else {
        panic!("not forwarded");
    };
    assert_eq!((facts.envelope, facts.filtered), (None, false));
}

#[test]
fn the_lists_decide_what_is_answered_here() {
    let run =
        |policy: Policy| reading(&policy, BODY).end(&policy, BODY, NOW_MS, &Memory::default());
    assert!(matches!(run(policy("room_*", &[], OnFiltered::Ack)), Action::Forward(_)));
    assert!(matches!(run(policy("room_*", &["*_started"], OnFiltered::Ack)), Action::Ack(_)));
    assert!(matches!(run(policy("track_*", &[], OnFiltered::Ack)), Action::Ack(_)));
    let Action::Forward(facts) = run(policy("track_*", &[], OnFiltered::Pass)) else {
        panic!("not forwarded");
    };
    assert!(facts.filtered);
}

#[test]
fn without_keys_the_answer_is_temporary() {
    let policy =
        Policy { verifier: Verifier::new(KeyRing::new(), verify::Rules::default()), ..every() };
    let action = Decision::default().head(&policy, &head(&token(BODY)), NOW_MS);
    assert_eq!(action, Action::Refuse(Refusal::NoKeys));
    assert_eq!(Refusal::NoKeys.status(), 503);
}

#[test]
fn a_head_that_is_not_held_goes_on_and_its_body_waits() {
    let policy = Policy { hold_headers: false, ..every() };
    let mut decision = Decision::default();
    assert_eq!(decision.head(&policy, &head(&token(BODY)), NOW_MS), Action::Continue);
    assert!(decision.is_reading());
    assert_eq!(decision.part(&policy, 5), Action::Hold);
    let refused = Action::Refuse(Refusal::Token(Rejection::ShaMismatch));
    assert_eq!(decision.end(&policy, b"{}", NOW_MS, &Memory::default()), refused);
}

#[test]
fn nothing_passes_before_a_head() {
    assert_eq!(Decision::default().end(&every(), b"", NOW_MS, &Memory::default()), Action::Hold);
    assert_eq!(Decision::default().part(&every(), 1), Action::Hold);
}

/// What a proxy may call, in any order.
#[derive(Clone, Debug)]
enum Call {
    Head(bool),
    Part(usize),
    End(Vec<u8>),
    GiveUp,
}

fn call() -> impl Strategy<Value = Call> {
    let body = prop_oneof![Just(BODY.to_vec()), prop::collection::vec(any::<u8>(), 0..120)];
    prop_oneof![
        any::<bool>().prop_map(Call::Head),
        (0_usize..200).prop_map(Call::Part),
        body.prop_map(Call::End),
        Just(Call::GiveUp),
    ]
}

proptest! {
    #[test]
    fn only_the_signed_body_is_ever_forwarded(calls in prop::collection::vec(call(), 0..12)) {
        let (policy, token) = (every(), token(BODY));
        let mut decision = Decision::default();
        let (mut forwarded, mut answered) = (0, 0);
        for call in calls {
            let before = forwarded;
            // A head comes first and once, as with any proxy.
            let action = match call {
                Call::Head(good) if matches!(decision.state, State::New) => {
                    decision.head(&policy, &head(if good { &token } else { "a.b.c" }), NOW_MS)
                }
                Call::Head(_) => continue,
                Call::Part(bytes) => decision.part(&policy, bytes),
                Call::End(ref body) => {
                    let action = decision.end(&policy, body, NOW_MS, &Memory::default());
                    if matches!(action, Action::Forward(_)) {
                        prop_assert_eq!(&**body, BODY);
                        forwarded += 1;
                    }
                    action
                }
                Call::GiveUp => decision.give_up(&every(), Refusal::NotHeld),
            };
            answered += usize::from(matches!(action, Action::Refuse(_) | Action::Ack(_)));
            prop_assert!(forwarded + answered <= 1);
            prop_assert!(action != Action::Continue || before == 1);
        }
    }

    #[test]
    fn no_head_panics(
        post in prop::bool::weighted(0.9),
        authorization in any::<Vec<Vec<u8>>>(),
        encoded in prop::bool::weighted(0.1),
        length in any::<Option<Vec<u8>>>(),
        path in any::<Vec<u8>>(),
        now_ms in any::<u64>(),
    ) {
        let head = Head {
            method: if post { b"POST" } else { b"\xff" },
            authority: b"\xff",
            path: &path,
            authorization: authorization.iter().map(Vec::as_slice).collect(),
            content_encoding: if encoded { vec![b"\xff"] } else { vec![] },
            content_length: length.as_deref(),
        };
        let mut decision = Decision::default();
        let action = decision.head(&every(), &head, now_ms);
        prop_assert!(matches!(action, Action::Refuse(_)));
    }
}
