use super::*;
use livekit_webhook_plugin::native;
use serde_json::{Map, Value, json};

const KEY: &str = "R0000000000000000000000000000000";

fn told(config: Value, event: &Event) -> Option<Value> {
    let mut whole = json!({ "routing_key": KEY });
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    native::set_config(&whole);
    pagerduty(event).unwrap().map(|draft| serde_json::from_slice(&draft.body).unwrap())
}

fn all() -> Value {
    json!({ "alerts": ["egress", "ingress", "agent", "room", "connection"], "acknowledge": true })
}

fn event(body: Value) -> Event {
    Event::from_json(body.to_string()).unwrap()
}

#[test]
fn every_type_of_event_makes_the_golden_alert_or_none() {
    let mut made = Map::new();
    for kind in native::KINDS {
        let alert = told(all(), &native::sample(kind).unwrap()).unwrap_or_default();
        made.insert(kind.to_owned(), alert);
    }
    let made = format!("{:#}\n", Value::Object(made));
    assert_eq!(made, include_str!("../fixtures/golden.json"));
}

/// A failure, and the recovery that resolves it.
#[test]
fn a_recovery_resolves_what_the_failure_triggered() {
    #[track_caller]
    fn check(failure: Value, recovery: Value, key: &str) {
        let failure = told(all(), &event(failure)).unwrap();
        let recovery = told(all(), &event(recovery)).unwrap();
        assert_eq!(
            (&failure["event_action"], &failure["dedup_key"]),
            (&"trigger".into(), &key.into())
        );
        assert_eq!(
            (&recovery["event_action"], &recovery["dedup_key"]),
            (&"resolve".into(), &key.into())
        );
    }
    let room = json!({ "name": "r" });
    check(
        json!({ "event": "egress_ended", "room": room,
            "egressInfo": { "egressId": "EG_1", "status": "EGRESS_FAILED" } }),
        json!({ "event": "egress_updated", "room": room,
            "egressInfo": { "egressId": "EG_2", "status": "EGRESS_ACTIVE" } }),
        "livekit/test/egress/r",
    );
    check(
        json!({ "event": "egress_ended", "egressInfo": { "egressId": "EG_1", "error": "no worker" } }),
        json!({ "event": "egress_ended", "egressInfo": { "egressId": "EG_1", "status": "EGRESS_COMPLETE" } }),
        "livekit/test/egress/EG_1",
    );
    check(
        json!({ "event": "ingress_ended", "room": room,
            "ingressInfo": { "ingressId": "IN_1", "state": { "status": "ENDPOINT_ERROR" } } }),
        json!({ "event": "ingress_started", "room": room, "ingressInfo": { "ingressId": "IN_1" } }),
        "livekit/test/ingress/IN_1",
    );
    check(
        json!({ "event": "agent_job_ended",
            "job": { "agentName": "bot", "room": room, "state": { "status": "JS_FAILED" } } }),
        json!({ "event": "agent_job_ended",
            "job": { "agentName": "bot", "room": room, "state": { "status": "JS_SUCCESS" } } }),
        "livekit/test/agent/r/bot",
    );
    check(
        json!({ "event": "room_finished", "room": room, "roomEndReason": "ROOM_END_OPEN_FAILED" }),
        json!({ "event": "room_started", "room": room }),
        "livekit/test/room/r",
    );
    let participant = json!({ "identity": "alice" });
    check(
        json!({ "event": "participant_connection_aborted", "room": room, "participant": participant }),
        json!({ "event": "participant_joined", "room": room, "participant": participant }),
        "livekit/test/connection/r/alice",
    );
}

#[test]
fn what_ends_as_it_should_is_no_news() {
    for body in [
        json!({ "event": "room_finished", "room": { "name": "r" } }),
        json!({ "event": "ingress_ended", "ingressInfo": { "ingressId": "IN_1", "state": {} } }),
        json!({ "event": "egress_updated", "egressInfo": { "egressId": "E", "status": "EGRESS_ENDING" } }),
        json!({ "event": "egress_ended", "egressInfo": { "egressId": "E" } }),
        json!({ "event": "moon_landed" }),
        json!({ "event": "room_started" }),
    ] {
        assert_eq!(told(all(), &event(body.clone())), None, "{body}");
    }
}

#[test]
fn only_what_is_watched_is_told_and_tries_only_when_asked() {
    let aborted = native::sample("participant_connection_aborted").unwrap();
    assert_eq!(told(json!({}), &aborted), None);
    let started = native::sample("egress_started").unwrap();
    assert_eq!(told(json!({}), &started), None);
    let alert = told(json!({ "acknowledge": true }), &started).unwrap();
    assert_eq!(alert["event_action"], "acknowledge");
    assert_eq!(told(json!({ "acknowledge": true, "alerts": ["agent"] }), &started), None);
}

#[test]
fn severity_is_by_class_and_configurable() {
    let failed = event(json!({ "event": "egress_ended", "room": { "name": "r" },
        "egressInfo": { "status": "EGRESS_FAILED", "error": "Disk full" } }));
    let alert = told(json!({}), &failed).unwrap();
    assert_eq!(alert["payload"]["severity"], "error");
    assert_eq!(alert["payload"]["summary"], "Egress of r: failed: Disk full");
    assert_eq!(alert["payload"]["custom_details"]["egress_error"], "Disk full");
    let config = json!({ "severity": { "egress": "critical" }, "client_url": "https://x.example" });
    let alert = told(config, &failed).unwrap();
    assert_eq!(alert["payload"]["severity"], "critical");
    assert_eq!(alert["client_url"], "https://x.example");
}

#[test]
fn the_longest_names_stay_within_pagerdutys_limits_and_keys_stay_apart() {
    let failed = |room: String| {
        let failed = json!({ "event": "egress_ended", "id": "x".repeat(9999), "room": { "name": room },
            "egressInfo": { "status": "EGRESS_FAILED", "error": "é".repeat(9999) } });
        told(json!({}), &event(failed)).unwrap()
    };
    let (a, b) = (failed("é".repeat(999)), failed("é".repeat(998)));
    for alert in [&a, &b] {
        assert!(alert["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
        assert_eq!(alert["dedup_key"].as_str().unwrap().chars().count(), 255);
        assert!(alert.to_string().len() < 512 * 1024);
    }
    assert_ne!(a["dedup_key"], b["dedup_key"]);
    assert_eq!(a["dedup_key"], failed("é".repeat(999))["dedup_key"]);
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_without_its_secret() {
    #[track_caller]
    fn check_config(config: Value, expect: &str) {
        let refusal = match serde_json::from_value::<Config>(config) {
            Ok(config) => check(&config).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(refusal.contains(expect), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    check_config(json!({}), "missing field `routing_key`");
    check_config(json!({ "routing_key": "hunter2" }), "must be the 32 letters and digits");
    check_config(json!({ "routing_key": KEY, "alerts": [] }), "at least one");
    check_config(json!({ "routing_key": KEY, "alerts": ["moon"] }), "unknown variant `moon`");
    check_config(json!({ "routing_key": KEY, "severity": { "room": "bad" } }), "unknown variant");
    check_config(json!({ "routing_key": KEY, "client_url": "x" }), "https://");
}
