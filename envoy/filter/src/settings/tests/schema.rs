//! `config.schema.json` says the same as the code: whatever one takes, the other takes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const SCHEMA: &str = include_str!("../../../config.schema.json");

/// As much of JSON Schema as the file uses; an unknown word fails the test.
fn valid(schema: &Value, value: &Value) -> bool {
    let members = schema.as_object().unwrap();
    members.iter().all(|(word, limit)| match word.as_str() {
        "$schema" | "title" | "description" => true,
        "type" => match limit.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            other => panic!("type {other}"),
        },
        "enum" => limit.as_array().unwrap().contains(value),
        "minimum" => value.as_i64().is_none_or(|number| number >= limit.as_i64().unwrap()),
        "maximum" => value.as_i64().is_none_or(|number| number <= limit.as_i64().unwrap()),
        "minLength" => length(value).is_none_or(|length| length >= limit.as_u64().unwrap()),
        "maxLength" => length(value).is_none_or(|length| length <= limit.as_u64().unwrap()),
        "minItems" => {
            items(value).is_none_or(|items| items.len() as u64 >= limit.as_u64().unwrap())
        }
        "maxItems" => {
            items(value).is_none_or(|items| items.len() as u64 <= limit.as_u64().unwrap())
        }
        "items" => items(value).is_none_or(|items| items.iter().all(|item| valid(limit, item))),
        "pattern" => value.as_str().is_none_or(|text| fits(limit.as_str().unwrap(), text)),
        "required" => value.as_object().is_none_or(|members| {
            limit
                .as_array()
                .unwrap()
                .iter()
                .all(|name| members.contains_key(name.as_str().unwrap()))
        }),
        "properties" => value.as_object().is_none_or(|members| {
            let known = limit.as_object().unwrap();
            members.iter().all(|(name, value)| known.get(name).is_none_or(|s| valid(s, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = schema["properties"].as_object().unwrap();
            members.keys().all(|name| known.contains_key(name))
        }),
        other => panic!("the schema says {other:?}, which this test cannot read"),
    })
}

/// Lengths count in characters there and in bytes here: the values below are ASCII.
fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.len() as u64)
}

fn items(value: &Value) -> Option<&Vec<Value>> {
    value.as_array()
}

/// The three patterns of the file, by hand.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        r"^[^*]*(\*[^*]*){0,8}$" => text.matches('*').count() <= 8,
        r"^/(?!.*(//|/\.))[!-~]*$" => {
            text.starts_with('/')
                && !text.contains("//")
                && !text.contains("/.")
                && text.bytes().all(|byte| byte.is_ascii_graphic())
        }
        r"^x-[a-z0-9-]*-$" => {
            let middle = text.strip_prefix("x-").and_then(|rest| rest.strip_suffix('-'));
            let plain =
                |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
            middle.is_some_and(|middle| middle.bytes().all(plain))
        }
        other => panic!("pattern {other}"),
    }
}

#[track_caller]
fn check_same(value: &Value) {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let read = Settings::parse(value.to_string().as_bytes());
    // What a schema cannot say: one member needs another.
    let routed = value["route_by_event"] == true && value["hold_headers"] == false;
    let expected = valid(&schema, value) && !routed;
    assert_eq!(read.is_ok(), expected, "{value} {read:?}");
}

fn leaf() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        Just(-1),
        Just(0),
        Just(1),
        Just(60),
        Just(61),
        Just(63),
        Just(64),
        Just(300),
        Just(301),
        Just(1_023),
        Just(1_024),
        Just(86_400),
        Just(86_401),
        Just(100_000),
        Just(100_001),
        Just(1_000_000),
        Just(1_000_001),
        Just(1_048_576),
        Just(1_048_577),
        Just(67_108_864),
        Just(67_108_865)
    ];
    let texts = prop_oneof![
        "[a-z*/.x-]{0,6}".prop_map(Value::from),
        "x-[a-z-]{0,4}-".prop_map(Value::from),
        "/[a-z/.]{0,5}".prop_map(Value::from),
        Just(json!("*".repeat(8))),
        Just(json!("*".repeat(9))),
        Just(json!("a".repeat(256))),
        Just(json!("a".repeat(257))),
        prop::sample::select(vec!["enforce", "shadow", "off", "observe", "ack", "pass"])
            .prop_map(Value::from),
    ];
    prop_oneof![
        numbers.prop_map(|number: i64| json!(number)),
        texts.clone(),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!(1.5)),
        prop::collection::vec(texts, 0..3).prop_map(Value::from),
        Just(json!(vec!["x"; 64])),
        Just(json!(vec!["x"; 65])),
    ]
}

/// An object with some members of `schema`, each mostly of the right shape.
fn like(schema: Value, depth: usize) -> BoxedStrategy<Value> {
    if let Some(properties) = schema["properties"].as_object().filter(|_| depth < 4) {
        let members: Vec<_> = properties
            .iter()
            .map(|(name, schema)| {
                let name = name.clone();
                let value = prop_oneof![4 => like(schema.clone(), depth + 1), 1 => leaf()];
                prop::option::weighted(0.3, value).prop_map(move |value| (name.clone(), value))
            })
            .collect();
        let unknown = prop::option::weighted(0.02, Just(("other".to_owned(), json!(1))));
        return (members, unknown)
            .prop_map(|(members, unknown)| {
                let known = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
                Value::Object(known.chain(unknown).collect::<Map<_, _>>())
            })
            .boxed();
    }
    match &schema["enum"] {
        Value::Array(words) => prop::sample::select(words.clone()).boxed(),
        _ if schema["type"] == "array" => {
            prop::collection::vec(like(schema["items"].clone(), depth + 1), 0..3)
                .prop_map(Value::from)
                .boxed()
        }
        _ if schema["type"] == "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        _ => leaf().boxed(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_schema_and_the_code_take_the_same(
        value in like(serde_json::from_str(SCHEMA).unwrap(), 0),
    ) {
        check_same(&value);
    }
}

#[test]
fn the_limits_of_every_member_are_the_same() {
    for value in [
        json!({}),
        json!([]),
        json!({"leeway_s": 301}),
        json!({"rate_limit": {}}),
        json!({"rate_limit": {"requests_per_s": 1, "burst": 1_000_001}}),
        json!({"routes": [{"path": "/a"}, {"keys": ["a"]}]}),
        json!({"headers": {"prefix": "x--"}}),
        json!({"headers": {"prefix": "x-a-"}}),
        json!({"events": {"include": ["*".repeat(9)]}}),
        json!({"keys": {"env": []}}),
    ] {
        check_same(&value);
    }
}
