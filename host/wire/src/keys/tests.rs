//! Limits, LiveKit's own notation, and that nothing prints a secret.

use super::*;

#[test]
fn refuses_empty_keys_and_secrets() {
    let mut ring = KeyRing::new();
    assert_eq!(ring.insert("", b"s"), Err(Error::EmptyKey));
    assert_eq!(ring.insert("k", b""), Err(Error::EmptySecret));
    assert!(ring.is_empty());
    assert_eq!(ring.insert("k", b"s"), Ok(()));
    assert!(!ring.is_empty());
}

#[test]
fn holds_its_limits() {
    let mut ring = KeyRing::new();
    for n in 0..SECRETS_PER_KEY_MAX {
        ring.insert("k", &[1, n as u8]).unwrap();
    }
    let full = Error::TooMany { what: "secrets for one key", max: 4 };
    assert_eq!(ring.insert("k", b"one more"), Err(full));
    for n in 1..KEYS_MAX {
        ring.insert(&format!("k{n}"), b"s").unwrap();
    }
    let full = Error::TooMany { what: "keys", max: 64 };
    assert_eq!(ring.insert("another", b"s"), Err(full));
    assert_eq!(ring.api_keys().count(), KEYS_MAX);
}

#[test]
fn debug_shows_names_only() {
    let mut ring = KeyRing::new();
    ring.insert("APIabc", b"hidden").unwrap();
    assert_eq!(format!("{ring:?}"), r#"["APIabc"]"#);
}

#[track_caller]
fn names(text: &str, expected: &[&str]) {
    let ring = KeyRing::from_livekit_keys(text).unwrap();
    assert_eq!(ring.api_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn reads_livekits_notation() {
    names("", &[]);
    names("devkey: secret", &["devkey"]);
    names("a: 1\n\n# c: 3\n  b:  2  \r\n", &["a", "b"]);
    names("a: 1, b: 2", &["a", "b"]);
    names("\"a\": '1'", &["a"]);
    names("a: 1\na: 2", &["a"]);
}

#[test]
fn tells_the_line_that_is_wrong() {
    let line = |text| KeyRing::from_livekit_keys(text).err();
    assert_eq!(line("devkey:secret"), Some(Error::Line { line: 1 }));
    assert_eq!(line("a: 1\nnonsense"), Some(Error::Line { line: 2 }));
    assert_eq!(line("a: 1\n: 2"), Some(Error::Line { line: 2 }));
    assert_eq!(line("a: ''"), Some(Error::Line { line: 1 }));
}

#[test]
fn finds_the_secret_that_signed() {
    let mut ring = KeyRing::new();
    ring.insert("one", b"old").unwrap();
    ring.insert("one", b"new").unwrap();
    ring.insert("two", b"other").unwrap();
    let mac = |secret: &[u8]| -> [u8; 32] {
        let state = HmacSha256::new_from_slice(secret).unwrap();
        state.chain_update("text").finalize().into_bytes().into()
    };
    assert_eq!(ring.verify("one", b"text", &mac(b"old")), Ok(0));
    assert_eq!(ring.verify("one", b"text", &mac(b"new")), Ok(1));
    assert_eq!(ring.verify("one", b"text", &mac(b"other")), Err(Mismatch::Signature));
    assert_eq!(ring.verify("two", b"text", &mac(b"other")), Ok(0));
    // The stand-ins of a key with fewer secrets, and of no key, never win.
    assert_eq!(ring.verify("two", b"text", &mac(b"new")), Err(Mismatch::Signature));
    assert_eq!(ring.verify("three", b"text", &mac(b"old")), Err(Mismatch::UnknownKey));
    assert_eq!(ring.signer(b"text", &mac(b"other")), Some("two"));
    assert_eq!(ring.signer(b"text", &mac(b"none")), None);
}
