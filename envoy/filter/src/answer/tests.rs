use livekit_webhook_wire::verify::Part;

use super::*;

#[track_caller]
fn check(refusal: &Refusal, status: u32, code: &str, header: Option<(&'static str, &str)>) {
    let answer = refusal.answer();
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, body["code"].as_str().unwrap()), (status, code));
    assert_eq!(body["status"], status);
    assert_eq!(answer.details, format!("livekit_webhook{{{}}}", refusal.code()));
    if let Some((name, value)) = header {
        assert!(answer.headers.contains(&(name.into(), value.to_owned())), "{:?}", answer.headers);
    }
}

#[test]
fn each_refusal_has_its_status_code_and_header() {
    let challenge = "LiveKit-Webhook error=\"body_mismatch\"";
    let mismatch = Refusal::Token(Rejection::ShaMismatch);
    check(&mismatch, 401, "body_mismatch", Some(("www-authenticate", challenge)));
    check(&Refusal::Method, 405, "method", Some(("allow", "POST")));
    check(&Refusal::BodyTooLarge, 413, "body_too_large", None);
    check(&Refusal::ContentEncoding, 415, "content_encoding", None);
    check(&Refusal::NoKeys, 503, "no_keys", Some(("retry-after", "1")));
    check(&Refusal::Unreadable, 503, "unavailable", Some(("retry-after", "1")));
    check(&Refusal::NotHeld, 503, "unavailable", Some(("retry-after", "1")));
    check(&Refusal::NotCalled, 503, "unavailable", Some(("retry-after", "1")));
    check(&Refusal::InFlight, 503, "in_flight", Some(("retry-after", "1")));
    check(&Refusal::Path, 400, "path", None);
    let limited = Refusal::RateLimited { wait_s: 3 };
    check(&limited, 429, "rate_limited", Some(("retry-after", "3")));
}

#[test]
fn a_stranger_cannot_tell_an_unknown_key_from_a_wrong_secret() {
    let unknown = Refusal::Token(Rejection::UnknownKey { api_key: "a".into() }).answer();
    let wrong = Refusal::Token(Rejection::Signature { api_key: "a".into() }).answer();
    assert_ne!(unknown.details, wrong.details);
    assert_eq!((unknown.headers, unknown.body), (wrong.headers, wrong.body));
}

#[test]
fn every_code_has_a_counter() {
    let text = String::new;
    for rejection in [
        Rejection::NoKeys,
        Rejection::NoToken,
        Rejection::MultipleTokens,
        Rejection::TokenTooLong { bytes: 1 },
        Rejection::Bearer,
        Rejection::Parts { found: 1 },
        Rejection::Base64 { part: Part::Header },
        Rejection::Alg { found: None },
        Rejection::Critical { member: "crit" },
        Rejection::IssMissing,
        Rejection::UnknownKey { api_key: text() },
        Rejection::Signature { api_key: text() },
        Rejection::ExpMissing,
        Rejection::Expired { ago_s: 1, leeway_s: 1 },
        Rejection::NotYetValid { claim: "nbf", ahead_s: 1, leeway_s: 1 },
        Rejection::TooOld { age_s: 1, max_s: 1 },
        Rejection::IssuedMissing,
        Rejection::ClaimType { claim: "sub", expected: "" },
        Rejection::Audience,
        Rejection::ShaMissing,
        Rejection::ShaMalformed,
        Rejection::ShaMismatch,
    ] {
        let code = Refusal::Token(rejection).code();
        assert!(CODES.contains(&code), "{code}");
    }
    for refusal in [
        Refusal::Method,
        Refusal::ContentEncoding,
        Refusal::BodyTooLarge,
        Refusal::NoKeys,
        Refusal::Unreadable,
        Refusal::NotHeld,
        Refusal::NotCalled,
        Refusal::Path,
        Refusal::RateLimited { wait_s: 1 },
        Refusal::InFlight,
    ] {
        assert!(CODES.contains(&refusal.code()), "{refusal:?}");
    }
    assert_eq!(CODES.last(), Some(&"other"));
}
