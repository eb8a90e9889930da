use super::*;

const BODY: &str = r#"{"event":"participant_joined","room":{"name":"prod-7"},"participant":{"identity":"ann"},
"id":"EV_1","createdAt":"1795435195"}"#;

#[test]
fn getters_read_the_body_in_a_native_test() {
    let event = Event::from_json(BODY).unwrap();
    assert_eq!(event.kind(), "participant_joined");
    assert_eq!(event.id(), "EV_1");
    assert_eq!(event.room_name().as_deref(), Some("prod-7"));
    assert_eq!(event.participant_identity().as_deref(), Some("ann"));
    assert_eq!(event.created_at_ms(), 1_795_435_195_000);
    assert_eq!(event.field("/room/name").and_then(Value::as_str), Some("prod-7"));
}

#[test]
fn a_changed_event_becomes_a_draft_with_what_was_changed() {
    let event = Event::from_json(BODY).unwrap();
    let draft = Draft::from(event.with_kind("x").with_attribute("a", "1").with_body("{}"));
    assert_eq!(draft.kind.as_deref(), Some("x"));
    assert_eq!(draft.body, b"{}");
    assert_eq!(draft.attributes, [("a".to_owned(), "1".to_owned())]);
}

#[test]
fn an_unchanged_event_keeps_its_bytes() {
    let draft = Draft::from(Event::from_json(BODY).unwrap());
    assert_eq!((draft.kind, draft.body), (None, BODY.as_bytes().to_vec()));
}

#[test]
fn text_that_is_not_json_is_refused() {
    assert!(Event::from_json("{").is_err());
}

#[test]
fn the_typed_view_reads_the_same_body() {
    let event = Event::from_json(r#"{"event":"x","room":{"activeRecording":true}}"#).unwrap();
    assert!(event.room().is_some_and(|room| room.active_recording()));
    assert!(event.with_body("[]").view().is_none());
}
