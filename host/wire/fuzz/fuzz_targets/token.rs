//! No `Authorization` value panics, and none is accepted without the secret.
//!
//! The fuzzer does not know the secret, so whatever it makes up must be refused. The header and the
//! claims it makes up are also signed for it, so that what lies behind the HMAC is reached: such a
//! token may pass, and then says nothing that its claims do not say.

#![no_main]

use libfuzzer_sys::fuzz_target;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::sign;
use livekit_webhook_wire::verify::{Rules, Verifier};

const KEY: &str = "APIkey";
const SECRET: &[u8] = b"a secret the fuzzer does not know";
const NOW_S: i64 = 1_795_435_200;

fuzz_target!(|data: &[u8]| {
    let mut keys = KeyRing::new();
    keys.insert(KEY, SECRET).expect("a key and a secret");
    let rules = Rules { accept_bearer_prefix: true, token_age_max_s: 600, ..Rules::default() };
    let verifier = Verifier::new(keys, rules);

    assert!(verifier.token([data], NOW_S).is_err(), "accepted what nobody signed");

    // A body of the fuzzer's under our signature is accepted; the same signature over another body
    // is not.
    let token = sign::authorization(KEY, SECRET, data, NOW_S);
    assert!(verifier.verify([token.as_bytes()], data, NOW_S).is_ok());
    let other = [data, b"x"].concat();
    assert!(verifier.verify([token.as_bytes()], &other, NOW_S).is_err());

    let Ok(claims) = std::str::from_utf8(data) else {
        return;
    };
    let token = sign::signed(SECRET, sign::HEADER, claims);
    let Ok(token) = verifier.token([token.as_bytes()], NOW_S) else {
        return;
    };
    let claims: serde_json::Value = serde_json::from_str(claims).expect("claims that are JSON");
    assert_eq!(claims["iss"], token.api_key);
    assert_eq!(claims["exp"], token.expires_at_s);
    assert!(claims["aud"].is_null() && claims["sha256"].is_string());
});
