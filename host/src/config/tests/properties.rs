//! Whatever is typed: an answer, never a panic, and what is accepted prints as what it is.

use super::*;
use proptest::prelude::*;

/// Names and values that mean something here, and some that do not.
fn word() -> impl Strategy<Value = String> {
    let known = [
        "ingest",
        "store",
        "deliver",
        "admin",
        "listen",
        "url",
        "name",
        "keys",
        "api_key",
        "secret",
        "secret_file",
        "signing",
        "secrets",
        "livekit",
        "hmac",
        "retry",
        "max_age",
        "limits",
        "allow",
        "events",
        "rooms",
        "plugins",
        "config",
        "on_error",
        "endpoint",
        "file",
        "grace_ms",
        "header",
        "headers",
        "auth",
        "basic",
        "bearer",
        "oauth2",
        "user",
        "token_url",
        "client_id",
        "scope",
        "expires",
        "ca_file",
        "content_type",
    ];
    prop_oneof![proptest::sample::select(known.to_vec()).prop_map(str::to_owned), "[a-z_]{1,8}"]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>().prop_map(|number| format!("{number:?}").to_lowercase()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        Just("2026-01-01T00:00:00Z".to_owned()),
        "[ -~&&[^\"\\\\]]{0,20}".prop_map(|text| format!("\"{text}\"")),
        word().prop_map(|text| format!("\"{text}\"")),
        Just("\"5s\"".to_owned()),
        Just("\"https://example.com/\"".to_owned()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map(word(), inner, 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(k, v)| format!("{k} = {v}")).collect();
                format!("{{ {} }}", members.join(", "))
            }),
        ]
    })
}

fn section() -> impl Strategy<Value = String> {
    let heads = [
        "[ingest]",
        "[store]",
        "[deliver]",
        "[admin]",
        "[[source]]",
        "[[plugin]]",
        "[[endpoint]]",
        "[[subscription]]",
        "[other]",
    ];
    let members = proptest::collection::btree_map(word(), value(), 0..6);
    (proptest::sample::select(heads.to_vec()), members).prop_map(|(head, members)| {
        let members: Vec<_> = members.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
        format!("{head}\n{}", members.concat())
    })
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = parse(&text, Path::new("/nowhere"));
    }

    #[test]
    fn any_toml_is_answered(sections in proptest::collection::vec(section(), 0..5)) {
        // Beside what works, so that later checks are reached too.
        for text in [sections.concat(), format!("{}{BASE}", sections.concat())] {
            if let Err(problems) = parse(&text, Path::new("/nowhere")) {
                prop_assert!(!problems.is_empty());
            }
        }
    }

    #[test]
    fn any_string_is_printed_as_toml(text in "\\PC*|[\\x00-\\x7f]{0,40}") {
        let mut base: toml::Table = BASE.parse().unwrap();
        let subscription = base["subscription"][0].as_table_mut().unwrap();
        subscription.insert("rooms".to_owned(), vec![text.clone()].into());
        let config = parse::parse_table(base, Path::new("/nowhere"), &environment());
        if let Ok(config) = config {
            let dump = config.dump().replace("[redacted]", SECRET);
            let again = parse(&dump, Path::new("/nowhere")).unwrap();
            prop_assert_eq!(again.subscriptions[0].rooms(), config.subscriptions[0].rooms());
        }
    }
}
