use super::*;

mod schema;

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
        assert_eq!((settings.token.leeway_s, settings.token.token_age_max_s), (60, 0));
        assert!(!settings.token.accept_bearer_prefix);
        assert_eq!(settings.body_bytes_max, 8 * 1024 * 1024);
        assert!(settings.hold_headers);
        assert!(settings.default.events.wants("anything"));
        assert_eq!(settings.default.events.on_filtered, OnFiltered::Ack);
        assert_eq!(settings.header_prefix, "x-livekit-");
        assert_eq!(settings.header_facts, FACTS);
        assert!(!settings.strip_authorization && !settings.route_by_event);
        assert!(!settings.shadows() && settings.routes.is_empty() && settings.rate.is_none());
        assert_eq!(settings.dedupe.mode, dedupe::Mode::Off);
        assert_eq!((settings.dedupe.slots, settings.dedupe.window_ms), (16_384, 900_000));
        assert_eq!(settings.dedupe.pending_ms, 12_000);
    }
}

#[test]
fn every_field_takes_effect() {
    let settings = Settings::parse(
        br#"{"mode": "enforce", "keys": {"env": ["A", "B"]}, "leeway_s": 0,
            "token_age_max_s": 600, "accept_bearer_prefix": true, "body_bytes_max": 4096,
            "hold_headers": false,
            "events": {"include": ["room_*"], "exclude": ["*_finished"], "on_filtered": "pass"},
            "headers": {"prefix": "x-lk-", "set": ["event"], "strip_authorization": true},
            "dedupe": {"mode": "observe", "slots": 64, "window_s": 1, "pending_s": 2},
            "rate_limit": {"requests_per_s": 3}}"#,
    )
    .unwrap();
    assert_eq!(settings.keys_env, ["A", "B"]);
    assert_eq!((settings.token.leeway_s, settings.token.token_age_max_s), (0, 600));
    assert!(settings.token.accept_bearer_prefix);
    assert_eq!(settings.body_bytes_max, 4096);
    assert!(!settings.hold_headers);
    assert!(settings.default.events.wants("room_started"));
    assert!(!settings.default.events.wants("room_finished"));
    assert!(!settings.default.events.wants("track_published"));
    assert_eq!(settings.default.events.on_filtered, OnFiltered::Pass);
    assert_eq!(settings.header_prefix, "x-lk-");
    assert_eq!(settings.header_facts, ["event"]);
    assert!(settings.strip_authorization);
    let ring = Ring { mode: dedupe::Mode::Observe, slots: 64, window_ms: 1_000, pending_ms: 2_000 };
    assert_eq!(settings.dedupe, ring);
    assert_eq!(settings.rate, Some(Rate { requests_per_s: 3, burst: 3 }));
    let settings = Settings::parse(
        br#"{"mode": "shadow", "route_by_event": true,
            "rate_limit": {"requests_per_s": 3, "burst": 9}}"#,
    )
    .unwrap();
    assert!(settings.default.shadow && settings.route_by_event);
    assert_eq!(settings.rate, Some(Rate { requests_per_s: 3, burst: 9 }));
}

#[test]
fn a_route_has_what_it_does_not_say_from_the_top() {
    let settings = Settings::parse(
        br#"{"mode": "shadow", "events": {"include": ["room_*"], "on_filtered": "pass"},
            "routes": [{"path": "/a", "keys": ["one"], "mode": "enforce",
                "events": {"exclude": ["x"]}}, {"path": "/b"}]}"#,
    )
    .unwrap();
    let [a, b] = &*settings.routes else { panic!("{:?}", settings.routes) };
    assert_eq!((&*a.path, &*a.rules.keys, a.rules.shadow), ("/a", &["one".to_owned()][..], false));
    assert!(a.rules.events.wants("room_started") && !a.rules.events.wants("x"));
    assert_eq!(a.rules.events.on_filtered, OnFiltered::Pass);
    assert!(b.rules.shadow && b.rules.keys.is_empty());
    assert!(settings.shadows());
}

#[test]
fn a_key_of_a_route_must_be_there() {
    let settings = Settings::parse(br#"{"routes": [{"path": "/a", "keys": ["one"]}]}"#).unwrap();
    assert!(settings.keys(|_| Some("one: s".to_owned())).is_ok());
    let wrong = settings.keys(|_| Some("two: s".to_owned())).unwrap_err();
    assert_eq!(wrong[0].to_string(), "routes[0].keys: \"one\" is in none of LIVEKIT_KEYS");
    assert!(settings.keys(|_| None).unwrap().ring.is_empty());
}

#[test]
fn every_problem_is_told_at_once() {
    check(
        r#"{"mode": "observe", "leeway_s": 301, "token_age_max_s": -1, "body_bytes_max": 1.5,
            "hold_headers": "yes", "keys": [], "dedup": {},
            "dedupe": {"mode": "on", "slots": 63, "ttl": 1}, "rate_limit": {"burst": 0},
            "routes": [{"path": "a/%"}, 7, {"path": "/ok", "keys": [], "leeway_s": 1}],
            "route_by_event": true,
            "events": {"include": [], "exclude": ["ok", ""], "on_filtered": "drop", "only": 1},
            "headers": {"prefix": "x-", "set": ["room", "name"], "strip": 1}}"#,
        &[
            "leeway_s: must be a whole number, 0 to 300",
            "token_age_max_s: must be a whole number, 0 to 86400",
            "body_bytes_max: must be a whole number, 1024 to 67108864",
            "hold_headers: must be true or false",
            "keys: must be an object",
            "mode: must be \"enforce\" or \"shadow\"",
            "events.include: must be a list of 1 to 64 non-empty strings",
            "events.exclude: must be a list of 0 to 64 non-empty strings",
            "events.on_filtered: must be \"ack\" or \"pass\"",
            "events.only: is not a known field",
            "routes[0].path: must be a path: `/`, then visible ASCII without `%`, `?`, `#`, `\\`, \
             `//` and `/.`, at most 256 bytes",
            "routes[1]: must be an object",
            "routes[2].keys: must be a list of 1 to 64 non-empty strings",
            "routes[2].leeway_s: is not a known field",
            "dedupe.mode: must be \"off\" or \"observe\" or \"ack\"",
            "dedupe.slots: must be a whole number, 64 to 1048576",
            "dedupe.ttl: is not a known field",
            "rate_limit.requests_per_s: must be set, 1 to 100000",
            "rate_limit.burst: must be a whole number, 1 to 1000000",
            "headers.prefix: must be `x-…-`: 4 to 32 of a-z, 0-9 and `-`",
            "headers.set[1]: must be one of verified, key, event, event-id, room, age-s",
            "headers.strip: is not a known field",
            "dedup: is not a known field",
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
    let once = |key: &str| (key.to_owned(), 1);
    assert_eq!(keys.secrets, [once("one"), once("two"), once("three")]);
    assert!(settings.keys(|_| None).unwrap().ring.is_empty());
    let wrong = settings.keys(|name| Some(format!("a: b\nhidden{name}"))).unwrap_err();
    let text: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 3);
    assert!(text[0].starts_with("$A: line 2"), "{text:?}");
    assert!(!text.concat().contains("hidden"));
}

#[test]
fn a_route_is_not_chosen_by_headers_that_are_not_set() {
    check(
        r#"{"route_by_event": true, "headers": {"set": []}}"#,
        &["route_by_event: needs a header to choose by: see `headers.set`"],
    );
}

#[test]
fn a_head_that_is_not_held_cannot_be_routed_by_its_event() {
    check(
        r#"{"hold_headers": false, "route_by_event": true}"#,
        &["route_by_event: needs `hold_headers`: a head that has left is routed"],
    );
}
