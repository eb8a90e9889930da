use super::*;
use livekit_webhook_plugin::native;
use serde_json::{Map, json};

#[track_caller]
fn normalized(config: Value, body: &Value) -> Value {
    native::set_config(&config);
    let event = normalize(Event::from_json(body.to_string()).unwrap()).unwrap();
    serde_json::from_slice(event.json()).unwrap()
}

#[test]
fn every_type_of_event_has_the_golden_shape() {
    let mut shapes = Map::new();
    for kind in native::KINDS {
        let event = native::sample(kind).unwrap();
        shapes.insert(kind.to_owned(), normalized(json!({}), event.value()));
    }
    let shapes = format!("{:#}\n", Value::Object(shapes));
    assert_eq!(shapes, include_str!("../fixtures/golden.json"));
}

/// Every way to configure it.
fn configurations() -> Vec<Value> {
    let mut all = Vec::new();
    for times in ["ms", "s", "rfc3339", "keep"] {
        for unset in ["null", "zero"] {
            for durations in ["ms", "s", "keep"] {
                for integers in ["number", "text"] {
                    all.push(json!({ "times": times, "unset_times": unset,
                        "durations": durations, "integers": integers }));
                }
            }
        }
    }
    all
}

#[test]
fn normalizing_again_changes_nothing_however_it_is_configured() {
    for config in configurations() {
        for kind in native::KINDS {
            let once = normalized(config.clone(), native::sample(kind).unwrap().value());
            let twice = normalized(config.clone(), &once);
            assert_eq!(once.to_string(), twice.to_string(), "{kind} {config}");
        }
    }
}

#[test]
fn every_member_is_kept_known_or_not() {
    fn keeps(before: &Value, after: &Value) -> bool {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) => before
                .iter()
                .all(|(name, value)| after.get(name).is_some_and(|after| keeps(value, after))),
            (Value::Array(before), Value::Array(after)) => {
                before.len() == after.len() && before.iter().zip(after).all(|(b, a)| keeps(b, a))
            }
            _ => true,
        }
    }
    for kind in native::KINDS {
        let mut body = native::sample(kind).unwrap().value().clone();
        body["new"] = json!({ "deep": [1, null, { "startedAt": "17" }] });
        for part in ["room", "participant", "track", "egressInfo", "ingressInfo", "job"] {
            if body.get(part).is_some() {
                body[part]["newer"] = json!("x");
            }
        }
        let after = normalized(json!({}), &body);
        assert!(keeps(&body, &after), "{kind}: {after:#}");
        assert_eq!(after["new"], body["new"]);
    }
}

#[test]
fn zero_values_come_back_where_absence_means_zero() {
    let body = native::sample("participant_left").unwrap();
    let after = normalized(json!({}), body.value());
    assert_eq!(after["room"]["numParticipants"], 0);
    assert_eq!(after["room"]["activeRecording"], false);
    assert_eq!(after["participant"]["kind"], "STANDARD");
    assert_eq!(after["participant"]["tracks"], json!([]));
    let after = normalized(json!({}), native::sample("egress_started").unwrap().value());
    assert_eq!(after["egressInfo"]["status"], "EGRESS_STARTING");
    assert_eq!(after["egressInfo"]["startedAt"], Value::Null);
    assert_eq!(after["egressInfo"].get("file"), None);
    let after = normalized(json!({}), native::sample("track_published").unwrap().value());
    assert_eq!(after["track"]["type"], "AUDIO");
    assert_eq!(after["track"]["muted"], false);
}

#[test]
fn what_is_sent_in_short_is_not_filled_up() {
    for kind in ["track_published", "egress_ended", "ingress_started"] {
        let before = native::sample(kind).unwrap();
        let after = normalized(json!({}), before.value());
        assert_eq!(after["room"], before.value()["room"], "{kind}");
    }
    let after = normalized(json!({}), native::sample("track_published").unwrap().value());
    assert_eq!(after["participant"].get("state"), None);
    // `optional` in the protocol: absent means that nobody chose.
    let body = json!({ "event": "ingress_ended", "ingressInfo": { "ingressId": "IN_1" } });
    assert_eq!(normalized(json!({}), &body)["ingressInfo"].get("enabled"), None);
}

#[test]
fn units_are_one_and_configurable() {
    let body = json!({ "event": "egress_ended", "createdAt": "1767225600", "egressInfo": {
        "startedAt": "1767225539123456789", "fileResults": [{ "duration": "61500000000", "size": "7" }] } });
    let after = normalized(json!({}), &body);
    assert_eq!(after["createdAt"], 1_767_225_600_000_i64);
    assert_eq!(after["egressInfo"]["startedAt"], 1_767_225_539_123_i64);
    assert_eq!(after["egressInfo"]["fileResults"][0]["duration"], 61_500);
    assert_eq!(after["egressInfo"]["fileResults"][0]["size"], 7);
    let config =
        json!({ "times": "rfc3339", "durations": "s", "integers": "text", "unset_times": "zero" });
    let after = normalized(config, &body);
    assert_eq!(after["createdAt"], "2026-01-01T00:00:00Z");
    assert_eq!(after["egressInfo"]["startedAt"], "2025-12-31T23:58:59.123456789Z");
    assert_eq!(after["egressInfo"]["endedAt"], "1970-01-01T00:00:00Z");
    assert_eq!(after["egressInfo"]["fileResults"][0]["duration"], 61.5);
    assert_eq!(after["egressInfo"]["fileResults"][0]["size"], "7");
    let after = normalized(json!({ "times": "keep", "durations": "keep" }), &body);
    assert_eq!(after["createdAt"], 1_767_225_600);
    // Beyond 2^53 a number would lose digits in some readers.
    assert_eq!(after["egressInfo"]["startedAt"], "1767225539123456789");
}

#[test]
fn what_does_not_fit_stays_as_it_is() {
    let body = json!({ "event": "room_started", "createdAt": "soon", "room": {
        "creationTime": "1767225600", "numParticipants": [1], "metadata": 7, "sid": null, "name": "r" } });
    let after = normalized(json!({}), &body);
    assert_eq!(after["createdAt"], "soon");
    assert_eq!(after["room"]["numParticipants"], json!([1]));
    assert_eq!(after["room"]["metadata"], 7);
    assert_eq!(after["room"]["sid"], "");
    let enums = json!({ "event": "x", "participant": { "joinedAt": "1", "state": 2, "kind": 99 } });
    let after = normalized(json!({}), &enums);
    assert_eq!(after["participant"]["state"], "ACTIVE");
    assert_eq!(after["participant"]["kind"], 99);
    let native = Event::from_json("[1]").unwrap();
    assert!(matches!(normalize(native), Err(Failure::Reject(_))));
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_in_words() {
    let parse = |config| serde_json::from_value::<Config>(config).unwrap_err().to_string();
    assert!(
        parse(json!({ "times": "ns" })).contains("expected one of `ms`, `s`, `rfc3339`, `keep`")
    );
    assert!(parse(json!({ "unit": "ms" })).contains("unknown field"));
}
