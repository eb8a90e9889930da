//! `[secrets]`, and endpoints whose secret is in the store.

use super::*;

/// 32 bytes.
const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn with(keys: &str) -> String {
    format!("[secrets]\nkeys = [{keys}]\n{BASE}")
}

#[test]
fn an_endpoint_without_a_secret_signs_with_those_of_the_store_when_they_can_be_sealed() {
    let key = format!("{{ id = \"k1\", secret = \"{KEY}\" }}");
    let secret = format!("secret = \"{SECRET}\"\n");
    let folder = folder();
    let stored = parse(&with(&key).replace(&secret, ""), folder.path()).unwrap();
    assert!(stored.endpoints[0].signs_with_stored());
    let configured = parse(&with(&key), folder.path()).unwrap();
    assert!(!configured.endpoints[0].signs_with_stored());
    let missing = parse(&BASE.replace(&secret, ""), folder.path()).unwrap_err();
    assert_eq!(
        missing,
        [
            "endpoint[0].secret_file: is missing: give secret_file, secret_env or, for trying things out, secret"
        ]
    );
}

#[test]
fn keys_are_read_in_order_and_printed_without_their_bytes() {
    let folder = folder();
    std::fs::write(folder.path().join("seal.key"), format!("{KEY}\n")).unwrap();
    let other = "bm90IHRoZSBzYW1lIGtleSBhcyB0aGUgZmlyc3Qga2U=";
    let keys = format!(
        "{{ id = \"k2\", secret_file = \"seal.key\" }}, {{ id = \"k1\", secret = \"{other}\" }}"
    );
    let config = parse(&with(&keys), folder.path()).unwrap();
    let ids: Vec<&str> = config.vault.keys().iter().map(|key| key.id()).collect();
    assert_eq!(ids, ["k2", "k1"]);
    let dump = config.dump();
    let line = "keys = [{ id = \"k2\", secret = \"[redacted]\" }, { id = \"k1\", secret = \"[redacted]\" }]";
    assert!(dump.lines().any(|one| one == line), "{dump}");
    assert!(!dump.contains(KEY) && !format!("{config:?}").contains(KEY));
}

#[test]
fn mistakes_are_told_with_their_key() {
    let wrong_key = "secrets.keys[0].secret: expected the base64 of 32 random bytes, such as `openssl rand -base64 32` prints";
    let twice =
        format!("{{ id = \"k\", secret = \"{KEY}\" }}, {{ id = \"k\", secret = \"{KEY}\" }}");
    for (keys, problem) in [
        ("{ id = \"k\", secret = \"c2hvcnQ=\" }", wrong_key),
        ("{ id = \"k\", secret = \"???\" }", wrong_key),
        (
            &*format!("{{ secret = \"{KEY}\" }}"),
            "secrets.keys[0].id: is missing, for example id = \"k1\"",
        ),
        (
            &*format!("{{ id = \"a b\", secret = \"{KEY}\" }}"),
            "secrets.keys[0].id: the id of a key is 1 to 64 printable ASCII characters",
        ),
        (&*twice, "secrets.keys[1].id: \"k\" stands twice"),
    ] {
        assert_eq!(parse(&with(keys), Path::new("")).unwrap_err(), [problem], "{keys}");
    }
}
