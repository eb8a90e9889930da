//! One known answer, before the first request.
//!
//! A signed request from LiveKit's own SDK must pass and two forged ones must fail, or the filter
//! refuses its configuration: a broken build is turned away instead of served. The token is fixed
//! and not made here, because a broken hash would agree with itself.

use std::rc::Rc;

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rejection, Rules, Verifier};

use crate::answer::Refusal;
use crate::decision::{Action, Decision, Head};
use crate::dedupe::{Mode, Ring};
use crate::policy::{self, Events, OnFiltered, Policy};
use crate::proxy::SharedData;

const API_KEY: &str = "APIgwTestKey001";
/// A public test value: it guards nothing.
const SECRET: &[u8] = b"gw-test-secret-000000000000000000000000000001";
const NOW_MS: u64 = 1_795_435_200_000;
const TOKEN: &[u8] = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJleHAiOjQxMDI0NDQ4MDAsImlzcyI6IkFQSWd3VGVzdEtleTAwMSIsIm5iZiI6MTc5MzQ5MTIwMCwic2hhMjU2Ijoi\
    MVBWTUkxQ09obklQN2Jtd1d2N3A3RkdGNUFYaGVlcUp0Z2x5eHAxNHErTT0ifQ.\
    3cINcMc1oYR7y-pfj69T5US5Yw3wzfWrmta5UOx_fqc";
const BODY: &[u8] = br#"{"event":"room_started", "room":{"sid":"RM_bare00000001", "name":"bare"}, "id":"EV_292435b26f0e", "createdAt":"1795435195"}"#;

/// Shared data that is not there: the shield is off.
struct Nothing;

impl SharedData for Nothing {
    fn shared(&self, _key: &str) -> Option<(Vec<u8>, u32)> {
        None
    }

    fn share(&self, _key: &str, _value: &[u8], _cas: u32) -> bool {
        false
    }
}

/// Whether this build judges as it should.
pub fn passes() -> bool {
    let mut keys = KeyRing::new();
    if keys.insert(API_KEY, SECRET).is_err() {
        return false;
    }
    let Ok(every) = Glob::parse("*") else {
        return false;
    };
    let policy = Policy {
        verifier: Verifier::new(keys, Rules::default()),
        body_bytes_max: 1_024,
        hold_headers: true,
        dedupe: Ring { mode: Mode::Off, slots: 1, window_ms: 1, pending_ms: 1 },
        rate: None,
        default: Rc::new(policy::Rules {
            shadow: false,
            keys: Vec::new(),
            events: Events {
                include: vec![every],
                exclude: Vec::new(),
                on_filtered: OnFiltered::Ack,
            },
        }),
        routes: Vec::new(),
    };
    // Each forgery is well formed, so that only the check it is meant for can refuse it.
    let mut other_body = BODY.to_vec();
    let mut other_signature = TOKEN.to_vec();
    let (Some(space), Some(end)) = (other_body.get_mut(24), other_signature.last_mut()) else {
        return false;
    };
    (*space, *end) = (b'\t', b'g');
    matches!(judge(&policy, TOKEN, BODY), Action::Forward(facts)
        if facts.envelope.as_ref().is_some_and(|envelope| envelope.event == "room_started"))
        && judge(&policy, TOKEN, &other_body)
            == Action::Refuse(Refusal::Token(Rejection::ShaMismatch))
        && matches!(
            judge(&policy, &other_signature, BODY),
            Action::Refuse(Refusal::Token(Rejection::Signature { .. }))
        )
}

fn judge(policy: &Policy, token: &[u8], body: &[u8]) -> Action {
    let mut decision = Decision::default();
    let head = Head { method: b"POST", authorization: vec![token], ..Head::default() };
    match decision.head(policy, &head, NOW_MS) {
        Action::Hold => decision.end(policy, body, NOW_MS, &Nothing),
        action => action,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_build_passes() {
        assert!(super::passes());
    }
}
