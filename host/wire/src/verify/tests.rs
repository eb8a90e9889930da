//! Every reason to refuse, one at a time, and the properties that hold for all tokens.

use proptest::prelude::*;

use super::*;
use crate::sign;

const NOW_S: i64 = 1_795_435_200;
const BODY: &[u8] = br#"{"event":"room_started"}"#;
const KEY: &str = "APIkey";
const SECRET: &[u8] = b"secret";

fn verifier(rules: Rules) -> Verifier {
    let mut keys = KeyRing::new();
    keys.insert(KEY, SECRET).unwrap();
    keys.insert(KEY, b"next secret").unwrap();
    keys.insert("APIother", b"other secret").unwrap();
    Verifier::new(keys, rules)
}

fn judge(rules: Rules, value: &str) -> Result<Token, Rejection> {
    verifier(rules).verify([value.as_bytes()], BODY, NOW_S)
}

/// What our claims look like, with `changes` in their place or added.
fn claims(changes: &[(&str, &str)]) -> String {
    let sha256 = base64_of_body();
    let mut members = vec![
        ("iss", format!("\"{KEY}\"")),
        ("nbf", NOW_S.to_string()),
        ("exp", (NOW_S + 300).to_string()),
        ("sha256", format!("\"{sha256}\"")),
    ];
    for (name, value) in changes {
        members.retain(|(known, _)| known != name);
        if !value.is_empty() {
            members.push((name, (*value).to_owned()));
        }
    }
    let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
    format!("{{{}}}", members.join(","))
}

fn base64_of_body() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(BodyHash::of(BODY))
}

fn encode(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

#[track_caller]
fn check_claims(changes: &[(&str, &str)], expect: Result<(), &str>) {
    let token = sign::signed(SECRET, sign::HEADER, &claims(changes));
    let verdict = judge(Rules::default(), &token);
    assert_eq!(verdict.as_ref().map(|_| ()).map_err(Rejection::code), expect, "{verdict:?}");
}

#[track_caller]
fn check_header(header: &str, expect: Result<(), &str>) {
    let token = sign::signed(SECRET, &encode(header), &claims(&[]));
    let verdict = judge(Rules::default(), &token);
    assert_eq!(verdict.as_ref().map(|_| ()).map_err(Rejection::code), expect, "{verdict:?}");
}

#[test]
fn accepts_what_livekit_sends() {
    let token = judge(Rules::default(), &sign::authorization(KEY, SECRET, BODY, NOW_S)).unwrap();
    assert_eq!(token.api_key, KEY);
    assert_eq!(token.secret_index, 0);
    assert_eq!(token.expires_at_s, NOW_S + 300);
    assert_eq!(token.issued_at_s, Some(NOW_S));
    assert_eq!(token.body_sha256, BodyHash::of(BODY));
}

#[test]
fn tells_which_secret_signed() {
    let token = sign::authorization(KEY, b"next secret", BODY, NOW_S);
    assert_eq!(judge(Rules::default(), &token).unwrap().secret_index, 1);
    let crossed = sign::authorization(KEY, b"other secret", BODY, NOW_S);
    assert_eq!(
        judge(Rules::default(), &crossed),
        Err(Rejection::Signature { api_key: KEY.into() })
    );
    let verifier = verifier(Rules::default());
    assert_eq!(verifier.signer(crossed.as_bytes()), Some("APIother"));
    assert_eq!(verifier.signer(b"a.b.c"), None);
}

#[test]
fn judges_the_header() {
    check_header(r#"{"alg":"HS256"}"#, Ok(()));
    check_header(r#"{"typ":7,"x":[{}],"\u0061lg":"HS\u003256"}"#, Ok(()));
    check_header(r#"{"alg":"hs256"}"#, Err("alg"));
    check_header(r#"{"alg":["HS256"]}"#, Err("alg"));
    check_header("{}", Err("alg"));
    check_header(r#"{"alg":"HS256","alg":"HS256"}"#, Err("header_json"));
    check_header(r#"{"alg":"HS256","crit":[]}"#, Err("crit"));
    check_header(r#"{"alg":"HS256","b64":true}"#, Err("crit"));
    check_header("[]", Err("header_json"));
}

#[test]
fn judges_the_claims() {
    check_claims(&[], Ok(()));
    check_claims(&[("iss", "")], Err("iss_missing"));
    check_claims(&[("iss", "\"\"")], Err("iss_missing"));
    check_claims(&[("iss", "[\"APIkey\"]")], Err("iss_missing"));
    check_claims(&[("iss", "\"APIkey2\"")], Err("iss"));
    check_claims(&[("iss", "\"APIother\"")], Err("sig"));
    check_claims(&[("exp", "")], Err("exp_missing"));
    check_claims(&[("exp", "null")], Err("exp_missing"));
    check_claims(&[("exp", "1e10")], Err("exp_missing"));
    check_claims(&[("exp", "99999999999999999999")], Err("exp_missing"));
    check_claims(&[("exp", "9223372036854775807")], Ok(()));
    check_claims(&[("nbf", "")], Ok(()));
    check_claims(&[("nbf", "\"1\"")], Err("claim_type"));
    check_claims(&[("iat", "true")], Err("claim_type"));
    check_claims(&[("iat", "9223372036854775807")], Err("nbf"));
    check_claims(&[("aud", "null")], Err("aud"));
    check_claims(&[("sub", "\"x\""), ("jti", "\"y\"")], Ok(()));
    check_claims(&[("sub", "1")], Err("claim_type"));
    check_claims(&[("jti", "null")], Err("claim_type"));
    check_claims(&[("sha256", "")], Err("sha_missing"));
    check_claims(&[("sha256", "null")], Err("sha_malformed"));
    check_claims(&[("sha256", "\"\"")], Err("sha_malformed"));
    check_claims(&[("video", "{\"roomJoin\":true}")], Ok(()));
}

#[test]
fn tells_by_how_many_seconds() {
    let token = sign::signed(SECRET, sign::HEADER, &claims(&[]));
    let at = |now_s| verifier(Rules::default()).token([token.as_bytes()], now_s).err();
    assert_eq!(at(NOW_S + 359), None);
    assert_eq!(at(NOW_S + 360), Some(Rejection::Expired { ago_s: 60, leeway_s: 60 }));
    assert_eq!(at(NOW_S - 60), None);
    let early = Rejection::NotYetValid { claim: "nbf", ahead_s: 61, leeway_s: 60 };
    assert_eq!(at(NOW_S - 61), Some(early));
}

#[test]
fn limits_age_only_when_told() {
    let rules = Rules { token_age_max_s: 100, leeway_s: 10, ..Rules::default() };
    let token = sign::signed(SECRET, sign::HEADER, &claims(&[]));
    let at = |now_s| verifier(rules.clone()).token([token.as_bytes()], now_s).err();
    assert_eq!(at(NOW_S + 110), None);
    assert_eq!(at(NOW_S + 111), Some(Rejection::TooOld { age_s: 111, max_s: 110 }));
    let undated = sign::signed(SECRET, sign::HEADER, &claims(&[("nbf", "")]));
    assert_eq!(judge(rules, &undated), Err(Rejection::IssuedMissing));
}

#[test]
fn takes_one_value_of_bounded_length() {
    let token = sign::authorization(KEY, SECRET, BODY, NOW_S);
    let verifier = verifier(Rules::default());
    let judge = |values: &[&str]| {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        verifier.token(values, NOW_S).map(|_| ()).map_err(|rejection| rejection.code())
    };
    assert_eq!(judge(&[]), Err("no_token"));
    assert_eq!(judge(&[" \t "]), Err("no_token"));
    assert_eq!(judge(&[&token, &token]), Err("multiple_tokens"));
    assert_eq!(judge(&[&format!("{token}, {token}")]), Err("multiple_tokens"));
    assert_eq!(judge(&[&format!(" \t{token}\t ")]), Ok(()));
    assert_eq!(judge(&[&"a".repeat(8193)]), Err("token_too_long"));
    assert_eq!(judge(&[&"a".repeat(8192)]), Err("parts"));
    assert_eq!(judge(&["a.b.c.d"]), Err("parts"));
    assert_eq!(judge(&[&format!("{token}=")]), Err("base64"));
    assert_eq!(judge(&[&format!("Bearer {token}")]), Err("bearer"));
    assert_eq!(judge(&["Basic dXNlcjpwYXNz.a.b"]), Err("base64"));
}

#[test]
fn reads_tokens_up_to_the_limit() {
    let video = format!("\"{}\"", "x".repeat(5900));
    check_claims(&[("video", &video)], Ok(()));
}

#[test]
fn bearer_is_an_option() {
    let rules = || Rules { accept_bearer_prefix: true, ..Rules::default() };
    let token = sign::authorization(KEY, SECRET, BODY, NOW_S);
    assert!(judge(rules(), &format!("Bearer {token}")).is_ok());
    assert!(judge(rules(), &format!("bEaReR \t{token}")).is_ok());
    assert!(judge(rules(), &token).is_ok());
    assert_eq!(judge(rules(), &format!("Bearer{token}")).unwrap_err().code(), "base64");
}

#[test]
fn an_empty_ring_says_so_first() {
    let verifier = Verifier::new(KeyRing::new(), Rules::default());
    let rejection = verifier.verify([], BODY, NOW_S).unwrap_err();
    assert_eq!((rejection.code(), rejection.public_code()), ("no_keys", "no_keys"));
}

#[test]
fn strangers_cannot_tell_key_from_signature_from_algorithm() {
    let unknown = Rejection::UnknownKey { api_key: "x".into() };
    let signature = Rejection::Signature { api_key: "x".into() };
    for rejection in [unknown, signature, Rejection::Alg { found: None }] {
        assert_eq!(rejection.public_code(), "invalid_token");
    }
}

#[test]
fn quotes_strangers_briefly() {
    let token = sign::authorization(&"k".repeat(500), SECRET, BODY, NOW_S);
    let expected = Rejection::UnknownKey { api_key: "k".repeat(64) };
    assert_eq!(judge(Rules::default(), &token), Err(expected));
}

proptest! {
    #[test]
    fn what_we_sign_verifies(
        key in "\\PC{1,40}",
        secret in prop::collection::vec(any::<u8>(), 1..100),
        body in prop::collection::vec(any::<u8>(), 0..300),
        now_s in 0..4_000_000_000i64,
    ) {
        let mut keys = KeyRing::new();
        keys.insert(&key, &secret).unwrap();
        let token = sign::authorization(&key, &secret, &body, now_s);
        let verifier = Verifier::new(keys, Rules::default());
        let token = verifier.verify([token.as_bytes()], &body, now_s).unwrap();
        prop_assert_eq!(token.api_key, key);
    }

    #[test]
    fn one_bit_of_the_token_changes_the_verdict(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut token = sign::authorization(KEY, SECRET, BODY, NOW_S).into_bytes();
        let at = at.index(token.len());
        token[at] ^= 1 << bit;
        let verdict = verifier(Rules::default()).verify([token.as_slice()], BODY, NOW_S);
        prop_assert!(verdict.is_err());
    }

    #[test]
    fn one_bit_of_the_body_changes_the_verdict(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let token = sign::authorization(KEY, SECRET, BODY, NOW_S);
        let mut body = BODY.to_vec();
        body[at.index(BODY.len())] ^= 1 << bit;
        let verdict = verifier(Rules::default()).verify([token.as_bytes()], &body, NOW_S);
        prop_assert_eq!(verdict, Err(Rejection::ShaMismatch));
    }

    #[test]
    fn arbitrary_values_are_refused_without_panic(
        value in prop::collection::vec(any::<u8>(), 0..9000),
        now_s: i64,
    ) {
        prop_assert!(verifier(Rules::default()).token([value.as_slice()], now_s).is_err());
    }

    #[test]
    fn arbitrary_claims_never_panic(header in ".{0,200}", claims in ".{0,200}", now_s: i64) {
        let token = sign::signed(SECRET, &encode(&header), &claims);
        let _ = verifier(Rules::default()).token([token.as_bytes()], now_s);
    }
}
