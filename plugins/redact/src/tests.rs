use super::*;
use livekit_webhook_plugin::native;
use serde_json::json;

const SIP: &str = include_str!("../fixtures/participant_joined-sip.json");
const SIP_REDACTED: &str = include_str!("../fixtures/participant_joined-sip.redacted.json");

#[track_caller]
fn check_redacted(config: serde_json::Value, body: &str, expect: &str) {
    native::set_config(&config);
    let event = redact(Event::from_json(body).unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(event.json()).unwrap(), expect);
}

#[test]
fn the_shipped_rules_remove_what_livekit_is_known_to_send() {
    check_redacted(json!({}), SIP, SIP_REDACTED);
    check_redacted(
        json!({}),
        r#"{"ingressInfo":{"streamKey":"k"},"job":{"room":{"turnPassword":"p"},"token":"t"}}"#,
        r#"{"ingressInfo":{"streamKey":"[redacted]"},"job":{"room":{"turnPassword":"[redacted]"},"token":"[redacted]"}}"#,
    );
}

#[test]
fn every_other_byte_stays() {
    let odd = "{ \"a\" : 1.0e+2, \"unknown\":{\"z\":[ ],\"y\":\"\\u0041\"} ,\n\"room\":{\"turnPassword\":\"x\"},\"a\":12345678901234567890123 }";
    let expect = odd.replace("\"x\"", "\"[redacted]\"");
    check_redacted(json!({}), odd, &expect);
}

#[test]
fn named_fields_take_the_place_of_the_shipped_rules_unless_they_say_default() {
    let body = r#"{"room":{"turnPassword":"p","metadata":"m"}}"#;
    check_redacted(
        json!({ "fields": ["room.metadata"], "replace": "-" }),
        body,
        r#"{"room":{"turnPassword":"p","metadata":"-"}}"#,
    );
    check_redacted(
        json!({ "fields": ["default", "room.metadata"], "replace": "" }),
        body,
        r#"{"room":{"turnPassword":"","metadata":""}}"#,
    );
}

#[test]
fn what_is_not_a_text_becomes_null() {
    let config = json!({ "fields": ["a", "b", "/c/*/d.e"] });
    let body = r#"{"a":{"x":["}",{}]},"b":12,"c":[{"d.e":true},{"d.e":"t"}],"d":1}"#;
    let expect = r#"{"a":null,"b":null,"c":[{"d.e":null},{"d.e":"[redacted]"}],"d":1}"#;
    check_redacted(config, body, expect);
}

#[test]
fn an_escaped_name_or_a_repeated_one_does_not_hide_a_secret() {
    check_redacted(
        json!({ "fields": ["room.turnPassword"] }),
        r#"{"room":{"turnPasswor\u0064":"p","turnPassword":"q\"r"},"s":"\\"}"#,
        r#"{"room":{"turnPasswor\u0064":"[redacted]","turnPassword":"[redacted]"},"s":"\\"}"#,
    );
}

#[test]
fn metadata_that_is_json_is_looked_into_by_rule() {
    let config =
        json!({ "fields": ["default", "participant.metadata.email", "/room/metadata/a/*/b"] });
    check_redacted(
        config,
        r#"{"participant":{"metadata":"{\"email\":\"x@y\",\"n\":1.0,\"deep\":\"{\\\"token\\\":7}\"}"},"room":{"metadata":"{\"a\":[{\"b\":2}]}"}}"#,
        r#"{"participant":{"metadata":"{\"email\":\"[redacted]\",\"n\":1.0,\"deep\":\"{\\\"token\\\":null}\"}"},"room":{"metadata":"{\"a\":[{\"b\":null}]}"}}"#,
    );
}

#[test]
fn a_text_that_has_nothing_to_remove_keeps_its_escapes() {
    let odd = r#"{"room":{"metadata":"{\u0022a\":\"\u003c\"}","name":"{not json","x":"[1, 2]"}}"#;
    check_redacted(json!({}), odd, odd);
}

#[test]
fn telephone_numbers_within_texts_are_removed_when_asked() {
    let body = r#"{"identity":"sip_+15105550100","text":"+1 +49301234567, 1+1=2 +1234567890123456","m":"{\"n\":\"+4930123456\"}"}"#;
    check_redacted(json!({}), body, body);
    check_redacted(
        json!({ "phones": true, "replace": "\"#\"" }),
        body,
        r##"{"identity":"sip_\"#\"","text":"+1 \"#\", 1+1=2 +1234567890123456","m":"{\"n\":\"\\\"#\\\"\"}"}"##,
    );
}

#[test]
fn no_secret_of_a_sampled_event_is_left() {
    native::set_config(&json!({}));
    for kind in native::KINDS {
        let event = redact(native::sample(kind).unwrap()).unwrap();
        let text = String::from_utf8(event.json().to_vec()).unwrap();
        assert!(!text.contains("NOT-A-SECRET"), "{kind}: {text}");
    }
}

#[test]
fn no_secret_of_any_kind_is_left() {
    let body = include_str!("../fixtures/everything.json");
    native::set_config(&json!({ "phones": true, "fields": ["default", "**.metadata.email"] }));
    let event = redact(Event::from_json(body).unwrap()).unwrap();
    let text = String::from_utf8(event.json().to_vec()).unwrap();
    assert_eq!(text, include_str!("../fixtures/everything.redacted.json"));
    assert!(!text.contains("hunter2") && !text.contains("+1510"), "{text}");
}

#[test]
fn rules_match_names_from_the_top_and_stars_stand_for_names() {
    #[track_caller]
    fn check_rule(rule: &str, path: &str, expect: bool) {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        assert_eq!(Rule::parse(rule).unwrap().matches(&path), expect, "{rule} {path:?}");
    }
    check_rule("a.b", "a/b", true);
    check_rule("a.b", "x/a/b", false);
    check_rule("a.b", "a/b/c", false);
    check_rule("a.*", "a/b", true);
    check_rule("**.b", "b", true);
    check_rule("**.b", "a/c/b", true);
    check_rule("a.**.b.c", "a/b/x/b/c", true);
    check_rule("a.**", "a/b/c", true);
    check_rule("a.**.b", "a/c", false);
}

#[test]
fn a_body_that_is_not_json_is_rejected() {
    let broken = Event::from_json("{}").unwrap().with_body(*b"{\"room\":");
    assert!(matches!(redact(broken), Err(Failure::Reject(text)) if text.contains("not JSON")));
}

#[test]
fn a_configuration_that_cannot_be_right_is_refused_in_words() {
    let parse = |config| serde_json::from_value::<Config>(config);
    let empty = parse(json!({ "fields": ["room..x"] })).unwrap();
    assert!(check(&empty).unwrap_err().contains("empty name"));
    let long = parse(json!({ "replace": "x".repeat(1000) })).unwrap();
    assert!(check(&long).unwrap_err().contains("at most 256"));
    assert!(parse(json!({ "field": [] })).is_err());
}
