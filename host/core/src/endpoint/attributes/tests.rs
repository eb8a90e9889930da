use super::*;
use proptest::prelude::*;

fn allowed(patterns: &[&str]) -> AttributeHeaders {
    let mut allowed = AttributeHeaders::default();
    for pattern in patterns {
        allowed.allow(pattern).unwrap();
    }
    allowed
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What comes of `pairs` where `patterns` are allowed.
#[track_caller]
fn check(patterns: &[&str], pairs: &[(&str, &str)], expect: &[&str]) {
    let chosen = allowed(patterns).choose(&attributes(pairs)).unwrap();
    assert_eq!(chosen.lines().collect::<Vec<_>>(), expect, "{patterns:?} {pairs:?}");
}

#[test]
fn what_is_allowed_is_chosen_and_nothing_else() {
    let pairs = [("ce-type", "t"), ("ce-id", "1"), ("tenant", "acme"), ("x-tenant", "acme")];
    check(&[], &pairs, &[]);
    check(&["ce-*"], &pairs, &["ce-id: 1", "ce-type: t"]);
    check(&["ce-id", "x-*"], &pairs, &["ce-id: 1", "x-tenant: acme"]);
    check(&["ce-i"], &pairs, &[]);
    check(&["ce-*"], &[], &[]);
    // A value may be empty, or have spaces within.
    check(&["ce-*"], &[("ce-a", ""), ("ce-b", "a: b")], &["ce-a: ", "ce-b: a: b"]);
}

#[test]
fn the_last_of_a_name_counts() {
    check(&["ce-*"], &[("ce-id", "1"), ("ce-id", "2")], &["ce-id: 2"]);
    // Also over one that could not be sent.
    check(&["ce-*"], &[("ce-id", "ü"), ("ce-id", "2")], &["ce-id: 2"]);
}

#[test]
fn what_a_delivery_sets_or_no_header_can_be_is_left_out() {
    let pairs = [
        ("host", "a"),
        ("content-length", "1"),
        ("content-type", "text/plain"),
        ("transfer-encoding", "chunked"),
        ("authorization", "Bearer a"),
        ("traceparent", "00"),
        ("webhook-id", "1"),
        ("webhook-new", "1"),
        ("Ce-Id", "1"),
        ("session.joined_at", "1"),
        ("größe", "1"),
        ("a\r\nb", "1"),
        ("", "1"),
        ("fine", "1"),
    ];
    check(&["*"], &pairs, &["fine: 1"]);
    let long = "a".repeat(65);
    check(&["*"], &[(&long, "1")], &[]);
}

#[test]
fn a_value_that_no_header_can_have_is_refused() {
    for value in ["a\r\nb: c", "a\0", "\t", "größe", " a", "a ", "\u{7f}"] {
        let refused = allowed(&["ce-*"]).choose(&attributes(&[("ce-a", "1"), ("ce-b", value)]));
        assert_eq!(refused, Err(AttributeError::Value { name: "ce-b".to_owned() }), "{value:?}");
    }
    check(&["ce-a"], &[("ce-a", "1"), ("ce-b", "ü")], &["ce-a: 1"]);
}

#[test]
fn number_and_bytes_have_limits() {
    let names: Vec<String> = (0..=ATTRIBUTE_HEADERS_MAX).map(|n| format!("ce-{n}")).collect();
    let mut pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let refused = allowed(&["*"]).choose(&attributes(&pairs));
    assert_eq!(refused, Err(AttributeError::Count(ATTRIBUTE_HEADERS_MAX + 1)));
    // Twice the same is one.
    pairs[0].0 = "ce-1";
    assert!(allowed(&["*"]).choose(&attributes(&pairs)).is_ok());

    let most = "a".repeat(ATTRIBUTE_HEADERS_BYTES_MAX - "ce-a".len());
    assert!(allowed(&["*"]).choose(&attributes(&[("ce-a", &most)])).is_ok());
    let refused = allowed(&["*"]).choose(&attributes(&[("ce-ab", &most)]));
    assert_eq!(refused, Err(AttributeError::Bytes(ATTRIBUTE_HEADERS_BYTES_MAX + 1)));
}

#[test]
fn patterns_that_can_match_nothing_are_refused() {
    let mut none = AttributeHeaders::default();
    for pattern in ["Ce-*", "ce *", "größe", "content-type", "host", "webhook-*", "webhook-id"] {
        assert_eq!(none.allow(pattern), Err(PatternError::Name), "{pattern}");
    }
    assert_eq!(none.allow(""), Err(PatternError::Glob(glob::Error::Empty)));
    assert!(none.is_empty());
    for _ in 0..ATTRIBUTE_PATTERNS_MAX {
        none.allow("web*").unwrap();
    }
    assert_eq!(none.allow("a"), Err(PatternError::Patterns));
}

#[test]
fn what_is_no_text_of_headers_is_refused() {
    for text in ["", "a", "a:b", ": b", "A: b", "a: ü", "a: b\n", "a: b\r\nc: d", "a:  b"] {
        assert_eq!(text.parse::<DeliveryHeaders>(), Err(LinesError), "{text:?}");
    }
    assert_eq!(DeliveryHeaders::from_text(None), Ok(DeliveryHeaders::default()));
    assert_eq!(DeliveryHeaders::default().to_text(), None);
    // Another version may have had other limits.
    assert!("host: a".parse::<DeliveryHeaders>().is_ok());
}

proptest! {
    #[test]
    fn what_is_chosen_is_read_as_it_was_written(pairs in proptest::collection::vec(
        ("[a-zA-Z._-]{0,4}", "\\PC{0,4}|[ -~]{0,8}"), 0..6,
    )) {
        if let Ok(chosen) = allowed(&["*"]).choose(&pairs) {
            let text = chosen.to_text();
            prop_assert_eq!(DeliveryHeaders::from_text(text.as_deref()), Ok(chosen));
        }
    }
}
