use super::*;
use livekit_webhook_plugin::native;
use pattern::Pattern;
use serde_json::{Value, json};

#[track_caller]
fn check_route(config: &Value, event: &Event, expect: &[&str]) {
    native::set_config(config);
    check(&serde_json::from_value(config.clone()).unwrap()).unwrap();
    assert_eq!(route(event).unwrap(), expect);
}

fn event(body: Value) -> Event {
    Event::from_json(body.to_string()).unwrap()
}

#[test]
fn every_type_of_event_that_tells_its_tenant_goes_to_the_tenants_endpoint() {
    let config = json!({ "tenant": [{ "room_metadata": "/tenant" }, { "room_name": "{tenant}-room" }],
        "endpoints": { "acme": "acme-calls", "demo": ["demo-a", "demo-b"] } });
    for kind in native::KINDS {
        // Only these carry the whole room; the others tell its name.
        let is_full =
            ["room_", "participant_", "agent_"].iter().any(|start| kind.starts_with(start));
        let expect: &[&str] = if is_full { &["acme-calls"] } else { &["demo-a", "demo-b"] };
        check_route(&config, &native::sample(kind).unwrap(), expect);
    }
}

#[test]
fn each_place_can_hold_the_tenant() {
    #[track_caller]
    fn check_place(place: Value, body: Value) {
        let config = json!({ "tenant": [place], "endpoints": { "acme": "yes" }, "default": "no" });
        check_route(&config, &event(body), &["yes"]);
        check_route(&config, &event(json!({ "event": "x" })), &["no"]);
    }
    let room =
        json!({ "event": "x", "room": { "name": "eu/acme:42", "metadata": "{\"a\":[\"acme\"]}" } });
    check_place(json!({ "room_name": "*/{tenant}:*" }), room.clone());
    check_place(json!({ "room_metadata": "/a/0" }), room.clone());
    check_place(json!({ "room_metadata": "/a/0" }), json!({ "event": "x", "job": room }));
    let who = json!({ "metadata": "{\"org\":\"acme\"}", "attributes": { "org.id": "acme" } });
    let who = json!({ "event": "x", "participant": who });
    check_place(json!({ "participant_metadata": "/org" }), who.clone());
    check_place(json!({ "participant_attribute": "org.id" }), who.clone());
    check_place(json!({ "participant_attribute": "org.id" }), json!({ "event": "x", "job": who }));
    let agent = json!({ "event": "x", "job": { "metadata": "acme" } });
    check_place(json!({ "agent_metadata": "" }), agent);
}

#[test]
fn an_earlier_plugin_or_the_source_can_tell_the_tenant() {
    let config = json!({ "tenant": [{ "attribute": "tenant" }, { "source": true }],
        "endpoints": { "acme": "a", "test": "t" } });
    let plain = event(json!({ "event": "x" }));
    check_route(&config, &plain, &["t"]);
    check_route(&config, &plain.with_attribute("tenant", "acme"), &["a"]);
}

#[test]
fn a_number_can_be_a_tenant_and_nothing_else_that_is_no_text() {
    let config = json!({ "tenant": [{ "room_metadata": "/id" }], "unknown": "same-name" });
    let of = |metadata: &str| event(json!({ "event": "x", "room": { "metadata": metadata } }));
    check_route(&config, &of(r#"{"id":42}"#), &["42"]);
    for none in [r#"{"id":null}"#, r#"{"id":["a"]}"#, r#"{"id":""}"#, "not json", ""] {
        check_route(&config, &of(none), &[]);
    }
    check_route(&config, &of(&json!({ "id": "x".repeat(257) }).to_string()), &[]);
}

#[test]
fn an_unknown_tenant_never_goes_to_another_ones_endpoint() {
    let unknown = |unknown: &str| {
        json!({ "tenant": [{ "room_metadata": "/t" }], "endpoints": { "acme": "acme" },
            "default": ["shared"], "unknown": unknown })
    };
    let globex = event(json!({ "event": "x", "room": { "metadata": "{\"t\":\"globex\"}" } }));
    check_route(&unknown("default"), &globex, &["shared"]);
    check_route(&unknown("nothing"), &globex, &[]);
    check_route(&unknown("same-name"), &globex, &["globex"]);
    check_route(&unknown("nothing"), &event(json!({ "event": "x" })), &["shared"]);
}

#[test]
fn patterns_fit_whole_names_and_take_as_little_as_fits() {
    #[track_caller]
    fn check_part(pattern: &str, name: &str, expect: Option<&str>) {
        let pattern = Pattern::try_from(pattern.to_owned()).unwrap();
        assert_eq!(pattern.part(name), expect, "{name}");
    }
    check_part("{tenant}-*", "acme-room-1", Some("acme"));
    check_part("{tenant}-*", "-room", None);
    check_part("{tenant}-*", "acme", None);
    check_part("{tenant}", "ümläut", Some("ümläut"));
    check_part("room-{tenant}", "room-acme", Some("acme"));
    check_part("room-{tenant}", "a-room-acme", None);
    check_part("room-{tenant}", "room-", None);
    check_part("*/{tenant}/*", "eu/acme/1/2", Some("acme"));
    check_part("*-{tenant}-prod", "a-b-c-prod", Some("b-c"));
    check_part("{tenant}-*", &"x".repeat(2000), None);
    check_part("*a{tenant}a*b", &"a".repeat(1024), None);
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_in_words() {
    #[track_caller]
    fn check_config(config: Value, expect: &str) {
        let refusal = match serde_json::from_value::<Config>(config) {
            Ok(config) => check(&config).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(refusal.contains(expect), "{refusal}");
    }
    check_config(json!({}), "missing field `tenant`");
    check_config(json!({ "tenant": [] }), "must name 1 to 16 places");
    check_config(json!({ "tenant": [{ "room": "x" }] }), "unknown variant `room`");
    check_config(json!({ "tenant": [{ "room_name": "acme-*" }] }), "write {tenant} once");
    check_config(json!({ "tenant": [{ "room_name": "{tenant}***" }] }), "at most 2 times");
    check_config(
        json!({ "tenant": [{ "room_metadata": "tenant" }] }),
        "place 1: \"tenant\" is not",
    );
    check_config(json!({ "tenant": [{ "attribute": "" }] }), "is empty");
    check_config(json!({ "tenant": [{ "source": true }], "default": "" }), "none empty");
    check_config(json!({ "tenant": [{ "source": true }], "unknown": "x" }), "unknown variant");
}
