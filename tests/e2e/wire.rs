//! One verifier: natively and in wasm, beside LiveKit's own.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_api::access_token::{AccessToken, Claims, TokenVerifier};
use livekit_api::webhooks::WebhookReceiver;
use livekit_webhook_tests::judge::{self, VECTORS, Vector, Verdict, WasmJudge};
use livekit_webhook_wire::body_hash::BodyHash;
use livekit_webhook_wire::keys::KeyRing;
use livekit_webhook_wire::sign;
use livekit_webhook_wire::verify::{Rules, Verifier};

const KEY: &str = "devkey";
const SECRET: &str = "secret";
const BODY: &str = r#"{"event":"room_started","id":"EV_1","room":{"name":"r"}}"#;

/// Where LiveKit's Rust receiver judges a line otherwise than we do, and why we do not follow it.
const DIFFERENCES: [(&str, &str); 14] = [
    ("ok/header-extra-members", "it refuses unknown JOSE members that are no strings"),
    ("ok/future-enum-name", "it refuses enum names newer than it is"),
    ("ok/future-enum-number", "it refuses enum numbers newer than it is"),
    ("ok/alt-nulls", "it refuses `null` strings"),
    ("bad/config-empty-secret", "it verifies with an empty secret"),
    ("bad/crit-unknown-string", "it never looks at `crit`"),
    ("bad/duplicate-header-first-good", "it sees one value only"),
    ("malformed/deep-nesting", "it has no limit in members it skips"),
    ("malformed/no-event", "it takes an event without a name"),
    ("malformed/empty-object", "it takes an event without a name"),
    ("partial/int32-overflow", "it wants every known field to fit"),
    ("partial/createdAt-text", "it wants every known field to fit"),
    ("partial/enum-bool", "it wants every known field to fit"),
    ("partial/both-spellings", "it wants one spelling of a field"),
];

#[test]
fn native_and_wasm_agree_on_every_vector() {
    let mut wasm = WasmJudge::load().unwrap();
    let vectors = judge::vectors().unwrap();
    assert_eq!(vectors.len(), VECTORS);
    for vector in &vectors {
        let native = judge::native(vector);
        assert_eq!(wasm.judge(vector).unwrap(), native, "{}", vector.name);
        assert_eq!(matches!(native, Verdict::Accept(_)), vector.accept, "{}", vector.name);
    }
}

/// What LiveKit's own receiver says now, of the first value, as frameworks hand it over.
fn livekit_accepts(vector: &Vector) -> bool {
    let Some(token) = vector.authorization.first() else {
        return false;
    };
    let Ok(body) = std::str::from_utf8(&vector.body) else {
        return false;
    };
    let verifier = TokenVerifier::with_api_key(&vector.api_key, &vector.secret);
    WebhookReceiver::new(verifier).receive(body, token).is_ok()
}

#[test]
fn we_differ_from_livekits_receiver_only_where_listed() {
    let mut differences = Vec::new();
    for vector in judge::vectors().unwrap().iter().filter(|vector| !vector.time_sensitive) {
        assert_eq!(livekit_accepts(vector), vector.rust_accepts, "{}", vector.name);
        let ours = matches!(judge::native(vector), Verdict::Accept(_));
        if ours != vector.rust_accepts {
            differences.push(vector.name.clone());
        }
    }
    differences.sort();
    let mut listed: Vec<_> = DIFFERENCES.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    assert_eq!(differences, listed);
}

#[test]
fn what_livekit_signs_we_accept() {
    let sha256 = STANDARD.encode(BodyHash::of(BODY.as_bytes()));
    let token = AccessToken::with_api_key(KEY, SECRET)
        .with_ttl(Duration::from_secs(300))
        .with_sha256(&sha256)
        .to_jwt()
        .unwrap();
    let mut keys = KeyRing::new();
    keys.insert(KEY, SECRET.as_bytes()).unwrap();
    let verifier = Verifier::new(keys, Rules::default());
    let verified = verifier.verify([token.as_bytes()], BODY.as_bytes(), now_s()).unwrap();
    assert_eq!(verified.api_key, KEY);
}

#[test]
fn what_we_sign_livekit_accepts() {
    let token = sign::authorization(KEY, SECRET.as_bytes(), BODY.as_bytes(), now_s());
    let receiver = WebhookReceiver::new(TokenVerifier::with_api_key(KEY, SECRET));
    assert_eq!(receiver.receive(BODY, &token).unwrap().event, "room_started");
    assert!(receiver.receive(&BODY.replace('r', "s"), &token).is_err());
}

/// Unix seconds by the clock that LiveKit's crate reads, taken from a token it makes: tests read no
/// clock of their own.
fn now_s() -> i64 {
    let lifetime_s = 300;
    let token = AccessToken::with_api_key(KEY, SECRET).with_ttl(Duration::from_secs(lifetime_s));
    let claims = Claims::from_unverified(&token.to_jwt().unwrap()).unwrap();
    i64::try_from(claims.exp).unwrap() - i64::try_from(lifetime_s).unwrap()
}
