//! The envelope of every shape, and its agreement with `serde_json`.

use proptest::prelude::*;

use super::*;

fn parse(body: &str) -> Envelope {
    Envelope::parse(body.as_bytes()).unwrap()
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>, code: &str) {
    let body = body.as_ref();
    assert_eq!(Envelope::parse(body).unwrap_err().code(), code);
    assert_eq!(event_type(body).unwrap_err().code(), code);
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn reads_a_room_event() {
    let envelope = parse(
        r#"{"event":"participant_joined","room":{"sid":"RM_1","name":"r\u00e9","x":{}},
            "participant":{"identity":"alice"},"id":"EV_1","createdAt":"1795435195","new":[1]}"#,
    );
    let expected = Envelope {
        event: "participant_joined".to_owned(),
        id: some("EV_1"),
        created_at_s: Some(1_795_435_195),
        room_name: some("ré"),
        room_sid: some("RM_1"),
        participant_identity: some("alice"),
        lane: some("RM_1"),
    };
    assert_eq!(envelope, expected);
}

#[track_caller]
fn check(members: &str, name: Option<&str>, sid: Option<&str>, lane: Option<&str>) {
    let envelope = parse(&format!(r#"{{"event":"e",{members}}}"#));
    assert_eq!(envelope.room_name.as_deref(), name);
    assert_eq!(envelope.room_sid.as_deref(), sid);
    assert_eq!(envelope.lane.as_deref(), lane);
}

#[test]
fn finds_the_room_in_every_shape() {
    check(r#""room":{"name":"r"}"#, Some("r"), None, Some("r"));
    check(
        r#""egressInfo":{"egressId":"EG_1","roomId":"RM_1","roomName":"r"}"#,
        Some("r"),
        Some("RM_1"),
        Some("EG_1"),
    );
    check(
        r#""ingress_info":{"ingress_id":"IN_1","room_name":"r","state":{"room_id":"RM_1"}}"#,
        Some("r"),
        Some("RM_1"),
        Some("IN_1"),
    );
    check(
        r#""ingressInfo":{"ingressId":"IN_1","state":{"roomId":"RM_1"}},"room":{"name":"r"}"#,
        Some("r"),
        Some("RM_1"),
        Some("IN_1"),
    );
    check(
        r#""job":{"id":"AJ_1","room":{"sid":"RM_1","name":"r"}}"#,
        Some("r"),
        Some("RM_1"),
        Some("RM_1"),
    );
    check(r#""job":{"id":"AJ_1"}"#, None, None, Some("AJ_1"));
    check(r#""egressInfo":{"roomName":"r"}"#, Some("r"), None, Some("r"));
    check(r#""track":{"sid":"TR_1"}"#, None, None, None);
}

#[test]
fn camel_case_counts_before_snake_case_in_either_order() {
    let both = [
        r#""egressInfo":{"egressId":"a"},"egress_info":{"egressId":"b","roomName":"r"}"#,
        r#""egress_info":{"egressId":"b","roomName":"r"},"egressInfo":{"egressId":"a"}"#,
        r#""egressInfo":{"egress_id":"b","egressId":"a"}"#,
        r#""egressInfo":{"egressId":"a","egress_id":"b"}"#,
    ];
    for members in both {
        check(members, None, None, Some("a"));
    }
    assert_eq!(parse(r#"{"event":"e","created_at":1,"createdAt":2}"#).created_at_s, Some(2));
    assert_eq!(parse(r#"{"event":"e","createdAt":2,"created_at":1}"#).created_at_s, Some(2));
}

#[test]
fn wrong_types_are_as_good_as_absent() {
    let envelope = parse(
        r#"{"event":"e","id":7,"createdAt":"yesterday","room":[],"participant":{"identity":{}},
            "egressInfo":{"egressId":null},"ingressInfo":"x","job":{"room":1,"participant":false}}"#,
    );
    assert_eq!(envelope, Envelope { event: "e".to_owned(), ..Envelope::default() });
    assert_eq!(parse(r#"{"event":"e","id":""}"#).id, None);
}

#[test]
fn long_strings_are_not_kept() {
    let text = |length| "x".repeat(length);
    assert_eq!(parse(&format!(r#"{{"event":"e","id":"{}"}}"#, text(1024))).id, Some(text(1024)));
    assert_eq!(parse(&format!(r#"{{"event":"e","id":"{}"}}"#, text(1025))).id, None);
    refused(format!(r#"{{"event":"{}"}}"#, text(1025)), "event_too_long");
}

#[test]
fn refuses_the_unusable() {
    refused("", "empty");
    refused(" \n", "empty");
    refused("\u{feff}{}", "bom");
    refused("[]", "not_an_object");
    refused("{}", "no_event");
    refused(r#"{"event":""}"#, "no_event");
    refused(r#"{"event":7}"#, "no_event");
    refused(r#"{"event":"e"}{"event":"e"}"#, "trailing");
    refused(r#"{"event":"e","room":{"sid":"a","sid":"b"}}"#, "duplicate_member");
    refused(r#"{"event":"e","room":{"\u0073id":"a","sid":"b"}}"#, "duplicate_member");
    refused(r#"{"event":"e","x":"\udfff"}"#, "lone_surrogate");
    refused(b"{\"event\":\"e\",\"x\":\"\xc3\"}", "not_utf8");
    refused(format!(r#"{{"event":"e","x":{}"#, "[".repeat(20_000)), "too_deep");
}

/// Text that is close to JSON: pieces of it, in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"event\"",
        "\"a\"",
        "\"room\"",
        "\"é\\u0000\"",
        "1",
        "-0.5",
        "1e400",
        "true",
        "null",
        " ",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "{}",
        "\"x\":",
        "0",
        "\\",
    ];
    prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|all| all.concat())
}

fn tree() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(|number: f64| json!(number)),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
        let name = prop_oneof![Just("room".to_owned()), Just("sid".to_owned()), ".{0,6}"];
        let members = prop::collection::vec((name, inner), 0..6);
        prop_oneof![list, members.prop_map(|all| Value::Object(all.into_iter().collect()))]
    })
}

/// What we accept `serde_json` accepts, with the same `event`.
fn agrees(body: &[u8]) -> Result<(), TestCaseError> {
    let Ok(envelope) = Envelope::parse(body) else {
        return Ok(());
    };
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    prop_assert_eq!(value["event"].as_str(), Some(envelope.event.as_str()));
    prop_assert_eq!(event_type(body).unwrap(), envelope.event);
    Ok(())
}

proptest! {
    #[test]
    fn agrees_on_near_misses(text in nearly_json()) {
        agrees(text.as_bytes())?;
        agrees(format!("{{\"event\":\"e\",\"x\":{text}}}").as_bytes())?;
    }

    #[test]
    fn agrees_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agrees(&bytes)?;
        let wrapped = [b"{\"event\":\"e\",\"x\":\"".as_slice(), &bytes, b"\"}"].concat();
        agrees(&wrapped)?;
    }

    #[test]
    fn accepts_what_serde_json_writes(value in tree(), pretty: bool) {
        let mut object = serde_json::Map::new();
        object.insert("x".to_owned(), value);
        object.insert("event".to_owned(), "e".into());
        let body = if pretty {
            serde_json::to_vec_pretty(&object).unwrap()
        } else {
            serde_json::to_vec(&object).unwrap()
        };
        prop_assert_eq!(Envelope::parse(&body).unwrap().event, "e");
        agrees(&body)?;
    }
}
