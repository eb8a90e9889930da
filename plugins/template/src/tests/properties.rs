//! No template and no event makes a panic, and no value breaks out of its JSON.

use super::*;
use proptest::prelude::*;

/// Pieces that templates are made of, so that many of them are right.
const PIECES: [&str; 40] = [
    "{{",
    "}}",
    "{{#if ",
    "{{#each ",
    "{{#unless ",
    "{{else}}",
    "{{else if ",
    "{{/if}}",
    "{{/each}}",
    "{{/unless}}",
    "{{!",
    "room.name",
    "tags",
    "this",
    "@index",
    "@last",
    " as t",
    "t",
    "attributes.x",
    "body",
    " | ",
    "json",
    "upper",
    "default(\"x\")",
    "truncate(3)",
    "join(\",\")",
    "get(\"/a\")",
    "replace(\"a\", \"aa\")",
    "date",
    "parse",
    "\"",
    "\\",
    "[",
    "]",
    "(",
    ")",
    ".",
    "0",
    "ä😀",
    "\n",
];

fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES.as_slice());
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[\"\\\\{}\u{0}-\u{1f}\u{2028}😀]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_template_makes_a_panic(pieces in pieces(), any: String) {
        for text in [pieces, any] {
            for content in [Content::Json, Content::Text] {
                if let Ok(template) = parsed(&text, content) {
                    let _ = render::template(&template, &sample());
                }
            }
        }
    }

    #[test]
    fn an_error_lies_within_the_template(text in pieces()) {
        if let Err(error) = parse::template(&text, Content::Json) {
            prop_assert!(error.line <= text.lines().count() + 1);
            prop_assert!(error.column <= text.chars().count() + 1);
        }
    }

    #[test]
    fn whatever_a_value_is_it_stays_within_its_place(value in value()) {
        let event = Event::from_json(json!({ "event": "x", "v": value }).to_string()).unwrap();
        let text = r#"{"quoted":"<{{ v }}>","bare":{{ v }},"{{ v }}":[{{#each v}}{{ this }},{{/each}}0]}"#;
        let made = filled(Content::Json, text, &event);
        let made: Value = serde_json::from_str(&made).unwrap();
        prop_assert_eq!(&made["bare"], &value);
        if let Value::String(words) = &value {
            prop_assert_eq!(&made["quoted"], &format!("<{words}>"));
        }
        prop_assert!(made.as_object().unwrap().len() <= 3);
    }

    #[test]
    fn no_filter_makes_a_panic(value in value(), argument in value(), other in value()) {
        let arguments = [std::borrow::Cow::Owned(argument), std::borrow::Cow::Owned(other)];
        for name in filter::Filter::names().split(", ") {
            let filter = filter::Filter::named(name).unwrap();
            let taken = *filter.takes().end();
            let _ = filter.apply(&value, &arguments[..taken]);
        }
    }
}
