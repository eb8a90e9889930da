use super::*;

fn problems(json: &str) -> Vec<String> {
    match Settings::parse(json.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn check(json: &str, expected: &[&str]) {
    assert_eq!(problems(json), expected, "{json}");
}

#[test]
fn nothing_and_an_empty_object_mean_the_defaults() {
    for json in ["", "{}"] {
        let settings = Settings::parse(json.as_bytes()).unwrap();
        assert_eq!(settings.keys_env, ["LIVEKIT_KEYS"]);
        assert_eq!((settings.rules.leeway_s, settings.rules.token_age_max_s), (60, 0));
        assert!(!settings.rules.accept_bearer_prefix);
        assert_eq!(settings.body_bytes_max, 8 * 1024 * 1024);
        assert!(settings.hold_headers);
        assert!(settings.events.wants("anything"));
        assert_eq!(settings.events.on_filtered, OnFiltered::Ack);
        assert_eq!(settings.header_prefix, "x-livekit-");
        assert!(!settings.strip_authorization);
    }
}

#[test]
fn every_field_takes_effect() {
    let settings = Settings::parse(
        br#"{"mode": "enforce", "keys": {"env": ["A", "B"]}, "leeway_s": 0,
            "token_age_max_s": 600, "accept_bearer_prefix": true, "body_bytes_max": 4096,
            "hold_headers": false,
            "events": {"include": ["room_*"], "exclude": ["*_finished"], "on_filtered": "pass"},
            "headers": {"prefix": "x-lk-", "strip_authorization": true}}"#,
    )
    .unwrap();
    assert_eq!(settings.keys_env, ["A", "B"]);
    assert_eq!((settings.rules.leeway_s, settings.rules.token_age_max_s), (0, 600));
    assert!(settings.rules.accept_bearer_prefix);
    assert_eq!(settings.body_bytes_max, 4096);
    assert!(!settings.hold_headers);
    assert!(settings.events.wants("room_started"));
    assert!(!settings.events.wants("room_finished"));
    assert!(!settings.events.wants("track_published"));
    assert_eq!(settings.events.on_filtered, OnFiltered::Pass);
    assert_eq!(settings.header_prefix, "x-lk-");
    assert!(settings.strip_authorization);
}

#[test]
fn every_problem_is_told_at_once() {
    check(
        r#"{"mode": "shadow", "leeway_s": 301, "token_age_max_s": -1, "body_bytes_max": 1.5,
            "hold_headers": "yes", "keys": [], "dedupe": {},
            "events": {"include": [], "exclude": ["ok", ""], "on_filtered": "drop", "only": 1},
            "headers": {"prefix": "x-", "set": 1}}"#,
        &[
            "mode: must be \"enforce\"",
            "leeway_s: must be a whole number, 0 to 300",
            "token_age_max_s: must be a whole number, 0 to 86400",
            "body_bytes_max: must be a whole number, 1024 to 67108864",
            "hold_headers: must be true or false",
            "keys: must be an object",
            "events.include: must be a list of 1 to 64 non-empty strings",
            "events.exclude: must be a list of 0 to 64 non-empty strings",
            "events.on_filtered: must be \"ack\" or \"pass\"",
            "events.only: is not a known field",
            "headers.prefix: must be `x-…-`: 4 to 32 of a-z, 0-9 and `-`",
            "headers.set: is not a known field",
            "dedupe: is not a known field",
        ],
    );
}

#[test]
fn patterns_are_checked_one_by_one() {
    let nine = "*a".repeat(9);
    check(
        &format!(r#"{{"events": {{"include": ["room_*", "{nine}"]}}}}"#),
        &["events.include[1]: the pattern has 9 stars, at most 8 are allowed"],
    );
}

#[test]
fn what_is_no_object_is_refused() {
    check("[]", &["configuration: must be a JSON object"]);
    let texts = problems("{");
    assert!(texts.concat().starts_with("configuration: must be JSON in a StringValue: "));
}

#[test]
fn keys_come_from_every_variable_and_their_text_is_never_told() {
    let settings = Settings::parse(br#"{"keys": {"env": ["A", "B", "C"]}}"#).unwrap();
    let keys = settings
        .keys(|name| match name {
            "A" => Some("one: s1".to_owned()),
            "C" => Some("two: s2, three: s3".to_owned()),
            _ => None,
        })
        .unwrap();
    assert_eq!(keys.api_keys().collect::<Vec<_>>(), ["one", "two", "three"]);
    assert!(settings.keys(|_| None).unwrap().is_empty());
    let wrong = settings.keys(|name| Some(format!("a: b\nhidden{name}"))).unwrap_err();
    let text: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 3);
    assert!(text[0].starts_with("$A: line 2"), "{text:?}");
    assert!(!text.concat().contains("hidden"));
}
