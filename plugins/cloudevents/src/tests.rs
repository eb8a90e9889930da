use super::*;
use livekit_webhook_plugin::native;
use serde_json::json;

#[track_caller]
fn wrapped(config: Value, event: &Event) -> Value {
    native::set_config(&config);
    let draft = cloudevents(event).unwrap();
    serde_json::from_slice(&draft.body).unwrap()
}

#[test]
fn every_type_of_event_makes_the_golden_cloud_event() {
    let mut made = Map::new();
    for kind in native::KINDS {
        let event = native::sample(kind).unwrap();
        let mut cloud_event = wrapped(json!({}), &event);
        assert_eq!(&cloud_event["data"], event.value());
        cloud_event["data"] = "the event".into();
        made.insert(kind.to_owned(), cloud_event);
    }
    let made = format!("{:#}\n", Value::Object(made));
    assert_eq!(made, include_str!("../fixtures/golden.json"));
}

#[test]
fn the_events_own_bytes_are_the_data() {
    let odd =
        " { \"event\" : \"x\", \"n\":1.0e+2,\"u\":\"\\u0041\",\n\"big\":12345678901234567890123 } ";
    native::set_config(&json!({}));
    let draft = cloudevents(&Event::from_json(odd).unwrap()).unwrap();
    let text = String::from_utf8(draft.body).unwrap();
    assert!(text.ends_with(&format!(",\"data\":{}}}", odd.trim())), "{text}");
}

#[test]
fn what_is_not_json_is_a_text_or_base64() {
    let event = |body: &[u8]| Event::from_json("{}").unwrap().with_body(body);
    let text = wrapped(json!({}), &event(b"room \"r\""));
    assert_eq!(text["data"], "room \"r\"");
    assert_eq!(text["datacontenttype"], "text/plain; charset=utf-8");
    let binary = wrapped(json!({}), &event(b"\xFF\x00"));
    assert_eq!(binary["data_base64"], "/wA=");
    assert_eq!(binary.get("data"), None);
}

#[test]
fn base64_is_that_of_rfc_4648() {
    for (bytes, expect) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64::encode(bytes.as_bytes()), expect);
    }
}

#[test]
fn attributes_of_earlier_plugins_become_extensions() {
    let event = Event::from_json(r#"{"event":"room_started"}"#).unwrap();
    let event = event.with_attribute("tenant.id", "acme\n").with_attribute("empty", "\n");
    let config = json!({ "extensions": { "tenant": "tenant.id", "a": "empty", "b": "absent" } });
    let made = wrapped(config, &event);
    assert_eq!(made["tenant"], "acme");
    assert_eq!((made.get("a"), made.get("b")), (None, None));
}

#[test]
fn the_configuration_names_source_type_and_schema() {
    let config = json!({ "type_prefix": "com.example.", "source": "https://live.example.com/eu",
        "dataschema": "https://example.com/s.json" });
    let made = wrapped(config, &native::sample("room_started").unwrap());
    assert_eq!(made["type"], "com.example.room_started");
    assert_eq!(made["source"], "https://live.example.com/eu");
    assert_eq!(made["dataschema"], "https://example.com/s.json");
    assert_eq!(attributes::source("my project/ü"), "/livekit/my%20project%2F%C3%BC");
}

/// Headers and body of the binary mode.
#[track_caller]
fn in_headers(config: Value, event: &Event) -> (BTreeMap<String, String>, Vec<u8>) {
    native::set_config(&config);
    let draft = cloudevents(event).unwrap();
    assert_eq!(draft.kind, None);
    (draft.attributes.into_iter().collect(), draft.body)
}

#[test]
fn in_binary_mode_every_type_of_event_makes_the_golden_headers() {
    let mut made = Map::new();
    for kind in native::KINDS {
        let event = native::sample(kind).unwrap();
        let (headers, body) = in_headers(json!({ "mode": "binary" }), &event);
        assert_eq!(body, event.json(), "{kind}");
        made.insert(kind.to_owned(), json!(headers));
    }
    let made = format!("{:#}\n", Value::Object(made));
    assert_eq!(made, include_str!("../fixtures/binary.golden.json"));
}

#[test]
fn in_binary_mode_the_body_is_any_bytes() {
    for body in [&b" { } "[..], b"room \"r\"", b"\xFF\x00", b""] {
        let event = Event::from_json("{}").unwrap().with_body(body);
        assert_eq!(in_headers(json!({ "mode": "binary" }), &event).1, body);
    }
}

#[test]
fn a_header_has_what_the_binding_says() {
    let (room, identity) = ("Euro € 😀", "a\"b%c\\d~\u{7f}");
    let event = json!({ "event": "participant_joined", "room": { "name": room },
        "participant": { "identity": identity } });
    let event = Event::from_json(event.to_string()).unwrap().with_attribute("tenant.id", "a b");
    let config = json!({ "mode": "binary", "extensions": { "tenant": "tenant.id" },
        "source": "/a%20b", "dataschema": "https://example.com/s.json" });
    let (headers, _) = in_headers(config, &event);
    // The first is the example of the specification; what is no text of CloudEvents is left out.
    let subject = "Euro%20%E2%82%AC%20%F0%9F%98%80/a%22b%25c\\d~";
    assert_eq!(headers["ce-subject"], subject);
    assert_eq!(headers["ce-source"], "/a%2520b");
    assert_eq!(headers["ce-dataschema"], "https://example.com/s.json");
    assert_eq!(headers["ce-tenant"], "a%20b");
    assert_eq!(headers.get("ce-datacontenttype"), None, "it is the content type");
}

#[test]
fn a_header_that_is_too_long_ends_with_a_whole_character() {
    let event = |id: &str, room: &str| {
        let event = json!({ "event": "room_started", "id": id, "room": { "name": room } });
        Event::from_json(event.to_string()).unwrap()
    };
    let config = || json!({ "mode": "binary" });
    let (headers, _) = in_headers(config(), &event("EV_1", &"😀".repeat(1000)));
    assert_eq!(headers["ce-subject"], "%F0%9F%98%80".repeat(170));
    assert_eq!(headers["ce-id"], "EV_1");
    // As long as LiveKit's names may be, everything is there.
    let (headers, _) = in_headers(config(), &event("EV_1", &"ü".repeat(128)));
    assert_eq!(headers["ce-subject"], "%C3%BC".repeat(128));
    // In a native test the gateway's id is LiveKit's own.
    let (headers, _) = in_headers(config(), &event(&"%".repeat(512), "r"));
    assert_eq!(headers["ce-id"], "%25".repeat(512));
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
    check_config(json!({ "type_prefix": "io livekit" }), "type_prefix: at most 128");
    check_config(json!({ "source": "" }), "source: must be a URI");
    check_config(json!({ "source": "a b" }), "source: must be a URI");
    check_config(json!({ "dataschema": "s.json" }), "absolute URI");
    check_config(json!({ "extensions": { "Tenant": "x" } }), "a-z and 0-9");
    check_config(json!({ "extensions": { "id": "x" } }), "already");
    check_config(json!({ "mode": "batched" }), "unknown variant `batched`");
    check_config(json!({ "modus": "binary" }), "unknown field");
    let long = ["/", &"%20".repeat(500)].concat();
    check_config(
        json!({ "mode": "binary", "source": long }),
        "source: over 2048 bytes as a header",
    );
    assert_eq!(check(&serde_json::from_value(json!({ "source": long })).unwrap()), Ok(()));
}
