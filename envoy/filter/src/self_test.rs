//! One known answer, before the first request.
//!
//! A signed request from LiveKit's own SDK must pass and two forged ones must fail, or the filter
//! refuses its configuration: a broken build is turned away instead of served. The token is fixed
//! and not made here, because a broken hash would agree with itself.

use livekit_webhook_wire::glob::Glob;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::verify::{Rules, Verifier};

use crate::decision::{Action, Decision, Events, Head, OnFiltered, Policy};

const API_KEY: &str = "APIgwTestKey001";
/// A public test value: it guards nothing.
const SECRET: &[u8] = b"gw-test-secret-000000000000000000000000000001";
const NOW_S: i64 = 1_795_435_200;
const TOKEN: &[u8] = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJleHAiOjQxMDI0NDQ4MDAsImlzcyI6IkFQSWd3VGVzdEtleTAwMSIsIm5iZiI6MTc5MzQ5MTIwMCwic2hhMjU2Ijoi\
    MVBWTUkxQ09obklQN2Jtd1d2N3A3RkdGNUFYaGVlcUp0Z2x5eHAxNHErTT0ifQ.\
    3cINcMc1oYR7y-pfj69T5US5Yw3wzfWrmta5UOx_fqc";
const BODY: &[u8] = br#"{"event":"room_started", "room":{"sid":"RM_bare00000001", "name":"bare"}, "id":"EV_292435b26f0e", "createdAt":"1795435195"}"#;

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
        events: Events {
            include: vec![every],
            exclude: Vec::new(),
            on_filtered: OnFiltered::Ack,
        },
    };
    let mut tampered_body = BODY.to_vec();
    let mut tampered_token = TOKEN.to_vec();
    let (Some(b), Some(t)) = (tampered_body.last_mut(), tampered_token.first_mut()) else {
        return false;
    };
    (*b, *t) = (b' ', b'f');
    forwards(&policy, TOKEN, BODY) == Some("room_started".to_owned())
        && forwards(&policy, TOKEN, &tampered_body).is_none()
        && forwards(&policy, &tampered_token, BODY).is_none()
}

/// The event that is forwarded, if any.
fn forwards(policy: &Policy, token: &[u8], body: &[u8]) -> Option<String> {
    let mut decision = Decision::default();
    let head = Head {
        method: b"POST",
        authorization: vec![token],
        ..Head::default()
    };
    if decision.head(policy, &head, NOW_S) != Action::Hold {
        return None;
    }
    match decision.end(policy, body) {
        Action::Forward(facts) => facts.envelope.map(|envelope| envelope.event),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_build_passes() {
        assert!(super::passes());
    }
}
